"""Recording events without making anybody wait for the disk."""

from __future__ import annotations

import os
import queue
import socket
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Final

import structlog

from dicom_nodes.audit.events import Node
from dicom_nodes.audit.messages import AuditMessage, AuditSource, encode
from service.audit.chain import Chain, Entry
from service.settings import Settings

MOST_WAITING: Final = 10_000
_MOST_AT_ONCE: Final = 500
_RETRY_SECONDS: Final = 1.0
_STOP_SECONDS: Final = 10.0

log = structlog.get_logger()


class Trail:
    """Takes events and appends them to the local log, in a thread of its own.

    An event is on disk, fsynced, some milliseconds after it was recorded. When
    `MOST_WAITING` are waiting for the disk, who records one more waits too:
    nothing is dropped, and memory is bounded. While the log cannot be written the
    events are kept and tried again, and the ordinary log says so.
    """

    def __init__(self, chain: Chain, source: AuditSource, node: Node) -> None:
        self.node = node
        self._chain = chain
        self._source = source
        self._waiting: queue.Queue[AuditMessage | None] = queue.Queue(MOST_WAITING)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._write, name="audit", daemon=True)
        self._thread.start()

    def record(self, message: AuditMessage) -> None:
        """Record an event."""
        self._waiting.put(message)

    def close(self) -> None:
        """Write what is waiting, and end."""
        self._stopping.set()
        self._waiting.put(None)
        self._thread.join(_STOP_SECONDS)

    def __enter__(self) -> Trail:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _write(self) -> None:
        while (message := self._waiting.get()) is not None:
            batch = [message]
            ended = False
            while len(batch) < _MOST_AT_ONCE and not self._waiting.empty():
                more = self._waiting.get()
                if more is None:
                    ended = True
                    break
                batch.append(more)
            self._append([Entry(each.at, encode(each, self._source)) for each in batch])
            if ended:
                return

    def _append(self, entries: list[Entry]) -> None:
        while True:
            try:
                self._chain.append(entries)
            except OSError as fault:
                log.error("the audit log cannot be written", reason=str(fault), events=len(entries))
                if self._stopping.is_set():
                    return
                time.sleep(_RETRY_SECONDS)
            else:
                return


class NoTrail(Trail):
    """Records nothing, where the settings switch auditing off."""

    def __init__(self, node: Node) -> None:
        self.node = node

    def record(self, message: AuditMessage) -> None:
        """Forget the event."""

    def close(self) -> None:
        """Nothing is waiting."""


def audit_folder(settings: Settings) -> Path:
    """Where the local audit log is kept."""
    return settings.data_folder.absolute() / "audit"


def open_trail(settings: Settings) -> Trail:
    """The trail of this process; to be closed."""
    node = Node(settings.dicom.ae_title, settings.dicom.address)
    if not settings.audit.enabled:
        return NoTrail(node)
    source = AuditSource(
        f"{settings.dicom.ae_title}@{socket.gethostname()}", settings.audit.enterprise_site
    )
    return Trail(Chain(audit_folder(settings), settings.audit.rotate_bytes), source, node)


def process_name() -> str:
    """Name of the present process in audit messages."""
    return f"hemiface {os.getpid()}@{socket.gethostname()}"


def launcher_name() -> str:
    """Name of the account that the present process runs under."""
    return f"user {os.getuid()}@{socket.gethostname()}"
