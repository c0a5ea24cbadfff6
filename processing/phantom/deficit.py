"""A one-sided hollow of known volume."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from processing.measurement import Side
from processing.phantom.head import Head
from processing.phantom.outlines import distance_to_polyline

DEEPEST_MM: Final = 20.0
_MIDLINE_FADE_MM: Final = 10.0
_MM3_PER_ML: Final = 1000.0


class Site(StrEnum):
    """Where the face lacks volume."""

    CHEEK = "cheek"
    TEMPLE = "temple"
    MANDIBLE = "mandible"
    FOREHEAD = "forehead"
    HEMIFACIAL = "hemifacial"


# A line through canonical landmarks of the left side, and how far from it the
# hollow reaches (mm). The forehead's is a paramedian stripe ("coup de sabre").
_SITES: Final = {
    Site.CHEEK: ((280, 411), 30.0),
    Site.TEMPLE: ((301, 368), 27.0),
    Site.MANDIBLE: ((435, 364, 394), 24.0),
    Site.FOREHEAD: ((338, 337, 336), 15.0),
    Site.HEMIFACIAL: ((301, 411, 379), 34.0),
}


@dataclass(frozen=True, slots=True)
class Hollowed:
    """The head with its hollow.

    Parameters
    ----------
    vertices_mm : (n, 3) float64 array
        Vertices of ``Head.fine``, hollowed.
    volume_ml : float
        Volume between the intact and the hollowed surface.
    depth_mm : float
        Greatest displacement.
    area_mm2 : float
        Area of the intact surface that was displaced at all.
    """

    vertices_mm: NDArray[np.float64] = field(repr=False)
    volume_ml: float
    depth_mm: float
    area_mm2: float


def hollowed(head: Head, site: Site, side: Side, deficit_ml: float) -> Hollowed:
    """Displace one side of the face inward until it lacks a given volume.

    The depth falls from the middle line of the site to zero at its reach as
    ``(1 - (d / reach)^2)^2`` and to zero toward the midline of the face. It is
    found by root finding on the exact volume of the two triangulated surfaces.

    Parameters
    ----------
    head : Head
    site : Site
    side : Side
        The patient's side that lacks volume.
    deficit_ml : float
        Not negative.

    Raises
    ------
    ValueError
        If the deficit is negative, or the site cannot hold it without the
        hollow getting deeper than 20 mm.
    """
    intact = head.fine.vertices
    if not deficit_ml >= 0:
        raise ValueError(f"a deficit of {deficit_ml} mL is not a volume")
    if deficit_ml == 0:
        return Hollowed(intact.copy(), 0.0, 0.0, 0.0)
    weight = depth_profile(head, site, side)
    touched = head.fine.triangles[(weight[head.fine.triangles] > 0).any(axis=1)]
    full = weight[:, None] * head.inward

    def lacking_ml(depth_mm: float) -> float:
        return enclosed_volume_mm3(intact, intact + depth_mm * full, touched) / _MM3_PER_ML

    most = lacking_ml(DEEPEST_MM)
    if deficit_ml > most:
        raise ValueError(
            f"the {site} cannot lack {deficit_ml:g} mL: at most {most:.1f} mL, "
            f"where the hollow is {DEEPEST_MM:g} mm deep"
        )
    depth = float(brentq(lambda d: lacking_ml(d) - deficit_ml, 0.0, DEEPEST_MM, xtol=1e-9))
    return Hollowed(intact + depth * full, lacking_ml(depth), depth, _area(intact, touched))


def depth_profile(head: Head, site: Site, side: Side) -> NDArray[np.float64]:
    """Relative depth of the hollow at every vertex, (n,), 1 at the deepest place at most."""
    vertices = head.fine.vertices
    landmarks, reach_mm = _SITES[site]
    line = vertices[list(landmarks)]
    lateral = vertices[:, 0]
    if side is Side.RIGHT:
        line, lateral = line * [-1, 1, 1], -lateral
    near = np.flatnonzero(
        (lateral > 0)
        & (vertices > line.min(axis=0) - reach_mm).all(axis=1)
        & (vertices < line.max(axis=0) + reach_mm).all(axis=1)
    )
    distance = distance_to_polyline(vertices[near], line) / reach_mm
    fade = np.clip(lateral[near] / _MIDLINE_FADE_MM, 0, 1)
    weight = np.zeros(len(vertices))
    weight[near] = np.maximum(1 - distance**2, 0) ** 2 * fade * fade * (3 - 2 * fade)
    return weight


def enclosed_volume_mm3(
    outer: NDArray[np.float64], inner: NDArray[np.float64], triangles: NDArray[np.int64]
) -> float:
    """Volume between two surfaces that share their triangles and their border.

    By the divergence theorem: the signed volumes of the tetrahedra from a
    common apex to every triangle, summed over one surface and subtracted over
    the other. The walls between the borders have no area, since they are equal.

    Parameters
    ----------
    outer, inner : (n, 3) float64 array
        In mm. Equal at the border of `triangles`.
    triangles : (m, 3) int64 array
        Counter-clockwise seen from outside.

    Returns
    -------
    float
        In mm3; positive when `inner` lies inside.
    """
    if not len(triangles):
        return 0.0
    apex = outer[triangles].mean(axis=(0, 1))
    return _cone_volume(outer - apex, triangles) - _cone_volume(inner - apex, triangles)


def _cone_volume(vertices: NDArray[np.float64], triangles: NDArray[np.int64]) -> float:
    first, second, third = (vertices[triangles[:, corner]] for corner in range(3))
    return float(np.einsum("ij,ij->", first, np.cross(second, third)) / 6)


def _area(vertices: NDArray[np.float64], triangles: NDArray[np.int64]) -> float:
    first, second, third = (vertices[triangles[:, corner]] for corner in range(3))
    return float(np.linalg.norm(np.cross(second - first, third - first), axis=1).sum() / 2)
