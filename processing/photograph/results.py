"""The published measures, from the readings and their uncertainties."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processing.measurement import Measurement, Side
from processing.photograph.pose import Pose
from processing.photograph.readings import AREA_REGIONS, HEADLINE_STRUCTURES, Reading
from processing.photograph.scale import Scale
from processing.photograph.uncertainty import Contributions, combined

# The detector pulls a face toward symmetry. Known droops of rendered mouths read
# 0.54 and drops of brows 0.64 of their size; what is missing may be that large.
_MISSING_OF_MOUTH: Final = 1 / 0.54 - 1
_MISSING_OF_BROW: Final = 1 / 0.64 - 1
_MISSING: Final[Mapping[str, float]] = {
    "commissure_height_difference": _MISSING_OF_MOUTH,
    "oral_cant": _MISSING_OF_MOUTH,
    "brow_height_difference": _MISSING_OF_BROW,
}

_SIDED: Final = (
    "midline_distance",
    "palpebral_fissure_height",
    "margin_reflex_distance_1",
    "margin_reflex_distance_2",
)
_MIDLINE: Final = "midline perpendicular to the pupils' line, through the upper face"


def measurements_of(
    readings: Mapping[Reading, float], effects: Contributions, pose: Pose, scale: Scale
) -> tuple[Measurement, ...]:
    """All measures of a face, the headline first.

    Parameters
    ----------
    readings : mapping of Reading to float
        From `processing.photograph.readings.read_off`.
    effects : mapping of Reading to (sources,) float64 array
        From `processing.photograph.uncertainty.contributions`.
    pose, scale
        Reported beside the measures.
    """
    return (
        *_overall(readings, effects),
        *_ratios(readings, effects),
        *_sided_lengths(readings, effects, scale),
        *_differences(readings, effects, scale),
        *_pose_and_scale(pose, scale),
    )


def _overall(readings: Mapping[Reading, float], effects: Contributions) -> Iterator[Measurement]:
    pairs = [Reading("log_pair_ratio", structure) for structure in HEADLINE_STRUCTURES]
    logs = np.array([readings[pair] for pair in pairs])
    by_source = np.array([effects[pair] for pair in pairs])
    ratios = np.exp(-np.abs(logs))
    # Whether an error raises or lowers a ratio depends on which side is smaller,
    # which near symmetry is not known: the effects on the pairs add up.
    yield Measurement(
        quantity="symmetry_ratio",
        value=float(ratios.mean()),
        unit="1",
        uncertainty=combined(np.abs(by_source * ratios[:, None]).mean(axis=0)),
        method=f"mean over {len(pairs)} pairs of min(L,R)/max(L,R) of the distances to the "
        f"{_MIDLINE}",
        structure="face",
        derived_from=HEADLINE_STRUCTURES,
    )
    slopes = 100 / np.cosh(logs / 2) ** 2
    yield Measurement(
        quantity="asymmetry_index",
        value=float(np.mean(200 * np.abs(np.tanh(logs / 2)))),
        unit="%",
        uncertainty=combined(np.abs(by_source * slopes[:, None]).mean(axis=0)),
        method="mean over the pairs of 200 |L-R|/(L+R) of the distances to the midline",
        structure="face",
        derived_from=HEADLINE_STRUCTURES,
    )


def _ratios(readings: Mapping[Reading, float], effects: Contributions) -> Iterator[Measurement]:
    for structure in HEADLINE_STRUCTURES:
        ratio, uncertainty = _min_over_max(
            readings[Reading("log_pair_ratio", structure)],
            effects[Reading("log_pair_ratio", structure)],
        )
        yield Measurement(
            quantity="pair_ratio",
            value=ratio,
            unit="1",
            uncertainty=uncertainty,
            method="min(L,R)/max(L,R) of the distances to the midline",
            structure=structure,
            derived_from=_both_sides(structure),
        )
    for region in AREA_REGIONS:
        ratio, uncertainty = _min_over_max(
            readings[Reading("log_area_ratio", region=region)],
            effects[Reading("log_area_ratio", region=region)],
        )
        yield Measurement(
            quantity="area_ratio",
            value=ratio,
            unit="1",
            uncertainty=uncertainty,
            method="min(L,R)/max(L,R) of the areas between contour and midline; thirds cut at "
            "glabella and subnasale",
            structure="hemiface",
            region=region,
            derived_from=("face_contour", "glabella", "subnasale"),
        )


def _sided_lengths(
    readings: Mapping[Reading, float], effects: Contributions, scale: Scale
) -> Iterator[Measurement]:
    for reading, value in readings.items():
        if reading.quantity not in _SIDED or reading.side is None:
            continue
        yield Measurement(
            quantity=reading.quantity,
            value=value,
            unit="mm",
            uncertainty=combined(effects[reading]),
            method=f"{_MEANT[reading.quantity]}; scale by {scale.method}",
            side=reading.side,
            structure=reading.structure,
            derived_from=_landmarks_of(reading, reading.side),
        )


_MEANT: Final[Mapping[str, str]] = {
    "midline_distance": f"distance to the {_MIDLINE}, turn of the head taken out",
    "palpebral_fissure_height": "upper to lower lid margin, along the midline's direction",
    "margin_reflex_distance_1": "upper lid margin to iris centre, along the midline's direction",
    "margin_reflex_distance_2": "iris centre to lower lid margin, along the midline's direction",
    "commissure_height_difference": "difference of height over the line between the pupils",
    "brow_height_difference": "difference of mean height over the line between the pupils",
    "ocular_cant": "angle of the line through both exocanthia to the line between the pupils",
    "oral_cant": "angle of the line through both commissures to the line between the pupils",
}
_LID_LANDMARKS: Final[Mapping[str, tuple[str, str]]] = {
    "palpebral_fissure_height": ("palpebrale_superius", "palpebrale_inferius"),
    "margin_reflex_distance_1": ("palpebrale_superius", "iris_centre"),
    "margin_reflex_distance_2": ("palpebrale_inferius", "iris_centre"),
}


def _landmarks_of(reading: Reading, side: Side) -> tuple[str, ...]:
    names = _LID_LANDMARKS.get(reading.quantity, (str(reading.structure),))
    return tuple(f"{name}_{side.value}" for name in names)


def _both_sides(structure: str) -> tuple[str, ...]:
    return tuple(f"{structure}_{side.value}" for side in Side)


def _differences(
    readings: Mapping[Reading, float], effects: Contributions, scale: Scale
) -> Iterator[Measurement]:
    """Left-right differences as amounts; which side is lower is said in the method."""
    for quantity, structure, unit in (
        ("commissure_height_difference", "cheilion", "mm"),
        ("brow_height_difference", "brow", "mm"),
        ("ocular_cant", "exocanthion", "deg"),
        ("oral_cant", "cheilion", "deg"),
    ):
        reading = Reading(quantity, structure)
        signed = readings[reading]
        lower = Side.RIGHT if signed > 0 else Side.LEFT
        method = f"{_MEANT[quantity]}; the {lower.value} is lower"
        yield Measurement(
            quantity=quantity,
            value=abs(signed),
            unit=unit,
            uncertainty=math.hypot(
                combined(effects[reading]), _MISSING.get(quantity, 0.0) * signed
            ),
            method=method if unit == "deg" else f"{method}; scale by {scale.method}",
            structure=structure,
            derived_from=_both_sides(structure) if structure != "brow" else ("brow",),
        )
    chin = Reading("chin_deviation", "gnathion")
    yield Measurement(
        quantity="chin_deviation",
        value=readings[chin],
        unit="mm",
        uncertainty=combined(effects[chin]),
        method=f"distance to the {_MIDLINE}, + to the patient's left; scale by {scale.method}",
        structure="gnathion",
        derived_from=("gnathion",),
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
            method=f"fit of the canonical face, {meant}",
            structure="head",
        )
    yield Measurement(
        quantity="scale",
        value=scale.mm_per_px,
        unit="mm",
        uncertainty=scale.relative_uncertainty * scale.mm_per_px,
        method=f"mm per pixel by {scale.method}",
        structure="face",
    )


def _min_over_max(log_ratio: float, effects: NDArray[np.float64]) -> tuple[float, float]:
    ratio = math.exp(-abs(log_ratio))
    return ratio, ratio * combined(effects)
