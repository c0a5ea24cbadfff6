"""The turn of the head by the nose alone.

A detector that sees one cheek hollow or wide shifts its whole midline, nose and
forehead included, though not one pixel of them has moved: 10 mm of cheek read as
some 2 degrees of turn, and taking that turn out took a third of the asymmetry
with it. Two readings of the nose look at nothing else; the light decides between them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processing.detected_face import DetectedFace
from processing.face_landmarks import FaceDetector
from processing.photograph.nose_in_even_face import midpoints_beside_irises, yaw_of_midpoints
from processing.photograph.nose_mirror import middle_of_nose

# From which likeness with its mirror image on the middle of a nose counts at all, and
# from which on it counts alone.
_UNLIKE: Final = 0.70
_ALIKE: Final = 0.95

# Noses are not quite in the middle of faces, and eyes do not quite look into the camera.
_MIRROR_UNCERTAINTY_DEG: Final = 0.4
_DETECTOR_UNCERTAINTY_DEG: Final = 0.6
_GAIN_UNCERTAINTY: Final = 0.12


@dataclass(frozen=True, slots=True)
class NoseTurn:
    """Yaw by the nose, + to the patient's left, with its standard uncertainty, in degrees."""

    yaw_deg: float
    uncertainty_deg: float


def turn_by_nose(
    pixels: NDArray[np.uint8], face: DetectedFace, detector: FaceDetector
) -> NoseTurn | None:
    """Yaw by the nose: where it is seen beside the midline of the irises.

    The middle of the nose by its mirror image counts as far as the nose is like it;
    the rest is what the detector sees in a face with even surroundings. Where the two
    differ, the uncertainty grows by the standard deviation of their mixture.

    Parameters
    ----------
    pixels : (rows, columns, 3) uint8 array
        sRGB.
    face : DetectedFace
        With its irises where the picture shows them.
    detector : FaceDetector

    Returns
    -------
    NoseTurn, optional
        None when no nose is found.

    Raises
    ------
    ValueError
        If both pupils are at the same place or the irises have no width.
    """
    middle = middle_of_nose(pixels, face, detector.mirror)
    share = 0.0
    if middle is not None:
        share = float(np.clip((middle.likeness - _UNLIKE) / (_ALIKE - _UNLIKE), 0, 1))
        if share == 1.0:
            return _turn(middle.yaw_deg, _MIRROR_UNCERTAINTY_DEG)
    midpoints = midpoints_beside_irises(pixels, face, detector)
    if midpoints is None:
        return None
    yaw = yaw_of_midpoints(midpoints)
    if middle is None:
        return _turn(yaw, _DETECTOR_UNCERTAINTY_DEG)
    apart = middle.yaw_deg - yaw
    return _turn(
        yaw + share * apart,
        share * _MIRROR_UNCERTAINTY_DEG + (1 - share) * _DETECTOR_UNCERTAINTY_DEG,
        math.sqrt(share * (1 - share)) * apart,
    )


def _turn(yaw_deg: float, *uncertainties_deg: float) -> NoseTurn:
    return NoseTurn(yaw_deg, math.hypot(*uncertainties_deg, _GAIN_UNCERTAINTY * yaw_deg))
