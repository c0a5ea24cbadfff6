"""Scans of faces with a known deficit, and what is true of them."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from benchmarks.surfaces.deficits import Site, TooLarge, hollowed
from benchmarks.surfaces.heads import HeadSource, SymmetricHead
from benchmarks.surfaces.natural import with_natural_asymmetry
from benchmarks.surfaces.prisms import volume_between_ml, volume_by_rays_ml
from benchmarks.surfaces.scans import Scan, ScanSpec, scanned
from processing.measurement import Side
from processing.phantom.subdivision import MIRROR_X
from processing.rendering.scene import OffscreenScene, vertex_normals

Array = NDArray[np.float64]

NATURAL_MM: Final = 0.3
_TRIES: Final = 20
_SEEDS_APART: Final = 1000


@dataclass(frozen=True, slots=True)
class CaseSpec:
    """Which face, which deficit, which scan. The same specification makes the same case."""

    number: int
    site: Site | None = None
    volume_ml: float = 0.0
    natural_mm: float = 0.0
    scan: ScanSpec = field(default_factory=ScanSpec)

    @property
    def side(self) -> Side:
        """Left and right in turn."""
        return Side.LEFT if self.number % 2 else Side.RIGHT

    @property
    def name(self) -> str:
        """For progress and for the source of the surface."""
        what = f"{self.site} {self.volume_ml:g} mL {self.side}" if self.site else "no deficit"
        nature = f", natural {self.natural_mm:g} mm" if self.natural_mm else ""
        return f"{what}{nature}, case {self.number}"

    @property
    def seed(self) -> int:
        """Of the scan, which differs from case to case even on the same face."""
        return zlib.crc32(self.name.encode())


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A scan with its truth.

    Parameters
    ----------
    spec : CaseSpec
    head : SymmetricHead
    face_mm : (n, 3) float64 array
        The face that was scanned, in the frame of the head.
    intact_mm : (n, 3) float64 array
        The same without the deficit.
    scan : Scan
    area_on_head : (n,) bool array
        What a person would outline; none of it without a deficit.
    area : (k,) bool array
        The same on the vertices of the scan.
    depth_mm : float
    """

    spec: CaseSpec
    head: SymmetricHead
    face_mm: Array = field(repr=False)
    intact_mm: Array = field(repr=False)
    scan: Scan = field(repr=False)
    area_on_head: NDArray[np.bool_] = field(repr=False)
    area: NDArray[np.bool_] = field(repr=False)
    depth_mm: float

    @property
    def normal(self) -> Array:
        """Normal of the true plane, toward the patient's left, in the frame of the scan."""
        axis: Array = self.scan.rotation[:, 0]
        return axis

    @property
    def offset_mm(self) -> float:
        """Of the true plane, along the normal, in the frame of the scan."""
        return float(self.normal @ self.scan.shift_mm)

    def midline_mm(self) -> Array:
        """Four points of the true midline, (4, 3), in the frame of the scan."""
        return self.scan.placed(self.head.midline_mm())

    def area_volume_ml(self) -> float:
        """Left minus right over the outlined area, natural asymmetry included."""
        return self.difference_within_ml(self.area_on_head)

    def difference_within_ml(self, of_vertices: NDArray[np.bool_]) -> float:
        """Left minus right over vertices of one side of the head, natural asymmetry included."""
        chosen = self.head.triangles[of_vertices[self.head.triangles].all(axis=1)]
        if not len(chosen):
            return 0.0
        other = self.face_mm[self.head.mirror] * MIRROR_X
        own_minus_other = volume_between_ml(other, self.face_mm, chosen)
        on_left = float(self.face_mm[chosen, 0].mean()) > 0
        return own_minus_other if on_left else -own_minus_other

    def deficit_within_ml(self, of_triangles: NDArray[np.bool_]) -> float:
        """Left minus right of the deficit alone, over chosen triangles of the head."""
        chosen = self.head.triangles[of_triangles]
        change = volume_between_ml(self.intact_mm, self.face_mm, chosen)
        return change if self.spec.side is Side.LEFT else -change

    def natural_within_ml(self, directions: Array, centre_mm: Array, steradian: float) -> float:
        """Left minus right without the deficit, over directions of the left side.

        By rays at the fine surface from outside; independent of any mesh of a scan.

        Parameters
        ----------
        directions : (k, 3) float64 array
            Unit vectors in the frame of the head, toward the left side.
        centre_mm : (3,) float64 array
            On the true plane, in the frame of the head.
        steradian : float
            That each direction stands for.
        """
        if not self.spec.natural_mm:
            return 0.0
        inside = np.broadcast_to(centre_mm, directions.shape)
        cubes = []
        with OffscreenScene(self.intact_mm, self.head.triangles) as scene:
            for flip in (np.ones(3), MIRROR_X):
                points, _ = scene.first_hits(inside + 300.0 * directions * flip, inside)
                cubes.append(np.linalg.norm(points - centre_mm, axis=1) ** 3)
        return float(np.nansum(cubes[0] - cubes[1]) / 3 * steradian / 1000.0)

    def true_distances_mm(self) -> Array:
        """Left-right difference at each vertex of the scan, without noise, (k,).

        Distance of the vertex's mirror image to the fine surface: to the
        tangent plane of its nearest vertex, 0.5 mm away at most.
        """
        normals = vertex_normals(self.face_mm, self.head.triangles)
        tree = cKDTree(self.face_mm)
        images = self.scan.clean_mm * MIRROR_X
        _, nearest = tree.query(images)
        distances: Array = np.einsum("ij,ij->i", images - self.face_mm[nearest], normals[nearest])
        return distances

    def checked_by_rays(self) -> tuple[float, float]:
        """The deficit by rays on the visible surface, mL, and the error of that sampling."""
        moved = (self.face_mm != self.intact_mm).any(axis=1)
        centre = self.head.from_canonical(np.array([[0.0, 0.0, -40.0]]))[0]
        centre[1] = float(self.face_mm[moved, 1].mean())
        return volume_by_rays_ml(self.face_mm, self.intact_mm, self.head.triangles, moved, centre)


def make_case(spec: CaseSpec, sources: Sequence[HeadSource]) -> Case:
    """Make a case; a face that cannot hold the deficit gives way to the next identity.

    Parameters
    ----------
    spec : CaseSpec
    sources : sequence of callables
        From `benchmarks.surfaces.heads.head_sources`.

    Raises
    ------
    TooLarge
        If twenty faces cannot hold it.
    """
    for attempt in range(_TRIES):
        number = spec.number + attempt * _SEEDS_APART
        head = sources[(spec.number + attempt) % len(sources)](number)
        random = np.random.default_rng([number, int(10 * spec.natural_mm)])
        intact = with_natural_asymmetry(head, spec.natural_mm, random)
        nothing = np.zeros(len(intact), bool)
        if spec.site is None:
            return _scanned_case(spec, head, intact, intact, nothing, 0.0)
        try:
            deficit = hollowed(head, intact, spec.site, spec.side, spec.volume_ml)
        except TooLarge:
            continue
        return _scanned_case(
            spec, head, deficit.vertices_mm, intact, deficit.area, deficit.depth_mm
        )
    raise TooLarge(f"{spec.name}: no face holds it")


def _scanned_case(
    spec: CaseSpec,
    head: SymmetricHead,
    face_mm: Array,
    intact_mm: Array,
    area_on_head: NDArray[np.bool_],
    depth_mm: float,
) -> Case:
    scan = scanned(head, face_mm, spec.scan, spec.seed, f"{head.name}, {spec.name}")
    area = np.asarray(area_on_head[head.triangles[scan.on_triangle]].any(axis=1))
    return Case(spec, head, face_mm, intact_mm, scan, area_on_head, area, depth_mm)
