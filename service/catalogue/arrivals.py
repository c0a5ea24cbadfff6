"""Rows for what has just been received: one transaction serves many associations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from processing.measurement import TransientFault
from service.catalogue.database import Database
from service.catalogue.models import Instance, Quarantined


@dataclass(frozen=True, slots=True)
class Received:
    """An instance whose bytes are stored and whose row is to be written."""

    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    key: str
    size_bytes: int
    dataset_offset: int
    received_at: datetime
    calling_ae_title: str
    peer_address: str


@dataclass(frozen=True, slots=True)
class Held:
    """What is already held under a SOP Instance UID."""

    key: str
    dataset_offset: int
    transfer_syntax_uid: str


def register(database: Database, batch: Sequence[Received]) -> list[Held | None]:
    """Write the rows of a batch in one transaction.

    Returns
    -------
    list
        One entry for each of `batch`: None when its row was written, otherwise
        what is already held under its SOP Instance UID (its row was not written).

    Raises
    ------
    TransientFault
        If the database did not take the rows; none of them was written.
    """
    if not batch:
        return []
    try:
        with database.turn(), database.engine.begin() as connection:
            done = connection.execute(_insert(database), [_row(each) for each in batch])
            # Nearly always all of them: then nothing more needs to be asked.
            if done.rowcount == len(batch):
                return [None] * len(batch)
            held = _held(connection, {each.sop_instance_uid for each in batch})
    except sa.exc.OperationalError as fault:
        raise TransientFault(f"the catalogue did not take the rows: {fault.orig}") from fault
    found = [held[each.sop_instance_uid] for each in batch]
    return [None if each.key == row.key else row for each, row in zip(batch, found, strict=True)]


def quarantine(database: Database, received: Received, reason: str) -> None:
    """Record that these bytes are kept but not used.

    Raises
    ------
    TransientFault
        If the database did not take the row.
    """
    kept = Quarantined.metadata.tables[Quarantined.__tablename__].columns
    row = {name: value for name, value in _row(received).items() if name in kept}
    try:
        with database.engine.begin() as connection:
            connection.execute(sa.insert(Quarantined).values(**row, reason=reason))
    except sa.exc.OperationalError as fault:
        raise TransientFault(f"the catalogue did not take the row: {fault.orig}") from fault


def known_keys(database: Database, keys: Sequence[str]) -> set[str]:
    """Those of `keys` that a row, of whichever kind, points to."""
    with database.sessions() as session:
        return {
            key
            for table in (Instance, Quarantined)
            for key in session.scalars(sa.select(table.key).where(table.key.in_(keys)))
        }


def _row(received: Received) -> dict[str, Any]:
    return {name: getattr(received, name) for name in received.__slots__}


def _insert(database: Database) -> Any:
    # On the table, not the mapped class: its compiled form is kept and used again.
    table = Instance.metadata.tables[Instance.__tablename__]
    if database.engine.dialect.name == "sqlite":
        return sqlite.insert(table).on_conflict_do_nothing()
    return postgresql.insert(table).on_conflict_do_nothing()


def _held(connection: sa.Connection, uids: set[str]) -> dict[str, Held]:
    if not uids:
        return {}
    query = sa.select(
        Instance.sop_instance_uid,
        Instance.key,
        Instance.dataset_offset,
        Instance.transfer_syntax_uid,
    ).where(Instance.sop_instance_uid.in_(uids))
    return {
        row.sop_instance_uid: Held(row.key, row.dataset_offset, row.transfer_syntax_uid)
        for row in connection.execute(query)
    }
