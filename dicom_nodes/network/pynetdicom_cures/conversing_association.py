"""Cures 6 and 10: the messages of an accepted association, in both directions."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, cast
from uuid import uuid4

from pynetdicom import AE
from pynetdicom._globals import MODE_ACCEPTOR
from pynetdicom.association import Association
from pynetdicom.dimse_messages import DIMSEMessage
from pynetdicom.dimse_primitives import C_CANCEL
from pynetdicom.fsm import InvalidEventError
from pynetdicom.pdu_primitives import P_DATA

from dicom_nodes.network.pdu_reader import P_DATA_TF, ConnectionEnded, InvalidPDU, PDUReader
from dicom_nodes.network.pynetdicom_cures.stepped_upper_layer import (
    DECODING_ERRORS,
    SteppedUpperLayer,
)
from dicom_nodes.network.pynetdicom_cures.timed_connection import TimedConnection
from dicom_nodes.network.store_command import (
    C_STORE_RQ,
    StoreRequest,
    command_field,
    decode_command,
    encode_store_response,
    has_data_set,
    store_request,
)

LARGEST_IDENTIFIER: Final = 1024 * 1024
MOST_KEPT_REQUESTS: Final = 8

Store = Callable[
    ["ConversingAssociation", int, StoreRequest, Iterator[list[memoryview]]], tuple[int, str]
]
# Association, presentation context ID and request; sends its responses itself.
Conversation = Callable[["ConversingAssociation", int, Any], None]


class ConversingAssociation(Association):
    """An accepted association as a service sees it: who the peer is, and its messages.

    One thread reads the socket, answers, and reads what it has asked for. Every
    message but C-STORE goes through pynetdicom's primitives; C-STORE goes to
    `store`. How the association begins and ends is `ReceivingAssociation`'s matter.

    Parameters
    ----------
    ae : AE
        Timeouts and maximum PDU length.
    connection : TimedConnection
        To the peer.
    peer_address : str
        IP address of the peer.
    store : callable
        Serves one C-STORE; see `ReceivingServer`.
    conversations : mapping
        What answers a request by itself; see `ReceivingServer`.
    """

    def __init__(
        self,
        ae: AE,
        connection: TimedConnection,
        peer_address: str,
        store: Store,
        conversations: Mapping[tuple[str, type], Conversation],
    ) -> None:
        super().__init__(ae, MODE_ACCEPTOR)
        self.key = uuid4().hex
        self.peer_address = peer_address
        self._connection = connection
        self._reader = PDUReader(connection.receive_into, ae.maximum_pdu_size)
        self._upper_layer = SteppedUpperLayer(self)
        self.dul = self._upper_layer
        self._store = store
        self._conversations = conversations
        self._calling_ae_title = self._called_ae_title = ""
        self._kept: deque[tuple[int, Any]] = deque()
        self._follow_ups: deque[Callable[[], None]] = deque()
        self._last_message_id = 0

    @property
    def calling_ae_title(self) -> str:
        """Calling AE title, without padding."""
        return self._calling_ae_title

    @property
    def called_ae_title(self) -> str:
        """Called AE title, without padding."""
        return self._called_ae_title

    def accepted_syntaxes(self, context_id: int) -> tuple[str, str]:
        """Abstract and transfer syntax of an accepted presentation context."""
        context = self._accepted_cx[context_id]
        return str(context.abstract_syntax), str(context.transfer_syntax[0])

    @property
    def connection(self) -> socket.socket:
        """Where an encoded message can be sent, between two others."""
        return self._connection.peer_socket

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
        while self._reader.has_more or self._connection.has_input():
            self._read_meanwhile()
        return message_id in self.dimse.cancel_req

    def is_quiet_for(self, seconds: float) -> bool:
        """Wait, and say whether the peer has sent nothing; see `ask` for where."""
        return not (self._reader.has_more or self._connection.has_input(seconds))

    def follow_up(self, action: Callable[[], None]) -> None:
        """Do something in the association's thread, once the message in hand is answered.

        It is not done where the association ends before.
        """
        self._follow_ups.append(action)

    def _serve_message(self) -> None:
        """Serve the message that is next, and then what is to follow it."""
        message = self._kept.popleft() if self._kept else self._read_message()
        if message is not None:
            context_id, primitive = message
            self._serve_request(primitive, context_id)
        while self._follow_ups and self.is_established:
            self._follow_ups.popleft()()

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

    def _read_identifier(self, context_id: int) -> bytes:
        identifier = bytearray()
        for batch in self._reader.data_set(context_id):
            for view in batch:
                identifier += view
            if len(identifier) > LARGEST_IDENTIFIER:
                raise InvalidPDU(f"an identifier of more than {LARGEST_IDENTIFIER} bytes")
        return bytes(identifier)

    def _decoded(self, fragments: list[list[Any]]) -> Any:
        """The primitive of a message, by pynetdicom."""
        received = P_DATA()
        received.presentation_data_value_list = cast(list[tuple[int, bytes]], fragments)
        message = DIMSEMessage()
        try:
            message.decode_msg(received, self)
            return message.message_to_primitive()
        except DECODING_ERRORS as error:
            kind = type(error).__name__
            raise InvalidPDU(f"a message that cannot be decoded ({kind})") from error

    def _serve_request(self, msg: Any, context_id: int) -> None:
        """Serve by a conversation where a service has one, otherwise by pynetdicom."""
        if isinstance(msg, C_CANCEL):
            return  # what it cancels has been answered already
        sop_class, _ = self.accepted_syntaxes(context_id)
        conversation = self._conversations.get((sop_class, type(msg)))
        if conversation is None or not msg.is_valid_request:
            super()._serve_request(msg, context_id)
            return
        self.dimse.cancel_req = {}
        conversation(self, context_id, msg)

    def _serve_store(self, context_id: int, request: StoreRequest) -> None:
        """Cure 6: one C-STORE, from the socket to `ReceivingServer.store` and back."""
        fragments = self._reader.data_set(context_id) if request.has_data_set else iter(())
        status, comment = self._store(self, context_id, request, fragments)
        response = encode_store_response(
            request, context_id, status, comment, self.dimse.maximum_pdu_size
        )
        self.connection.sendall(response)
