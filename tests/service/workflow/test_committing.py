"""A result is confirmed by storage commitment, or by C-FIND where that does not tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.transport import ThreadedAssociationServer

from dicom_nodes.network.storage_commitment import (
    STORAGE_COMMITMENT_SOP_CLASS,
    CommitmentReport,
    CommitmentRequest,
    Failed,
    read_request,
)
from service.catalogue import result_commitments
from service.catalogue.database import Database
from service.catalogue.stored_bytes import StoredBytes
from service.commitment import Commitments
from service.demo_orthanc import free_ports
from service.settings import Settings
from service.workflow import committing
from service.workflow.delivery import DeliveryState
from tests.dicom_nodes.network.instances import SECONDARY_CAPTURE
from tests.service.workflow.result_to_deliver import Desk, result_to_deliver

STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
DELIVERED, WAITING, PARKED = DeliveryState.DELIVERED, DeliveryState.WAITING, DeliveryState.PARKED


@dataclass
class Archive:
    """Stores, is asked for commitment, and lists what it holds; it loses what it is told to."""

    port: int = field(default_factory=lambda: free_ports(1)[0])
    loses: set[str] = field(default_factory=set)
    refuses: int = 0x0000
    offers_commitment: bool = True
    stored: list[str] = field(default_factory=list)
    asked: list[CommitmentRequest] = field(default_factory=list)
    server: ThreadedAssociationServer | None = None

    @contextmanager
    def running(self) -> Iterator[None]:
        entity = AE("PACS")
        entity.add_supported_context(SECONDARY_CAPTURE)
        entity.add_supported_context(STUDY_ROOT_FIND)
        if self.offers_commitment:
            entity.add_supported_context(STORAGE_COMMITMENT_SOP_CLASS)
        handlers = [
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_C_FIND, self._find),
            (evt.EVT_N_ACTION, self._commit),
        ]
        server = entity.start_server(("127.0.0.1", self.port), block=False, evt_handlers=handlers)
        assert server is not None
        try:
            yield
        finally:
            server.shutdown()

    def _store(self, event: Any) -> int:
        self.stored.append(str(event.request.AffectedSOPInstanceUID))
        return 0x0000

    def _commit(self, event: Any) -> tuple[int, None]:
        self.asked.append(read_request(lambda: event.action_information))
        return self.refuses, None

    def _find(self, event: Any) -> Iterator[tuple[int, Dataset | None]]:
        for uid in dict.fromkeys(self.stored):
            if uid not in self.loses:
                found = Dataset()
                found.QueryRetrieveLevel = "IMAGE"
                found.SOPInstanceUID = uid
                yield 0xFF00, found

    def report(self) -> CommitmentReport:
        """What it would report on the last request."""
        request = self.asked[-1]
        return CommitmentReport(
            request.transaction_uid,
            tuple(each for each in request.references if each.sop_instance_uid not in self.loses),
            tuple(
                Failed(each, 0x0112)
                for each in request.references
                if each.sop_instance_uid in self.loses
            ),
        )


@pytest.fixture
def new_desk(
    settings: Settings, database: Database, stored: StoredBytes, tmp_path: Path
) -> Callable[..., Desk]:
    def make(archive: Archive, **choices: Any) -> Desk:
        return result_to_deliver(
            settings,
            database,
            stored,
            tmp_path / "made",
            archive.port,
            **{"commitment_wait_seconds": 0.1, **choices},
        )

    return make


def take_report(desk: Desk, archive: Archive) -> None:
    """The archive reports to another process of the node."""
    Commitments(desk.settings, desk.database, desk.stored).take(archive.report(), "PACS")


def test_a_result_waits_until_the_archive_has_committed_it(
    new_desk: Callable[..., Desk],
) -> None:
    archive = Archive()
    desk = new_desk(archive)
    with archive.running():
        assert desk.deliver() == DELIVERED
        assert desk.confirm() == (WAITING, "pacs has not reported on the commitment yet")
        assert desk.confirm()[0] == WAITING
    assert len(archive.asked) == 1, "it is asked once"
    assert {each.sop_instance_uid for each in archive.asked[0].references} == set(desk.uids)
    take_report(desk, archive)
    assert desk.confirmation() == "storage commitment for all 2 objects"
    assert desk.confirm() == (DELIVERED, "storage commitment for all 2 objects")


def test_what_was_not_committed_is_sent_again_and_parked_in_the_end(
    new_desk: Callable[..., Desk],
) -> None:
    archive = Archive()
    desk = new_desk(archive)
    lost = desk.uids[1]
    archive.loses = {lost}
    with archive.running():
        for _ in range(2):
            assert desk.deliver() == DELIVERED
            assert desk.confirm()[0] == WAITING
            take_report(desk, archive)
            state, reason = desk.confirm()
            assert state == WAITING
            assert "1 of 2 objects (0x0112, no such object instance); they are sent again" in reason
            # As after a crash between the step and its record.
            assert desk.confirm() == (state, reason)
        assert desk.deliver() == DELIVERED
        desk.confirm()
        take_report(desk, archive)
        state, reason = desk.confirm()
        assert state == PARKED
        assert "although they were sent 3 times" in reason
        assert archive.stored == [*desk.uids, lost, lost]
        # A person has it delivered again, and the archive has been mended.
        archive.loses = set()
        assert desk.deliver() == DELIVERED
        desk.confirm()
        take_report(desk, archive)
        assert desk.confirm()[0] == DELIVERED


def test_without_a_report_in_time_the_archive_is_queried(
    new_desk: Callable[..., Desk],
) -> None:
    archive = Archive()
    desk = new_desk(archive, commitment_timeout_seconds=0.01)
    with archive.running():
        desk.deliver()
        state, reason = desk.confirm()
    assert state == DELIVERED
    assert reason == (
        "C-FIND lists all 2 objects; gave no report on storage commitment within 0.01 s"
    )
    assert desk.confirmation() == reason
    take_report(desk, archive)
    assert desk.confirmation() == "storage commitment for all 2 objects", "better late than never"


@pytest.mark.parametrize(
    ("archive", "why"),
    [
        (Archive(offers_commitment=False), "offers no storage commitment"),
        (Archive(refuses=0x0124), "refused: pacs"),
    ],
)
def test_an_archive_that_commits_itself_to_nothing_is_queried(
    archive: Archive, why: str, new_desk: Callable[..., Desk]
) -> None:
    desk = new_desk(archive)
    with archive.running():
        desk.deliver()
        archive.loses = {desk.uids[0]}
        state, reason = desk.confirm()
        assert (state, "lists only 1 of its 2 objects" in reason) == (WAITING, True)
        archive.loses = set()
        state, reason = desk.confirm()
        assert (state, why in reason) == (DELIVERED, True), reason
    assert len(archive.asked) <= 1, "it is not asked again after it refused"


def test_where_only_commitment_counts_a_person_has_to_look_and_may_have_it_asked_again(
    new_desk: Callable[..., Desk],
) -> None:
    archive = Archive(refuses=0x0124)
    desk = new_desk(archive, confirm="commitment")
    with archive.running():
        desk.deliver()
        state, reason = desk.confirm()
        assert (state, "refused" in reason) == (PARKED, True)
        archive.refuses = 0x0000
        assert desk.confirm()[0] == WAITING
        take_report(desk, archive)
        assert desk.confirm()[0] == DELIVERED


def test_a_destination_is_confirmed_as_its_setting_says(new_desk: Callable[..., Desk]) -> None:
    archive = Archive()
    desk = new_desk(archive, confirm="query")
    with archive.running():
        desk.deliver()
        assert desk.confirm() == (DELIVERED, "C-FIND lists all 2 objects")
    assert archive.asked == []


def test_an_archive_that_is_away_is_asked_again_under_another_transaction(
    new_desk: Callable[..., Desk],
) -> None:
    archive = Archive()
    desk = new_desk(archive)
    with archive.running():
        desk.deliver()
    state, reason = desk.confirm()
    assert (state, "cannot be reached" in reason) == (WAITING, True)
    with archive.running():
        assert desk.confirm()[0] == WAITING
    asked = result_commitments.commitments_of(desk.database, "key", "pacs")
    assert [each.accepted_at is not None for each in asked] == [False, True]
    assert len({each.transaction_uid for each in asked}) == 2


def test_an_archive_that_stays_away_counts_as_having_taken_the_result(
    new_desk: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.workflow.confirming.PATIENCE", timedelta(0))
    archive = Archive()
    desk = new_desk(archive, commitment_timeout_seconds=0.01)
    with archive.running():
        desk.deliver()
    state, reason = desk.confirm()
    assert state == DELIVERED
    assert "answered each C-STORE with success; cannot be asked" in reason
    assert committing.uncommitted(desk.attempt()) == desk.attempt().result.objects
