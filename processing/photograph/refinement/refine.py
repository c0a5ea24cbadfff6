"""All landmarks that the picture itself can place, put into the detected face."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processing.detected_face import DetectedFace
from processing.photograph.refinement.brows import locate_brows
from processing.photograph.refinement.contour import locate_contour
from processing.photograph.refinement.irises import locate_irises
from processing.photograph.refinement.lids import locate_lids
from processing.photograph.refinement.mouth import locate_mouth
from processing.photograph.refinement.patch import FacePatch, Locations, face_patch

# In this order: each sees the landmarks that those before it have found.
_LOCATORS: Final[tuple[Callable[[FacePatch], Locations], ...]] = (
    locate_irises,
    locate_lids,
    locate_brows,
    locate_mouth,
    locate_contour,
)


@dataclass(frozen=True, slots=True, eq=False)
class RefinedFace:
    """The landmarks of a face, where possible at the place that the picture shows.

    Parameters
    ----------
    points_px : (478, 2) float64 array
        (column, row) in the picture; the detected point where none was found.
    uncertainty_px : (478,) float64 array
        Standard uncertainty of each coordinate; NaN where the detected point stays.
    refined : frozenset of int
        The landmarks that were found on the picture.
    """

    points_px: NDArray[np.float64] = field(repr=False)
    uncertainty_px: NDArray[np.float64] = field(repr=False)
    refined: frozenset[int]


def refine(pixels: NDArray[np.uint8], face: DetectedFace, mirror: NDArray[np.int64]) -> RefinedFace:
    """Seek irises, lids, brows, mouth and contour on the picture.

    Parameters
    ----------
    pixels : (rows, columns, 3) uint8 array
        sRGB.
    face : DetectedFace
        As found in `pixels`, by `FaceDetector.detect_symmetrised`.
    mirror : (478,) int64 array
        Left-right partner of each landmark.

    Raises
    ------
    ValueError
        If both pupils are at the same place or the irises have no width.
    """
    patch = face_patch(pixels, face, mirror)
    points = face.points_px.copy()
    uncertainty = np.full(len(points), np.nan)
    refined: set[int] = set()
    for locate in _LOCATORS:
        found = locate(patch)
        patch = patch.with_points(found)
        for index, where in found.items():
            points[index] = patch.in_picture(np.array([[where.column, where.row]]))[0]
            uncertainty[index] = where.uncertainty_px * patch.picture_px_per_px
            refined.add(index)
    return RefinedFace(points, uncertainty, frozenset(refined))
