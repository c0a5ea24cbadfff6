"""Volumes and planes against the truth, over many cases."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import numpy as np

from benchmarks.surfaces.cases import NATURAL_MM, CaseSpec, make_case
from benchmarks.surfaces.compared import (
    HEMIFACE,
    Compared,
    OnPlane,
    Reading,
    compared,
)
from benchmarks.surfaces.deficits import SIZES_ML, Site
from benchmarks.surfaces.heads import HeadSource
from benchmarks.surfaces.peers import Registered
from benchmarks.tables import Table
from processing.face_landmarks import FaceDetector

Say = Callable[[str], None]

# One size of every site, so that all methods can run on every case.
_PEER_SIZES_ML: Final = {
    Site.CHEEK_NARROW: 5.0,
    Site.CHEEK_WIDE: 15.0,
    Site.TEMPLE: 5.0,
    Site.MANDIBLE: 5.0,
    Site.HEMIFACIAL: 25.0,
    Site.HEMIFACIAL_WHOLE: 25.0,
    Site.COUP_DE_SABRE: 2.0,
}

Cell = str | float | int | None


def volume_specs(cases: int, natural_mm: float) -> list[CaseSpec]:
    """Every site and size, as many cases of each; the cases of one face follow one another."""
    return [
        CaseSpec(number, site, size, natural_mm)
        for number in range(cases)
        for site, sizes in SIZES_ML.items()
        for size in sizes
    ]


def peer_specs(cases: int) -> list[CaseSpec]:
    """One size of every site, and no deficit at all, without and with natural asymmetry."""
    return [
        CaseSpec(number, site, size, natural)
        for number in range(cases)
        for natural in (0.0, NATURAL_MM)
        for site, size in [(None, 0.0), *_PEER_SIZES_ML.items()]
    ]


def symmetric_specs(cases: int) -> list[CaseSpec]:
    """Faces without a deficit, without and with natural asymmetry."""
    return [
        CaseSpec(number, natural_mm=natural)
        for number in range(cases)
        for natural in (0.0, NATURAL_MM)
    ]


def run_cases(
    specs: Iterable[CaseSpec],
    sources: Sequence[HeadSource],
    detector: FaceDetector,
    peers: Mapping[str, Registered],
    say: Say,
) -> list[Compared]:
    """Make and measure cases, one after the other."""
    results = []
    for spec in specs:
        result = compared(make_case(spec, sources), detector, peers)
        results.append(result)
        say(_progress(result))
    return results


def volume_table(results: Sequence[Compared], title: str, limit: tuple[float, float]) -> Table:
    """Root mean square error of the volume by site and size.

    Parameters
    ----------
    results : sequence of Compared
    title : str
    limit : (share, mL)
        The larger of both is what the volume without a given area may miss.
    """
    rows: list[tuple[Cell, ...]] = []
    for site, size in _cells(results):
        group = [each for each in results if (each.site, each.volume_ml) == (site, size)]
        measured = [each for each in group if each.refused is None]
        if not measured:
            rows.append((site, size, len(group), len(group), *[None] * 11))
            continue
        own = [each.planes[HEMIFACE] for each in measured]
        truth = float(np.mean([abs(each.hemiface.truth) for each in own]))
        allowed = max(limit[0] * truth, limit[1])
        given = _rms([each.given for each in measured])
        headline = _rms([each.hemiface for each in measured])
        rows.append(
            (
                site,
                size,
                len(group),
                len(group) - len(measured),
                float(np.median([each.plane_deg for each in own])),
                float(np.median([each.plane_mm for each in own])),
                allowed,
                headline,
                _rms([each.found for each in measured]),
                _rms([each.found_levelled for each in measured]),
                _rms([each.found_within for each in measured]),
                given,
                _rms([each.given_levelled for each in measured]),
                _rms([each.planes["true plane"].area for each in measured]),
                _lost([each.hemiface for each in measured]),
            )
        )
    return Table(
        title,
        "RMS errors in mL; *allowed* is what the issue allows without a given area. hemiface: the "
        "headline; found: the area found automatically; within: against what truly lies in it; "
        "given: the outlined area, given to the measurement; true plane: the same on the true "
        "plane, what is left of the error when the plane is perfect; lost: mean of what the "
        "headline under-reads.",
        (
            *("site", "mL", "n", "refused", "plane deg", "plane mm", "allowed", "hemiface"),
            *("found", "found, levelled", "found, within", "given", "given, levelled"),
            *("given, true plane", "lost"),
        ),
        tuple(rows),
    )


def recovery_table(results: Sequence[Compared], title: str) -> Table:
    """Every method's plane and what volume is left on it."""
    rows: list[tuple[Cell, ...]] = []
    methods = list(dict.fromkeys(name for each in results for name in each.planes))
    for natural in sorted({each.natural_mm for each in results}):
        group = [each for each in results if each.natural_mm == natural]
        for method in methods:
            on = [each.planes[method] for each in group if method in each.planes]
            with_deficit = [
                each.planes[method] for each in group if each.volume_ml and method in each.planes
            ]
            if on:
                rows.append((natural, method, len(on), *_plane_cells(on, with_deficit)))
    return Table(
        title,
        "All volumes are hemiface's own integral; only the plane differs. Recovered: slope through "
        "zero of measured against true. Peers start 5 degrees and 4 mm off the truth, hemiface "
        "from its own landmarks; seconds are of the registration alone, on a shared machine.",
        (
            *("natural mm", "method", "n", "deg median", "deg max", "mm median", "mm max"),
            *("recovered, hemiface", "RMS mL", "recovered, given area", "RMS mL", "seconds"),
        ),
        tuple(rows),
    )


def plane_table(results: Sequence[Compared], title: str) -> Table:
    """Errors of hemiface's plane and what its uncertainty covers."""
    rows: list[tuple[Cell, ...]] = []
    for natural in sorted({each.natural_mm for each in results}):
        for what, chosen in (("no deficit", False), ("with a deficit", True)):
            group = [
                each
                for each in results
                if each.natural_mm == natural
                and each.refused is None
                and (each.volume_ml > 0) == chosen
            ]
            if not group:
                continue
            degrees = np.array([each.planes[HEMIFACE].plane_deg for each in group])
            millimetres = np.array([each.planes[HEMIFACE].plane_mm for each in group])
            covered = [each.plane_covered for each in group if each.plane_covered is not None]
            rows.append(
                (
                    *(natural, what, len(group), float(np.median(degrees)), float(degrees.max())),
                    *(float(np.median(millimetres)), float(millimetres.max())),
                    float(np.median([each.angle_uncertainty_deg or np.nan for each in group])),
                    float(np.median([each.lateral_uncertainty_mm or np.nan for each in group])),
                    100.0 * float(np.mean(covered)) if covered else None,
                )
            )
    return Table(
        title,
        "Angle to the true plane, and RMS distance at glabella, subnasale, stomion and pogonion. "
        "Covered: how often the 95 % region of the covariance (three degrees of freedom) holds the "
        "true plane.",
        (
            *("natural mm", "faces", "n", "deg median", "deg max", "mm median", "mm max"),
            *("u deg median", "u mm median", "covered %"),
        ),
        tuple(rows),
    )


def coverage_table(results: Sequence[Compared], title: str) -> Table:
    """How often value +- 1.96 u holds the truth, and how far errors are off in u."""
    rows: list[tuple[Cell, ...]] = []
    quantities: dict[str, Callable[[Compared], Reading | None]] = {
        "volume, hemiface": lambda each: each.hemiface,
        "volume, affected area": lambda each: each.found,
        "volume, affected area, levelled": lambda each: each.found_levelled,
        "volume, affected area, of what lies within": lambda each: each.found_within,
        "volume, given area": lambda each: each.given,
        "volume, given area, levelled": lambda each: each.given_levelled,
        "rms_asymmetry": lambda each: each.rms,
    }
    for natural in sorted({each.natural_mm for each in results}):
        for what, chosen in (("no deficit", False), ("with a deficit", True)):
            group = [
                each
                for each in results
                if each.natural_mm == natural and (each.volume_ml > 0) == chosen
            ]
            for quantity, reading_of in quantities.items():
                read = [reading for each in group if (reading := reading_of(each))]
                if read:
                    in_u = [abs(each.error) / max(each.uncertainty or 0, 1e-9) for each in read]
                    rows.append(
                        (
                            *(natural, what, quantity, len(read)),
                            100.0 * float(np.mean([bool(each.covered) for each in read])),
                            float(np.median(in_u)),
                            float(np.max(in_u)),
                            _rms(read),
                            float(np.median([each.uncertainty or np.nan for each in read])),
                        )
                    )
    return Table(
        title,
        "Covered: how often the value within 1.96 standard uncertainties holds the truth; 95 is "
        "right, 0.67 the right median of |error| / u.",
        (
            *("natural mm", "faces", "quantity", "n", "covered %", "|error| / u, median"),
            *("|error| / u, max", "RMS error", "u median"),
        ),
        tuple(rows),
    )


def truth_table(specs: Sequence[CaseSpec], sources: Sequence[HeadSource], say: Say) -> Table:
    """The truth itself: the volume swept between the surfaces, and again by rays."""
    rows: list[tuple[Cell, ...]] = []
    for spec in specs:
        case = make_case(spec, sources)
        by_rays, error = case.checked_by_rays()
        rows.append(
            (
                *(str(spec.site), spec.volume_ml, case.head.name, case.depth_mm),
                *(by_rays, error, 100.0 * (by_rays / spec.volume_ml - 1)),
            )
        )
        say(f"truth of {spec.name}: {by_rays:.4f} mL by rays")
    return Table(
        "The truth, checked",
        "mL: by Simpson's rule over the triangles moved (exact for them). By rays: 20,000 at the "
        "visible fine surface; its sampling error from two halves.",
        ("site", "mL", "face", "depth mm", "by rays mL", "sampling error mL", "difference %"),
        tuple(rows),
    )


def case_table(results: Sequence[Compared], title: str) -> Table:
    """Every case on a line."""
    rows: list[tuple[Cell, ...]] = []
    for each in results:
        if each.refused is not None:
            rows.append((each.case, each.head, f"refused: {each.refused}", *[None] * 9))
            continue
        own = each.planes[HEMIFACE]
        rows.append(
            (
                *(each.case, each.head, own.plane_deg, own.plane_mm),
                *(own.hemiface.truth, _error(each.hemiface), _percent(each.hemiface)),
                *(_error(each.found), _error(each.given), _error(each.rms)),
                *(_covered(each), each.seconds),
            )
        )
    return Table(
        title,
        "Errors are measured minus true: volumes in mL (left minus right), RMS asymmetry in mm. "
        "Covered: 95 % intervals that hold the truth, of plane, hemiface, found area, RMS.",
        (
            *("case", "face", "plane deg", "plane mm", "truth mL", "hemiface mL", "%"),
            *("found mL", "given mL", "RMS mm", "covered", "seconds"),
        ),
        tuple(rows),
    )


def _covered(each: Compared) -> str:
    read = [each.hemiface, each.found, each.rms]
    marks = [each.plane_covered, *(None if one is None else one.covered for one in read)]
    return " ".join("-" if mark is None else "yes" if mark else "no" for mark in marks)


def _plane_cells(on: Sequence[OnPlane], with_deficit: Sequence[OnPlane]) -> tuple[Cell, ...]:
    degrees = [each.plane_deg for each in on]
    millimetres = [each.plane_mm for each in on]
    seconds = [each.seconds for each in on if each.seconds is not None]
    hemiface = [each.hemiface for each in with_deficit]
    area = [each.area for each in with_deficit if each.area is not None]
    return (
        *(float(np.median(degrees)), max(degrees)),
        *(float(np.median(millimetres)), max(millimetres)),
        *(_slope(hemiface), _rms(hemiface), _slope(area), _rms(area)),
        float(np.median(seconds)) if seconds else None,
    )


def _cells(results: Sequence[Compared]) -> list[tuple[str, float]]:
    return list(dict.fromkeys((each.site, each.volume_ml) for each in results))


def _rms(readings: Iterable[Reading | None]) -> float | None:
    errors = [each.error for each in readings if each is not None]
    return float(np.sqrt(np.mean(np.square(errors)))) if errors else None


def _lost(readings: Iterable[Reading | None]) -> float | None:
    """Mean error toward a smaller deficit; left and right do not cancel."""
    toward_zero = [
        -each.error * np.sign(each.truth) for each in readings if each is not None and each.truth
    ]
    return float(np.mean(toward_zero)) if toward_zero else None


def _slope(readings: Sequence[Reading]) -> float | None:
    truth = np.array([each.truth for each in readings])
    value = np.array([each.value for each in readings])
    return float(truth @ value / (truth @ truth)) if len(readings) else None


def _error(reading: Reading | None) -> float | None:
    return None if reading is None else reading.error


def _percent(reading: Reading | None) -> float | None:
    if reading is None or not reading.truth:
        return None
    return 100.0 * reading.error / abs(reading.truth)


def _progress(result: Compared) -> str:
    if result.refused is not None:
        return f"{result.case}, {result.head}: refused: {result.refused}"
    own = result.planes[HEMIFACE]
    area = "-" if result.given is None else f"{result.given.error:+.2f}"
    found = "-" if result.found is None else f"{result.found.error:+.2f}"
    headline = result.hemiface
    error = "-" if headline is None else f"{headline.error:+.2f} of {headline.truth:+.2f}"
    return (
        f"{result.case}, {result.head}: plane {own.plane_deg:.3f} deg {own.plane_mm:.3f} mm; "
        f"hemiface {error} mL, found {found}, given {area}; {result.seconds:.1f} s"
    )
