"""The nose as a detector sees it in a face with even surroundings.

A detector that sees one cheek hollow or wide shifts its whole midline, nose and
forehead included, though not one pixel of them has moved: 10 mm of cheek read as
some 2 degrees of turn, and taking that turn out took a third of the asymmetry
with it. So it is shown a face whose surroundings are symmetric: all but a strip
along the nose is the mean of the picture and its mirror image about the midline
of the irises. What it then still sees beside the midline is the nose.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processing.detected_face import DetectedFace
from processing.face_landmarks import FaceDetector
from processing.photograph.refinement.patch import FacePatch, face_patch

# The strip in distances between the pupils: half its width, half its height, how far its
# middle lies below the pupils; and from which part of these on it is mixed with the even face.
_HALF_WIDTH: Final = 0.30
_HALF_HEIGHT: Final = 1.0
_MIDDLE_BELOW: Final = 0.30
_SURE_PART: Final = 0.85
_NOTHING_LEFT: Final = 1.15

# The detector looks at the face in no more detail than this.
_PUPIL_DISTANCE_PX: Final = 110.0
# A face's box: its longer side, and how far its middle lies below the pupils.
_FACE_SIZE: Final = 2.73
_FACE_MIDDLE_BELOW: Final = 0.515

# Midpoints along the nose: how far they are seen beside the midline of the irises for a
# sine of yaw of 1, and their standard deviation, in thousandths of the distance between
# the pupils; by benchmarks/head_relief.py. A landmark stands for its pair.
_RELIEF: Final = {
    168: (253.0, 3.0),
    6: (285.0, 3.3),
    197: (316.0, 3.6),
    195: (347.0, 4.0),
    5: (380.0, 4.5),
    4: (405.0, 4.9),
    94: (355.0, 4.6),
    64: (275.0, 3.7),
    97: (309.0, 4.1),
    129: (243.0, 3.3),
}


def with_even_surroundings(patch: FacePatch) -> NDArray[np.uint8]:
    """The patch with everything made symmetric but a strip along the nose.

    Parameters
    ----------
    patch : FacePatch
        Its middle is the midline of the irises.

    Returns
    -------
    (rows, columns, 3) uint8 array
    """
    pixels = patch.pixels.astype(np.float32)
    even = (pixels + pixels[:, ::-1]) / 2
    share = _share_of_strip(patch)[..., None]
    mixed: NDArray[np.uint8] = np.rint(share * pixels + (1 - share) * even).astype(np.uint8)
    return mixed


def _share_of_strip(patch: FacePatch) -> NDArray[np.float32]:
    """1 inside a superellipse round the nose, 0 outside, smooth between."""
    rows, columns = patch.pixels.shape[:2]
    right, left = (patch.point(f"iris_centre_{side}") for side in ("right", "left"))
    distance = float(left[0] - right[0])
    middle_row = float(left[1] + right[1]) / 2 + _MIDDLE_BELOW * distance
    across = (np.arange(columns) - (columns - 1) / 2) / (_HALF_WIDTH * distance)
    down = (np.arange(rows) - middle_row) / (_HALF_HEIGHT * distance)
    away = (across[None, :] ** 4 + down[:, None] ** 4) ** 0.25
    share: NDArray[np.float32] = np.clip(
        (_NOTHING_LEFT - away) / (_NOTHING_LEFT - _SURE_PART), 0, 1
    ).astype(np.float32)
    return share


def yaw_of_midpoints(aside: NDArray[np.float64]) -> float:
    """The turn that shifts the midpoints along the nose by so much, by weighted least squares.

    Parameters
    ----------
    aside : (478,) float64 array
        From `midpoints_beside_irises`.

    Returns
    -------
    float
        In degrees, + to the patient's left.
    """
    relief, deviation = (np.array(each) / 1000 for each in zip(*_RELIEF.values(), strict=True))
    weight = relief / deviation**2
    sine = float(weight @ aside[list(_RELIEF)] / (weight @ relief))
    return math.degrees(math.asin(float(np.clip(sine, -1, 1))))


def midpoints_beside_irises(
    pixels: NDArray[np.uint8], face: DetectedFace, detector: FaceDetector
) -> NDArray[np.float64] | None:
    """How far beside the midline of the irises the midpoint of each pair is seen.

    Parameters
    ----------
    pixels : (rows, columns, 3) uint8 array
        sRGB.
    face : DetectedFace
        With its irises where the picture shows them.
    detector : FaceDetector

    Returns
    -------
    (478,) float64 array, optional
        In distances between the pupils, + to the patient's left, with even
        surroundings; None when no face is found then.

    Raises
    ------
    ValueError
        If both pupils are at the same place or the irises have no width.
    """
    patch = face_patch(pixels, face, detector.mirror, _PUPIL_DISTANCE_PX)
    columns = patch.pixels.shape[1]
    right, left = (patch.point(f"iris_centre_{side}") for side in ("right", "left"))
    distance = float(left[0] - right[0])
    middle = np.array([(columns - 1) / 2, (left[1] + right[1]) / 2 + _FACE_MIDDLE_BELOW * distance])
    seen = detector.detect_at(with_even_surroundings(patch), middle, _FACE_SIZE * distance)
    if seen is None:
        return None
    across = (seen.points_px[:, 0] + seen.points_px[detector.mirror, 0]) / 2
    aside: NDArray[np.float64] = (across - middle[0]) / distance
    return aside
