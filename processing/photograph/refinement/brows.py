"""The upper edge of the brow: where forehead becomes hair.

Sought in a strip that follows the detected edge, so that a brow that is higher
or lower as a whole is a straight line in it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates, maximum_filter1d

from processing.landmarks import LANDMARKS
from processing.photograph.refinement.patch import FacePatch, Located, Locations, on_both_sides
from processing.photograph.refinement.paths import best_path
from processing.photograph.refinement.window import WINDOW_MM_PER_PX, Window, smoothed, window

# MediaPipe's points on the upper edge of the right brow, from lateral to medial.
_UPPER_EDGE: Final = (70, 63, 105, 66, 107)
_READ: Final = tuple(LANDMARKS[f"brow_{part}_right"] for part in ("lateral", "peak", "medial"))

# How far from the detected edge the search goes, in mm.
_HIGHER_MM: Final = 10.0
_LOWER_MM: Final = 9.0
_MARGIN_MM: Final = 8.0
# The detected edge is not trusted, but among equals the nearer is taken.
_PRIOR_MM: Final = 12.0

_EDGE_MM: Final = 1.0
# Contrast over one width of the edge: where it counts in full, and where there is none.
_FULL_EDGE: Final = 0.15
_LEAST_EDGE: Final = 0.03
# Above the brow is skin as bright as the forehead further up. Above the rim of
# spectacles is the brow, above a strand of hair is hair.
_FOREHEAD_MM: Final = 9.0
_ABOVE_EDGE_MM: Final = 2.0
_DARKER_THAN_FOREHEAD: Final = 0.12

_SECOND_LOOK_MM: Final = 1.5
_STEEPEST_PX: Final = 1
_STIFFNESS: Final = 0.3
_NEIGHBOURHOOD_MM: Final = 3.0
_WHOLE_BROW_SHARE: Final = 0.03
_LEAST_CLEAR_SHARE: Final = 0.4

_LEAST_UNCERTAINTY_MM: Final = 0.4
_SPREAD_SHARE: Final = 0.5
_UNSEEN_UNCERTAINTY_MM: Final = 1.5
_WELL_SEEN: Final = 0.5
_RESOLUTION_SHARE: Final = 0.2


@dataclass(frozen=True, slots=True, eq=False)
class _Strip:
    """What lies above and below the detected edge, by column along it."""

    columns: NDArray[np.float64] = field(repr=False)
    edge_rows: NDArray[np.float64] = field(repr=False)
    brightness: NDArray[np.float64] = field(repr=False)
    margin: int


def locate_brows(patch: FacePatch) -> Locations:
    """Lateral, highest and medial point of the upper edge of both brows.

    A point's column is the detected one: along a brow there is nothing to see.

    Parameters
    ----------
    patch : FacePatch

    Returns
    -------
    mapping of int to Located
        Without a side where less than half of the brow has an edge.
    """
    return on_both_sides(_locate_right, patch)


def _locate_right(patch: FacePatch) -> Locations:
    part = _brow_window(patch)
    strip = _strip(patch, part)
    edge = _edge(strip)
    allowed = edge[strip.margin : -strip.margin]
    offsets = np.arange(len(allowed)) * WINDOW_MM_PER_PX - _HIGHER_MM
    likely = allowed - (offsets[:, None] / _PRIOR_MM) ** 2
    first = best_path(likely, _STEEPEST_PX, _STIFFNESS)
    # The preference would pull a soft edge toward the detected one: not in the last word.
    far = np.abs(np.arange(len(allowed))[:, None] - first) > _SECOND_LOOK_MM / WINDOW_MM_PER_PX
    path = best_path(np.where(far, -np.inf, allowed), _STEEPEST_PX, _STIFFNESS)
    clear = _along(allowed, path)
    if (clear > _LEAST_EDGE / _FULL_EDGE).mean() < _LEAST_CLEAR_SHARE:
        return {}
    offset_px = path - _HIGHER_MM / WINDOW_MM_PER_PX
    return {
        index: _point(part, strip, offset_px, clear, part.here(patch.points_px[index]), patch)
        for index in _READ
    }


def _brow_window(patch: FacePatch) -> Window:
    edge = patch.points_px[list(_UPPER_EDGE)]
    above = _HIGHER_MM + _MARGIN_MM + 1.0
    below = _LOWER_MM + _MARGIN_MM + 1.0
    low = edge.min(axis=0) - np.array([3.0, above]) / patch.mm_per_px
    high = edge.max(axis=0) + np.array([3.0, below]) / patch.mm_per_px
    return window(patch, low, high)


def _strip(patch: FacePatch, part: Window) -> _Strip:
    edge = part.here(patch.points_px[list(_UPPER_EDGE)])
    columns = np.arange(np.ceil(edge[:, 0].min()), np.floor(edge[:, 0].max()) + 1)
    order = np.argsort(edge[:, 0])
    edge_rows = np.interp(columns, edge[order, 0], edge[order, 1])
    above = round((_HIGHER_MM + _MARGIN_MM) / WINDOW_MM_PER_PX)
    below = round((_LOWER_MM + _MARGIN_MM) / WINDOW_MM_PER_PX)
    rows = edge_rows + np.arange(-above, below + 1)[:, None]
    brightness = map_coordinates(
        part.brightness(), [rows, np.broadcast_to(columns, rows.shape)], order=1, mode="nearest"
    )
    return _Strip(columns, edge_rows, brightness, round(_MARGIN_MM / WINDOW_MM_PER_PX))


def _edge(strip: _Strip) -> NDArray[np.float64]:
    """How much each place of the strip is an edge from bright skin above to hair, 0..1."""
    darker = -smoothed(strip.brightness, _EDGE_MM, (1, 0)) * _EDGE_MM
    even = smoothed(strip.brightness, _EDGE_MM)
    skin = _shifted_down(even, round(_ABOVE_EDGE_MM / WINDOW_MM_PER_PX))
    further_px = round(_FOREHEAD_MM / WINDOW_MM_PER_PX / 2)
    around = maximum_filter1d(skin, 2 * further_px + 1, axis=0, mode="nearest")
    forehead = _shifted_down(around, further_px)
    shade = np.maximum(0.0, forehead - skin)
    clear: NDArray[np.float64] = np.clip(darker, 0.0, _FULL_EDGE) / _FULL_EDGE
    return clear * np.exp(-shade / _DARKER_THAN_FOREHEAD)


def _shifted_down(values: NDArray[np.float64], rows: int) -> NDArray[np.float64]:
    """What lies `rows` above each place; of the topmost row where that is outside."""
    above: NDArray[np.float64] = values[np.maximum(np.arange(len(values)) - rows, 0)]
    return above


def _along(values: NDArray[np.float64], path: NDArray[np.float64]) -> NDArray[np.float64]:
    rows = np.clip(np.round(path).astype(np.int64), 0, len(values) - 1)
    along: NDArray[np.float64] = values[rows, np.arange(values.shape[1])]
    return along


def _point(
    part: Window,
    strip: _Strip,
    offset_px: NDArray[np.float64],
    clear: NDArray[np.float64],
    detected: NDArray[np.float64],
    patch: FacePatch,
) -> Located:
    """The edge near a detected point; by the whole brow where it is not seen there."""
    away_mm = (strip.columns - detected[0]) * WINDOW_MM_PER_PX
    near = np.exp(-0.5 * (away_mm / _NEIGHBOURHOOD_MM) ** 2)
    weight = clear * (near + _WHOLE_BROW_SHARE)
    offset = float(weight @ offset_px / weight.sum())
    seen = float((clear * near).sum() / near.sum())
    spread_mm = float(np.sqrt(weight @ (offset_px - offset) ** 2 / weight.sum())) * WINDOW_MM_PER_PX
    uncertainty = math.hypot(
        _LEAST_UNCERTAINTY_MM,
        _RESOLUTION_SHARE * patch.mm_per_px,
        _SPREAD_SHARE * spread_mm,
        _UNSEEN_UNCERTAINTY_MM * max(0.0, _WELL_SEEN - seen),
    )
    row = float(np.interp(detected[0], strip.columns, strip.edge_rows)) + offset
    return part.located(float(detected[0]), row, uncertainty)
