"""A face that was found in a picture, and how several answers for one face are joined."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

SAME_FACE_DISTANCE: Final = 0.5
"""Of the larger face's size: two answers nearer to each other mean the same face."""


@dataclass(frozen=True, slots=True, eq=False)
class DetectedFace:
    """A face that was found in a picture.

    Parameters
    ----------
    points_px : (478, 2) float64 array
        (column, row), origin at the centre of the picture's first pixel.
    depth_px : (478,) float64 array
        Distance from the viewer in pixels at the scale of the face, relative
        to the face's own centre; smaller is nearer.
    transformation : (4, 4) float64 array
        Maps the canonical face (cm) into the frame of a camera that looks
        straight at the middle of the face: x to the right of the picture, y up,
        z toward the viewer.
    yaw_deg : float
        Turn about the vertical; + when the face is turned to the patient's left.
    pitch_deg : float
        Nod; + when the face is turned upward.
    roll_deg : float
        Tilt in the picture; + when the top of the head leans to the patient's
        left. The rotation is Ry(yaw) Rx(-pitch) Rz(-roll).
    spread_px : (478,) float64 array
        Half the distance between the answers for the picture and for its
        mirror image; NaN when only the picture itself was asked.
    """

    points_px: NDArray[np.float64] = field(repr=False)
    depth_px: NDArray[np.float64] = field(repr=False)
    transformation: NDArray[np.float64] = field(repr=False)
    yaw_deg: float
    pitch_deg: float
    roll_deg: float
    spread_px: NDArray[np.float64] = field(repr=False)

    @property
    def centre_px(self) -> NDArray[np.float64]:
        """Middle of the points' bounding box, (2,), column and row."""
        low, high = self.points_px.min(axis=0), self.points_px.max(axis=0)
        middle: NDArray[np.float64] = (low + high) / 2
        return middle

    @property
    def size_px(self) -> float:
        """The longer side of the points' bounding box."""
        return float(np.ptp(self.points_px, axis=0).max())


def face_with_pose(
    points_px: NDArray[np.float64],
    depth_px: NDArray[np.float64],
    transformation: NDArray[np.float64],
    spread_px: NDArray[np.float64],
) -> DetectedFace:
    """Make a face, with the angles of its rotation.

    Parameters
    ----------
    points_px, depth_px, transformation, spread_px
        As in `DetectedFace`.
    """
    rotation = transformation[:3, :3]
    yaw = np.arctan2(rotation[0, 2], rotation[2, 2])
    pitch = np.arctan2(rotation[1, 2], np.hypot(rotation[1, 0], rotation[1, 1]))
    roll = np.arctan2(-rotation[1, 0], rotation[1, 1])
    return DetectedFace(
        points_px=points_px,
        depth_px=depth_px,
        transformation=transformation,
        yaw_deg=float(np.degrees(yaw)),
        pitch_deg=float(np.degrees(pitch)),
        roll_deg=float(np.degrees(roll)),
        spread_px=spread_px,
    )


def mean_face(faces: list[DetectedFace]) -> DetectedFace:
    """Mean of several answers for one face; the spread is taken from the first."""
    mean = np.mean([each.transformation for each in faces], axis=0)
    left, _, right = np.linalg.svd(mean[:3, :3])
    mean[:3, :3] = left @ right
    return face_with_pose(
        points_px=np.mean([each.points_px for each in faces], axis=0),
        depth_px=np.mean([each.depth_px for each in faces], axis=0),
        transformation=mean,
        spread_px=faces[0].spread_px,
    )


def mean_of_both_ways(straight: DetectedFace, mirrored: DetectedFace) -> DetectedFace:
    """Mean of the answers for a picture and for its mirror image; the spread is filled.

    Parameters
    ----------
    straight, mirrored : DetectedFace
        Both in the picture as it is.
    """
    both = mean_face([straight, mirrored])
    apart = np.linalg.norm(straight.points_px - mirrored.points_px, axis=1)
    return face_with_pose(both.points_px, both.depth_px, both.transformation, apart / 2)


def joined_faces(
    straight: tuple[DetectedFace, ...], mirrored: tuple[DetectedFace, ...]
) -> tuple[DetectedFace, ...]:
    """Each face once: averaged where both searches saw it."""
    left_over = list(mirrored)
    joined = []
    for face in straight:
        same = next((each for each in left_over if _is_same(face, each)), None)
        if same is None:
            joined.append(face)
        else:
            left_over.remove(same)
            joined.append(mean_of_both_ways(face, same))
    return distinct_faces([*joined, *left_over])


def _is_same(one: DetectedFace, other: DetectedFace) -> bool:
    distance = float(np.linalg.norm(one.centre_px - other.centre_px))
    return distance < SAME_FACE_DISTANCE * max(one.size_px, other.size_px)


def distinct_faces(faces: list[DetectedFace]) -> tuple[DetectedFace, ...]:
    """Faces without those that are another one found again; the largest is kept."""
    kept: list[DetectedFace] = []
    for face in largest_first(tuple(faces)):
        if not any(_is_same(face, each) for each in kept):
            kept.append(face)
    return tuple(kept)


def largest_first(faces: tuple[DetectedFace, ...]) -> tuple[DetectedFace, ...]:
    """Faces by size."""
    return tuple(sorted(faces, key=lambda each: -each.size_px))
