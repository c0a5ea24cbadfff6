"""How many millimetres a pixel is at the face."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processing.landmarks import LANDMARKS

# Horizontal corneal diameter of adults: Ruefer, Schroeder, Erb, Cornea 2005;24:259.
IRIS_DIAMETER_MM: Final = 11.71
_IRIS_DIAMETER_SD_MM: Final = 0.42

# How well a detector finds the edges of an iris, as a fraction of its diameter.
_IRIS_DETECTION_UNCERTAINTY: Final = 0.05
# Taken for a stated spacing, since no source says how it was calibrated.
_STATED_SPACING_UNCERTAINTY: Final = 0.01
# A stated spacing that makes the iris smaller or larger than any eye is not believed.
SMALLEST_IRIS_MM: Final = 9.0
LARGEST_IRIS_MM: Final = 14.5


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
        Diameter of the iris by the spacing that the source states; None where
        it states none.
    """

    mm_per_px: float
    relative_uncertainty: float
    method: str
    stated_iris_mm: float | None = None

    @property
    def stated_is_believed(self) -> bool:
        """Whether the source's spacing gives an iris of a possible size, or there is none."""
        return (
            self.stated_iris_mm is None
            or SMALLEST_IRIS_MM <= self.stated_iris_mm <= LARGEST_IRIS_MM
        )


def iris_diameter_px(points_px: NDArray[np.float64]) -> float:
    """Horizontal diameter of the iris in pixels, mean of both eyes.

    Parameters
    ----------
    points_px : (478, 2) float64 array
        Detected landmarks.
    """
    diameters = [
        np.linalg.norm(
            points_px[LANDMARKS[f"iris_temporal_{side}"]]
            - points_px[LANDMARKS[f"iris_nasal_{side}"]]
        )
        for side in ("left", "right")
    ]
    return float(np.mean(diameters))


def scale_of(points_px: NDArray[np.float64], pixel_spacing_mm: float | None) -> Scale:
    """The scale by the source's statement, else by the iris.

    Parameters
    ----------
    points_px : (478, 2) float64 array
        Detected landmarks.
    pixel_spacing_mm : float, optional
        What the source states; not used when it makes the iris impossible.

    Raises
    ------
    ValueError
        If both irises have no width.
    """
    diameter = iris_diameter_px(points_px)
    if diameter <= 0:
        raise ValueError("the irises have no width: the scale cannot be found")
    stated_iris = None if pixel_spacing_mm is None else pixel_spacing_mm * diameter
    by_iris = Scale(
        mm_per_px=IRIS_DIAMETER_MM / diameter,
        relative_uncertainty=math.hypot(
            _IRIS_DIAMETER_SD_MM / IRIS_DIAMETER_MM, _IRIS_DETECTION_UNCERTAINTY
        ),
        method="iris diameter 11.71 mm",
        stated_iris_mm=stated_iris,
    )
    if pixel_spacing_mm is None or not by_iris.stated_is_believed:
        return by_iris
    return Scale(
        mm_per_px=pixel_spacing_mm,
        relative_uncertainty=_STATED_SPACING_UNCERTAINTY,
        method="pixel spacing stated by the source",
        stated_iris_mm=stated_iris,
    )
