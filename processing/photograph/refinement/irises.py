"""The iris as a circle through its limbus, where the lids leave it free.

First the circle with the greatest mean radial contrast is sought
(Daugman 1993, IEEE Trans. PAMI 15:1148), on the arcs beside the pupil only;
then a circle is fitted to those limbus points that lie between the lids'
margins, outliers weighted down. Both irises of a face have one radius: under
heavy lids it is what tells how high the circle sits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from processing.landmarks import LANDMARKS
from processing.photograph.refinement.lids import (
    LidMargins,
    iris_radius_px,
    right_lid_margins,
)
from processing.photograph.refinement.patch import FacePatch, Locations, on_both_sides
from processing.photograph.refinement.window import WINDOW_MM_PER_PX, Window, smoothed, window
from processing.photograph.scale import IRIS_DIAMETER_MM

# Round the detected iris, whose diameter defines the patch's millimetres.
_SEARCH_MM: Final = 2.0
_SEARCH_STEP_MM: Final = 0.25
_RADII: Final = np.arange(0.86, 1.161, 0.03) * IRIS_DIAMETER_MM / 2
_MARGIN_MM: Final = 2.0

# Angles from the horizontal, + downward: the lids cover the rest of most irises.
_UPPERMOST_DEG: Final = -35.0
_LOWERMOST_DEG: Final = 50.0
_ANGLES_A_SIDE: Final = 24

_EDGE_MM: Final = 0.4
_FULL_EDGE: Final = 0.25
_LEAST_EDGE: Final = 0.04
# Of the points of the arc on each side.
_LEAST_CLEAR_SHARE: Final = 0.2

_PROFILE_MM: Final = 1.0
_PROFILE_STEP_MM: Final = 0.1
# Between lids that are nearly shut there is no circle to be seen.
_LEAST_OPENING_MM: Final = 2.0
_FROM_LID_MM: Final = 0.7
_FIT_ROUNDS: Final = 10
_OUTLIER_MM: Final = 0.25
# How much the detected centre's column and row and the radius are trusted (taken as
# standard deviations) against the limbus points, which are few under heavy lids.
_DETECTED_MM: Final = (0.5, 0.8, 0.3)
_POINTS_NOISE_MM: Final = 0.3
# The detected circle is too large: by 4 % on rendered heads of known irises, by 7 to
# 17 % against the limbus of three photographs; between both.
_DETECTED_TOO_LARGE: Final = 1.06

_LEAST_UNCERTAINTY_MM: Final = 0.12
_RESOLUTION_SHARE: Final = 0.12


class Circle(NamedTuple):
    """A circle in pixels of a window."""

    column: float
    row: float
    radius: float


@dataclass(frozen=True, slots=True, eq=False)
class _Limbus:
    """Points on the edge of a right iris, the circle they are near, and the expected one."""

    part: Window
    points: NDArray[np.float64] = field(repr=False)
    strength: NDArray[np.float64] = field(repr=False)
    rough: Circle
    expected: Circle


def locate_irises(patch: FacePatch) -> Locations:
    """Centre, and the four ends of the horizontal and vertical diameter, of both irises.

    Parameters
    ----------
    patch : FacePatch

    Returns
    -------
    mapping of int to Located
        Without a side whose limbus is hidden or has no contrast.
    """
    sides = (_limbus(patch), _limbus(patch.mirrored()))
    seen = [each for each in sides if each is not None]
    if not seen:
        return {}
    radii = [_robust_circle(each, None)[0].radius for each in seen]
    radius = float(np.average(radii, weights=[each.strength.sum() for each in seen]))
    located = iter([_located(each, radius, patch) for each in sides])
    return on_both_sides(lambda _: next(located), patch)


def _located(limbus: _Limbus | None, radius: float, patch: FacePatch) -> Locations:
    if limbus is None:
        return {}
    (column, row, _), deviation_mm = _robust_circle(limbus, radius)
    moved_px = np.hypot(column - limbus.rough.column, row - limbus.rough.row)
    if moved_px * WINDOW_MM_PER_PX > 2 * _PROFILE_MM:
        return {}
    uncertainty = math.hypot(
        _LEAST_UNCERTAINTY_MM, _RESOLUTION_SHARE * patch.mm_per_px, deviation_mm
    )
    # The patient's right eye: nasal is toward the right of the patch.
    return {
        LANDMARKS[f"{name}_right"]: limbus.part.located(
            column + across * radius, row + down * radius, uncertainty
        )
        for name, across, down in (
            ("iris_centre", 0, 0),
            ("iris_nasal", 1, 0),
            ("iris_temporal", -1, 0),
            ("iris_superius", 0, -1),
            ("iris_inferius", 0, 1),
        )
    }


def _iris_window(patch: FacePatch) -> Window:
    reach = (_SEARCH_MM + float(_RADII[-1]) + _MARGIN_MM) / patch.mm_per_px
    centre = patch.point("iris_centre_right")
    return window(patch, centre - reach, centre + reach)


def _directions() -> NDArray[np.float64]:
    """Unit vectors (column, row) of the arcs beside the pupil, (angles, 2)."""
    one_side = np.radians(np.linspace(_UPPERMOST_DEG, _LOWERMOST_DEG, _ANGLES_A_SIDE))
    both = np.concatenate([one_side, np.pi - one_side])
    return np.column_stack([np.cos(both), np.sin(both)])


def _greatest_contrast(
    gradient: tuple[NDArray[np.float64], NDArray[np.float64]], start: NDArray[np.float64]
) -> Circle:
    steps = np.arange(-_SEARCH_MM, _SEARCH_MM + 1e-9, _SEARCH_STEP_MM) / WINDOW_MM_PER_PX
    columns, rows = start[0] + steps[None, :, None], start[1] + steps[:, None, None]
    radii = _RADII[None, None, :] / WINDOW_MM_PER_PX
    mean = np.zeros((len(steps), len(steps), len(_RADII)))
    for across, down in _directions():
        nearest = (
            np.round(rows + down * radii).astype(np.int64),
            np.round(columns + across * radii).astype(np.int64),
        )
        outward = gradient[0][nearest] * down + gradient[1][nearest] * across
        mean += np.clip(outward, 0.0, _FULL_EDGE)
    best = np.unravel_index(int(mean.argmax()), mean.shape)
    return Circle(
        float(start[0] + steps[best[1]]),
        float(start[1] + steps[best[0]]),
        float(_RADII[best[2]] / WINDOW_MM_PER_PX),
    )


def _limbus(patch: FacePatch) -> _Limbus | None:
    """Where the edge of the right iris is clear and no lid is near.

    Looked at twice, the second time about the circle of the first, so that the
    answer does not depend on where the search began.
    """
    part = _iris_window(patch)
    brightness = part.brightness()
    gradient = (
        smoothed(brightness, _EDGE_MM, (1, 0)) * _EDGE_MM,
        smoothed(brightness, _EDGE_MM, (0, 1)) * _EDGE_MM,
    )
    detected = part.here(patch.point("iris_centre_right"))
    margins = right_lid_margins(patch)
    opening_mm = margins.opening_mm(float(margins.part.here(patch.point("iris_centre_right"))[0]))
    if opening_mm is not None and opening_mm < _LEAST_OPENING_MM:
        return None
    radius = iris_radius_px(patch) / part.patch_px_per_px / _DETECTED_TOO_LARGE
    expected = Circle(float(detected[0]), float(detected[1]), radius)
    limbus = _limbus_about(_greatest_contrast(gradient, detected), gradient, margins, part)
    if limbus is None:
        return None
    first = _robust_circle(replace(limbus, expected=expected), None)[0]
    again = _limbus_about(first, gradient, margins, part)
    return None if again is None else replace(again, expected=expected)


def _limbus_about(
    circle: Circle,
    gradient: tuple[NDArray[np.float64], NDArray[np.float64]],
    margins: LidMargins,
    part: Window,
) -> _Limbus | None:
    """The strongest edge outward along each direction near a circle, where it is clear."""
    directions = _directions()
    away = np.arange(-_PROFILE_MM, _PROFILE_MM + 1e-9, _PROFILE_STEP_MM) / WINDOW_MM_PER_PX
    columns = circle.column + directions[:, :1] * (away + circle.radius)
    rows = circle.row + directions[:, 1:] * (away + circle.radius)
    outward = (
        map_coordinates(gradient[0], [rows, columns], order=1, mode="nearest") * directions[:, 1:]
        + map_coordinates(gradient[1], [rows, columns], order=1, mode="nearest") * directions[:, :1]
    )
    peak = outward.argmax(axis=1)
    at = np.arange(len(peak))
    strength = np.clip(outward[at, peak], 0.0, _FULL_EDGE) / _FULL_EDGE
    clear = (peak > 0) & (peak < len(away) - 1) & (strength > _LEAST_EDGE / _FULL_EDGE)
    peak = np.clip(peak, 1, len(away) - 2)
    before, here, after = (outward[at, peak + each] for each in (-1, 0, 1))
    bend = np.where(clear, before - 2 * here + after, -1.0)
    between = 0.5 * (before - after) / np.where(bend < 0, bend, -np.inf)
    distance = away[peak] + between * _PROFILE_STEP_MM / WINDOW_MM_PER_PX + circle.radius
    points = np.array(circle[:2]) + directions * distance[:, None]
    clear &= _between(margins, part, points)
    if min(clear[:_ANGLES_A_SIDE].mean(), clear[_ANGLES_A_SIDE:].mean()) < _LEAST_CLEAR_SHARE:
        return None
    return _Limbus(part, points[clear], strength[clear], circle, circle)


def _between(margins: LidMargins, part: Window, points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which points of the window lie well below the upper and above the lower margin."""
    in_patch = part.first_px + points * part.patch_px_per_px
    column, row = margins.part.here(in_patch).T
    away = _FROM_LID_MM / WINDOW_MM_PER_PX
    between = np.ones(len(points), dtype=np.bool_)
    if margins.upper is not None:
        between &= row > np.interp(column, margins.columns, margins.upper) + away
    if margins.lower is not None:
        between &= row < np.interp(column, margins.columns, margins.lower) - away
    return between


def _robust_circle(limbus: _Limbus, radius: float | None) -> tuple[Circle, float]:
    """Circle through the points, of a given radius or of its own, and its standard deviation in mm.

    Least squares of the radial distances with Geman-McClure weights, by
    Gauss-Newton; the greatest standard deviation of the centre's coordinates.
    """
    start = limbus.rough
    circle = np.array(start) if radius is None else np.array([*start[:2], radius])
    free = 3 if radius is None else 2
    scale = _OUTLIER_MM / WINDOW_MM_PER_PX
    noise = _POINTS_NOISE_MM / WINDOW_MM_PER_PX
    held = np.diag((_POINTS_NOISE_MM / np.array(_DETECTED_MM)) ** 2)[:free, :free]
    normal = np.eye(free)
    for _ in range(_FIT_ROUNDS):
        from_centre = limbus.points - circle[:2]
        distance = np.hypot(*from_centre.T)
        residual = distance - circle[2]
        weight = limbus.strength / (1 + (residual / scale) ** 2) ** 2
        slopes = np.column_stack([from_centre / distance[:, None], np.ones(len(distance))])[
            :, :free
        ]
        normal = slopes.T @ (slopes * weight[:, None]) + held
        pull = held @ (np.array(limbus.expected) - circle)[:free]
        circle[:free] += np.linalg.solve(normal, slopes.T @ (weight * residual) + pull)
    deviations = noise * np.sqrt(np.diag(np.linalg.inv(normal))[:2])
    return Circle(*(float(each) for each in circle)), float(deviations.max()) * WINDOW_MM_PER_PX
