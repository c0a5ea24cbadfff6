"""The upright cut-out of a face in which landmarks are sought, and how one is handed back.

Every locator is written for the patient's right side, which is the left of the
picture, and asked a second time about the mirror image. So a mirrored
photograph gives mirrored landmarks by construction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from processing.detected_face import DetectedFace
from processing.landmarks import LANDMARKS
from processing.photograph.scale import IRIS_DIAMETER_MM, iris_diameter_px
from processing.resampling import affinely_resampled

LARGEST_PUPIL_DISTANCE_PX: Final = 240.0
"""About 0.26 mm a pixel: an edge is placed to a fraction of it."""

# What the patch shows, in distances between the pupils from the point midway between them.
_TO_EITHER_SIDE: Final = 1.7
_ABOVE: Final = 1.7
_BELOW: Final = 2.5

Locations = Mapping[int, "Located"]
"""Where landmarks are, by their index among the 478."""


class Located(NamedTuple):
    """A landmark found on the picture.

    Parameters
    ----------
    column, row : float
        In the patch, origin at the centre of its first pixel.
    uncertainty_px : float
        Standard uncertainty of each coordinate, in pixels of the patch.
    """

    column: float
    row: float
    uncertainty_px: float


@dataclass(frozen=True, slots=True, eq=False)
class FacePatch:
    """A face cut out upright: the line between the pupils is level.

    Parameters
    ----------
    pixels : (rows, columns, 3) uint8 array
        sRGB; black where the patch leaves the picture.
    inside : (rows, columns) bool array
        Where the patch shows the picture.
    points_px : (478, 2) float64 array
        The detected landmarks, (column, row) in the patch.
    mirror : (478,) int64 array
        Left-right partner of each landmark.
    picture_from_patch : (2, 3) float64 array
        Maps (column, row, 1) of the patch to (column, row) of the picture: a
        similarity, with a reflection in a mirrored patch.
    mm_per_px : float
        Of the patch, by the detected iris: rough, for sizes of search windows.
    """

    pixels: NDArray[np.uint8] = field(repr=False)
    inside: NDArray[np.bool_] = field(repr=False)
    points_px: NDArray[np.float64] = field(repr=False)
    mirror: NDArray[np.int64] = field(repr=False)
    picture_from_patch: NDArray[np.float64] = field(repr=False)
    mm_per_px: float

    @property
    def picture_px_per_px(self) -> float:
        """How many pixels of the picture one pixel of the patch spans; at least 1."""
        return float(np.hypot(*self.picture_from_patch[:, 0]))

    def point(self, name: str) -> NDArray[np.float64]:
        """A detected landmark by its name, (2,)."""
        where: NDArray[np.float64] = self.points_px[LANDMARKS[name]]
        return where

    def in_picture(self, points_px: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where points of the patch, (n, 2), lie in the picture, (n, 2)."""
        linear, shift = self.picture_from_patch[:, :2], self.picture_from_patch[:, 2]
        where: NDArray[np.float64] = points_px @ linear.T + shift
        return where

    def with_points(self, found: Locations) -> FacePatch:
        """The same with landmarks moved to where they were found."""
        points = self.points_px.copy()
        for index, where in found.items():
            points[index] = where.column, where.row
        return replace(self, points_px=points)

    def mirrored(self) -> FacePatch:
        """The patch seen in a mirror: left and right of picture and landmarks change places."""
        last = self.pixels.shape[1] - 1
        points = self.points_px[self.mirror].copy()
        points[:, 0] = last - points[:, 0]
        flip = np.array([[-1.0, 0.0, last], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
        return FacePatch(
            pixels=self.pixels[:, ::-1],
            inside=self.inside[:, ::-1],
            points_px=points,
            mirror=self.mirror,
            picture_from_patch=self.picture_from_patch @ flip,
            mm_per_px=self.mm_per_px,
        )


def face_patch(
    pixels: NDArray[np.uint8],
    face: DetectedFace,
    mirror: NDArray[np.int64],
    largest_pupil_distance_px: float = LARGEST_PUPIL_DISTANCE_PX,
) -> FacePatch:
    """Cut a face out upright, no finer than the picture itself.

    Parameters
    ----------
    pixels : (rows, columns, 3) uint8 array
        sRGB.
    face : DetectedFace
        As found in `pixels`.
    mirror : (478,) int64 array
        Left-right partner of each landmark.
    largest_pupil_distance_px : float
        Distance between the pupils in the patch; less where the picture has less.

    Raises
    ------
    ValueError
        If both pupils are at the same place or the irises have no width.
    """
    right, left = (face.points_px[LANDMARKS[f"iris_centre_{side}"]] for side in ("right", "left"))
    across = left - right
    distance = float(np.hypot(*across))
    iris = iris_diameter_px(face.points_px)
    if distance <= 0 or iris <= 0:
        raise ValueError("pupils or irises have no extent: there is no face to cut out")
    spanned = max(1.0, distance / largest_pupil_distance_px)
    across = across / distance * spanned
    down = np.array([-across[1], across[0]])

    half = int(np.ceil(_TO_EITHER_SIDE * distance / spanned))
    above = int(np.ceil(_ABOVE * distance / spanned))
    below = int(np.ceil(_BELOW * distance / spanned))
    linear = np.column_stack([across, down])
    # An even number of columns, so that the midline is the middle of the patch.
    shift = (right + left) / 2 - linear @ np.array([half - 0.5, above])
    matrix = np.column_stack([linear, shift])
    size = (2 * half, above + below + 1)
    return FacePatch(
        pixels=_cut_out(pixels, matrix, size),
        inside=_inside(pixels.shape[1], pixels.shape[0], matrix, size),
        points_px=(face.points_px - shift) @ np.linalg.inv(linear).T,
        mirror=mirror,
        picture_from_patch=matrix,
        mm_per_px=IRIS_DIAMETER_MM / iris * spanned,
    )


def on_both_sides(locate: Callable[[FacePatch], Locations], patch: FacePatch) -> Locations:
    """Ask a locator of the patient's right side about both sides.

    Parameters
    ----------
    locate : callable
        Finds landmarks of the right side, which lies at the left of the patch.
    patch : FacePatch

    Returns
    -------
    mapping of int to Located
        Of both sides, in `patch`.
    """
    last = patch.pixels.shape[1] - 1
    found = dict(locate(patch))
    for index, where in locate(patch.mirrored()).items():
        partner = int(patch.mirror[index])
        found[partner] = where._replace(column=last - where.column)
    return found


def _cut_out(
    pixels: NDArray[np.uint8], matrix: NDArray[np.float64], size: tuple[int, int]
) -> NDArray[np.uint8]:
    """Resample in two steps: reduced with a filter first, then turned."""
    rows, columns = pixels.shape[:2]
    low, high = _bounds(matrix, size)
    left, top = (max(0, int(np.floor(each)) - 2) for each in low)
    right = min(columns, int(np.ceil(high[0])) + 3)
    bottom = min(rows, int(np.ceil(high[1])) + 3)
    if right <= left or bottom <= top:
        return np.zeros((size[1], size[0], 3), np.uint8)
    window = Image.fromarray(np.ascontiguousarray(pixels[top:bottom, left:right]))
    spanned = float(np.hypot(*matrix[:, 0]))
    reduced_size = (
        max(1, round((right - left) / spanned)),
        max(1, round((bottom - top) / spanned)),
    )
    # Without Pillow's reducing gap, whose cells would start at the left edge of the window only.
    reduced = window.resize(reduced_size, Image.Resampling.HAMMING)
    scale = np.array([reduced_size[0] / (right - left), reduced_size[1] / (bottom - top)])
    # The first pixel's centre, from which is counted, lies half a pixel inside the window.
    shift = (matrix[:, 2] + 0.5 - (left, top)) * scale - 0.5
    old_from_new = np.column_stack([matrix[:, :2] * scale[:, None], shift])
    return affinely_resampled(np.asarray(reduced), old_from_new, *size)


def _bounds(
    matrix: NDArray[np.float64], size: tuple[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    last_column, last_row = size[0] - 1, size[1] - 1
    corners = np.array([(0, 0), (last_column, 0), (0, last_row), (last_column, last_row)])
    where = corners @ matrix[:, :2].T + matrix[:, 2]
    return where.min(axis=0), where.max(axis=0)


def _inside(
    columns: int, rows: int, matrix: NDArray[np.float64], size: tuple[int, int]
) -> NDArray[np.bool_]:
    low, high = _bounds(matrix, size)
    # The patch is a rectangle: with its corners all of it is inside.
    if (low >= 0).all() and (high <= (columns - 1, rows - 1)).all():
        return np.ones((size[1], size[0]), dtype=np.bool_)
    across, down = np.arange(size[0]), np.arange(size[1])[:, None]
    column = matrix[0, 0] * across + (matrix[0, 1] * down + matrix[0, 2])
    row = matrix[1, 0] * across + (matrix[1, 1] * down + matrix[1, 2])
    inside: NDArray[np.bool_] = (
        (column >= 0) & (column <= columns - 1) & (row >= 0) & (row <= rows - 1)
    )
    return inside
