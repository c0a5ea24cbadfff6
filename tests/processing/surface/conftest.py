from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import trimesh
from numpy.typing import NDArray

from processing.face_landmarks import FaceDetector
from processing.face_model import canonical_face, find_face_model
from processing.inputs import Surface
from processing.measurement import Analysis
from processing.phantom.phantom import Phantom, PhantomSpec, make_phantom
from processing.surface.frame import FaceFrame
from processing.surface.mesh import Mesh, make_mesh
from processing.surface.symmetry import measure


@pytest.fixture(scope="session")
def face_model() -> Path:
    return find_face_model(None, None)


@pytest.fixture(scope="session")
def detector(face_model: Path) -> Iterator[FaceDetector]:
    with FaceDetector(face_model) as opened:
        yield opened


@pytest.fixture(scope="session")
def phantom(face_model: Path) -> Phantom:
    """8 mL missing in the left cheek, turned a little, noise 0.1 mm."""
    spec = PhantomSpec(yaw_deg=12, pitch_deg=-6, roll_deg=4, shift_mm=(30.0, -40.0, 250.0), seed=7)
    return make_phantom(spec, face_model)


@pytest.fixture(scope="session")
def measured_phantom(phantom: Phantom, detector: FaceDetector) -> Analysis:
    return measure(phantom.surface, detector)


@pytest.fixture(scope="session")
def symmetric_face(face_model: Path) -> Mesh:
    """The canonical face, smooth, 7,400 vertices, exactly symmetric about x = 0."""
    face = canonical_face(face_model)
    vertices, triangles = trimesh.remesh.subdivide_loop(
        face.vertices_cm * 10.0, face.triangles, iterations=2
    )
    return make_mesh(np.asarray(vertices, np.float64), np.asarray(triangles, np.int64))


@pytest.fixture(scope="session")
def face_frame() -> FaceFrame:
    """Of `symmetric_face`."""
    return FaceFrame(np.eye(3), np.zeros(3), 1.0)


@pytest.fixture(scope="session")
def dented_face(symmetric_face: Mesh) -> tuple[Mesh, float]:
    """`symmetric_face` with a dent in the left cheek, and left minus right in mL."""
    return dented(symmetric_face)


def dented(face: Mesh, depth_mm: float = 5.0, reach_mm: float = 28.0) -> tuple[Mesh, float]:
    centre = face.vertices_mm[
        np.argmin(np.linalg.norm(face.vertices_mm - (48.0, -12.0, 22.0), axis=1))
    ]
    away = np.linalg.norm(face.vertices_mm - centre, axis=1) / reach_mm
    depth = np.where(away < 1, depth_mm * np.cos(np.pi / 2 * np.minimum(away, 1)) ** 2, 0.0)
    moved = face.vertices_mm - face.normals * depth[:, None]
    missing = _cones_ml(moved, face.triangles) - _cones_ml(face.vertices_mm, face.triangles)
    return make_mesh(moved, face.triangles), missing


def _cones_ml(vertices: NDArray[np.float64], triangles: NDArray[np.int64]) -> float:
    corners = vertices[triangles]
    return float(np.einsum("ij,ij->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6000)


def as_surface(mesh: Mesh) -> Surface:
    return Surface(mesh.vertices_mm, mesh.triangles.astype(np.int32), "made by a test")
