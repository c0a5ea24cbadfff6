"""Audit messages to a repository by syslog (PS3.15, section A.6; RFC 5424 to 5426)."""

from __future__ import annotations

import array
import fcntl
import re
import select
import socket
import ssl
import termios
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, Protocol

from dicom_nodes.network.tls import ClientTLS, client_context
from processing.measurement import PermanentFault, TransientFault

# Facility 10 (security) and severity 5 (notice), as IHE ITI TF-2, section 3.20.4.1.1.1 advises.
_PRIORITY: Final = 10 * 8 + 5
_MESSAGE_ID: Final = "DICOM+RFC3881"
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_NO_NAME: Final = re.compile(r"[^\x21-\x7e]")
LARGEST_DATAGRAM: Final = 65_507
_LOOK_SECONDS: Final = 0.01


class Transport(StrEnum):
    """How a repository is reached."""

    TLS = "tls"
    UDP = "udp"


@dataclass(frozen=True, slots=True)
class Repository:
    """An Audit Record Repository.

    Parameters
    ----------
    address, port : str, int
    transport : Transport
        TLS (RFC 5425) or UDP (RFC 5426).
    tls : ClientTLS
        For TLS: whom the node trusts, and how it proves itself.
    timeout_seconds : float
        For connecting, and for the repository to take what was sent.
    """

    address: str
    port: int = 6514
    transport: Transport = Transport.TLS
    tls: ClientTLS = field(default_factory=ClientTLS)
    timeout_seconds: float = 10

    def __str__(self) -> str:
        return f"the audit repository at {self.address}:{self.port}"


class Connection(Protocol):
    """Takes syslog messages to a repository."""

    def send(self, messages: list[bytes]) -> None:
        """Send; returns when the repository's machine has taken them.

        Raises
        ------
        TransientFault
            If that is not certain; they are then to be sent again.
        """

    def close(self) -> None:
        """End the connection."""


def syslog_message(xml: str, *, at: datetime, host: str, application: str, process: str) -> bytes:
    """An audit message in the format of RFC 5424, section 6."""
    moment = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    header = (
        f"<{_PRIORITY}>1 {moment} {_name(host, 255)} {_name(application, 48)} "
        f"{_name(process, 128)} {_MESSAGE_ID} - "
    )
    return header.encode() + _BYTE_ORDER_MARK + xml.encode()


def connect(repository: Repository) -> Connection:
    """Connect to a repository.

    Raises
    ------
    TransientFault
        If it cannot be reached.
    PermanentFault
        If its certificate is not trusted, or a file of the node's own is not usable.
    """
    try:
        if repository.transport is Transport.UDP:
            return _Datagrams(repository)
        return _Stream(repository)
    except ssl.SSLCertVerificationError as error:
        raise PermanentFault(
            f"the certificate of {repository} is not trusted: {error.verify_message}"
        ) from error
    except OSError as error:
        raise TransientFault(f"{repository} cannot be reached: {error}") from error


class _Datagrams:
    """UDP (RFC 5426): nobody says whether a message arrived."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        family, kind, protocol, _, address = socket.getaddrinfo(
            repository.address, repository.port, type=socket.SOCK_DGRAM
        )[0]
        self._socket = socket.socket(family, kind, protocol)
        self._socket.connect(address)

    def send(self, messages: list[bytes]) -> None:
        for each in messages:
            try:
                self._socket.send(each[:LARGEST_DATAGRAM])
            except OSError as error:
                raise TransientFault(f"{self._repository} cannot be reached: {error}") from error

    def close(self) -> None:
        self._socket.close()


class _Stream:
    """TLS with octet counting (RFC 5425, section 4.3)."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        connection = socket.create_connection(
            (repository.address, repository.port), repository.timeout_seconds
        )
        try:
            self._socket = client_context(repository.tls).wrap_socket(
                connection, server_hostname=repository.address
            )
        except BaseException:
            connection.close()
            raise

    def send(self, messages: list[bytes]) -> None:
        try:
            self._check_open()
            self._socket.sendall(b"".join(b"%d %b" % (len(each), each) for each in messages))
            self._wait_until_taken()
            self._check_open()
        except OSError as error:
            raise TransientFault(f"{self._repository} ended the connection: {error}") from error

    def close(self) -> None:
        self._socket.close()

    def _wait_until_taken(self) -> None:
        """Syslog has no answers; what the other machine's TCP has acknowledged, it holds."""
        until = time.monotonic() + self._repository.timeout_seconds
        unsent = array.array("i", [0])
        while True:
            fcntl.ioctl(self._socket.fileno(), termios.TIOCOUTQ, unsent)
            if not unsent[0]:
                return
            if time.monotonic() > until:
                raise TimeoutError("it does not read")
            time.sleep(_LOOK_SECONDS)

    def _check_open(self) -> None:
        """A repository says nothing: what can be read is the end, or TLS's own housekeeping."""
        while select.select([self._socket], [], [], 0)[0]:
            self._socket.setblocking(False)
            try:
                if not self._socket.recv(4096):
                    raise ConnectionResetError("closed by the repository")
            except (ssl.SSLWantReadError, BlockingIOError):
                return
            finally:
                self._socket.settimeout(self._repository.timeout_seconds)


def _name(text: str, longest: int) -> str:
    return _NO_NAME.sub("_", text)[:longest] or "-"
