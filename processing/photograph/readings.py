"""What is read off a face: the definitions of the measures.

Ratios are kept here as the logarithm of left over right, which is smooth and
keeps its sign; `results` turns them into the published numbers. Everything
takes the leading axes of `FaceInputs`, so that one call reads off the face and
all its neighbours within the uncertainties.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from processing.inputs import Expression
from processing.landmarks import FACE_OVAL, LANDMARKS
from processing.measurement import Side
from processing.photograph.frame import FaceFrame, FaceInputs, face_frame
from processing.photograph.hemifaces import hemiface_area, hemiface_width
from processing.photograph.midline import Midline

PAIR_STRUCTURES: Final = (
    "exocanthion",
    "endocanthion",
    "alare",
    "cheilion",
    "zygion",
    "gonion",
)
"""The pairs whose distances to the midline are compared."""

FACE_CONTOUR: Final = "face_contour"
"""The structure of what is measured to the contour of the face."""

AREA_REGIONS: Final = ("whole", "upper", "middle", "lower")

WIDTH_LEVELS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "eye": ("exocanthion_left", "exocanthion_right"),
        "nose": ("subnasale",),
        "mouth": ("stomion",),
        "chin": ("sublabiale",),
    }
)
"""Regions at whose height the width of a hemiface is taken, and the landmarks at that height."""

_BROW_POINTS: Final = ("brow_lateral", "brow_peak", "brow_medial")
_LID_POINTS: Final = ("palpebrale_superius", "palpebrale_inferius")
_LID_LANDMARKS: Final[Mapping[str, tuple[str, ...]]] = {
    "palpebral_fissure_height": _LID_POINTS,
    "margin_reflex_distance_1": ("palpebrale_superius", "iris_centre"),
    "margin_reflex_distance_2": ("palpebrale_inferius", "iris_centre"),
}
_CUTS: Final[Mapping[str, tuple[str, ...]]] = {
    "upper": ("glabella",),
    "middle": ("glabella", "subnasale"),
    "lower": ("subnasale",),
    **WIDTH_LEVELS,
}
_SMALLEST_PART_PX: Final = 1e-3


def _sided(*names: str) -> tuple[str, ...]:
    return tuple(f"{name}_{side.value}" for name in names for side in Side)


_PUPILS: Final = _sided("iris_centre")
_NEEDED: Final[Mapping[Expression, tuple[str, ...]]] = {
    Expression.REPOSE: (
        *_sided(*PAIR_STRUCTURES, *_BROW_POINTS, *_LID_POINTS),
        *(name for name, index in LANDMARKS.items() if index in FACE_OVAL),
        *(name for names in WIDTH_LEVELS.values() for name in names),
        "glabella",
    ),
    Expression.SMILE: (*_sided("cheilion"), "labiale_inferius"),
    Expression.BROWS_RAISED: _sided(*_BROW_POINTS),
    Expression.EYES_SHUT: _sided(*_LID_POINTS),
}


class Reading(NamedTuple):
    """Which quantity, and of what."""

    quantity: str
    structure: str | None = None
    region: str | None = None
    side: Side | None = None


Readings = dict[Reading, NDArray[np.float64]]
"""Values with the leading axes of the inputs."""


def used_landmarks(midline: Midline) -> tuple[int, ...]:
    """Indices of all landmarks that any reading depends on."""
    names = {name for each in _NEEDED.values() for name in each}
    named = {LANDMARKS[name] for name in (*names, *midline.landmarks, *_PUPILS)}
    return tuple(sorted(named | set(FACE_OVAL)))


def needed_landmarks(midline: Midline, expression: Expression) -> tuple[str, ...]:
    """Names of the landmarks without which a face cannot be read off.

    The contour is more than its named landmarks; these are the least it needs.
    """
    return tuple(dict.fromkeys((*_PUPILS, *midline.landmarks, *_NEEDED[expression])))


def landmarks_of(reading: Reading) -> tuple[str, ...]:
    """Names of what a reading is taken from, beside the midline; `FACE_CONTOUR` is all of it."""
    sides = (reading.side,) if reading.side is not None else tuple(Side)
    quantity = reading.quantity.removesuffix("_difference")
    if reading.structure in (FACE_CONTOUR, "hemiface"):
        return (FACE_CONTOUR, *_CUTS.get(str(reading.region), ()))
    names = {"brow": _BROW_POINTS, "eye": _LID_LANDMARKS.get(quantity, ())}.get(
        str(reading.structure), (str(reading.structure),)
    )
    sided = tuple(f"{name}_{side.value}" for name in names for side in sides)
    if quantity in ("commissure_excursion", "smile_angle"):
        return (*sided, "labiale_inferius")
    return tuple(name for name in sided if name in LANDMARKS) or names


def read_off(inputs: FaceInputs, expression: Expression = Expression.REPOSE) -> Readings:
    """All readings of a face.

    Parameters
    ----------
    inputs : FaceInputs
    expression : Expression
        What the face was asked to do; only what means something then is read off.

    Returns
    -------
    dict of Reading to (...) float64 array
        Lengths in mm, angles in degrees, ``log_pair_ratio`` and
        ``log_area_ratio`` as natural logarithms of left over right. Differences
        are left minus right, + when the left is higher or larger.
        ``midline_column`` is where the midline crosses the line between the
        pupils, in pixels.

    Raises
    ------
    ValueError
        If a paired landmark lies on the wrong side of the midline.
    """
    frame = face_frame(inputs)
    readings: Readings = {}
    readings.update(_midline(frame))
    for part in _PARTS[expression]:
        readings.update(part(frame, inputs.mm_per_px))
    return readings


def _midline(frame: FaceFrame) -> Iterator[tuple[Reading, NDArray[np.float64]]]:
    leaning = np.degrees(np.arctan2(frame.up[..., 0], -frame.up[..., 1]))
    yield Reading("midline_angle", "midline"), leaning
    yield Reading("midline_column", "midline"), frame.origin_px[..., 0]


def _symmetry(
    frame: FaceFrame, mm_per_px: float | NDArray[np.float64]
) -> Iterator[tuple[Reading, NDArray[np.float64]]]:
    for structure in PAIR_STRUCTURES:
        left = frame.point(f"{structure}_left")[..., 0]
        right = -frame.point(f"{structure}_right")[..., 0]
        if not ((left > 0).all() and (right > 0).all()):
            raise ValueError(f"both {structure} points lie on the same side of the midline")
        yield from _both_distances(left, right, mm_per_px, structure, None)
    contour = frame.corrected[..., FACE_OVAL, :]
    for region, names in WIDTH_LEVELS.items():
        height = np.mean([frame.point(name)[..., 1] for name in names], axis=0)
        left = hemiface_width(contour, Side.LEFT, height)
        right = hemiface_width(contour, Side.RIGHT, height)
        if not ((left > 0).all() and (right > 0).all()):
            raise ValueError(f"the contour of the face is not beside the {region}")
        yield from _both_distances(left, right, mm_per_px, FACE_CONTOUR, region)
    yield from _area_ratios(frame, contour)
    yield (
        Reading("chin_deviation", "gnathion"),
        frame.point("gnathion")[..., 0] * mm_per_px,
    )


def _both_distances(
    left: NDArray[np.float64],
    right: NDArray[np.float64],
    mm_per_px: float | NDArray[np.float64],
    structure: str,
    region: str | None,
) -> Iterator[tuple[Reading, NDArray[np.float64]]]:
    yield Reading("midline_distance", structure, region, Side.LEFT), left * mm_per_px
    yield Reading("midline_distance", structure, region, Side.RIGHT), right * mm_per_px
    yield Reading("log_pair_ratio", structure, region), np.log(left / right)


def _area_ratios(
    frame: FaceFrame, contour: NDArray[np.float64]
) -> Iterator[tuple[Reading, NDArray[np.float64]]]:
    """Areas of the face's contour beside the midline, whole and by thirds.

    The thirds are cut by horizontals through glabella and subnasale.
    """
    glabella, subnasale = (frame.point(name)[..., 1] for name in ("glabella", "subnasale"))
    bands: dict[str, tuple[ArrayLike, ArrayLike]] = {
        "whole": (-np.inf, np.inf),
        "upper": (glabella, np.inf),
        "middle": (subnasale, glabella),
        "lower": (-np.inf, subnasale),
    }
    for region, (low, high) in bands.items():
        left, right = (hemiface_area(contour, side, low, high) for side in (Side.LEFT, Side.RIGHT))
        if not ((left > _SMALLEST_PART_PX).all() and (right > _SMALLEST_PART_PX).all()):
            raise ValueError(f"the {region} face has no area on one side of the midline")
        yield Reading("log_area_ratio", "hemiface", region), np.log(left / right)


def _brows(
    frame: FaceFrame, mm_per_px: float | NDArray[np.float64]
) -> Iterator[tuple[Reading, NDArray[np.float64]]]:
    left, right = (
        np.mean([frame.point(f"{name}_{side.value}")[..., 1] for name in _BROW_POINTS], axis=0)
        * mm_per_px
        for side in (Side.LEFT, Side.RIGHT)
    )
    yield Reading("brow_height", "brow", side=Side.LEFT), left
    yield Reading("brow_height", "brow", side=Side.RIGHT), right
    yield Reading("brow_height_difference", "brow"), left - right


def _mouth(
    frame: FaceFrame, mm_per_px: float | NDArray[np.float64]
) -> Iterator[tuple[Reading, NDArray[np.float64]]]:
    left, right = (
        frame.point(f"cheilion_{side}")[..., 1] * mm_per_px for side in ("left", "right")
    )
    yield Reading("commissure_height", "cheilion", side=Side.LEFT), left
    yield Reading("commissure_height", "cheilion", side=Side.RIGHT), right
    yield Reading("commissure_height_difference", "cheilion"), left - right
    yield Reading("oral_cant", "cheilion"), _cant_deg(frame, "cheilion")


def _smile(
    frame: FaceFrame, mm_per_px: float | NDArray[np.float64]
) -> Iterator[tuple[Reading, NDArray[np.float64]]]:
    """Where the commissures are, from the point where the midline crosses the lower lip."""
    lip = frame.point("labiale_inferius")[..., 1]
    excursions = {}
    for side, sign in ((Side.LEFT, 1.0), (Side.RIGHT, -1.0)):
        commissure = frame.point(f"cheilion_{side.value}")
        outward, upward = sign * commissure[..., 0], commissure[..., 1] - lip
        excursions[side] = np.hypot(outward, upward) * mm_per_px
        yield Reading("midline_distance", "cheilion", side=side), outward * mm_per_px
        yield Reading("commissure_excursion", "cheilion", side=side), excursions[side]
        angle = np.degrees(np.arctan2(upward, outward))
        yield Reading("smile_angle", "cheilion", side=side), angle
    yield (
        Reading("commissure_excursion_difference", "cheilion"),
        excursions[Side.LEFT] - excursions[Side.RIGHT],
    )


def _eyes(
    frame: FaceFrame, mm_per_px: float | NDArray[np.float64]
) -> Iterator[tuple[Reading, NDArray[np.float64]]]:
    """Fissure and margin reflex distances, and what the left has more of each."""
    heights: dict[str, dict[Side, NDArray[np.float64]]] = {}
    for side in Side:
        upper, lower, pupil = (
            frame.point(f"{name}_{side.value}")[..., 1] for name in (*_LID_POINTS, "iris_centre")
        )
        for quantity, value in (
            ("palpebral_fissure_height", upper - lower),
            ("margin_reflex_distance_1", upper - pupil),
            ("margin_reflex_distance_2", pupil - lower),
        ):
            heights.setdefault(quantity, {})[side] = value * mm_per_px
    yield from _sides_and_difference(heights)


def _fissures(
    frame: FaceFrame, mm_per_px: float | NDArray[np.float64]
) -> Iterator[tuple[Reading, NDArray[np.float64]]]:
    """What stays open of an eye that was to be shut."""
    heights = {
        side: (
            frame.point(f"palpebrale_superius_{side.value}")[..., 1]
            - frame.point(f"palpebrale_inferius_{side.value}")[..., 1]
        )
        * mm_per_px
        for side in Side
    }
    yield from _sides_and_difference({"palpebral_fissure_height": heights})


def _sides_and_difference(
    heights: Mapping[str, Mapping[Side, NDArray[np.float64]]],
) -> Iterator[tuple[Reading, NDArray[np.float64]]]:
    for quantity, by_side in heights.items():
        for side in Side:
            yield Reading(quantity, "eye", side=side), by_side[side]
        difference = by_side[Side.LEFT] - by_side[Side.RIGHT]
        yield Reading(f"{quantity}_difference", "eye"), difference


def _ocular_cant(
    frame: FaceFrame, mm_per_px: float | NDArray[np.float64]
) -> Iterator[tuple[Reading, NDArray[np.float64]]]:
    yield Reading("ocular_cant", "exocanthion"), _cant_deg(frame, "exocanthion")


def _cant_deg(frame: FaceFrame, structure: str) -> NDArray[np.float64]:
    """Angle to the horizontal, + when the left is higher."""
    across = frame.point(f"{structure}_left") - frame.point(f"{structure}_right")
    return np.degrees(np.arctan2(across[..., 1], across[..., 0]))


_PARTS: Final = {
    Expression.REPOSE: (_symmetry, _brows, _mouth, _eyes, _ocular_cant),
    Expression.SMILE: (_mouth, _smile),
    Expression.BROWS_RAISED: (_brows,),
    Expression.EYES_SHUT: (_fissures,),
}
