"""Storage Service Class as SCP (PS3.4, annex B): takes instances, byte for byte."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pynetdicom import AE
from pynetdicom.presentation import PresentationContext
from pynetdicom.service_class import ServiceClass, StorageServiceClass
from pynetdicom.sop_class import uid_to_service_class

from dicom_nodes.implementation import say_who_we_are
from dicom_nodes.network.admission import Admission, Rejection, networks
from dicom_nodes.network.instance_store import (
    Accept,
    Announced,
    InstanceStore,
    Refusal,
    Sender,
    StoreStatus,
)
from dicom_nodes.network.node_service import (
    NodeService,
    conversations_by_context,
    dispatched,
    service_contexts,
)
from dicom_nodes.network.permissions import STORE, PeerRule, is_service_allowed
from dicom_nodes.network.pynetdicom_cures.configuration import configure_pynetdicom
from dicom_nodes.network.pynetdicom_cures.contexts import storage_contexts
from dicom_nodes.network.pynetdicom_cures.conversing_association import ConversingAssociation
from dicom_nodes.network.pynetdicom_cures.receiving_server import ReceivingServer
from dicom_nodes.network.reloaded_tls import ReloadedTLS
from dicom_nodes.network.store_command import StoreRequest
from dicom_nodes.network.tls import ServerTLS
from dicom_nodes.network.verification_scp import VERIFICATION

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Rejected:
    """An association that was rejected, and why; the AE titles are what the peer said."""

    calling_ae_title: str
    called_ae_title: str
    peer_address: str
    why: Rejection


@dataclass(frozen=True, slots=True)
class Ended:
    """An association that was established and has ended; `association` as in `Arrival`."""

    association: str
    calling_ae_title: str
    peer_address: str


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
    maximum_connections_per_second : float
        New connections of one address in a second; 0 for no limit.
    slowest_bytes_per_second : float
        A peer that sends less in the middle of a message is cut off; 0 for no limit.
    maximum_pdu_bytes : int
        The longest PDU that a peer may send; 0 for no limit.
    acse_timeout_seconds : float
        For the TLS handshake and the A-ASSOCIATE-RQ together.
    network_timeout_seconds : float
        For a silent peer on an established association.
    tls : ServerTLS, optional
    peer_rules : tuple of PeerRule
        What single AE titles may do, and the certificates they are bound to.
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
    maximum_connections_per_second: float = 0
    slowest_bytes_per_second: float = 1000
    maximum_pdu_bytes: int = 131072
    acse_timeout_seconds: float = 5
    network_timeout_seconds: float = 60
    tls: ServerTLS | None = field(default=None)
    peer_rules: tuple[PeerRule, ...] = ()


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
    rejected: Callable[[Rejected], None] = lambda _: None,
    ended: Callable[[Ended], None] = lambda _: None,
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
    rejected : callable
        Told of each association that is rejected, in its thread.
    ended : callable
        Told of each association that has ended, in its thread.

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
    say_who_we_are(entity)
    entity.maximum_pdu_size = options.maximum_pdu_bytes
    entity.acse_timeout = options.acse_timeout_seconds
    entity.network_timeout = options.network_timeout_seconds
    entity.maximum_associations = 2**31  # `Admission` counts, pynetdicom shall not
    server = ReceivingServer(
        entity,
        (options.address, options.port),
        contexts_for=lambda proposed, calling: supported_contexts(
            options, offered, proposed, calling
        ),
        store=_StorageService(options, InstanceStore(accept, place, room)).store,
        admission=Admission(
            called_ae_title=options.ae_title if options.require_called_ae_title else None,
            calling_ae_titles=options.calling_ae_titles,
            allowed=networks(options.peer_addresses),
            maximum=options.maximum_associations,
            maximum_per_peer=options.maximum_associations_per_peer,
            per_second=options.maximum_connections_per_second,
            rules=options.peer_rules,
        ),
        services=dispatched(offered),
        conversations=conversations_by_context(offered),
        tls=ReloadedTLS(options.tls) if options.tls else None,
        share_port=share_port,
        slowest_bytes_per_second=options.slowest_bytes_per_second,
        rejected=lambda association, why: rejected(
            Rejected(
                association.calling_ae_title,
                association.called_ae_title,
                association.peer_address,
                why,
            )
        ),
        ended=lambda association: ended(
            Ended(association.key, association.calling_ae_title, association.peer_address)
        ),
    )
    return Listener(server)


def is_storage_sop_class(uid: str) -> bool:
    """Whether `uid` may be a storage SOP class: a known one, or one that is not known at all."""
    service = uid_to_service_class(uid)
    # pynetdicom gives the base class for a UID that it does not know.
    return issubclass(service, StorageServiceClass) or service is ServiceClass


def supported_contexts(
    options: ListenOptions,
    offered: Sequence[NodeService],
    proposed: Sequence[PresentationContext],
    calling_ae_title: str,
) -> list[PresentationContext]:
    """The contexts to support for one association, of those that a peer proposes.

    Parameters
    ----------
    options : ListenOptions
    offered : sequence of NodeService
        What is offered beside storage, verification included.
    proposed : sequence of PresentationContext
    calling_ae_title : str
    """

    def allowed(service: str) -> bool:
        return is_service_allowed(options.peer_rules, calling_ae_title, service)

    sop_classes = frozenset(options.sop_classes)
    services = [each for each in offered if allowed(each.name)]
    of_services = {uid for service in offered for uid in service.sop_classes}
    wanted = {str(each.abstract_syntax) for each in proposed}
    stores_back = any(wanted & each.stores_on_same_association for each in services)

    def accepted(uid: str) -> bool:
        if uid in of_services:
            return False
        if stores_back:
            return is_storage_sop_class(uid)
        if not allowed(STORE):
            return False
        return uid in sop_classes if sop_classes else is_storage_sop_class(uid)

    return [
        *storage_contexts(
            proposed,
            accepted,
            () if stores_back else options.transfer_syntaxes,
            peer_may_be_scp=stores_back,
        ),
        *service_contexts(services, proposed),
    ]


def _check_accepted(
    options: ListenOptions, sender: Sender, sop_class: str, transfer_syntax: str
) -> None:
    """Refuse what was negotiated only so that the node sends it, for C-GET."""
    if not is_service_allowed(options.peer_rules, sender.calling_ae_title, STORE):
        raise Refusal(StoreStatus.NOT_AUTHORIZED, "may not store here")
    if options.sop_classes and sop_class not in options.sop_classes:
        raise Refusal(StoreStatus.SOP_CLASS_NOT_SUPPORTED, "SOP class is not accepted")
    if options.transfer_syntaxes and transfer_syntax not in options.transfer_syntaxes:
        raise Refusal(StoreStatus.CANNOT_UNDERSTAND, "transfer syntax is not accepted")


@dataclass(frozen=True, slots=True)
class _StorageService:
    """Answers each C-STORE by what became of its instance."""

    options: ListenOptions
    instances: InstanceStore

    def store(
        self,
        association: ConversingAssociation,
        context_id: int,
        request: StoreRequest,
        data_set: Iterator[list[memoryview]],
    ) -> tuple[int, str]:
        """Serve one C-STORE; returns status and Error Comment."""
        sop_class, transfer_syntax = association.accepted_syntaxes(context_id)
        sender = Sender(
            association.calling_ae_title,
            association.called_ae_title,
            association.peer_address,
            association.key,
            request.move_originator_ae_title,
            request.move_originator_message_id,
        )
        try:
            if request.sop_class_uid != sop_class:
                raise Refusal(
                    StoreStatus.SOP_CLASS_NOT_SUPPORTED, "SOP class is not that of its context"
                )
            _check_accepted(self.options, sender, sop_class, transfer_syntax)
            announced = Announced(sop_class, request.sop_instance_uid, transfer_syntax)
            return int(self.instances.store(announced, sender, data_set)), ""
        except Refusal as refusal:
            _LOGGER.warning("%s: refused an instance: %s", association.name, refusal)
            # What the peer goes on sending has to be read before it reads the answer.
            for _ in data_set:
                pass
            return int(refusal.status), str(refusal)
