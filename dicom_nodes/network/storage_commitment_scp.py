"""Storage Commitment Push Model (PS3.4, annex J): what the node answers, on the storage port.

A peer asks for commitment by N-ACTION (the node is SCP), or reports by N-EVENT-REPORT
on an association of its own what became of a request of the node (the node is SCU).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from io import BytesIO
from types import MappingProxyType
from typing import Any, Final, Protocol

from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import evt
from pynetdicom.dimse_primitives import N_EVENT_REPORT
from pynetdicom.dsutils import encode
from pynetdicom.presentation import build_context

from dicom_nodes.network.n_service_answers import (
    INVALID_ARGUMENT,
    NO_SUCH_ACTION,
    NO_SUCH_EVENT_TYPE,
    NO_SUCH_INSTANCE,
    NOT_AUTHORIZED,
    OUT_OF_RESOURCES,
    PROCESSING_FAILURE,
    SUCCESS,
    answered,
    calling_ae_title,
    refused,
)
from dicom_nodes.network.node_service import NodeService
from dicom_nodes.network.peer import Peer, association_with
from dicom_nodes.network.pynetdicom_cures.conversing_association import ConversingAssociation
from dicom_nodes.network.storage_commitment import (
    ALL_COMMITTED,
    FAILURES_EXIST,
    REQUEST_ACTION,
    STORAGE_COMMITMENT_SOP_CLASS,
    STORAGE_COMMITMENT_SOP_INSTANCE,
    CommitmentReport,
    CommitmentRequest,
    read_report,
    read_request,
    report_as_data_set,
)
from processing.measurement import PermanentFault, TransientFault

_SERVICE: Final = "storage commitment"
REQUEST_STATUSES: Final = MappingProxyType(
    {
        SUCCESS: "the request is kept, and will be reported on",
        NO_SUCH_INSTANCE: "not the well-known SOP instance",
        INVALID_ARGUMENT: "no request, or a Transaction UID in use for other instances",
        NO_SUCH_ACTION: "the action type is not 1",
        NOT_AUTHORIZED: "the calling AE title is no peer in the settings",
        OUT_OF_RESOURCES: "the request cannot be kept now",
    }
)
"""What the statuses of N-ACTION mean here (PS3.4, section J.3.2.2)."""
_GRACE_SECONDS: Final = 0.5

_LOGGER = logging.getLogger(__name__)


class CommitmentBook(Protocol):
    """Where requests and reports are kept.

    All may raise RejectedInput where the peer is wrong, PermanentFault where it
    may not do that, and TransientFault where it may try again.
    """

    def record(self, request: CommitmentRequest, calling_ae_title: str) -> int:
        """Make a request durable, so that it will be reported on; gives its number."""

    def report_on(self, number: int) -> CommitmentReport:
        """What is held of what a request asks for."""

    def reported(self, number: int) -> None:
        """The peer has got its report."""

    def report_elsewhere(self, number: int) -> None:
        """The peer did not get its report on its own association: open one to it."""

    def take(self, report: CommitmentReport, calling_ae_title: str) -> None:
        """Make durable what a peer reports on a request of the node."""


def storage_commitment(book: CommitmentBook) -> NodeService:
    """The service, as SCP and as SCU that is reported to.

    Parameters
    ----------
    book : CommitmentBook
        Its methods are called in the threads of associations.
    """
    return NodeService(
        "commitment",
        (STORAGE_COMMITMENT_SOP_CLASS,),
        {
            evt.EVT_N_ACTION: lambda event: _answer_action(book, event),
            evt.EVT_N_EVENT_REPORT: lambda event: answer_report(book.take, event),
        },
        peer_may_be_scp=True,
    )


def send_report(peer: Peer, report: CommitmentReport) -> None:
    """Report on a request over a new association (PS3.4, section J.3.3).

    The node proposes to be the SCP of the association that it opens.

    Raises
    ------
    TransientFault
        If the peer is away, or says that it may take the report later.
    PermanentFault
        If it does not take the report.
    """
    with association_with(
        peer,
        [build_context(STORAGE_COMMITMENT_SOP_CLASS)],
        roles=[STORAGE_COMMITMENT_SOP_CLASS],
    ) as association:
        status, _ = association.send_n_event_report(
            report_as_data_set(report),
            report.event_type,
            STORAGE_COMMITMENT_SOP_CLASS,
            STORAGE_COMMITMENT_SOP_INSTANCE,
        )
        if "Status" not in status:
            raise TransientFault(f"{peer} did not answer the N-EVENT-REPORT")
        check_answer(str(peer), int(status.Status))


def check_answer(peer: str, status: int) -> None:
    """Whether an N-EVENT-REPORT was taken.

    Raises
    ------
    TransientFault, PermanentFault
        If it was not.
    """
    if status == SUCCESS:
        return
    text = f"{peer} answered the N-EVENT-REPORT with 0x{status:04X}"
    if status in (PROCESSING_FAILURE, OUT_OF_RESOURCES):
        raise TransientFault(text)
    raise PermanentFault(text)


def answer_report(
    take: Callable[[CommitmentReport, str], None], event: Any
) -> tuple[Dataset, None]:
    """Answer an N-EVENT-REPORT; `event` is pynetdicom's ``EVT_N_EVENT_REPORT``."""
    calling = calling_ae_title(event)
    if event.event_type not in (ALL_COMMITTED, FAILURES_EXIST):
        return refused(_SERVICE, calling, NO_SUCH_EVENT_TYPE, "event type is neither 1 nor 2"), None
    status = answered(
        _SERVICE, calling, lambda: take(read_report(lambda: event.event_information), calling)
    )
    return status, None


def _answer_action(book: CommitmentBook, event: Any) -> tuple[Dataset, None]:
    """Answer an N-ACTION; `event` is pynetdicom's ``EVT_N_ACTION``."""
    calling = calling_ae_title(event)
    if event.action_type != REQUEST_ACTION:
        return refused(_SERVICE, calling, NO_SUCH_ACTION, "action type is not 1"), None
    if event.request.RequestedSOPInstanceUID != STORAGE_COMMITMENT_SOP_INSTANCE:
        return refused(_SERVICE, calling, NO_SUCH_INSTANCE, "not the well-known SOP instance"), None

    def record() -> None:
        number = book.record(read_request(lambda: event.action_information), calling)
        association, context_id = event.assoc, event.context.context_id
        association.follow_up(lambda: _report_here(book, association, context_id, number))

    return answered(_SERVICE, calling, record), None


def _report_here(
    book: CommitmentBook, association: ConversingAssociation, context_id: int, number: int
) -> None:
    """Report on the association that the request came on, if the peer keeps it open."""
    is_reported = False
    try:
        # Most peers release at once; a report would cross their release.
        if association.is_quiet_for(_GRACE_SECONDS):
            response = association.ask(
                _event_report(book.report_on(number), association, context_id), context_id
            )
            check_answer(association.calling_ae_title, int(response.Status))
            book.reported(number)
            is_reported = True
    except (TransientFault, PermanentFault) as fault:
        _LOGGER.warning("no report on the same association: %s", fault)
    finally:
        if not is_reported:
            _report_elsewhere(book, number)


def _report_elsewhere(book: CommitmentBook, number: int) -> None:
    try:
        book.report_elsewhere(number)
    except TransientFault as fault:
        _LOGGER.warning("a report is not hurried, but will be sent when it is due: %s", fault)


def _event_report(
    report: CommitmentReport, association: ConversingAssociation, context_id: int
) -> N_EVENT_REPORT:
    _, transfer_syntax = association.accepted_syntaxes(context_id)
    syntax = UID(transfer_syntax)
    encoded = encode(report_as_data_set(report), syntax.is_implicit_VR, syntax.is_little_endian)
    if encoded is None:
        raise PermanentFault("the report cannot be encoded")
    request = N_EVENT_REPORT()
    request.MessageID = association.new_message_id()
    request.AffectedSOPClassUID = STORAGE_COMMITMENT_SOP_CLASS
    request.AffectedSOPInstanceUID = STORAGE_COMMITMENT_SOP_INSTANCE
    request.EventTypeID = report.event_type
    request.EventInformation = BytesIO(encoded)
    return request
