"""Landmarks that a reviewer placed, put into a face, or made into one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processing.detected_face import DetectedFace, face_with_pose
from processing.face_model import LANDMARKS_WITH_IRISES, CanonicalFace
from processing.landmarks import FACE_OVAL, LANDMARKS, PAIRED_LANDMARKS
from processing.photograph.edits import Point

# The places of named landmarks along the contour.
_NAMED_ON_CONTOUR: Final = tuple(
    place for place, index in enumerate(FACE_OVAL) if index in LANDMARKS.values()
)
# A report that was read back holds every place in single precision.
_UNMOVED_PX: Final = 0.02
# The weight of the frontal view against the landmarks, as depth of one more landmark.
_FRONTAL_CM: Final = 3.0
_LEAST_SPREAD_CM: Final = 0.5
_IRIS_EDGES: Final = ("iris_superius", "iris_inferius", "iris_temporal", "iris_nasal")


@dataclass(frozen=True, slots=True, eq=False)
class PlacedFace:
    """Landmarks with a reviewer's edits.

    Parameters
    ----------
    points_px : (478, 2) float64 array
    edited : frozenset of int
        Indices of the landmarks that the reviewer placed.
    moved_px : mapping of str to float
        How far each of them was moved, by name.
    """

    points_px: NDArray[np.float64] = field(repr=False)
    edited: frozenset[int]
    moved_px: Mapping[str, float]


def with_edits(points_px: NDArray[np.float64], edits: Mapping[str, Point]) -> PlacedFace:
    """Put a reviewer's landmarks in the place of those that were found.

    The edges of an iris follow its centre unless they were placed themselves. The
    unnamed points of the contour follow the named ones on either side, in
    proportion to how near these are. A landmark that was given back where it was
    found is none that a reviewer placed.

    Parameters
    ----------
    points_px : (478, 2) float64 array
        As found.
    edits : mapping of str to (column, row)

    Raises
    ------
    ValueError
        If a pair of landmarks has exchanged its sides.
    """
    moved = {
        name: float(np.hypot(*(np.array(place) - points_px[LANDMARKS[name]])))
        for name, place in edits.items()
    }
    moved = {name: distance for name, distance in moved.items() if distance > _UNMOVED_PX}
    points = points_px.copy()
    for side in ("left", "right"):
        centre = f"iris_centre_{side}"
        if centre in moved:
            by = np.array(edits[centre]) - points_px[LANDMARKS[centre]]
            points[[LANDMARKS[f"{edge}_{side}"] for edge in _IRIS_EDGES]] += by
    for name in moved:
        points[LANDMARKS[name]] = edits[name]
    _check_sides(points, moved)
    _carry_contour(points, points_px)
    return PlacedFace(points, frozenset(LANDMARKS[name] for name in moved), moved)


def _check_sides(points: NDArray[np.float64], edited: Iterable[str]) -> None:
    """See that no edited pair has exchanged its sides.

    So are the places that reports before version 2.2.0 told of a photograph that is
    stored mirrored: they lay in the picture turned back.
    """
    for name in edited:
        structure = name.removesuffix("_left").removesuffix("_right")
        if structure not in PAIRED_LANDMARKS:
            continue
        right, left = PAIRED_LANDMARKS[structure]
        if points[left, 0] <= points[right, 0]:
            raise ValueError(
                f"{structure} has its left and right point exchanged; left is the patient's, and "
                "of a photograph that is stored mirrored, places are those in the stored picture "
                "(reports of photograph-symmetry before 2.2.0 had them mirrored: edit a newer one)"
            )


def _carry_contour(points: NDArray[np.float64], automatic: NDArray[np.float64]) -> None:
    count = len(FACE_OVAL)
    named = np.array(_NAMED_ON_CONTOUR)
    contour = list(FACE_OVAL)
    by = (points - automatic)[contour][named]
    unnamed = np.setdiff1d(np.arange(count), named)
    for axis in (0, 1):
        carried = np.interp(unnamed, named, by[:, axis], period=count)
        points[np.array(contour)[unnamed], axis] += carried


def missing_landmarks(edits: Mapping[str, Point], needed: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the landmarks that are needed and were not placed."""
    return tuple(name for name in needed if name not in edits)


def face_of_landmarks(edits: Mapping[str, Point], canonical: CanonicalFace) -> DetectedFace:
    """A face from a reviewer's landmarks alone, where the detector found none.

    The average face is laid over the landmarks by a similarity in space seen
    without perspective: least squares of the affine camera, then its nearest
    rotation. Few landmarks at one depth do not tell how the head was turned; the
    fit then stays near the frontal view. It gives the depth, and the place of
    what has no name.

    Parameters
    ----------
    edits : mapping of str to (column, row)
        With all that the measures need.
    canonical : CanonicalFace

    Raises
    ------
    ValueError
        If the landmarks do not form a face.
    """
    shape = _with_irises(canonical)
    indices = [LANDMARKS[name] for name in edits]
    # y upward, as in the average face.
    seen = np.array(list(edits.values())) * (1, -1)
    about = shape[indices].mean(axis=0)
    middle = seen.mean(axis=0)
    away = shape[indices] - about
    if np.linalg.matrix_rank(away[:, :2], tol=_LEAST_SPREAD_CM) < 2:
        raise ValueError("the edited landmarks lie on one line")
    camera, *_ = np.linalg.lstsq(
        np.vstack([away, (0.0, 0.0, _FRONTAL_CM)]), np.vstack([seen - middle, (0.0, 0.0)])
    )
    left, sizes, right = np.linalg.svd(camera.T, full_matrices=False)
    two_rows = left @ right
    rotation = np.vstack([two_rows, np.cross(two_rows[0], two_rows[1])])
    px_per_cm = float(sizes.mean())
    turned = px_per_cm * (shape - about) @ rotation.T
    transformation = np.eye(4)
    transformation[:3, :3] = rotation
    return face_with_pose(
        points_px=(turned[:, :2] + middle) * (1, -1),
        depth_px=-turned[:, 2],
        transformation=transformation,
        spread_px=np.zeros(LANDMARKS_WITH_IRISES),
    )


def _with_irises(canonical: CanonicalFace) -> NDArray[np.float64]:
    """The average face in cm with irises between its lids, (478, 3)."""
    shape = np.zeros((LANDMARKS_WITH_IRISES, 3))
    shape[: len(canonical.vertices_cm)] = canonical.vertices_cm
    for side in (0, 1):
        lids = [
            PAIRED_LANDMARKS[name][side] for name in ("palpebrale_superius", "palpebrale_inferius")
        ]
        for name in ("iris_centre", *_IRIS_EDGES):
            shape[PAIRED_LANDMARKS[name][side]] = shape[lids].mean(axis=0)
    return shape
