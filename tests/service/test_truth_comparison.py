from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processing.measurement import Analysis, Measurement, Plane, Side, Status
from processing.phantom.deficit import Site
from processing.phantom.truth import PairDistance, PhantomTruth
from service.truth_comparison import Row, compare, plane_angle_deg, plane_offset_mm

PLANE = Plane((1.0, 0.0, 0.0), 5.0)
TRUTH = PhantomTruth(
    site=Site.CHEEK,
    side=Side.LEFT,
    deficit_ml=8.0,
    volume_discrepancy_ml=-8.0,
    greatest_depth_mm=5.0,
    affected_area_mm2=4000.0,
    midsagittal_plane=PLANE,
    landmarks_mm={
        "nasion": (5.0, 30.0, 50.0),
        "subnasale": (5.0, -10.0, 55.0),
        "cheilion_left": (30.0, -30.0, 40.0),
    },
    landmarks_px={},
    pair_distances={
        name: PairDistance(40.0, 40.0) for name in ("exocanthion", "alare", "cheilion")
    },
    pixel_spacing_mm=0.2,
    pose_deg=(0.0, 0.0, 0.0),
    photograph_yaw_deg=0.0,
)
SYMMETRIC = replace(TRUTH, deficit_ml=0.0, volume_discrepancy_ml=0.0)


def surface(volume_ml: float, plane: Plane = PLANE) -> Analysis:
    volumes = (
        Measurement("volume_discrepancy", 99.0, "mL", 0.2, "m", region="cheek"),
        Measurement("volume_discrepancy", volume_ml, "mL", 0.2, "m", side=Side.LEFT),
    )
    return Analysis(
        "surface-symmetry", "1.0.0", Status.MEASURED, measurements=volumes,
        planes={"midsagittal": plane},
    )  # fmt: skip


def photograph(ratio: float) -> Analysis:
    measured = (Measurement("symmetry_ratio", ratio, "1", 0.01, "m"),)
    return Analysis("photograph-symmetry", "1.0.0", Status.MEASURED, measurements=measured)


def row(rows: tuple[Row, ...], quantity: str) -> Row:
    return next(each for each in rows if each.quantity == quantity)


@pytest.mark.parametrize(
    ("volume_ml", "passed"), [(-8.7, True), (-7.3, True), (-7.1, False), (8.0, False)]
)
def test_the_volume_of_the_whole_face_must_be_within_ten_percent(
    volume_ml: float, passed: bool
) -> None:
    rows = compare("any", TRUTH, {"surface-symmetry": surface(volume_ml)})
    found = row(rows, "volume discrepancy")
    assert (found.truth, found.measured, found.passed) == (-8.0, volume_ml, passed)


def test_of_a_symmetric_face_the_volume_is_shown_without_a_target() -> None:
    rows = compare("any", SYMMETRIC, {"surface-symmetry": surface(0.3)})
    assert row(rows, "volume discrepancy").passed is None
    assert row(rows, "volume discrepancy").target is None


@pytest.mark.parametrize(("ratio", "passed"), [(0.995, True), (0.985, False)])
def test_only_the_symmetric_face_promises_a_symmetry_ratio(ratio: float, passed: bool) -> None:
    analyses = {"photograph-symmetry": photograph(ratio)}
    assert row(compare("any", SYMMETRIC, analyses), "symmetry ratio").passed is passed
    assert row(compare("any", TRUTH, analyses), "symmetry ratio").passed is None


@pytest.mark.parametrize(("angle_deg", "passed"), [(0.29, True), (0.31, False)])
def test_the_plane_must_be_within_three_tenths_of_a_degree(angle_deg: float, passed: bool) -> None:
    angle = math.radians(angle_deg)
    plane = Plane((math.cos(angle), 0.0, math.sin(angle)), 5.0)
    rows = compare("any", TRUTH, {"surface-symmetry": surface(-8.0, plane)})
    found = row(rows, "angle between the planes")
    assert found.measured == pytest.approx(angle_deg, abs=1e-9)
    assert found.passed is passed


def test_what_did_not_come_back_misses_its_targets() -> None:
    refused = Analysis("surface-symmetry", "1.0.0", Status.REFUSED, reason="no face")
    for analyses in ({}, {"surface-symmetry": refused}):
        rows = compare("any", SYMMETRIC, analyses) + compare("any", TRUTH, analyses)
        asked = [each for each in rows if each.target is not None]
        assert len(asked) == 4
        assert all(each.measured is None and each.passed is False for each in asked)


@given(st.floats(0, 90), st.floats(0, 2 * math.pi), st.sampled_from([1.0, -1.0]))
def test_the_angle_between_planes_does_not_depend_on_where_normals_point(
    angle_deg: float, azimuth: float, orientation: float
) -> None:
    angle = math.radians(angle_deg)
    tilted = np.array(
        [math.cos(angle), math.sin(angle) * math.cos(azimuth), math.sin(angle) * math.sin(azimuth)]
    )
    normal = orientation * tilted
    other = Plane((float(normal[0]), float(normal[1]), float(normal[2])), 0.0)
    assert plane_angle_deg(PLANE, other) == pytest.approx(angle_deg, abs=1e-6)


@given(st.floats(-20, 20), st.sampled_from([1.0, -1.0]))
def test_the_offset_counts_to_the_patients_left_however_the_normal_points(
    shift_mm: float, orientation: float
) -> None:
    plane = Plane((orientation, 0.0, 0.0), orientation * (5.0 + shift_mm))
    assert plane_offset_mm(TRUTH, plane) == pytest.approx(shift_mm, abs=1e-9)
