"""Landmarks that a reviewer placed on a photograph, in a Structured Report with SCOORD."""

from __future__ import annotations

import math
from pathlib import Path

from pydicom.dataset import Dataset

from dicom_nodes.objects.file_structure import FileStructure, read_structure
from dicom_nodes.objects.foreign_values import FOREIGN_VALUE_FAULTS, foreign_values
from dicom_nodes.objects.report_words import SCOORD_ORIGIN_SHIFT
from dicom_nodes.objects.reviewed_report import landmark_of, reviewed_report
from processing.inputs import LandmarkEdits
from processing.measurement import RejectedInput


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
    try:
        with foreign_values():
            return _edits(structure)
    except FOREIGN_VALUE_FAULTS:
        return ()  # a damaged report places nothing


def _edits(structure: FileStructure) -> tuple[LandmarkEdits, ...]:
    report = reviewed_report(structure)
    if report is None:
        return ()
    placed: dict[str, dict[str, tuple[float, float]]] = {}
    for item, group in report.items:
        at, photograph = _point(item), _photograph(item)
        if at is None or not photograph:
            continue
        name = landmark_of(item, group)
        if name is not None:
            placed.setdefault(photograph, {})[name] = at
    return tuple(
        LandmarkEdits(report.source, photograph, landmarks, report.made_at)
        for photograph, landmarks in placed.items()
    )


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
