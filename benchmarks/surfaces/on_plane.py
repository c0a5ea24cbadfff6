"""hemiface's volumes on a plane and over an area of one's choice.

The one place of the benchmark that reaches into `processing.surface`. The
analysis takes neither an area nor a plane yet; when it does, this module
becomes a call of it. What it needs: the plane (normal and offset), or that it
be found with the area and its mirror image left out; the area as vertices or
triangles of the scan, on the affected side; both volumes, raw and levelled,
with their uncertainties.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from benchmarks.surfaces.cases import Case
from processing.inputs import Surface
from processing.measurement import Analysis, Side
from processing.surface.frame import FaceFrame, fitted_frame, frame_on_plane
from processing.surface.mesh import Mesh, clean
from processing.surface.plane import FINE_GATES_MM, Registration, plane_through
from processing.surface.radial import (
    CENTRE_MM,
    PIXEL,
    RadialMaps,
    looked_up,
    pixel_directions,
    places_px,
    radial_maps,
    region_mask,
)
from processing.surface.volume import area_volume

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_NATURAL_STEP: Final = 3


@dataclass(frozen=True, slots=True, eq=False)
class Plane:
    """A midsagittal plane in the frame of the scan, its normal toward the patient's left."""

    normal: Array = field(repr=False)
    offset_mm: float

    def error(self, case: Case) -> tuple[float, float]:
        """Angle to the true plane in degrees, RMS distance on the midline in mm."""
        cosine = float(np.clip(self.normal @ case.normal, -1, 1))
        away = case.midline_mm() @ self.normal - self.offset_mm
        return float(np.degrees(np.arccos(cosine))), float(np.sqrt((away**2).mean()))


def true_plane(case: Case) -> Plane:
    """The plane about which the face was made symmetric."""
    return Plane(case.normal, case.offset_mm)


def found_plane(analysis: Analysis) -> Plane:
    """The plane of an analysis that measured."""
    plane = analysis.planes["midsagittal"]
    return Plane(np.array(plane.normal), plane.offset_mm)


@dataclass(frozen=True, slots=True)
class Volumes:
    """Left minus right, mL: the whole hemiface, and the given area raw and levelled."""

    hemiface_ml: float
    area_ml: float | None
    levelled_ml: float | None


class Region:
    """The facial region of one scan, on whatever plane.

    Parameters
    ----------
    surface : Surface
    analysis : Analysis
        Its landmarks say where the face is.
    """

    def __init__(self, surface: Surface, analysis: Analysis) -> None:
        self._mesh, _ = clean(surface)
        landmarks = {name: np.array(place) for name, place in analysis.landmarks.items()}
        self._frame, _ = fitted_frame(landmarks)
        self._vertices = cKDTree(surface.vertices_mm)
        self._vertex_of_scan = self.nearest_in_scan(self._mesh.vertices_mm)
        self._registration: Registration | None = None

    @property
    def mesh(self) -> Mesh:
        """The cleaned scan."""
        return self._mesh

    @property
    def vertex_of_scan(self) -> NDArray[np.intp]:
        """For each vertex of the cleaned scan, its vertex in the scan as it came."""
        return self._vertex_of_scan

    def nearest_in_scan(self, points_mm: Array) -> NDArray[np.intp]:
        """For each point, the nearest vertex of the scan as it came."""
        _, nearest = self._vertices.query(points_mm)
        return np.asarray(nearest)

    def maps(self, plane: Plane) -> RadialMaps:
        """Both hemifaces on a plane."""
        return radial_maps(self._mesh, self._on(plane))

    def volumes(self, plane: Plane, area: Mask, side: Side) -> Volumes:
        """The volumes on a plane.

        Parameters
        ----------
        plane : Plane
        area : (k,) bool array
            Vertices of the scan that a person outlined; none when no area is given.
        side : Side
            On which they lie.
        """
        maps = self.maps(plane)
        hemiface = float(maps.cubes_mm3.sum()) / 1000.0
        outlined = self._pixels(maps, area, side) if area.any() else None
        found = None if outlined is None else area_volume(self._mesh, maps, outlined)
        if found is None:
            return Volumes(hemiface, None, None)
        return Volumes(hemiface, found.raw_ml, found.levelled_ml)

    def plane_without(self, area: Mask, side: Side, start: Plane) -> Plane | None:
        """Hemiface's own fit with a given area and its mirror image left out.

        What its plane could be if the analysis took the area before the fit.
        """
        maps = self.maps(start)
        left_out = self._pixels(maps, area, side)
        allowed = looked_up(maps.measured & ~left_out, self._mesh, maps.frame)
        return self._fitted(start, allowed)

    def share_within(self, maps: RadialMaps, case: Case) -> tuple[Mask, Array, Array]:
        """Which triangles of the head lie in the measured region, and its directions.

        Returns
        -------
        (m,) bool array
            Triangles of the case's head, of either side.
        (k, 3) float64 array
            Every third direction of the region in both ways, in the frame of the head.
        (3,) float64 array
            The centre that they go out from, on the true plane, in the frame of the head.
        """
        centres = case.face_mm[case.head.triangles].mean(axis=1)
        local = maps.frame.to_face(case.scan.placed(centres))
        local[:, 0] = np.abs(local[:, 0])
        places, _ = places_px(local, maps.frame)
        column, row = np.rint(places).clip(-1, 10_000).astype(np.int64).T
        rows, columns = maps.measured.shape
        inside = (column < columns) & (row >= 0) & (row < rows)
        within = np.zeros(len(centres), bool)
        within[inside] = maps.measured[row[inside], np.maximum(column[inside], 0)]
        sampled = np.zeros_like(maps.measured)
        middle = _NATURAL_STEP // 2
        sampled[middle::_NATURAL_STEP, middle::_NATURAL_STEP] = True
        directions = pixel_directions()[maps.measured & sampled]
        turned = directions @ maps.frame.axes @ case.scan.rotation
        centre = maps.frame.to_scan(maps.frame.scale * CENTRE_MM[None])[0]
        at_head = (centre - case.scan.shift_mm) @ case.scan.rotation
        at_head[0] = 0.0
        return within, turned, at_head

    @staticmethod
    def direction_steradian() -> float:
        """The solid angle of one direction of `share_within`."""
        return (_NATURAL_STEP * PIXEL) ** 2

    def _on(self, plane: Plane) -> FaceFrame:
        return frame_on_plane(self._frame, plane.normal, plane.offset_mm)

    def _pixels(self, maps: RadialMaps, area: Mask, side: Side) -> Mask:
        """Pixels whose nearest vertex on the affected side is one of the area."""
        radius = maps.left_mm if side is Side.LEFT else maps.right_mm
        flip = np.array([1.0 if side is Side.LEFT else -1.0, 1.0, 1.0])
        points = radius[..., None] * pixel_directions() * flip + maps.frame.scale * CENTRE_MM
        there = maps.measured
        _, nearest = self._vertices.query(maps.frame.to_scan(points[there]))
        outlined = np.zeros(there.shape, bool)
        outlined[there] = area[nearest]
        return np.asarray(ndimage.binary_closing(outlined) & there)

    def _fitted(self, start: Plane, allowed: Mask) -> Plane | None:
        if self._registration is None:
            self._registration = Registration(self._mesh)
        pivot = self._frame.to_scan(np.array([[0.0, 0.0, 40.0 * self._frame.scale]]))[0]
        pivot = pivot - (pivot @ start.normal - start.offset_mm) * start.normal
        fitted = self._registration.fit(plane_through(start.normal, pivot), allowed, FINE_GATES_MM)
        return None if fitted is None else Plane(fitted.normal, fitted.offset_mm)

    def facial_vertices(self, plane: Plane) -> Mask:
        """Vertices of the cleaned scan in the facial region, hole or border or not."""
        return looked_up(region_mask(), self._mesh, self._on(plane))
