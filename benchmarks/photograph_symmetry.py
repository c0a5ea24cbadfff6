"""How true the symmetry of a photograph is measured: known asymmetry, symmetric heads, time.

Faces are warped by known amounts, rendered in known poses, disturbed and
mirrored, and each picture is measured as a user's would be.

    python benchmarks/photograph_symmetry.py [--only TABLE] [--quick] [--json FILE]

Portraits and the morphable head are development data, found at `$HEMIFACE_DATA`
or `../shared/data`; what is missing is left out, and said.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

# A script finds the packages beside its own folder, not in it.
if not __package__:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.photographs.bases import base_faces
from benchmarks.photographs.cost import memory_table, time_tables
from benchmarks.photographs.ict_head import HeadModel
from benchmarks.photographs.known_asymmetry import (
    EXPRESSIONS,
    expression_pairs,
    slope_table,
    warped_pairs,
)
from benchmarks.photographs.rendered import read_head_model, shared_data
from benchmarks.photographs.robustness import (
    mirroring_table,
    repeatability_table,
    rotation_table,
)
from benchmarks.photographs.truth_cover import (
    coverage_table,
    one_sided_heads,
    symmetric_heads,
    symmetric_table,
)
from benchmarks.photographs.warped import BasePicture, standard_warps
from benchmarks.tables import Table
from processing.face_landmarks import FaceDetector
from processing.face_model import find_face_model
from processing.rendering.probe import why_rendering_fails

FIRST_SYMMETRIC_HEAD: Final = 100
FIRST_ONE_SIDED_HEAD: Final = 200


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured; of warps, expressions and disturbances every n-th."""

    symmetric_heads: int
    one_sided_heads: int
    expressive_heads: int
    turned_heads: int
    every_nth: int
    repetitions: int
    photographs: int


FULL: Final = Effort(40, 30, 5, 4, 1, 5, 500)
QUICK: Final = Effort(2, 1, 1, 1, 7, 1, 20)

Result = tuple[list[Table], Any]


class Bench:
    """The faces, made when they are first wanted, and the tables made of them."""

    def __init__(self, detector: FaceDetector, folder: Path, effort: Effort) -> None:
        self._detector = detector
        self._folder = folder
        self._effort = effort

    @cached_property
    def _bases(self) -> list[BasePicture]:
        few = self._effort is QUICK
        return base_faces(self._folder, self._model, self._detector, say, few=few)

    @cached_property
    def _model(self) -> HeadModel | None:
        folder = self._folder / "faces" / "ict"
        missing = why_rendering_fails()
        if not folder.is_dir():
            missing = "their model is not there"
        if missing is not None:
            say(f"left out: all renders of ICT heads: {missing}")
            return None
        return read_head_model(folder)

    def slopes(self) -> Result:
        """Measured against true on warped pictures."""
        warps = standard_warps()[:: self._effort.every_nth]
        pairs = warped_pairs(self._bases, warps, self._detector, say)
        title = "Known asymmetry, warped pictures"
        note = "Change from the base picture to the warped one, in mm, measured against true."
        return [slope_table(pairs, title, note)], [asdict(each) for each in pairs]

    def expressions(self) -> Result:
        """Measured against true on heads with one-sided expressions."""
        if self._model is None:
            return [], []
        identities = range(self._effort.expressive_heads)
        expressions = EXPRESSIONS[:: self._effort.every_nth]
        pairs = expression_pairs(self._model, identities, expressions, self._detector, say)
        title = "Known asymmetry, one-sided expressions of ICT heads"
        note = "Change from repose to the expression, in mm, measured against true."
        return [slope_table(pairs, title, note)], [asdict(each) for each in pairs]

    def repeatability(self) -> Result:
        """The same face, another picture."""
        tables = [
            repeatability_table(self._bases, self._detector, say, every_nth=self._effort.every_nth)
        ]
        if self._model is not None:
            identities = range(self._effort.turned_heads)
            tables.append(rotation_table(self._model, identities, self._detector, say))
        return tables, None

    def mirroring(self) -> Result:
        """Left against right."""
        return [mirroring_table(self._bases, self._detector, say)], None

    def symmetric(self) -> Result:
        """Symmetric heads: the headline ratio, and what the uncertainties cover."""
        if self._model is None:
            return [], []
        first = FIRST_SYMMETRIC_HEAD
        identities = range(first, first + self._effort.symmetric_heads)
        compared = symmetric_heads(self._model, identities, self._detector, say)
        tables = [
            symmetric_table(compared),
            coverage_table(compared, "Coverage on symmetric heads"),
        ]
        return tables, [_plain(each) for each in compared]

    def coverage(self) -> Result:
        """One-sided heads: what the uncertainties cover."""
        if self._model is None:
            return [], []
        first = FIRST_ONE_SIDED_HEAD
        identities = range(first, first + self._effort.one_sided_heads)
        compared = one_sided_heads(self._model, identities, self._detector, say)
        tables = [coverage_table(compared, "Coverage on one-sided heads")]
        return tables, [_plain(each) for each in compared]

    def time(self) -> Result:
        """How long one photograph takes."""
        return time_tables(self._bases[0], self._detector, self._effort.repetitions), None

    def memory(self) -> Result:
        """Whether memory stays flat."""
        return [memory_table(self._bases, self._detector, self._effort.photographs, say)], None


TABLES: Final[dict[str, Callable[[Bench], Result]]] = {
    "slopes": Bench.slopes,
    "expressions": Bench.expressions,
    "repeatability": Bench.repeatability,
    "mirroring": Bench.mirroring,
    "symmetric": Bench.symmetric,
    "coverage": Bench.coverage,
    "time": Bench.time,
    "memory": Bench.memory,
}


def say(words: str) -> None:
    """Progress and what is left out, beside the tables."""
    print(words, file=sys.stderr, flush=True)


def _plain(compared: Any) -> dict[str, Any]:
    """A comparison with its measures' names as text, for JSON."""
    return {
        "name": compared.name,
        "spec": compared.spec,
        "refused": compared.refused,
        "symmetry_ratio": compared.symmetry_ratio,
        "errors": {str(key): pair for key, pair in compared.errors.items()},
    }


def run(names: Iterable[str], folder: Path, effort: Effort) -> dict[str, Any]:
    """Measure and print the tables; returns them with what they were made of."""
    results: dict[str, Any] = {}
    with FaceDetector(find_face_model(None, None)) as detector:
        bench = Bench(detector, folder, effort)
        for name in names:
            started = time.perf_counter()
            tables, details = TABLES[name](bench)
            say(f"{name}: {time.perf_counter() - started:.0f} s")
            for table in tables:
                print(table, flush=True)
            results[name] = {"tables": [asdict(each) for each in tables], "details": details}
    return results


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Measure and print; returns the results."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="little, to see that it runs")
    parser.add_argument("--json", type=Path, help="write the results there as well")
    parser.add_argument(
        "--only", action="append", choices=list(TABLES), help="make only this table"
    )
    chosen = parser.parse_args(arguments)
    results = run(chosen.only or TABLES, shared_data(), QUICK if chosen.quick else FULL)
    if chosen.json:
        chosen.json.write_text(json.dumps(results, indent=1))
    return results


if __name__ == "__main__":
    main()
