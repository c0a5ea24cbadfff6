"""A whole node, and a modality that says when it is done."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pynetdicom import AE

from dicom_nodes.network.mpps_scp import MODALITY_PERFORMED_PROCEDURE_STEP
from tests.dicom_nodes.network.test_mpps_scp import begun, ended
from tests.durability.node import Node, wait_until
from tests.durability.studies import SentStudy, renewed, write_phantom

STEP = "1.2.826.0.1.3680043.8.498.7"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    # Long enough for the test to tell the hard maximum from everything else.
    offered = {
        "HEMIFACE_PERFORMED_STEPS__OFFERED": "true",
        "HEMIFACE_COMPLETION__QUIET_SECONDS": "2",
    }
    running = Node.delivering_to(tmp_path, None, offered)
    running.start()
    try:
        running.wait_until_listening()
        yield running
    finally:
        running.kill()


@pytest.fixture
def photograph(tmp_path: Path) -> SentStudy:
    study = renewed(write_phantom(tmp_path / "phantom"), tmp_path / "study")
    only = [
        (file, uid)
        for file, uid in zip(study.files, study.sop_instance_uids, strict=True)
        if dcmread(file, stop_before_pixels=True).Modality == "XC"
    ]
    return replace(
        study, files=tuple(each[0] for each in only), sop_instance_uids=tuple(u for _, u in only)
    )


def tell(node: Node, attributes: Dataset, *, is_new: bool) -> int:
    entity = AE("STUDIO1")
    entity.add_requested_context(MODALITY_PERFORMED_PROCEDURE_STEP)
    association = entity.associate("127.0.0.1", node.dicom_port, ae_title="HEMIFACE")
    assert association.is_established
    send = association.send_n_create if is_new else association.send_n_set
    status, _ = send(attributes, MODALITY_PERFORMED_PROCEDURE_STEP, STEP)
    association.release()
    return int(status.Status)


def test_completed_starts_the_study_that_the_quiet_time_did_not(
    node: Node, photograph: SentStudy
) -> None:
    scheduled = Dataset()
    scheduled.StudyInstanceUID = photograph.study_instance_uid
    assert tell(node, begun(ScheduledStepAttributesSequence=[scheduled]), is_new=True) == 0
    node.send_until_acknowledged(photograph.files)
    uid = photograph.study_instance_uid
    wait_until(lambda: len(node.state(uid)["instances"]) > 0, 60, "the photograph is catalogued")
    time.sleep(8)
    assert node.state(uid)["complete"] == [], "the modality says that more comes"
    assert tell(node, ended("COMPLETED", *photograph.sop_instance_uids), is_new=False) == 0
    wait_until(lambda: bool(node.state(uid)["complete"]), 60, "the study is complete")
    (evidence,) = node.state(uid)["complete"]
    assert evidence["evidence"] == "performed procedure step"
    assert "STUDIO1 says COMPLETED" in evidence["detail"]
    assert tell(node, ended("DISCONTINUED"), is_new=False) == 0x0110
    assert node.state(uid)["performed_steps"][0]["state"] == "COMPLETED"
