from __future__ import annotations

import numpy as np
import pytest

from benchmarks.photographs import measured
from benchmarks.photographs.disturbed import DISTURBANCES
from benchmarks.photographs.ict_head import _subdivided
from benchmarks.photographs.known_asymmetry import Pair, slope_table
from benchmarks.photographs.measured import Key, values_of_face
from benchmarks.photographs.rendered import rotation_of
from benchmarks.photographs.truth_cover import Compared, coverage_table, symmetric_table
from processing.landmarks import FACE_OVAL, LANDMARKS
from processing.measurement import Measurement


def test_the_slope_of_a_known_line_is_found() -> None:
    pairs = [Pair("a", "chin", true, 0.5 * true + 0.2, 0.25 * true) for true in (1.0, 2.0, 4.0)]
    row = slope_table(pairs, "title", "note").rows[0]
    assert row[2:7] == (3, 0, pytest.approx(0.5), pytest.approx(0.2), pytest.approx(0.0, abs=1e-9))
    assert row[7] == pytest.approx(0.25)


def test_refused_pictures_are_counted_and_not_fitted() -> None:
    pairs = [Pair("a", "chin", true, true, None) for true in (1.0, 2.0, 4.0)]
    pairs.append(Pair("a", "chin", 9.0, None, None, "too dark"))
    row = slope_table(pairs, "title", "note").rows[0]
    assert row[2:5] == (4, 1, pytest.approx(1.0))
    assert row[7] is None


def test_coverage_counts_errors_within_twice_the_uncertainty() -> None:
    key = Key("chin_deviation", "gnathion")
    errors = (0.5, -1.9, 2.1, -5.0)
    compared = [Compared("head", {}, None, {key: (each, 1.0)}) for each in errors]
    rows = {row[0]: row for row in coverage_table(compared, "title").rows}
    assert rows["chin_deviation gnathion"][-1] == "50 %"
    assert rows["chin_deviation gnathion"][1] == 4


def test_the_share_of_symmetric_heads_above_the_limit_is_said() -> None:
    ratios = (0.99, 0.98, 0.995, 0.986)
    compared = [Compared("head", {}, None, {}, each) for each in ratios]
    compared.append(Compared("head", {}, "too dark"))
    rows = dict(symmetric_table(compared).rows)
    assert rows["share of at least 0.985"] == "75 %"
    assert (rows["heads"], rows["refused"]) == (5, 1)


@pytest.mark.parametrize(("lower", "sign"), [("right", 1), ("left", -1)])
def test_an_amount_gets_its_sign_from_the_lower_side(lower: str, sign: int) -> None:
    method = f"difference of height; the {lower} is lower"
    read = Measurement("commissure_height_difference", 2.0, "mm", 0.5, method)
    assert measured._value(read).value == 2.0 * sign


def test_a_difference_that_has_a_sign_keeps_it() -> None:
    read = Measurement("brow_height_difference", -2.0, "mm", 0.5, "left minus right")
    assert measured._value(read).value == -2.0


def test_measures_of_points_are_left_minus_right_in_the_frame_of_the_pupils() -> None:
    points = np.zeros((478, 2))
    around = np.linspace(0, 2 * np.pi, len(FACE_OVAL), endpoint=False)
    oval = np.stack([70 * np.sin(around) + 3, 40 - 150 * np.cos(around)], axis=1)
    names = {
        "iris_centre_right": (-30, 0),
        "iris_centre_left": (30, 0),
        "cheilion_right": (-25, 60),
        "cheilion_left": (27, 64),
        "stomion": (0, 40),
        "subnasale": (0, 40),
        "gnathion": (3, 190),
    }
    turn = np.array([[0.8, 0.6], [-0.6, 0.8]])
    points[list(FACE_OVAL)] = oval @ turn + (200, 300)
    for name, place in names.items():
        points[LANDMARKS[name]] = np.array(place) @ turn + (200, 300)
    values = values_of_face(points, 0.5)
    assert values[Key("commissure_height_difference", "cheilion")] == pytest.approx(-2.0)
    assert values[Key("chin_deviation", "gnathion")] == pytest.approx(1.5)
    assert values[Key("midline_distance", "cheilion", side="left")] == pytest.approx(13.5)
    assert values[Key("midline_distance", "cheilion", side="right")] == pytest.approx(12.5)
    contour = Key("midline_distance", "face_contour", "mouth")
    assert values[contour._replace(side="left")] == pytest.approx(36.5, abs=0.01)
    assert values[contour._replace(side="right")] == pytest.approx(33.5, abs=0.01)


@pytest.mark.parametrize("kind", list(DISTURBANCES))
def test_disturbances_change_the_picture_and_keep_its_proportions(kind: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (60, 40, 3)).astype(np.uint8)
    for each in DISTURBANCES[kind]:
        changed = each.apply(pixels)
        expected = (round(60 * each.scale), round(40 * each.scale), 3)
        assert changed.shape == expected
        assert changed.dtype == np.uint8
        if each.scale == 1.0:
            assert (changed != pixels).any()


def test_a_head_turned_to_its_left_shows_its_nose_on_the_right_of_the_picture() -> None:
    nose = np.array([0.0, 0.0, 100.0])
    assert (rotation_of(3, 0, 0) @ nose)[0] > 5
    assert (rotation_of(0, 3, 0) @ nose)[1] > 5
    top = np.array([0.0, 100.0, 0.0])
    assert (rotation_of(0, 0, 3) @ top)[0] > 5


def test_subdivision_keeps_flat_surfaces_flat_and_weights_to_one() -> None:
    columns, rows = np.meshgrid(np.arange(4), np.arange(4))
    places = np.stack([columns.ravel(), rows.ravel(), np.zeros(16)], axis=1).astype(float)
    corner = (rows[:-1, :-1] * 4 + columns[:-1, :-1]).ravel()
    quads = np.stack([corner, corner + 1, corner + 5, corner + 4], axis=1)
    quads = np.concatenate([quads[:-1], [[*quads[-1, :3], -1], [*quads[-1, [0, 2, 3]], -1]]])
    matrix, fine = _subdivided(quads, 16, 2)
    assert np.asarray(matrix.sum(axis=1)).ravel() == pytest.approx(1.0)
    finer = matrix @ places
    assert np.abs(finer[:, 2]).max() == 0
    assert (fine >= 0).all()
    assert len(fine) == 16 * 8 + 2 * 12
    inner = finer[[5, 6, 9]]
    assert inner == pytest.approx(places[[5, 6, 9]], abs=0.2)
