from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.receive_throughput import main
from tests.peers.programs import required


@pytest.mark.slow
@pytest.mark.peer
@pytest.mark.timeout(600)
@pytest.mark.parametrize("receiver", ["network alone", "storescp", "Orthanc", "hemiface"])
def test_the_benchmark_runs_with_every_receiver(tmp_path: Path, receiver: str) -> None:
    required("/usr/bin/storescu", "dcmtk")
    required("/usr/sbin/Orthanc", "orthanc")
    written = tmp_path / "results.json"
    main(["--quick", "--only", receiver, "--json", str(written)])
    results = json.loads(written.read_text())
    assert len(results) == 6
    assert all(each["instances_per_second"] > 0 for each in results)
