"""What pynetdicom 3.0.4 needs around it, and nothing else.

Every cure is a subclass that pynetdicom is given; nothing of pynetdicom is
patched, and a version that was not tried is refused. When a newer pynetdicom
brings a cure of its own, the class here goes.

=====================  =========================================================
What is wrong          What is done, and where
=====================  =========================================================
1 TLS handshake        `AssociationServer.get_request` shakes hands in the accept
                       loop: one silent peer stops all others. Here the handshake
                       runs in the association's thread, with a deadline
                       (`ReceivingServer`, `ReceivingAssociation`).
2 silent connections   A connection counts against `maximum_associations` before
                       it has negotiated: a dozen silent ones close the node for
                       30 s. Here only negotiated associations count, up to a
                       number for each peer, and the A-ASSOCIATE-RQ must be there
                       entirely within the ACSE timeout (`ReceivingServer`,
                       `admission.Admission`).
3 lost responses       `Association.send_*` and the reactor race for the answer:
                       12 of 42,519 C-STORE were lost, none of 50,000 with
                       `SafeCheckpoint`.
4 refused JPEG         `AllStoragePresentationContexts` has uncompressed transfer
                       syntaxes only, and a server copies all its contexts for
                       every association (39 ms for 170 SOP classes).
                       Here the contexts are chosen from what is proposed
                       (`storage_contexts`).
5 Nagle                `TCP_NODELAY` is never set: 40 ms for each small message.
                       Set on both ends.
6 data sets in memory  A data set is collected in memory, or with
                       `STORE_RECV_CHUNKED_DATASET` written PDU by PDU to the
                       system's temporary folder. Here C-STORE is taken out of
                       the way of pynetdicom's PDU and message objects and its
                       data set goes from one buffer to the file
                       (`ReceivingAssociation`, `pdu_reader.PDUReader`).
7 one process          Threads share one interpreter lock: `SO_REUSEPORT` lets
                       several processes listen on one port (`ReceivingServer`).
8 two polling threads  Each association has two threads that look for work every
                       millisecond: a C-ECHO takes 2.7 ms, here 1.3 ms (median,
                       busy 2-core machine). Here an acceptor has one thread
                       that waits in the kernel
                       (`SteppedUpperLayer`).
9 endless waiting      Reads have no timeout: half a PDU blocks a thread for
                       good, on both sides, and a claimed length is believed up
                       to 4 GB. Here reads have a timeout, lengths a bound, and
                       a peer that sends a byte a second is cut off
                       (`RequestingSocket`, `ReceivingAssociation`, `pace.Pace`).
10 asking in between   An acceptor that sends a request from a handler waits for
                       a second thread to read the response. Here the one thread
                       reads it (`ReceivingAssociation.ask`).
11 garbage collection  The accept loop collects all garbage at every 59th turn, a
                       tenth of a second each time: a thousand connections a
                       second stop the node. Here twice a minute
                       (`ReceivingServer.service_actions`).
=====================  =========================================================
"""

from __future__ import annotations

import gc
import logging
import select
import socket
import ssl
import struct
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from socketserver import TCPServer
from typing import Any, Final, cast
from uuid import uuid4

import pynetdicom
from pydicom.uid import UID
from pynetdicom import AE, _config
from pynetdicom._globals import ALL_TRANSFER_SYNTAXES, MODE_ACCEPTOR
from pynetdicom.association import Association
from pynetdicom.dimse_messages import DIMSEMessage
from pynetdicom.dimse_primitives import C_CANCEL
from pynetdicom.dul import DULServiceProvider
from pynetdicom.fsm import InvalidEventError
from pynetdicom.pdu_primitives import A_ASSOCIATE, P_DATA
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import AddressInformation, AssociationServer, AssociationSocket

from dicom_nodes.network.admission import TOO_MANY_ASSOCIATIONS, Admission, Rejection
from dicom_nodes.network.pace import Pace
from dicom_nodes.network.pdu_reader import (
    P_DATA_TF,
    ConnectionEnded,
    InvalidPDU,
    PDUReader,
    PeerSilent,
)
from dicom_nodes.network.reloaded_tls import ReloadedTLS
from dicom_nodes.network.store_command import (
    C_STORE_RQ,
    StoreRequest,
    command_field,
    decode_command,
    encode_store_response,
    has_data_set,
    store_request,
)

TRIED_VERSIONS: Final = ("3.0.4",)
LARGEST_IDENTIFIER: Final = 1024 * 1024
CLOSING_SECONDS: Final = 1.0
MOST_KEPT_REQUESTS: Final = 8
# When every place is taken, an association that was idle for so long gives way.
IDLE_SECONDS: Final = 0.5
_ROOM_SECONDS: Final = 0.8
_ROOM_LOOK_SECONDS: Final = 0.02
_COLLECT_SECONDS: Final = 30.0

_LOGGER = logging.getLogger(__name__)
_UNCOMPRESSED: Final = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2")
_ABORTED_BY_PROVIDER: Final = 2
_NO_REASON: Final = 0
_INVALID_PDU_PARAMETER: Final = 6

# What pynetdicom's decoders raise on bytes that are no valid PDU or message.
_DECODING_ERRORS: Final = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    InvalidEventError,
    LookupError,
    NotImplementedError,
    TypeError,
    ValueError,
    struct.error,
)

Store = Callable[
    ["ReceivingAssociation", int, StoreRequest, Iterator[list[memoryview]]], tuple[int, str]
]
# Association, presentation context ID and request; sends its responses itself.
Conversation = Callable[["ReceivingAssociation", int, Any], None]


def configure_pynetdicom() -> None:
    """Refuse a pynetdicom that was not tried, and stop it from formatting every message.

    Its default handlers build a text of each message, identifiers of patients
    included, whether or not somebody logs it. To do so it decodes each identifier,
    which for ISO 2022 IR 58 pydicom 3.0.2 does wrongly, once and for all.

    Raises
    ------
    RuntimeError
        If the installed version is none of `TRIED_VERSIONS`.
    """
    if pynetdicom.__version__ not in TRIED_VERSIONS:
        raise RuntimeError(
            f"pynetdicom {pynetdicom.__version__} is installed; the cures in {__name__} "
            f"were tried with {', '.join(TRIED_VERSIONS)} only. Install that version, or "
            "run the tests of this module with the new one and add it to TRIED_VERSIONS"
        )
    _config.LOG_HANDLER_LEVEL = "none"
    _config.LOG_REQUEST_IDENTIFIERS = False
    _config.LOG_RESPONSE_IDENTIFIERS = False
    _config.STORE_SEND_CHUNKED_DATASET = True


def storage_contexts(
    proposed: Sequence[PresentationContext],
    is_accepted_sop_class: Callable[[str], bool],
    transfer_syntaxes: Collection[str],
    *,
    peer_may_be_scp: bool = False,
) -> list[PresentationContext]:
    """The contexts to support for one association: what is proposed and may be accepted.

    Parameters
    ----------
    proposed : sequence of PresentationContext
        What the peer proposes.
    is_accepted_sop_class : callable
        Whether an abstract syntax is accepted for storage.
    transfer_syntaxes : collection of str
        Accepted transfer syntaxes; when empty every known one is, and an
        unknown one where nothing else is proposed.
    peer_may_be_scp : bool
        Whether a peer may propose to take instances, as it does for C-GET
        (PS3.7, annex D.3.3.4). Of several transfer syntaxes in one context an
        uncompressed one is then chosen, in which every instance can be given.
    """
    accepted: dict[str, list[str]] = {}
    for context in proposed:
        if context.abstract_syntax is None or not is_accepted_sop_class(context.abstract_syntax):
            continue
        offered = [str(each) for each in context.transfer_syntax]
        wanted = transfer_syntaxes or ALL_TRANSFER_SYNTAXES
        chosen = [each for each in offered if each in wanted]
        if not chosen and not transfer_syntaxes:
            chosen = offered
        syntaxes = accepted.setdefault(str(context.abstract_syntax), [])
        syntaxes.extend(each for each in chosen if each not in syntaxes)
    supported = []
    for abstract_syntax, syntaxes in accepted.items():
        context = PresentationContext()
        context.abstract_syntax = UID(abstract_syntax)
        if peer_may_be_scp:
            syntaxes.sort(key=lambda each: each not in _UNCOMPRESSED)
        context.transfer_syntax = [UID(each) for each in syntaxes]
        if peer_may_be_scp:
            context.scu_role = context.scp_role = True
        supported.append(context)
    return supported


class SteppedUpperLayer(DULServiceProvider):
    """Cure 8: pynetdicom's upper layer without its thread.

    The state machine and its actions are pynetdicom's. They run in the thread
    that gives a primitive to send or a PDU that was received.
    """

    def __init__(self, association: Association) -> None:
        super().__init__(association)
        self._acting = threading.RLock()

    def send_pdu(self, primitive: Any) -> None:
        """Send a primitive now, instead of leaving it to the thread."""
        with self._acting:
            super().send_pdu(primitive)
            self._process_recv_primitive()
            self.act()

    def take_pdu(self, encoded: bytes) -> None:
        """Act on a PDU that was received, other than P-DATA-TF.

        Raises
        ------
        InvalidPDU
            If it cannot be decoded or has no place in the present state.
        """
        with self._acting:
            try:
                pdu, event = self._decode_pdu(bytearray(encoded))
                self._recv_pdu.put(pdu)
                self.event_queue.put(event)
                self.act()
            except _DECODING_ERRORS as error:
                # Not what the error says: it quotes the PDU, and this goes into the log.
                kind = type(error).__name__
                raise InvalidPDU(f"PDU of type 0x{encoded[0]:02X} is invalid ({kind})") from error

    def act(self) -> None:
        """Run the state machine on the events that are waiting."""
        while not self._kill_thread and not self.event_queue.empty():
            self.state_machine.do_action(self.event_queue.get())


class ReceivingAssociation(Association):
    """Cures 1, 2, 6, 8 and 9: an acceptor with one thread that never waits without end.

    Negotiation, release, abort and every message but C-STORE go through
    pynetdicom. C-STORE goes to `ReceivingServer.store`.
    """

    def __init__(
        self, server: ReceivingServer, connection: socket.socket, peer: tuple[Any, ...]
    ) -> None:
        super().__init__(server.ae, MODE_ACCEPTOR)
        self.name = f"association {peer[0]}:{peer[1]}"
        self.key = uuid4().hex
        self.peer_address = str(peer[0])
        self._receiving_server = server
        self._connection = connection
        self._deadline: float | None = time.monotonic() + server.acse_timeout_seconds
        self._reader = PDUReader(self._receive_into, server.ae.maximum_pdu_size)
        self._calling_ae_title = self._called_ae_title = ""
        self._associated = False
        self._certificate: bytes | None = None
        self._pace = Pace(server.slowest_bytes_per_second, server.network_timeout_seconds)
        self._busy = False
        self._idle_since = time.monotonic()
        self._stopping = False
        self._aborting = False
        self._kept: deque[tuple[int, Any]] = deque()
        self._follow_ups: deque[Callable[[], None]] = deque()
        self._last_message_id = 0
        self._prepare_negotiation(server, peer)

    @property
    def calling_ae_title(self) -> str:
        """Calling AE title, without padding."""
        return self._calling_ae_title

    @property
    def called_ae_title(self) -> str:
        """Called AE title, without padding."""
        return self._called_ae_title

    @property
    def idle_seconds(self) -> float:
        """How long it has been waiting between two messages; 0 while it is busy."""
        if self._busy or self._stopping or not self._associated:
            return 0.0
        return time.monotonic() - self._idle_since

    def accepted_syntaxes(self, context_id: int) -> tuple[str, str]:
        """Abstract and transfer syntax of an accepted presentation context."""
        context = self._accepted_cx[context_id]
        return str(context.abstract_syntax), str(context.transfer_syntax[0])

    @property
    def connection(self) -> socket.socket:
        """Where an encoded message can be sent, between two others."""
        return self._connection

    def context_for(self, sop_class_uid: str, transfer_syntax_uid: str) -> int | None:
        """ID of a context in which the peer, as SCP, takes these; None where there is none."""
        for context_id, context in self._accepted_cx.items():
            if context.as_scu and self.accepted_syntaxes(context_id) == (
                sop_class_uid,
                transfer_syntax_uid,
            ):
                return context_id
        return None

    def new_message_id(self) -> int:
        """A Message ID for a request of the node."""
        self._last_message_id = self._last_message_id % 65535 + 1
        return self._last_message_id

    def send(self, message: Any, context_id: int) -> None:
        """Send a DIMSE primitive, in the association's thread.

        Raises
        ------
        ConnectionEnded
            If the connection broke meanwhile; see `ask`.
        """
        try:
            self.dimse.send_msg(message, context_id)
        except InvalidEventError as error:  # the state machine closed it in between
            raise ConnectionEnded("the connection broke while sending") from error
        if self.acse.is_aborted():
            raise ConnectionEnded("the connection broke while sending")

    def ask(self, request: Any, context_id: int) -> Any:
        """Cure 10: send a request to the peer and wait for its response.

        To be called in the association's thread: by what answers a message, or
        by a follow-up. What the peer sends meanwhile is not lost: a C-STORE is
        served at once, a C-CANCEL is noted (`is_cancelled`), another request is
        served after the message in hand.

        Parameters
        ----------
        request : DIMSE primitive
            Of `pynetdicom.dimse_primitives`, with a `new_message_id`.
        context_id : int
            An accepted presentation context in which the node is the SCU, or the
            SCP for N-EVENT-REPORT.

        Returns
        -------
        DIMSE primitive
            The response.

        Raises
        ------
        ConnectionEnded, PeerSilent, InvalidPDU, OSError
            If there is no response; the association is over then. To be caught
            by nobody but the association.
        """
        self.send(request, context_id)
        return self.response_to(int(request.MessageID))

    def response_to(self, message_id: int) -> Any:
        """Wait for the response to a request that was sent; see `ask`."""
        while True:
            response = self._read_meanwhile()
            if response is not None and response.MessageIDBeingRespondedTo == message_id:
                return response

    def is_cancelled(self, message_id: int) -> bool:
        """Whether a C-CANCEL for the request with this Message ID is there (PS3.7, 9.3.2.3).

        Reads what the peer has sent, and does not wait for more; see `ask` for
        where and what is raised.
        """
        while self._reader.has_more or self._has_input():
            self._read_meanwhile()
        return message_id in self.dimse.cancel_req

    def is_quiet_for(self, seconds: float) -> bool:
        """Wait, and say whether the peer has sent nothing; see `ask` for where."""
        return not (self._reader.has_more or self._has_input(seconds))

    def follow_up(self, action: Callable[[], None]) -> None:
        """Do something in the association's thread, once the message in hand is answered.

        It is not done where the association ends before.
        """
        self._follow_ups.append(action)

    def stop(self, *, at_once: bool) -> None:
        """End the association: between two messages, or `at_once`."""
        self._stopping = True
        if at_once or not self._busy:
            # Wakes the thread; it then sends an A-ABORT and closes.
            try:
                self._connection.shutdown(socket.SHUT_RD)
            except OSError:
                _LOGGER.debug("%s has closed already", self.name)

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
            self._close()

    def _prepare_negotiation(self, server: ReceivingServer, peer: tuple[Any, ...]) -> None:
        """What pynetdicom's `RequestHandler` does, without copying every context."""
        self._server = server
        self._upper_layer = SteppedUpperLayer(self)
        self.dul = self._upper_layer
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
            self._connection.settimeout(self._remaining())
            encrypted = tls.context().wrap_socket(
                self._connection, server_side=True, do_handshake_on_connect=False
            )
            self._connection = encrypted
            encrypted.do_handshake()
            self._certificate = encrypted.getpeercert(binary_form=True)
        self.set_socket(AssociationSocket(self, client_socket=self._connection))
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
        self._associated = True
        self.acceptor.supported_contexts = server.contexts_for(
            request.presentation_context_definition_list, self.calling_ae_title
        )
        self.acse.negotiate_association()
        self._deadline = None
        self._idle_since = time.monotonic()
        self._pace.restart()
        self._set_timeout(server.network_timeout_seconds)
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
                message = self._kept.popleft() if self._kept else self._read_message()
                if message is not None:
                    context_id, primitive = message
                    self._serve_request(primitive, context_id)
                while self._follow_ups and self.is_established:
                    self._follow_ups.popleft()()
                self._idle_since = time.monotonic()
                self._pace.restart()
                self._busy = False
            else:
                self._take_control_pdu()

    def _take_control_pdu(self) -> None:
        """Answer a release, or note an abort."""
        self._upper_layer.take_pdu(self._reader.read_control_pdu())
        if self.acse.is_release_requested():
            self.acse.send_release(is_response=True)
            self.is_released = True
            self.is_established = False
        elif self.acse.is_aborted():
            self.is_aborted = True
            self.is_established = False

    def _read_meanwhile(self) -> Any | None:
        """Read a message while another is in hand; gives it if it is a response."""
        if self._reader.next_pdu() != P_DATA_TF:
            self._take_control_pdu()
            raise ConnectionEnded("the peer ended the association before a message was answered")
        message = self._read_message()
        if message is None:
            return None
        context_id, primitive = message
        if isinstance(primitive, C_CANCEL):
            self.dimse.cancel_req[int(primitive.MessageIDBeingRespondedTo or 0)] = primitive
        elif primitive.MessageIDBeingRespondedTo is not None:
            return primitive
        elif len(self._kept) >= MOST_KEPT_REQUESTS:
            raise InvalidPDU(f"more than {MOST_KEPT_REQUESTS} requests before a response")
        else:
            self._kept.append((context_id, primitive))
        return None

    def _read_message(self) -> tuple[int, Any] | None:
        """Read a message; a C-STORE request is served at once, any other is given."""
        context_id, encoded = self._reader.read_command()
        elements = decode_command(encoded)
        if context_id not in self._accepted_cx:
            raise InvalidPDU(f"presentation context {context_id} was not accepted")
        if command_field(elements) == C_STORE_RQ:
            self._serve_store(context_id, store_request(elements))
            return None
        fragments = [[context_id, b"\x03" + encoded]]
        if has_data_set(elements):
            fragments.append([context_id, b"\x02" + self._read_identifier(context_id)])
        return context_id, self._decoded(fragments)

    def _serve_request(self, msg: Any, context_id: int) -> None:
        """Serve by a conversation where a service has one, otherwise by pynetdicom."""
        if isinstance(msg, C_CANCEL):
            return  # what it cancels has been answered already
        sop_class, _ = self.accepted_syntaxes(context_id)
        conversation = self._receiving_server.conversations.get((sop_class, type(msg)))
        if conversation is None or not msg.is_valid_request:
            super()._serve_request(msg, context_id)
            return
        self.dimse.cancel_req = {}
        conversation(self, context_id, msg)

    def _serve_store(self, context_id: int, request: StoreRequest) -> None:
        """Cure 6: one C-STORE, from the socket to `ReceivingServer.store` and back."""
        fragments = self._reader.data_set(context_id) if request.has_data_set else iter(())
        status, comment = self._receiving_server.store(self, context_id, request, fragments)
        response = encode_store_response(
            request, context_id, status, comment, self.dimse.maximum_pdu_size
        )
        self._connection.sendall(response)

    def _decoded(self, fragments: list[list[Any]]) -> Any:
        """The primitive of a message, by pynetdicom."""
        received = P_DATA()
        received.presentation_data_value_list = cast(list[tuple[int, bytes]], fragments)
        message = DIMSEMessage()
        try:
            message.decode_msg(received, self)
            return message.message_to_primitive()
        except _DECODING_ERRORS as error:
            kind = type(error).__name__
            raise InvalidPDU(f"a message that cannot be decoded ({kind})") from error

    def _has_input(self, wait_seconds: float = 0) -> bool:
        """Whether something can be read, now or within a while."""
        if isinstance(self._connection, ssl.SSLSocket) and self._connection.pending():
            return True
        watched = select.poll()  # unlike select.select, for any file descriptor
        watched.register(self._connection, select.POLLIN)
        return bool(watched.poll(wait_seconds * 1000))

    def _read_identifier(self, context_id: int) -> bytes:
        identifier = bytearray()
        for batch in self._reader.data_set(context_id):
            for view in batch:
                identifier += view
            if len(identifier) > LARGEST_IDENTIFIER:
                raise InvalidPDU(f"an identifier of more than {LARGEST_IDENTIFIER} bytes")
        return bytes(identifier)

    def _receive_into(self, view: memoryview) -> int:
        """Cure 9: read with the deadline of negotiation, or else the network timeout."""
        if self._deadline is not None:
            self._set_timeout(self._remaining())
        began = time.monotonic()
        try:
            received = self._connection.recv_into(view)
        except (BlockingIOError, TimeoutError) as error:  # SO_RCVTIMEO says EAGAIN
            raise PeerSilent from error
        except OSError as error:
            raise ConnectionEnded(f"the connection broke: {error}") from error
        if received and self._pace.is_too_slow(received, time.monotonic() - began):
            raise PeerSilent
        return received

    def _remaining(self) -> float:
        remaining = (self._deadline or 0.0) - time.monotonic()
        if remaining <= 0:
            raise PeerSilent
        return remaining

    def _set_timeout(self, seconds: float) -> None:
        """Let the kernel watch the time; Python's own timeout adds a poll to each read."""
        if isinstance(self._connection, ssl.SSLSocket):
            self._connection.settimeout(seconds)
            return
        # A timeval of zero would mean no timeout at all.
        whole, microseconds = divmod(max(int(seconds * 1e6), 1), 1_000_000)
        interval = struct.pack("ll", whole, microseconds)
        self._connection.settimeout(None)
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, interval)
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, interval)

    def _send_abort(self, reason: int) -> None:
        """A-ABORT PDU of the service provider (PS3.8, section 9.3.8)."""
        try:
            self._connection.sendall(struct.pack(">BxLxxBB", 7, 4, _ABORTED_BY_PROVIDER, reason))
        except OSError as error:
            _LOGGER.debug("%s: could not send A-ABORT: %s", self.name, error)

    def _close(self) -> None:
        """Close when the peer has, or after a moment, so that it reads what was sent last."""
        try:
            self._connection.settimeout(CLOSING_SECONDS)
            self._connection.shutdown(socket.SHUT_WR)
            until = time.monotonic() + CLOSING_SECONDS
            while time.monotonic() < until and self._connection.recv(65536):
                pass
        except OSError as error:
            _LOGGER.debug("%s: %s while closing", self.name, error)
        finally:
            self._connection.close()


class ReceivingServer(AssociationServer):
    """Cures 1, 2, 5 and 7: accepts connections and does nothing else in the accept loop.

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
        self.acse_timeout_seconds = ae.acse_timeout or 5.0
        self.network_timeout_seconds = ae.network_timeout or 60.0
        super().__init__(ae, address, ae.ae_title, [])

    @property
    def connections(self) -> list[ReceivingAssociation]:
        """Connections that are open now, negotiated or not."""
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
        while refused is TOO_MANY_ASSOCIATIONS and time.monotonic() < until:
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

    def shutdown(self) -> None:
        """Stop accepting connections and close the listening socket."""
        TCPServer.shutdown(self)
        self.server_close()

    def service_actions(self) -> None:
        """Cure 11: collect garbage by time, not at every 59th connection."""
        now = time.monotonic()
        if now - self._collected_at > _COLLECT_SECONDS:
            gc.collect()
            self._collected_at = now

    def server_bind(self) -> None:
        """Bind, together with other processes if the port is shared."""
        if self._share_port:
            cast(socket.socket, self.socket).setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        super().server_bind()

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection; the TLS handshake is the association's matter."""
        try:
            connection, peer = cast(socket.socket, self.socket).accept()
        except OSError:
            # Out of file descriptors: the connection stays in the queue, so wait a little.
            time.sleep(0.05)
            raise
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return connection, peer

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether the peer may have one more connection that waits for its association."""
        if self.admission.connect(str(client_address[0])):
            return True
        _LOGGER.info("too many new or silent connections from %s, closed one", client_address[0])
        return False

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start the association's thread."""
        association = ReceivingAssociation(self, request, client_address)
        with self._associations_lock:
            self._associations.add(association)
        association.start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what went wrong before the association's thread was there."""
        _LOGGER.exception("could not serve %s", client_address[0])

    def forget(self, association: ReceivingAssociation, *, associated: bool) -> None:
        """An association has ended."""
        with self._associations_lock:
            self._associations.discard(association)
        self.admission.leave(association.peer_address, associated=associated)
        if associated:
            self._ended(association)


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
