"""A reviewer's edits joined to what they were placed on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from processing.inputs import LandmarkEdits, Photograph, Surface, SurfaceEdits
from service.analysis_entry import AnyInput, Measurable


def with_edits(inputs: Sequence[AnyInput]) -> list[Measurable]:
    """What can be measured, each with what was last placed on it.

    The landmarks of a photograph come from the latest report. Of a surface, landmarks,
    plane and area each come from the latest object that has them: a reviewer outlines
    the area in one program and moves the landmarks in another.
    """
    return [
        _edited_photograph(each, inputs)
        if isinstance(each, Photograph)
        else _edited_surface(each, inputs)
        for each in inputs
        if isinstance(each, Photograph | Surface)
    ]


def is_edited(each: Measurable) -> bool:
    """Whether a reviewer placed something on it."""
    if isinstance(each, Photograph):
        return bool(each.edited_landmarks)
    return each.edits is not None


def _edited_photograph(photograph: Photograph, inputs: Sequence[AnyInput]) -> Photograph:
    edits = [each for each in inputs if isinstance(each, LandmarkEdits) and each.is_of(photograph)]
    if not edits:
        return photograph
    latest = max(edits, key=lambda each: (each.made_at, each.source))
    return replace(photograph, edited_landmarks=latest.landmarks_px)


def _edited_surface(surface: Surface, inputs: Sequence[AnyInput]) -> Surface:
    edits = sorted(
        (each for each in inputs if isinstance(each, SurfaceEdits) and each.is_of(surface)),
        key=lambda each: (each.made_at, each.source),
    )
    for each in edits:
        surface = replace(surface, edits=_merged(surface.edits, each))
    return surface


def _merged(former: SurfaceEdits | None, latest: SurfaceEdits) -> SurfaceEdits:
    if former is None:
        return latest
    return replace(
        latest,
        landmarks_mm=latest.landmarks_mm or former.landmarks_mm,
        plane=latest.plane or former.plane,
        area=latest.area or former.area,
    )
