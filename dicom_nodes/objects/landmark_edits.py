"""Landmarks that a reviewer placed on a photograph, in a Structured Report.

A reviewer opens a report of hemiface in a viewer, moves points and stores it as a new
object; or draws named points on the photograph. Both come back as TID 1500 with
SCOORD. What tells them from a report that a device made is the person: an observer of
type Person (TID 1002, 1003), or a verifying observer. hemiface's own reports name
only the device, so none of them is ever taken for a reviewer's.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from pydicom.dataset import Dataset

from dicom_nodes.objects import codes
from dicom_nodes.objects.coded_entries import Code, code_of
from dicom_nodes.objects.file_structure import (
    SOP_CLASS_UID,
    FileStructure,
    read_structure,
    uid_text,
)
from dicom_nodes.objects.foreign_values import FOREIGN_VALUE_FAULTS, foreign_values
from dicom_nodes.objects.report_words import LANDMARK_TRACKING, SCOORD_ORIGIN_SHIFT
from dicom_nodes.objects.sop_classes import STRUCTURED_REPORTS
from processing.inputs import LandmarkEdits
from processing.measurement import RejectedInput, Side

MOST_CONTENT_ITEMS: Final = 50_000
DEEPEST_CONTENT: Final = 16

_SOP_INSTANCE_UID: Final = 0x00080018
_MEASUREMENT_GROUP: Final = Code("125007", "DCM", "Measurement Group")
_TRACKING_IDENTIFIER: Final = Code("112039", "DCM", "Tracking Identifier")
_FINDING: Final = Code("121071", "DCM", "Finding")
_SHORT_LABEL: Final = Code("125309", "DCM", "Short Label")
_OBSERVER_TYPE: Final = Code("121005", "DCM", "Observer Type")
_PERSON: Final = Code("121006", "DCM", "Person")


def read_landmark_edits(path: Path) -> tuple[LandmarkEdits, ...]:
    """Read the landmarks that a person placed.

    Parameters
    ----------
    path : Path
        A Part 10 file of a Structured Report.

    Returns
    -------
    tuple of LandmarkEdits
        One for each photograph, in the coordinates of `processing.inputs`.

    Raises
    ------
    RejectedInput
        If the file is damaged or no report, or no person placed a landmark in it
        whose name is known.
    """
    structure = read_structure(path)
    if structure.fault is not None:
        raise RejectedInput(structure.fault)
    found = edits_of(structure)
    if not found:
        raise RejectedInput(
            "The report holds no named landmark that a person placed on a photograph. Name the "
            "observer (Observer Type: Person), and the points as in hemiface's own report."
        )
    return found


def edits_of(structure: FileStructure) -> tuple[LandmarkEdits, ...]:
    """The same of a file whose structure was read; empty where there are none."""
    if uid_text(structure.value(SOP_CLASS_UID)) not in STRUCTURED_REPORTS:
        return ()
    try:
        with foreign_values():
            dataset = structure.dataset()
            return _edits(dataset, uid_text(structure.value(_SOP_INSTANCE_UID)))
    except FOREIGN_VALUE_FAULTS:
        return ()  # a damaged report places nothing


def _edits(document: Dataset, source: str) -> tuple[LandmarkEdits, ...]:
    items = list(islice(_walk(document, None, 0), MOST_CONTENT_ITEMS + 1))
    if len(items) > MOST_CONTENT_ITEMS:
        raise ValueError("the content tree is too large")
    if not _is_by_person(document, items):
        return ()
    placed: dict[str, dict[str, tuple[float, float]]] = {}
    for item, group in items:
        at, photograph = _point(item), _photograph(item)
        name = _landmark(item, group)
        if at is not None and photograph and name is not None:
            placed.setdefault(photograph, {})[name] = at
    made_at = f"{document.get('ContentDate') or ''}{document.get('ContentTime') or ''}"
    return tuple(
        LandmarkEdits(source, photograph, landmarks, made_at)
        for photograph, landmarks in placed.items()
    )


def _walk(
    item: Dataset, group: Dataset | None, depth: int
) -> Iterator[tuple[Dataset, Dataset | None]]:
    """Every content item below this one, with the measurement group that it belongs to."""
    if depth > DEEPEST_CONTENT:
        raise ValueError("the content tree is too deep")
    for each in item.get("ContentSequence") or ():
        own = each if _name(each) == _MEASUREMENT_GROUP else group
        yield each, own
        yield from _walk(each, own, depth + 1)


def _is_by_person(document: Dataset, items: list[tuple[Dataset, Dataset | None]]) -> bool:
    if document.get("VerificationFlag") == "VERIFIED" and document.get("VerifyingObserverSequence"):
        return True
    return any(_name(item) == _OBSERVER_TYPE and _PERSON in _values(item) for item, _ in items)


def _point(item: Dataset) -> tuple[float, float] | None:
    """Column and row of a point, its origin moved to the centre of the first pixel."""
    if item.get("ValueType") != "SCOORD" or item.get("GraphicType") != "POINT":
        return None
    column, row = (float(each) - SCOORD_ORIGIN_SHIFT for each in list(item.GraphicData)[:2])
    return (column, row) if math.isfinite(column) and math.isfinite(row) else None


def _photograph(item: Dataset) -> str:
    """SOP Instance UID of the image that a point lies on, and ``#`` and the frame if stated."""
    for each in item.get("ContentSequence") or ():
        for reference in each.get("ReferencedSOPSequence") or ():
            uid = str(reference.get("ReferencedSOPInstanceUID") or "")
            frame = reference.get("ReferencedFrameNumber")
            return f"{uid}#{int(frame)}" if isinstance(frame, int) else uid
    return ""


def _landmark(item: Dataset, group: Dataset | None) -> str | None:
    """The name of a point: by our tracking identifier, by a code and its side, by a label."""
    inside = list(group.get("ContentSequence") or ()) if group is not None else []
    texts = [
        str(each.get("TextValue") or "")
        for each in inside
        if _name(each) in (_TRACKING_IDENTIFIER, _SHORT_LABEL)
    ]
    for text in texts:
        _, mark, name = text.rpartition(LANDMARK_TRACKING)
        if mark and _is_landmark(name):
            return name
    named = [
        (code, _side(each))
        for each in inside
        if _name(each) in (_FINDING, codes.FINDING_SITE)
        for code in _values(each)
    ]
    side = next((side for _, side in named if side is not None), None)
    codes_of_point = [code for code, _ in named] + [_name(item)]
    for code in codes_of_point:
        structure = codes.name_of(code, codes.LANDMARKS)
        if structure is not None:
            return structure if side is None else f"{structure}_{side.value}"
    labels = [*texts, *(code.meaning for code in codes_of_point)]
    return next(filter(None, map(_labelled, labels)), None)


def _side(item: Dataset) -> Side | None:
    for each in item.get("ContentSequence") or ():
        if _name(each) == codes.LATERALITY:
            for code in _values(each):
                return codes.name_of(code, codes.SIDES)
    return None


def _labelled(label: str) -> str | None:
    """The landmark that a person's words name, such as ``Left cheilion``."""
    words = re.findall(r"[a-z]+", label.lower())
    sides = [word for word in words if word in ("left", "right")]
    name = "_".join([*(word for word in words if word not in sides), *sides])
    return name if _is_landmark(name) else None


def _is_landmark(name: str) -> bool:
    for side in Side:
        name = name.removesuffix(f"_{side.value}")
    return name in codes.LANDMARKS


def _name(item: Dataset) -> Code:
    return next(iter(_codes(item, "ConceptNameCodeSequence")), Code("", "", ""))


def _values(item: Dataset) -> list[Code]:
    return _codes(item, "ConceptCodeSequence")


def _codes(item: Dataset, keyword: str) -> list[Code]:
    return [code_of(each) for each in item.get(keyword) or ()]
