"""The real measurement, with its parts timed and what they hand on kept.

`processing.surface.symmetry.measure` is called as it is. Its parts are the
functions that it calls by name; each is wrapped for the time of one call. A
part that goes by another name later is not timed any more, and nothing else
breaks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from processing.face_landmarks import FaceDetector
from processing.inputs import Surface
from processing.measurement import Analysis, Measurement
from processing.surface import symmetry

PICTURE_PARTS: Final = ("shown_surface", "symmetry_pictures", "symmetry_models")
PARTS: Final = (
    "clean",
    "find_face",
    "fit_midsagittal_plane",
    "radial_maps",
    "measurements_of",
    *PICTURE_PARTS,
)
_PICTURES: Final = "symmetry_pictures"


@dataclass(slots=True, eq=False)
class Watched:
    """An analysis, how long it and its parts took, and what the parts gave."""

    analysis: Analysis
    seconds: float
    part_seconds: dict[str, float]
    given: dict[str, Any] = field(repr=False)

    def volume(self, region: str | None) -> Measurement | None:
        """The volume of a region; of the whole hemiface for None."""
        return self.measurement("volume_discrepancy", region)

    def measurement(self, quantity: str, region: str | None = None) -> Measurement | None:
        """The first measurement of a quantity in a region."""
        for each in self.analysis.measurements:
            if each.quantity == quantity and each.region == region:
                return each
        return None

    def check(self, name: str) -> float | None:
        """The value of a quality check."""
        for each in self.analysis.quality:
            if each.check == name:
                return each.value
        return None


def watched(surface: Surface, detector: FaceDetector, *, pictures: bool = False) -> Watched:
    """Measure a scan.

    Parameters
    ----------
    surface : Surface
    detector : FaceDetector
    pictures : bool
        False leaves them out, to save time where only numbers count.
    """
    seconds: dict[str, float] = {}
    given: dict[str, Any] = {}

    def timed(name: str, part: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **named: Any) -> Any:
            if name == _PICTURES and not pictures:
                return ()
            started = time.perf_counter()
            result = part(*arguments, **named)
            seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - started
            given[name] = result
            return result

        return run

    with _wrapped(timed):
        started = time.perf_counter()
        analysis = symmetry.measure(surface, detector)
        total = time.perf_counter() - started
    return Watched(analysis, total, seconds, given)


@contextmanager
def _wrapped(
    wrapper: Callable[[str, Callable[..., Any]], Callable[..., Any]],
) -> Iterator[None]:
    originals = {name: getattr(symmetry, name) for name in PARTS if hasattr(symmetry, name)}
    try:
        for name, part in originals.items():
            setattr(symmetry, name, wrapper(name, part))
        yield
    finally:
        for name, part in originals.items():
            setattr(symmetry, name, part)
