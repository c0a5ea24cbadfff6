"""kill -9 at every point in the way of a study, then a restart: nothing acknowledged is lost.

The points are functions on the way, before or after; together they cover every
process and every gap between two things that must both become durable.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.demo_orthanc import Modality, OrthancServer
from tests.durability.node import Node, wait_until
from tests.durability.studies import SentStudy, renewed, write_phantom

SR = "1.2.840.10008.5.1.4.1.1.88.34"
ANALYSES = {"photograph-symmetry", "surface-symmetry"}

POINTS = (
    # receiver: bytes, name, row, answer
    "service.catalogue.stored_bytes:LocalBytes.adopt:before",
    "service.catalogue.stored_bytes:LocalBytes.adopt:after",
    "service.catalogue.stored_bytes:LocalBytes.settle:after",
    "service.receive:register:after",
    # cataloguer: header, engine, row
    "service.workflow.cataloguing:inspect:after",
    "service.workflow.engine:EngineClient.look_at_study_in:before",
    "service.workflow.engine:EngineClient.look_at_study_in:after",
    "service.catalogue.studies:record:after",
    # worker: each step before it begins and after it is done but not yet recorded
    "service.workflow.steps:Steps.complete:before",
    "service.workflow.steps:Steps.complete:after",
    "service.workflow.steps:Steps.read:after",
    "service.workflow.steps:Steps.measure:before",
    "service.workflow.steps:Steps.measure:after",
    "service.workflow.steps:write_measurement_report:after",
    "service.catalogue.results:record_result:before",
    "service.catalogue.results:record_result:after",
    "service.workflow.steps:Steps.report:after",
    "service.workflow.steps:Steps.tidy:after",
    "service.workflow.steps:Steps.destinations:after",
    "service.workflow.steps:send_files:before",
    "service.workflow.steps:send_files:after",
    "service.catalogue.results:record_delivery:after",
    "service.workflow.steps:Steps.confirm:before",
    "service.workflow.steps:Steps.confirm:after",
    # measuring child
    "service.workflow.measuring:_read:after",
    "service.workflow.measuring:_measure:before",
    "service.workflow.measuring:_measure:after",
)

pytestmark = [pytest.mark.slow, pytest.mark.peer, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_phantom(tmp_path_factory.mktemp("phantom"))


@pytest.fixture(scope="module")
def pacs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OrthancServer]:
    server = OrthancServer(
        tmp_path_factory.mktemp("orthanc"), modalities=[Modality("hemiface", "HEMIFACE", 1)]
    )
    server.start()
    yield server
    server.kill()
    server.client.close()


def reports(pacs: OrthancServer, study: SentStudy) -> list[dict[str, str]]:
    found = [pacs.client.tags(each) for each in pacs.client.instances(study.study_instance_uid)]
    return [tags for tags in found if tags["SOPClassUID"] == SR]


def assert_everything_is_there_once(node: Node, pacs: OrthancServer, study: SentStudy) -> None:
    stored = sqlite3.connect(node.data_folder / "catalogue.sqlite")
    rows = dict(stored.execute("SELECT sop_instance_uid, key FROM instances").fetchall())
    results = stored.execute("SELECT analysis, COUNT(*) FROM results GROUP BY 1").fetchall()
    stored.close()
    for uid, file in zip(study.sop_instance_uids, study.files, strict=True):
        kept = (node.data_folder / rows[uid]).read_bytes()
        assert kept.endswith(file.read_bytes()[-4096:]), f"{uid} is not what was sent"
    assert dict(results) == dict.fromkeys(ANALYSES, 1)
    titles = Counter(each["SeriesDescription"] for each in reports(pacs, study))
    assert len(titles) == 2
    assert set(titles.values()) == {1}, f"a result is in the PACS twice: {titles}"


@pytest.mark.parametrize("point", POINTS)
def test_killed_at(point: str, tmp_path: Path, phantom: Path, pacs: OrthancServer) -> None:
    killed = tmp_path / "killed"
    node = Node.delivering_to(tmp_path, pacs)
    study = renewed(phantom, tmp_path / "study")
    node.start(
        {
            "PYTHONPATH": str(Path(__file__).parent / "kill_at"),
            "HEMIFACE_TEST_KILL_AT": point,
            "HEMIFACE_TEST_KILLED": str(killed),
        }
    )
    try:
        node.wait_until_listening()
        acknowledged = node.send(study.files)
        wait_until(killed.exists, 90, f"a process comes to {point}")
        # One process has just killed itself; the machine goes down with all others.
        node.kill()
        node.start()
        node.wait_until_listening()
        node.send_until_acknowledged(set(study.files) - acknowledged)
        wait_until(lambda: len(reports(pacs, study)) >= 2, 120, "both reports are in the PACS")
        # Whatever might come twice would come now.
        time.sleep(4)
        assert_everything_is_there_once(node, pacs, study)
    finally:
        node.kill()


@pytest.mark.parametrize("part", ["receiver-0", "cataloguer-0", "worker-0", "console-0"])
def test_a_part_that_is_killed_is_started_again(
    part: str, tmp_path: Path, phantom: Path, pacs: OrthancServer
) -> None:
    node = Node.delivering_to(tmp_path, pacs)
    study = renewed(phantom, tmp_path / "study")
    node.start()
    try:
        node.wait_until_listening()
        node.send_until_acknowledged(study.files)
        wait_until(lambda: _pid_of(node, part) is not None, 20, f"{part} runs")
        former = _pid_of(node, part)
        assert former is not None
        os.kill(former, signal.SIGKILL)
        wait_until(lambda: _pid_of(node, part) not in (None, former), 30, f"{part} is back")
        wait_until(lambda: len(reports(pacs, study)) >= 2, 120, "both reports are in the PACS")
        time.sleep(4)
        assert_everything_is_there_once(node, pacs, study)
    finally:
        node.kill()


def test_when_the_supervisor_is_killed_its_parts_end_by_themselves(tmp_path: Path) -> None:
    node = Node.delivering_to(tmp_path, None)
    node.start()
    node.wait_until_listening()
    assert node.process is not None
    parts = node.processes()[1:]
    assert len(parts) >= 5
    node.process.kill()
    node.process.wait()
    wait_until(lambda: not any(each.is_running() for each in parts), 40, "all parts have ended")


def _pid_of(node: Node, part: str) -> int | None:
    for each in node.processes():
        if each.cmdline()[-1] == part:
            return each.pid
    return None
