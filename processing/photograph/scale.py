"""How many millimetres a pixel is at the face."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processing.inputs import Photograph
from processing.landmarks import LANDMARKS

# Horizontal corneal diameter of adults: Ruefer, Schroeder, Erb, Cornea 2005;24:259.
IRIS_DIAMETER_MM: Final = 11.71
_IRIS_DIAMETER_SD_MM: Final = 0.42

# How well a detector finds the width of an iris whose edge was not sought on the
# picture, and of one behind a shut lid, as a fraction of the width.
_DETECTED_IRIS_UNCERTAINTY: Final = 0.05
_HIDDEN_IRIS_UNCERTAINTY: Final = 0.15
# Taken for a spacing whose source says nothing about how it was calibrated.
_STATED_SPACING_UNCERTAINTY: Final = 0.01
# A stated spacing that makes the iris smaller or larger than any eye is not believed.
SMALLEST_IRIS_MM: Final = 9.0
LARGEST_IRIS_MM: Final = 14.5

_IRIS_EDGES: Final = tuple(
    LANDMARKS[f"iris_{edge}_{side}"] for edge in ("temporal", "nasal") for side in ("left", "right")
)


@dataclass(frozen=True, slots=True)
class Scale:
    """Size of a pixel at the face.

    Parameters
    ----------
    mm_per_px : float
    relative_uncertainty : float
        Standard uncertainty as a fraction of `mm_per_px`.
    method : str
        Where it comes from, for the report.
    stated_iris_mm : float, optional
        Diameter of the iris by the stated scale; None where none is stated or
        the eyes are shut.
    """

    mm_per_px: float
    relative_uncertainty: float
    method: str
    stated_iris_mm: float | None = None

    @property
    def stated_is_believed(self) -> bool:
        """Whether the stated scale gives an iris of a possible size, or there is none."""
        return (
            self.stated_iris_mm is None
            or SMALLEST_IRIS_MM <= self.stated_iris_mm <= LARGEST_IRIS_MM
        )


def iris_diameter_px(points_px: NDArray[np.float64]) -> float:
    """Horizontal diameter of the iris in pixels, mean of both eyes.

    Parameters
    ----------
    points_px : (478, 2) float64 array
        Landmarks.
    """
    diameters = [
        np.linalg.norm(
            points_px[LANDMARKS[f"iris_temporal_{side}"]]
            - points_px[LANDMARKS[f"iris_nasal_{side}"]]
        )
        for side in ("left", "right")
    ]
    return float(np.mean(diameters))


def scale_of(
    points_px: NDArray[np.float64],
    placed_px: NDArray[np.float64],
    photograph: Photograph,
    *,
    irises_are_seen: bool = True,
) -> Scale:
    """The scale that comes with the photograph, else that by the iris.

    Parameters
    ----------
    points_px : (478, 2) float64 array
        Landmarks.
    placed_px : (478,) float64 array
        Standard uncertainty of a landmark's coordinate; NaN where only detected.
    photograph : Photograph
        May state the size of a pixel; not used when it makes the iris impossible.
    irises_are_seen : bool
        False when the eyes are shut: then a stated size cannot be checked, and
        the irises are only guessed.

    Raises
    ------
    ValueError
        If both irises have no width and are needed.
    """
    diameter = iris_diameter_px(points_px)
    stated = _stated(photograph, diameter if irises_are_seen else None)
    if stated is not None and stated.stated_is_believed:
        return stated
    if not diameter > 0:
        raise ValueError("the irises have no width: the scale cannot be found")
    found = _width_uncertainty(placed_px, diameter) if irises_are_seen else _HIDDEN_IRIS_UNCERTAINTY
    return Scale(
        mm_per_px=IRIS_DIAMETER_MM / diameter,
        relative_uncertainty=math.hypot(_IRIS_DIAMETER_SD_MM / IRIS_DIAMETER_MM, found),
        method=f"iris diameter {IRIS_DIAMETER_MM} mm"
        + ("" if irises_are_seen else ", guessed behind shut lids"),
        stated_iris_mm=None if stated is None else stated.stated_iris_mm,
    )


def _stated(photograph: Photograph, diameter_px: float | None) -> Scale | None:
    spacing, uncertainty = photograph.pixel_spacing_mm, photograph.pixel_spacing_uncertainty_mm
    if spacing is None:
        return None
    return Scale(
        mm_per_px=spacing,
        relative_uncertainty=_STATED_SPACING_UNCERTAINTY
        if uncertainty is None
        else uncertainty / spacing,
        method=photograph.pixel_spacing_origin or "pixel spacing stated by the source",
        stated_iris_mm=None if diameter_px is None else spacing * diameter_px,
    )


def _width_uncertainty(placed_px: NDArray[np.float64], diameter_px: float) -> float:
    """Standard uncertainty of the mean width of both irises as a fraction of it."""
    edges = placed_px[list(_IRIS_EDGES)]
    if not np.isfinite(edges).all():
        return _DETECTED_IRIS_UNCERTAINTY
    # Of one eye the width is the difference of two edges; both eyes are averaged.
    return float(np.linalg.norm(edges)) / 2 / diameter_px
