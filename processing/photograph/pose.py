"""How the head was turned when the photograph was taken.

Yaw is seen in how far landmarks that stand out, or lie back, are shifted
sideways against the eyes: by the nose in a face with even surroundings
(`processing.photograph.nose_turn`), and where there is no picture to look at, as
of landmarks that a reviewer placed, by the midpoints of eyes, forehead and nose.
The rotation that MediaPipe fits to the whole face calls an asymmetry of the
cheeks a turn of the head, and taking that turn out would take the asymmetry out
with it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processing.detected_face import DetectedFace
from processing.landmarks import LANDMARKS
from processing.photograph.frame import levelled_points, relief_of_nodded_head
from processing.photograph.head_model import HeadRelief
from processing.photograph.nose_turn import NoseTurn

# How MediaPipe's rotation follows a nod of the head, and what it reads on a level one.
PITCH_GAIN: Final = 0.8
PITCH_OF_A_LEVEL_HEAD_DEG: Final = -1.8

# Standard deviation between a landmark's midpoint and where the average head has
# it, in thousandths of the distance between the pupils: of detection and, as
# people's noses and eyes are not symmetric either, of anatomy.
_MIDPOINTS: Final = {
    **dict.fromkeys((10, 151), 8.0),  # middle of the forehead
    **dict.fromkeys((9, 8), 6.0),  # glabella
    **dict.fromkeys((168, 6), 4.0),  # nasion
    **dict.fromkeys((197, 195, 5), 6.0),  # ridge of the nose
    **dict.fromkeys((4, 1), 7.0),  # tip of the nose
    **dict.fromkeys((LANDMARKS["endocanthion_left"], LANDMARKS["exocanthion_left"]), 4.0),
    LANDMARKS["frontotemporale_left"]: 15.0,
}
# The line between the pupils may lean against the midline of the head by this much.
_LEAN_DEG: Final = 0.5

# The detector shifts its whole midline against the eyes where cheeks are not symmetric, by this
# much, in thousandths of the distance between the pupils; a turn shifts the tip of the nose more
# than its root.
_MIDLINE_SHIFT: Final = 8.0

# Relief differs between heads by this part, and yaw with it.
_YAW_GAIN_UNCERTAINTY: Final = 0.08
# Sideways shift tells the sine of yaw only while the same surface is seen on both sides.
_NEARLY_FRONTAL_DEG: Final = 20.0
_YAW_UNCERTAINTY_OF_TURNED_HEADS_DEG: Final = 5.0
_PITCH_OF_LEVEL_HEADS_DEG: Final = 3.3
_PITCH_GAIN_UNCERTAINTY: Final = 0.08
_ROLL_UNCERTAINTY_DEG: Final = 0.2


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


def pose_of(
    points_px: NDArray[np.float64],
    face: DetectedFace,
    mirror: NDArray[np.int64],
    relief: HeadRelief,
    nose: NoseTurn | None = None,
) -> Pose:
    """The head's pose.

    Yaw is relative to the line of sight from the camera to the face: a camera
    that stands 40 mm beside at 1.5 m sees a turn of 1.5 degrees.

    The zero of pitch differs from face to face by some degrees, because a level
    face and one whose chin recedes a little look the same from the front.

    Parameters
    ----------
    points_px : (478, 2) float64 array
        Landmarks, refined or edited.
    face : DetectedFace
        Whose rotation tells the nod.
    mirror : (478,) int64 array
        Left-right partner of each landmark.
    relief : HeadRelief
        From `processing.photograph.head_model.head_relief`.
    nose : NoseTurn, optional
        From `processing.photograph.nose_turn.turn_by_nose`.

    Raises
    ------
    ValueError
        If both pupils are at the same place.
    """
    pitch = (face.pitch_deg - PITCH_OF_A_LEVEL_HEAD_DEG) / PITCH_GAIN
    yaw, yaw_uncertainty = face.yaw_deg, _YAW_UNCERTAINTY_OF_TURNED_HEADS_DEG
    if abs(yaw) <= _NEARLY_FRONTAL_DEG:
        if nose is not None:
            yaw, yaw_uncertainty = nose.yaw_deg, nose.uncertainty_deg
        else:
            yaw, yaw_uncertainty = _yaw_by_midpoints_deg(points_px, mirror, relief, pitch)
    return Pose(
        yaw_deg=yaw,
        pitch_deg=pitch,
        roll_deg=_roll_deg(points_px),
        yaw_uncertainty_deg=yaw_uncertainty,
        pitch_uncertainty_deg=math.hypot(
            _PITCH_OF_LEVEL_HEADS_DEG, _PITCH_GAIN_UNCERTAINTY * pitch
        ),
        roll_uncertainty_deg=_ROLL_UNCERTAINTY_DEG,
    )


def _yaw_by_midpoints_deg(
    points_px: NDArray[np.float64],
    mirror: NDArray[np.int64],
    relief: HeadRelief,
    pitch_deg: float,
) -> tuple[float, float]:
    """Yaw and its standard uncertainty.

    Midpoints m at height y with relief h are seen at ``m = c + a y + h sin(yaw)``;
    c, the lean a (known to be small) and sin(yaw) by weighted least squares.
    """
    levelled, _, _ = levelled_points(points_px)
    left_pupil, right_pupil = (LANDMARKS[f"iris_centre_{side}"] for side in ("left", "right"))
    pupil_distance = float(levelled[left_pupil, 0] - levelled[right_pupil, 0])
    used = list(_MIDPOINTS)
    middle = ((levelled + levelled[mirror]) / 2)[used] / pupil_distance
    height = middle[:, 1]
    stands_out = relief_of_nodded_head(height, relief.relief_px[used] / pupil_distance, pitch_deg)
    deviation = np.array(list(_MIDPOINTS.values())) / 1000
    lean, shift = math.radians(_LEAN_DEG), _MIDLINE_SHIFT / 1000
    on_midline = (mirror[used] == used).astype(np.float64)
    design = np.column_stack([stands_out, np.ones_like(height), height, on_midline])
    design = np.vstack([design / deviation[:, None], np.diag([0, 0, 1 / lean, 1 / shift])[2:]])
    seen = np.concatenate([middle[:, 0] / deviation, [0.0, 0.0]])
    normal = design.T @ design
    sine = float(np.clip(np.linalg.solve(normal, design.T @ seen)[0], -1, 1))
    yaw = math.degrees(math.asin(sine))
    uncertainty = math.degrees(math.sqrt(float(np.linalg.inv(normal)[0, 0])))
    uncertainty /= max(math.cos(math.radians(yaw)), 0.1)
    return yaw, math.hypot(uncertainty, _YAW_GAIN_UNCERTAINTY * yaw)


def _roll_deg(points_px: NDArray[np.float64]) -> float:
    """Of the line between the pupils, + when the head leans to the patient's left."""
    across = points_px[LANDMARKS["iris_centre_left"]] - points_px[LANDMARKS["iris_centre_right"]]
    return math.degrees(math.atan2(float(across[1]), float(across[0])))
