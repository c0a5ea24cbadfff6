"""The analysis of surface scans, with what a reviewer placed on them.

A scan comes as one object, or as several that belong together (OBJ, MTL and pictures).
A reviewer's landmarks and plane come as a report, the affected area as a segmentation
or an encapsulated mesh that refers to the scan. What measures is imported where it is
used, for every process of the node knows this entry.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from dicom_nodes.objects.header import InstanceHeader, read_header
from dicom_nodes.objects.sop_classes import (
    ENCAPSULATED_MTL,
    ENCAPSULATED_OBJ,
    ENCAPSULATED_STL,
    STRUCTURED_REPORTS,
    SURFACE_SCANS,
    SURFACE_SEGMENTATION,
)
from processing import surface
from processing.inputs import Surface, SurfaceEdits
from processing.measurement import Analysis, RejectedInput, SurfacePatch
from service.analysis_entry import (
    AnalysisEntry,
    AnyInput,
    CandidateInput,
    Instruments,
    Read,
    UsefulPriors,
)
from service.settings import Settings, SurfaceSettings
from service.surface_reading import completes_surface, read_surfaces, wants_surface

_AREAS: Final = frozenset({SURFACE_SEGMENTATION, ENCAPSULATED_STL, ENCAPSULATED_OBJ})
# A mesh this large beside the scan is no part of it, but another scan of the face.
_LARGEST_AREA: Final = 0.95


def surface_entries() -> tuple[AnalysisEntry, ...]:
    """Symmetry of a face scan."""
    return (
        AnalysisEntry(
            name=surface.ANALYSIS,
            version=surface.VERSION,
            wants=wants_surface,
            declared="a surface scan (encapsulated STL or OBJ, Surface Scan Mesh or Point Cloud, "
            "Surface Segmentation)",
            is_complete=bool,
            read=read_surfaces_and_edits,
            measure=_measure,
            preference=_least_asymmetric,
            amends=_amends,
            choices=choices,
            priors=UsefulPriors(
                "earlier surface scans, with their materials",
                modalities=frozenset({"M3D", "OSS", "SEG"}),
                sop_class_uids=SURFACE_SCANS | {ENCAPSULATED_MTL},
            ),
        ),
    )


def _amends(candidate: CandidateInput, wanted: Sequence[CandidateInput]) -> bool:
    edited = set(candidate.header.get("edited_surfaces") or ())
    if any(each.sop_instance_uid in edited for each in wanted):
        return True
    return completes_surface(candidate, wanted)


def read_surfaces_and_edits(paths: Mapping[str, Path], _settings: Settings) -> Read:
    """Read scans, and what a reviewer placed on them.

    Parameters
    ----------
    paths : mapping of str to Path
        SOP Instance UID to file, of everything that the analysis takes of a study.
    """
    inputs: list[AnyInput] = []
    rejected: dict[str, str] = {}
    headers: dict[str, InstanceHeader] = {}
    for uid, path in paths.items():
        try:
            headers[uid] = read_header(path)
            if headers[uid].sop_class_uid in STRUCTURED_REPORTS:
                inputs.append(_read_report(path))
        except RejectedInput as rejection:
            rejected[uid] = str(rejection)
    outlined = _scans_of_areas(headers)
    parts = {
        uid: paths[uid]
        for uid, header in headers.items()
        if uid not in outlined and header.sop_class_uid not in STRUCTURED_REPORTS
    }
    found = read_surfaces(parts)
    rejected |= found.rejected
    scans = {each.source: each for each in found.surfaces}
    for uid, scan_uid in outlined.items():
        try:
            inputs.append(_read_area(uid, paths[uid], scan_uid, scans.get(scan_uid)))
        except RejectedInput as rejection:
            rejected[uid] = str(rejection)
    return Read((*found.surfaces, *inputs), rejected)


def _read_report(path: Path) -> SurfaceEdits:
    from dicom_nodes.objects.surface_edits import read_surface_edits

    return read_surface_edits(path)


def _scans_of_areas(headers: Mapping[str, InstanceHeader]) -> dict[str, str]:
    """The meshes that refer to a scan among the others, and which scan."""
    scans = {uid for uid, each in headers.items() if each.sop_class_uid in SURFACE_SCANS}
    referring = {
        uid: next((each for each in header.referenced_instances if each in scans - {uid}), None)
        for uid, header in headers.items()
        if header.sop_class_uid in _AREAS
    }
    # What another one was outlined on cannot itself be an area.
    return {
        uid: scan
        for uid, scan in referring.items()
        if scan is not None and referring.get(scan) is None
    }


def _read_area(uid: str, path: Path, scan_uid: str, scan: Surface | None) -> SurfaceEdits:
    from dicom_nodes.objects.surface_edits import content_moment

    found = read_surfaces({uid: path})
    if not found.surfaces:
        raise RejectedInput(found.rejected.get(uid, "The area holds no surface."))
    area = found.surfaces[0]
    if scan is not None:
        _check_area(area, scan)
    patch = SurfacePatch(area.vertices_mm, area.triangles)
    return SurfaceEdits(uid, scan_uid, area=patch, made_at=content_moment(path))


def _check_area(area: Surface, scan: Surface) -> None:
    if area.frame and scan.frame and area.frame != scan.frame:
        raise RejectedInput(
            f"The area is in the Frame of Reference {area.frame}, its scan in {scan.frame}: write "
            "the area in the frame of the scan."
        )
    if _extent_mm(area) > _LARGEST_AREA * _extent_mm(scan):
        raise RejectedInput(
            "The mesh refers to a scan as if it were an area on it, but is as large as the scan. "
            "Outline the affected area alone."
        )


def _extent_mm(each: Surface) -> float:
    used = each.vertices_mm[np.unique(each.triangles)]
    return float(np.linalg.norm(np.ptp(used, axis=0))) if len(used) else 0.0


def _measure(each: Surface, instruments: Instruments) -> Analysis:
    from processing.surface.options import PlaneMethod, SurfaceOptions
    from processing.surface.symmetry import measure

    chosen = instruments.settings.surface
    options = SurfaceOptions(plane=PlaneMethod(chosen.plane))
    return measure(each, instruments.detector(), options)


def choices(settings: Settings) -> str:
    """What of the surface settings differs from the defaults, as JSON; else empty."""
    chosen = settings.surface.model_dump(mode="json")
    usual = SurfaceSettings().model_dump(mode="json")
    other = {name: value for name, value in chosen.items() if value != usual[name]}
    return json.dumps(other, sort_keys=True) if other else ""


def _least_asymmetric(analysis: Analysis) -> float:
    """The smallest landmark asymmetry: of several scans, that of the calmest face."""
    return min(
        (
            abs(each.value)
            for each in analysis.measurements
            if each.quantity == "landmark_asymmetry"
        ),
        default=float("inf"),
    )
