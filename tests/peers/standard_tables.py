"""The tables of the DICOM standard, in the form that dicom-validator reads.

dicom-validator wants to download the standard. The wheel ``dicom-standard``
(PyPI, 0.1.0, the standard as of April 2020) carries the same tables as JSON;
they are turned into dicom-validator's form here, one SOP class at a time, so
that validation needs no network.
"""

from __future__ import annotations

import html
import json
import re
from collections import defaultdict
from functools import cache
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from dicom_validator.spec_reader.condition import ConditionType
from dicom_validator.spec_reader.condition_parser import ConditionParser
from dicom_validator.validator.dicom_info import DicomInfo

Table = dict[str, Any]

# What changed in the standard after April 2020 and concerns the objects of this project.
_MODULES_SINCE_MANDATORY = {
    "surface-scan-mesh": {
        "Frame of Reference": {"ref": "frame-of-reference", "use": "M"},
    },
    "surface-scan-point-cloud": {
        "Frame of Reference": {"ref": "frame-of-reference", "use": "M"},
    },
}
_ATTRIBUTES_SINCE_ADDED = {
    # CP-1570
    "vl-image": {"(0054,0220)": {"name": "View Code Sequence", "type": "3"}},
}


def knows(sop_class_uid: str) -> bool:
    """Whether the tables describe a SOP class."""
    return sop_class_uid in _ciod_of_sop_class()


@cache
def tables_for(sop_class_uid: str) -> DicomInfo:
    """The tables for one SOP class, as dicom-validator's `IODValidator` takes them.

    Raises
    ------
    KeyError
        If the standard of 2020 has no such SOP class.
    """
    ciod = _ciod_of_sop_class()[sop_class_uid]
    modules = _modules_of(ciod)
    attributes = {each["ref"]: _attributes_of(each["ref"]) for each in modules.values()}
    iod: Table = {"title": f"{ciod} IOD", "modules": modules, "group_macros": {}}
    return DicomInfo(_dictionary(), {sop_class_uid: iod}, attributes)


def _modules_of(ciod: str) -> dict[str, Table]:
    names = {each["id"]: each["name"] for each in _read("modules")}
    modules: dict[str, Table] = {}
    for row in _read("ciod_to_modules"):
        if row["ciodId"] != ciod:
            continue
        module: Table = {"ref": row["moduleId"], "use": row["usage"]}
        if row["usage"] == "C":
            module["use"] = f"C - {row['conditionalStatement']}"
            module |= _condition(module["use"])
        modules[names[row["moduleId"]]] = module
    return modules | _MODULES_SINCE_MANDATORY.get(ciod, {})


def _attributes_of(module: str) -> dict[str, Table]:
    """The attributes of a module by tag, each with its items nested as the paths say."""
    top: dict[str, Table] = {}
    # A path is "module:tag:tag…"; the rows of a sequence come before those of its items.
    for row in _rows_of_modules()[module]:
        level = top
        for parent in row["path"].split(":")[1:-1]:
            level = level[_tag(f"({parent[:4]},{parent[4:]})")].setdefault("items", {})
        tag = _tag(row["tag"])
        # A type that the table leaves open is never demanded.
        kind = row["type"] if row["type"] in ("1", "1C", "2", "2C", "3") else "3"
        attribute = level.setdefault(tag, {})
        attribute |= {"name": _dictionary().get(tag, {"name": tag})["name"], "type": kind}
        if kind in ("1C", "2C"):
            attribute |= _condition(_plain_text(row["description"]))
    return top | _ATTRIBUTES_SINCE_ADDED.get(module, {})


def _condition(sentence: str) -> Table:
    """A condition as dicom-validator stores it; nothing where only a person can judge it."""
    condition = _condition_parser().parse(sentence)
    if condition.type == ConditionType.UserDefined:
        return {}
    return {"cond": condition.result_dict()}


def _tag(text: str) -> str:
    """A tag as dicom-validator writes it: capital digits, but small x in repeating groups."""
    return text.upper().replace("X", "x")


def _plain_text(markup: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", markup)).split())


@cache
def _condition_parser() -> ConditionParser:
    return ConditionParser(_dictionary())


@cache
def _dictionary() -> dict[str, dict[str, str]]:
    return {
        _tag(each["tag"]): {
            "name": each["name"],
            "vr": each["valueRepresentation"],
            "vm": each["valueMultiplicity"],
            "prop": "RET" if each["retired"] == "Y" else "",
        }
        for each in _read("attributes")
    }


@cache
def _ciod_of_sop_class() -> dict[str, str]:
    ciods = {each["name"]: each["id"] for each in _read("ciods")}
    return {each["id"]: ciods[each["ciod"]] for each in _read("sops") if each["ciod"] in ciods}


@cache
def _rows_of_modules() -> dict[str, list[Table]]:
    rows = defaultdict(list)
    for row in _read("module_to_attributes"):
        rows[row["moduleId"]].append(row)
    return rows


@cache
def _read(table: str) -> list[Table]:
    wanted = f"standard/{table}.json"
    for each in distribution("dicom-standard").files or ():
        if each.as_posix().endswith(wanted):
            rows: list[Table] = json.loads(Path(str(each.locate())).read_text(encoding="utf-8"))
            return rows
    raise FileNotFoundError(f"the installed dicom-standard has no {wanted}")
