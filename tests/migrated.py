"""Empty catalogues of the present schema, without running the migrations for each."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from service.catalogue.database import Database, migrate, open_database
from service.settings import Settings


@functools.cache
def _migrated_files() -> Mapping[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        migrate(Settings(data_folder=Path(folder)))
        return {each.name: each.read_bytes() for each in Path(folder).iterdir()}


def make_catalogue(settings: Settings) -> None:
    """`migrate` of an empty data folder: the first one's files again where they are SQLite's."""
    if settings.database.url:
        migrate(settings)
        return
    settings.data_folder.mkdir(parents=True, exist_ok=True)
    for name, content in _migrated_files().items():
        (settings.data_folder / name).write_bytes(content)


@contextmanager
def empty_catalogue(settings: Settings) -> Iterator[Database]:
    """The open catalogue of a data folder that is new."""
    make_catalogue(settings)
    database = open_database(settings)
    try:
        yield database
    finally:
        database.close()
