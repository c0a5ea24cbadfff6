"""A request for commitment that was answered with success is reported on, whatever happens."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import generate_uid
from pynetdicom import AE, evt

from dicom_nodes.network.peer import Peer
from dicom_nodes.network.storage_commitment import (
    STORAGE_COMMITMENT_SOP_CLASS,
    CommitmentReport,
    CommitmentRequest,
    Reference,
    read_report,
)
from dicom_nodes.network.storage_commitment_scu import request_commitment
from processing.measurement import TransientFault
from service.demo_orthanc import free_ports
from tests.dicom_nodes.network.instances import SECONDARY_CAPTURE, SERIES, write_instance
from tests.durability.node import AE_TITLE, Node, wait_until

POINTS = (
    # receiver: the row is there, but not the answer; the answer is there, but not the report
    "service.catalogue.commitment_requests:record_request:after",
    "service.commitment:Commitments.report_on:before",
    "service.commitment:Commitments.reported:before",
    # cataloguer: the engine is told, before and after that is noted
    "service.workflow.engine:EngineClient.report_commitment:before",
    "service.workflow.engine:EngineClient.report_commitment:after",
    # worker: checked but not sent; sent but not noted
    "service.workflow.reporting_commitment:send_report:before",
    "service.workflow.reporting_commitment:send_report:after",
)
# These are on the way of a report that the peer does not wait for on its association.
ON_A_NEW_ASSOCIATION = POINTS[3:]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@dataclass
class Camera:
    """Asks for commitment, and takes reports on either association."""

    node_port: int
    port: int
    told: list[CommitmentReport] = field(default_factory=list)

    def on_report(self, event: Any) -> tuple[int, None]:
        self.told.append(read_report(lambda: event.event_information))
        return 0x0000, None

    @contextmanager
    def listening(self) -> Iterator[None]:
        entity = AE("CAMERA")
        entity.add_supported_context(STORAGE_COMMITMENT_SOP_CLASS, scu_role=True, scp_role=True)
        handlers = [(evt.EVT_N_EVENT_REPORT, self.on_report)]
        address = ("127.0.0.1", self.port)
        server = entity.start_server(address, block=False, evt_handlers=handlers)
        assert server is not None
        try:
            yield
        finally:
            server.shutdown()

    def ask(self, transaction_uid: str, *, wait_seconds: float = 0) -> bool:
        """Ask for what was sent and for one more; True when the node answers with success."""
        request = CommitmentRequest(
            transaction_uid,
            (
                Reference(SECONDARY_CAPTURE, f"{SERIES}.1"),
                Reference(SECONDARY_CAPTURE, f"{SERIES}.404"),
            ),
        )
        node = Peer("node", AE_TITLE, "127.0.0.1", self.node_port, "CAMERA")
        try:
            request_commitment(
                node,
                request,
                lambda report, _: self.told.append(report),
                is_reported=lambda: False,
                wait_seconds=wait_seconds,
            )
        except TransientFault:
            return False
        return True

    def ask_until_answered(self, transaction_uid: str, *, wait_seconds: float) -> None:
        wait_until(
            lambda: self.ask(transaction_uid, wait_seconds=wait_seconds), 40, "it is answered"
        )

    def wait_for_report(self, transaction_uid: str) -> None:
        def is_told() -> bool:
            return any(each.transaction_uid == transaction_uid for each in self.told)

        wait_until(is_told, 60, "the report is there")
        (report,) = {each for each in self.told if each.transaction_uid == transaction_uid}
        assert [each.sop_instance_uid for each in report.committed] == [f"{SERIES}.1"]
        assert [each.reason for each in report.failed] == [0x0112]


@dataclass
class Studio:
    """A node whose processes can be told to kill themselves, and a camera."""

    node: Node
    camera: Camera
    kill_at: Path

    def start(self) -> None:
        self.node.start_to_be_killed(POINTS, self.kill_at)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    folder = tmp_path_factory.mktemp("studio")
    (port,) = free_ports(1)
    camera = {"name": "camera", "ae_title": "CAMERA", "address": "127.0.0.1", "port": port}
    node = Node.delivering_to(folder, None, {"HEMIFACE_PEERS": json.dumps([camera])})
    studio = Studio(node, Camera(node.dicom_port, port), folder / "kill-at")
    studio.start()
    node.send_until_acknowledged([write_instance(folder / "sent", 1)])
    yield studio
    node.kill()


@pytest.mark.parametrize("point", POINTS)
def test_a_process_is_killed_on_the_way_to_the_report(point: str, studio: Studio) -> None:
    transaction_uid = generate_uid()
    studio.kill_at.write_text(point)
    waits = 0 if point in ON_A_NEW_ASSOCIATION else 5
    with studio.camera.listening():
        studio.camera.ask_until_answered(transaction_uid, wait_seconds=waits)
        studio.camera.wait_for_report(transaction_uid)
        # The worker comes to its last point after the camera was told.
        wait_until(lambda: not studio.kill_at.exists(), 60, f"a process comes to {point}")


def test_the_machine_goes_down_after_the_answer_and_the_camera_is_away_for_a_while(
    studio: Studio,
) -> None:
    transaction_uid = generate_uid()
    studio.camera.ask_until_answered(transaction_uid, wait_seconds=0)
    studio.node.kill()
    studio.start()
    # Long enough for an attempt or two against the closed port.
    time.sleep(4)
    assert not [each for each in studio.camera.told if each.transaction_uid == transaction_uid]
    with studio.camera.listening():
        studio.camera.wait_for_report(transaction_uid)
        time.sleep(3)
    told = [each for each in studio.camera.told if each.transaction_uid == transaction_uid]
    assert len(told) == 1, "it is told once where nothing went wrong while telling"
