from __future__ import annotations

import numpy as np
import pytest

from processing.inputs import Photograph
from processing.landmarks import LANDMARKS
from processing.photograph.scale import Scale, scale_of
from tests.processing.photograph.synthetic_head import MM_PER_PX, head_cm, photographed

POINTS = photographed(head_cm()).points_px
ONLY_DETECTED = np.full(478, np.nan)
IRIS_PX = 11.71 / MM_PER_PX
POPULATION = 0.42 / 11.71


def _photograph(
    spacing: float | None = None, uncertainty: float | None = None, origin: str | None = None
) -> Photograph:
    return Photograph(
        np.zeros((4, 4, 3), dtype=np.uint8),
        "x",
        pixel_spacing_mm=spacing,
        pixel_spacing_uncertainty_mm=uncertainty,
        pixel_spacing_origin=origin,
    )


def _scale(photograph: Photograph, seen: bool = True) -> Scale:
    return scale_of(POINTS, ONLY_DETECTED, photograph, irises_are_seen=seen)


def test_the_iris_gives_the_scale_and_its_spread_between_people_the_uncertainty() -> None:
    scale = _scale(_photograph())
    assert scale.mm_per_px == pytest.approx(MM_PER_PX)
    assert scale.relative_uncertainty == pytest.approx(np.hypot(POPULATION, 0.05))
    assert "iris" in scale.method


def test_an_iris_found_on_the_picture_is_as_uncertain_as_its_edges() -> None:
    placed = np.full(478, 0.4)
    scale = scale_of(POINTS, placed, _photograph())
    # Two edges of an eye, mean of two eyes: 0.4 px for the mean width.
    assert scale.relative_uncertainty == pytest.approx(np.hypot(POPULATION, 0.4 / IRIS_PX))


def test_one_iris_that_was_only_detected_makes_the_width_a_detected_one() -> None:
    placed = np.full(478, 0.4)
    placed[LANDMARKS["iris_nasal_left"]] = np.nan
    scale = scale_of(POINTS, placed, _photograph())
    assert scale.relative_uncertainty == pytest.approx(np.hypot(POPULATION, 0.05))


def test_a_stated_spacing_counts_with_its_own_uncertainty_and_words() -> None:
    scale = _scale(_photograph(0.24, 0.012, "the site's calibration with a ruler"))
    assert (scale.mm_per_px, scale.method) == (0.24, "the site's calibration with a ruler")
    assert scale.relative_uncertainty == pytest.approx(0.05)
    assert scale.stated_is_believed


def test_a_stated_spacing_without_uncertainty_is_taken_for_one_hundredth() -> None:
    scale = _scale(_photograph(0.24))
    assert scale.relative_uncertainty == 0.01
    assert "stated" in scale.method


@pytest.mark.parametrize("spacing", [0.1, 0.4])
def test_a_spacing_that_no_iris_fits_gives_way_to_the_iris(spacing: float) -> None:
    scale = _scale(_photograph(spacing))
    assert scale.mm_per_px == pytest.approx(MM_PER_PX)
    assert not scale.stated_is_believed
    assert scale.stated_iris_mm == pytest.approx(spacing * IRIS_PX)


def test_behind_shut_lids_a_stated_spacing_is_believed_and_an_iris_hardly() -> None:
    assert _scale(_photograph(0.1), seen=False).mm_per_px == 0.1
    guessed = _scale(_photograph(), seen=False)
    assert guessed.relative_uncertainty > 0.15
    assert "guessed" in guessed.method


def test_irises_without_width_give_no_scale() -> None:
    points = np.zeros((478, 2))
    with pytest.raises(ValueError, match="no width"):
        scale_of(points, ONLY_DETECTED, _photograph())
    stated = scale_of(points, ONLY_DETECTED, _photograph(0.2), irises_are_seen=False)
    assert stated.mm_per_px == 0.2
