"""Taking the local log to a repository: nothing is lost while that is away.

The log itself is the queue. What is remembered is only how far it was sent, so
that any length of an absence costs no memory. A message may be sent twice, after
a connection that broke, and none is left out.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

import structlog

from dicom_nodes.audit.syslog import Connection, Repository, Transport, connect, syslog_message
from dicom_nodes.network.tls import ClientTLS
from processing.measurement import PermanentFault, TransientFault
from service.audit.chain import LONGEST_LINE, log_files, read_record
from service.audit.trail import audit_folder
from service.settings import AuditRepository, Settings

_SENT: Final = "sent.json"
_AT_ONCE: Final = 100
_LOOK_SECONDS: Final = 0.5
_FIRST_RETRY_SECONDS: Final = 1.0
_LONGEST_RETRY_SECONDS: Final = 60.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Position:
    """How far the log was sent: a file, and where in it the next record starts."""

    file: str = ""
    offset: int = 0


@dataclass(slots=True)
class Forwarder:
    """Sends what the log of a folder holds, in its order.

    Parameters
    ----------
    folder : Path
    repository : Repository
    first_retry_seconds : float
        Wait after a failure; it doubles up to a minute.
    connect : callable
        Makes a connection to the repository.
    """

    folder: Path
    repository: Repository
    first_retry_seconds: float = _FIRST_RETRY_SECONDS
    connect: Callable[[Repository], Connection] = connect
    _connection: Connection | None = None
    _host: str = field(default_factory=socket.gethostname)

    def run(self, stopped: threading.Event) -> None:
        """Send what comes, until told to stop."""
        wait = self.first_retry_seconds
        while not stopped.is_set():
            try:
                sent = self.send_next()
            except (TransientFault, PermanentFault, OSError) as fault:
                self.disconnect()
                log.warning("audit messages wait", reason=str(fault), seconds=wait)
                stopped.wait(wait)
                wait = min(2 * wait, _LONGEST_RETRY_SECONDS)
                continue
            wait = self.first_retry_seconds
            if not sent:
                stopped.wait(_LOOK_SECONDS)
        self.disconnect()

    def send_next(self) -> int:
        """Send the next records, and remember that; gives how many there were.

        Raises
        ------
        TransientFault, PermanentFault
            If the repository does not take them.
        OSError
            If the log cannot be read, or it cannot be noted how far it was sent.
        """
        messages, position = self._next(self._position())
        if not messages:
            return 0
        if self._connection is None:
            self._connection = self.connect(self.repository)
        self._connection.send(messages)
        self._note(position)
        return len(messages)

    def _next(self, position: Position) -> tuple[list[bytes], Position]:
        """Records behind a position, and the position behind them."""
        messages: list[bytes] = []
        for path in log_files(self.folder):
            if path.name < position.file:
                continue
            offset = position.offset if path.name == position.file else 0
            with path.open("rb") as stream:
                stream.seek(offset)
                while len(messages) < _AT_ONCE:
                    line = stream.readline(LONGEST_LINE)
                    if not line.endswith(b"\n"):
                        break
                    position = Position(path.name, stream.tell())
                    message = self._message(line, path)
                    if message is not None:
                        messages.append(message)
            if len(messages) >= _AT_ONCE:
                break
        return messages, position

    def _message(self, line: bytes, path: Path) -> bytes | None:
        try:
            record = read_record(line)
            at = datetime.fromisoformat(record.at)
        except ValueError:
            log.error("a record of the audit log cannot be read, and is not sent", file=path.name)
            return None
        return syslog_message(
            record.message,
            at=at,
            host=self._host,
            application="hemiface",
            process=str(record.sequence),
        )

    def _position(self) -> Position:
        try:
            noted = json.loads((self.folder / _SENT).read_text())
            return Position(str(noted["file"]), int(noted["offset"]))
        except FileNotFoundError:
            return Position()
        except (ValueError, KeyError, TypeError):
            log.error("it is not known how far the audit log was sent; it is sent again")
            return Position()

    def _note(self, position: Position) -> None:
        note = self.folder / f"{_SENT}.new"
        with note.open("w") as stream:
            json.dump({"file": position.file, "offset": position.offset}, stream)
            stream.flush()
            os.fsync(stream.fileno())
        note.replace(self.folder / _SENT)

    def disconnect(self) -> None:
        """End the connection to the repository, if there is one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def run_forwarder(settings: Settings, stopped: threading.Event) -> None:
    """Send audit messages to the repository of the settings until told to stop."""
    assert settings.audit.repository is not None  # there is no such part otherwise
    folder = audit_folder(settings)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / "sending.lock").open("a") as stream:
        if _alone(stream.fileno(), stopped):
            Forwarder(folder, repository_of(settings.audit.repository)).run(stopped)


def _alone(descriptor: int, stopped: threading.Event) -> bool:
    """Wait until no other part sends this log: both halves of a node may share a folder."""
    while not stopped.is_set():
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stopped.wait(_LOOK_SECONDS)
        else:
            return True
    return False


def repository_of(chosen: AuditRepository) -> Repository:
    """The repository that the settings name."""
    return Repository(
        chosen.address,
        chosen.port,
        Transport(chosen.transport),
        ClientTLS(
            authorities=chosen.authorities,
            certificate=chosen.certificate,
            private_key=chosen.private_key,
            check_name=chosen.check_name,
        ),
    )
