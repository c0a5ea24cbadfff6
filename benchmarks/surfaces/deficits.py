"""Smooth one-sided deficits of known volume, at the sites of progressive hemifacial atrophy."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.spatial import cKDTree

from benchmarks.surfaces.heads import SymmetricHead
from benchmarks.surfaces.prisms import volume_between_ml
from processing.measurement import Side
from processing.phantom.outlines import distance_to_polyline
from processing.phantom.subdivision import MIRROR_X, boundary_neighbours

Array = NDArray[np.float64]

DEEPEST_MM: Final = 16.0
MIDLINE_FADE_MM: Final = 12.0
# A person who outlines an area goes a little beyond what is seen to be hollow.
AREA_MARGIN_MM: Final = 4.0
_AREA_LEAST: Final = 0.01


class Site(StrEnum):
    """Where volume is lacking."""

    CHEEK_NARROW = "cheek, narrow"
    CHEEK_WIDE = "cheek, wide"
    TEMPLE = "temple"
    MANDIBLE = "mandible"
    HEMIFACIAL = "hemifacial"
    HEMIFACIAL_WHOLE = "hemifacial, whole"
    COUP_DE_SABRE = "coup de sabre"


Point = tuple[float, float, float]

_TEMPLE_TO_CHIN: Final = ((63.7, 47.9, 15.9), (52.8, -22.4, 28.6), (40.7, -72.0, 22.0))
# A line through points of the canonical face (left side, mm) and the distance from it at
# which the hollow ends. Of the region that hemiface measures, the wide cheek covers about a
# third, the hemifacial deficit half, and the whole one two thirds: more is affected than not.
_LINES: Final[dict[Site, tuple[tuple[Point, ...], float]]] = {
    Site.CHEEK_NARROW: (((47.7, -7.0, 35.3), (52.8, -22.4, 28.6)), 24.0),
    Site.CHEEK_WIDE: (((47.7, -7.0, 35.3), (52.8, -22.4, 28.6)), 48.0),
    Site.TEMPLE: (((63.7, 47.9, 15.9), (68.5, 36.6, 7.2)), 30.0),
    Site.MANDIBLE: (((65.8, -39.4, 0.7), (50.0, -61.4, 18.9), (41.4, -70.0, 26.7)), 27.0),
    Site.HEMIFACIAL: (_TEMPLE_TO_CHIN, 36.0),
    Site.HEMIFACIAL_WHOLE: (_TEMPLE_TO_CHIN, 58.0),
    Site.COUP_DE_SABRE: (((17.0, 76.0, 45.0), (16.2, 66.0, 49.2), (14.0, 50.1, 53.2)), 16.0),
}

SIZES_ML: Final[dict[Site, tuple[float, ...]]] = {
    Site.CHEEK_NARROW: (1.0, 2.0, 5.0, 10.0),
    Site.CHEEK_WIDE: (5.0, 15.0, 30.0),
    Site.TEMPLE: (1.0, 5.0, 12.0),
    Site.MANDIBLE: (1.0, 5.0, 12.0),
    Site.HEMIFACIAL: (10.0, 25.0, 50.0),
    Site.HEMIFACIAL_WHOLE: (10.0, 25.0, 50.0),
    Site.COUP_DE_SABRE: (1.0, 2.0, 4.0),
}
"""From what a single scan can just show to what the site holds without an edge."""

# Lids, lips and the opening of the nose fold inward, where no volume is seen: nothing is
# hollowed there. Line on the canonical face, distance from which all and none is kept.
_SPARED: Final[tuple[tuple[tuple[Point, ...], float, float], ...]] = (
    (((18.6, 25.9, 37.6), (44.5, 26.6, 31.7)), 8.0, 18.0),
    (((0.0, -43.0, 57.0), (24.6, -43.4, 42.8)), 6.0, 16.0),
    (((0.0, -18.0, 60.0), (15.0, -12.0, 52.0)), 6.0, 14.0),
)


# Of the canonical face, forward: nothing is hollowed at the ear, which hides its own back.
_BEHIND_MM: Final = -16.0
_BEFORE_EAR_MM: Final = 2.0
# Behind what is seen from this point of the canonical face, by so much, in cells of a degree:
# the back of an eyeball, the inside of the nose. They move with no visible volume.
_CENTRE_MM: Final = np.array([0.0, 0.0, -40.0])
_CELLS: Final = 57.3
_HIDDEN_MM: Final = 9.0
# From the border of a face that is only a mask, and over how much more it fades.
_BORDER_MM: Final = (8.0, 12.0)


@dataclass(frozen=True, slots=True, eq=False)
class Deficit:
    """A hollowed face.

    Parameters
    ----------
    vertices_mm : (n, 3) float64 array
    volume_ml : float
        Between the face before and after.
    depth_mm : float
        Greatest displacement.
    moved : (n,) bool array
        Vertices that were displaced.
    area : (n,) bool array
        What a person who knows the deficit would outline, on its side.
    """

    vertices_mm: Array = field(repr=False)
    volume_ml: float
    depth_mm: float
    moved: NDArray[np.bool_] = field(repr=False)
    area: NDArray[np.bool_] = field(repr=False)


class TooLarge(ValueError):
    """The site of this face cannot hold the deficit."""


def hollowed(
    head: SymmetricHead, intact_mm: Array, site: Site, side: Side, volume_ml: float
) -> Deficit:
    """Displace one side of a face inward until it lacks a given volume.

    The depth falls as ``(1 - (d / reach)^2)^2`` with the distance d from the
    line of the site, and to zero toward the midline, the eye, the mouth and the
    opening of the nose. The displacement is along the smoothed normal.

    Parameters
    ----------
    head : SymmetricHead
        Gives the profile and the directions.
    intact_mm : (n, 3) float64 array
        The face before, natural asymmetry included.
    site, side
    volume_ml : float

    Raises
    ------
    TooLarge
        If the hollow would get deeper than 16 mm.
    """
    weight = depth_profile(head, site, side)
    inward = -weight[:, None] * head.smooth_normals
    touched = head.triangles[(weight[head.triangles] > 0).any(axis=1)]

    def lacking_ml(depth_mm: float) -> float:
        return volume_between_ml(intact_mm + depth_mm * inward, intact_mm, touched)

    most = lacking_ml(DEEPEST_MM)
    if volume_ml > most:
        raise TooLarge(f"{head.name}: the {site} holds {most:.1f} mL at most, not {volume_ml:g}")
    depth = float(brentq(lambda d: lacking_ml(d) - volume_ml, 0.0, DEEPEST_MM, xtol=1e-9))
    return Deficit(
        intact_mm + depth * inward,
        lacking_ml(depth),
        depth * float(weight.max()),
        weight > 0,
        _outlined(head, weight, side),
    )


def depth_profile(head: SymmetricHead, site: Site, side: Side) -> Array:
    """Relative depth of a deficit at every vertex, (n,), 0 to 1."""
    flip = MIRROR_X if side is Side.RIGHT else np.ones(3)
    vertices = head.vertices_mm * flip
    line, reach = _LINES[site]
    anchors = np.array([head.on_surface(each) for each in line])
    near = np.flatnonzero(
        (vertices[:, 0] > 0)
        & (vertices > anchors.min(axis=0) - reach * head.scale).all(axis=1)
        & (vertices < anchors.max(axis=0) + reach * head.scale).all(axis=1)
        # The far side of an ear or of the mouth has no part in it.
        & (np.einsum("ij,ij->i", head.smooth_normals * flip, vertices - _axis(vertices)) > 0)
    )
    distance = distance_to_polyline(vertices[near], anchors) / (reach * head.scale)
    weight = np.zeros(len(vertices))
    weight[near] = np.maximum(1 - distance**2, 0) ** 2
    weight[near] *= _smoothstep(vertices[near, 0] / (MIDLINE_FADE_MM * head.scale))
    weight[near[_hidden(head, vertices)[near]]] = 0.0
    depth = head.to_canonical(vertices[near])[:, 2]
    weight[near] *= _smoothstep((depth - _BEHIND_MM) / (_BEFORE_EAR_MM - _BEHIND_MM))
    weight[near] *= _smoothstep((_to_border(head, vertices[near]) - _BORDER_MM[0]) / _BORDER_MM[1])
    for spared, none, all_of_it in _SPARED:
        places = np.array([head.on_surface(each) for each in spared])
        away = distance_to_polyline(vertices[near], places) / head.scale
        weight[near] *= _smoothstep((away - none) / (all_of_it - none))
    return weight


def _hidden(head: SymmetricHead, vertices: Array) -> NDArray[np.bool_]:
    """Vertices far behind another one seen from the middle of the head: sockets and the like."""
    from_centre = head.to_canonical(vertices) - _CENTRE_MM
    radius = np.linalg.norm(from_centre, axis=1)
    direction = from_centre / np.maximum(radius, 1e-9)[:, None]
    cell = np.round((direction + 1) * _CELLS).astype(np.int64)
    _, cell = np.unique(cell, axis=0, return_inverse=True)
    farthest = np.zeros(cell.max() + 1)
    np.maximum.at(farthest, cell.ravel(), radius)
    hidden: NDArray[np.bool_] = radius < farthest[cell.ravel()] - _HIDDEN_MM
    return hidden


def _to_border(head: SymmetricHead, points: Array) -> Array:
    """Distance of points to the open border of the face's mesh, (k,)."""
    count = len(head.vertices_mm)
    along = boundary_neighbours(head.triangles, count)
    border = np.asarray(along.sum(axis=1)).ravel() > 0
    if not border.any():
        return np.full(len(points), np.inf)
    distance, _ = cKDTree(head.vertices_mm[border]).query(points)
    away: Array = distance
    return away


def _axis(vertices: Array) -> Array:
    """The point of a vertical axis in the head beside each vertex."""
    axis = vertices * (0.0, 1.0, 0.0)
    axis[:, 2] = float(np.median(vertices[:, 2])) - 20.0
    return axis


def _smoothstep(values: Array) -> Array:
    clipped = np.clip(values, 0, 1)
    step: Array = clipped * clipped * (3 - 2 * clipped)
    return step


def _outlined(head: SymmetricHead, weight: Array, side: Side) -> NDArray[np.bool_]:
    """The hollow with a margin of 4 mm, on its own side of the face."""
    from scipy.spatial import cKDTree

    hollow = head.vertices_mm[weight > _AREA_LEAST * weight.max()]
    distance, _ = cKDTree(hollow).query(
        head.vertices_mm, distance_upper_bound=AREA_MARGIN_MM * head.scale
    )
    own = head.vertices_mm[:, 0] * (1.0 if side is Side.LEFT else -1.0) > 0
    area: NDArray[np.bool_] = np.isfinite(distance) & own
    return area
