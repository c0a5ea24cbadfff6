"""The margins of the lids, followed from canthus to canthus.

The upper margin is where skin above gives way to lashes and eye: darker all
along, over the white as well as over the iris. The lower margin is where the
eye gives way to skin: brighter below the iris, redder below the white.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processing.landmarks import LANDMARKS
from processing.photograph.refinement.patch import FacePatch, Located, Locations, on_both_sides
from processing.photograph.refinement.paths import best_path
from processing.photograph.refinement.window import WINDOW_MM_PER_PX, Window, smoothed, window

# Where a margin is sought, in mm from the centre of the detected iris, + downward.
_UPPER_FROM_MM: Final = -8.5
_UPPER_TO_MM: Final = 3.0
_LOWER_FROM_MM: Final = 1.0
_LOWER_TO_MM: Final = 10.0
_TO_EITHER_SIDE_MM: Final = 8.0
_INSIDE_CANTHUS_MM: Final = 2.5
_MARGIN_MM: Final = 2.0

# Brighter than the iris is the lid that covers it, but at the limbus the white too.
_LIMBUS_MM: Final = 0.4

_EDGE_MM: Final = 0.5
_FULL_EDGE: Final = 0.2
_FULL_REDNESS: Final = 0.05
_LEAST_EDGE: Final = 0.03
_LEAST_CLEAR_SHARE: Final = 0.6
# The fold of the upper lid is as dark as its margin, and higher.
_LOWER_IS_BETTER_PER_MM: Final = 0.03
# The pale brim of the lower lid parts from the iris as clearly as from the skin below.
_FARTHER_IS_BETTER_PER_MM: Final = 0.05
# Below it is more skin with edges of its own: the nearer to the detected one the likelier.
_PRIOR_MM: Final = 4.0
_SECOND_LOOK_MM: Final = 0.75

# The skin grows dark at the roots of the lashes, the margin is this much below.
_LASHES_MM: Final = 0.3

_STEEPEST_PX: Final = 1
_STIFFNESS: Final = 0.25
_AVERAGED_MM: Final = 0.8

# The detected margin lags behind a lid that droops by 3 mm by some 2 mm; what lies
# farther from it is a fold of skin or the rim of spectacles.
_FARTHEST_MM: Final = 4.0
_LEAST_UNCERTAINTY_MM: Final = 0.2
_SPREAD_SHARE: Final = 0.5
_RESOLUTION_SHARE: Final = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class LidMargins:
    """The rows of the margins of a right eye's lids by column of a window.

    Parameters
    ----------
    part : Window
    columns : (n,) float64 array
    upper, lower : (n,) float64 array, optional
        None where the margin was not found.
    """

    part: Window
    columns: NDArray[np.float64] = field(repr=False)
    upper: NDArray[np.float64] | None = field(repr=False)
    lower: NDArray[np.float64] | None = field(repr=False)

    def opening_mm(self, column: float) -> float | None:
        """How far the lids are apart at a column; None where a margin is missing."""
        if self.upper is None or self.lower is None:
            return None
        opening = np.interp(column, self.columns, self.lower - self.upper)
        return float(opening) * WINDOW_MM_PER_PX


def locate_lids(patch: FacePatch) -> Locations:
    """Palpebrale superius and inferius: the margins above and below the iris centre.

    Parameters
    ----------
    patch : FacePatch
        With the irises where they are: the column is theirs.

    Returns
    -------
    mapping of int to Located
        Without a margin that has no clear edge.
    """
    return on_both_sides(_locate_right, patch)


def right_lid_margins(patch: FacePatch) -> LidMargins:
    """Follow both margins of the patient's right eye."""
    part = _eye_window(patch)
    iris = part.here(patch.point("iris_centre_right"))
    canthi = sorted(
        float(part.here(patch.point(f"{name}_right"))[0])
        for name in ("exocanthion", "endocanthion")
    )
    inside = _INSIDE_CANTHUS_MM / WINDOW_MM_PER_PX
    reach = _TO_EITHER_SIDE_MM / WINDOW_MM_PER_PX
    first = int(np.ceil(np.clip(canthi[0] + inside, iris[0] - reach, iris[0] - reach / 2)))
    last = int(np.floor(np.clip(canthi[1] - inside, iris[0] + reach / 2, iris[0] + reach)))
    columns = np.arange(first, last + 1)
    brightness = part.brightness()
    downward = smoothed(brightness, _EDGE_MM, (1, 0))[:, columns] * _EDGE_MM
    redder = smoothed(_redness(part), _EDGE_MM, (1, 0))[:, columns] * _EDGE_MM
    from_iris_mm = (np.arange(len(brightness))[:, None] - iris[1]) * WINDOW_MM_PER_PX
    detected_row = float(part.here(patch.point("palpebrale_inferius_right"))[1])
    from_detected_mm = (np.arange(len(brightness))[:, None] - detected_row) * WINDOW_MM_PER_PX
    beside_mm = (columns - iris[0]) * WINDOW_MM_PER_PX
    radius_mm = iris_radius_px(patch) * patch.mm_per_px - _LIMBUS_MM
    limbus_mm = np.sqrt(np.maximum(0.0, radius_mm**2 - beside_mm**2))
    under_iris = np.where(from_iris_mm < limbus_mm, downward / _FULL_EDGE, 0.0)
    return LidMargins(
        part=part,
        columns=columns.astype(np.float64),
        upper=_margin(
            -downward / _FULL_EDGE,
            (from_iris_mm >= _UPPER_FROM_MM) & (from_iris_mm <= _UPPER_TO_MM),
            _LOWER_IS_BETTER_PER_MM * from_iris_mm,
        ),
        lower=_margin(
            np.maximum(under_iris, redder / _FULL_REDNESS),
            (from_iris_mm >= _LOWER_FROM_MM) & (from_iris_mm <= _LOWER_TO_MM),
            _FARTHER_IS_BETTER_PER_MM * from_iris_mm - (from_detected_mm / _PRIOR_MM) ** 2,
        ),
    )


def _locate_right(patch: FacePatch) -> Locations:
    margins = right_lid_margins(patch)
    iris = margins.part.here(patch.point("iris_centre_right"))
    found: dict[int, Located] = {}
    for name, rows, below_mm in (
        ("palpebrale_superius", margins.upper, _LASHES_MM),
        ("palpebrale_inferius", margins.lower, 0.0),
    ):
        if rows is None:
            continue
        near = np.exp(-0.5 * ((margins.columns - iris[0]) * WINDOW_MM_PER_PX / _AVERAGED_MM) ** 2)
        row = float(near @ rows / near.sum())
        detected = float(margins.part.here(patch.point(f"{name}_right"))[1])
        if abs(row - detected) * WINDOW_MM_PER_PX > _FARTHEST_MM:
            continue
        spread_mm = float(np.sqrt(near @ (rows - row) ** 2 / near.sum())) * WINDOW_MM_PER_PX
        uncertainty = math.hypot(
            _LEAST_UNCERTAINTY_MM, _RESOLUTION_SHARE * patch.mm_per_px, _SPREAD_SHARE * spread_mm
        )
        found[LANDMARKS[f"{name}_right"]] = margins.part.located(
            float(iris[0]), row + below_mm / WINDOW_MM_PER_PX, uncertainty
        )
    return found


def _eye_window(patch: FacePatch) -> Window:
    iris = patch.point("iris_centre_right")
    side = _TO_EITHER_SIDE_MM + _MARGIN_MM
    low = iris + np.array([-side, _UPPER_FROM_MM - _MARGIN_MM]) / patch.mm_per_px
    high = iris + np.array([side, _LOWER_TO_MM + _MARGIN_MM]) / patch.mm_per_px
    return window(patch, low, high)


def iris_radius_px(patch: FacePatch) -> float:
    """Radius of the patient's right iris in pixels of the patch, as it is known so far."""
    across = patch.point("iris_nasal_right") - patch.point("iris_temporal_right")
    return float(np.hypot(*across)) / 2


def _redness(part: Window) -> NDArray[np.float64]:
    """Logarithm of red over green, which is near 0 in the white and greater in skin."""
    channels = np.log(part.pixels[..., :2].astype(np.float64) + 20.0)
    redness: NDArray[np.float64] = channels[..., 0] - channels[..., 1]
    return redness


def _margin(
    edge: NDArray[np.float64], allowed: NDArray[np.bool_], preference: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """The row of an edge in each column, or None where most of it is not there."""
    clear = np.clip(edge, 0.0, 1.0)
    first = best_path(np.where(allowed, clear + preference, -np.inf), _STEEPEST_PX, _STIFFNESS)
    rows = np.arange(len(edge))[:, None]
    near = np.abs(rows - first) <= _SECOND_LOOK_MM / WINDOW_MM_PER_PX
    path = best_path(np.where(near, edge, -np.inf), _STEEPEST_PX, _STIFFNESS)
    along = edge[np.round(path).astype(np.int64), np.arange(edge.shape[1])]
    if (along > _LEAST_EDGE / _FULL_EDGE).mean() < _LEAST_CLEAR_SHARE:
        return None
    return path
