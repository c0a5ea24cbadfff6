"""Published normal ranges of quantities, in one place for reports and pages.

A range is listed only where it was published for the same quantity of the same part
of the face. How a scan is cut, mirrored and cleaned moves these values: one study's
mean is another's upper bound. So they are a guide, and a source says that they
depend on the method.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from processing.measurement import Measurement, NormalRange

_ADULTS: Final = "51 adults of about 22 years, hand-held scanner"
_OZSOY: Final = (
    "Özsoy 2016: {mean} ± {deviation} mm (mean ± SD), bound at mean + 2 SD; depends on the method"
)

NORMAL_RANGES: Final[Mapping[tuple[str, str | None, str | None], NormalRange]] = MappingProxyType(
    {
        ("rms_asymmetry", "face", None): NormalRange(
            None, 1.53, "mm", _ADULTS, _OZSOY.format(mean=0.95, deviation=0.29)
        ),
        ("mean_absolute_asymmetry", "face", None): NormalRange(
            None, 1.16, "mm", _ADULTS, _OZSOY.format(mean=0.72, deviation=0.22)
        ),
    }
)
"""By quantity, structure and region."""


def normal_range_of(measurement: Measurement) -> NormalRange | None:
    """The normal range of what was measured; None where none was published."""
    found = NORMAL_RANGES.get((measurement.quantity, measurement.structure, measurement.region))
    return found if found is not None and found.unit == measurement.unit else None
