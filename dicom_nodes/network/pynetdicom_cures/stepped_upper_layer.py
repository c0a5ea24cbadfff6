"""Cure 8: the upper layer of an acceptor, without a thread that polls."""

from __future__ import annotations

import struct
import threading
from typing import Any, Final

from pynetdicom.association import Association
from pynetdicom.dul import DULServiceProvider
from pynetdicom.fsm import InvalidEventError

from dicom_nodes.network.pdu_reader import InvalidPDU

# What pynetdicom's decoders raise on bytes that are no valid PDU or message.
DECODING_ERRORS: Final = (
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
            except DECODING_ERRORS as error:
                # Not what the error says: it quotes the PDU, and this goes into the log.
                kind = type(error).__name__
                raise InvalidPDU(f"PDU of type 0x{encoded[0]:02X} is invalid ({kind})") from error

    def act(self) -> None:
        """Run the state machine on the events that are waiting."""
        while not self._kill_thread and not self.event_queue.empty():
            self.state_machine.do_action(self.event_queue.get())
