from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from processing.face_landmarks import FaceDetector
from processing.inputs import Expression, View
from processing.landmarks import LANDMARKS, PAIRED_LANDMARKS
from processing.measurement import Side
from processing.phantom.deficit import Site
from processing.phantom.head import Head
from processing.phantom.phantom import (
    Phantom,
    PhantomSpec,
    after_surgery,
    make_pair,
    make_phantom,
    truth_of,
)
from processing.phantom.truth import truth_as_json
from processing.rendering.camera import Camera
from processing.rendering.scene import OffscreenScene

POSED = PhantomSpec(
    yaw_deg=12.0, pitch_deg=-7.0, roll_deg=5.0, shift_mm=(30.0, -20.0, 400.0), seed=3
)


@pytest.fixture(scope="module")
def symmetric(face_model: Path) -> Phantom:
    return make_phantom(PhantomSpec(deficit_ml=0.0, noise_mm=0.0), face_model)


@pytest.fixture(scope="module")
def detector(face_model: Path) -> Iterator[FaceDetector]:
    with FaceDetector(face_model) as opened:
        yield opened


@pytest.fixture(scope="module")
def posed(face_model: Path) -> Phantom:
    return make_phantom(POSED, face_model)


def test_the_same_specification_makes_the_same_phantom(posed: Phantom, face_model: Path) -> None:
    again = make_phantom(POSED, face_model)
    np.testing.assert_array_equal(posed.surface.vertices_mm, again.surface.vertices_mm)
    np.testing.assert_array_equal(posed.surface.triangles, again.surface.triangles)
    np.testing.assert_array_equal(posed.photograph.pixels, again.photograph.pixels)
    assert posed.truth == again.truth


def test_another_seed_is_the_same_face(posed: Phantom, face_model: Path) -> None:
    assert truth_of(replace(POSED, seed=4), face_model) == posed.truth


def test_the_scan_has_the_vertices_asked_for(posed: Phantom) -> None:
    assert len(posed.surface.vertices_mm) >= 30_000
    assert posed.surface.vertices_mm.dtype == np.float64
    assert posed.surface.triangles.dtype == np.int32
    assert posed.surface.unit == "mm"


def test_the_true_plane_halves_the_pairs_of_a_posed_scan(posed: Phantom) -> None:
    plane, points = posed.truth.midsagittal_plane, posed.truth.landmarks_mm
    normal = np.array(plane.normal)
    for name in ("exocanthion", "cheilion", "zygion"):
        left, right = np.array(points[f"{name}_left"]), np.array(points[f"{name}_right"])
        np.testing.assert_allclose(np.cross(left - right, normal), 0, atol=1e-9)
        assert (left - right) @ normal > 0  # the normal points to the patient's left
        assert (left + right) / 2 @ normal == pytest.approx(plane.offset_mm, abs=1e-9)


def test_the_truth_lies_on_the_posed_scan(posed: Phantom) -> None:
    vertices = posed.surface.vertices_mm
    for name in ("pronasale", "glabella", "cheilion_left", "exocanthion_right"):
        away = np.linalg.norm(vertices - posed.truth.landmarks_mm[name], axis=1).min()
        assert away < 1.5, name


@pytest.mark.parametrize(("side", "sign"), [(Side.LEFT, -1), (Side.RIGHT, 1)])
def test_the_discrepancy_is_left_minus_right(face_model: Path, side: Side, sign: int) -> None:
    truth = truth_of(PhantomSpec(deficit_ml=4.0, side=side), face_model)
    assert truth.volume_discrepancy_ml == pytest.approx(sign * 4.0)
    assert truth.deficit_ml == pytest.approx(4.0)


def test_a_symmetric_phantom_has_no_discrepancy_and_equal_pairs(symmetric: Phantom) -> None:
    assert symmetric.truth.volume_discrepancy_ml == 0
    assert min(pair.ratio for pair in symmetric.truth.pair_distances.values()) > 1 - 1e-9


def test_the_photograph_of_a_symmetric_phantom_is_symmetric(symmetric: Phantom) -> None:
    pixels = symmetric.photograph.pixels.astype(int)
    difference = np.abs(pixels - pixels[:, ::-1])
    assert difference.mean() < 0.1
    assert (difference.max(axis=2) > 10).mean() < 0.002


def test_the_photograph_says_what_it_is(symmetric: Phantom) -> None:
    photograph = symmetric.photograph
    assert photograph.pixels.shape == (1600, 1200, 3)
    assert photograph.view is View.FRONTAL
    assert photograph.expression is Expression.REPOSE
    truth = symmetric.truth
    assert photograph.pixel_spacing_mm == truth.pixel_spacing_mm
    right, left = (
        np.array(truth.landmarks_px[f"iris_centre_{side}"]) for side in ("right", "left")
    )
    assert np.linalg.norm(left - right) * truth.pixel_spacing_mm == pytest.approx(63.0, abs=1e-6)
    assert left[0] > right[0]  # the patient's left is on the right of the picture


def test_a_turned_photograph_has_unequal_pairs_on_the_side_it_is_turned_from(
    face_model: Path,
) -> None:
    spec = PhantomSpec(deficit_ml=0.0, photograph_yaw_deg=5.0)
    pair = truth_of(spec, face_model).pair_distances["zygion"]
    assert pair.left_mm < pair.right_mm * 0.9


def test_mediapipe_finds_the_symmetric_face_symmetric(
    symmetric: Phantom, detector: FaceDetector
) -> None:
    faces = detector.detect_symmetrised(symmetric.photograph.pixels)
    assert len(faces) == 1
    middle = (symmetric.photograph.pixels.shape[1] - 1) / 2
    for name in ("exocanthion", "endocanthion", "cheilion", "alare", "iris_centre", "gonion"):
        left = faces[0].points_px[LANDMARKS[f"{name}_left"], 0] - middle
        right = middle - faces[0].points_px[LANDMARKS[f"{name}_right"], 0]
        assert min(left, right) / max(left, right) > 0.99, name
        true = symmetric.truth.landmarks_px[f"{name}_left"]
        away = np.linalg.norm(faces[0].points_px[LANDMARKS[f"{name}_left"]] - true)
        assert away * symmetric.truth.pixel_spacing_mm < 8.0, name
    pupil = symmetric.truth.landmarks_px["iris_centre_left"]
    found = faces[0].points_px[LANDMARKS["iris_centre_left"]]
    assert np.linalg.norm(found - pupil) * symmetric.truth.pixel_spacing_mm < 1.5


@pytest.mark.parametrize("textured", [True, False])
@pytest.mark.parametrize("yaw_deg", [-15.0, 0.0, 15.0])
def test_mediapipe_finds_the_scan(
    symmetric: Phantom, detector: FaceDetector, textured: bool, yaw_deg: float
) -> None:
    surface = symmetric.surface
    angle = np.radians(yaw_deg)
    camera = Camera(
        (float(1000 * np.sin(angle)), 0.0, float(1000 * np.cos(angle))),
        (0.0, -5.0, -20.0), (0.0, 1.0, 0.0), 18.0, 512, 512,
    )  # fmt: skip
    colours = surface.colours if textured else None
    with OffscreenScene(surface.vertices_mm, surface.triangles, colours) as scene:
        picture = scene.render(camera)
    assert len(detector.detect(picture)) == 1


def test_surgery_restores_a_part_in_a_new_scan(face_model: Path) -> None:
    before = PhantomSpec(deficit_ml=10.0)
    after = after_surgery(before, 0.6)
    truth_before, truth_after = truth_of(before, face_model), truth_of(after, face_model)
    assert truth_before.volume_discrepancy_ml == pytest.approx(-10.0)
    assert truth_after.volume_discrepancy_ml == pytest.approx(-4.0)
    assert truth_after.pose_deg != truth_before.pose_deg
    assert truth_after.midsagittal_plane != truth_before.midsagittal_plane
    assert after.seed != before.seed


@pytest.mark.slow
def test_a_pair_is_the_phantoms_before_and_after(face_model: Path) -> None:
    spec = PhantomSpec(deficit_ml=10.0)
    before, after = make_pair(spec, 0.6, face_model)
    assert (before.spec, after.spec) == (spec, after_surgery(spec, 0.6))
    assert after.truth.deficit_ml == pytest.approx(4.0)


@pytest.mark.parametrize("fraction", [-0.1, 1.1, float("nan")])
def test_a_fraction_that_is_none_is_refused(fraction: float) -> None:
    with pytest.raises(ValueError, match="fraction"):
        after_surgery(PhantomSpec(), fraction)


@pytest.mark.parametrize(
    "change",
    [
        {"vertices": 29_999},
        {"vertices": 10**9},
        {"deficit_ml": -1.0},
        {"noise_mm": float("nan")},
        {"yaw_deg": 120.0},
        {"shift_mm": (0.0, float("inf"), 0.0)},
        {"seed": -1},
    ],
)
def test_a_specification_that_cannot_be_made_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        PhantomSpec(**change)


def test_the_truth_survives_json(posed: Phantom) -> None:
    data = json.loads(json.dumps(truth_as_json(posed.truth)))
    assert data["surface"]["volume_discrepancy_ml"] == posed.truth.volume_discrepancy_ml
    assert data["deficit"]["site"] == Site.CHEEK
    plane = data["surface"]["planes"]["midsagittal"]
    assert tuple(plane["normal"]) == posed.truth.midsagittal_plane.normal
    pairs = set(data["photograph"]["pairs"])
    assert {"cheilion", "gonion", "iris_centre"} <= pairs <= set(PAIRED_LANDMARKS)


def test_its_landmarks_are_the_ones_that_are_measured(posed: Phantom) -> None:
    assert set(posed.truth.landmarks_mm) <= set(LANDMARKS)


def test_the_head_is_not_changed_by_making_phantoms(head: Head) -> None:
    with pytest.raises(ValueError, match="read-only"):
        head.fine.vertices[0] = 0
