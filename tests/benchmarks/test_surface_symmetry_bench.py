from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.surface_symmetry import TABLES, main
from benchmarks.surfaces import watched as watched_module
from processing.rendering.probe import why_rendering_fails
from processing.surface import symmetry


def test_watching_leaves_the_measurement_as_it_was() -> None:
    before = {name: getattr(symmetry, name) for name in watched_module.PARTS}
    with watched_module._wrapped(lambda name, part: part):
        pass
    assert {name: getattr(symmetry, name) for name in watched_module.PARTS} == before


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("table", list(TABLES))
def test_the_benchmark_makes_every_table(
    tmp_path: Path, table: str, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = why_rendering_fails()
    if missing is not None:
        pytest.skip(missing)
    written = tmp_path / "results.json"
    main(["--quick", "--only", table, "--json", str(written)])
    (result,) = json.loads(written.read_text()).values()
    assert result["tables"]
    assert all("|" in line for line in capsys.readouterr().out.splitlines() if line[:1] == "|")
