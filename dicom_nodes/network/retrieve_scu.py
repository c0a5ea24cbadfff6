"""Query/Retrieve Service Class as SCU (PS3.4, annex C): has a peer bring instances.

By C-GET they come over the node's own association, by C-MOVE over one that the peer
opens to the node's storage port. Either way they are taken as any other instance is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext, build_context

from dicom_nodes.network.instance_store import (
    Accept,
    Announced,
    InstanceStore,
    Refusal,
    Sender,
)
from dicom_nodes.network.peer import MOST_CONTEXTS, Peer, association_with
from dicom_nodes.network.query_scu import query_keys
from processing.measurement import PermanentFault, TransientFault

STUDY_ROOT_MOVE: Final = "1.2.840.10008.5.1.4.1.2.2.2"
STUDY_ROOT_GET: Final = "1.2.840.10008.5.1.4.1.2.2.3"
# Some archives fail when one list of UIDs grows past what they expect of a request.
MOST_INSTANCES_A_REQUEST: Final = 200
RETRIEVED_TRANSFER_SYNTAXES: Final = (
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.51",
    "1.2.840.10008.1.2.4.57",
    "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.4.80",
    "1.2.840.10008.1.2.4.81",
    "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.4.91",
    "1.2.840.10008.1.2.5",
)
_PENDING: Final = (0xFF00, 0xFF01)
_SUCCESS: Final = 0x0000
_SOME_FAILED: Final = 0xB000
_UNKNOWN_DESTINATION: Final = 0xA801
_TRANSIENT: Final = frozenset((0xA701, 0xA702))
_BLOCK_BYTES: Final = 1 << 20

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Instances of one series.

    Parameters
    ----------
    study_instance_uid, series_instance_uid : str
    sop_instance_uids : tuple of str
        At most `MOST_INSTANCES_A_REQUEST`.
    sop_class_uids : frozenset of str
        The SOP classes that they may be of.
    """

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uids: tuple[str, ...]
    sop_class_uids: frozenset[str]


def get_instances(
    peer: Peer,
    wanted: Wanted,
    accept: Accept,
    *,
    place: Callable[[], Path],
    room: Callable[[], bool],
    largest_instance_bytes: int,
) -> None:
    """Have a peer bring instances by C-GET (PS3.4, section C.4.3), over this association.

    Every SOP class that may come is proposed, with the node as its SCP: a peer such as
    Orthanc fails the whole request at the first instance whose class was not negotiated.

    Parameters
    ----------
    peer : Peer
    wanted : Wanted
    accept, place, room
        As for `dicom_nodes.network.storage_scp.start_listening`.
    largest_instance_bytes : int
        The connection is closed when a data set grows past this; pynetdicom holds
        it in memory.

    Raises
    ------
    TransientFault
        If the peer cannot be reached or does not answer. `SubOperationsFailed` if it
        brought none of them.
    PermanentFault
        If the peer refuses the request or an instance is too large.
    """
    bound = _Bound(largest_instance_bytes)
    store = InstanceStore(accept, place, room)

    def take(event: Any) -> Dataset:
        bound.begin_anew()
        return _taken(event, peer, store)

    handlers: dict[evt.EventType, Callable[[Any], Any]] = {
        evt.EVT_C_STORE: take,
        evt.EVT_DATA_RECV: bound.count,
    }
    contexts = [build_context(STUDY_ROOT_GET), *_storage_contexts(wanted.sop_class_uids)]
    try:
        with association_with(
            peer, contexts, roles=sorted(wanted.sop_class_uids), handlers=handlers
        ) as association:
            if not _is_accepted(association, STUDY_ROOT_GET):
                raise PermanentFault(f"{peer} offers no C-GET; retrieve from it by C-MOVE")
            answers = association.send_c_get(_identifier(wanted), STUDY_ROOT_GET)
            _follow(peer, "C-GET", answers)
    except TransientFault as fault:
        if bound.is_exceeded:
            raise PermanentFault(
                f"{peer} brought an instance of more than {largest_instance_bytes} bytes by "
                "C-GET; retrieve from it by C-MOVE"
            ) from fault
        raise


def move_instances(peer: Peer, wanted: Wanted, *, destination: str, message_id: int) -> None:
    """Have a peer send instances to an AE title by C-MOVE (PS3.4, section C.4.2).

    Parameters
    ----------
    peer : Peer
        Must know `destination` and its port.
    wanted : Wanted
    destination : str
        AE title, for the node its own.
    message_id : int
        Comes back as Move Originator Message ID with each instance.

    Raises
    ------
    TransientFault
        If the peer cannot be reached or does not answer. `SubOperationsFailed` if it
        sent none of them.
    PermanentFault
        If the peer refuses the request or does not know the destination.
    """
    with association_with(peer, [build_context(STUDY_ROOT_MOVE)]) as association:
        answers = association.send_c_move(
            _identifier(wanted), destination, STUDY_ROOT_MOVE, msg_id=message_id
        )
        _follow(peer, "C-MOVE", answers)


class SubOperationsFailed(TransientFault):
    """The peer answers, but brought none of the instances; others it may bring."""


class _Bound:
    """Ends an association over which a data set grows without end."""

    def __init__(self, largest_bytes: int) -> None:
        self.is_exceeded = False
        self._largest_bytes = largest_bytes
        self._bytes = 0

    def begin_anew(self) -> None:
        """A data set is complete."""
        self._bytes = 0

    def count(self, event: Any) -> None:
        """A PDU has come."""
        self._bytes += len(event.data)
        if self._bytes > self._largest_bytes and not self.is_exceeded:
            self.is_exceeded = True
            # This is the thread that an A-ABORT would wait for.
            event.assoc.dul.socket.close()


def _taken(event: Any, peer: Peer, store: InstanceStore) -> Dataset:
    """Take one instance of a C-GET; gives the status to answer."""
    request = event.request
    announced = Announced(
        str(request.AffectedSOPClassUID),
        str(request.AffectedSOPInstanceUID),
        str(event.context.transfer_syntax),
    )
    sender = Sender(peer.ae_title, peer.own_ae_title, peer.address)
    answer = Dataset()
    try:
        answer.Status = int(store.store(announced, sender, _blocks(request.DataSet)))
    except Refusal as refusal:
        _LOGGER.warning("refused an instance of a C-GET from %s: %s", peer.name, refusal)
        answer.Status = int(refusal.status)
        answer.ErrorComment = str(refusal)[:64]
    return answer


def _blocks(stream: Any) -> Iterator[list[memoryview]]:
    if stream is None:
        return
    stream.seek(0)
    while block := stream.read(_BLOCK_BYTES):
        yield [memoryview(block)]


def _storage_contexts(sop_classes: Collection[str]) -> list[PresentationContext]:
    """A context for each SOP class in each transfer syntax.

    A peer chooses one transfer syntax of a context: with one in each it never has to
    convert what it stores.
    """
    most = (MOST_CONTEXTS - 1) // len(RETRIEVED_TRANSFER_SYNTAXES)
    contexts = []
    for sop_class in sorted(sop_classes)[:most]:
        for syntax in RETRIEVED_TRANSFER_SYNTAXES:
            context = PresentationContext()
            context.abstract_syntax = UID(sop_class)
            context.transfer_syntax = [UID(syntax)]
            contexts.append(context)
    return contexts


def _is_accepted(association: Association, sop_class_uid: str) -> bool:
    return any(each.abstract_syntax == sop_class_uid for each in association.accepted_contexts)


def _identifier(wanted: Wanted) -> Dataset:
    keys = query_keys(
        "IMAGE",
        StudyInstanceUID=wanted.study_instance_uid,
        SeriesInstanceUID=wanted.series_instance_uid,
    )
    keys.SOPInstanceUID = list(wanted.sop_instance_uids)
    return keys


def _follow(peer: Peer, service: str, answers: Iterator[tuple[Dataset, Dataset | None]]) -> None:
    """Wait for the end of a retrieval, and tell a failure."""
    for status, _ in answers:
        if "Status" not in status:
            raise TransientFault(
                f"{peer} ended the association, or did not answer the {service}; "
                f"does it allow {peer.own_ae_title} to retrieve?"
            )
        if status.Status in _PENDING or status.Status == _SUCCESS:
            continue
        _tell(peer, service, status)


def _tell(peer: Peer, service: str, status: Dataset) -> None:
    code = int(status.Status)
    text = f"{peer} answered the {service} with 0x{code:04X}"
    if comment := status.get("ErrorComment"):
        text += f" ({comment})"
    if code == _UNKNOWN_DESTINATION:
        raise PermanentFault(f"{text}: make {peer.own_ae_title} and its port known to it")
    if code == _SOME_FAILED:
        # What was brought is kept; what is missing shows where the instances are counted.
        _LOGGER.warning("%s: some instances were not brought", text)
        return
    if code in _TRANSIENT:
        raise SubOperationsFailed(f"{text}, out of resources, or it could not send any of them")
    raise PermanentFault(text)
