"""The life of an accepted association: handshake, negotiation, serving, end."""

from __future__ import annotations

import logging
import struct
import time
from typing import TYPE_CHECKING, Any, Final

from pynetdicom.pdu_primitives import A_ASSOCIATE
from pynetdicom.transport import AddressInformation, AssociationSocket

from dicom_nodes.network.admission import Rejection
from dicom_nodes.network.pdu_reader import P_DATA_TF, ConnectionEnded, InvalidPDU, PeerSilent
from dicom_nodes.network.pynetdicom_cures.conversing_association import ConversingAssociation
from dicom_nodes.network.pynetdicom_cures.timed_connection import TimedConnection
from dicom_nodes.network.pynetdicom_cures.unheard_connections import Accepted

if TYPE_CHECKING:
    from dicom_nodes.network.pynetdicom_cures.receiving_server import ReceivingServer

_LOGGER = logging.getLogger(__name__)
_ABORTED_BY_PROVIDER: Final = 2
_NO_REASON: Final = 0
_INVALID_PDU_PARAMETER: Final = 6


class ReceivingAssociation(ConversingAssociation):
    """Cures 1, 2, 8 and 9: an acceptor with one thread that never waits without end.

    Negotiation, release and abort go through pynetdicom.
    """

    def __init__(self, server: ReceivingServer, accepted: Accepted) -> None:
        name = f"association {accepted.address}:{accepted.peer[1]}"
        connection = TimedConnection(
            accepted.connection,
            name,
            negotiation_seconds=server.acse_timeout_seconds - accepted.waited_seconds,
            timeout_seconds=server.network_timeout_seconds,
            slowest_bytes_per_second=server.slowest_bytes_per_second,
        )
        super().__init__(
            server.ae, connection, accepted.address, server.store, server.conversations
        )
        self.name = name
        self._receiving_server = server
        self._associated = False
        self._certificate: bytes | None = None
        self._busy = False
        self._idle_since = time.monotonic()
        self._stopping = False
        self._aborting = False
        self._prepare_negotiation(server, accepted.peer)

    @property
    def idle_seconds(self) -> float:
        """How long it has been waiting between two messages; 0 while it is busy."""
        if self._busy or self._stopping or not self._associated:
            return 0.0
        return time.monotonic() - self._idle_since

    def stop(self, *, at_once: bool) -> None:
        """End the association: between two messages, or `at_once`."""
        self._stopping = True
        if at_once or not self._busy:
            # Wakes the thread; it then sends an A-ABORT and closes.
            self._connection.stop_reading()

    def run_reactor(self) -> None:
        """Negotiate, serve, close. Replaces pynetdicom's two polling loops."""
        abort_reason = _NO_REASON
        try:
            self._open_transport()
            if self._negotiate():
                self._serve()
        except InvalidPDU as error:
            _LOGGER.warning("%s: %s; aborted", self.name, error)
            abort_reason = _INVALID_PDU_PARAMETER
            self._aborting = True
        except (PeerSilent, TimeoutError):
            _LOGGER.warning("%s: silent for too long, aborted", self.name)
            self._aborting = True
        except (ConnectionEnded, OSError) as error:
            if not self._stopping:
                # Who only knocks, as a port probe does, leaves no line in the ordinary log.
                level = logging.INFO if self._associated else logging.DEBUG
                _LOGGER.log(level, "%s: %s", self.name, error)
                self.is_established = False
        finally:
            # Still established here: stopped, or an exception that is a defect of ours.
            if self._aborting or self.is_established:
                self._send_abort(abort_reason)
            self.is_established = False
            self._receiving_server.forget(self, associated=self._associated)
            self._connection.close()

    def _prepare_negotiation(self, server: ReceivingServer, peer: tuple[Any, ...]) -> None:
        """What pynetdicom's `RequestHandler` does, without copying every context."""
        self._server = server
        self.acceptor.maximum_length = server.ae.maximum_pdu_size
        self.acceptor.ae_title = server.ae_title
        self.acceptor.address_info = AddressInformation.from_tuple(server.server_address)
        self.acceptor.implementation_class_uid = server.ae.implementation_class_uid
        self.acceptor.implementation_version_name = server.ae.implementation_version_name
        self.requestor.address_info = AddressInformation.from_tuple(peer)
        for event, handler in server.services.items():
            self.bind(event, handler)

    def _open_transport(self) -> None:
        """Shake hands if the listener is a TLS one, and give pynetdicom the socket."""
        tls = self._receiving_server.tls
        if tls is not None:
            self._certificate = self._connection.shake_hands(tls.context())
        self.set_socket(AssociationSocket(self, client_socket=self.connection))
        self._upper_layer.act()

    def _negotiate(self) -> bool:
        """Read the A-ASSOCIATE-RQ and answer it; True when the association is established."""
        if self._reader.next_pdu() == P_DATA_TF:
            raise InvalidPDU("a P-DATA-TF PDU before an association")
        self._upper_layer.take_pdu(self._reader.read_control_pdu())
        request = self.dul.receive_pdu(wait=False)
        if not isinstance(request, A_ASSOCIATE):
            return False
        self.requestor.primitive = request
        self._calling_ae_title = str(request.calling_ae_title).strip()
        self._called_ae_title = str(request.called_ae_title).strip()
        server = self._receiving_server
        refused = server.admit(self, self._certificate)
        if refused is not None:
            self._reject(refused)
            return False
        # Before the answer: who is answered first has been idle longest.
        self._idle_since = time.monotonic()
        self._associated = True
        self.acceptor.supported_contexts = server.contexts_for(
            request.presentation_context_definition_list, self.calling_ae_title
        )
        self.acse.negotiate_association()
        self._connection.end_negotiation()
        return bool(self.is_established)

    def _reject(self, refused: Rejection) -> None:
        _LOGGER.warning(
            "association from %s (%r to %r) rejected: %s",
            self.peer_address,
            self.calling_ae_title,
            self.called_ae_title,
            refused.text,
        )
        self._receiving_server.rejected(self, refused)
        self.acse.send_reject(refused.result, refused.source, refused.reason)

    def _serve(self) -> None:
        """Serve messages until the association is released or aborted."""
        while self.is_established and not self._stopping:
            self._busy = bool(self._kept)
            if self._kept or self._reader.next_pdu() == P_DATA_TF:
                self._busy = True
                self._serve_message()
                self._idle_since = time.monotonic()
                self._connection.begin_message()
                self._busy = False
            else:
                self._take_control_pdu()

    def _send_abort(self, reason: int) -> None:
        """A-ABORT PDU of the service provider (PS3.8, section 9.3.8)."""
        try:
            self.connection.sendall(struct.pack(">BxLxxBB", 7, 4, _ABORTED_BY_PROVIDER, reason))
        except OSError as error:
            _LOGGER.debug("%s: could not send A-ABORT: %s", self.name, error)
