"""Storage commitment with Orthanc: it commits itself to results, and asks the node to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from dicom_nodes.network.storage_commitment_scp import storage_commitment
from service.catalogue.database import Database
from service.catalogue.result_commitments import commitments_of
from service.catalogue.stored_bytes import LocalBytes
from service.commitment import Commitments
from service.demo_orthanc import Modality, OrthancServer, free_ports
from service.settings import Settings
from service.workflow.delivery import DeliveryState
from tests.dicom_nodes.network.instances import STUDY
from tests.dicom_nodes.network.listening import listening
from tests.durability.node import Node, wait_until
from tests.migrated import empty_catalogue
from tests.peers import samples
from tests.peers.samples import written
from tests.service.workflow.result_to_deliver import Desk, result_to_deliver

pytestmark = pytest.mark.peer


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with empty_catalogue(Settings(data_folder=tmp_path / "data")) as opened:
        yield opened


def desk_beside(pacs: OrthancServer, tmp_path: Path, database: Database, **choices: float) -> Desk:
    settings = Settings(data_folder=tmp_path / "data")
    stored = LocalBytes(settings.data_folder.absolute())
    return result_to_deliver(
        settings,
        database,
        stored,
        tmp_path / "made",
        pacs.dicom_port,
        ae_title="ORTHANC",
        **choices,
    )


def test_orthanc_commits_itself_by_calling_back(
    start_orthanc: Callable[..., OrthancServer], tmp_path: Path, database: Database
) -> None:
    pacs = start_orthanc()
    desk = desk_beside(pacs, tmp_path, database, commitment_wait_seconds=20)
    book = Commitments(desk.settings, database, desk.stored)
    with listening(tmp_path / "node", [storage_commitment(book)]) as node:
        pacs.client.register(Modality("hemiface", "HEMIFACE", node.port))
        assert desk.deliver() == DeliveryState.DELIVERED
        assert desk.confirm() == (
            DeliveryState.DELIVERED,
            "storage commitment for all 2 objects",
        )


def test_what_orthanc_has_lost_is_sent_again_until_it_is_committed(
    start_orthanc: Callable[..., OrthancServer], tmp_path: Path, database: Database
) -> None:
    pacs = start_orthanc()
    desk = desk_beside(pacs, tmp_path, database, commitment_wait_seconds=20)
    book = Commitments(desk.settings, database, desk.stored)
    with listening(tmp_path / "node", [storage_commitment(book)]) as node:
        pacs.client.register(Modality("hemiface", "HEMIFACE", node.port))
        desk.deliver()
        pacs.client.delete_study(STUDY)
        state, reason = desk.confirm()
        assert state == DeliveryState.WAITING
        assert "2 of 2 objects (0x0112, no such object instance)" in reason
        assert desk.deliver() == DeliveryState.DELIVERED
        assert desk.confirm()[0] == DeliveryState.DELIVERED


@pytest.mark.slow
def test_an_orthanc_that_restarts_before_it_reports_is_queried_in_the_end(
    start_orthanc: Callable[..., OrthancServer], tmp_path: Path, database: Database
) -> None:
    # Its report reaches nobody, and it keeps no request over a restart.
    (closed,) = free_ports(1)
    pacs = start_orthanc(modalities=[Modality("hemiface", "HEMIFACE", closed)])
    desk = desk_beside(
        pacs, tmp_path, database, commitment_wait_seconds=0, commitment_timeout_seconds=4
    )
    desk.deliver()
    assert desk.confirm()[0] == DeliveryState.WAITING
    pacs.kill()
    state, _ = desk.confirm()
    assert state == DeliveryState.WAITING
    pacs.start()
    wait_until(lambda: desk.confirm()[0] == DeliveryState.DELIVERED, 30, "it is confirmed")
    assert desk.confirmation() == (
        "C-FIND lists all 2 objects; gave no report on storage commitment within 4 s"
    )
    assert len(commitments_of(database, "key", "pacs")) == 1


def ask_for_commitment(pacs: OrthancServer, instances: list[dict[str, str]]) -> str:
    answer = httpx.post(
        f"{pacs.client.url}/modalities/hemiface/storage-commitment",
        json={"DicomInstances": instances},
        trust_env=False,
        timeout=60,
    )
    answer.raise_for_status()
    return str(answer.json()["Path"])


def report(pacs: OrthancServer, path: str) -> dict:
    return httpx.get(f"{pacs.client.url}{path}", trust_env=False, timeout=60).json()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_node_and_orthanc_commit_themselves_to_what_they_sent_each_other(
    start_orthanc: Callable[..., OrthancServer], tmp_path: Path
) -> None:
    pacs = start_orthanc()
    node = Node.delivering_to(tmp_path, pacs)
    pacs.client.register(Modality("hemiface", "HEMIFACE", node.dicom_port))
    images = [samples.photograph() for _ in range(2)]
    sent = [pacs.client.upload(written(each, tmp_path / "image.dcm")) for each in images]
    node.start()
    try:
        node.wait_until_listening()
        pacs.client.send("hemiface", sent[:1])
        named = [
            {"SOPClassUID": each.SOPClassUID, "SOPInstanceUID": each.SOPInstanceUID}
            for each in images
        ]
        wrong = {**named[0], "SOPClassUID": "1.2.840.10008.5.1.4.1.1.4"}
        good = ask_for_commitment(pacs, named[:1])
        bad = ask_for_commitment(pacs, [wrong, named[1]])
        wait_until(lambda: report(pacs, good)["Status"] == "Success", 60, "it is committed")
        wait_until(lambda: report(pacs, bad)["Status"] == "Failure", 60, "it is not committed")
        failures = report(pacs, bad)["Failures"]
        reasons = {each["SOPInstanceUID"]: each["FailureReason"] for each in failures}
        assert reasons == {images[0].SOPInstanceUID: 0x0119, images[1].SOPInstanceUID: 0x0112}

        # The worker asks, a receiver takes the report, and the page tells.
        def how_confirmed() -> list[str]:
            found = node.deliveries(images[0].StudyInstanceUID)
            return [each["detail"] for each in found if each["state"] == "confirmed"]

        wait_until(lambda: bool(how_confirmed()), 150, "the result is confirmed")
        assert all(each.startswith("storage commitment for all") for each in how_confirmed())
    finally:
        node.kill()
