"""Symmetric faces: ICT identities, MeshMonk's template, hemiface's own phantom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from benchmarks.photographs.ict_head import HeadModel, read_head_model
from processing.phantom.head import intact_head
from processing.phantom.subdivision import MIRROR_X, MirroredMesh, subdivided, symmetrised
from processing.rendering.scene import vertex_normals

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

# MediaPipe's canonical face, mm: x to the left, y up, z forward. Enough of it to hang a face
# of any size into its frame; the deficits are placed in that frame.
_CANONICAL_MM: Final = {
    "exocanthion_left": (44.5, 26.6, 31.7),
    "endocanthion_left": (18.6, 25.9, 37.6),
    "alare_left": (17.9, -9.8, 48.5),
    "cheilion_left": (24.6, -43.4, 42.8),
}
# Endocanthion and cheilion of MeshMonk's template, both sides averaged (TemplateLandmarks.csv).
_MESHMONK_MM: Final = {
    "endocanthion_left": (18.2, 36.8, 14.2),
    "cheilion_left": (21.0, -21.9, 35.6),
}
_MESHMONK_SUBDIVISIONS: Final = 2
_NORMAL_RADIUS_MM: Final = 9.0
_NORMAL_SAMPLES: Final = 9_000
_NORMAL_PARTNERS: Final = 60
_MIDLINE_CANONICAL_MM: Final = (
    (0.0, 48.9, 53.9),
    (0.0, -20.9, 60.6),
    (0.0, -43.0, 57.0),
    (0.0, -79.4, 51.8),
)


@dataclass(frozen=True, slots=True, eq=False)
class SymmetricHead:
    """A face that is symmetric about x = 0: x to the patient's left, y up, z forward, mm.

    Parameters
    ----------
    name : str
    vertices_mm : (n, 3) float64 array
        So fine that its facets are far smaller than those of a scan.
    triangles : (m, 3) int64 array
        Counter-clockwise seen from outside.
    mirror : (n,) int64 array
        Left-right partner of each vertex.
    smooth_normals : (n, 3) float64 array
        Outward, averaged over about 9 mm.
    scale : float
        Size relative to the canonical face.
    origin_mm : (3,) float64 array
        Where the canonical face has its origin.
    """

    name: str
    vertices_mm: Array = field(repr=False)
    triangles: Indices = field(repr=False)
    mirror: Indices = field(repr=False)
    smooth_normals: Array = field(repr=False)
    scale: float
    origin_mm: Array = field(repr=False)

    def on_surface(self, canonical_mm: tuple[float, float, float]) -> Array:
        """The point of the face nearest to a point of the canonical face, (3,)."""
        place = self.from_canonical(np.array([canonical_mm]))[0]
        nearest = int(((self.vertices_mm - place) ** 2).sum(axis=1).argmin())
        point: Array = self.vertices_mm[nearest]
        return point

    def from_canonical(self, points_mm: Array) -> Array:
        """Points (k, 3) of the canonical face at the size and place of this one."""
        placed: Array = points_mm * self.scale + self.origin_mm
        return placed

    def to_canonical(self, points_mm: Array) -> Array:
        """Points (k, 3) of this face in the frame of the canonical one."""
        placed: Array = (points_mm - self.origin_mm) / self.scale
        return placed

    def midline_mm(self) -> Array:
        """Glabella, subnasale, stomion and pogonion, about, (4, 3): where planes are compared."""
        points = np.array([self.on_surface(each) for each in _MIDLINE_CANONICAL_MM])
        return points * (0.0, 1.0, 1.0)


HeadSource = Callable[[int], SymmetricHead]


def head_sources(
    shared: Path, face_model: Path, say: Callable[[str], None]
) -> tuple[HeadSource, ...]:
    """Who can give a face for a number: four ICT identities of five, the template the third.

    Parameters
    ----------
    shared : Path
        Development data; what is missing is left out and said, and hemiface's
        own phantom serves.
    face_model : Path
        ``face_landmarker.task``, for the phantom.
    say : callable
    """
    ict, meshmonk = shared / "faces" / "ict", shared / "faces" / "meshmonk"
    sources: list[HeadSource] = []
    if ict.is_dir():
        sources = [lambda seed: ict_head(ict, seed)] * 4
    else:
        say(f"left out: ICT identities, {ict} is not there")
    if meshmonk.is_dir():
        sources.insert(2, lambda _: meshmonk_head(meshmonk))
    else:
        say(f"left out: MeshMonk's template, {meshmonk} is not there")
    if not sources:
        say("hemiface's own phantom serves as the only face")
        sources = [lambda _: phantom_head(face_model)]
    return tuple(sources)


@lru_cache(maxsize=3)
def ict_head(folder: Path, seed: int) -> SymmetricHead:
    """A random identity of ICT-FaceKit, refined twice."""
    model = read_head_model(folder)
    fine = np.asarray(model.refine @ model.identity(seed))
    mirror = _fine_mirror(folder)
    triangles = model.triangles
    landmarks = {
        name: fine_point(model, seed, name.removesuffix("_left")) for name in _CANONICAL_MM
    }
    return _head(f"ICT {seed}", symmetrised(fine, mirror), triangles, mirror, landmarks)


def fine_point(model: HeadModel, seed: int, name: str) -> Array:
    """A landmark of the left side on the coarse head, (3,)."""
    point: Array = model.identity(seed)[model.vertex(f"{name}_left")]
    return point


@lru_cache(maxsize=1)
def _fine_mirror(folder: Path) -> Indices:
    model = read_head_model(folder)
    # Of two heads at once, so that points that coincide on one are told apart by the other.
    places = np.concatenate(
        [np.asarray(model.refine @ model.identity(seed)) for seed in (None, 1)], axis=1
    )
    _, partner = cKDTree(places).query(places * np.tile(MIRROR_X, 2))
    mirror: Indices = partner.astype(np.int64)
    return mirror


@lru_cache(maxsize=1)
def meshmonk_head(folder: Path) -> SymmetricHead:
    """The template of MeshMonk, refined twice by Loop subdivision."""
    vertices, triangles = _read_obj(folder / "Template.obj")
    mirror = np.load(folder / "mirror_map_7160.npy").astype(np.int64)
    mesh = MirroredMesh(symmetrised(vertices, mirror), triangles, mirror)
    for _ in range(_MESHMONK_SUBDIVISIONS):
        mesh = subdivided(mesh)
    landmarks = {name: np.array(place) for name, place in _MESHMONK_MM.items()}
    return _head("MeshMonk template", mesh.vertices, mesh.triangles, mesh.mirror, landmarks)


@lru_cache(maxsize=1)
def phantom_head(face_model: Path) -> SymmetricHead:
    """The head of `processing.phantom`, which is the canonical face itself."""
    mesh = intact_head(face_model).fine
    landmarks = {name: np.array(place) for name, place in _CANONICAL_MM.items()}
    return _head("phantom", mesh.vertices, mesh.triangles, mesh.mirror, landmarks)


def _head(
    name: str, vertices: Array, triangles: Indices, mirror: Indices, landmarks: dict[str, Array]
) -> SymmetricHead:
    scale, origin = _similarity(landmarks)
    normals = _smooth_normals(vertices, triangles)
    normals = symmetrised(normals, mirror)
    normals = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    arrays = (vertices, triangles, mirror, normals)
    for array in arrays:
        array.flags.writeable = False
    return SymmetricHead(name, vertices, triangles, mirror, normals, scale, origin)


def _similarity(landmarks: dict[str, Array]) -> tuple[float, Array]:
    """Scale and shift, without a turn, of the canonical face onto landmarks of both sides."""
    source = np.array([_CANONICAL_MM[name] for name in landmarks])
    target = np.array([landmarks[name] for name in landmarks])
    # The partners on the right make the shift run in the plane of symmetry.
    source = np.concatenate([source, source * MIRROR_X])
    target = np.concatenate([target, target * MIRROR_X])
    centred = source - source.mean(axis=0)
    # Depth is left out of the scale: how far a face is turned up or down would enter it.
    flat = np.array([1.0, 1.0, 0.0])
    scale = float(
        (centred * flat * (target - target.mean(axis=0))).sum() / (centred**2 * flat).sum()
    )
    return scale, target.mean(axis=0) - scale * source.mean(axis=0)


def _smooth_normals(vertices: Array, triangles: Indices) -> Array:
    normals = vertex_normals(vertices, triangles)
    sample = np.random.default_rng(0).permutation(len(vertices))[:_NORMAL_SAMPLES]
    distance, partner = cKDTree(vertices[sample]).query(vertices[sample], k=_NORMAL_PARTNERS)
    weight = np.exp(-0.5 * (distance / (_NORMAL_RADIUS_MM / 2)) ** 2)
    coarse = np.einsum("ij,ijk->ik", weight, normals[sample][partner])
    distance, partner = cKDTree(vertices[sample]).query(vertices, k=16)
    weight = np.exp(-0.5 * (distance / (_NORMAL_RADIUS_MM / 3)) ** 2)
    smooth: Array = np.einsum("ij,ijk->ik", weight, coarse[partner])
    return smooth


def _read_obj(path: Path) -> tuple[Array, Indices]:
    vertices, triangles = [], []
    for line in path.read_text().splitlines():
        kind, *rest = line.split() or [""]
        if kind == "v":
            vertices.append([float(each) for each in rest[:3]])
        elif kind == "f":
            triangles.append([int(each.split("/")[0]) - 1 for each in rest[:3]])
    return np.array(vertices), np.array(triangles, dtype=np.int64)
