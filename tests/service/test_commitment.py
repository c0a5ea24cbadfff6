"""What the node answers to requests for storage commitment, and takes from archives."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dicom_nodes.network.storage_commitment import (
    CommitmentReport,
    CommitmentRequest,
    Failed,
    FailureReason,
    Reference,
)
from processing.measurement import PermanentFault, RejectedInput, TransientFault
from service.catalogue import commitment_requests, result_commitments, results
from service.catalogue.arrivals import Received, Register
from service.catalogue.database import Database
from service.catalogue.models import Patient, Study
from service.catalogue.stored_bytes import LocalBytes
from service.commitment import Commitments
from service.settings import ApplicationEntity, Settings
from tests.migrated import empty_catalogue

PHOTOGRAPH = "1.2.840.10008.5.1.4.1.1.77.1.4"
MR = "1.2.840.10008.5.1.4.1.1.4"
CAMERA = ApplicationEntity(name="camera", ae_title="CAMERA", address="127.0.0.1", port=104)


@pytest.fixture
def book(settings: Settings) -> Iterator[Commitments]:
    settings = settings.model_copy(update={"peers": (CAMERA,)})
    stored = LocalBytes(settings.data_folder.absolute())
    with empty_catalogue(settings) as database:
        yield Commitments(settings, database, stored)


def hold(book: Commitments, uid: str) -> Path:
    """Receive a photograph of 100 bytes; gives its file."""
    key = f"instances/{uid}.dcm"
    book.stored.write(key, bytes(100))
    received = Received(
        sop_instance_uid=uid,
        sop_class_uid=PHOTOGRAPH,
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        key=key,
        size_bytes=100,
        dataset_offset=10,
        received_at=datetime.now(UTC),
        calling_ae_title="CAMERA",
        peer_address="127.0.0.1",
    )
    register = Register(book.database)
    assert register.enter([received]) == [None]
    register.close()
    return book.settings.data_folder / key


def request(*uids: str, sop_class: str = PHOTOGRAPH, transaction: str = "9.1") -> CommitmentRequest:
    return CommitmentRequest(transaction, tuple(Reference(sop_class, uid) for uid in uids))


def reasons(report: CommitmentReport) -> dict[str, int]:
    return {each.reference.sop_instance_uid: each.reason for each in report.failed}


def test_only_what_is_held_whole_under_its_class_is_committed(book: Commitments) -> None:
    hold(book, "1.1")
    hold(book, "1.2").unlink()
    hold(book, "1.3").write_bytes(bytes(99))
    number = book.record(request("1.1", "1.2", "1.3", "1.4"), "CAMERA")
    report = book.report_on(number)
    assert [each.sop_instance_uid for each in report.committed] == ["1.1"]
    assert reasons(report) == {
        "1.2": FailureReason.NO_SUCH_OBJECT_INSTANCE,
        "1.3": FailureReason.PROCESSING_FAILURE,
        "1.4": FailureReason.NO_SUCH_OBJECT_INSTANCE,
    }
    number = book.record(request("1.1", sop_class=MR, transaction="9.2"), "CAMERA")
    assert reasons(book.report_on(number)) == {"1.1": FailureReason.CLASS_INSTANCE_CONFLICT}


def test_thousands_of_instances_are_looked_up(book: Commitments) -> None:
    hold(book, "1.1")
    uids = [f"2.{number}" for number in range(5000)]
    report = book.report_on(book.record(request(*uids, "1.1"), "CAMERA"))
    assert len(report.failed) == 5000
    assert [each.sop_instance_uid for each in report.committed] == ["1.1"]


def test_a_peer_without_an_address_is_refused(book: Commitments) -> None:
    with pytest.raises(PermanentFault, match="'STRANGER' is not in"):
        book.record(request("1.1"), "STRANGER")
    with pytest.raises(PermanentFault, match="not in the catalogue"):
        book.report_on(1)


def test_a_repeated_request_is_one_request_until_it_was_reported_on(book: Commitments) -> None:
    database = book.database
    number = book.record(request("1.1"), "CAMERA")
    assert book.record(request("1.1"), "CAMERA") == number
    assert commitment_requests.due_requests(database) == [], "its association has its moment"
    book.report_elsewhere(number)
    (due,) = commitment_requests.due_requests(database)
    assert due.number == number
    commitment_requests.handed_over(database, [due])
    assert commitment_requests.due_requests(database) == []
    book.reported(number)
    book.report_elsewhere(number)
    assert commitment_requests.due_requests(database) == [], "once reported it stays so"
    assert book.record(request("1.1"), "CAMERA") == number
    book.report_elsewhere(number)
    (again,) = commitment_requests.due_requests(database)
    assert again.received_at > due.received_at


def test_a_transaction_uid_is_not_taken_for_other_instances(book: Commitments) -> None:
    book.record(request("1.1"), "CAMERA")
    with pytest.raises(RejectedInput, match="in use"):
        book.record(request("1.2"), "CAMERA")


def test_a_peer_cannot_pile_up_requests(book: Commitments, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commitment_requests, "MOST_OPEN_REQUESTS", 3)
    numbers = [
        book.record(request("1.1", transaction=f"9.{each}"), "CAMERA") for each in range(1, 4)
    ]
    with pytest.raises(TransientFault, match="wait for their reports"):
        book.record(request("1.1", transaction="9.4"), "CAMERA")
    book.reported(numbers[0])
    book.record(request("1.1", transaction="9.4"), "CAMERA")


def test_requests_that_were_reported_on_are_forgotten_after_a_while(
    book: Commitments, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = book.record(request("1.1"), "CAMERA")
    book.reported(number)
    monkeypatch.setattr(commitment_requests, "_REMEMBERED", timedelta(0))
    book.record(request("1.1", transaction="9.2"), "CAMERA")
    kept = commitment_requests.request_of(book.database, number)
    assert kept is None or kept.transaction_uid == "9.2", "SQLite gives the number again"


def result(database: Database) -> None:
    """A result of two objects that was sent, and of which commitment was asked."""
    objects = tuple(
        results.MadeObject(uid, PHOTOGRAPH, "3.1", f"picture-{uid}", f"results/{uid}.dcm")
        for uid in ("5.1", "5.2")
    )
    now = datetime.now(UTC)
    with database.sessions.begin() as session:
        patient = Patient(patient_id="P")
        session.add(patient)
        session.flush()
        study = Study(study_instance_uid="4.1", patient_row=patient.id)
        study.first_arrival = study.last_arrival = now
        session.add(study)
    made = results.MadeResult(
        "key", "4.1", "analysis", "1", "measured", None, ("1.1",), now, None, objects
    )
    assert results.record_result(database, made)
    results.record_delivery(database, "key", "PACS")
    result_commitments.record_asking(database, "9.9", "key", "PACS")


def report(*committed: str, failed: tuple[str, ...] = ()) -> CommitmentReport:
    return CommitmentReport(
        "9.9",
        tuple(Reference(PHOTOGRAPH, uid) for uid in committed),
        tuple(Failed(Reference(PHOTOGRAPH, uid), 0x0112) for uid in failed),
    )


def confirmation(book: Commitments) -> str | None:
    (sent,) = results.deliveries_of_study(book.database, "4.1")
    return sent.confirmation


def test_a_result_is_confirmed_once_all_its_objects_are_committed(book: Commitments) -> None:
    result(book.database)
    book.take(report("5.1", failed=("5.2",)), "PACS")
    (asked,) = result_commitments.commitments_of(book.database, "key", "PACS")
    assert asked.has_failed
    assert dict(asked.failures) == {"5.2": "0x0112, no such object instance"}
    assert confirmation(book) is None
    book.take(report("5.1", "5.2"), "PACS")
    assert confirmation(book) == "storage commitment for all 2 objects"


def test_what_a_report_does_not_name_is_not_committed(book: Commitments) -> None:
    result(book.database)
    book.take(report("5.1"), "PACS")
    (asked,) = result_commitments.commitments_of(book.database, "key", "PACS")
    assert dict(asked.failures) == {"5.2": "the report does not name it"}


def test_a_report_that_nobody_asked_for_is_refused(book: Commitments) -> None:
    with pytest.raises(RejectedInput, match="no request of this node"):
        book.take(report("5.1"), "PACS")
