"""A follow-up meets its pre-operative study: a node, and an Orthanc that is away at first."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from dicom_nodes.network.peer import Peer
from dicom_nodes.network.storage_scu import send_files
from service.demo_orthanc import Modality, OrthancServer, free_ports
from tests.durability.node import Node, wait_until
from tests.durability.studies import SentStudy, renewed, write_phantom

pytestmark = [pytest.mark.slow, pytest.mark.peer, pytest.mark.timeout(300)]


def of_patient(study: SentStudy, study_date: str) -> SentStudy:
    for file in study.files:
        dataset = dcmread(file)
        dataset.PatientID = "FOLLOWED-UP"
        dataset.StudyDate = study_date
        dataset.save_as(file, enforce_file_format=True)
    return study


def priors_of(node: Node, study: SentStudy) -> list[dict[str, Any]]:
    found: dict[str, Any] = node.state(study.study_instance_uid).get("priors", {})
    return list(found.get("instances", ()))


@pytest.mark.parametrize("retrieve", ["C-MOVE", "C-GET"])
def test_a_follow_up_meets_its_pre_operative_study(tmp_path: Path, retrieve: str) -> None:
    phantom = write_phantom(tmp_path / "phantom")
    before = of_patient(renewed(phantom, tmp_path / "before"), "20250110")
    after = of_patient(renewed(phantom, tmp_path / "after"), "20251120")
    dicom_port, http_port = free_ports(2)
    pacs = OrthancServer(
        tmp_path / "orthanc", modalities=[Modality("hemiface", "HEMIFACE", dicom_port)]
    )
    source = {
        "name": "pacs",
        "ae_title": "ORTHANC",
        "address": "127.0.0.1",
        "port": pacs.dicom_port,
        "retrieve": retrieve,
    }
    waits = {"first_retry_seconds": 0.5, "longest_retry_seconds": 2}
    node = Node.delivering_to(
        tmp_path,
        None,
        {
            "HEMIFACE_DICOM__PORT": str(dicom_port),
            "HEMIFACE_HTTP__PORT": str(http_port),
            "HEMIFACE_PRIORS": json.dumps({"sources": [source], **waits}),
        },
    )
    node.dicom_port, node.http_port = dicom_port, http_port
    node.start()
    try:
        node.wait_until_listening()
        node.send_until_acknowledged(after.files)
        wait_until(
            lambda: len(node.state(after.study_instance_uid)["results"]) == 2,
            120,
            "the follow-up is measured while the archive is away",
        )
        node.kill()
        node.start()
        node.wait_until_listening()
        pacs.start()
        archive = Peer("pacs", "ORTHANC", "127.0.0.1", pacs.dicom_port, "CAMERA")
        assert all(each.accepted for each in send_files(archive, before.files))
        wait_until(
            lambda: [each["here"] for each in priors_of(node, after)] == [True] * 2,
            120,
            "the pre-operative study is here",
        )
        assert {each["sop_instance_uid"] for each in priors_of(node, after)} == set(
            before.sop_instance_uids
        )
        wait_until(
            lambda: node.state(before.study_instance_uid).get("state") == "prior",
            30,
            "it is known as a prior",
        )
        time.sleep(5)
        state = node.state(before.study_instance_uid)
        assert (state["results"], state["work"], state["complete"]) == ([], [], [])
        # Sent for its own sake it is a study like any other.
        node.send_until_acknowledged(before.files)
        wait_until(
            lambda: len(node.state(before.study_instance_uid)["results"]) == 2,
            120,
            "the earlier study is measured once it is sent",
        )
    finally:
        node.kill()
        pacs.kill()
        pacs.client.close()
