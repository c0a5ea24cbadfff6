"""Cures 3, 5, 9 and 13 on the requesting side: associations that the node opens."""

from __future__ import annotations

import socket
import threading
from typing import Any, cast

from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import A_ASSOCIATE
from pynetdicom.transport import AddressInformation, AssociationSocket


class SafeCheckpoint(threading.Event):
    """Cure 3: closes the race between `Association.send_*` and the association's reactor.

    `Association._run_reactor` waits for this event with `_is_paused` set, and
    clears `_is_paused` after the wait. In between, `send_*` may clear the event,
    see `_is_paused` still set and send; the reactor then takes the response off
    the queue, and `send_*` waits for it until the DIMSE timeout. Here `wait`
    clears `_is_paused` itself and goes back to waiting if the event was cleared
    meanwhile.
    """

    def __init__(self, association: Association) -> None:
        super().__init__()
        self._association = association
        self.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the event is set and the reactor has said that it runs."""
        while True:
            was_set = super().wait(timeout)
            self._association._is_paused = False
            if self.is_set() or timeout is not None:
                return was_set
            self._association._is_paused = True


class RequestingSocket(AssociationSocket):
    """Cures 5 and 9: no Nagle, no read or write that waits without end, no leaked descriptor."""

    failure: OSError | None = None

    def connect(self, primitive: Any) -> None:
        """Connect, shake hands and keep the network timeout; remember why it failed.

        As pynetdicom's, but for `TCP_NODELAY`, the timeout that stays and `failure`.
        """
        connection = cast(socket.socket, self.socket)
        try:
            connection.settimeout(self.assoc.connection_timeout)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.connect(primitive.address_info.as_tuple)
            if self.tls_args:
                context, host = self.tls_args
                connection = context.wrap_socket(connection, server_hostname=host)
            connection.settimeout(self.assoc.network_timeout)
            self.assoc.requestor.address_info = AddressInformation.from_tuple(
                connection.getsockname()
            )
            self.socket = connection
            self._is_connected = True
            primitive.result = "Evt2"
        except OSError as error:
            self.failure = error
            connection.close()
            self.socket = None
            primitive.result = "Evt17"
        finally:
            self.provider_queue.put(primitive)
            self._ready.set()

    def _shutdown_socket(self) -> None:
        """Close also when there is nothing to shut down: pynetdicom leaks the descriptor then."""
        super()._shutdown_socket()
        if self.socket is not None:
            self.socket.close()


class RequestingEntity(AE):
    """An application entity whose `associate` gives cured associations (3, 5 and 9)."""

    def _create_socket(self, assoc: Association, address: Any, tls_args: Any) -> RequestingSocket:
        # The one place where `AE.associate` lets a subclass at the association
        # before its threads start.
        assoc._reactor_checkpoint = SafeCheckpoint(assoc)
        requesting = RequestingSocket(assoc, address=address)
        requesting.tls_args = tls_args
        return requesting


def answer_to_request(association: Association) -> A_ASSOCIATE | None:
    """Cure 13: what the peer answered to the association request, also when it was quick.

    pynetdicom wakes the requestor when TCP is connected, and the requestor then
    asks whether it still is. When it wakes so late that the rejection has come
    and closed the connection, it believes that there never was one, and leaves
    the rejection in the queue.

    Parameters
    ----------
    association : Association
        After `RequestingEntity.associate`.

    Returns
    -------
    A_ASSOCIATE or None
        None where the peer has not answered.
    """
    read = association.acceptor.primitive
    answer = association.dul.receive_pdu() if read is None else read
    return answer if isinstance(answer, A_ASSOCIATE) else None
