"""hemiface's volumes on a plane of one's choice.

The one place of the benchmark that reaches into `processing.surface`, to say what
another plane than the one found would do to the same scan.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from benchmarks.surfaces.cases import Case
from processing.inputs import Surface
from processing.measurement import Analysis, SurfacePatch
from processing.surface.frame import FaceFrame, fitted_frame, frame_on_plane
from processing.surface.given_area import area_of_patch
from processing.surface.mesh import Mesh, clean
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


def outline(case: Case) -> SurfacePatch | None:
    """What a person would outline on the scan of a case; None without a deficit."""
    surface = case.scan.surface
    triangles = surface.triangles[case.area[surface.triangles].all(axis=1)]
    if not len(triangles):
        return None
    used, renumbered = np.unique(triangles, return_inverse=True)
    return SurfacePatch(surface.vertices_mm[used], renumbered.reshape(-1, 3).astype(np.int32))


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

    def volumes(self, plane: Plane, outline: SurfacePatch | None) -> Volumes:
        """The volumes on a plane.

        Parameters
        ----------
        plane : Plane
        outline : SurfacePatch or None
            What a person outlined; None when no area is given.
        """
        maps = self.maps(plane)
        hemiface = float(maps.cubes_mm3.sum()) / 1000.0
        area = None if outline is None else area_of_patch(maps, outline)
        found = None if area is None else area_volume(self._mesh, maps, area.mask)
        if found is None:
            return Volumes(hemiface, None, None)
        return Volumes(hemiface, found.raw_ml, found.levelled_ml)

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

    def facial_vertices(self, plane: Plane) -> Mask:
        """Vertices of the cleaned scan in the facial region, hole or border or not."""
        return looked_up(region_mask(), self._mesh, self._on(plane))
