"""How much of a displacement each place of a face takes part in.

Flat where a structure lies, so that it moves as a whole, and falling smoothly
to zero around it, before the midline, the eyes and the other structures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]


class Structure(StrEnum):
    """What a warp moves."""

    COMMISSURE = "commissure"
    BROW = "brow"
    UPPER_LID = "upper lid"
    CHIN = "chin"
    CONTOUR = "contour"


# Profiles take places in mm, x from the midline toward the moved side and y up
# from the pupils, and where landmarks of that side are.
At = Callable[[str], Points]


def _commissure(x: Points, y: Points, at: At) -> Points:
    corner, middle = at("cheilion"), at("stomion")
    medial = corner[0] - 0.9 * (corner[0] - middle[0])
    across = _between(x, medial, corner[0] - 3.0, corner[0] + 6.0, corner[0] + 34.0)
    return across * _between(
        y, corner[1] - 36.0, corner[1] - 8.0, corner[1] + 8.0, corner[1] + 34.0
    )


def _brow(x: Points, y: Points, at: At) -> Points:
    medial, lateral = at("brow_medial"), at("brow_lateral")
    heights = [at(name)[1] for name in ("brow_medial", "brow_peak", "brow_lateral")]
    upper_lid, lower_lid = at("palpebrale_superius")[1], at("palpebrale_inferius")[1]
    # The landmarks lie on the upper edge; the brow is some 7 mm thick. Over the
    # eye, which stays, the field does not show.
    lower_edge = max(min(heights) - 7.0, upper_lid + 0.5 * (min(heights) - upper_lid))
    across = _between(x, medial[0] - 18.0, medial[0] - 2.0, lateral[0] + 4.0, lateral[0] + 24.0)
    return across * _between(
        y, lower_lid - 4.0, lower_edge, max(heights) + 4.0, max(heights) + 32.0
    )


def _upper_lid(x: Points, y: Points, at: At) -> Points:
    upper, lower = at("palpebrale_superius"), at("palpebrale_inferius")
    inner, outer = at("endocanthion"), at("exocanthion")
    across = _between(x, inner[0], upper[0] - 3.0, upper[0] + 3.0, outer[0])
    # Below the margin the field does not show: there the eye is seen, which stays.
    return across * _between(
        y, min(lower[1], upper[1] - 8.0), upper[1] - 1.5, upper[1] + 1.5, upper[1] + 13.0
    )


def _chin(x: Points, y: Points, at: At) -> Points:
    gnathion, lip = at("gnathion"), at("labiale_inferius")
    across = _between(
        x, gnathion[0] - 46.0, gnathion[0] - 20.0, gnathion[0] + 20.0, gnathion[0] + 46.0
    )
    upper_end = gnathion[1] + 0.4 * (lip[1] - gnathion[1])
    return across * _between(y, gnathion[1] - 45.0, gnathion[1] - 12.0, upper_end, lip[1])


def _contour(x: Points, y: Points, at: At) -> Points:
    zygion, gonion = at("zygion"), at("gonion")
    # Distances across are taken from the line of the contour, which leans inward toward the jaw.
    lean = (zygion[0] - gonion[0]) / (zygion[1] - gonion[1])
    edge = gonion[0] + lean * (np.clip(y, gonion[1] - 25.0, zygion[1] + 10.0) - gonion[1])
    across = _between(x - edge, -26.0, -3.0, 10.0, 50.0)
    return across * _between(
        y, gonion[1] - 34.0, gonion[1] - 8.0, zygion[1] + 8.0, zygion[1] + 45.0
    )


PROFILES: Final[Mapping[Structure, Callable[[Points, Points, At], Points]]] = {
    Structure.COMMISSURE: _commissure,
    Structure.BROW: _brow,
    Structure.UPPER_LID: _upper_lid,
    Structure.CHIN: _chin,
    Structure.CONTOUR: _contour,
}


def _between(at: Points, zero_below: float, low: float, high: float, zero_above: float) -> Points:
    """1 from `low` to `high`, falling smoothly to 0 at both outer bounds."""
    rising = np.clip((at - zero_below) / (low - zero_below), 0, 1)
    falling = np.clip((zero_above - at) / (zero_above - high), 0, 1)
    part = np.minimum(rising, falling)
    smooth: Points = part * part * (3 - 2 * part)
    return smooth
