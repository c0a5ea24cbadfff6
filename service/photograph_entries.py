"""The analyses of photographs: the face in repose, and each movement for itself.

Which photographs each wants is told by coded view and expression. A reviewer's
landmarks come as a report that refers to the photograph. What measures is imported
where it is used, for every process of the node knows these entries.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from dicom_nodes.objects.sop_classes import (
    SECONDARY_CAPTURE,
    STRUCTURED_REPORTS,
    VL_PHOTOGRAPHIC_IMAGE,
)
from processing import photograph
from processing.inputs import Expression, LandmarkEdits, Photograph, View
from processing.measurement import Analysis
from service.analysis_entry import (
    AnalysisEntry,
    CandidateInput,
    Instruments,
    UsefulPriors,
    each_for_itself,
)
from service.settings import PhotographSettings, Settings
from service.site_calibration import calibrated

SECONDARY_CAPTURES: Final = frozenset({SECONDARY_CAPTURE, "1.2.840.10008.5.1.4.1.1.7.4"})
MOVEMENTS: Final[Mapping[Expression, str]] = {
    Expression.SMILE: "photograph-smile",
    Expression.BROWS_RAISED: "photograph-brow-raise",
    Expression.EYES_SHUT: "photograph-eye-closure",
}
"""Movements that have measures of their own, and the names of their analyses."""

_WITHOUT_MOVEMENT: Final = frozenset({None, Expression.REPOSE.value})


def analysis_of_expression(expression: Expression | None) -> str:
    """Name of the analysis that measures a face with this expression."""
    return MOVEMENTS.get(expression, photograph.ANALYSIS) if expression else photograph.ANALYSIS


def photograph_entries() -> tuple[AnalysisEntry, ...]:
    """Symmetry in repose, and the movements."""
    in_repose = AnalysisEntry(
        name=photograph.ANALYSIS,
        version=photograph.VERSION,
        wants=partial(_wants, _WITHOUT_MOVEMENT),
        declared="a photograph whose coded view is frontal, in repose",
        is_complete=lambda wanted: any(
            each.header.get("view") == View.FRONTAL.value for each in wanted
        ),
        read=each_for_itself(read_photographs_or_edits),
        measure=_measured_as(photograph.ANALYSIS),
        preference=_turned_by,
        amends=_amends,
        choices=choices,
        # No query tells frontal photographs from others: that is seen when they are here.
        priors=UsefulPriors(
            "earlier photographs of the face",
            modalities=frozenset({"XC"}),
            sop_class_uids=SECONDARY_CAPTURES | {VL_PHOTOGRAPHIC_IMAGE},
        ),
    )
    return in_repose, *(
        replace(
            in_repose,
            name=name,
            wants=partial(_wants, frozenset({expression.value})),
            declared=None,
            is_complete=_is_always_complete,
            measure=_measured_as(name),
        )
        for expression, name in MOVEMENTS.items()
    )


def _wants(expressions: frozenset[str | None], candidate: CandidateInput) -> bool:
    if candidate.sop_class_uid in SECONDARY_CAPTURES and candidate.modality != "XC":
        return False
    is_picture = (
        candidate.sop_class_uid == VL_PHOTOGRAPHIC_IMAGE
        or candidate.sop_class_uid in SECONDARY_CAPTURES
    )
    return (
        is_picture
        and candidate.header.get("view") in (None, View.FRONTAL.value)
        and candidate.header.get("expression") in expressions
    )


def _amends(candidate: CandidateInput, wanted: Sequence[CandidateInput]) -> bool:
    edited = set(candidate.header.get("edited_photographs") or ())
    return any(each.sop_instance_uid in edited for each in wanted)


def _is_always_complete(_wanted: Sequence[CandidateInput]) -> bool:
    return True


def read_photographs_or_edits(
    path: Path, settings: Settings
) -> tuple[Photograph, ...] | tuple[LandmarkEdits, ...]:
    """Read a photograph, with the site's calibration, or a reviewer's landmarks.

    Raises
    ------
    RejectedInput
        If it can be read as neither.
    """
    from dicom_nodes.objects.header import read_header
    from dicom_nodes.objects.landmark_edits import read_landmark_edits
    from dicom_nodes.objects.photograph_reader import read_photographs

    header = read_header(path)
    if header.sop_class_uid in STRUCTURED_REPORTS:
        return read_landmark_edits(path)
    return tuple(
        calibrated(
            each,
            settings.photograph.calibrations,
            station_name=header.station_name,
            ae_title=header.source_ae_title,
        )
        for each in read_photographs(path)
    )


def _measured_as(name: str) -> Callable[[Photograph, Instruments], Analysis]:
    """Measure a photograph, and call the result by the name of its entry."""

    def measure_photograph(each: Photograph, instruments: Instruments) -> Analysis:
        from processing.photograph.analysis import measure
        from processing.photograph.definitions import SymmetryDefinition
        from processing.photograph.midline import Midline, MidlineMethod
        from processing.photograph.options import PhotographOptions
        from processing.photograph.quality import PhotographLimits

        chosen = instruments.settings.photograph
        limits = PhotographLimits(
            yaw_limit_deg=chosen.yaw_limit_deg,
            pitch_limit_deg=chosen.pitch_limit_deg,
            roll_limit_deg=chosen.roll_limit_deg,
            smallest_face_px=chosen.smallest_face_pixels,
        )
        options = PhotographOptions(
            headline=SymmetryDefinition(chosen.headline),
            midline=Midline(MidlineMethod(chosen.midline), chosen.midline_pairs),
            edited_landmark_mm=chosen.edited_landmark_uncertainty_mm,
        )
        found = measure(
            each, instruments.detector(), limits, options, edited=each.edited_landmarks or None
        )
        return replace(found, analysis=name)

    return measure_photograph


def choices(settings: Settings) -> str:
    """What of the photograph settings differs from the defaults, as JSON; else empty."""
    chosen = settings.photograph.model_dump(mode="json")
    usual = PhotographSettings().model_dump(mode="json")
    other = {name: value for name, value in chosen.items() if value != usual[name]}
    return json.dumps(other, sort_keys=True) if other else ""


def _turned_by(analysis: Analysis) -> float:
    """How far the head is turned; a photograph from the front is the better one."""
    return min(
        (abs(each.value) for each in analysis.measurements if each.quantity == "yaw"),
        default=float("inf"),
    )
