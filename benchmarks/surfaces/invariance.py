"""What must not change the numbers: mirroring, moving and turning, other triangles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from benchmarks.surfaces.cases import Case, CaseSpec, make_case
from benchmarks.surfaces.deficits import Site
from benchmarks.surfaces.heads import HeadSource
from benchmarks.surfaces.scans import ScanSpec, scanned
from benchmarks.surfaces.watched import watched
from benchmarks.tables import Table
from processing.face_landmarks import FaceDetector
from processing.inputs import Surface
from processing.measurement import Analysis, Status

Array = NDArray[np.float64]
Say = Callable[[str], None]

SIGNED: Final = frozenset({"volume_discrepancy", "plane_choice_volume_change", "chin_deviation"})
_EXACT: Final = ScanSpec(white_mm=0.0, smooth_mm=0.0)
_CASES: Final = (
    (Site.CHEEK_WIDE, 15.0, 0.0),
    (Site.MANDIBLE, 5.0, 0.3),
    (Site.HEMIFACIAL, 25.0, 0.3),
)
_FINER: Final = 3

Key = tuple[str, str | None, str | None]


def invariance_table(
    cases: int, sources: Sequence[HeadSource], detector: FaceDetector, say: Say
) -> Table:
    """How far each kind of measure moves when nothing about the face changes.

    Mirroring and moving act on noisy scans; other triangles on scans without
    noise, because each scan has noise of its own.
    """
    changes: dict[str, dict[Key, list[tuple[float, float]]]] = {}
    for number in range(cases):
        site, size, natural = _CASES[number % len(_CASES)]
        case = make_case(CaseSpec(number, site, size, natural), sources)
        base = watched(case.scan.surface, detector).analysis
        variants = {
            "mirrored": (_mirrored(case.scan.surface), True),
            "moved and turned": (_moved(case.scan.surface, number), False),
        }
        exact = make_case(CaseSpec(number, site, size, natural, _EXACT), sources)
        exact_base = watched(exact.scan.surface, detector).analysis
        for name, (surface, flipped) in variants.items():
            other = watched(surface, detector).analysis
            _collect(changes.setdefault(name, {}), base, other, flipped=flipped)
        for name, vertices in (("other triangles", 1), ("three times the triangles", _FINER)):
            other = watched(_remeshed(exact, vertices), detector).analysis
            _collect(changes.setdefault(name, {}), exact_base, other, flipped=False)
        say(f"invariance: {case.spec.name}, {case.head.name}")
    rows: list[tuple[str | float | int | None, ...]] = []
    for name, of_keys in changes.items():
        for key, pairs in of_keys.items():
            before, after = np.array(pairs).T
            change = np.abs(after - before)
            relative = 100 * change / np.maximum(np.abs(before), 1e-9)
            rows.append(
                (
                    *(name, key[0], key[1] or "-", key[2] or "-", len(pairs)),
                    *(float(np.median(np.abs(before))), float(np.median(change))),
                    *(float(change.max()), float(np.median(relative)), float(relative.max())),
                )
            )
    return Table(
        "What must not change the numbers",
        "Signed measures (left minus right) are negated, and sides exchanged, before a mirrored "
        "scan is compared. The issue allows 1 %.",
        (
            *("what was done", "quantity", "structure", "region", "n", "median value"),
            *("change, median", "change, max", "%, median", "%, max"),
        ),
        tuple(rows),
    )


def _mirrored(surface: Surface) -> Surface:
    flipped = surface.vertices_mm * (-1.0, 1.0, 1.0)
    # The winding is turned with it, so that outside stays outside.
    return replace(surface, vertices_mm=flipped, triangles=surface.triangles[:, ::-1].copy())


def _moved(surface: Surface, seed: int) -> Surface:
    random = np.random.default_rng([seed, 11])
    turn = Rotation.random(random_state=seed).as_matrix()
    shift = random.uniform(-500.0, 500.0, 3)
    return replace(surface, vertices_mm=surface.vertices_mm @ turn.T + shift)


def _remeshed(case: Case, times: int) -> Surface:
    """The same face scanned as far around without noise, on other triangles, in the same pose."""
    spec = replace(case.spec.scan, vertices=case.spec.scan.vertices * times, posed=False)
    again = scanned(
        case.head, case.face_mm, spec, 1000 + case.spec.number, "scanned again", case.spec.seed
    )
    return replace(again.surface, vertices_mm=case.scan.placed(again.surface.vertices_mm))


def _collect(
    into: dict[Key, list[tuple[float, float]]], base: Analysis, other: Analysis, *, flipped: bool
) -> None:
    if base.status is not Status.MEASURED or other.status is not Status.MEASURED:
        return
    after = _values(other)
    for key, value in _values(base).items():
        if key not in after or key[0] == "landmark_asymmetry":
            continue
        sign = -1.0 if flipped and key[0] in SIGNED else 1.0
        into.setdefault(key, []).append((value, sign * after[key]))


def _values(analysis: Analysis) -> dict[Key, float]:
    return {
        (each.quantity, each.structure, each.region): each.value for each in analysis.measurements
    }
