from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import coo_array, diags_array

from processing.face_landmarks import FaceDetector
from processing.phantom.phantom import Phantom
from processing.surface.checks import (
    BROW_LIMIT_MM,
    EYE_SOCKET_LIMIT_MM,
    MOUTH_LIMIT_MM,
    NOSE_LIMIT_MM,
)
from processing.surface.face_plausibility import FaceRelief, relief_of
from processing.surface.landmarks import FoundFace, find_face
from processing.surface.mesh import Mesh, clean, make_mesh


@pytest.fixture(scope="module")
def face(phantom: Phantom, detector: FaceDetector) -> FoundFace:
    mesh, _ = clean(replace(phantom.surface, colours=None))
    return find_face(mesh, detector, "phantom")


def _smoothed(
    mesh: Mesh, centres: Sequence[NDArray[np.float64]], radius_mm: float, rounds: int = 400
) -> Mesh:
    """The surface with everything near some points smoothed away, like a soap film."""
    count = len(mesh.vertices_mm)
    ends = np.concatenate([mesh.triangles[:, [a, b]] for a, b in ((0, 1), (1, 2), (2, 0))])
    ends = np.concatenate([ends, ends[:, ::-1]])
    joined = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), (count, count)).tocsr()
    joined.data[:] = 1.0
    away = [np.linalg.norm(mesh.vertices_mm - centre, axis=1) for centre in centres]
    near = np.min(away, axis=0) < radius_mm
    mean = (diags_array(1.0 / np.maximum(joined.sum(axis=1), 1)) @ joined).tocsr()[near]
    vertices = mesh.vertices_mm.copy()
    for _ in range(rounds):
        vertices[near] = mean @ vertices
    return make_mesh(vertices, mesh.triangles)


def _relief(face: FoundFace, mesh: Mesh) -> FaceRelief:
    return relief_of(mesh, face.frame, face.landmarks_mm)


def test_a_face_has_the_relief_of_one_with_a_margin(face: FoundFace) -> None:
    relief = _relief(face, face.mesh)
    assert relief.mouth_mm > 2 * MOUTH_LIMIT_MM
    assert relief.nose_mm > 1.3 * NOSE_LIMIT_MM
    assert relief.eye_mm > 1.5 * BROW_LIMIT_MM
    assert relief.deepest_eye_mm < 0.7 * EYE_SOCKET_LIMIT_MM


@pytest.mark.parametrize("radius_mm", [28.0, 34.0, 40.0])
def test_a_face_without_a_mouth_has_no_relief_of_one(face: FoundFace, radius_mm: float) -> None:
    mouthless = _smoothed(face.mesh, [face.landmarks_mm["stomion"]], radius_mm)
    relief = _relief(face, mouthless)
    assert relief.mouth_mm < 0.6 * MOUTH_LIMIT_MM
    assert relief.nose_mm > NOSE_LIMIT_MM


def test_noise_is_no_mouth(face: FoundFace) -> None:
    mouthless = _smoothed(face.mesh, [face.landmarks_mm["stomion"]], 34.0)
    noise = np.random.default_rng(0).normal(0, 0.2, mouthless.vertices_mm.shape)
    noisy = make_mesh(mouthless.vertices_mm + noise, mouthless.triangles)
    assert _relief(face, noisy).mouth_mm < MOUTH_LIMIT_MM


def test_a_face_without_a_nose_has_no_relief_of_one(face: FoundFace) -> None:
    tip, root = face.landmarks_mm["pronasale"], face.landmarks_mm["nasion"]
    noseless = _smoothed(face.mesh, [tip, (tip + root) / 2], 27.0)
    relief = _relief(face, noseless)
    assert relief.nose_mm < NOSE_LIMIT_MM
    assert relief.mouth_mm > MOUTH_LIMIT_MM


def test_empty_orbits_are_too_deep(face: FoundFace) -> None:
    local = face.frame.to_face(face.mesh.vertices_mm) / face.frame.scale
    for side in (-1.0, 1.0):
        away = np.hypot(local[:, 0] - side * 32.0, local[:, 1] - 26.0) / 18.0
        hollow = (away < 1) & (local[:, 2] > -20)
        local[hollow, 2] -= 35.0 * np.clip(2 * (1 - away[hollow]), 0, 1)
    skull = make_mesh(face.frame.to_scan(local * face.frame.scale), face.mesh.triangles)
    assert _relief(face, skull).deepest_eye_mm > EYE_SOCKET_LIMIT_MM
    assert _relief(face, face.mesh).deepest_eye_mm < EYE_SOCKET_LIMIT_MM


def test_what_is_not_there_has_no_relief(face: FoundFace) -> None:
    local = face.frame.to_face(face.mesh.vertices_mm) / face.frame.scale
    upper = (local[:, 1] > 60.0)[face.mesh.triangles].all(axis=1)
    forehead = make_mesh(face.mesh.vertices_mm, face.mesh.triangles[upper])
    assert _relief(face, forehead) == FaceRelief(0.0, 0.0, 0.0, 0.0)


def test_the_size_of_the_face_does_not_matter(face: FoundFace) -> None:
    half = replace(face.frame, origin_mm=face.frame.origin_mm / 2, scale=face.frame.scale / 2)
    smaller = relief_of(
        make_mesh(face.mesh.vertices_mm / 2, face.mesh.triangles),
        half,
        {name: place / 2 for name, place in face.landmarks_mm.items()},
    )
    whole = _relief(face, face.mesh)
    assert smaller.mouth_mm == pytest.approx(whole.mouth_mm, abs=0.01)
    assert smaller.nose_mm == pytest.approx(whole.nose_mm, abs=0.05)
    assert smaller.eye_mm == pytest.approx(whole.eye_mm, abs=0.05)
