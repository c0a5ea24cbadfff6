from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.catalogue.database import Database
from service.catalogue.stored_bytes import LocalBytes, StoredBytes, open_stored_bytes
from service.settings import Settings, StorageSettings
from tests.migrated import empty_catalogue


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_folder=tmp_path / "data", storage=StorageSettings(reserve_bytes=0))


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    with empty_catalogue(settings) as opened:
        yield opened


@pytest.fixture
def stored(settings: Settings) -> StoredBytes:
    opened = open_stored_bytes(settings)
    assert isinstance(opened, LocalBytes)
    return opened
