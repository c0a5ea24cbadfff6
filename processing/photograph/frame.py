"""The face's own frame in a photograph: midline, horizontal, and the turn taken out.

x runs from the midline to the patient's left, y upward from the line between
the pupils, both in pixels of the photograph.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processing.landmarks import LANDMARKS

# MediaPipe's depth exaggerates how far a landmark moves sideways when a head
# turns: 0.82 times on renders of ICT-FaceKit heads, about 1.0 times on a head
# made of MediaPipe's own canonical face. It scales the yaw that is reported; in
# the corrected distances it cancels.
RELIEF_GAIN: Final = 0.9

# The upper face, which lower-face atrophy and palsy of the mouth leave alone.
MIDLINE_PAIRS: Final = ("iris_centre", "endocanthion", "exocanthion")


@dataclass(frozen=True, slots=True)
class FaceInputs:
    """What every measure of a photograph is computed from.

    Parameters
    ----------
    points_px : (478, 2) float64 array
        Landmarks, (column, row).
    depth_px : (478,) float64 array
        Depth of the landmarks; smaller is nearer.
    mirror : (478,) int64 array
        Left-right partner of each landmark.
    yaw_deg : float
        Turn of the head, + to the patient's left.
    relief_gain : float
        What the depth is multiplied by.
    mm_per_px : float
        Scale at the face.
    """

    points_px: NDArray[np.float64] = field(repr=False)
    depth_px: NDArray[np.float64] = field(repr=False)
    mirror: NDArray[np.int64] = field(repr=False)
    yaw_deg: float
    relief_gain: float
    mm_per_px: float

    def with_point_moved(self, index: int, axis: int, by_px: float) -> FaceInputs:
        """The same with one coordinate of one landmark moved."""
        points = self.points_px.copy()
        points[index, axis] += by_px
        return replace(self, points_px=points)


@dataclass(frozen=True, slots=True)
class FaceFrame:
    """Landmarks in the face's own frame.

    Parameters
    ----------
    origin_px : (2,) float64 array
        Where the midline crosses the line between the pupils, (column, row).
    left : (2,) float64 array
        Unit vector in the photograph toward the patient's left.
    up : (2,) float64 array
        Unit vector in the photograph upward along the midline.
    seen : (478, 2) float64 array
        x, y as seen in the photograph.
    corrected : (478, 2) float64 array
        x, y with the turn of the head taken out of x.
    """

    origin_px: NDArray[np.float64] = field(repr=False)
    left: NDArray[np.float64] = field(repr=False)
    up: NDArray[np.float64] = field(repr=False)
    seen: NDArray[np.float64] = field(repr=False)
    corrected: NDArray[np.float64] = field(repr=False)

    def point(self, name: str) -> NDArray[np.float64]:
        """A named landmark with the turn taken out, (2,)."""
        where: NDArray[np.float64] = self.corrected[LANDMARKS[name]]
        return where


def face_frame(inputs: FaceInputs) -> FaceFrame:
    """Find the midline and take the turn of the head out of the horizontal distances.

    The midline is perpendicular to the line between the pupils and passes
    through the mean of the midpoints of `MIDLINE_PAIRS`. A point at distance x
    from the midline that lies h nearer to the viewer than the eyes is seen, in a
    head turned by yaw, at ``x cos(yaw) + h sin(yaw)`` (orthographic view); h is
    the mean over a landmark and its partner, so that it is free of the turn.

    Raises
    ------
    ValueError
        If both pupils are at the same place.
    """
    right_pupil = inputs.points_px[LANDMARKS["iris_centre_right"]]
    left_pupil = inputs.points_px[LANDMARKS["iris_centre_left"]]
    across = left_pupil - right_pupil
    length = float(np.hypot(*across))
    if length <= 0:
        raise ValueError("both pupils are at the same place: there is no midline")
    left = across / length
    up = np.array([left[1], -left[0]])
    from_eyes = inputs.points_px - (left_pupil + right_pupil) / 2
    seen = np.column_stack([from_eyes @ left, from_eyes @ up])

    relief = relief_px(inputs.depth_px, inputs.mirror, inputs.relief_gain)
    yaw = math.radians(inputs.yaw_deg)
    corrected = seen.copy()
    # Seen in the turned head the mean relief of a pair is h cos(yaw).
    corrected[:, 0] = (seen[:, 0] - relief * math.tan(yaw)) / math.cos(yaw)

    seen_offset, corrected_offset = _midline_of(seen), _midline_of(corrected)
    seen[:, 0] -= seen_offset
    corrected[:, 0] -= corrected_offset
    return FaceFrame(
        origin_px=(left_pupil + right_pupil) / 2 + seen_offset * left,
        left=left,
        up=up,
        seen=seen,
        corrected=corrected,
    )


def relief_px(
    depth_px: NDArray[np.float64], mirror: NDArray[np.int64], gain: float
) -> NDArray[np.float64]:
    """How far each landmark stands out toward the viewer from the plane of the irises.

    Parameters
    ----------
    depth_px : (478,) float64 array
        As detected; smaller is nearer.
    mirror : (478,) int64 array
        Left-right partner of each landmark; the relief is the mean of both.
    gain : float
        What the detected depth is multiplied by.

    Returns
    -------
    (478,) float64 array
        In pixels.
    """
    relief = -gain * (depth_px + depth_px[mirror]) / 2
    above_irises: NDArray[np.float64] = relief - relief[LANDMARKS["iris_centre_left"]]
    return above_irises


def _midline_of(points: NDArray[np.float64]) -> float:
    both_sides = [
        LANDMARKS[f"{pair}_{side}"] for pair in MIDLINE_PAIRS for side in ("left", "right")
    ]
    return float(points[both_sides, 0].mean())
