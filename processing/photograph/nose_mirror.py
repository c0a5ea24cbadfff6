"""The nose compared with nothing but its own mirror image.

The column about which it is most alike is its middle. In even light that places the
middle better than a detector does; the shadow of a side light moves it, and then the nose
is less like its mirror image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates

from processing.detected_face import DetectedFace
from processing.photograph.brightness import log_brightness_of
from processing.photograph.refinement.patch import FacePatch, face_patch

_PUPIL_DISTANCE_PX: Final = 160.0

# All in distances between the pupils. The part of the nose that is looked at: from above
# its tip to below its base, and so far to either side of its middle.
_ABOVE_TIP: Final = 0.10
_BELOW_BASE: Final = 0.06
_HALF_WIDTH: Final = 0.28
# How far aside the middle is sought: some 7 degrees of turn.
_REACH: Final = 0.07
_COLUMN_STEP: Final = 0.0025
_ROW_STEP: Final = 0.0075
_MOST_ROWS: Final = 120
_EDGE_WIDTH: Final = 0.02

# How far aside the middle is seen for a sine of yaw of 1, by benchmarks/head_relief.py.
RELIEF: Final = 0.543


@dataclass(frozen=True, slots=True)
class NoseMiddle:
    """Where the middle of the nose is seen.

    Parameters
    ----------
    aside : float
        From the midline of the irises, in distances between the pupils, + to the
        patient's left.
    likeness : float
        Correlation of the nose with its mirror image about that middle.
    """

    aside: float
    likeness: float

    @property
    def yaw_deg(self) -> float:
        """The turn that shows the middle there, + to the patient's left."""
        return math.degrees(math.asin(float(np.clip(self.aside / RELIEF, -1, 1))))


def middle_of_nose(
    pixels: NDArray[np.uint8], face: DetectedFace, mirror: NDArray[np.int64]
) -> NoseMiddle | None:
    """The column about which the nose is most like its mirror image.

    Parameters
    ----------
    pixels : (rows, columns, 3) uint8 array
        sRGB.
    face : DetectedFace
        With its irises where the picture shows them.
    mirror : (478,) int64 array
        Left-right partner of each landmark.

    Returns
    -------
    NoseMiddle, optional
        None where it is not within reach.

    Raises
    ------
    ValueError
        If both pupils are at the same place or the irises have no width.
    """
    strips = _edges_of_nose(face_patch(pixels, face, mirror, _PUPIL_DISTANCE_PX))
    middle = strips.shape[2] // 2
    half = round(_HALF_WIDTH / _COLUMN_STEP)
    reach = round(_REACH / _COLUMN_STEP)
    likeness = np.array(
        [
            _likeness(strips[..., middle + shift - half : middle + shift + half + 1])
            for shift in range(-reach, reach + 1)
        ]
    )
    best = int(likeness.argmax())
    if best in (0, 2 * reach):
        return None
    before, here, after = likeness[best - 1 : best + 2]
    between = (
        (before - after) / (2 * (before - 2 * here + after)) if before + after < 2 * here else 0
    )
    return NoseMiddle(float((best - reach + between) * _COLUMN_STEP), float(here))


def _edges_of_nose(patch: FacePatch) -> NDArray[np.float64]:
    """Strength of the upright and the level edges about the nose, (2, rows, columns).

    Columns are `_COLUMN_STEP` apart, the middle one is the midline of the irises.
    A change from light to dark is an edge as the other way round: upright ones
    change their sign in a mirror.
    """
    right, left = (patch.point(f"iris_centre_{side}") for side in ("right", "left"))
    distance = float(left[0] - right[0])
    light = log_brightness_of(patch.pixels)
    upright = np.abs(gaussian_filter(light, _EDGE_WIDTH * distance, order=(0, 1)))
    level = gaussian_filter(light, _EDGE_WIDTH * distance, order=(1, 0))

    top = float(patch.point("pronasale")[1]) - _ABOVE_TIP * distance
    bottom = float(patch.point("subnasale")[1]) + _BELOW_BASE * distance
    count = int(np.clip((bottom - top) / (_ROW_STEP * distance), 2, _MOST_ROWS))
    to_either_side = round((_HALF_WIDTH + _REACH) / _COLUMN_STEP)
    steps = np.arange(-to_either_side, to_either_side + 1) * _COLUMN_STEP
    columns = (patch.pixels.shape[1] - 1) / 2 + steps * distance
    places = np.meshgrid(np.linspace(top, bottom, count), columns, indexing="ij")
    return np.stack(
        [map_coordinates(each, places, order=1, mode="nearest") for each in (upright, level)]
    )


def _likeness(strips: NDArray[np.float64]) -> float:
    """Correlation of a picture with its mirror image; of several, all at once."""
    away = strips - strips.mean(axis=(1, 2), keepdims=True)
    square = float((away**2).sum())
    return float((away * away[..., ::-1]).sum()) / square if square > 0 else 0.0
