"""Standard uncertainties, carried from landmarks, pose, relief and scale to every reading.

Law of propagation of uncertainty (JCGM 100:2008, 5.1.2 and 5.2.2) with the
sensitivities taken as central differences one standard uncertainty wide, all
in one vectorised reading. It has no random part, so the mirror image of a
photograph gets the same uncertainties.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processing.landmarks import FACE_OVAL, LANDMARKS, PAIRED_LANDMARKS
from processing.photograph.frame import FaceInputs
from processing.photograph.readings import (
    FACE_CONTOUR,
    Reading,
    Readings,
    landmarks_of,
    used_landmarks,
)

# Neighbours on the contour err together: correlation 1/e at so many points' distance.
_CONTOUR_CORRELATION_POINTS: Final = 3.0
# Both pupils move together when the eyes look aside.
_GAZE_MM: Final = 0.5

# What is missing of an asymmetry that only a detector saw, as a fraction of what is
# read. Known droops of rendered mouths read 0.54 and drops of brows 0.64 of their
# size; a known widening of half a face lost a tenth to a third.
_LOST_OF_MOUTH: Final = 1 / 0.54 - 1
_LOST_OF_BROW: Final = 1 / 0.64 - 1
_LOST_ELSEWHERE: Final = 0.25
_LOST: Final[Mapping[str, float]] = {
    "commissure_height_difference": _LOST_OF_MOUTH,
    "commissure_excursion_difference": _LOST_OF_MOUTH,
    "oral_cant": _LOST_OF_MOUTH,
    "brow_height_difference": _LOST_OF_BROW,
    **dict.fromkeys(
        (
            "log_pair_ratio",
            "log_area_ratio",
            "chin_deviation",
            "ocular_cant",
            "palpebral_fissure_height_difference",
            "margin_reflex_distance_1_difference",
            "margin_reflex_distance_2_difference",
        ),
        _LOST_ELSEWHERE,
    ),
}

_IRISES: Final = tuple(
    LANDMARKS[f"iris_{part}_{side}"]
    for part in ("centre", "temporal", "nasal", "superius", "inferius")
    for side in ("left", "right")
)
Effects = Mapping[Reading, NDArray[np.float64]]
"""For each reading the effect of each independent source, signed, in its unit."""


@dataclass(frozen=True, slots=True, eq=False)
class InputUncertainties:
    """Standard uncertainties of what the readings are computed from.

    Parameters
    ----------
    landmarks_px : (478,) float64 array
        Of each coordinate of a landmark, by itself.
    outward_px : (478,) float64 array
        What the landmarks of a pair have in common: how far both may lie outward
        of their places.
    relief_px : (sources, 478) float64 array
        What each independent source of error does to the relief.
    yaw_deg, pitch_deg : float
    scale_relative : float
        As a fraction of the scale.
    """

    landmarks_px: NDArray[np.float64] = field(repr=False)
    outward_px: NDArray[np.float64] = field(repr=False)
    relief_px: NDArray[np.float64] = field(repr=False)
    yaw_deg: float
    pitch_deg: float
    scale_relative: float


def effects_of(
    read: Callable[[FaceInputs], Readings], inputs: FaceInputs, uncertainties: InputUncertainties
) -> Effects:
    """What each source of error does to each reading.

    Parameters
    ----------
    read : callable
        Computes the readings, for example `processing.photograph.readings.read_off`.
    inputs : FaceInputs
        Where the readings are taken; without leading axes.
    uncertainties : InputUncertainties

    Returns
    -------
    mapping of Reading to (sources,) float64 array
        The combined standard uncertainty is the root of the sum of squares.

    Raises
    ------
    ValueError
        If a reading cannot be taken within the uncertainties.
    """
    contour = list(FACE_OVAL)
    others = [index for index in used_landmarks(inputs.midline) if index not in FACE_OVAL]
    landmarks = [*contour, *others]
    pairs = [
        pair for pair in PAIRED_LANDMARKS.values() if uncertainties.outward_px[list(pair)].any()
    ]
    moved = _Moved(inputs, 2 * len(landmarks) + len(pairs) + len(uncertainties.relief_px) + 4)
    for axis in (0, 1):
        for index in landmarks:
            moved.point(index, axis, float(uncertainties.landmarks_px[index]))
    left = _leftward(inputs.points_px)
    for pair in pairs:
        moved.both(pair, np.outer(uncertainties.outward_px[list(pair)] * (-1, 1), left))
    for relief in uncertainties.relief_px:
        moved.relief(relief)
    moved.turn(uncertainties.yaw_deg, uncertainties.pitch_deg)
    moved.scaled(uncertainties.scale_relative)
    moved.both(_IRISES, _GAZE_MM / float(inputs.mm_per_px) * left)

    above, below = read(moved.inputs(+1)), read(moved.inputs(-1))
    effects = {}
    for reading, value in above.items():
        by_source = (value - below[reading]) / 2
        for axis in (0, 1):
            first = axis * len(landmarks)
            part = slice(first, first + len(contour))
            by_source[part] = by_source[part] @ _contour_correlation()
        effects[reading] = by_source
    return effects


def with_lost_asymmetry(effects: Effects, readings: Readings, placed: frozenset[int]) -> Effects:
    """The effects with one more source: what a detector loses of an asymmetry.

    A detector that was trained on mostly symmetric faces pulls a face toward
    symmetry. What is missing of a difference counts as far as its landmarks were
    only detected, neither found on the picture nor placed by a reviewer.

    Parameters
    ----------
    effects : mapping of Reading to (sources,) float64 array
    readings : mapping of Reading to () float64 array
    placed : frozenset of int
        The landmarks that are not those of the detector.
    """
    return {
        reading: np.append(by_source, _lost_part(reading, placed) * readings[reading])
        for reading, by_source in effects.items()
    }


def _lost_part(reading: Reading, placed: frozenset[int]) -> float:
    if reading.quantity not in _LOST:
        return 0.0
    indices: list[int] = []
    for name in landmarks_of(reading):
        indices += FACE_OVAL if name == FACE_CONTOUR else [LANDMARKS[name]]
    only_detected = sum(index not in placed for index in indices) / len(indices)
    return _LOST[reading.quantity] * only_detected


class _Moved:
    """One row for each source of error; `inputs` moves all of them up or down."""

    def __init__(self, inputs: FaceInputs, sources: int) -> None:
        self._inputs = inputs
        self._row = 0
        self._points = np.zeros((sources, *inputs.points_px.shape))
        self._relief = np.zeros((sources, len(inputs.points_px)))
        self._yaw, self._pitch, self._scale = (np.zeros(sources) for _ in range(3))

    def point(self, index: int, axis: int, by_px: float) -> None:
        self._points[self._row, index, axis] = by_px
        self._row += 1

    def both(self, indices: tuple[int, ...], by_px: NDArray[np.float64]) -> None:
        self._points[self._row, indices] = by_px
        self._row += 1

    def relief(self, by_px: NDArray[np.float64]) -> None:
        self._relief[self._row] = by_px
        self._row += 1

    def turn(self, yaw_deg: float, pitch_deg: float) -> None:
        self._yaw[self._row] = yaw_deg
        self._pitch[self._row + 1] = pitch_deg
        self._row += 2

    def scaled(self, relative: float) -> None:
        self._scale[self._row] = relative
        self._row += 1

    def inputs(self, sign: float) -> FaceInputs:
        at = self._inputs
        return replace(
            at,
            points_px=at.points_px + sign * self._points,
            relief_px=at.relief_px + sign * self._relief,
            yaw_deg=at.yaw_deg + sign * self._yaw,
            pitch_deg=at.pitch_deg + sign * self._pitch,
            mm_per_px=at.mm_per_px * (1 + sign * self._scale),
        )


def _leftward(points_px: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unit vector from the right to the left pupil in the photograph."""
    right, left = (points_px[index] for index in PAIRED_LANDMARKS["iris_centre"])
    across: NDArray[np.float64] = (left - right) / np.linalg.norm(left - right)
    return across


@cache
def _contour_correlation() -> NDArray[np.float64]:
    """Symmetric root of the correlation of the contour's points; it mirrors with the face."""
    count = len(FACE_OVAL)
    apart = np.abs(np.subtract.outer(np.arange(count), np.arange(count)))
    apart = np.minimum(apart, count - apart)
    values, vectors = np.linalg.eigh(np.exp(-apart / _CONTOUR_CORRELATION_POINTS))
    root: NDArray[np.float64] = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    root.setflags(write=False)
    return root


def combined(effects: NDArray[np.float64]) -> float:
    """Combined standard uncertainty of independent effects."""
    return math.sqrt(float(effects @ effects))
