"""Receiving without loss: bytes, then row, then the answer.

The order is the promise. An instance is answered with 0x0000 only when its
bytes are fsynced under their final name and its row is committed. What four
associations bring at once shares one fsync of the folder and one transaction.
"""

from __future__ import annotations

import queue
import sys
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import uuid4

import structlog

from dicom_nodes.network.storage_scp import (
    Arrival,
    Listener,
    StoreStatus,
    remove_leftovers,
    start_listening,
)
from processing.measurement import TransientFault
from service.catalogue.arrivals import Held, Received, known_keys, quarantine, register
from service.catalogue.database import Database, open_database
from service.catalogue.stored_bytes import StoredBytes, open_stored_bytes
from service.instruments import RECEIVED
from service.listening import listen_options
from service.settings import Settings

INSTANCES_PER_FOLDER: Final = 1000
_LARGEST_BATCH: Final = 256
_BLOCK_BYTES: Final = 1 << 20
# Threads here wait for the disk most of the time; one that comes back should not wait
# five more milliseconds, Python's default, until another lets it go on.
_SWITCH_SECONDS: Final = 0.0005

log = structlog.get_logger()


@dataclass(slots=True)
class Keys:
    """New keys for instances, a thousand to a folder so that one fsync serves many.

    The folders in use are noted, so that a restart looks for leftovers in these
    and not in all that was ever received.
    """

    slot: str
    stored: StoredBytes
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _given: int = 0
    _folders: list[str] = field(default_factory=list)

    def next(self, moment: datetime) -> str:
        """A key that nothing else has."""
        with self._lock:
            if self._given % INSTANCES_PER_FOLDER == 0:
                self._open_folder(moment)
            self._given += 1
            return f"{self._folders[-1]}/{uuid4().hex}.dcm"

    def _open_folder(self, moment: datetime) -> None:
        folder = f"instances/{moment:%Y/%m/%d}/{self.slot}-{uuid4().hex[:8]}"
        # Slow associations may still be busy in the folder before.
        self._folders = [*self._folders[-1:], folder]
        self.stored.write(_folders_in_use(self.slot), "\n".join(self._folders).encode())


class GroupCommit:
    """Commits what waits, all of it at once, in a thread of its own.

    While one commit runs, the next batch gathers by itself; nothing waits for a
    timer.
    """

    def __init__(self, database: Database, stored: StoredBytes) -> None:
        self._database = database
        self._stored = stored
        self._waiting: queue.SimpleQueue[tuple[Received, Future[Held | None]] | None] = (
            queue.SimpleQueue()
        )
        self._thread = threading.Thread(target=self._run, name="group-commit", daemon=True)
        self._thread.start()

    def commit(self, received: Received) -> Held | None:
        """Wait until the row is durable; see `service.catalogue.arrivals.register`."""
        done: Future[Held | None] = Future()
        self._waiting.put((received, done))
        return done.result()

    def close(self) -> None:
        """Commit what waits, then end."""
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (first := self._waiting.get()) is not None:
            batch = [first]
            ended = False
            while len(batch) < _LARGEST_BATCH and not self._waiting.empty():
                following = self._waiting.get()
                if following is None:
                    ended = True
                    break
                batch.append(following)
            self._commit(batch)
            if ended:
                return

    def _commit(self, batch: list[tuple[Received, Future[Held | None]]]) -> None:
        try:
            self._stored.settle([received.key for received, _ in batch])
            held = register(self._database, [received for received, _ in batch])
        except (TransientFault, OSError) as fault:
            for _, done in batch:
                done.set_exception(fault)
            return
        for (_, done), each in zip(batch, held, strict=True):
            done.set_result(each)


@dataclass(frozen=True, slots=True)
class Reception:
    """Takes arrivals into the catalogue."""

    database: Database
    stored: StoredBytes
    keys: Keys
    group_commit: GroupCommit
    reserve_bytes: int

    def has_room(self) -> bool:
        """Whether the reserve of free bytes is untouched."""
        free = self.stored.free_bytes()
        return free is None or free > self.reserve_bytes

    def accept(self, arrival: Arrival) -> StoreStatus:
        """Keep an arrival for good, and say so only then.

        Raises
        ------
        TransientFault, OSError
            If it could not be kept; the sender may try again.
        """
        now = datetime.now(UTC)
        received = Received(
            sop_instance_uid=arrival.sop_instance_uid,
            sop_class_uid=arrival.sop_class_uid,
            transfer_syntax_uid=arrival.transfer_syntax_uid,
            key=self.keys.next(now),
            size_bytes=arrival.path.stat().st_size,
            dataset_offset=arrival.dataset_offset,
            received_at=now,
            calling_ae_title=arrival.calling_ae_title,
            peer_address=arrival.peer_address,
        )
        self.stored.adopt(arrival.path, received.key)
        held = self._commit_or_remove(received)
        if held is None:
            RECEIVED.labels(status="stored").inc()
            return StoreStatus.SUCCESS
        return self._settle_duplicate(received, held)

    def _commit_or_remove(self, received: Received) -> Held | None:
        try:
            return self.group_commit.commit(received)
        except (TransientFault, OSError):
            RECEIVED.labels(status="refused").inc()
            self.stored.remove(received.key)
            raise

    def _settle_duplicate(self, received: Received, held: Held) -> StoreStatus:
        if self._same_dataset(received, held):
            self.stored.remove(received.key)
            RECEIVED.labels(status="duplicate").inc()
            return StoreStatus.SUCCESS
        reason = (
            f"SOP Instance UID {received.sop_instance_uid} came a second time with other bytes; "
            "the first is used, these are kept in quarantine. Ask the sender which is right."
        )
        quarantine(self.database, received, reason)
        log.warning("same UID, other bytes", calling_ae_title=received.calling_ae_title)
        RECEIVED.labels(status="conflict").inc()
        return StoreStatus.SUCCESS

    def _same_dataset(self, received: Received, held: Held) -> bool:
        """Whether the datasets are equal; the group 0002 before them may differ by sender."""
        if received.transfer_syntax_uid != held.transfer_syntax_uid:
            return False
        with (
            self.stored.as_file(received.key) as new,
            self.stored.as_file(held.key) as old,
        ):
            return _equal_from(new, received.dataset_offset, old, held.dataset_offset)


def run_receiver(settings: Settings, part: str, slot: str, stopped: threading.Event) -> None:
    """Receive as this slot until told to stop."""
    sys.setswitchinterval(_SWITCH_SECONDS)
    database = open_database(settings)
    stored = open_stored_bytes(settings)
    remove_unacknowledged(database, stored, slot)
    group_commit = GroupCommit(database, stored)
    reception = Reception(
        database, stored, Keys(slot, stored), group_commit, settings.storage.reserve_bytes
    )
    listeners: list[Listener] = []
    for options in listen_options(settings, part):
        remove_leftovers(options.incoming)
        listeners.append(
            start_listening(options, reception.accept, room=reception.has_room, share_port=True)
        )
    stopped.wait()
    for listener in listeners:
        listener.stop()
    group_commit.close()
    database.close()


def remove_unacknowledged(database: Database, stored: StoredBytes, slot: str) -> None:
    """Remove what this slot had stored when it was killed, but had not registered.

    Nobody was told that these bytes are kept: the sender has them and will send
    them again.
    """
    note = _folders_in_use(slot)
    if not stored.exists(note):
        return
    for folder in stored.read(note).decode().splitlines():
        found = stored.list(folder)
        for key in set(found) - known_keys(database, found):
            stored.remove(key)


def _folders_in_use(slot: str) -> str:
    return f"receivers/{slot}"


def _equal_from(one: Path, one_offset: int, other: Path, other_offset: int) -> bool:
    if one.stat().st_size - one_offset != other.stat().st_size - other_offset:
        return False
    with one.open("rb") as first, other.open("rb") as second:
        first.seek(one_offset)
        second.seek(other_offset)
        while block := first.read(_BLOCK_BYTES):
            if block != second.read(_BLOCK_BYTES):
                return False
    return True
