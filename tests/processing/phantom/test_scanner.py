from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from processing.phantom.head import Head
from processing.phantom.scanner import Scan, paired_scan, rotation, sampled_scan, with_noise


@pytest.fixture(scope="module")
def sampled(head: Head, colours: np.ndarray) -> Scan:
    random = np.random.default_rng(4)
    return sampled_scan(head, head.fine.vertices, colours, 30_000, random)


@given(st.floats(-89, 89), st.floats(-89, 89), st.floats(-89, 89))
def test_a_pose_is_a_proper_rotation(yaw: float, pitch: float, roll: float) -> None:
    turn = rotation(yaw, pitch, roll)
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(turn) == pytest.approx(1)


def test_poses_turn_the_face_the_way_they_say() -> None:
    nose, vertex = np.array([0, 0, 1.0]), np.array([0, 1.0, 0])
    assert (rotation(20, 0, 0) @ nose)[0] > 0.3  # to the patient's left
    assert (rotation(0, 20, 0) @ nose)[1] > 0.3  # upward
    assert (rotation(0, 0, 20) @ vertex)[0] > 0.3  # leaning to the patient's left


def test_a_scan_has_the_vertices_asked_for_and_not_many_more(sampled: Scan) -> None:
    vertices, triangles, colours = sampled
    assert 30_000 <= len(vertices) <= 33_000
    assert len(colours) == len(vertices)
    np.testing.assert_array_equal(np.unique(triangles), np.arange(len(vertices)))


def test_a_scan_lies_on_the_head(head: Head, sampled: Scan) -> None:
    distance, _ = cKDTree(head.fine.vertices).query(sampled[0])
    assert np.percentile(distance, 99) < 1.2  # the head's own triangles are about 1 mm wide


def test_its_left_and_right_vertices_are_not_paired(sampled: Scan) -> None:
    vertices = sampled[0]
    distance, _ = cKDTree(vertices).query(vertices * [-1, 1, 1])
    assert np.median(distance) > 0.2


def test_another_seed_makes_other_triangles(head: Head, colours: np.ndarray) -> None:
    first, again, other = (
        sampled_scan(head, head.fine.vertices, colours, 1000, np.random.default_rng(seed))
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first[0], again[0])
    assert not np.array_equal(first[0], other[0])


def test_its_triangles_face_outward(sampled: Scan) -> None:
    vertices, triangles, _ = sampled
    a, b, c = (vertices[triangles[:, corner]] for corner in range(3))
    outward = np.einsum("ij,ij->i", np.cross(b - a, c - a), a - [0, -5, -50])
    assert (outward > 0).all()


def test_a_paired_scan_is_exactly_symmetric(head: Head, colours: np.ndarray) -> None:
    vertices, triangles, _ = paired_scan(head, head.fine.vertices, colours, 30_000)
    assert len(vertices) >= 30_000
    assert triangles.dtype == np.int32
    distance, _ = cKDTree(vertices).query(vertices * [-1, 1, 1])
    assert distance.max() == 0


def test_more_vertices_than_the_head_has_are_refused(head: Head, colours: np.ndarray) -> None:
    with pytest.raises(ValueError, match="at most"):
        paired_scan(head, head.fine.vertices, colours, 10_000_000)


def test_white_noise_has_its_standard_deviation(sampled: Scan) -> None:
    vertices, triangles, _ = sampled
    noisy = with_noise(vertices, triangles, 0.2, 0.0, np.random.default_rng(0))
    moved = np.linalg.norm(noisy - vertices, axis=1)
    assert np.sqrt((moved**2).mean()) == pytest.approx(0.2, rel=0.03)


def test_smooth_noise_has_its_standard_deviation_and_is_smooth(sampled: Scan) -> None:
    vertices, triangles, _ = sampled
    moved = []
    for seed in range(6):
        noisy = with_noise(vertices, triangles, 0.0, 0.2, np.random.default_rng(seed))
        moved.append(np.linalg.norm(noisy - vertices, axis=1))
        edge = triangles[:, :2]
        jump = np.linalg.norm(
            (noisy - vertices)[edge[:, 0]] - (noisy - vertices)[edge[:, 1]], axis=1
        )
        assert np.median(jump) < 0.1
    assert np.sqrt((np.array(moved) ** 2).mean()) == pytest.approx(0.2, rel=0.1)


def test_without_noise_nothing_moves(sampled: Scan) -> None:
    vertices, triangles, _ = sampled
    same = with_noise(vertices, triangles, 0.0, 0.0, np.random.default_rng(0))
    np.testing.assert_array_equal(same, vertices)
