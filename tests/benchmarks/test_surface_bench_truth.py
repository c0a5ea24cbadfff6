"""The known deficits of the surface benchmark, on a synthetic face."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.surfaces.cases import Case, CaseSpec, make_case
from benchmarks.surfaces.deficits import DEEPEST_MM, SIZES_ML, Site, TooLarge, hollowed
from benchmarks.surfaces.heads import SymmetricHead
from benchmarks.surfaces.natural import facial_areas_mm2, with_natural_asymmetry
from benchmarks.surfaces.prisms import volume_between_ml, volume_by_rays_ml
from benchmarks.surfaces.scans import ScanSpec, scanned
from processing.measurement import Side

MIRROR_X = np.array([-1.0, 1.0, 1.0])
RADII_MM = np.array([80.0, 115.0, 100.0])
CENTRE_MM = np.array([0.0, 0.0, -40.0])


@lru_cache(maxsize=1)
def ellipsoid() -> SymmetricHead:
    """An ellipsoid where the canonical face would be: symmetric, smooth, of known volume."""
    rings, around = 160, 240
    polar = np.linspace(0.02, np.pi - 0.02, rings)
    angle = 2 * np.pi * np.arange(around) / around
    height, turn = (each.ravel() for each in np.meshgrid(polar, angle, indexing="ij"))
    unit = np.stack(
        [np.sin(height) * np.sin(turn), np.cos(height), np.sin(height) * np.cos(turn)], axis=1
    )
    index = np.arange(rings * around).reshape(rings, around)
    mirror = np.roll(index[:, ::-1], 1, axis=1).ravel()
    following = np.roll(index, -1, axis=1)
    a, b, c, d = (e.ravel() for e in (index[:-1], index[1:], following[1:], following[:-1]))
    triangles = np.concatenate([np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1)])
    vertices = unit * RADII_MM + CENTRE_MM
    vertices = (vertices + vertices[mirror] * MIRROR_X) / 2
    normals = unit / RADII_MM
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return SymmetricHead("ellipsoid", vertices, triangles, mirror, normals, 1.0, np.zeros(3))


def case_of(spec: CaseSpec) -> Case:
    return make_case(spec, [lambda _: ellipsoid()])


def test_the_volume_between_two_ellipsoids_is_that_of_their_formula() -> None:
    head = ellipsoid()
    larger = (head.vertices_mm - CENTRE_MM) * 1.05 + CENTRE_MM
    expected = 4 / 3 * np.pi * np.prod(RADII_MM) * (1.05**3 - 1) / 1000
    swept = volume_between_ml(head.vertices_mm, larger, head.triangles)
    # The poles are left open and the facets cut the corners.
    assert swept == pytest.approx(expected, rel=2e-3)
    assert volume_between_ml(larger, head.vertices_mm, head.triangles) == pytest.approx(-swept)


@pytest.mark.parametrize("side", list(Side))
def test_a_deficit_lacks_its_volume_on_its_side_and_nothing_on_the_other(side: Side) -> None:
    head = ellipsoid()
    deficit = hollowed(head, head.vertices_mm, Site.CHEEK_NARROW, side, 5.0)
    assert deficit.volume_ml == pytest.approx(5.0, abs=1e-6)
    outward = head.vertices_mm[:, 0] * (1 if side is Side.LEFT else -1)
    assert (outward[deficit.moved] > 0).all()
    assert deficit.area[deficit.moved].mean() > 0.8
    assert (outward[deficit.area] > 0).all()


def test_rays_at_the_visible_surface_find_the_same_volume() -> None:
    head = ellipsoid()
    deficit = hollowed(head, head.vertices_mm, Site.CHEEK_WIDE, Side.LEFT, 15.0)
    by_rays, error = volume_by_rays_ml(
        deficit.vertices_mm, head.vertices_mm, head.triangles, deficit.moved, CENTRE_MM
    )
    assert by_rays == pytest.approx(15.0, rel=1e-3)
    assert error < 0.05


def test_a_site_refuses_what_it_cannot_hold() -> None:
    head = ellipsoid()
    with pytest.raises(TooLarge, match=f"not {1000:g}"):
        hollowed(head, head.vertices_mm, Site.COUP_DE_SABRE, Side.LEFT, 1000.0)


def test_every_site_holds_its_sizes_with_no_hollow_deeper_than_the_limit() -> None:
    head = ellipsoid()
    for site, sizes in SIZES_ML.items():
        assert hollowed(head, head.vertices_mm, site, Side.LEFT, sizes[-1]).depth_mm <= DEEPEST_MM


def test_natural_asymmetry_is_antisymmetric_and_of_its_size() -> None:
    head = ellipsoid()
    moved = with_natural_asymmetry(head, 0.3, np.random.default_rng(1))
    by = np.einsum("ij,ij->i", moved - head.vertices_mm, head.smooth_normals)
    np.testing.assert_allclose(by, -by[head.mirror], atol=1e-9)
    square = np.average((by - by[head.mirror]) ** 2, weights=facial_areas_mm2(head))
    assert np.sqrt(square) == pytest.approx(0.3, rel=1e-6)


def test_natural_asymmetry_holds_nothing_that_a_moved_plane_would_explain() -> None:
    head = ellipsoid()
    moved = with_natural_asymmetry(head, 0.3, np.random.default_rng(1))
    by = np.einsum("ij,ij->i", moved - head.vertices_mm, head.smooth_normals)
    areas = facial_areas_mm2(head)
    # A shift of the plane by 1 mm changes left minus right by 2 n_x.
    shift = 2 * head.smooth_normals[:, 0]
    assert abs((areas * 2 * by) @ shift) / ((areas * shift) @ shift) < 1e-6


def test_the_face_that_natural_asymmetry_is_judged_on_is_the_visible_one() -> None:
    head = ellipsoid()
    areas = facial_areas_mm2(head)
    np.testing.assert_allclose(areas, areas[head.mirror])
    behind = head.to_canonical(head.vertices_mm)[:, 2] < -40
    assert areas[behind].sum() == 0
    corners = head.vertices_mm[head.triangles]
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    whole = np.linalg.norm(cross, axis=1).sum() / 2
    assert 0.3 < areas.sum() / whole < 0.9


def test_a_scan_lies_on_the_face_and_pairs_no_vertex_with_its_mirror_image() -> None:
    head = ellipsoid()
    spec = ScanSpec(vertices=4_000, white_mm=0.0, smooth_mm=0.0)
    scan = scanned(head, head.vertices_mm, spec, 3, "scan")
    assert len(scan.clean_mm) == pytest.approx(4_000, rel=0.15)
    on = np.linalg.norm((scan.clean_mm - CENTRE_MM) / RADII_MM, axis=1)
    np.testing.assert_allclose(on, 1.0, atol=2e-3)
    np.testing.assert_allclose(
        (scan.surface.vertices_mm - scan.shift_mm) @ scan.rotation, scan.clean_mm, atol=1e-9
    )
    images = scan.clean_mm * MIRROR_X
    nearest = np.array([np.linalg.norm(scan.clean_mm - each, axis=1).min() for each in images])
    off_midline = np.abs(scan.clean_mm[:, 0]) > 5
    assert np.median(nearest[off_midline]) > 0.3


def test_the_same_specification_makes_the_same_case() -> None:
    spec = CaseSpec(3, Site.TEMPLE, 5.0, 0.3, ScanSpec(vertices=3_000))
    first, second = case_of(spec), case_of(spec)
    np.testing.assert_array_equal(first.scan.surface.vertices_mm, second.scan.surface.vertices_mm)
    np.testing.assert_array_equal(first.area, second.area)


def test_the_true_volume_is_left_minus_right() -> None:
    left = case_of(CaseSpec(1, Site.CHEEK_WIDE, 15.0, scan=ScanSpec(vertices=3_000)))
    right = case_of(CaseSpec(2, Site.CHEEK_WIDE, 15.0, scan=ScanSpec(vertices=3_000)))
    assert left.area_volume_ml() == pytest.approx(-15.0, abs=0.01)
    assert right.area_volume_ml() == pytest.approx(15.0, abs=0.01)
    everything = np.ones(len(left.head.triangles), bool)
    assert left.deficit_within_ml(everything) == pytest.approx(-15.0, abs=1e-6)


def test_the_true_difference_over_an_area_is_the_same_told_from_the_other_side() -> None:
    case = case_of(CaseSpec(1, Site.CHEEK_WIDE, 15.0, 0.3, ScanSpec(vertices=3_000)))
    opposite = case.area_on_head[case.head.mirror]
    here, there = (case.difference_within_ml(each) for each in (case.area_on_head, opposite))
    assert here == case.area_volume_ml()
    assert there == pytest.approx(here, rel=5e-3)
    assert case.difference_within_ml(np.zeros_like(opposite)) == 0.0


def test_natural_asymmetry_counts_in_the_truth_of_the_area() -> None:
    scan = ScanSpec(vertices=3_000)
    case = case_of(CaseSpec(1, Site.CHEEK_WIDE, 15.0, 0.3, scan))
    own = case.area_volume_ml()
    chosen = case.head.triangles[case.area_on_head[case.head.triangles].all(axis=1)]
    other = case.intact_mm[case.head.mirror] * MIRROR_X
    natural = volume_between_ml(other, case.intact_mm, chosen)
    assert abs(natural) > 0.01
    assert own == pytest.approx(natural - 15.0, abs=0.1)


def test_the_true_difference_is_nothing_where_the_face_is_symmetric() -> None:
    case = case_of(CaseSpec(1, Site.CHEEK_NARROW, 5.0, scan=ScanSpec(vertices=3_000)))
    distances: NDArray[np.float64] = np.abs(case.true_distances_mm())
    deep = distances[case.area].max()
    assert deep > 0.5 * case.depth_mm
    away = np.abs(case.scan.clean_mm[:, 0]) < 8
    assert distances[away].max() < 0.05
