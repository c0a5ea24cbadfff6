"""Cures 1 and 9 on the accepting side: a connection on which nothing waits without end."""

from __future__ import annotations

import logging
import select
import socket
import ssl
import struct
import time
from typing import Final

from dicom_nodes.network.pace import Pace
from dicom_nodes.network.pdu_reader import ConnectionEnded, PeerSilent

CLOSING_SECONDS: Final = 1.0

_LOGGER = logging.getLogger(__name__)


class TimedConnection:
    """An accepted connection with a deadline for negotiation and timeouts afterwards.

    Parameters
    ----------
    accepted : socket.socket
        As the listening socket gave it; with TLS the handshake is still to come.
    name : str
        Of the association, for the log.
    negotiation_seconds : float
        How long handshake and negotiation may take together.
    timeout_seconds : float
        How long a read or write may take afterwards.
    slowest_bytes_per_second : float
        A peer that sends less in the middle of a message is cut off; 0 for no limit.
    """

    def __init__(
        self,
        accepted: socket.socket,
        name: str,
        *,
        negotiation_seconds: float,
        timeout_seconds: float,
        slowest_bytes_per_second: float,
    ) -> None:
        self._socket = accepted
        self._name = name
        self._deadline: float | None = time.monotonic() + negotiation_seconds
        self._timeout_seconds = timeout_seconds
        self._pace = Pace(slowest_bytes_per_second, timeout_seconds)

    @property
    def peer_socket(self) -> socket.socket:
        """The socket itself, the encrypted one with TLS."""
        return self._socket

    def shake_hands(self, context: ssl.SSLContext) -> bytes | None:
        """Cure 1: the server's side of the TLS handshake; gives the peer's certificate, DER."""
        self._socket.settimeout(self._remaining())
        encrypted = context.wrap_socket(
            self._socket, server_side=True, do_handshake_on_connect=False
        )
        self._socket = encrypted
        encrypted.do_handshake()
        return encrypted.getpeercert(binary_form=True)

    def end_negotiation(self) -> None:
        """From now on each read and write has the timeout, instead of all one deadline."""
        self._deadline = None
        self._pace.restart()
        self._set_timeout(self._timeout_seconds)

    def begin_message(self) -> None:
        """Judge the peer's pace by what comes from now on."""
        self._pace.restart()

    def receive_into(self, view: memoryview) -> int:
        """Cure 9: read with the deadline of negotiation, or else the network timeout."""
        if self._deadline is not None:
            self._set_timeout(self._remaining())
        began = time.monotonic()
        try:
            received = self._socket.recv_into(view)
        except (BlockingIOError, TimeoutError) as error:  # SO_RCVTIMEO says EAGAIN
            raise PeerSilent from error
        except OSError as error:
            raise ConnectionEnded(f"the connection broke: {error}") from error
        if received and self._pace.is_too_slow(received, time.monotonic() - began):
            raise PeerSilent
        return received

    def has_input(self, wait_seconds: float = 0) -> bool:
        """Whether something can be read, now or within a while."""
        if isinstance(self._socket, ssl.SSLSocket) and self._socket.pending():
            return True
        watched = select.poll()  # unlike select.select, for any file descriptor
        watched.register(self._socket, select.POLLIN)
        return bool(watched.poll(wait_seconds * 1000))

    def stop_reading(self) -> None:
        """Wake the thread that reads, as if the peer had sent its last byte."""
        try:
            self._socket.shutdown(socket.SHUT_RD)
        except OSError:
            _LOGGER.debug("%s has closed already", self._name)

    def close(self) -> None:
        """Close when the peer has, or after a moment, so that it reads what was sent last."""
        try:
            self._socket.settimeout(CLOSING_SECONDS)
            self._socket.shutdown(socket.SHUT_WR)
            until = time.monotonic() + CLOSING_SECONDS
            while time.monotonic() < until and self._socket.recv(65536):
                pass
        except OSError as error:
            _LOGGER.debug("%s: %s while closing", self._name, error)
        finally:
            self._socket.close()

    def _remaining(self) -> float:
        remaining = (self._deadline or 0.0) - time.monotonic()
        if remaining <= 0:
            raise PeerSilent
        return remaining

    def _set_timeout(self, seconds: float) -> None:
        """Let the kernel watch the time; Python's own timeout adds a poll to each read."""
        if isinstance(self._socket, ssl.SSLSocket):
            self._socket.settimeout(seconds)
            return
        # A timeval of zero would mean no timeout at all.
        whole, microseconds = divmod(max(int(seconds * 1e6), 1), 1_000_000)
        interval = struct.pack("ll", whole, microseconds)
        self._socket.settimeout(None)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, interval)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, interval)
