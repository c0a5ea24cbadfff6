"""What independent validators say of every object that hemiface writes."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from datetime import datetime
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dicom_nodes.objects.encapsulated_model import write_encapsulated_model
from dicom_nodes.objects.header import read_header
from dicom_nodes.objects.measurement_report import Predecessor, write_measurement_report
from dicom_nodes.objects.secondary_capture import write_secondary_capture
from dicom_nodes.objects.study_context import StudyIdentity, identity_of
from dicom_nodes.objects.vl_photograph import write_vl_photograph
from processing.inputs import Expression, View
from processing.measurement import Analysis, Picture, Status

pytestmark = pytest.mark.peer

PIXELMED = Path("/usr/share/java/pixelmed.jar")
REPORTS = ("photograph-report", "surface-report", "refused-report")
IMAGES = ("photograph-png", "photograph-jpeg", "photograph-turned", "photograph-joined", "picture")

# The rules of PixelMed's 2022 build that do not apply; each names why.
PIXELMED_NOISE = (
    # Context group 100 is a baseline: other codes are allowed. It has none for photography.
    r"Template 1500 .*Procedure reported.*not found in context group 100$",
    # It tries rows 9 and 10 of TID 300 (any NUM that a value is inferred from) on the NUM
    # of TID 310 row 5, which it accepts as well.
    r"Template 300 .*\[Row (9|10)\] NUM \*.*range of measurement uncertainty\"\): "
    r"Incorrect relationship - expected INFERRED FROM - found HAS PROPERTIES$",
)


@pytest.fixture
def objects(
    tmp_path: Path,
    photograph: Path,
    model: Path,
    picture: np.ndarray,
    identity: StudyIdentity,
    photograph_analysis: Analysis,
    surface_analysis: Analysis,
    made_at: datetime,
) -> dict[str, Path]:
    """One of each object, all of one study."""
    written = {name: tmp_path / f"{name}.dcm" for name in (*REPORTS, *IMAGES, "model-obj")}
    jpeg = BytesIO()
    Image.fromarray(picture).save(jpeg, "JPEG")
    turned = BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "Maker"
    Image.fromarray(picture).save(turned, "JPEG", exif=exif)
    write_vl_photograph(
        picture,
        identity,
        written["photograph-png"],
        made_at=made_at,
        view=View.RIGHT_PROFILE,
        expression=Expression.SMILE,
        pixel_spacing_mm=0.2,
        instance_number=2,
    )
    write_vl_photograph(
        jpeg.getvalue(),
        identity,
        written["photograph-jpeg"],
        made_at=made_at,
        view=View.LEFT_OBLIQUE,
        expression=Expression.EYES_SHUT,
        instance_number=3,
    )
    write_vl_photograph(
        turned.getvalue(),
        identity,
        written["photograph-turned"],
        made_at=made_at,
        instance_number=4,
    )
    write_vl_photograph(
        picture[::-1],
        identity_of(photograph),
        written["photograph-joined"],
        made_at=made_at,
        instance_number=5,
    )
    write_encapsulated_model(
        b"v 0 0 0\n",
        "obj",
        identity,
        written["model-obj"],
        made_at=made_at,
        unit=None,
        series_number=3,
    )
    measured = replace(photograph_analysis, inputs=(read_header(photograph).sop_instance_uid,))
    first = write_measurement_report(
        measured, [photograph], written["photograph-report"], key="a", made_at=made_at
    )
    write_measurement_report(
        replace(surface_analysis, inputs=(read_header(model).sop_instance_uid,)),
        [model],
        written["surface-report"],
        key="b",
        made_at=made_at,
        series_number=9103,
    )
    refused = Analysis("photograph-symmetry", "1.0.0", Status.REFUSED, "Kein Gesicht 无面")
    write_measurement_report(
        refused,
        [photograph],
        written["refused-report"],
        key="c",
        made_at=made_at,
        predecessor=Predecessor(
            identity.study_instance_uid,
            first.series_instance_uid,
            first.sop_class_uid,
            first.sop_instance_uid,
        ),
        series_number=9105,
    )
    write_secondary_capture(
        Picture("landmarks", "Landmarks", picture),
        measured,
        [photograph],
        written["picture"],
        key="a",
        made_at=made_at,
        number=1,
    )
    return {**written, "photograph": photograph, "model-stl": model}


def _said(*command: str | Path) -> str:
    name = str(command[0])
    assert shutil.which(name), f"{name} is missing: apt-get install dicom3tools dcmtk pixelmed-apps"
    run = subprocess.run([*map(str, command)], capture_output=True, check=False, timeout=110)
    return (run.stdout + run.stderr).decode("utf-8", "replace")


def test_dciodvfy_finds_no_error(objects: dict[str, Path]) -> None:
    found = {}
    for name, path in objects.items():
        if name == "model-obj":
            continue  # Debian's build of 2022 does not know Encapsulated OBJ.
        errors = [line for line in _said("dciodvfy", "-new", path).splitlines() if "Error" in line]
        if errors:
            found[name] = errors
    assert not found


def test_dcentvfy_finds_all_objects_of_the_study_consistent(objects: dict[str, Path]) -> None:
    said = _said("dcentvfy", *objects.values())
    assert not [line for line in said.splitlines() if "Error" in line], said


def test_dcmtk_reads_every_object(objects: dict[str, Path]) -> None:
    for path in objects.values():
        said = _said("dcmdump", "+U8", path)
        assert "\nE:" not in f"\n{said}"
        assert "王^小东" in said


def test_dsrdump_reads_every_report(objects: dict[str, Path]) -> None:
    for name in REPORTS:
        run = subprocess.run(["dsrdump", "-Er", objects[name]], capture_output=True, check=True)
        assert b"Imaging Measurement Report" in run.stdout
        assert b"E:" not in run.stderr


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", REPORTS)
def test_pixelmed_finds_no_error_in_a_report(objects: dict[str, Path], name: str) -> None:
    assert PIXELMED.exists(), "apt-get install pixelmed-apps"
    limits = ("GrpLimit", "OpLimit", "TotalOpLimit")
    said = _said(
        "java",
        "-Xss64m",
        *(f"-Djdk.xml.xpath{'Expr' if 'Total' not in each else ''}{each}=0" for each in limits),
        "-cp",
        PIXELMED,
        "com.pixelmed.validate.DicomSRValidator",
        objects[name],
    )
    assert "Found Root Template TID_1500" in said
    assert "IOD validation complete" in said
    errors = [line for line in said.splitlines() if line.startswith("Error")]
    unexplained = [
        line for line in errors if not any(re.search(noise, line) for noise in PIXELMED_NOISE)
    ]
    assert not unexplained
