"""How uncertain each landmark is, by who placed it: the detector, the picture or a reviewer."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processing.landmarks import FACE_OVAL, LANDMARKS, PAIRED_LANDMARKS

# How far a landmark that was only detected lies from its truth beside its partner,
# per coordinate, in mm: what trials on rendered faces left at the least.
_EYE_LANDMARK_MM: Final = 0.15
_INNER_LANDMARK_MM: Final = 0.3
_CONTOUR_LANDMARK_MM: Final = 0.8
_LANDMARK_PX: Final = 0.15
# A detector and an anatomist mean slightly different points, on both sides alike:
# on rendered heads the endocanthia are found 1.6 mm too near to the midline.
_OUTWARD_MM: Final = 0.8
_OUTWARD_PAIRS: Final = ("exocanthion", "endocanthion", "alare")
# A reviewer clicks on a pixel.
_CLICK_PX: Final = 0.5

_EYES: Final = tuple(
    LANDMARKS[f"{name}_{side}"]
    for name in ("iris_centre", "endocanthion", "exocanthion")
    for side in ("left", "right")
)
_CONTOUR: Final = (
    *FACE_OVAL,
    *(LANDMARKS[f"{name}_{side}"] for name in ("zygion", "gonion") for side in ("left", "right")),
)


def placed_uncertainty_px(
    refined_px: NDArray[np.float64],
    edited: frozenset[int],
    edited_mm: float,
    px_per_mm: float,
) -> NDArray[np.float64]:
    """Standard uncertainty of the landmarks that are not those of the detector, (478,).

    A landmark found on the picture has the uncertainty that its finding stated,
    one that a reviewer placed that of the reviewer and half a pixel; NaN for all
    others.

    Parameters
    ----------
    refined_px : (478,) float64 array
        As `processing.photograph.refinement.refine.refine` states it; NaN where
        a landmark was not found on the picture.
    edited : frozenset of int
        The landmarks that a reviewer placed.
    edited_mm : float
        Standard uncertainty of an edited landmark.
    px_per_mm : float
    """
    uncertainty = refined_px.copy()
    uncertainty[list(edited)] = edited_uncertainty_px(edited_mm, px_per_mm)
    return uncertainty


def edited_uncertainty_px(edited_mm: float, px_per_mm: float) -> float:
    """Standard uncertainty of each coordinate of a landmark that a reviewer placed."""
    return math.hypot(edited_mm * px_per_mm, _CLICK_PX)


def landmark_uncertainty_px(
    spread_px: NDArray[np.float64], placed_px: NDArray[np.float64], mm_per_px: float
) -> NDArray[np.float64]:
    """Standard uncertainty of each landmark's column and row, (478,), in pixels.

    Of a landmark that was only detected the mean of two answers that are
    ``2 * spread`` apart has the standard uncertainty ``spread / sqrt(2)`` in each
    coordinate; to it is added what both answers have in common.

    Parameters
    ----------
    spread_px : (478,) float64 array
        Half the distance between the detector's two answers.
    placed_px : (478,) float64 array
        From `placed_uncertainty_px`.
    mm_per_px : float
    """
    floor_mm = np.full(len(spread_px), _INNER_LANDMARK_MM)
    floor_mm[list(_EYES)] = _EYE_LANDMARK_MM
    floor_mm[list(_CONTOUR)] = _CONTOUR_LANDMARK_MM
    detected = np.sqrt(spread_px**2 / 2 + (floor_mm / mm_per_px) ** 2 + _LANDMARK_PX**2)
    uncertainty: NDArray[np.float64] = np.where(np.isfinite(placed_px), placed_px, detected)
    return uncertainty


def outward_uncertainty_px(placed_px: NDArray[np.float64], mm_per_px: float) -> NDArray[np.float64]:
    """How far both landmarks of a pair may lie outward of their places together, (478,).

    Only of pairs that were detected and nothing else; it makes distances to the
    midline uncertain and leaves their ratio alone.

    Parameters
    ----------
    placed_px : (478,) float64 array
        From `placed_uncertainty_px`.
    mm_per_px : float
    """
    outward = np.zeros(len(placed_px))
    for pair in _OUTWARD_PAIRS:
        both = list(PAIRED_LANDMARKS[pair])
        if np.isnan(placed_px[both]).all():
            outward[both] = _OUTWARD_MM / mm_per_px
    return outward
