"""Storage commitment between the node and pynetdicom as its peer, in both roles."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, build_role, evt
from pynetdicom.association import Association
from pynetdicom.dsutils import decode, encode

from dicom_nodes.network.peer import ContextsRefused, Peer
from dicom_nodes.network.storage_commitment import (
    ALL_COMMITTED,
    FAILURES_EXIST,
    MOST_REFERENCES,
    REQUEST_ACTION,
    STORAGE_COMMITMENT_SOP_CLASS,
    STORAGE_COMMITMENT_SOP_INSTANCE,
    CommitmentReport,
    CommitmentRequest,
    Failed,
    FailureReason,
    Reference,
    read_report,
    read_request,
    report_as_data_set,
    request_as_data_set,
)
from dicom_nodes.network.storage_commitment_scp import send_report, storage_commitment
from dicom_nodes.network.storage_commitment_scu import request_commitment
from processing.measurement import PermanentFault, RejectedInput, TransientFault
from service.demo_orthanc import free_ports
from tests.dicom_nodes.network.listening import listening

MR = "1.2.840.10008.5.1.4.1.1.4"
REQUEST = CommitmentRequest("1.2.3", (Reference(MR, "1.2.3.1"), Reference(MR, "1.2.3.2")))
REPORT = CommitmentReport("1.2.3", REQUEST.references, ())
PARTLY = CommitmentReport(
    "1.2.3",
    REQUEST.references[:1],
    (Failed(REQUEST.references[1], FailureReason.NO_SUCH_OBJECT_INSTANCE),),
)


@dataclass
class Book:
    """A book in memory; what it holds of a request is `report`."""

    report: CommitmentReport = REPORT
    fault: Exception | None = None
    requests: list[tuple[CommitmentRequest, str]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    taken: list[tuple[CommitmentReport, str]] = field(default_factory=list)

    def record(self, request: CommitmentRequest, calling_ae_title: str) -> int:
        if self.fault is not None:
            raise self.fault
        self.requests.append((request, calling_ae_title))
        return 7

    def report_on(self, number: int) -> CommitmentReport:
        assert number == 7
        return self.report

    def reported(self, number: int) -> None:
        self.told.append("here")

    def report_elsewhere(self, number: int) -> None:
        self.told.append("elsewhere")

    def take(self, report: CommitmentReport, calling_ae_title: str) -> None:
        if self.fault is not None:
            raise self.fault
        self.taken.append((report, calling_ae_title))


def wait_until(condition: Callable[[], object], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@dataclass
class Archive:
    """A peer of pynetdicom's own; it notes what it is asked and what it is told."""

    status: int = 0x0000
    report_here: CommitmentReport | None = None
    asked: list[CommitmentRequest] = field(default_factory=list)
    told: list[CommitmentReport] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)

    def on_action(self, event: Any) -> tuple[int, None]:
        self.asked.append(read_request(lambda: event.action_information))
        if self.report_here is not None:
            threading.Thread(target=self._report, args=[event.assoc]).start()
        return self.status, None

    def on_report(self, event: Any) -> tuple[int, None]:
        self.told.append(read_report(lambda: event.event_information))
        return self.status, None

    def _report(self, association: Association) -> None:
        assert self.report_here is not None
        time.sleep(0.2)
        self.answers.append(n_event_report(association, self.report_here))

    @contextmanager
    def running(self, sop_class: str = STORAGE_COMMITMENT_SOP_CLASS) -> Iterator[Peer]:
        (port,) = free_ports(1)
        entity = AE("ARCHIVE")
        entity.add_supported_context(sop_class, scu_role=True, scp_role=True)
        handlers = [(evt.EVT_N_ACTION, self.on_action), (evt.EVT_N_EVENT_REPORT, self.on_report)]
        server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
        assert server is not None
        try:
            yield Peer("archive", "ARCHIVE", "127.0.0.1", port, "HEMIFACE")
        finally:
            server.shutdown()


def n_event_report(association: Association, report: CommitmentReport) -> int:
    status, _ = association.send_n_event_report(
        report_as_data_set(report),
        report.event_type,
        STORAGE_COMMITMENT_SOP_CLASS,
        STORAGE_COMMITMENT_SOP_INSTANCE,
    )
    return int(status.Status)


@contextmanager
def associated(
    port: int, on_report: Callable[[Any], Any] | None = None, *, as_scp: bool = False
) -> Iterator[Association]:
    entity = AE("CAMERA")
    entity.add_requested_context(STORAGE_COMMITMENT_SOP_CLASS)
    roles = [build_role(STORAGE_COMMITMENT_SOP_CLASS, scp_role=True)] if as_scp else []
    handlers = [(evt.EVT_N_EVENT_REPORT, on_report)] if on_report else []
    association = entity.associate(
        "127.0.0.1", port, ae_title="HEMIFACE", ext_neg=roles, evt_handlers=handlers
    )
    assert association.is_established
    try:
        yield association
    finally:
        association.release()


def n_action(
    association: Association,
    data_set: Dataset,
    *,
    action: int = REQUEST_ACTION,
    instance: str = STORAGE_COMMITMENT_SOP_INSTANCE,
) -> Dataset:
    status, _ = association.send_n_action(data_set, action, STORAGE_COMMITMENT_SOP_CLASS, instance)
    return status


def through_bytes(data_set: Dataset) -> Dataset:
    encoded = encode(data_set, True, True)
    assert encoded is not None
    return decode(BytesIO(encoded), True, True)


def test_a_request_and_its_report_come_back_from_their_bytes() -> None:
    assert read_request(lambda: through_bytes(request_as_data_set(REQUEST))) == REQUEST
    for report in (REPORT, PARTLY):
        assert (
            read_report(lambda report=report: through_bytes(report_as_data_set(report))) == report
        )
    assert (REPORT.event_type, PARTLY.event_type) == (ALL_COMMITTED, FAILURES_EXIST)
    assert "FailedSOPSequence" not in report_as_data_set(REPORT)


def test_a_request_that_is_none_says_which_attribute_is_wrong() -> None:
    def refusal(change: Callable[[Dataset], None]) -> str:
        data_set = request_as_data_set(REQUEST)
        change(data_set)
        with pytest.raises(RejectedInput) as raised:
            read_request(lambda: data_set)
        return str(raised.value)

    def name_an_instance_wrongly(data_set: Dataset) -> None:
        data_set.ReferencedSOPSequence[1].ReferencedSOPInstanceUID = ""

    assert "Transaction UID" in refusal(lambda each: delattr(each, "TransactionUID"))
    assert "(0008,1199)" in refusal(lambda each: delattr(each, "ReferencedSOPSequence"))
    assert "not valid" in refusal(name_an_instance_wrongly)
    many = CommitmentRequest("1.2.3", REQUEST.references[:1] * (MOST_REFERENCES + 1))
    with pytest.raises(RejectedInput, match="ask in parts"):
        read_request(lambda: request_as_data_set(many))
    with pytest.raises(RejectedInput, match="decoded"):
        read_request(lambda: decode(BytesIO(b"\x08\x00\x99\x11SQ\xff\xff\xff\xff"), False, True))


def test_a_peer_that_keeps_its_association_open_gets_the_report_on_it(tmp_path: Path) -> None:
    book, told = Book(PARTLY), []

    def on_report(event: Any) -> tuple[int, None]:
        told.append((event.event_type, read_report(lambda: event.event_information)))
        return 0x0000, None

    with (
        listening(tmp_path, [storage_commitment(book)]) as node,
        associated(node.port, on_report) as association,
    ):
        assert n_action(association, request_as_data_set(REQUEST)).Status == 0x0000
        wait_until(lambda: book.told)
        assert association.is_established
    assert book.requests == [(REQUEST, "CAMERA")]
    assert told == [(FAILURES_EXIST, PARTLY)]
    assert book.told == ["here"]


def test_a_peer_that_releases_at_once_is_reported_to_elsewhere(tmp_path: Path) -> None:
    book = Book()
    with listening(tmp_path, [storage_commitment(book)]) as node:
        with associated(node.port) as association:
            n_action(association, request_as_data_set(REQUEST))
        wait_until(lambda: book.told)
        assert association.is_released
    assert book.told == ["elsewhere"]


def test_a_report_that_the_peer_refuses_on_its_association_is_sent_elsewhere(
    tmp_path: Path,
) -> None:
    book = Book()
    with (
        listening(tmp_path, [storage_commitment(book)]) as node,
        associated(node.port, lambda event: (0x0110, None)) as association,
    ):
        n_action(association, request_as_data_set(REQUEST))
        wait_until(lambda: book.told)
    assert book.told == ["elsewhere"]


def test_what_is_no_request_for_commitment_is_refused_with_its_status(tmp_path: Path) -> None:
    book = Book()
    good = request_as_data_set(REQUEST)
    empty = Dataset()
    empty.TransactionUID = "1.2.3"
    with (
        listening(tmp_path, [storage_commitment(book)]) as node,
        associated(node.port) as association,
    ):
        assert n_action(association, good, action=2).Status == 0x0123
        assert n_action(association, good, instance="1.2.3").Status == 0x0112
        refused = n_action(association, empty)
        assert refused.Status == 0x0115
        assert "(0008,1199)" in refused.ErrorComment
        for fault, status in (
            (PermanentFault("'CAMERA' is not in [[peers]]"), 0x0124),
            (TransientFault("the database is away"), 0x0213),
            (RejectedInput("in use"), 0x0115),
        ):
            book.fault = fault
            answer = n_action(association, good)
            assert (answer.Status, answer.ErrorComment) == (status, str(fault))
    assert book.requests == []


def test_an_archive_reports_on_an_association_of_its_own(tmp_path: Path) -> None:
    book = Book()
    with (
        listening(tmp_path, [storage_commitment(book)]) as node,
        associated(node.port, as_scp=True) as association,
    ):
        assert n_event_report(association, PARTLY) == 0x0000
        book.fault = RejectedInput("Transaction UID is of no request of this node")
        assert n_event_report(association, REPORT) == 0x0115
    assert book.taken == [(PARTLY, "CAMERA")]


def test_an_archive_is_asked_and_reports_on_the_same_association() -> None:
    book, archive = Book(), Archive(report_here=REPORT)
    began = time.monotonic()
    with archive.running() as peer:
        request_commitment(
            peer, REQUEST, book.take, is_reported=lambda: bool(book.taken), wait_seconds=10
        )
        wait_until(lambda: archive.answers)
    assert archive.asked == [REQUEST]
    assert archive.answers == [0x0000]
    assert book.taken == [(REPORT, "ARCHIVE")]
    assert time.monotonic() - began < 5, "it does not wait longer than for the report"


def test_the_report_that_comes_another_way_ends_the_waiting() -> None:
    archive = Archive()
    began = time.monotonic()
    with archive.running() as peer:
        request_commitment(
            peer,
            REQUEST,
            Book().take,
            is_reported=lambda: time.monotonic() - began > 0.5,
            wait_seconds=30,
        )
    assert time.monotonic() - began < 5


def test_refusing_being_busy_and_offering_nothing_are_told_apart() -> None:
    def ask(archive: Archive, sop_class: str = STORAGE_COMMITMENT_SOP_CLASS) -> None:
        with archive.running(sop_class) as peer:
            request_commitment(peer, REQUEST, Book().take, is_reported=lambda: True, wait_seconds=0)

    with pytest.raises(PermanentFault, match="0x0124"):
        ask(Archive(status=0x0124))
    with pytest.raises(TransientFault, match="0x0213"):
        ask(Archive(status=0x0213))
    with pytest.raises(ContextsRefused):
        ask(Archive(), "1.2.840.10008.1.1")


def test_a_report_is_sent_over_a_new_association() -> None:
    archive = Archive()
    with archive.running() as peer:
        send_report(peer, PARTLY)
        archive.status = 0x0110
        with pytest.raises(TransientFault, match="0x0110"):
            send_report(peer, PARTLY)
        archive.status = 0x0115
        with pytest.raises(PermanentFault, match="0x0115"):
            send_report(peer, PARTLY)
    assert archive.told == [PARTLY] * 3
    with pytest.raises(TransientFault, match="cannot be reached"):
        send_report(peer, PARTLY)
