"""Validators of other makers; each returns the errors it found, an empty list when none.

Every one of them also raises when it did not do its work, so that silence is
never taken for a clean object.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import pydicom
from dicom_validator.validator.error_handler import (
    NullValidationResultHandler,
    ValidationResultFormatter,
)
from dicom_validator.validator.iod_validator import IODValidator
from dicom_validator.validator.validation_result import Status

from tests.peers.programs import required, run
from tests.peers.standard_tables import tables_for

# PixelMed's rules of 2022 find these in every TID 1500 report, right or wrong.
SR_NOISE = (
    # It tries TID 1410, 1411 and 1501 on each measurement group in turn; one of them fits.
    r"Template 14(10|11)\b.*(Missing \w+ content item|condition not satisfied)",
    # Rows of the templates that are younger than the rules.
    r"(Algorithm Name|Algorithm Version|Finding category).*Content Item not in template",
    # TID 1500 and 1501 are extensible (PS3.16): these are what a report says beyond their rows.
    r"\(\w+,99HEMIFACE,\"[^\"]*\"\): Content Item not in template$",
    r"\((121112,DCM,\"Source of Measurement\"|121106,DCM,\"Comment\")\): "
    r"Content Item not in template$",
    # Context group 100 is a baseline: other codes are allowed. It has none for photography.
    r"Template 1500 .*Procedure reported.*not found in context group 100$",
    # It tries rows 9 and 10 of TID 300 (any NUM that a value is inferred from) on the NUM
    # of TID 310 row 5 and on the bounds of TID 312, which it accepts as well.
    r"Template 300 .*\[Row (9|10)\] NUM \*.*"
    r"(range of measurement uncertainty|Normal Range (Upper|Lower) Limit)\"\): "
    r"Incorrect relationship - expected INFERRED FROM - found HAS PROPERTIES$",
    # The meaning of a code was reworded in the standard; the code is the same.
    r"has different code meaning",
)

# DCMTK 3.6.7 says so of every UTF-8 object and then reads the names as they are.
DSRDUMP_NOISE = (
    "The VR checker does not support this Specific Character Set: ISO_IR 192",
    # Of a Key Object Selection it reads the tree and says that it checks no template.
    "Check for template constraints not yet supported",
)

# dicom-validator reads the content of an SR as if each item had every value type.
UNRELIABLE_MODULES = frozenset({"SR Document Content"})

_JAVA_LIMITS = (
    "-Xss64m",
    "-Djdk.xml.xpathExprGrpLimit=0",
    "-Djdk.xml.xpathExprOpLimit=0",
    "-Djdk.xml.xpathTotalOpLimit=0",
)


class ValidatorFault(Exception):
    """A validator did not do its work."""


def dciodvfy(path: Path) -> list[str]:
    """Errors that dicom3tools' dciodvfy finds in one object; its warnings are left out."""
    done = run(required("/usr/bin/dciodvfy", "dicom3tools"), "-new", path)
    lines = (done.stderr + done.stdout).splitlines()
    if done.returncode < 0 or not lines:
        raise ValidatorFault(f"dciodvfy said nothing about {path} (status {done.returncode})")
    return [line for line in lines if line.startswith("Error")]


def dcentvfy(paths: Iterable[Path]) -> list[str]:
    """Errors that dicom3tools' dcentvfy finds between objects of the same entities."""
    files = list(paths)
    if not files:
        raise ValidatorFault("dcentvfy needs files")
    done = run(required("/usr/bin/dcentvfy", "dicom3tools"), *files)
    lines = (done.stderr + done.stdout).splitlines()
    if done.returncode < 0 or any(line.startswith("Abort") for line in lines):
        raise ValidatorFault(f"dcentvfy ended with status {done.returncode}: {lines[-5:]}")
    return [line for line in lines if line.startswith("Error")]


def dsrdump(path: Path) -> list[str]:
    """Errors and warnings of DCMTK's dsrdump, which reads the whole content tree of an SR."""
    done = run(required("/usr/bin/dsrdump", "dcmtk"), path)
    found = [
        line
        for line in done.stderr.splitlines()
        if re.match(r"[EFW]: ", line) and not any(each in line for each in DSRDUMP_NOISE)
    ]
    if done.returncode != 0 and not found:
        found = [f"dsrdump ended with status {done.returncode}: {done.stderr.strip()}"]
    if not found and not done.stdout.strip():
        raise ValidatorFault(f"dsrdump said nothing about {path}")
    return found


def dicom_sr_validator(path: Path) -> list[str]:
    """Errors and warnings of PixelMed's DicomSRValidator in an SR's templates, less `SR_NOISE`.

    Takes some ten seconds a report.
    """
    jar = required("/usr/share/java/pixelmed.jar", "pixelmed-apps")
    done = run(
        required("/usr/bin/java", "default-jre-headless"),
        *_JAVA_LIMITS,
        "-cp",
        jar,
        "com.pixelmed.validate.DicomSRValidator",
        path,
        timeout_seconds=400,
    )
    lines = (done.stdout + done.stderr).splitlines()
    if not {"Root Template Validation Complete", "IOD validation complete"} <= set(lines):
        raise ValidatorFault(f"DicomSRValidator did not finish with {path}: {lines[-5:]}")
    found = [line for line in lines if line.startswith(("Error", "Warning"))]
    return [line for line in found if not any(re.search(each, line) for each in SR_NOISE)]


def dicom_validator(path: Path) -> list[str]:
    """Errors of dicom-validator in the modules of one object, less `UNRELIABLE_MODULES`."""
    dataset = pydicom.dcmread(path)
    tables = tables_for(dataset.SOPClassUID)
    result = IODValidator(dataset, tables, error_handler=NullValidationResultHandler()).validate()
    if result.status not in (Status.Passed, Status.Failed):
        raise ValidatorFault(f"dicom-validator could not judge {path}: {result.status.name}")
    formatter = ValidationResultFormatter(tables.dictionary)
    return [
        f"{module}: {tag}{formatter.error_message(error)}"
        for module, errors in (result.module_errors or {}).items()
        if module not in UNRELIABLE_MODULES
        for tag, error in errors.items()
    ]


def tid1500reader(path: Path) -> list[float]:
    """All numbers that dcmqi's tid1500reader reads in the measurement groups of a report."""
    program = Path(sys.executable).with_name("tid1500reader")
    with TemporaryDirectory() as folder:
        out = Path(folder) / "metadata.json"
        done = run(
            required(str(program), "dcmqi (with pip)"),
            "--inputDICOM",
            path,
            "--outputMetadata",
            out,
        )
        if done.returncode != 0 or not out.exists():
            raise ValidatorFault(f"tid1500reader did not read {path}: {done.stderr[-300:]}")
        groups = json.loads(out.read_text(encoding="utf-8"))["Measurements"]
    return [float(each["value"]) for group in groups for each in group.get("measurementItems", ())]
