"""Where the measures of a face lie in its photograph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processing.landmarks import FACE_OVAL, LANDMARKS
from processing.measurement import Mark, Measurement, Side
from processing.photograph.frame import FaceFrame
from processing.photograph.readings import PAIR_STRUCTURES

_LIDS: Final = ("palpebrale_superius", "palpebrale_inferius")
_CHIN: Final = "gnathion"
# A viewer writes beside each line, so that lines at one height hide each other's words:
# the inner corners of the eyes and, where a pair is shown, the lids are left out.
_PAIRS: Final = tuple(each for each in PAIR_STRUCTURES if each != "endocanthion")


def marks_of(
    points_px: NDArray[np.float64], frame: FaceFrame, measurements: Iterable[Measurement]
) -> tuple[Mark, ...]:
    """The midline, the contour, and the lines that were measured, in the photograph.

    Parameters
    ----------
    points_px : (478, 2) float64 array
        Landmarks in the photograph, (column, row).
    frame : FaceFrame
        Its midline.
    measurements : iterable of Measurement
        A mark is drawn only where one of them belongs to it.
    """
    found = tuple(measurements)
    whole = (_midline(points_px, frame), _contour(points_px))
    lines = (*_pairs(points_px), _chin(points_px, frame))
    shown = [each for each in lines if each.shown(found)] or [
        each for each in _lids(points_px) if each.shown(found)
    ]
    return (*(each for each in whole if each.shown(found)), *shown)


def _midline(points_px: NDArray[np.float64], frame: FaceFrame) -> Mark:
    """As long as the face is."""
    heights = (points_px[list(FACE_OVAL)] - frame.origin_px) @ frame.up
    ends = [frame.origin_px + height * frame.up for height in (heights.max(), heights.min())]
    return Mark("midline", _places(ends), "midline", ("midline_angle",))


def _contour(points_px: NDArray[np.float64]) -> Mark:
    contour = points_px[[*FACE_OVAL, FACE_OVAL[0]]]
    return Mark("contour", _places(contour), "face", ("symmetry_ratio", "asymmetry_index"))


def _pairs(points_px: NDArray[np.float64]) -> Iterator[Mark]:
    for structure in _PAIRS:
        ends = [_named(points_px, f"{structure}_{side.value}") for side in Side]
        yield Mark(structure, _places(ends), structure, ("pair_ratio", "midline_distance"))


def _chin(points_px: NDArray[np.float64], frame: FaceFrame) -> Mark:
    """From the chin to the point of the midline that is nearest to it."""
    chin = _named(points_px, _CHIN)
    foot = chin - ((chin - frame.origin_px) @ frame.left) * frame.left
    return Mark("chin", _places((chin, foot)), _CHIN, ("chin_deviation",))


def _lids(points_px: NDArray[np.float64]) -> Iterator[Mark]:
    for side in Side:
        ends = [_named(points_px, f"{lid}_{side.value}") for lid in _LIDS]
        quantities = (
            "palpebral_fissure_height",
            "margin_reflex_distance_1",
            "margin_reflex_distance_2",
        )
        yield Mark(f"lids {side.value}", _places(ends), "eye", quantities, side=side)


def _named(points_px: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    at: NDArray[np.float64] = points_px[LANDMARKS[name]]
    return at


def _places(points: Iterable[NDArray[np.float64]]) -> tuple[tuple[float, float], ...]:
    return tuple((float(column), float(row)) for column, row in points)
