from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.receive_memory import STEPS, main


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_memory_of_a_receiver_stays_flat(tmp_path: Path) -> None:
    written = tmp_path / "memory.json"
    main(["--associations", "1000", "--instances", "1000", "--json", str(written)])
    found = json.loads(written.read_text())
    assert [each["what"] for each in found] == ["associations", "instances"]
    for each in found:
        assert len(each["resident_bytes"]) == STEPS + 1
        assert each["late_growth_bytes"] < 10_000_000
