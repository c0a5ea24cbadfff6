"""How the head was turned when the photograph was taken.

Two estimates of yaw are made. The one that is used looks at eyes, root and
ridge of the nose only: how far the points that stand out are shifted sideways
against the eyes. The rotation that MediaPipe fits to the whole face calls an
asymmetry of the cheeks or the jaw a turn of the head, and taking that turn out
would take the asymmetry out with it.

The gains below were measured on renders of mirror-symmetric heads; see
``docs/methods/photograph-symmetry.md``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processing.face_landmarks import DetectedFace
from processing.landmarks import LANDMARKS
from processing.photograph.frame import RELIEF_GAIN, relief_px

# How strongly MediaPipe's rotation follows a turn of the head.
WHOLE_FACE_YAW_GAIN: Final = 0.86
PITCH_GAIN: Final = 0.74

# Glabella to pronasale down the ridge of the nose, and one of each pair of the eyes.
_RIDGE: Final = (9, 8, 168, 6, 197, 195, 5, 4)
_EYES: Final = tuple(
    LANDMARKS[f"{name}_left"] for name in ("iris_centre", "endocanthion", "exocanthion")
)
# Sideways shift is proportional to the tangent of yaw only while the same surface is seen.
_NEARLY_FRONTAL_DEG: Final = 15.0

_YAW_REPEATABILITY_DEG: Final = 0.4
_YAW_GAIN_UNCERTAINTY: Final = 0.12
_PITCH_OF_A_LEVEL_FACE_DEG: Final = 2.5
_PITCH_GAIN_UNCERTAINTY: Final = 0.08
_ROLL_UNCERTAINTY_DEG: Final = 0.3


@dataclass(frozen=True, slots=True)
class Pose:
    """Rotation of the head and its standard uncertainties, in degrees.

    Yaw is + when the face is turned to the patient's left, pitch + when it is
    turned upward, roll + when the top of the head leans to the patient's left.
    """

    yaw_deg: float
    pitch_deg: float
    roll_deg: float
    yaw_uncertainty_deg: float
    pitch_uncertainty_deg: float
    roll_uncertainty_deg: float


def pose_of(face: DetectedFace, mirror: NDArray[np.int64]) -> Pose:
    """The head's pose.

    Half of what the two estimates of yaw differ by is part of its uncertainty.
    The zero of pitch differs from face to face by some degrees, because a level
    face and one whose chin recedes a little look the same from the front.

    Parameters
    ----------
    face : DetectedFace
    mirror : (478,) int64 array
        Left-right partner of each landmark.

    Raises
    ------
    ValueError
        If both pupils are at the same place.
    """
    by_whole_face = face.yaw_deg / WHOLE_FACE_YAW_GAIN
    yaw = by_whole_face
    if abs(by_whole_face) <= _NEARLY_FRONTAL_DEG:
        yaw = _yaw_by_nose_deg(face, mirror)
    pitch = face.pitch_deg / PITCH_GAIN
    return Pose(
        yaw_deg=yaw,
        pitch_deg=pitch,
        roll_deg=face.roll_deg,
        yaw_uncertainty_deg=math.hypot(
            _YAW_REPEATABILITY_DEG, _YAW_GAIN_UNCERTAINTY * yaw, (yaw - by_whole_face) / 2
        ),
        pitch_uncertainty_deg=math.hypot(
            _PITCH_OF_A_LEVEL_FACE_DEG, _PITCH_GAIN_UNCERTAINTY * pitch
        ),
        roll_uncertainty_deg=_ROLL_UNCERTAINTY_DEG,
    )


def _yaw_by_nose_deg(face: DetectedFace, mirror: NDArray[np.int64]) -> float:
    """Slope of the sideways shift of midpoints over their relief, by least squares."""
    across = (
        face.points_px[LANDMARKS["iris_centre_left"]]
        - face.points_px[LANDMARKS["iris_centre_right"]]
    )
    length = float(np.hypot(*across))
    if length <= 0:
        raise ValueError("both pupils are at the same place: there is no midline")
    sideways = face.points_px @ (across / length)
    used = [*_RIDGE, *_EYES]
    midpoints = ((sideways + sideways[mirror]) / 2)[used]
    relief = relief_px(face.depth_px, mirror, RELIEF_GAIN)[used]
    relief = relief - relief.mean()
    return math.degrees(math.atan2(float(relief @ midpoints), float(relief @ relief)))
