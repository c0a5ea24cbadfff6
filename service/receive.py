"""Receiving without loss: bytes, then row, then the answer.

The order is the promise. An instance is answered with 0x0000 only when its
bytes are fsynced under their final name and its row is committed. The names are
made durable beforehand, many at once; what several associations bring at the
same moment is fsynced one right after the other and shares one transaction.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import uuid4

import structlog

from dicom_nodes.network.instance_store import Arrival, StoreStatus
from dicom_nodes.network.observed_queries import observed
from dicom_nodes.network.storage_scp import start_listening
from processing.measurement import TransientFault
from service.audit.arrivals import ArrivalAudit
from service.audit.network import NetworkAudit
from service.audit.trail import open_trail
from service.catalogue.arrivals import (
    Held,
    Received,
    Register,
    known_keys,
    quarantine,
    take_for_itself,
)
from service.catalogue.database import DATABASE_FAULTS, Database, open_database
from service.catalogue.stored_bytes import StoredBytes, open_stored_bytes
from service.instruments import RECEIVED
from service.listening import listen_options
from service.offered_services import offered_services
from service.prior_gate import PriorGate
from service.settings import Settings

INSTANCES_PER_FOLDER: Final = 1000
_PREPARED_KEYS: Final = 50
_BLOCK_BYTES: Final = 1 << 20
# Threads here wait for the disk most of the time; one that comes back should not wait
# five more milliseconds, Python's default, until another lets it go on.
_SWITCH_SECONDS: Final = 0.0005

log = structlog.get_logger()


@dataclass(slots=True)
class Keys:
    """New keys for instances, prepared many at once, a thousand to a folder.

    The folders in use are noted, so that a restart looks for leftovers in these
    and not in all that was ever received.
    """

    slot: str
    stored: StoredBytes
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _given: int = 0
    _folders: list[str] = field(default_factory=list)
    _prepared: list[str] = field(default_factory=list)

    def next(self, moment: datetime) -> str:
        """A prepared key that nothing else has.

        Raises
        ------
        TransientFault, OSError
            If none could be prepared.
        """
        with self._lock:
            if self._given % INSTANCES_PER_FOLDER == 0:
                self._open_folder(moment)
            if not self._prepared:
                prepared = [f"{self._folders[-1]}/{uuid4().hex}.dcm" for _ in range(_PREPARED_KEYS)]
                self.stored.prepare(prepared)
                self._prepared = prepared
            self._given += 1
            return self._prepared.pop()

    def close(self) -> None:
        """Remove what was prepared and not used."""
        with self._lock:
            while self._prepared:
                self.stored.remove(self._prepared.pop())

    def _open_folder(self, moment: datetime) -> None:
        folder = f"instances/{moment:%Y/%m/%d}/{self.slot}-{uuid4().hex[:8]}"
        # Slow associations may still be busy in the folder before.
        self._folders = [*self._folders[-1:], folder]
        self.stored.write(_folders_in_use(self.slot), "\n".join(self._folders).encode())


class GroupCommit:
    """Commits what waits, all of it at once, in the thread of one who waits.

    Whoever comes while nothing is being committed does it, for himself and for
    all who came before; who comes meanwhile waits, and one of these is next.
    Nothing is handed to another thread, and nothing waits for a timer.
    """

    def __init__(self, database: Database, stored: StoredBytes) -> None:
        self._register = Register(database)
        self._stored = stored
        self._changed = threading.Condition()
        self._committing = False
        self._waiting: list[_Waiting] = []

    def commit(self, received: Received) -> Held | None:
        """Return when the row is durable; see `service.catalogue.arrivals.Register`.

        Raises
        ------
        TransientFault, OSError
            If it could not be committed.
        """
        own = _Waiting(received)
        with self._changed:
            self._waiting.append(own)
            while self._committing and not own.done.done():
                self._changed.wait()
            batch = [] if own.done.done() else self._waiting
            if batch:
                self._waiting = []
                self._committing = True
        if batch:
            try:
                self._commit(batch)
            finally:
                _release(batch)
                with self._changed:
                    self._committing = False
                    self._changed.notify_all()
        return own.done.result()

    def close(self) -> None:
        """Close the connection to the catalogue."""
        self._register.close()

    def _commit(self, batch: list[_Waiting]) -> None:
        try:
            self._stored.settle([each.received.key for each in batch])
            held = self._register.enter([each.received for each in batch])
        except (TransientFault, OSError) as fault:
            for each in batch:
                each.done.set_exception(fault)
            return
        for each, found in zip(batch, held, strict=True):
            each.done.set_result(found)


@dataclass(frozen=True, slots=True)
class _Waiting:
    received: Received
    done: Future[Held | None] = field(default_factory=Future)


def _release(batch: list[_Waiting]) -> None:
    """Let nobody wait for a commit that broke off unexpectedly; a no-op after any other."""
    for each in batch:
        if not each.done.done():
            each.done.set_exception(TransientFault("the commit broke off; send it again"))


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

    def place(self) -> Path:
        """Where the next instance is to be written."""
        return self.stored.arriving(self.keys.next(datetime.now(UTC)))

    def accept(self, arrival: Arrival, *, prior: bool = False) -> StoreStatus:
        """Keep an arrival for good, and say so only then.

        A `prior` came for the sake of another study, and starts no work of its own.

        Raises
        ------
        TransientFault, OSError
            If it could not be kept; the sender may try again.
        """
        received = Received(
            sop_instance_uid=arrival.sop_instance_uid,
            sop_class_uid=arrival.sop_class_uid,
            transfer_syntax_uid=arrival.transfer_syntax_uid,
            key=self.stored.key_of(arrival.path),
            size_bytes=arrival.size_bytes,
            dataset_offset=arrival.dataset_offset,
            received_at=datetime.now(UTC),
            calling_ae_title=arrival.calling_ae_title,
            peer_address=arrival.peer_address,
            prior=prior,
        )
        held = self._commit_or_remove(received)
        if held is None:
            RECEIVED.labels(status="stored").inc()
            return StoreStatus.SUCCESS
        return self._settle_duplicate(received, held)

    def discard(self, arrival: Arrival) -> None:
        """Remove the bytes of an arrival that is not kept."""
        self.stored.remove(self.stored.key_of(arrival.path))

    def _commit_or_remove(self, received: Received) -> Held | None:
        try:
            return self.group_commit.commit(received)
        except (TransientFault, OSError):
            RECEIVED.labels(status="refused").inc()
            self._remove_unless_known(received.key)
            raise

    def _remove_unless_known(self, key: str) -> None:
        """Remove bytes that were refused, if the catalogue can say that it has no row of them.

        A commit whose answer was lost may have taken place. Without an answer
        the bytes stay, and `remove_unacknowledged` decides at the next start.
        """
        try:
            if not known_keys(self.database, [key]):
                self.stored.remove(key)
        except (TransientFault, OSError, *DATABASE_FAULTS) as fault:
            log.warning("refused bytes are kept until the next start", reason=str(fault))

    def _settle_duplicate(self, received: Received, held: Held) -> StoreStatus:
        if self._same_dataset(received, held):
            if held.prior and not received.prior:
                take_for_itself(
                    self.database,
                    replace(received, key=held.key, dataset_offset=held.dataset_offset),
                )
            self.stored.remove(received.key)
            RECEIVED.labels(status="duplicate").inc()
            return StoreStatus.SUCCESS
        if held.prior and not received.prior:
            return self._replace_prior(received, held)
        reason = (
            f"SOP Instance UID {received.sop_instance_uid} came a second time with other bytes; "
            "the first is used, these are kept in quarantine. Ask the sender which is right."
        )
        quarantine(self.database, received, reason)
        log.warning("same UID, other bytes", calling_ae_title=received.calling_ae_title)
        RECEIVED.labels(status="conflict").inc()
        return StoreStatus.SUCCESS

    def _replace_prior(self, received: Received, held: Held) -> StoreStatus:
        """Use what is sent for its own sake; what was fetched as a prior gives way."""
        quarantine(
            self.database,
            replace(received, key=held.key, dataset_offset=held.dataset_offset),
            f"SOP Instance UID {received.sop_instance_uid} was fetched as a prior, and then sent "
            "with other bytes; what was sent is used, what was fetched is kept in quarantine. "
            "Ask the archive which is right.",
        )
        take_for_itself(self.database, received)
        RECEIVED.labels(status="stored").inc()
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


def run_receiver(settings: Settings, slot: str, stopped: threading.Event) -> None:
    """Receive as this slot until told to stop."""
    sys.setswitchinterval(_SWITCH_SECONDS)
    database = open_database(settings)
    stored = open_stored_bytes(settings)
    with (
        open_trail(settings) as trail,
        reception_of(settings, slot, database, stored) as reception,
    ):
        arrivals, network = ArrivalAudit(trail), NetworkAudit(trail)
        services = observed(offered_services(settings, database, stored), network.asked)
        gate = PriorGate(settings, database, reception)
        listeners = [
            start_listening(
                options,
                arrivals.around(gate.accept),
                place=reception.place,
                room=reception.has_room,
                services=services,
                share_port=True,
                rejected=network.rejected,
                ended=arrivals.ended,
            )
            for options in listen_options(settings)
        ]
        stopped.wait()
        for listener in listeners:
            listener.stop()
    database.close()


@contextmanager
def reception_of(
    settings: Settings, slot: str, database: Database, stored: StoredBytes
) -> Iterator[Reception]:
    """The reception of a slot, which first removes what the slot had left over.

    A slot must not be used by two processes at once.
    """
    remove_unacknowledged(database, stored, slot)
    group_commit = GroupCommit(database, stored)
    keys = Keys(slot, stored)
    try:
        yield Reception(database, stored, keys, group_commit, settings.storage.reserve_bytes)
    finally:
        keys.close()
        group_commit.close()


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
