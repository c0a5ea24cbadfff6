"""The whole way with its logs: the audit trail says who, the ordinary log never does."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pydicom import dcmread
from pydicom.uid import generate_uid

from service.audit.chain import log_files, read_record, verify
from service.demo_orthanc import free_ports
from tests.dicom_nodes.audit.repository import TLSRepository
from tests.dicom_nodes.audit.schema import event_of, object_ids, valid
from tests.dicom_nodes.network.certificates import Authority
from tests.dicom_nodes.network.scripted_peer import IMPLICIT, VERIFICATION, connect
from tests.durability.node import Node, wait_until
from tests.durability.studies import SentStudy, write_phantom

PATIENT_ID, FAMILY, GIVEN, BIRTH_DATE = "PID-4711-0815", "Zyxwvut", "Qwertz", "19440517"
ACCESSION = "ACC-90210"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def named_study(folder: Path) -> SentStudy:
    """The phantom's study as that of a patient with telling values, and a file that is cut off."""
    study, files, uids = generate_uid(), [], []
    for number, source in enumerate(sorted(write_phantom(folder / "phantom").rglob("*.dcm"))):
        dataset = dcmread(source)
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, generate_uid()
        dataset.SOPInstanceUID = generate_uid()
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.PatientID, dataset.PatientName = PATIENT_ID, f"{FAMILY}^{GIVEN}"
        dataset.PatientBirthDate, dataset.AccessionNumber = BIRTH_DATE, ACCESSION
        path = folder / f"{number}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        files.append(path)
        uids.append(str(dataset.SOPInstanceUID))
        dataset.SOPInstanceUID = generate_uid()
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        cut = folder / f"cut-{number}.dcm"
        dataset.save_as(cut, enforce_file_format=True)
        cut.write_bytes(cut.read_bytes()[:-1000])
        files.append(cut)
        uids.append(str(dataset.SOPInstanceUID))
    return SentStudy(study, tuple(files), tuple(uids))


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[TLSRepository]:
    authority = Authority(tmp_path)
    with TLSRepository(authority) as running:
        yield running


def test_who_is_in_the_audit_trail_and_nowhere_in_the_logs(
    tmp_path: Path, repository: TLSRepository
) -> None:
    settings = {
        "HEMIFACE_AUDIT__REPOSITORY": json.dumps(
            {
                "address": "127.0.0.1",
                "port": repository.port,
                "authorities": str(tmp_path / "authority.pem"),
            }
        ),
        "HEMIFACE_DICOM__CALLING_AE_TITLES": '["CAMERA"]',
        "HEMIFACE_LOG_FORMAT": "json",
        # Nobody listens there: the failures of deliveries are logged too.
        "HEMIFACE_DELIVERY": json.dumps(
            {
                "destinations": [
                    {
                        "name": "away",
                        "ae_title": "AWAY",
                        "address": "127.0.0.1",
                        "port": free_ports(1)[0],
                    }
                ],
                "always_to": ["away"],
                "first_retry_seconds": 0.5,
            }
        ),
    }
    node = Node.delivering_to(tmp_path, None, settings)
    study = named_study(tmp_path)
    said = tmp_path / "node.log"
    with said.open("wb") as stream:
        before = os.dup(2)
        os.dup2(stream.fileno(), 2)
        try:
            node.start()
        finally:
            os.dup2(before, 2)
            os.close(before)
    try:
        node.wait_until_listening()
        node.send_until_acknowledged(study.files)
        node.send_until_acknowledged(study.files)
        with connect(node.dicom_port) as stranger:
            stranger.associate((VERIFICATION, [IMPLICIT]), calling="STRANGER")
        wait_until(
            lambda: len(node.state(study.study_instance_uid)["results"]) == 2, 150, "two results"
        )
        key = node.state(study.study_instance_uid)["results"][0]["key"]
        for path in ("/", f"/results/{key}", f"/api/studies/{study.study_instance_uid}"):
            httpx.get(f"{node.url}{path}", trust_env=False, timeout=30)
        wait_until(lambda: len(recorded(node)) >= 8, 30, "the trail is written")
        before_the_stop = len(recorded(node))
        wait_until(
            lambda: len(repository.messages) >= before_the_stop, 60, "the repository has the trail"
        )
    finally:
        node.stop()
    assert_trail(node, study, repository)
    text = said.read_text(errors="replace")
    assert "instance cannot be used" in text, "the log is not that of the way"
    for secret in (PATIENT_ID, FAMILY, GIVEN, BIRTH_DATE, ACCESSION):
        assert secret not in text
    for uid in (study.study_instance_uid, *study.sop_instance_uids):
        assert uid not in text


def recorded(node: Node) -> list[str]:
    return [
        read_record(line).message
        for path in log_files(node.data_folder / "audit")
        for line in path.read_bytes().splitlines(True)
    ]


def assert_trail(node: Node, study: SentStudy, repository: TLSRepository) -> None:
    """The trail has all that happened, is whole, and is what the repository got."""
    messages = [valid(each) for each in recorded(node)]
    events = [event_of(each) for each in messages]
    assert events[0] == events[-1] == "Application Activity"
    for event in (
        "Begin Transferring DICOM Instances",
        "DICOM Instances Transferred",
        "DICOM Instances Accessed",
        "Query",
        "Security Alert",
    ):
        assert event in events
    received = [
        each
        for each, event in zip(messages, events, strict=True)
        if event == "DICOM Instances Transferred" and "AETITLE=CAMERA" in participants(each)
    ]
    for each in received:
        assert object_ids(each) == [study.study_instance_uid, PATIENT_ID]
    assert len(received) == 2  # one for each association, whatever number of instances
    assert any("AETITLE=AWAY" in participants(each) for each in messages)
    assert verify(node.data_folder / "audit").broken is None
    got = [each.partition(b"\xef\xbb\xbf")[2].decode() for each in repository.messages]
    # The last of it may not be sent yet when the node is stopped; the next start goes on there.
    assert got == recorded(node)[: len(got)]
    assert len(got) >= len(messages) - 3


def participants(message: object) -> list[str]:
    found = message.findall("ActiveParticipant")  # type: ignore[attr-defined]  # an element
    return [each.get("AlternativeUserID", "") for each in found]
