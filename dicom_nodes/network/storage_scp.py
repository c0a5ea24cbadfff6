"""Storage Service Class as SCP (PS3.4, annex B): takes instances, byte for byte.

An instance is written to its place while it arrives and is never decoded.
`Accept` makes it known; only then is it acknowledged.
"""

from __future__ import annotations

import errno
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Final

from pynetdicom import AE
from pynetdicom.presentation import PresentationContext
from pynetdicom.service_class import ServiceClass, StorageServiceClass
from pynetdicom.sop_class import uid_to_service_class

from dicom_nodes.network.admission import Admission, networks
from dicom_nodes.network.direct_file import AlignedBlock, DirectFile
from dicom_nodes.network.node_service import NodeService, dispatched, service_contexts
from dicom_nodes.network.part10_header import encode_header, is_valid_uid, sop_uids_of_data_set
from dicom_nodes.network.pynetdicom_cures import (
    ReceivingAssociation,
    ReceivingServer,
    configure_pynetdicom,
    storage_contexts,
)
from dicom_nodes.network.store_command import StoreRequest
from dicom_nodes.network.tls import ServerTLS, server_context
from dicom_nodes.network.verification_scp import VERIFICATION
from processing.measurement import PermanentFault, RejectedInput, TransientFault

_ROOM_CHECKED_EVERY_BYTES: Final = 64 * 1024 * 1024
_PEEKED_BYTES: Final = 4096
_LOGGER = logging.getLogger(__name__)
_DISK_FULL: Final = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))


class StoreStatus(IntEnum):
    """Status of a C-STORE response (PS3.4, table B.2-1; PS3.7, section 9.1.1.1.9)."""

    SUCCESS = 0x0000
    PROCESSING_FAILURE = 0x0110
    INVALID_INSTANCE_UID = 0x0117
    SOP_CLASS_NOT_SUPPORTED = 0x0122
    OUT_OF_RESOURCES = 0xA700
    DATA_SET_DOES_NOT_MATCH = 0xA900
    CANNOT_UNDERSTAND = 0xC000


@dataclass(frozen=True, slots=True)
class Arrival:
    """An instance that has arrived completely and is not acknowledged yet.

    Parameters
    ----------
    path : Path
        A complete DICOM file; not fsynced.
    sop_class_uid, sop_instance_uid : str
        As in the C-STORE request; valid, and the same as in the data set.
    transfer_syntax_uid : str
    calling_ae_title, called_ae_title : str
    peer_address : str
        IP address of the sender.
    dataset_offset : int
        Where in the file the data set starts, in bytes.
    size_bytes : int
        Of the whole file.
    """

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    calling_ae_title: str
    called_ae_title: str
    peer_address: str
    dataset_offset: int
    size_bytes: int


Accept = Callable[[Arrival], StoreStatus]


@dataclass(frozen=True, slots=True)
class ListenOptions:
    """How to listen, and whom to accept.

    Parameters
    ----------
    ae_title : str
        The node's own AE title.
    address, port : str, int
        Where to listen; port 0 lets the system choose.
    require_called_ae_title : bool
        Whether a peer must call the node by `ae_title`.
    calling_ae_titles, peer_addresses : tuple of str
        Accepted calling AE titles, and IP addresses or CIDR blocks; every one
        when empty.
    sop_classes, transfer_syntaxes : tuple of str
        Accepted UIDs; when empty all storage SOP classes, private and unknown
        ones included, and all transfer syntaxes.
    maximum_associations, maximum_associations_per_peer : int
    maximum_pdu_bytes : int
        The longest PDU that a peer may send; 0 for no limit.
    acse_timeout_seconds : float
        For the TLS handshake and the A-ASSOCIATE-RQ together.
    network_timeout_seconds : float
        For a silent peer on an established association.
    tls : ServerTLS, optional
    """

    ae_title: str
    address: str
    port: int
    require_called_ae_title: bool = False
    calling_ae_titles: tuple[str, ...] = ()
    peer_addresses: tuple[str, ...] = ()
    sop_classes: tuple[str, ...] = ()
    transfer_syntaxes: tuple[str, ...] = ()
    maximum_associations: int = 64
    maximum_associations_per_peer: int = 32
    maximum_pdu_bytes: int = 131072
    acse_timeout_seconds: float = 5
    network_timeout_seconds: float = 60
    tls: ServerTLS | None = field(default=None)


class Listener:
    """A listening node; `stop` ends it."""

    def __init__(self, server: ReceivingServer) -> None:
        self._server = server
        self._thread = threading.Thread(
            target=server.serve_forever, name="listener", daemon=True, kwargs={"poll_interval": 0.1}
        )
        self._thread.start()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_address[1])

    @property
    def associations(self) -> int:
        """Associations that are established now."""
        return self._server.admission.associations

    def stop(self, grace_seconds: float = 10) -> None:
        """Stop listening, and end the associations.

        An instance that is arriving is let finish within `grace_seconds`; after
        that its association is aborted, and the peer keeps the instance.
        """
        self._server.shutdown()
        self._thread.join()
        until = time.monotonic() + grace_seconds
        for association in self._server.connections:
            association.stop(at_once=False)
        for association in self._server.connections:
            association.join(max(until - time.monotonic(), 0))
        for association in self._server.connections:
            association.stop(at_once=True)
            association.join(2)


def start_listening(
    options: ListenOptions,
    accept: Accept,
    *,
    place: Callable[[], Path],
    room: Callable[[], bool],
    services: Sequence[NodeService] = (),
    share_port: bool = False,
) -> Listener:
    """Listen for C-STORE, C-ECHO and what other services take.

    Parameters
    ----------
    options : ListenOptions
    accept : callable
        Makes an `Arrival` durable, or removes it, and returns the status to
        answer. Called in the thread of the association,
        by many associations at once.
        TransientFault and OSError are answered as out of resources,
        RejectedInput as cannot understand, PermanentFault as processing failure.
    place : callable
        Gives the path of the next file to write: an empty one, or none yet in a
        folder that exists. A file that did not become an `Arrival` is removed.
    room : callable
        False when the disk is so full that instances must be refused.
    services : sequence of NodeService
        Other services that are offered on the same port.
    share_port : bool
        Whether several processes listen on the same port (SO_REUSEPORT).

    Raises
    ------
    OSError
        If the port cannot be listened on.
    ValueError
        If a peer address is none; the message names it.
    PermanentFault
        If a certificate or key is not usable; the message names the file.
    RuntimeError
        If the installed pynetdicom was not tried.
    """
    configure_pynetdicom()
    offered = (VERIFICATION, *services)
    entity = AE(options.ae_title)
    entity.maximum_pdu_size = options.maximum_pdu_bytes
    entity.acse_timeout = options.acse_timeout_seconds
    entity.network_timeout = options.network_timeout_seconds
    entity.maximum_associations = 2**31  # `Admission` counts, pynetdicom shall not
    server = ReceivingServer(
        entity,
        (options.address, options.port),
        contexts_for=lambda proposed: _supported_contexts(options, offered, proposed),
        store=_InstanceStore(accept, place, room).store,
        admission=Admission(
            called_ae_title=options.ae_title if options.require_called_ae_title else None,
            calling_ae_titles=options.calling_ae_titles,
            allowed=networks(options.peer_addresses),
            maximum=options.maximum_associations,
            maximum_per_peer=options.maximum_associations_per_peer,
        ),
        services=dispatched(offered),
        ssl_context=server_context(options.tls) if options.tls else None,
        share_port=share_port,
    )
    return Listener(server)


def is_storage_sop_class(uid: str) -> bool:
    """Whether `uid` may be a storage SOP class: a known one, or one that is not known at all."""
    service = uid_to_service_class(uid)
    # pynetdicom gives the base class for a UID that it does not know.
    return issubclass(service, StorageServiceClass) or service is ServiceClass


def _supported_contexts(
    options: ListenOptions,
    offered: Sequence[NodeService],
    proposed: Sequence[PresentationContext],
) -> list[PresentationContext]:
    sop_classes = frozenset(options.sop_classes)

    of_services = {uid for service in offered for uid in service.sop_classes}

    def accepted(uid: str) -> bool:
        if uid in of_services:
            return False
        return uid in sop_classes if sop_classes else is_storage_sop_class(uid)

    return [
        *storage_contexts(proposed, accepted, options.transfer_syntaxes),
        *service_contexts(offered, proposed),
    ]


class _Refusal(Exception):
    """The instance is answered with a failure."""

    def __init__(self, status: StoreStatus, comment: str) -> None:
        super().__init__(comment)
        self.status = status


@dataclass(frozen=True, slots=True)
class _InstanceStore:
    """Writes each instance to its place and hands it to `accept`."""

    accept: Accept
    place: Callable[[], Path]
    room: Callable[[], bool]
    # Each association has a thread of its own, and one block of memory for all it brings.
    blocks: threading.local = field(default_factory=threading.local)

    def store(
        self,
        association: ReceivingAssociation,
        context_id: int,
        request: StoreRequest,
        data_set: Iterator[list[memoryview]],
    ) -> tuple[int, str]:
        """Serve one C-STORE; returns status and Error Comment."""
        sop_class, transfer_syntax = association.accepted_syntaxes(context_id)
        try:
            _check_request(request, sop_class)
            if not self.room():
                raise _Refusal(StoreStatus.OUT_OF_RESOURCES, "no room on the disk")
            header = encode_header(
                sop_class, request.sop_instance_uid, transfer_syntax, association.calling_ae_title
            )
            path, size_bytes = self._write(header, data_set, request, transfer_syntax)
            return self._accepted(
                Arrival(
                    path=path,
                    sop_class_uid=sop_class,
                    sop_instance_uid=request.sop_instance_uid,
                    transfer_syntax_uid=transfer_syntax,
                    calling_ae_title=association.calling_ae_title,
                    called_ae_title=association.called_ae_title,
                    peer_address=association.peer_address,
                    dataset_offset=len(header),
                    size_bytes=size_bytes,
                )
            )
        except _Refusal as refusal:
            _LOGGER.warning("%s: refused an instance: %s", association.name, refusal)
            # What the peer goes on sending has to be read before it reads the answer.
            for _ in data_set:
                pass
            return int(refusal.status), str(refusal)

    def _write(
        self,
        header: bytes,
        data_set: Iterator[list[memoryview]],
        request: StoreRequest,
        transfer_syntax: str,
    ) -> tuple[Path, int]:
        """Write the file; returns its path and its size in bytes."""
        try:
            path = self.place()
            with DirectFile(path, self._block()) as file, _removed_on_failure(path):
                beginning = self._fill(file, header, data_set)
                _check_data_set(beginning, request, transfer_syntax)
                file.finish()
                return path, file.size_bytes
        except TransientFault as fault:
            _LOGGER.error("no place for an instance: %s", fault)
            raise _Refusal(StoreStatus.OUT_OF_RESOURCES, "cannot be written") from fault
        except OSError as error:
            reason = "the disk is full" if error.errno in _DISK_FULL else "cannot be written"
            _LOGGER.error("an instance could not be written: %s", error)
            raise _Refusal(StoreStatus.OUT_OF_RESOURCES, reason) from error

    def _fill(self, file: DirectFile, header: bytes, data_set: Iterator[list[memoryview]]) -> bytes:
        """Write header and data set; returns how the data set begins."""
        file.write([header])
        beginning = b""
        until_check = _ROOM_CHECKED_EVERY_BYTES
        for batch in data_set:
            if len(beginning) < _PEEKED_BYTES:
                beginning += b"".join(view[:_PEEKED_BYTES] for view in batch)
            file.write(batch)
            if file.size_bytes >= until_check:
                until_check += _ROOM_CHECKED_EVERY_BYTES
                if not self.room():
                    raise _Refusal(StoreStatus.OUT_OF_RESOURCES, "no room on the disk")
        if not beginning:
            raise _Refusal(StoreStatus.CANNOT_UNDERSTAND, "no data set")
        return beginning

    def _block(self) -> AlignedBlock:
        block: AlignedBlock | None = getattr(self.blocks, "block", None)
        if block is None:
            block = self.blocks.block = AlignedBlock()
        return block

    def _accepted(self, arrival: Arrival) -> tuple[int, str]:
        try:
            return int(StoreStatus(self.accept(arrival))), ""
        except (TransientFault, OSError) as error:
            _LOGGER.warning("an instance could not be kept: %s", error)
            raise _Refusal(StoreStatus.OUT_OF_RESOURCES, "could not be kept, try again") from error
        except RejectedInput as error:
            raise _Refusal(StoreStatus.CANNOT_UNDERSTAND, str(error)) from error
        except PermanentFault as error:
            raise _Refusal(StoreStatus.PROCESSING_FAILURE, "could not be kept") from error


def _check_request(request: StoreRequest, sop_class: str) -> None:
    if request.sop_class_uid != sop_class:
        raise _Refusal(StoreStatus.SOP_CLASS_NOT_SUPPORTED, "SOP class is not that of its context")
    if not is_valid_uid(request.sop_instance_uid):
        raise _Refusal(StoreStatus.INVALID_INSTANCE_UID, "SOP Instance UID is not valid")


def _check_data_set(beginning: bytes, request: StoreRequest, transfer_syntax: str) -> None:
    sop_class, sop_instance = sop_uids_of_data_set(beginning, transfer_syntax)
    if sop_class not in (None, request.sop_class_uid):
        raise _Refusal(StoreStatus.DATA_SET_DOES_NOT_MATCH, "SOP class differs in the data set")
    if sop_instance not in (None, request.sop_instance_uid):
        raise _Refusal(
            StoreStatus.DATA_SET_DOES_NOT_MATCH, "SOP Instance UID differs in the data set"
        )


@contextmanager
def _removed_on_failure(path: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise
