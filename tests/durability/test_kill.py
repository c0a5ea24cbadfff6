"""kill -9 at every point in the way of a study: nothing acknowledged is lost or done twice.

The points are functions on the way, before or after; together they cover every
process and every gap between two things that must both become durable. At each
of them the process that comes to it is killed, and its supervisor starts it again;
at some the whole machine goes down, and the node is started again.
"""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydicom import dcmread

from service.demo_orthanc import Modality, OrthancServer, free_ports
from tests.durability.node import Node, wait_until
from tests.durability.studies import SentStudy, renewed, write_phantom

SR = "1.2.840.10008.5.1.4.1.1.88.34"
ANALYSES = {"photograph-symmetry", "surface-symmetry"}

POINTS = (
    # receiver: name, bytes, row, answer
    "service.catalogue.stored_bytes:LocalBytes.prepare:after",
    "service.catalogue.stored_bytes:LocalBytes.settle:before",
    "service.catalogue.stored_bytes:LocalBytes.settle:after",
    "service.catalogue.arrivals:Register.enter:after",
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
    "service.workflow.result_objects:write_measurement_report:after",
    "service.catalogue.results:record_result:before",
    "service.catalogue.results:record_result:after",
    "service.workflow.steps:Steps.report:after",
    "service.workflow.steps:Steps.tidy:after",
    "service.workflow.steps:Steps.destinations:after",
    "service.workflow.delivering:send_files:before",
    "service.workflow.delivering:send_files:after",
    "service.catalogue.results:record_delivery:after",
    "service.workflow.steps:Steps.confirm:before",
    "service.workflow.committing:record_asking:after",
    "service.commitment:Commitments.take:before",
    "service.commitment:Commitments.take:after",
    "service.workflow.steps:Steps.confirm:after",
    # measuring child
    "service.workflow.measuring:_read:after",
    "service.workflow.measuring:_measure:before",
    "service.workflow.measuring:_measure:after",
)

pytestmark = [pytest.mark.slow, pytest.mark.peer, pytest.mark.timeout(300)]


MACHINE_GOES_DOWN_AT = (
    "service.catalogue.arrivals:Register.enter:after",
    "service.workflow.engine:EngineClient.look_at_study_in:after",
    "service.workflow.steps:Steps.complete:after",
    "service.workflow.measuring:_measure:before",
    "service.catalogue.results:record_result:after",
    "service.workflow.delivering:send_files:after",
)


@dataclass
class Hospital:
    """A PACS, a node whose processes can be told to kill themselves, and a phantom."""

    pacs: OrthancServer
    node: Node
    phantom: Path
    kill_at: Path

    def start(self) -> None:
        self.node.start_to_be_killed(POINTS, self.kill_at)

    def reports(self, study: SentStudy) -> list[dict[str, str]]:
        client = self.pacs.client
        found = [client.tags(each) for each in client.instances(study.study_instance_uid)]
        return [tags for tags in found if tags["SOPClassUID"] == SR]

    def wait_for_reports(self, study: SentStudy) -> None:
        wait_until(lambda: len(self.reports(study)) >= 2, 120, "both reports are in the PACS")
        # Whatever might come twice would come now.
        time.sleep(3)

    def assert_everything_is_there_once(self, study: SentStudy) -> None:
        with sqlite3.connect(self.node.data_folder / "catalogue.sqlite") as catalogue:
            keys = dict(catalogue.execute("SELECT sop_instance_uid, key FROM instances").fetchall())
            results = catalogue.execute(
                "SELECT analysis, COUNT(*) FROM results JOIN studies ON studies.id = study_row "
                "WHERE study_instance_uid = ? GROUP BY 1",
                (study.study_instance_uid,),
            ).fetchall()
        for uid, file in zip(study.sop_instance_uids, study.files, strict=True):
            kept = dcmread(self.node.data_folder / keys[uid])
            assert kept == dcmread(file), f"{uid} is not what was sent"
        assert dict(results) == dict.fromkeys(ANALYSES, 1)
        titles = Counter(each["SeriesDescription"] for each in self.reports(study))
        assert len(titles) == 2
        assert set(titles.values()) == {1}, f"a result is in the PACS twice: {titles}"


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    folder = tmp_path_factory.mktemp("hospital")
    dicom_port, *of_pacs = free_ports(3)
    modality = Modality("hemiface", "HEMIFACE", dicom_port)
    pacs = OrthancServer(
        folder / "orthanc", modalities=[modality], http_port=of_pacs[0], dicom_port=of_pacs[1]
    )
    pacs.start()
    node = Node.delivering_to(folder, pacs, {"HEMIFACE_DICOM__PORT": str(dicom_port)})
    node.dicom_port = dicom_port
    hospital = Hospital(pacs, node, write_phantom(folder / "phantom"), folder / "kill-at")
    hospital.start()
    yield hospital
    node.kill()
    pacs.kill()
    pacs.client.close()


@pytest.mark.parametrize("point", POINTS)
def test_a_process_is_killed(point: str, hospital: Hospital, tmp_path: Path) -> None:
    study = renewed(hospital.phantom, tmp_path / "study")
    hospital.kill_at.write_text(point)
    hospital.node.send_until_acknowledged(study.files)
    hospital.wait_for_reports(study)
    wait_until(lambda: not hospital.kill_at.exists(), 90, f"a process comes to {point}")
    hospital.assert_everything_is_there_once(study)


@pytest.mark.parametrize("point", MACHINE_GOES_DOWN_AT)
def test_the_machine_goes_down(point: str, hospital: Hospital, tmp_path: Path) -> None:
    study = renewed(hospital.phantom, tmp_path / "study")
    hospital.kill_at.write_text(point)
    acknowledged = hospital.node.send(study.files)
    wait_until(lambda: not hospital.kill_at.exists(), 90, f"a process comes to {point}")
    hospital.node.kill()
    hospital.start()
    hospital.node.send_until_acknowledged(set(study.files) - acknowledged)
    hospital.wait_for_reports(study)
    hospital.assert_everything_is_there_once(study)


@pytest.mark.parametrize("part", ["receiver-0", "cataloguer-0", "worker-0", "console-0"])
def test_an_idle_part_is_killed(part: str, hospital: Hospital, tmp_path: Path) -> None:
    study = renewed(hospital.phantom, tmp_path / "study")
    former = hospital.node.process_of(part)
    former.kill()
    hospital.node.send_until_acknowledged(study.files)
    hospital.wait_for_reports(study)
    assert hospital.node.process_of(part).pid != former.pid
    hospital.assert_everything_is_there_once(study)


def test_when_the_supervisor_is_killed_its_parts_end_by_themselves(tmp_path: Path) -> None:
    node = Node.delivering_to(tmp_path, None)
    node.start()
    node.wait_until_listening()
    assert node.process is not None
    parts = node.processes()[1:]
    assert len(parts) >= 4
    node.process.kill()
    node.process.wait()
    wait_until(lambda: not any(each.is_running() for each in parts), 40, "all parts have ended")
