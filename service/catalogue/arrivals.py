"""Rows for what has just been received: one transaction serves many associations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect

from processing.measurement import TransientFault
from service.catalogue.database import DATABASE_FAULTS, Database
from service.catalogue.models import Instance, Quarantined


@dataclass(frozen=True, slots=True)
class Received:
    """An instance whose bytes are stored and whose row is to be written.

    One that came as a prior of another study starts no work of its own.
    """

    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    key: str
    size_bytes: int
    dataset_offset: int
    received_at: datetime
    calling_ae_title: str
    peer_address: str
    prior: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """What is already held under a SOP Instance UID; `prior` as in `Received`."""

    key: str
    dataset_offset: int
    transfer_syntax_uid: str
    prior: bool = False


@dataclass(slots=True)
class Register:
    """Writes rows over a connection that stays open; for one thread at a time."""

    database: Database
    _connection: sa.Connection | None = None

    def enter(self, batch: Sequence[Received]) -> list[Held | None]:
        """Write the rows of a batch in one transaction.

        Returns
        -------
        list
            One entry for each of `batch`: None when its row was written, otherwise
            what is already held under its SOP Instance UID (its row was not written).

        Raises
        ------
        TransientFault
            If the database did not take the rows.
        """
        if not batch:
            return []
        try:
            if self._connection is None:
                self._connection = self.database.engine.connect()
            with self.database.turn(), self._connection.begin():
                return _entered(self._connection, batch)
        except DATABASE_FAULTS as fault:
            self.close()
            raise TransientFault(f"the catalogue did not take the rows: {fault.orig}") from fault

    def close(self) -> None:
        """Close the connection; the next batch opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _entered(connection: sa.Connection, batch: Sequence[Received]) -> list[Held | None]:
    insert = _insert(connection.dialect)
    done = connection.exec_driver_sql(insert.text, [insert.values(each) for each in batch])
    # Nearly always all of them: then nothing more needs to be asked.
    if done.rowcount == len(batch):
        return [None] * len(batch)
    held = _held(connection, {each.sop_instance_uid for each in batch})
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


def take_for_itself(database: Database, received: Received) -> None:
    """Make a prior that is now sent for its own sake an instance like any other.

    It is catalogued anew, and starts work then. `received` says where its bytes are
    from now on, and who sent them.

    Raises
    ------
    TransientFault
        If the database did not take the change.
    """
    try:
        with database.engine.begin() as connection:
            connection.execute(
                sa.update(Instance)
                .where(Instance.sop_instance_uid == received.sop_instance_uid, Instance.prior)
                .values(**_row(received), catalogued_at=None)
            )
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


@dataclass(frozen=True, slots=True)
class _Insert:
    """The insert of a row as text for the driver.

    Through SQLAlchemy's expressions the same takes twice the time of SQLite's
    own commit, for every instance that is received.
    """

    text: str
    names: tuple[str, ...]
    processors: Mapping[str, Callable[[Any], Any]]
    positional: bool

    def values(self, received: Received) -> Any:
        """The parameters of one row, in the driver's form."""
        row = {**_row(received), "own": False}
        for name, process in self.processors.items():
            row[name] = process(row[name])
        return tuple(row[name] for name in self.names) if self.positional else row


@lru_cache
def _insert(dialect: Dialect) -> _Insert:
    table = Instance.metadata.tables[Instance.__tablename__]
    columns = [*Received.__slots__, "own"]
    insert = sqlite.insert if dialect.name == "sqlite" else postgresql.insert
    compiled = (
        insert(table)
        .on_conflict_do_nothing()
        .inline()
        .compile(dialect=dialect, column_keys=columns)
    )
    processors = {
        name: table.c[name].type.dialect_impl(dialect).bind_processor(dialect) for name in columns
    }
    return _Insert(
        text=str(compiled),
        names=tuple(compiled.positiontup or columns),
        processors={name: each for name, each in processors.items() if each is not None},
        positional=compiled.positional,
    )


def _held(connection: sa.Connection, uids: set[str]) -> dict[str, Held]:
    if not uids:
        return {}
    query = sa.select(
        Instance.sop_instance_uid,
        Instance.key,
        Instance.dataset_offset,
        Instance.transfer_syntax_uid,
        Instance.prior,
    ).where(Instance.sop_instance_uid.in_(uids))
    return {
        row.sop_instance_uid: Held(row.key, row.dataset_offset, row.transfer_syntax_uid, row.prior)
        for row in connection.execute(query)
    }
