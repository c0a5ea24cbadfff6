from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processing.inputs import Surface, Texture
from processing.measurement import RejectedInput
from processing.surface.mesh import Mesh, clean, reversed_winding


def _surface(mesh: Mesh) -> Surface:
    return Surface(mesh.vertices_mm, mesh.triangles.astype(np.int32), "test")


def test_a_clean_face_stays_as_it_is(symmetric_face: Mesh) -> None:
    mesh, cleaning = clean(_surface(symmetric_face))
    assert cleaning.degenerate_triangles == cleaning.duplicate_triangles == 0
    assert cleaning.shells == 1
    assert cleaning.triangles_turned == 0
    np.testing.assert_array_equal(
        mesh.vertices_mm[mesh.triangles], symmetric_face.vertices_mm[symmetric_face.triangles]
    )


def test_triangles_wound_the_other_way_are_turned_back(symmetric_face: Mesh) -> None:
    turned = np.random.default_rng(1).random(len(symmetric_face.triangles)) < 0.3
    triangles = symmetric_face.triangles.copy()
    triangles[turned] = triangles[turned][:, ::-1]
    mesh, cleaning = clean(Surface(symmetric_face.vertices_mm, triangles.astype(np.int32), "test"))
    assert cleaning.triangles_turned == np.count_nonzero(turned)
    np.testing.assert_allclose(mesh.normals, symmetric_face.normals, atol=1e-12)


def test_duplicate_and_degenerate_triangles_are_left_out(symmetric_face: Mesh) -> None:
    some = symmetric_face.triangles[:40]
    flat = np.repeat(symmetric_face.triangles[50:60, :1], 3, axis=1)
    surface = _surface(symmetric_face)
    spoilt = replace(
        surface,
        triangles=np.concatenate([surface.triangles, some[:, [1, 2, 0]], flat]).astype(np.int32),
    )
    mesh, cleaning = clean(spoilt)
    assert cleaning.duplicate_triangles == 40
    assert cleaning.degenerate_triangles == 10
    assert len(mesh.triangles) == len(symmetric_face.triangles)


def test_only_the_largest_shell_is_kept(symmetric_face: Mesh) -> None:
    surface = _surface(symmetric_face)
    count = len(surface.vertices_mm)
    island = surface.triangles[:200]
    both = replace(
        surface,
        vertices_mm=np.concatenate([surface.vertices_mm, surface.vertices_mm + 300.0]),
        triangles=np.concatenate([surface.triangles, island + count]).astype(np.int32),
    )
    mesh, cleaning = clean(both)
    assert cleaning.shells > 1
    assert 0.5 < cleaning.area_kept_fraction < 1
    assert mesh.vertices_mm.max() < 150


def test_equal_vertices_are_one_vertex(symmetric_face: Mesh) -> None:
    corners = symmetric_face.vertices_mm[symmetric_face.triangles].reshape(-1, 3)
    soup = Surface(corners, np.arange(len(corners), dtype=np.int32).reshape(-1, 3), "test")
    mesh, _ = clean(soup)
    assert len(mesh.vertices_mm) == len(symmetric_face.vertices_mm)


def test_the_border_is_the_edge_of_the_face_and_nothing_inside(symmetric_face: Mesh) -> None:
    near_nose = np.linalg.norm(symmetric_face.vertices_mm - (0, -11, 74), axis=1) < 25
    assert not symmetric_face.border[near_nose].any()
    lowest = np.argmin(symmetric_face.vertices_mm[:, 1])
    assert symmetric_face.border[lowest]


def test_vertex_areas_add_up_to_the_surface(symmetric_face: Mesh) -> None:
    corners = symmetric_face.vertices_mm[symmetric_face.triangles]
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    whole = np.linalg.norm(cross, axis=1).sum() / 2
    assert symmetric_face.areas_mm2.sum() == pytest.approx(whole)


def test_reversing_the_winding_turns_the_normals(symmetric_face: Mesh) -> None:
    other = reversed_winding(symmetric_face)
    np.testing.assert_array_equal(other.normals, -symmetric_face.normals)
    np.testing.assert_array_equal(other.triangles, symmetric_face.triangles[:, ::-1])


def test_too_few_triangles_are_rejected() -> None:
    cube = Surface(
        np.array(np.meshgrid([0, 80], [0, 80], [0, 80]), np.float64).reshape(3, -1).T,
        np.array([[0, 1, 2], [1, 3, 2], [4, 6, 5], [5, 6, 7]], np.int32),
        "cube.stl",
    )
    with pytest.raises(RejectedInput, match=r"cube\.stl.*usable triangles"):
        clean(cube)


def _with_texture(mesh: Mesh) -> Surface:
    rng = np.random.default_rng(3)
    corners = rng.random((len(mesh.triangles), 3, 2))
    pixels = rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)
    return replace(_surface(mesh), texture=Texture(pixels, corners))


def _places_in_texture(surface: Surface | Mesh) -> set[tuple[float, ...]]:
    """Each corner of each triangle: where it is and where it lies in the texture."""
    assert surface.texture is not None
    places = surface.vertices_mm[surface.triangles]
    both = np.concatenate([places, surface.texture.corners], axis=2).reshape(-1, 5)
    return set(map(tuple, both.round(9)))


def test_texture_corners_go_with_the_triangles_that_are_kept(symmetric_face: Mesh) -> None:
    surface = _with_texture(symmetric_face)
    assert surface.texture is not None
    turned = np.arange(len(surface.triangles)) % 7 == 0
    triangles, corners = surface.triangles.copy(), surface.texture.corners.copy()
    triangles[turned], corners[turned] = triangles[turned][:, ::-1], corners[turned][:, ::-1]
    flat = np.repeat(triangles[:5, :1], 3, axis=1)
    spoilt = replace(
        surface,
        triangles=np.concatenate([flat, triangles, triangles[:9]]),
        texture=Texture(
            surface.texture.pixels, np.concatenate([corners[:5], corners, corners[:9]])
        ),
    )
    mesh, cleaning = clean(spoilt)
    assert (cleaning.degenerate_triangles, cleaning.duplicate_triangles) == (5, 9)
    assert cleaning.triangles_turned == np.count_nonzero(turned)
    assert _places_in_texture(mesh) == _places_in_texture(surface)
    assert _places_in_texture(reversed_winding(mesh)) == _places_in_texture(surface)


def test_a_texture_that_is_not_of_the_triangles_is_rejected(symmetric_face: Mesh) -> None:
    surface = _with_texture(symmetric_face)
    with pytest.raises(RejectedInput, match="texture"):
        clean(replace(surface, triangles=surface.triangles[:-1]))


def test_spikes_are_flattened_and_counted(symmetric_face: Mesh) -> None:
    inner = np.flatnonzero(~symmetric_face.border)[[200, 900, 2500]]
    vertices = symmetric_face.vertices_mm.copy()
    vertices[inner] += 25.0 * symmetric_face.normals[inner]
    mesh, cleaning = clean(replace(_surface(symmetric_face), vertices_mm=vertices))
    assert cleaning.spikes == 3
    apart = np.linalg.norm(mesh.vertices_mm - symmetric_face.vertices_mm, axis=1)
    assert apart.max() < 1.0
    assert np.count_nonzero(apart) == 3


def test_a_fan_of_slender_triangles_in_a_flat_place_is_no_spike() -> None:
    around = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    rings = [
        np.stack([r * np.cos(around), r * np.sin(around), np.zeros(60)], axis=1)
        for r in (50.0, 60.0, 70.0, 80.0, 90.0, 100.0)
    ]
    vertices = np.concatenate([[[0.0, 0.0, 0.0]], *rings])
    fan = [[0, 1 + i, 1 + (i + 1) % 60] for i in range(60)]
    for ring in range(5):
        for i in range(60):
            a, b = 1 + 60 * ring + i, 1 + 60 * ring + (i + 1) % 60
            fan += [[a, a + 60, b], [b, a + 60, b + 60]]
    mesh, cleaning = clean(Surface(vertices, np.array(fan, np.int32), "disc"))
    assert cleaning.spikes == 0
    np.testing.assert_array_equal(mesh.vertices_mm, vertices)


def test_holes_are_counted_and_the_outline_is_none(symmetric_face: Mesh) -> None:
    _, cleaning = clean(_surface(symmetric_face))
    whole = cleaning.holes
    inner = np.flatnonzero(~symmetric_face.border)[[300, 2500]]
    near_a_hole = np.isin(symmetric_face.triangles, inner).any(axis=1)
    surface = replace(
        _surface(symmetric_face),
        triangles=symmetric_face.triangles[~near_a_hole].astype(np.int32),
    )
    _, cleaning = clean(surface)
    assert cleaning.holes == whole + 2


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.0, 0.4), st.integers(0, 30), st.integers(0, 30))
def test_defects_of_any_kind_leave_the_same_surface(
    symmetric_face: Mesh, seed: int, turned: float, repeated: int, flat: int
) -> None:
    rng = np.random.default_rng(seed)
    triangles = symmetric_face.triangles.copy()
    wrong = rng.random(len(triangles)) < turned
    triangles[wrong] = triangles[wrong][:, ::-1]
    again = triangles[rng.integers(0, len(triangles), repeated)][:, rng.permutation(3)]
    degenerate = np.repeat(rng.integers(0, len(symmetric_face.vertices_mm), (flat, 1)), 3, axis=1)
    everything = np.concatenate([triangles, again, degenerate])
    rng.shuffle(everything)
    # A soup: each triangle has vertices of its own.
    soup = Surface(
        symmetric_face.vertices_mm[everything].reshape(-1, 3),
        np.arange(3 * len(everything), dtype=np.int32).reshape(-1, 3),
        "soup",
    )
    mesh, cleaning = clean(soup)
    assert cleaning.degenerate_triangles == flat
    assert len(mesh.triangles) == len(symmetric_face.triangles)
    assert len(mesh.vertices_mm) == len(symmetric_face.vertices_mm)
    assert mesh.areas_mm2.sum() == pytest.approx(symmetric_face.areas_mm2.sum())
    volume = np.einsum("ij,ij->", *_cones(mesh))
    assert abs(volume) == pytest.approx(abs(np.einsum("ij,ij->", *_cones(symmetric_face))))


def _cones(mesh: Mesh) -> tuple[np.ndarray, np.ndarray]:
    a, b, c = (mesh.vertices_mm[mesh.triangles[:, corner]] for corner in range(3))
    return a, np.cross(b, c)
