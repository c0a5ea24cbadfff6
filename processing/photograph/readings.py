"""What is read off a face: the definitions of the measures.

Ratios are kept here as the logarithm of left over right, which is smooth and
keeps its sign; `results` turns them into the published numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from processing.landmarks import FACE_OVAL, LANDMARKS
from processing.measurement import Side
from processing.photograph.frame import MIDLINE_PAIRS, FaceFrame, FaceInputs, face_frame

HEADLINE_STRUCTURES: Final = (
    "exocanthion",
    "endocanthion",
    "alare",
    "cheilion",
    "zygion",
    "gonion",
)
"""The pairs whose mean ratio is the headline; a change of this list changes the version."""

AREA_REGIONS: Final = ("whole", "upper", "middle", "lower")

_BROW_POINTS: Final = ("brow_lateral", "brow_peak", "brow_medial")
_SMALLEST_PART_PX: Final = 1e-3


class Reading(NamedTuple):
    """Which quantity, and of what."""

    quantity: str
    structure: str | None = None
    region: str | None = None
    side: Side | None = None


def used_landmarks() -> tuple[int, ...]:
    """Indices of all landmarks that a reading depends on."""
    paired = {
        f"{name}_{side.value}"
        for name in (
            *HEADLINE_STRUCTURES,
            *MIDLINE_PAIRS,
            *_BROW_POINTS,
            "palpebrale_superius",
            "palpebrale_inferius",
        )
        for side in Side
    }
    named = {LANDMARKS[name] for name in (*paired, "gnathion", "glabella", "subnasale")}
    return tuple(sorted(named | set(FACE_OVAL)))


def read_off(inputs: FaceInputs) -> dict[Reading, float]:
    """All readings of a face.

    Returns
    -------
    dict of Reading to float
        Lengths in mm, angles in degrees, ``log_pair_ratio`` and
        ``log_area_ratio`` as natural logarithms of left over right. Vertical
        differences are left minus right, + when the left is higher.

    Raises
    ------
    ValueError
        If a paired landmark lies on the wrong side of the midline.
    """
    frame = face_frame(inputs)
    readings: dict[Reading, float] = {}
    readings.update(_midline_distances(frame, inputs.mm_per_px))
    readings.update(_area_ratios(frame))
    readings.update(_vertical_differences(frame, inputs.mm_per_px))
    readings.update(_eyes(frame, inputs.mm_per_px))
    readings[Reading("chin_deviation", "gnathion")] = (
        float(frame.point("gnathion")[0]) * inputs.mm_per_px
    )
    readings[Reading("ocular_cant", "exocanthion")] = _cant_deg(frame, "exocanthion")
    readings[Reading("oral_cant", "cheilion")] = _cant_deg(frame, "cheilion")
    return readings


def _midline_distances(frame: FaceFrame, mm_per_px: float) -> Iterator[tuple[Reading, float]]:
    for structure in HEADLINE_STRUCTURES:
        left = float(frame.point(f"{structure}_left")[0])
        right = -float(frame.point(f"{structure}_right")[0])
        if left <= 0 or right <= 0:
            raise ValueError(f"both {structure} points lie on the same side of the midline")
        yield Reading("midline_distance", structure, side=Side.LEFT), left * mm_per_px
        yield Reading("midline_distance", structure, side=Side.RIGHT), right * mm_per_px
        yield Reading("log_pair_ratio", structure), math.log(left / right)


def _area_ratios(frame: FaceFrame) -> Iterator[tuple[Reading, float]]:
    """Areas of the face's contour beside the midline, whole and by thirds.

    The thirds are cut by horizontals through glabella and subnasale.
    """
    contour = frame.corrected[list(FACE_OVAL)]
    upper_cut, lower_cut = float(frame.point("glabella")[1]), float(frame.point("subnasale")[1])
    bands = {
        "whole": (-math.inf, math.inf),
        "upper": (upper_cut, math.inf),
        "middle": (lower_cut, upper_cut),
        "lower": (-math.inf, lower_cut),
    }
    for side_sign, half in ((1.0, "left"), (-1.0, "right")):
        if _area(_clipped(contour, axis=0, sign=side_sign, bound=0.0)) < _SMALLEST_PART_PX:
            raise ValueError(f"no part of the {half} face lies beside the midline")
    for region, (low, high) in bands.items():
        band = _clipped(contour, axis=1, sign=1.0, bound=low)
        band = _clipped(band, axis=1, sign=-1.0, bound=-high)
        left = _area(_clipped(band, axis=0, sign=1.0, bound=0.0))
        right = _area(_clipped(band, axis=0, sign=-1.0, bound=0.0))
        if min(left, right) < _SMALLEST_PART_PX:
            raise ValueError(f"the {region} face has no area on one side of the midline")
        yield Reading("log_area_ratio", region=region), math.log(left / right)


def _vertical_differences(frame: FaceFrame, mm_per_px: float) -> Iterator[tuple[Reading, float]]:
    def height(names: tuple[str, ...], side: Side) -> float:
        return float(np.mean([frame.point(f"{name}_{side.value}")[1] for name in names]))

    for quantity, structure, names in (
        ("commissure_height_difference", "cheilion", ("cheilion",)),
        ("brow_height_difference", "brow", _BROW_POINTS),
    ):
        difference = height(names, Side.LEFT) - height(names, Side.RIGHT)
        yield Reading(quantity, structure), difference * mm_per_px


def _eyes(frame: FaceFrame, mm_per_px: float) -> Iterator[tuple[Reading, float]]:
    for side in Side:
        upper = float(frame.point(f"palpebrale_superius_{side.value}")[1])
        lower = float(frame.point(f"palpebrale_inferius_{side.value}")[1])
        pupil = float(frame.point(f"iris_centre_{side.value}")[1])
        for quantity, value in (
            ("palpebral_fissure_height", upper - lower),
            ("margin_reflex_distance_1", upper - pupil),
            ("margin_reflex_distance_2", pupil - lower),
        ):
            yield Reading(quantity, "eye", side=side), value * mm_per_px


def _cant_deg(frame: FaceFrame, structure: str) -> float:
    """Angle to the line between the pupils, + when the left is higher."""
    across = frame.point(f"{structure}_left") - frame.point(f"{structure}_right")
    return math.degrees(math.atan2(float(across[1]), float(across[0])))


def _clipped(
    polygon: NDArray[np.float64], axis: int, sign: float, bound: float
) -> NDArray[np.float64]:
    """The part of a polygon where ``sign * coordinate >= bound`` (Sutherland-Hodgman)."""
    if len(polygon) == 0 or math.isinf(bound):
        return polygon
    inside_by = sign * polygon[:, axis] - bound
    kept: list[NDArray[np.float64]] = []
    for index in range(len(polygon)):
        before, after = polygon[index - 1], polygon[index]
        before_by, after_by = float(inside_by[index - 1]), float(inside_by[index])
        if (before_by < 0) != (after_by < 0):
            kept.append(before + (after - before) * (before_by / (before_by - after_by)))
        if after_by >= 0:
            kept.append(after)
    return np.array(kept).reshape(-1, 2)


def _area(polygon: NDArray[np.float64]) -> float:
    """Area by the shoelace formula, in squares of the polygon's unit."""
    if len(polygon) < 3:
        return 0.0
    x, y = polygon[:, 0], polygon[:, 1]
    return float(abs(x @ np.roll(y, 1) - y @ np.roll(x, 1)) / 2)
