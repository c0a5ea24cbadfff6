"""Standard uncertainties, carried from landmarks, turn of the head, depth and scale.

Law of propagation of uncertainty (JCGM 100:2008, 5.1.2) with the sensitivities
taken as central differences one standard uncertainty wide. It has no random
part, so the mirror image of a photograph gets the same uncertainties.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processing.face_landmarks import DetectedFace
from processing.landmarks import FACE_OVAL, LANDMARKS
from processing.photograph.frame import MIDLINE_PAIRS, FaceInputs
from processing.photograph.pose import Pose
from processing.photograph.readings import Reading, used_landmarks
from processing.photograph.scale import Scale

# How far a symmetrised landmark lies from its truth, per coordinate, in mm:
# what trials on rendered faces with known landmarks left at the least.
_EYE_LANDMARK_MM: Final = 0.2
_INNER_LANDMARK_MM: Final = 0.4
_CONTOUR_LANDMARK_MM: Final = 0.8
_LANDMARK_PX: Final = 0.15
_RELIEF_UNCERTAINTY: Final = 0.15

_EYES: Final = frozenset(
    LANDMARKS[f"{name}_{side}"] for name in MIDLINE_PAIRS for side in ("left", "right")
)
_CONTOUR: Final = frozenset(
    {
        *FACE_OVAL,
        *(
            LANDMARKS[f"{name}_{side}"]
            for name in ("zygion", "gonion")
            for side in ("left", "right")
        ),
    }
)

Contributions = Mapping[Reading, NDArray[np.float64]]
"""For each reading the effect of each independent source, signed, in its unit."""


def landmark_uncertainty_px(face: DetectedFace, mm_per_px: float) -> NDArray[np.float64]:
    """Standard uncertainty of each landmark's column and row, (478,), in pixels.

    The mean of two answers that are `2 * spread` apart has the standard
    uncertainty `spread / sqrt(2)` in each coordinate; to it is added what both
    answers have in common.
    """
    floor_mm = np.full(len(face.points_px), _INNER_LANDMARK_MM)
    floor_mm[list(_EYES)] = _EYE_LANDMARK_MM
    floor_mm[list(_CONTOUR)] = _CONTOUR_LANDMARK_MM
    variance = (face.spread_px**2) / 2 + (floor_mm / mm_per_px) ** 2 + _LANDMARK_PX**2
    deviation: NDArray[np.float64] = np.sqrt(variance)
    return deviation


def contributions(
    read: Callable[[FaceInputs], dict[Reading, float]],
    inputs: FaceInputs,
    landmark_uncertainty: NDArray[np.float64],
    pose: Pose,
    scale: Scale,
) -> Contributions:
    """What each source of error does to each reading.

    Parameters
    ----------
    read : callable
        Computes the readings, for example `processing.photograph.readings.read_off`.
    inputs : FaceInputs
        Where the readings are taken.
    landmark_uncertainty : (478,) float64 array
        Standard uncertainty of a landmark's coordinate in pixels.
    pose, scale
        With their own uncertainties.

    Returns
    -------
    mapping of Reading to (sources,) float64 array
        The combined standard uncertainty is the root of the sum of squares.

    Raises
    ------
    ValueError
        If a reading cannot be taken within the uncertainties.
    """
    yaw, relief, scaled = (
        pose.yaw_uncertainty_deg,
        _RELIEF_UNCERTAINTY * inputs.relief_gain,
        scale.relative_uncertainty * inputs.mm_per_px,
    )
    above_and_below = [
        *_landmarks_moved(inputs, landmark_uncertainty),
        (
            replace(inputs, yaw_deg=inputs.yaw_deg + yaw),
            replace(inputs, yaw_deg=inputs.yaw_deg - yaw),
        ),
        (
            replace(inputs, relief_gain=inputs.relief_gain + relief),
            replace(inputs, relief_gain=inputs.relief_gain - relief),
        ),
        (
            replace(inputs, mm_per_px=inputs.mm_per_px + scaled),
            replace(inputs, mm_per_px=inputs.mm_per_px - scaled),
        ),
    ]
    effects: dict[Reading, list[float]] = {}
    for more, less in above_and_below:
        above, below = read(more), read(less)
        for reading, value in above.items():
            effects.setdefault(reading, []).append((value - below[reading]) / 2)
    return {reading: np.array(values) for reading, values in effects.items()}


def _landmarks_moved(
    inputs: FaceInputs, landmark_uncertainty: NDArray[np.float64]
) -> Iterator[tuple[FaceInputs, FaceInputs]]:
    for index in used_landmarks():
        by = float(landmark_uncertainty[index])
        for axis in (0, 1):
            yield (
                inputs.with_point_moved(index, axis, by),
                inputs.with_point_moved(index, axis, -by),
            )


def combined(effects: NDArray[np.float64]) -> float:
    """Combined standard uncertainty of independent effects."""
    return math.sqrt(float(effects @ effects))
