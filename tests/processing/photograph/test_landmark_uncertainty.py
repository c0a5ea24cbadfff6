from __future__ import annotations

import numpy as np
import pytest

from processing.landmarks import LANDMARKS
from processing.photograph.landmark_uncertainty import (
    landmark_uncertainty_px,
    outward_uncertainty_px,
    placed_uncertainty_px,
)


def test_a_landmark_is_as_certain_as_whoever_placed_it() -> None:
    refined = np.full(478, np.nan)
    refined[[1, 2]] = 0.7
    placed = placed_uncertainty_px(refined, frozenset({2, 3}), edited_mm=0.2, px_per_mm=5)
    assert placed[1] == 0.7
    assert placed[2] == placed[3] == pytest.approx(np.hypot(1.0, 0.5))
    assert np.isnan(placed[4])
    spread = np.full(478, 3.0)
    uncertainty = landmark_uncertainty_px(spread, placed, mm_per_px=0.2)
    np.testing.assert_array_equal(uncertainty[[1, 2, 3]], placed[[1, 2, 3]])
    detected = uncertainty[LANDMARKS["stomion"]]
    assert detected == pytest.approx(np.sqrt(9 / 2 + 1.5**2 + 0.15**2))
    assert (
        uncertainty[LANDMARKS["gnathion"]] > detected > uncertainty[LANDMARKS["iris_centre_left"]]
    )


def test_a_detected_pair_may_lie_outward_together_and_a_placed_one_may_not() -> None:
    placed = np.full(478, np.nan)
    placed[LANDMARKS["alare_left"]] = 0.5
    outward = outward_uncertainty_px(placed, mm_per_px=0.2)
    for side in ("left", "right"):
        assert outward[LANDMARKS[f"endocanthion_{side}"]] == pytest.approx(4.0)
        assert outward[LANDMARKS[f"alare_{side}"]] == 0
