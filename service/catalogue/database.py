"""Opening the catalogue's database, and bringing it to the present schema."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event
from sqlalchemy.orm import Session, sessionmaker

from processing.measurement import PermanentFault, TransientFault
from service.settings import Settings

MIGRATIONS = Path(__file__).parent / "migrations"

# What any read or write raises while the database is away or of another schema.
DATABASE_FAULTS: Final = (sa.exc.OperationalError, sa.exc.ProgrammingError, sa.exc.InterfaceError)


@dataclass(frozen=True, slots=True)
class Database:
    """An open catalogue. Make one in each process; it does not survive a fork."""

    engine: sa.Engine
    sessions: sessionmaker[Session]

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for the turn to write, among processes that write often.

        SQLite's writers poll for their turn, with pauses of up to 100 ms. The
        kernel's file locks wake the next one at once. Must not be nested.
        """
        if self.engine.dialect.name != "sqlite" or not self.engine.url.database:
            yield
            return
        with Path(f"{self.engine.url.database}-turn").open("wb") as turn:
            # Closing the file gives the turn to the next.
            fcntl.flock(turn, fcntl.LOCK_EX)
            yield

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def catalogue_url(settings: Settings) -> str:
    """The catalogue's URL: as set, or SQLite in the data folder."""
    if settings.database.url:
        return _with_psycopg(settings.database.url)
    return f"sqlite:///{settings.data_folder.absolute() / 'catalogue.sqlite'}"


def engine_url(settings: Settings) -> str:
    """Where the workflow engine keeps its tables: the same server, or a second SQLite file.

    A file of its own, because the engine polls and SQLite has one writer a file:
    the receiver's commits should not wait for that.
    """
    if settings.database.url:
        return _with_psycopg(settings.database.url)
    return f"sqlite:///{settings.data_folder.absolute() / 'workflow.sqlite'}"


def open_database(settings: Settings) -> Database:
    """Open the catalogue without changing its schema.

    Raises
    ------
    TransientFault
        If the database cannot be reached.
    """
    engine = _create_engine(catalogue_url(settings))
    try:
        with engine.connect():
            pass
    except sa.exc.OperationalError as fault:
        raise TransientFault(f"the database cannot be opened: {fault.orig}") from fault
    return Database(engine, sessionmaker(engine, expire_on_commit=False))


def open_present_database(settings: Settings, *, for_writing: bool = False) -> Database:
    """Open the catalogue of a node that has been started before; for reading unless said.

    Raises
    ------
    TransientFault
        If the database cannot be reached.
    PermanentFault
        If there is no catalogue in it, or one of another schema.
    """
    url = sa.make_url(catalogue_url(settings))
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
        raise PermanentFault(
            f"there is no catalogue in {settings.data_folder.absolute()}; start the node there "
            "once with `hemiface serve`, or set HEMIFACE_DATA_FOLDER"
        )
    database = open_database(settings)
    held, known = schema_revisions(database)
    if held != known:
        database.close()
        raise PermanentFault(
            f"the catalogue has schema {held or 'none'}, this version works with {known}; "
            "start the node once with `hemiface serve`, which brings it to the present schema"
        )
    return database if for_writing else for_reading(database)


def for_reading(database: Database) -> Database:
    """The same database for reads alone: on SQLite these do not queue behind writers."""
    engine = database.engine.execution_options(read_only=True)
    return Database(engine, sessionmaker(engine, expire_on_commit=False))


def schema_revisions(database: Database) -> tuple[str | None, str | None]:
    """The revision of the schema in the database, and the one that this version works with."""
    with database.engine.connect() as connection:
        held = MigrationContext.configure(connection).get_current_revision()
    return held, ScriptDirectory(str(MIGRATIONS)).get_current_head()


def ping(database: Database) -> None:
    """Return when the database answers.

    Raises
    ------
    TransientFault
        If it does not.
    """
    try:
        with database.engine.connect() as connection:
            connection.execute(sa.text("SELECT 1"))
    except DATABASE_FAULTS as fault:
        raise TransientFault(f"the database does not answer: {fault.orig}") from fault


def migrate(settings: Settings) -> None:
    """Bring the catalogue to the present schema, and both SQLite files into WAL mode.

    Raises
    ------
    TransientFault
        If the database cannot be reached.
    PermanentFault
        If a newer version has written the catalogue.
    """
    settings.data_folder.mkdir(parents=True, exist_ok=True)
    database = open_database(settings)
    try:
        configuration = Config()
        configuration.set_main_option("script_location", str(MIGRATIONS))
        with database.engine.begin() as connection:
            configuration.attributes["connection"] = connection
            held = MigrationContext.configure(connection).get_current_revision()
            if held is not None and held not in _known_revisions():
                raise PermanentFault(
                    f"a newer version of hemiface has written the catalogue (schema {held}); "
                    "start that version again"
                )
            command.upgrade(configuration, "head")
    finally:
        database.close()
    prepare_sqlite(engine_url(settings))


def _known_revisions() -> set[str]:
    return {each.revision for each in ScriptDirectory(str(MIGRATIONS)).walk_revisions()}


def prepare_sqlite(url: str) -> None:
    """Put an SQLite file into WAL mode, which it then keeps; nothing for other databases."""
    if not url.startswith("sqlite"):
        return
    engine = _create_engine(url)
    with engine.connect():
        pass
    engine.dispose()


def _with_psycopg(url: str) -> str:
    """Name the driver that is installed where the URL names none."""
    for scheme in ("postgresql://", "postgres://"):
        if url.startswith(scheme):
            return "postgresql+psycopg://" + url.removeprefix(scheme)
    return url


def _create_engine(url: str) -> sa.Engine:
    if not url.startswith("sqlite"):
        return sa.create_engine(url, pool_pre_ping=True, pool_size=8)
    engine = sa.create_engine(url, connect_args={"timeout": 30, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def _durable(connection: Any, _record: Any) -> None:
        # The transaction is begun below, so that writers queue instead of failing.
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")

    @event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        immediate = not connection.get_execution_options().get("read_only", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine
