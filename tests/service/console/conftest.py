from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import httpx
import pytest
from fastapi import FastAPI

from service.catalogue.database import Database, for_reading
from service.catalogue.stored_bytes import StoredBytes
from service.console.application import Sources, build_application
from service.settings import Settings
from tests.service.console.seeding import Seeder, ToldEngine


@dataclass(frozen=True, slots=True)
class Browser:
    """Asks the application without a network; Starlette's own client wants another httpx."""

    application: FastAPI

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
        return asyncio.run(self._get(path, headers))

    async def _get(self, path: str, headers: Mapping[str, str] | None) -> httpx.Response:
        transport = httpx.ASGITransport(self.application)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://127.0.0.1:8080"
        ) as client:
            return await client.get(path, headers=headers)


@pytest.fixture
def engine() -> ToldEngine:
    return ToldEngine()


@pytest.fixture
def seed(database: Database, stored: StoredBytes) -> Seeder:
    return Seeder(database, stored)


@pytest.fixture
def browser(
    settings: Settings, database: Database, stored: StoredBytes, engine: ToldEngine
) -> Browser:
    sources = Sources(settings, for_reading(database), stored, engine)
    return Browser(build_application(sources))
