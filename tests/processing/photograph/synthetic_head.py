"""MediaPipe's average face as a head whose every measure is known."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processing.face_model import canonical_face, find_face_model
from processing.landmarks import LANDMARKS
from processing.photograph.frame import FaceInputs
from processing.photograph.midline import UPPER_FACE, Midline

PX_PER_CM: Final = 40.0
MM_PER_PX: Final = 10 / PX_PER_CM
IRIS_RADIUS_CM: Final = 0.5855
MIDDLE_PX: Final = (500.0, 600.0)

_PUPILS: Final = (LANDMARKS["iris_centre_left"], LANDMARKS["iris_centre_right"])

CANONICAL: Final = canonical_face(find_face_model(None, None))
MIRROR: Final = CANONICAL.mirror_with_irises()


def head_cm() -> NDArray[np.float64]:
    """The average face with irises between its lids, (478, 3), exactly symmetric."""
    points = np.zeros((478, 3))
    points[:468] = CANONICAL.vertices_cm
    for side, sign in (("left", 1.0), ("right", -1.0)):
        centre = np.array([sign * 3.1, 2.6, 3.5])
        for name, (across, up) in (
            ("centre", (0, 0)),
            ("temporal", (sign, 0)),
            ("nasal", (-sign, 0)),
            ("superius", (0, 1)),
            ("inferius", (0, -1)),
        ):
            points[LANDMARKS[f"iris_{name}_{side}"]] = centre + IRIS_RADIUS_CM * np.array(
                [across, up, 0.0]
            )
    return points


def photographed(
    head: NDArray[np.float64],
    yaw_deg: float = 0.0,
    roll_deg: float = 0.0,
    midline: Midline = UPPER_FACE,
) -> FaceInputs:
    """Orthographic view of the head, turned to its left and leaning to its left."""
    yaw, roll = math.radians(yaw_deg), math.radians(roll_deg)
    x = head[:, 0] * math.cos(yaw) + head[:, 2] * math.sin(yaw)
    y = head[:, 1]
    x, y = x * math.cos(roll) + y * math.sin(roll), y * math.cos(roll) - x * math.sin(roll)
    return FaceInputs(
        points_px=np.column_stack([MIDDLE_PX[0] + PX_PER_CM * x, MIDDLE_PX[1] - PX_PER_CM * y]),
        relief_px=PX_PER_CM * (head[:, 2] - head[list(_PUPILS), 2].mean()),
        yaw_deg=yaw_deg,
        pitch_deg=0.0,
        mm_per_px=MM_PER_PX,
        midline=midline,
    )
