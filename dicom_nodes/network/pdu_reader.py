"""Protocol data units read from a socket in large blocks (PS3.8, section 9.3).

A C-STORE request is read without making an object for each PDU and without
copying the fragments: they are handed out as views of one buffer, which is all
the memory an association needs however large the instance is.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Final

P_DATA_TF: Final = 0x04
A_ABORT: Final = 0x07

BLOCK_BYTES: Final = 256 * 1024
LARGEST_CONTROL_PDU: Final = 1024 * 1024  # 128 contexts with 50 transfer syntaxes are 200 KB
LARGEST_COMMAND_SET: Final = 64 * 1024
MOST_FRAGMENTS: Final = 256  # views in one batch; os.writev takes 1024

_PDU_HEADER: Final = struct.Struct(">BxL")
_FRAGMENT_HEADER: Final = struct.Struct(">LBB")
_BOTH_HEADERS: Final = _PDU_HEADER.size + _FRAGMENT_HEADER.size
_COMMAND: Final = 0x01
_LAST: Final = 0x02


class ConnectionEnded(Exception):
    """The peer closed the connection, or it broke."""


class PeerAborted(ConnectionEnded):
    """The peer sent an A-ABORT in the middle of a message."""


class PeerSilent(Exception):
    """The peer sent nothing for too long.

    No TimeoutError, since that is an OSError, as a full disk is.
    """


class InvalidPDU(Exception):
    """The peer sent something that is no valid PDU, or one that has no place here."""


class PDUReader:
    """Reads what a peer sends, from the first PDU to the last.

    Parameters
    ----------
    receive_into : callable
        Fills a part of the given buffer and returns how many bytes, 0 at the
        end of the connection; raises PeerSilent when nothing comes in time.
    maximum_pdu_bytes : int
        The maximum length that was announced to the peer; 0 for no limit.
    """

    __slots__ = (
        "_buffer",
        "_context_id",
        "_control",
        "_end",
        "_fragment_left",
        "_maximum_pdu_bytes",
        "_pdu_left",
        "_receive_into",
        "_start",
        "_type",
    )

    def __init__(self, receive_into: Callable[[memoryview], int], maximum_pdu_bytes: int) -> None:
        self._receive_into = receive_into
        self._maximum_pdu_bytes = maximum_pdu_bytes
        self._buffer = memoryview(bytearray(BLOCK_BYTES))
        self._start = self._end = 0
        self._type = 0
        self._pdu_left = 0
        self._fragment_left = 0
        self._context_id = 0
        self._control = 0

    @property
    def has_more(self) -> bool:
        """Whether bytes that were received have not been looked at yet."""
        return self._start < self._end

    def next_pdu(self) -> int:
        """Wait for the next PDU and return its type.

        A P-DATA-TF PDU of which fragments are left counts as the next one.

        Raises
        ------
        InvalidPDU
            If the type is unknown or the length is more than was announced.
        ConnectionEnded, PeerSilent
        """
        if self._pdu_left:
            return self._type
        self._fill(_PDU_HEADER.size)
        self._type, self._pdu_left = _PDU_HEADER.unpack_from(self._buffer, self._start)
        if self._type == P_DATA_TF:
            if self._maximum_pdu_bytes and self._pdu_left > self._maximum_pdu_bytes:
                raise InvalidPDU(
                    f"P-DATA-TF PDU of {self._pdu_left} bytes; "
                    f"{self._maximum_pdu_bytes} were announced as the maximum"
                )
            self._start += _PDU_HEADER.size
        elif not 0x01 <= self._type <= A_ABORT:
            raise InvalidPDU(f"unknown PDU type 0x{self._type:02X}")
        elif self._pdu_left > LARGEST_CONTROL_PDU:
            raise InvalidPDU(f"PDU of type 0x{self._type:02X} claims {self._pdu_left} bytes")
        return self._type

    def read_control_pdu(self) -> bytes:
        """Read the whole PDU, with its header, that `next_pdu` has announced.

        For every type but P-DATA-TF.
        """
        wanted = _PDU_HEADER.size + self._pdu_left
        self._pdu_left = 0
        read = bytearray()
        while True:
            taken = min(wanted - len(read), self._end - self._start)
            read += self._buffer[self._start : self._start + taken]
            self._start += taken
            if len(read) == wanted:
                return bytes(read)
            self._fill(1)

    def read_command(self) -> tuple[int, bytes]:
        """Read a command set; returns its presentation context ID and its bytes.

        Raises
        ------
        InvalidPDU
            If the fragments are no command set.
        """
        command = bytearray()
        while True:
            self._next_fragment()
            if not self._control & _COMMAND:
                raise InvalidPDU("a data set fragment where a command set is due")
            if len(command) + self._fragment_left > LARGEST_COMMAND_SET:
                raise InvalidPDU(f"a command set of more than {LARGEST_COMMAND_SET} bytes")
            while self._fragment_left:
                self._fill(1)
                command += self._take()
            if self._control & _LAST:
                return self._context_id, bytes(command)

    def data_set(self, context_id: int) -> Iterator[list[memoryview]]:
        """Read the data set that follows a command, in batches of views.

        A view is valid until the next batch is asked for.

        Raises
        ------
        InvalidPDU
            If something else comes than data set fragments of `context_id`.
        """
        batch: list[memoryview] = []
        last = False
        while True:
            if self._fragment_left:
                if self._start == self._end:
                    if batch:
                        yield batch
                        batch = []
                    self._fill(1)
                batch.append(self._take())
                continue
            if last:
                yield batch
                return
            if batch and (self._end - self._start < _BOTH_HEADERS or len(batch) >= MOST_FRAGMENTS):
                yield batch
                batch = []
            self._next_fragment()
            if self._control & _COMMAND or self._context_id != context_id:
                raise InvalidPDU("the data set of the C-STORE request is interrupted")
            last = bool(self._control & _LAST)

    def _next_fragment(self) -> None:
        """Read the header of the next presentation data value (PS3.8, 9.3.5.1)."""
        if not self._pdu_left and self.next_pdu() != P_DATA_TF:
            if self._type == A_ABORT:
                raise PeerAborted("the peer aborted in the middle of a message")
            raise InvalidPDU(f"PDU of type 0x{self._type:02X} in the middle of a message")
        self._fill(_FRAGMENT_HEADER.size)
        length, self._context_id, self._control = _FRAGMENT_HEADER.unpack_from(
            self._buffer, self._start
        )
        if not 2 <= length <= self._pdu_left - 4:
            raise InvalidPDU(f"a fragment of {length} bytes in {self._pdu_left} bytes of a PDU")
        self._start += _FRAGMENT_HEADER.size
        self._pdu_left -= 4 + length
        self._fragment_left = length - 2

    def _take(self) -> memoryview:
        """What the buffer holds of the present fragment."""
        stop = min(self._end, self._start + self._fragment_left)
        view = self._buffer[self._start : stop]
        self._fragment_left -= stop - self._start
        self._start = stop
        return view

    def _fill(self, wanted: int) -> None:
        """Have at least `wanted` bytes (a header's worth) in the buffer."""
        if self._end - self._start >= wanted:
            return
        if self._start == self._end:
            self._start = self._end = 0
        elif self._start + wanted > BLOCK_BYTES:
            rest = bytes(self._buffer[self._start : self._end])
            self._buffer[: len(rest)] = rest
            self._start, self._end = 0, len(rest)
        while self._end - self._start < wanted:
            received = self._receive_into(self._buffer[self._end :])
            if received == 0:
                raise ConnectionEnded("the peer closed the connection")
            self._end += received
