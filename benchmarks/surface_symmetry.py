"""How true the symmetry of a surface scan is measured: known deficits, planes, time.

Known volumes are taken off one side of symmetric faces; the faces are scanned
with noise, in random poses, on triangles of their own and with ragged borders,
and each scan is measured as a user's would be. The same run lays the same
scans over their mirror images with other registrations.

    python benchmarks/surface_symmetry.py [--only TABLE] [--site SITE] [--quick] [--cases N]
        [--json FILE]

The faces are development data, found at `$HEMIFACE_DATA` or `../shared/data`;
where they are missing hemiface's own phantom serves, and that is said. The
peers (trimesh, VTK, small_gicp, Open3D) are left out where not installed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

# A script finds the packages beside its own folder, not in it.
if not __package__:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.photographs.rendered import shared_data
from benchmarks.surfaces.accuracy import (
    case_table,
    coverage_table,
    peer_specs,
    plane_table,
    recovery_table,
    run_cases,
    symmetric_specs,
    truth_table,
    volume_specs,
    volume_table,
)
from benchmarks.surfaces.cases import NATURAL_MM, CaseSpec
from benchmarks.surfaces.compared import Compared
from benchmarks.surfaces.cost import time_tables
from benchmarks.surfaces.deficits import Site
from benchmarks.surfaces.heads import head_sources
from benchmarks.surfaces.invariance import invariance_table
from benchmarks.surfaces.peers import installed_peers
from benchmarks.surfaces.real_scans import pose_table
from benchmarks.surfaces.refusals import refusal_table
from benchmarks.surfaces.requirements import requirement_table
from benchmarks.tables import Table
from processing.face_landmarks import FaceDetector
from processing.face_model import find_face_model


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured."""

    volume_cases: int
    peer_cases: int
    symmetric_cases: int
    truth_cases: int
    invariance_cases: int
    every_nth: int
    poses: int
    sizes: tuple[int, ...]
    repetitions: int


FULL: Final = Effort(10, 10, 20, 2, 6, 1, 10, (30_000, 100_000, 200_000, 1_000_000), 3)
QUICK: Final = Effort(1, 1, 1, 1, 1, 6, 2, (30_000,), 1)

Result = tuple[list[Table], Any]


class Bench:
    """The faces and the peers, and the tables made of them."""

    def __init__(
        self, detector: FaceDetector, folder: Path, effort: Effort, sites: Sequence[Site] = ()
    ) -> None:
        self._sites = sites
        self._detector = detector
        self._folder = folder
        self._effort = effort
        self._sources = head_sources(folder, find_face_model(None, None), say)
        self._peers = installed_peers(say)

    def truth(self) -> Result:
        """The truth of the volumes, checked by rays."""
        specs = self._chosen(volume_specs(self._effort.truth_cases, 0.0))
        return [truth_table(specs, self._sources, say)], None

    def volumes(self) -> Result:
        """Volume by site and size on otherwise symmetric faces."""
        return self._volumes(0.0, "Volume, otherwise symmetric faces with scan noise", (0.05, 0.4))

    def natural(self) -> Result:
        """Volume by site and size with natural asymmetry."""
        title = f"Volume, faces with {NATURAL_MM:g} mm RMS of natural asymmetry"
        return self._volumes(NATURAL_MM, title, (0.05, 0.6))

    def peers(self) -> Result:
        """Hemiface and other registrations on the same scans."""
        specs = self._chosen(peer_specs(self._effort.peer_cases))
        results = run_cases(specs, self._sources, self._detector, self._peers, say)
        tables = [
            recovery_table(results, "hemiface and other registrations on the same scans"),
            *_summary(results, "of these scans"),
        ]
        return tables, _plain(results)

    def symmetric(self) -> Result:
        """Faces without a deficit."""
        specs = symmetric_specs(self._effort.symmetric_cases)
        results = run_cases(specs, self._sources, self._detector, {}, say)
        tables = [
            case_table(results, "Faces without a deficit, case by case"),
            *_summary(results, "without a deficit"),
        ]
        return tables, _plain(results)

    def invariance(self) -> Result:
        """Mirroring, moving and turning, remeshing."""
        cases = self._effort.invariance_cases
        return [invariance_table(cases, self._sources, self._detector, say)], None

    def time(self) -> Result:
        """Time and memory."""
        effort = self._effort
        tables = time_tables(effort.sizes, effort.repetitions, self._sources, self._peers, say)
        return tables, None

    def poses(self) -> Result:
        """Real scans in random poses."""
        return [pose_table(self._folder, self._effort.poses, self._detector, say)], None

    def refusals(self) -> Result:
        """What must be refused."""
        return [refusal_table(self._sources, self._detector, say)], None

    def _chosen(self, specs: Sequence[CaseSpec]) -> list[CaseSpec]:
        of_sites = [each for each in specs if not self._sites or each.site in self._sites]
        return of_sites[:: self._effort.every_nth]

    def _volumes(self, natural_mm: float, title: str, limit: tuple[float, float]) -> Result:
        specs = self._chosen(volume_specs(self._effort.volume_cases, natural_mm))
        results = run_cases(specs, self._sources, self._detector, {}, say)
        tables = [
            volume_table(results, title, limit),
            *_summary(results, f"of these scans ({natural_mm:g} mm)"),
            case_table(results, f"{title}: case by case"),
        ]
        return tables, _plain(results)


TABLES: Final[dict[str, Callable[[Bench], Result]]] = {
    "truth": Bench.truth,
    "volumes": Bench.volumes,
    "natural": Bench.natural,
    "peers": Bench.peers,
    "symmetric": Bench.symmetric,
    "invariance": Bench.invariance,
    "time": Bench.time,
    "poses": Bench.poses,
    "refusals": Bench.refusals,
}


def _summary(results: Sequence[Compared], of_what: str) -> list[Table]:
    return [
        plane_table(results, f"The plane {of_what}"),
        coverage_table(results, f"Coverage of the uncertainties {of_what}"),
        requirement_table(results),
    ]


def _plain(results: Sequence[Compared]) -> list[dict[str, Any]]:
    return [asdict(each) for each in results]


def say(words: str) -> None:
    """Progress and what is left out, beside the tables."""
    print(words, file=sys.stderr, flush=True)


def run(
    names: Iterable[str],
    folder: Path,
    effort: Effort,
    written: Path | None = None,
    sites: Sequence[Site] = (),
) -> dict[str, Any]:
    """Measure and print the tables; returns them with what they were made of.

    `written` is a file that holds the results so far after every table; `sites`
    are the only ones measured, where some are named.
    """
    results: dict[str, Any] = {}
    with FaceDetector(find_face_model(None, None)) as detector:
        bench = Bench(detector, folder, effort, sites)
        for name in names:
            started = time.perf_counter()
            tables, details = TABLES[name](bench)
            say(f"{name}: {time.perf_counter() - started:.0f} s")
            for table in tables:
                print(table, flush=True)
            results[name] = {"tables": [asdict(each) for each in tables], "details": details}
            if written is not None:
                written.write_text(json.dumps(results, indent=1))
    return results


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Measure and print; returns the results."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="little, to see that it runs")
    parser.add_argument("--cases", type=int, help="cases of each kind, instead of ten and more")
    parser.add_argument("--json", type=Path, help="write the results there as well")
    parser.add_argument(
        "--only", action="append", choices=list(TABLES), help="make only this table"
    )
    parser.add_argument(
        "--site", action="append", type=Site, choices=list(Site), help="only deficits of this site"
    )
    chosen = parser.parse_args(arguments)
    effort = QUICK if chosen.quick else FULL
    if chosen.cases:
        effort = replace(
            effort,
            volume_cases=chosen.cases,
            peer_cases=chosen.cases,
            symmetric_cases=chosen.cases,
            invariance_cases=chosen.cases,
        )
    return run(chosen.only or TABLES, shared_data(), effort, chosen.json, chosen.site or ())


if __name__ == "__main__":
    main()
