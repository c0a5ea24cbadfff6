"""How long one photograph takes, where the time goes, and whether memory stays flat."""

from __future__ import annotations

import cProfile
import gc
import os
import pstats
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.photographs.disturbed import scaled
from benchmarks.photographs.measured import read
from benchmarks.photographs.warped import BasePicture
from benchmarks.tables import Table
from processing.face_landmarks import FaceDetector

Say = Callable[[str], None]
Cells = tuple[str | float | int | None, ...]

_MEGAPIXELS: Final = (1.0, 12.0)
_WHERE_SHOWN: Final = 14
_TIMES_SHOWN: Final = 10


def time_tables(base: BasePicture, detector: FaceDetector, repetitions: int) -> list[Table]:
    """Wall time of the whole measurement, MediaPipe's part of it, and the costliest functions."""
    rows: list[Cells] = []
    tables: list[Table] = []
    for megapixels in _MEGAPIXELS:
        factor = (megapixels * 1e6 / (base.pixels.shape[0] * base.pixels.shape[1])) ** 0.5
        pixels = scaled(base.pixels, factor)
        mm_per_px = base.mm_per_px / factor
        read(pixels, detector, mm_per_px)
        seconds = [_timed(pixels, detector, mm_per_px) for _ in range(repetitions)]
        profile = cProfile.Profile()
        profile.runcall(read, pixels, detector, mm_per_px)
        functions = _functions(profile)
        total = max(each[1] for each in functions)
        of_mediapipe = sum(
            spent
            for name, spent, _, _ in functions
            if name.startswith("mediapipe_landmarker.") and name.endswith(" detect")
        )
        rows.append(
            (
                f"{pixels.shape[1]} x {pixels.shape[0]}",
                float(np.median(seconds)),
                float(min(seconds)),
                f"{100 * of_mediapipe / total:.0f} %",
            )
        )
        tables.append(
            Table(
                f"Where the time goes at {megapixels:g} megapixels",
                "By profile, which makes everything slower: time in a function and what it calls.",
                ("function", "s", "s in itself", "calls"),
                tuple(functions[:_WHERE_SHOWN]),
            )
        )
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    whole = Table(
        "Time of one photograph",
        f"Model loaded; {os.cpu_count()} processors, load of the machine {load} (1, 5, 15 min). "
        f"Median and best of {repetitions}.",
        ("pixels", "median, s", "best, s", "MediaPipe's part"),
        tuple(rows),
    )
    return [whole, *tables]


def _timed(pixels: NDArray[np.uint8], detector: FaceDetector, mm_per_px: float) -> float:
    started = time.perf_counter()
    read(pixels, detector, mm_per_px)
    return time.perf_counter() - started


def _functions(profile: cProfile.Profile) -> list[tuple[str, float, float, int]]:
    """Functions of `processing`, the costliest first: name, total, own time, calls."""
    # pstats' table is not declared in its types.
    statistics: Any = pstats.Stats(profile)
    found = [
        (f"{Path(file).stem}. {name}", float(total), float(own), int(calls))
        for (file, _, name), (_, calls, own, total, _) in statistics.stats.items()
        if f"{os.sep}processing{os.sep}" in file
    ]
    return sorted(found, key=lambda each: -each[1])


def memory_table(
    bases: Sequence[BasePicture], detector: FaceDetector, photographs: int, say: Say
) -> Table:
    """Resident memory while one process measures many photographs of different sizes."""
    rng = np.random.default_rng(17)
    rows: list[Cells] = []
    for number in range(1, photographs + 1):
        base = bases[number % len(bases)]
        factor = float(rng.uniform(0.6, 1.3))
        shifted = np.roll(base.pixels, rng.integers(-4, 5, 2), axis=(0, 1))
        read(scaled(shifted, factor), detector, base.mm_per_px / factor)
        if number % max(1, photographs // _TIMES_SHOWN) == 0:
            gc.collect()
            rows.append((number, _resident_megabytes()))
            say(f"{number} photographs, {rows[-1][1]:.0f} MB")
    return Table(
        "Memory",
        "Resident memory of one process after so many photographs; it holds the landmarker, the "
        "faces of this benchmark and, where there are any, the morphable head beside the analysis.",
        ("photographs", "MB"),
        tuple(rows),
    )


def _resident_megabytes() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
