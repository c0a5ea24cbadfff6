"""What a reviewer placed on a surface scan, in a Structured Report with SCOORD3D.

Landmarks are points (TID 1410 or any named SCOORD3D POINT), in mm in the frame of the
scan. The midsagittal plane is a group as in hemiface's own report, or three or more
points of a SCOORD3D POLYGON that is called so; it counts only where its group names no
algorithm, for a plane that an algorithm found is no reviewer's even if the report that
holds it was edited.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from dicom_nodes.objects import codes, report_codes
from dicom_nodes.objects.file_structure import FileStructure, read_structure
from dicom_nodes.objects.foreign_values import FOREIGN_VALUE_FAULTS, foreign_values
from dicom_nodes.objects.report_words import PLANE_TRACKING
from dicom_nodes.objects.reviewed_report import (
    ALGORITHM_NAME,
    TRACKING_IDENTIFIER,
    ReviewedReport,
    landmark_of,
    name_of,
    reviewed_report,
    values_of,
)
from dicom_nodes.objects.sop_classes import SURFACE_SCANS, SURFACE_SEGMENTATION
from processing.inputs import SurfaceEdits
from processing.measurement import Plane, RejectedInput

_CONTENT_DATE: Final = 0x00080023
_CONTENT_TIME: Final = 0x00080033
_MIDSAGITTAL: Final = "midsagittal"
_FARTHEST_MM: Final = 1e5
_LONGEST_NORMAL_ERROR: Final = 0.01
_LEAST_SPREAD_MM: Final = 5.0


def read_surface_edits(path: Path) -> SurfaceEdits:
    """Read what a person placed on a surface scan.

    Parameters
    ----------
    path : Path
        A Part 10 file of a Structured Report.

    Returns
    -------
    SurfaceEdits
        Of the one scan that the report names as its source; without area.

    Raises
    ------
    RejectedInput
        If the file is damaged or no report, or no person placed a landmark or the
        midsagittal plane in it.
    """
    structure = read_structure(path)
    if structure.fault is not None:
        raise RejectedInput(structure.fault)
    found = surface_edits_of(structure)
    if found is None:
        raise RejectedInput(
            "The report holds no named landmark and no midsagittal plane that a person placed on "
            "a surface scan. Name the observer (Observer Type: Person), the scan (as evidence), "
            "and the points as in hemiface's own report."
        )
    return found


def surface_edits_of(structure: FileStructure) -> SurfaceEdits | None:
    """The same of a file whose structure was read; None where there is nothing."""
    try:
        with foreign_values():
            report = reviewed_report(structure)
            return None if report is None else _edits(report)
    except FOREIGN_VALUE_FAULTS:
        return None  # a damaged report places nothing


def content_moment(path: Path) -> str:
    """When the content of an object was made, as digits that sort by time; empty if unknown."""
    structure = read_structure(path)
    date, time = (
        structure.value(tag).decode("ascii", "replace").strip("\0 ")
        for tag in (_CONTENT_DATE, _CONTENT_TIME)
    )
    return f"{date}{time}"


def _edits(report: ReviewedReport) -> SurfaceEdits | None:
    landmarks: dict[str, tuple[float, float, float]] = {}
    plane: Plane | None = None
    for item, group in report.items:
        at = _point(item)
        if at is not None:
            name = landmark_of(item, group)
            if name is not None:
                landmarks[name] = at
        elif group is not None and plane is None and _is_given_plane(group):
            plane = _plane(item, group)
    scan = _scan(report)
    if not scan or (not landmarks and plane is None):
        return None
    return SurfaceEdits(report.source, scan, landmarks, plane, made_at=report.made_at)


def _point(item: Dataset) -> tuple[float, float, float] | None:
    if item.get("ValueType") != "SCOORD3D" or item.get("GraphicType") != "POINT":
        return None
    places = _places(item)
    if len(places) != 1:
        return None
    x, y, z = places[0]
    return float(x), float(y), float(z)


def _places(item: Dataset) -> NDArray[np.float64]:
    """The points of a graphic, (k, 3); none where one of them is nowhere."""
    data = item.get("GraphicData")
    values = np.atleast_1d(np.asarray(data if data is not None else (), dtype=np.float64))
    if values.size % 3 or not (np.abs(values) < _FARTHEST_MM).all():
        return np.empty((0, 3))
    return values.reshape(-1, 3)


def _is_given_plane(group: Dataset) -> bool:
    """Whether a group is of the midsagittal plane, and no algorithm is named as its maker."""
    inside = list(group.get("ContentSequence") or ())
    if any(name_of(each) == ALGORITHM_NAME for each in inside):
        return False
    plane = codes.plane_code(_MIDSAGITTAL)
    return any(
        plane in values_of(each)
        or (
            name_of(each) == TRACKING_IDENTIFIER
            and str(each.get("TextValue") or "").endswith(PLANE_TRACKING + _MIDSAGITTAL)
        )
        for each in inside
    )


def _plane(item: Dataset, group: Dataset) -> Plane | None:
    if item.get("ValueType") == "SCOORD3D" and item.get("GraphicType") == "POLYGON":
        return _plane_through(_places(item))
    numbers = {
        name_of(each): _number(each)
        for each in group.get("ContentSequence") or ()
        if each.get("ValueType") == "NUM"
    }
    wanted = [
        numbers.get(each, math.nan)
        for each in (*report_codes.PLANE_NORMAL, report_codes.PLANE_OFFSET)
    ]
    x, y, z, offset_mm = wanted
    length = math.sqrt(x * x + y * y + z * z)
    # A comparison with what is no number is false.
    if not (abs(length - 1) < _LONGEST_NORMAL_ERROR and abs(offset_mm) < _FARTHEST_MM):
        return None
    return Plane((x / length, y / length, z / length), offset_mm / length)


def _plane_through(places: NDArray[np.float64]) -> Plane | None:
    """The plane nearest to points, by least squares; None where they lie on a line."""
    if len(places) < 3:
        return None
    centre = places.mean(axis=0)
    _, spread, axes = np.linalg.svd(places - centre, full_matrices=False)
    if spread[1] < _LEAST_SPREAD_MM:
        return None
    normal = axes[2]
    return Plane((float(normal[0]), float(normal[1]), float(normal[2])), float(normal @ centre))


def _number(item: Dataset) -> float:
    measured = next(iter(item.get("MeasuredValueSequence") or ()), None)
    if measured is None:
        return math.nan
    exact = measured.get("FloatingPointValue")
    value = exact if exact is not None else measured.get("NumericValue")
    return float(value) if value is not None else math.nan


def _scan(report: ReviewedReport) -> str:
    """SOP Instance UID of the scan: the source that is named first, else the first evidence."""
    named = [
        reference
        for item, _ in report.items
        if name_of(item) == report_codes.SOURCE_OF_MEASUREMENT
        for reference in item.get("ReferencedSOPSequence") or ()
    ]
    evidence = [
        reference
        for study in report.document.get("CurrentRequestedProcedureEvidenceSequence") or ()
        for series in study.get("ReferencedSeriesSequence") or ()
        for reference in series.get("ReferencedSOPSequence") or ()
    ]
    # A segmentation is an area on a scan wherever there is a scan beside it.
    for classes in (SURFACE_SCANS - {SURFACE_SEGMENTATION}, SURFACE_SCANS):
        for reference in (*named, *evidence):
            if str(reference.get("ReferencedSOPClassUID") or "") in classes:
                return str(reference.get("ReferencedSOPInstanceUID") or "")
    return ""
