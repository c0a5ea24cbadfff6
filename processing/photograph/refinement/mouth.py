"""The corner of the mouth: where the dark line between the lips ends.

The line is a valley of brightness, between closed lips as well as in the dark
pocket beside the teeth. It is followed from the middle of the mouth outward,
and where it fades is the commissure.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processing.landmarks import LANDMARKS
from processing.photograph.refinement.patch import FacePatch, Locations, on_both_sides
from processing.photograph.refinement.paths import best_path
from processing.photograph.refinement.window import (
    WINDOW_MM_PER_PX,
    Window,
    smoothed,
    window,
)

_UPPER_LIP_INSIDE: Final = 13
_LOWER_LIP_INSIDE: Final = 14

# How far from the detected commissure the search goes, in mm.
_OUTWARD_MM: Final = 14.0
_UP_AND_DOWN_MM: Final = 18.0
# At the midline the line lies within the detected opening and this much round it;
# from there outward it may climb or fall by this slope.
_AT_MIDLINE_MM: Final = 3.0
_STEEPEST: Final = 0.75
_PATH_STEEPEST_PX: Final = 2
_PATH_STIFFNESS: Final = 0.015

_LINE_WIDTH_MM: Final = 0.7
# Contrast of the line, as second derivative times the square of its width: what a
# clear one has, and below which it may as well be a fold or a strand of a moustache.
_CLEAR_LINE: Final = 0.3
_LEAST_LINE: Final = 0.12
# No mouth is narrower, so the line is surely there at this distance from the middle.
_NEAREST_TO_MIDLINE_MM: Final = 9.0
# The line ends where it has this part of its contrast; the other two say how sharply.
# A line darker than most, as beside an open mouth, does not end where it is as dark as others.
_END: Final = 0.6
_DARK_LINE: Final = 0.36
_SHARPNESS: Final = (0.8, 0.4)
_LONGEST_GAP_MM: Final = 4.0
_BEYOND_MM: Final = 1.5
_REFERENCE_LENGTH_MM: Final = 7.0

# Across and down, from the detected commissure: it lags behind a droop of 10 mm by
# some 4 mm; what lies farther away is another line.
_FARTHEST_MM: Final = (8.6, 7.0)
_LEAST_UNCERTAINTY_MM: Final = 0.2
_BLUR_SHARE: Final = 0.18
_DISAGREEMENT_SHARE: Final = 0.1
_RESOLUTION_SHARE: Final = 0.3


def locate_mouth(patch: FacePatch) -> Locations:
    """Both commissures, where the line between the lips can be followed to its end.

    Parameters
    ----------
    patch : FacePatch

    Returns
    -------
    mapping of int to Located
        Cheilion of either side; without a side where hair or shadow hide the line.
    """
    return on_both_sides(_locate_right, patch)


def _locate_right(patch: FacePatch) -> Locations:
    part = _mouth_window(patch)
    valley = np.where(_reachable(patch, part), _valley(part.brightness()), -np.inf)
    middle = float(part.here(patch.point("stomion"))[0])
    path = best_path(
        np.where(np.isfinite(valley), np.clip(valley, _LEAST_LINE, _CLEAR_LINE), -np.inf),
        _PATH_STEEPEST_PX,
        _PATH_STIFFNESS,
    )
    end = _outer_end(_along(valley, path), middle)
    if end is None:
        return {}
    column, blur_mm = end
    row = float(np.interp(column, np.arange(len(path)), path))
    by_resolution = _RESOLUTION_SHARE * patch.mm_per_px
    away_mm = (
        np.array([column, row]) - part.here(patch.point("cheilion_right"))
    ) * WINDOW_MM_PER_PX
    if np.any(np.abs(away_mm) > _FARTHEST_MM):
        return {}
    by_disagreement = _DISAGREEMENT_SHARE * float(np.hypot(*away_mm))
    uncertainty = math.hypot(
        _LEAST_UNCERTAINTY_MM, _BLUR_SHARE * blur_mm, by_resolution, by_disagreement
    )
    return {LANDMARKS["cheilion_right"]: part.located(column, row, uncertainty)}


def _mouth_window(patch: FacePatch) -> Window:
    """From the midline to well beside the detected corner, on the patient's right."""
    corner = patch.point("cheilion_right")
    middle = patch.point("stomion")
    margin = _UP_AND_DOWN_MM / patch.mm_per_px
    low = np.array([corner[0] - _OUTWARD_MM / patch.mm_per_px, min(corner[1], middle[1]) - margin])
    high = np.array([max(middle[0], corner[0] + margin), max(corner[1], middle[1]) + margin])
    return window(patch, low, high)


def _valley(brightness: NDArray[np.float64]) -> NDArray[np.float64]:
    """How much a place is a dark line of `_LINE_WIDTH_MM`: the greater curvature, scaled.

    Greater eigenvalue of the Hessian, made independent of the scale by the square
    of it (Lindeberg 1998, Int. J. Comput. Vis. 30:117).
    """
    down = smoothed(brightness, _LINE_WIDTH_MM, (2, 0))
    across = smoothed(brightness, _LINE_WIDTH_MM, (0, 2))
    mixed = smoothed(brightness, _LINE_WIDTH_MM, (1, 1))
    greater = (down + across) / 2 + np.hypot((down - across) / 2, mixed)
    valley: NDArray[np.float64] = greater * _LINE_WIDTH_MM**2
    return valley


def _reachable(patch: FacePatch, part: Window) -> NDArray[np.bool_]:
    """Where the line may run: a wedge that opens outward from between the lips."""
    rows, columns = part.pixels.shape[:2]
    upper = part.here(patch.points_px[_UPPER_LIP_INSIDE])
    lower = part.here(patch.points_px[_LOWER_LIP_INSIDE])
    from_middle = np.maximum(0.0, upper[0] - np.arange(columns))
    reach = _AT_MIDLINE_MM / WINDOW_MM_PER_PX + _STEEPEST * from_middle
    row = np.arange(rows)[:, None]
    reachable: NDArray[np.bool_] = (row >= min(upper[1], lower[1]) - reach) & (
        row <= max(upper[1], lower[1]) + reach
    )
    return reachable


def _along(values: NDArray[np.float64], path: NDArray[np.float64]) -> NDArray[np.float64]:
    """Greatest value within one pixel of the path, in each column."""
    rows = np.clip(np.round(path).astype(np.int64), 1, len(values) - 2)
    columns = np.arange(values.shape[1])
    along: NDArray[np.float64] = np.max(
        [values[rows + each, columns] for each in (-1, 0, 1)], axis=0
    )
    return along


def _outer_end(along: NDArray[np.float64], middle: float) -> tuple[float, float] | None:
    """Column where the line ends on the left of the window, and over how many mm it fades."""
    last = int(np.clip(middle - _NEAREST_TO_MIDLINE_MM / WINDOW_MM_PER_PX, 1, len(along) - 1))
    outermost = _end_of_run(along[: last + 1])
    if outermost is None:
        return None
    length = int(_REFERENCE_LENGTH_MM / WINDOW_MM_PER_PX)
    reference = float(np.median(np.sort(along[outermost : outermost + length])[length // 2 :]))
    reference = min(reference, _DARK_LINE)
    crossings = [_crossing(along, outermost, part * reference) for part in (_END, *_SHARPNESS)]
    if any(each is None for each in crossings):
        return None
    end, sharp, faint = (float(each) for each in crossings if each is not None)
    return end, (sharp - faint) * WINDOW_MM_PER_PX


def _end_of_run(along: NDArray[np.float64]) -> int | None:
    """The outer end of the darkest stretch that can be the line, short gaps bridged."""
    dark = np.flatnonzero(along >= _LEAST_LINE)
    if len(dark) == 0:
        return None
    gap = _LONGEST_GAP_MM / WINDOW_MM_PER_PX
    breaks = np.flatnonzero(np.diff(dark) > gap)
    starts = np.concatenate([[0], breaks + 1])
    ends = np.concatenate([breaks, [len(dark) - 1]])
    weights = [along[dark[s] : dark[e] + 1].sum() for s, e in zip(starts, ends, strict=True)]
    start = int(dark[starts[int(np.argmax(weights))]])
    return start if start > 0 else None


def _crossing(along: NDArray[np.float64], start: int, level: float) -> float | None:
    """Where the line's contrast, coming from outside, first reaches a level."""
    above = np.flatnonzero(along >= level)
    above = above[above >= start - int(_BEYOND_MM / WINDOW_MM_PER_PX)]
    if len(above) == 0 or above[0] == 0:
        return None
    at = int(above[0])
    before, here = along[at - 1], along[at]
    return at - 1 + float((level - before) / (here - before)) if here > before else float(at)
