"""Storage Commitment Push Model as SCU (PS3.4, annex J): asks an archive to commit itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final

from pydicom.dataset import Dataset
from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.presentation import build_context

from dicom_nodes.network.peer import Peer, association_with
from dicom_nodes.network.storage_commitment import (
    REQUEST_ACTION,
    STORAGE_COMMITMENT_SOP_CLASS,
    STORAGE_COMMITMENT_SOP_INSTANCE,
    CommitmentReport,
    CommitmentRequest,
    request_as_data_set,
)
from dicom_nodes.network.storage_commitment_scp import answer_report
from processing.measurement import PermanentFault, TransientFault

_POLLING_SECONDS: Final = 0.1
_TRANSIENT: Final = (0x0110, 0x0210, 0x0213)


def request_commitment(
    peer: Peer,
    request: CommitmentRequest,
    take: Callable[[CommitmentReport, str], None],
    *,
    is_reported: Callable[[], bool],
    wait_seconds: float,
) -> None:
    """Ask a peer for commitment, and keep the association open for its report for a while.

    The peer may report on this association, later on one that it opens itself, or
    on that one at once.

    Parameters
    ----------
    peer : Peer
    request : CommitmentRequest
    take : callable
        Takes a report that comes on this association, with the AE title of who
        sent it; as `CommitmentBook.take`.
    is_reported : callable
        Whether the report is there, however it came.
    wait_seconds : float

    Raises
    ------
    TransientFault
        If the peer cannot be asked now.
    PermanentFault
        If it refuses. `ContextsRefused` if it offers no storage commitment.
    """
    arrived, answered = threading.Event(), threading.Event()

    def answer(event: Any) -> tuple[Dataset, None]:
        arrived.set()
        return answer_report(take, event)

    def note_answer(event: Any) -> None:
        if arrived.is_set():
            answered.set()

    with association_with(
        peer,
        [build_context(STORAGE_COMMITMENT_SOP_CLASS)],
        handlers={evt.EVT_N_EVENT_REPORT: answer, evt.EVT_DIMSE_SENT: note_answer},
    ) as association:
        _ask(peer, association, request)
        until = time.monotonic() + wait_seconds
        while association.is_established and time.monotonic() < until:
            if answered.is_set() or (is_reported() and not arrived.is_set()):
                return
            time.sleep(_POLLING_SECONDS)


def _ask(peer: Peer, association: Association, request: CommitmentRequest) -> None:
    try:
        status, _ = association.send_n_action(
            request_as_data_set(request),
            REQUEST_ACTION,
            STORAGE_COMMITMENT_SOP_CLASS,
            STORAGE_COMMITMENT_SOP_INSTANCE,
        )
    except RuntimeError as error:  # pynetdicom: the association is established no more
        raise TransientFault(f"{peer} ended the association") from error
    if "Status" not in status:
        raise TransientFault(f"{peer} ended the association, or did not answer the N-ACTION")
    number = int(status.Status)
    if number == 0x0000:
        return
    text = f"{peer} answered the request for storage commitment with 0x{number:04X}"
    if number in _TRANSIENT:
        raise TransientFault(text)
    raise PermanentFault(text)
