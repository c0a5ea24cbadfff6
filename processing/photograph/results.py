"""The published measures, from the readings and the effects of the sources of error."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from processing.measurement import Measurement, Side
from processing.photograph.definitions import (
    DEFINITIONS,
    SymmetryDefinition,
    method_of,
    symmetry_ratio,
)
from processing.photograph.midline import Midline
from processing.photograph.pose import Pose
from processing.photograph.readings import (
    FACE_CONTOUR,
    PAIR_STRUCTURES,
    Reading,
    Readings,
    landmarks_of,
)
from processing.photograph.scale import Scale
from processing.photograph.uncertainty import Effects, combined

_RATIOS: Final = {"log_pair_ratio": "pair_ratio", "log_area_ratio": "area_ratio"}

_LEFT_MINUS_RIGHT: Final = "left minus right, + when the left is {more}"
_HIGHER: Final = _LEFT_MINUS_RIGHT.format(more="higher")
_LARGER: Final = _LEFT_MINUS_RIGHT.format(more="larger")
_MM: Final[Mapping[str, str]] = {
    "midline_distance": "{distances}, turn of the head taken out",
    "palpebral_fissure_height": "upper to lower lid margin, along the midline",
    "margin_reflex_distance_1": "upper lid margin to iris centre, along the midline",
    "margin_reflex_distance_2": "iris centre to lower lid margin, along the midline",
    "palpebral_fissure_height_difference": _LARGER,
    "margin_reflex_distance_1_difference": _LARGER,
    "margin_reflex_distance_2_difference": _LARGER,
    "brow_height": "mean height of three points of the brow over the pupils, along the midline",
    "brow_height_difference": f"mean height of three points of each brow, {_HIGHER}",
    "commissure_height": "height over the pupils, along the midline",
    "commissure_height_difference": f"height along the midline, {_HIGHER}",
    "commissure_excursion": "from where the midline crosses the lower lip to the commissure",
    "commissure_excursion_difference": _LARGER,
    "chin_deviation": "distance to the midline, + to the patient's left",
}
_DEG: Final[Mapping[str, str]] = {
    "ocular_cant": "line through both exocanthia to the perpendicular of the midline, + when the "
    "left is higher",
    "oral_cant": "line through both commissures to the perpendicular of the midline, + when the "
    "left is higher",
    "smile_angle": "line from where the midline crosses the lower lip to the commissure, over the "
    "perpendicular of the midline",
}
_SHUT: Final = "; of a shut eye: lagophthalmos"


@dataclass(frozen=True, slots=True)
class Measured:
    """All that the measures of one face are made of.

    Parameters
    ----------
    readings : mapping of Reading to () float64 array
        From `processing.photograph.readings.read_off`.
    effects : mapping of Reading to (sources,) float64 array
        From `processing.photograph.uncertainty`.
    midline, pose, scale
        Named in the methods, and reported beside the measures.
    eyes_shut : bool
        Whether the face was asked to shut its eyes.
    """

    readings: Readings
    effects: Effects
    midline: Midline
    pose: Pose
    scale: Scale
    eyes_shut: bool = False


def measurements_of(measured: Measured, headline: SymmetryDefinition) -> tuple[Measurement, ...]:
    """All measures of a face; the headline first, where the readings give one."""
    return (
        *_overall(measured, headline),
        *_ratios(measured),
        *_lengths_and_angles(measured),
        *_midline(measured),
        *_pose_and_scale(measured.pose, measured.scale),
    )


def _overall(measured: Measured, headline: SymmetryDefinition) -> Iterator[Measurement]:
    readings, effects = measured.readings, measured.effects
    order = (headline, *(each for each in SymmetryDefinition if each is not headline))
    for definition in order:
        if not all(each in readings for each in DEFINITIONS[definition].readings):
            return
        ratio = symmetry_ratio(definition, readings, effects)
        is_headline = definition is headline
        yield Measurement(
            quantity="symmetry_ratio" if is_headline else "alternative_symmetry_ratio",
            value=ratio.value,
            unit="1",
            uncertainty=ratio.uncertainty,
            method=f"{method_of(definition)}; {measured.midline.words}",
            structure="face" if is_headline else definition.value,
            derived_from=DEFINITIONS[definition].derived_from,
        )
    pairs = [Reading("log_pair_ratio", structure) for structure in PAIR_STRUCTURES]
    logs = np.array([readings[pair] for pair in pairs])
    slopes = 100 / np.cosh(logs / 2) ** 2
    by_source = np.array([effects[pair] for pair in pairs])
    yield Measurement(
        quantity="asymmetry_index",
        value=float(np.mean(200 * np.abs(np.tanh(logs / 2)))),
        unit="%",
        uncertainty=combined(np.abs(by_source * slopes[:, None]).mean(axis=0)),
        method=f"mean over the pairs of 200 |L-R|/(L+R) of the distances to the midline; "
        f"{measured.midline.words}",
        structure="face",
        derived_from=PAIR_STRUCTURES,
    )


def _ratios(measured: Measured) -> Iterator[Measurement]:
    """Of each pair and each part of the hemifaces: ratio, signed logarithm and index."""
    for reading, value in measured.readings.items():
        if reading.quantity not in _RATIOS:
            continue
        log_ratio, uncertainty = float(value), combined(measured.effects[reading])
        ratio = math.exp(-abs(log_ratio))
        compared = _compared(reading)
        slope = 100 / math.cosh(log_ratio / 2) ** 2
        for quantity, unit, number, error, formula in (
            (_RATIOS[reading.quantity], "1", ratio, ratio * uncertainty, "min(L,R)/max(L,R)"),
            ("log_ratio", "1", log_ratio, uncertainty, "ln(L/R), + when the left is larger,"),
            (
                "asymmetry_index",
                "%",
                200 * abs(math.tanh(log_ratio / 2)),
                slope * uncertainty,
                "200 |L-R|/(L+R)",
            ),
        ):
            yield Measurement(
                quantity=quantity,
                value=number,
                unit=unit,
                uncertainty=error,
                method=f"{formula} of the {compared} on each side",
                structure=reading.structure,
                region=reading.region,
                derived_from=landmarks_of(reading),
            )


def _compared(reading: Reading) -> str:
    if reading.structure == "hemiface":
        return "area between contour and midline, thirds cut at glabella and subnasale"
    return _distances(reading)


def _distances(reading: Reading) -> str:
    if reading.structure == FACE_CONTOUR:
        return f"distance from the midline to the contour at the height of the {reading.region}"
    return "distance to the midline"


def _lengths_and_angles(measured: Measured) -> Iterator[Measurement]:
    for reading, value in measured.readings.items():
        if reading.quantity in _MM:
            unit = "mm"
            what = _MM[reading.quantity].format(distances=_distances(reading))
            method = f"{what}; scale by {measured.scale.method}"
        elif reading.quantity in _DEG:
            unit, method = "deg", _DEG[reading.quantity]
        else:
            continue
        yield Measurement(
            quantity=reading.quantity,
            value=float(value),
            unit=unit,
            uncertainty=combined(measured.effects[reading]),
            method=method + (_SHUT if measured.eyes_shut else ""),
            side=reading.side,
            structure=reading.structure,
            region=reading.region,
            derived_from=landmarks_of(reading),
        )


def _midline(measured: Measured) -> Iterator[Measurement]:
    angle, place = (
        Reading(quantity, "midline") for quantity in ("midline_angle", "midline_column")
    )
    place_mm = combined(measured.effects[place]) * measured.scale.mm_per_px
    yield Measurement(
        quantity="midline_angle",
        value=float(measured.readings[angle]),
        unit="deg",
        uncertainty=combined(measured.effects[angle]),
        method=f"{measured.midline.words}; to the columns of the photograph, + when its top leans "
        f"to the patient's left; standard uncertainty of its place between the eyes "
        f"{place_mm:.2f} mm",
        structure="midline",
        derived_from=measured.midline.landmarks,
    )


def _pose_and_scale(pose: Pose, scale: Scale) -> Iterator[Measurement]:
    for quantity, value, uncertainty, meant in (
        ("yaw", pose.yaw_deg, pose.yaw_uncertainty_deg, "+ turned to the patient's left"),
        ("pitch", pose.pitch_deg, pose.pitch_uncertainty_deg, "+ turned upward"),
        ("roll", pose.roll_deg, pose.roll_uncertainty_deg, "+ leaning to the patient's left"),
    ):
        yield Measurement(
            quantity=quantity,
            value=value,
            unit="deg",
            uncertainty=uncertainty,
            method=f"turn of the head against the camera, {meant}",
            structure="head",
        )
    yield Measurement(
        quantity="scale",
        value=scale.mm_per_px,
        unit="mm/{pixel}",
        uncertainty=scale.relative_uncertainty * scale.mm_per_px,
        method=f"size of a pixel at the face by {scale.method}",
        structure="face",
    )


def edit_measurements(
    moved_px: Mapping[str, float], uncertainty_px: float, scale: Scale
) -> Iterator[Measurement]:
    """How far a reviewer moved each landmark, and the root mean square of it.

    Parameters
    ----------
    moved_px : mapping of str to float
        Distance from the automatic to the edited place, by name of the landmark.
    uncertainty_px : float
        Standard uncertainty of each coordinate of an edited landmark.
    scale : Scale
    """
    if not moved_px:
        return
    for name, distance in moved_px.items():
        side = next((each for each in Side if name.endswith(f"_{each.value}")), None)
        yield _edit_distance(
            distance,
            uncertainty_px,
            scale,
            "from the automatic landmark to the reviewer's",
            side,
            name if side is None else name.removesuffix(f"_{side.value}"),
            (name,),
        )
    yield _edit_distance(
        math.sqrt(sum(each**2 for each in moved_px.values()) / len(moved_px)),
        uncertainty_px / math.sqrt(len(moved_px)),
        scale,
        f"root mean square over {len(moved_px)} edited landmarks",
        None,
        "face",
        tuple(moved_px),
    )


def _edit_distance(
    distance_px: float,
    uncertainty_px: float,
    scale: Scale,
    method: str,
    side: Side | None,
    structure: str,
    derived_from: tuple[str, ...],
) -> Measurement:
    return Measurement(
        quantity="landmark_edit_distance",
        value=distance_px * scale.mm_per_px,
        unit="mm",
        uncertainty=scale.mm_per_px
        * math.hypot(uncertainty_px, scale.relative_uncertainty * distance_px),
        method=f"{method}; scale by {scale.method}",
        side=side,
        structure=structure,
        derived_from=derived_from,
    )
