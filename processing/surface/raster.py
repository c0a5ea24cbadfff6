"""Triangles drawn into a grid of heights: the outermost surface at each pixel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processing.measurement import RejectedInput

# What one pass may hold, and what all passes together may cost, in triangle-pixel tests.
_PASS_TESTS: Final = 2_000_000
_MOST_TESTS: Final = 300_000_000

HeightsOf = Callable[[NDArray[np.intp], NDArray[np.int64], NDArray[np.int64]], NDArray[np.float64]]


def may_cover(
    places_px: NDArray[np.float64], triangles: NDArray[np.int64], shape: tuple[int, int]
) -> NDArray[np.intp]:
    """Which triangles have the centre of a pixel in their bounding box, (k,) indices.

    Of a mesh that is finer than the grid these are few.

    Parameters
    ----------
    places_px, triangles, shape
        As of `draw_heights`.
    """
    low, high = _pixel_bounds(places_px, triangles, shape)
    return np.flatnonzero((high >= low).all(axis=1))


def draw_heights(
    places_px: NDArray[np.float64],
    triangles: NDArray[np.int64],
    shape: tuple[int, int],
    heights_of: HeightsOf,
) -> NDArray[np.float64]:
    """The greatest height over each pixel's centre.

    Parameters
    ----------
    places_px : (n, 2) float64 array
        (column, row) of each vertex; the origin is the centre of the first pixel.
    triangles : (m, 3) int64 array
    shape : (rows, columns)
    heights_of : callable
        Heights at pixels: takes the indices of triangles (k,), and columns (k,)
        and rows (k,) of pixel centres inside them.

    Returns
    -------
    (rows, columns) float64 array
        NaN where no triangle covers the pixel's centre.

    Raises
    ------
    RejectedInput
        If the triangles overlap so much that drawing them is out of proportion.
    """
    rows, columns = shape
    low, high = _pixel_bounds(places_px, triangles, shape)
    size = np.maximum(high[:, 0] - low[:, 0], high[:, 1] - low[:, 1]) + 1
    covering = np.flatnonzero((high >= low).all(axis=1))
    corners = places_px[triangles]
    if int((size[covering] ** 2).sum()) > _MOST_TESTS:
        raise RejectedInput(
            "the surface folds over itself too often to be a scan of a face; "
            "clean it in the scanner's software"
        )
    heights = np.full(rows * columns, -np.inf)
    for side in np.unique(size[covering]):
        group = covering[size[covering] == side]
        offset_rows, offset_columns = np.divmod(np.arange(side * side), side)
        for part in np.array_split(group, -(-len(group) * side * side // _PASS_TESTS)):
            column = low[part, :1] + offset_columns
            row = low[part, 1:] + offset_rows
            inside = _inside(corners[part], column, row)
            inside &= (column <= high[part, :1]) & (row <= high[part, 1:])
            which, pixel = np.nonzero(inside)
            at_column, at_row = column[which, pixel], row[which, pixel]
            values = heights_of(part[which], at_column, at_row)
            np.maximum.at(heights, at_row * columns + at_column, values)
    heights[np.isneginf(heights)] = np.nan
    return heights.reshape(shape)


def _pixel_bounds(
    places_px: NDArray[np.float64], triangles: NDArray[np.int64], shape: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and last pixel centre, (column, row), within each triangle's bounding box."""
    first, second, third = (places_px[triangles[:, corner]] for corner in range(3))
    least = np.minimum(np.minimum(first, second), third)
    most = np.maximum(np.maximum(first, second), third)
    low = np.maximum(np.ceil(least), 0).astype(np.int64)
    high = np.minimum(np.floor(most), (shape[1] - 1, shape[0] - 1)).astype(np.int64)
    return low, high


def _inside(
    corners: NDArray[np.float64], column: NDArray[np.int64], row: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Whether pixel centres (k, p) lie in triangles (k, 3, 2), of either winding."""
    edges = np.roll(corners, -1, axis=1) - corners
    winding = edges[:, 0, 0] * edges[:, 1, 1] - edges[:, 0, 1] * edges[:, 1, 0]
    edges = edges * np.where(winding < 0, -1.0, 1.0)[:, None, None]
    along, across = edges[..., 0], edges[..., 1]
    constant = across * corners[..., 0] - along * corners[..., 1]
    inside = np.ones(column.shape, bool)
    for side in range(3):
        height = along[:, side, None] * row - across[:, side, None] * column
        inside &= height >= -constant[:, side, None]
    return inside
