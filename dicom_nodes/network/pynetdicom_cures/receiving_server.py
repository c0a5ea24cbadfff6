"""Cures 1, 2, 5, 7, 11 and 12: the accept loop, which only accepts, and who is let in."""

from __future__ import annotations

import gc
import logging
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from typing import Any, Final, cast

from pynetdicom import AE
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import AssociationServer

from dicom_nodes.network.admission import TOO_MANY_ASSOCIATIONS, Admission, Rejection
from dicom_nodes.network.pynetdicom_cures.conversing_association import Conversation, Store
from dicom_nodes.network.pynetdicom_cures.receiving_association import ReceivingAssociation
from dicom_nodes.network.pynetdicom_cures.unheard_connections import (
    Accepted,
    UnheardConnections,
    has_gone,
)
from dicom_nodes.network.reloaded_tls import ReloadedTLS
from dicom_nodes.network.repetition import Repetition

# When every place is taken, an association that was idle for so long gives way.
IDLE_SECONDS: Final = 0.5
_ROOM_SECONDS: Final = 0.8
_ROOM_LOOK_SECONDS: Final = 0.02
_COLLECT_SECONDS: Final = 30.0
_ACCEPTED_AT_ONCE: Final = 100
_NO_DESCRIPTOR_SECONDS: Final = 0.05
_TOLD_EVERY_SECONDS: Final = 60.0

_LOGGER = logging.getLogger(__name__)


class ReceivingServer(AssociationServer):
    """Cures 1, 2, 5, 7, 11 and 12: accepts connections, and starts a thread for who has spoken.

    Parameters
    ----------
    ae : AE
        Titles, timeouts and maximum PDU length.
    address : tuple
        Where to listen; port 0 lets the system choose.
    contexts_for : callable
        Gives the supported contexts for those that a peer proposes, and its AE title.
    store : callable
        Serves one C-STORE: association, presentation context ID, request and
        data set, returns status and Error Comment. It must use up the data set.
    admission : Admission
        Who is let in.
    services : mapping
        pynetdicom's intervention events and their handlers, for other messages.
    conversations : mapping
        What answers a request by itself, by abstract syntax and kind of primitive.
    tls : ReloadedTLS, optional
        For a TLS listener.
    share_port : bool
        Whether other processes listen on the same port.
    slowest_bytes_per_second : float
        A peer that sends less in the middle of a message is cut off; 0 for no limit.
    rejected, ended : callable
        Told of each association that is rejected, and of each other one at its end.
    """

    # A connection that finds the queue full is tried again by the peer a second later.
    request_queue_size = 1024

    def __init__(
        self,
        ae: AE,
        address: tuple[str, int],
        *,
        contexts_for: Callable[[Sequence[PresentationContext], str], list[PresentationContext]],
        store: Store,
        admission: Admission,
        services: dict[Any, Callable[..., Any]],
        conversations: Mapping[tuple[str, type], Conversation],
        tls: ReloadedTLS | None = None,
        share_port: bool = False,
        slowest_bytes_per_second: float = 0,
        rejected: Callable[[ReceivingAssociation, Rejection], None] = lambda *_: None,
        ended: Callable[[ReceivingAssociation], None] = lambda _: None,
    ) -> None:
        self.tls = tls
        self.slowest_bytes_per_second = slowest_bytes_per_second
        self.rejected = rejected
        self._ended = ended
        self.contexts_for = contexts_for
        self.store = store
        self.admission = admission
        self.services = services
        self.conversations = conversations
        self._share_port = share_port
        self._associations: set[ReceivingAssociation] = set()
        self._associations_lock = threading.Lock()
        self._collected_at = time.monotonic()
        self._closed = Repetition(_TOLD_EVERY_SECONDS)
        self._stopping = threading.Event()
        self._stopped = threading.Event()
        self.acse_timeout_seconds = ae.acse_timeout or 5.0
        self.network_timeout_seconds = ae.network_timeout or 60.0
        super().__init__(ae, address, ae.ae_title, [])

    @property
    def connections(self) -> list[ReceivingAssociation]:
        """Connections that are open now and have said something, negotiated or not."""
        with self._associations_lock:
            return list(self._associations)

    def admit(
        self, association: ReceivingAssociation, certificate: bytes | None
    ) -> Rejection | None:
        """Count an association, or say why it is refused.

        When every place is taken, an idle association of the address that has the
        most of them is ended for a peer that has none: silent peers keep nobody out.
        """
        asked = (
            association.peer_address,
            association.calling_ae_title,
            association.called_ae_title,
            certificate,
        )
        refused = self.admission.associate(*asked)
        until = time.monotonic() + _ROOM_SECONDS
        last_look = False
        while refused is TOO_MANY_ASSOCIATIONS and not last_look:
            # Told before the look: however long a busy machine paused, one comes after the wait.
            last_look = time.monotonic() >= until
            crowding = self._crowding(association.peer_address)
            if not crowding:
                break
            idle = [each for each in crowding if each.idle_seconds >= IDLE_SECONDS]
            if idle:
                chosen = max(idle, key=lambda each: each.idle_seconds)
                _LOGGER.warning("%s: idle, ended to make room for another peer", chosen.name)
                chosen.stop(at_once=False)
                return self.admission.associate(*asked, in_place_of_another=True)
            time.sleep(_ROOM_LOOK_SECONDS)
            refused = self.admission.associate(*asked)
        return refused

    def _crowding(self, newcomer: str) -> list[ReceivingAssociation]:
        """Associations of the address that has most of them, for a newcomer that has none."""
        established = [each for each in self.connections if each.is_established]
        held = Counter(each.peer_address for each in established)
        most = max(held.values(), default=0)
        if held[newcomer] or most < 2:
            return []
        return [each for each in established if held[each.peer_address] == most]

    def serve_forever(self, poll_interval: float = 0.5) -> None:
        """Cure 12: accept connections until `shutdown`; a thread is for who has spoken.

        Connections that are closed again at once, by the thousand, are closed here
        as fast as they come, and keep nobody waiting.
        """
        listening = cast(socket.socket, self.socket)
        try:
            with closing(UnheardConnections(listening, self.acse_timeout_seconds)) as unheard:
                while not self._stopping.is_set():
                    is_opened, heard = unheard.wait(poll_interval)
                    self._hear(heard)
                    if is_opened:
                        self._accept(unheard)
                    for each in unheard.given_up():
                        self._close(each)
                        self._tell_closed(each.address, "silent for too long")
                    self.service_actions()
        finally:
            self._stopped.set()

    def shutdown(self) -> None:
        """Stop accepting connections and close the listening socket."""
        self._stopping.set()
        self._stopped.wait()
        self.server_close()

    def service_actions(self) -> None:
        """Cure 11: collect garbage by time, not at every 59th connection."""
        now = time.monotonic()
        if now - self._collected_at > _COLLECT_SECONDS:
            gc.collect()
            self._collected_at = now

    def server_bind(self) -> None:
        """Bind, together with other processes if the port is shared."""
        listening = cast(socket.socket, self.socket)
        if self._share_port:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        super().server_bind()
        listening.setblocking(False)

    def _accept(self, unheard: UnheardConnections) -> None:
        """Accept what waits, and watch what is to be heard."""
        listening = cast(socket.socket, self.socket)
        for _ in range(_ACCEPTED_AT_ONCE):
            try:
                connection, peer = listening.accept()
            except BlockingIOError:
                return
            except ConnectionAbortedError:
                continue
            except OSError:
                # Out of file descriptors: the connection stays in the queue, so wait a little.
                time.sleep(_NO_DESCRIPTOR_SECONDS)
                return
            accepted = Accepted(connection, peer, time.monotonic())
            if has_gone(connection):
                connection.close()
            elif self._has_place(accepted.address, unheard):
                unheard.add(accepted)
            else:
                connection.close()
                self._tell_closed(accepted.address, "too many new or silent ones")

    def _has_place(self, address: str, unheard: UnheardConnections) -> bool:
        """Count one more connection of an address; who has gone meanwhile makes room."""
        if self.admission.connect(address):
            return True
        _, heard = unheard.wait(0)
        self._hear(heard)
        return bool(heard) and self.admission.connect(address)

    def _hear(self, heard: Sequence[Accepted]) -> None:
        """Start the thread of each association, unless what has come is the end."""
        for each in heard:
            if has_gone(each.connection):
                self._close(each)
                continue
            try:
                self._start(each)
            except (OSError, RuntimeError, ValueError):
                _LOGGER.exception("could not serve %s", each.address)
                self._close(each)

    def _start(self, accepted: Accepted) -> None:
        accepted.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        accepted.connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        association = ReceivingAssociation(self, accepted)
        with self._associations_lock:
            self._associations.add(association)
        try:
            association.start()
        except RuntimeError:  # the system has no more threads
            with self._associations_lock:
                self._associations.discard(association)
            raise

    def _close(self, accepted: Accepted) -> None:
        """Close a connection that was counted and has no thread."""
        accepted.connection.close()
        self.admission.leave(accepted.address, associated=False)

    def _tell_closed(self, address: str, why: str) -> None:
        """Log that a connection was closed; of one address for one reason once in a while."""
        before = self._closed.before((address, why))
        if before is not None:
            _LOGGER.info("closed a connection from %s: %s; %d more before it", address, why, before)

    def forget(self, association: ReceivingAssociation, *, associated: bool) -> None:
        """An association has ended."""
        with self._associations_lock:
            self._associations.discard(association)
        self.admission.leave(association.peer_address, associated=associated)
        if associated:
            self._ended(association)
