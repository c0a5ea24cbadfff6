from __future__ import annotations

import pytest

from processing.measurement import Measurement
from processing.normal_ranges import NORMAL_RANGES, normal_range_of


def measured(quantity: str, unit: str = "mm", region: str | None = None) -> Measurement:
    return Measurement(quantity, 1.0, unit, 0.1, "m", structure="face", region=region)


def test_the_whole_face_has_a_range_with_its_source_and_population() -> None:
    found = normal_range_of(measured("rms_asymmetry"))
    assert found is not None
    assert found.high == pytest.approx(0.95 + 2 * 0.29)
    assert "depends on the method" in found.source
    assert found.population


@pytest.mark.parametrize(
    "other",
    [
        measured("rms_asymmetry", region="cheek"),
        measured("rms_asymmetry", unit="cm"),
        measured("p95_asymmetry"),
    ],
)
def test_what_was_not_published_has_none(other: Measurement) -> None:
    assert normal_range_of(other) is None


def test_bounds_are_in_order() -> None:
    for each in NORMAL_RANGES.values():
        assert each.low is not None or each.high is not None
        assert each.low is None or each.high is None or each.low < each.high
