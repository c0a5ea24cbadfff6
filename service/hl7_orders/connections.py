"""MLLP: messages framed by three bytes, over connections with limits (HL7 MLLP release 1)."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final

import structlog

from dicom_nodes.network.admission import Network
from dicom_nodes.network.reloaded_tls import ReloadedTLS

START: Final = b"\x0b"
END: Final = b"\x1c\r"
_READ_BYTES: Final = 65_536
_SWEEP_SECONDS: Final = 0.5
_BACKLOG: Final = 64
# Between messages some senders put these.
_PADDING: Final = b"\r\n \x00"

log = structlog.get_logger()


class FramingFault(Exception):
    """A peer does not keep to MLLP, or sends more than is taken."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a connection may take.

    Parameters
    ----------
    connections : int
        At once. For one more the one that has been silent longest between two
        messages is closed; if none is, the new one.
    message_bytes : int
    message_seconds : float
        From the first byte of a message to its last, for a TLS handshake, and for
        taking an acknowledgement.
    idle_seconds : float
        Between two messages.
    """

    connections: int
    message_bytes: int
    message_seconds: float
    idle_seconds: float


@dataclass(slots=True, eq=False)
class _Connection:
    """A connection; `deadline` is None while the node itself is at work."""

    peer: socket.socket
    address: str
    deadline: float | None
    idle_since: float | None = None
    received: bytearray = field(default_factory=bytearray)

    def close(self) -> None:
        """Wake the thread that reads or writes, which then ends."""
        with contextlib.suppress(OSError):
            # Not SSLSocket's own: it takes away what the other thread is reading from.
            socket.socket.shutdown(self.peer, socket.SHUT_RDWR)


class Listener:
    """Takes connections, a thread each, and answers their messages one after another.

    Parameters
    ----------
    address : str
    port : int
    answer : callable
        Gives the acknowledgement of a message of a peer's address.
    limits : Limits
    allowed : tuple of network
        Whose connections are taken; everybody's when empty.
    refused : callable
        Told the address of each connection that is not.
    tls : ReloadedTLS, optional

    Raises
    ------
    OSError
        If the port cannot be listened on.
    """

    def __init__(
        self,
        address: str,
        port: int,
        answer: Callable[[bytes, str], bytes],
        limits: Limits,
        *,
        allowed: tuple[Network, ...] = (),
        refused: Callable[[str], None] = lambda _address: None,
        tls: ReloadedTLS | None = None,
    ) -> None:
        self._answer, self._limits = answer, limits
        self._allowed, self._refused, self._tls = allowed, refused, tls
        self._lock = threading.Lock()
        self._open: set[_Connection] = set()
        family = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0][0]
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((address, port))
            self._socket.listen(_BACKLOG)
        except OSError:
            self._socket.close()
            raise
        self._socket.settimeout(_SWEEP_SECONDS)

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._socket.getsockname()[1])

    def run(self, stopped: threading.Event) -> None:
        """Listen until told to stop."""
        try:
            while not stopped.is_set():
                self._accept_next()
                self._close_late_ones()
        finally:
            self._socket.close()
            with self._lock:
                for each in self._open:
                    each.close()

    def _accept_next(self) -> None:
        try:
            peer, (host, *_) = self._socket.accept()
        except TimeoutError:
            return
        except OSError as fault:
            # Too many open files, or a peer that is gone already.
            log.warning("a connection for orders cannot be taken", reason=str(fault))
            time.sleep(_SWEEP_SECONDS)
            return
        address = host.removeprefix("::ffff:")
        is_allowed = not self._allowed or any(ip_address(address) in each for each in self._allowed)
        if not is_allowed:
            self._refused(address)
        connection = _Connection(peer, address, self._now() + self._limits.message_seconds)
        if not is_allowed or not self._find_room(connection):
            peer.close()
            return
        threading.Thread(target=self._serve, args=(connection,), name="orders", daemon=True).start()

    def _find_room(self, connection: _Connection) -> bool:
        with self._lock:
            if len(self._open) >= self._limits.connections:
                idle = [each for each in self._open if each.idle_since is not None]
                if not idle:
                    return False
                silent = min(idle, key=lambda each: each.idle_since or 0.0)
                silent.close()
                self._open.discard(silent)
            self._open.add(connection)
        return True

    def _close_late_ones(self) -> None:
        now = self._now()
        with self._lock:
            for each in self._open:
                if each.deadline is not None and each.deadline < now:
                    each.close()

    def _serve(self, connection: _Connection) -> None:
        try:
            connection.peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                secured = self._tls.context().wrap_socket(
                    connection.peer, server_side=True, do_handshake_on_connect=False
                )
                connection.peer = secured
                secured.do_handshake()
            while (message := self._next_message(connection)) is not None:
                connection.deadline = None
                acknowledgement = self._answer(message, connection.address)
                connection.deadline = self._now() + self._limits.message_seconds
                connection.peer.sendall(START + acknowledgement + END)
        except FramingFault as fault:
            log.warning(
                "a connection for orders is closed", peer=connection.address, why=str(fault)
            )
        except OSError as fault:  # of TLS as well
            log.info("orders: a connection ended", peer=connection.address, why=str(fault))
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.peer.close()

    def _next_message(self, connection: _Connection) -> bytes | None:
        """The next whole message; None when the peer has ended between two.

        Raises
        ------
        FramingFault
            If something else than a message comes, or too much of one.
        """
        received = connection.received
        connection.idle_since = self._now()
        connection.deadline = connection.idle_since + self._limits.idle_seconds
        searched = 0
        while True:
            if connection.idle_since is not None:
                del received[: len(received) - len(received.lstrip(_PADDING))]
                if received:
                    if received[:1] != START:
                        raise FramingFault("what came does not begin as MLLP does")
                    connection.idle_since = None
                    connection.deadline = self._now() + self._limits.message_seconds
            end = received.find(END, searched)
            if end >= 0:
                message = bytes(received[1:end])
                del received[: end + len(END)]
                return message
            if len(received) > self._limits.message_bytes + len(END):
                raise FramingFault(f"a message is longer than {self._limits.message_bytes} bytes")
            searched = max(0, len(received) - 1)
            chunk = connection.peer.recv(_READ_BYTES)
            if not chunk:
                if received:
                    raise FramingFault("the peer ended within a message, or was too slow")
                return None
            received += chunk

    @staticmethod
    def _now() -> float:
        return time.monotonic()
