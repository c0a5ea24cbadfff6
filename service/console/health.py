"""Whether the node is ready to take images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from dicom_nodes.network.verification_scu import echo
from processing.measurement import PermanentFault, TransientFault
from service.catalogue.database import DATABASE_FAULTS, Database, ping
from service.catalogue.results import living_slots
from service.catalogue.stored_bytes import StoredBytes
from service.display import size
from service.peers import local_node
from service.settings import Settings

# A worker that was silent for this long is taken for gone, as the sweep does.
_SILENCE: Final = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Health:
    """How the node is.

    `reasons` say why it is not ready, and are empty when it is; `warnings` say
    what else a person should know.
    """

    reasons: tuple[str, ...]
    warnings: tuple[str, ...]
    workers: int

    @property
    def is_ready(self) -> bool:
        """Whether the node takes images."""
        return not self.reasons


def health_of(settings: Settings, database: Database, stored: StoredBytes) -> Health:
    """Look at the database, the DICOM port and the disk."""
    reasons = tuple(
        reason
        for reason in (
            _database_fault(database),
            _dicom_fault(settings),
            disk_fault(settings, stored),
        )
        if reason is not None
    )
    workers = _workers(database)
    warnings = () if workers else ("no worker is running: images are kept, but not measured",)
    return Health(reasons, warnings, workers)


def page_warnings(settings: Settings, database: Database, stored: StoredBytes) -> Iterator[str]:
    """What stands above the studies: what the page can tell without asking the network."""
    full = disk_fault(settings, stored)
    if full is not None:
        yield full
    if not _workers(database):
        yield "no worker is running: images are kept, but not measured"


def disk_fault(settings: Settings, stored: StoredBytes) -> str | None:
    """Why images are refused for want of room, or None."""
    try:
        free = stored.free_bytes()
    except OSError as fault:
        return f"the data folder cannot be read: {fault.strerror}"
    reserve = settings.storage.reserve_bytes
    if free is None or free > reserve:
        return None
    return (
        f"the disk is full: {size(free)} free, the reserve is {size(reserve)}; "
        "images are refused until there is room"
    )


def _database_fault(database: Database) -> str | None:
    try:
        ping(database)
    except TransientFault as fault:
        return str(fault)
    return None


def _dicom_fault(settings: Settings) -> str | None:
    """Why the DICOM port does not answer; one that rejects this node's own AE title answers."""
    peer = replace(
        local_node(settings, settings.dicom.ae_title),
        connection_timeout_seconds=2,
        acse_timeout_seconds=5,
        dimse_timeout_seconds=5,
        network_timeout_seconds=5,
    )
    try:
        echo(peer)
    except TransientFault as fault:
        return f"the DICOM port does not answer: {fault}"
    except PermanentFault:
        return None
    return None


def _workers(database: Database) -> int:
    try:
        return len(living_slots(database, _SILENCE))
    except DATABASE_FAULTS:
        return 0
