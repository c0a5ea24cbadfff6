"""What must be true at the end, line by line: what is asked and what was reached."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.surfaces.compared import HEMIFACE, Compared, Reading
from benchmarks.surfaces.deficits import Site
from benchmarks.tables import Table

Row = tuple[str | float | int | None, ...]


def requirement_table(results: Sequence[Compared]) -> Table:
    """The accuracy that the issue asks for against what these cases reached.

    The deficit that affects more of a hemiface than it leaves is judged on a
    line of its own. Volumes are judged site by site and size by size; a line counts the ones
    that hold and names the worst. An area that was found is judged by the deficit and, apart
    from how well it was outlined, by what truly lies within it.
    """
    plain = [each for each in results if not each.natural_mm]
    natural = [each for each in results if each.natural_mm]
    rows: list[Row] = [
        *_volume_rows("no natural asymmetry, area given", plain, _given, 0.03, 0.2),
        *_volume_rows("no natural asymmetry, hemiface", plain, _headline, 0.05, 0.4),
        *_volume_rows("no natural asymmetry, area found", plain, _found, 0.05, 0.4),
        *_volume_rows("no natural asymmetry, within the area found", plain, _within, 0.05, 0.4),
        *_volume_rows("natural asymmetry, area given", natural, _given, 0.05, 0.6),
        *_volume_rows("natural asymmetry, hemiface", natural, _headline, 0.05, 0.6),
        *_volume_rows("natural asymmetry, area found", natural, _found, 0.05, 0.6),
        *_volume_rows("natural asymmetry, within the area found", natural, _within, 0.05, 0.6),
        *_plane_rows("symmetric face with noise", [e for e in plain if not e.volume_ml], 0.05),
        *_plane_rows("with a deficit and noise", [e for e in plain if e.volume_ml], 0.05),
        *_plane_rows("natural asymmetry", natural, 0.25),
        *_coverage_rows("no natural asymmetry", plain),
        *_coverage_rows("natural asymmetry", natural),
        *_zero_rows([each for each in plain if not each.volume_ml]),
    ]
    return Table(
        "What the issue asks, and what was reached",
        "Volumes: RMS over the cases of a site and size may be the share or the mL given, "
        "whichever is larger. Cells with fewer than ten cases are counted all the same.",
        ("line", "asked", "reached", "n", "holds"),
        tuple(rows),
    )


def _given(each: Compared) -> Reading | None:
    return each.given


def _headline(each: Compared) -> Reading | None:
    return each.hemiface


def _found(each: Compared) -> Reading | None:
    return each.found


def _within(each: Compared) -> Reading | None:
    return each.found_within


def _volume_rows(
    what: str,
    results: Sequence[Compared],
    reading_of: Callable[[Compared], Reading | None],
    share: float,
    least_ml: float,
) -> list[Row]:
    rows = []
    for name, whole in (("", False), (", two thirds of the hemiface affected", True)):
        chosen = [each for each in results if (each.site == Site.HEMIFACIAL_WHOLE) == whole]
        rows += _cells_row(what + name, chosen, reading_of, share, least_ml)
    return rows


def _cells_row(
    what: str,
    results: Sequence[Compared],
    reading_of: Callable[[Compared], Reading | None],
    share: float,
    least_ml: float,
) -> list[Row]:
    cells: dict[tuple[str, float], list[float]] = {}
    truths: dict[tuple[str, float], list[float]] = {}
    for each in results:
        if each.refused is None and each.volume_ml and (reading := reading_of(each)):
            cells.setdefault((each.site, each.volume_ml), []).append(reading.error)
            truths.setdefault((each.site, each.volume_ml), []).append(abs(reading.truth))
    if not cells:
        return []
    ratio = {
        cell: float(np.sqrt(np.mean(np.square(errors))))
        / max(share * float(np.mean(truths[cell])), least_ml)
        for cell, errors in cells.items()
    }
    held = sum(each <= 1 for each in ratio.values())
    site, size = max(ratio, key=lambda cell: ratio[cell])
    fewest = min(len(errors) for errors in cells.values())
    return [
        (
            f"volume, {what}",
            f"{100 * share:g} % or {least_ml:g} mL",
            f"{held} of {len(ratio)} cells; worst {ratio[site, size]:.1f} x ({site}, {size:g} mL)",
            fewest,
            _verdict(held == len(ratio)),
        )
    ]


def _plane_rows(what: str, results: Sequence[Compared], limit: float) -> list[Row]:
    on = [each.planes[HEMIFACE] for each in results if each.refused is None]
    if not on:
        return []
    degrees = float(np.median([each.plane_deg for each in on]))
    millimetres = float(np.median([each.plane_mm for each in on]))
    return [
        (
            f"plane, {what}",
            f"{limit:g} deg, {limit:g} mm, median",
            f"{degrees:.3f} deg, {millimetres:.3f} mm",
            len(on),
            _verdict(degrees <= limit and millimetres <= limit),
        )
    ]


def _coverage_rows(what: str, results: Sequence[Compared]) -> list[Row]:
    covered = [each.plane_covered for each in results if each.plane_covered is not None]
    if not covered:
        return []
    share = 100.0 * float(np.mean(covered))
    return [
        (
            f"plane's 95 % interval, {what}",
            "90 to 99 %",
            f"{share:.0f} %",
            len(covered),
            _verdict(90.0 <= share <= 99.0),
        )
    ]


def _zero_rows(results: Sequence[Compared]) -> list[Row]:
    read = [each.hemiface for each in results if each.hemiface is not None]
    if not read:
        return []
    within = sum(bool(each.covered) for each in read)
    spurious = sum(each.found is not None for each in results)
    largest = max(abs(each.error) for each in read)
    return [
        (
            "symmetric face reads 0 within its uncertainty (1.96 u)",
            "all but 5 %",
            f"{within} of {len(read)}; at most {largest:.2f} mL; "
            f"{spurious} with an affected area found",
            len(read),
            _verdict(within >= 0.9 * len(read)),
        )
    ]


def _verdict(holds: bool) -> str:
    return "yes" if holds else "NO"
