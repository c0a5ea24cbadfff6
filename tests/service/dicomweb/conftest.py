from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from dicom_nodes.audit.events import Node as AuditedNode
from dicom_nodes.web.multipart import closing, part_header
from service.audit.arrivals import ArrivalAudit
from service.audit.trail import NoTrail
from service.catalogue.database import Database, for_reading
from service.catalogue.stored_bytes import StoredBytes
from service.dicomweb.application import dicomweb_application
from service.dicomweb.web_node import WebNode
from service.receive import reception_of
from service.settings import Settings
from service.workflow.cataloguing import Cataloguer, FallsWhileReading

BOUNDARY = "the-boundary"
MULTIPART = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'


def multipart_body(files: Iterable[bytes | Path]) -> bytes:
    body = b""
    for number, each in enumerate(files):
        content = each.read_bytes() if isinstance(each, Path) else each
        fields = {"Content-Type": "application/dicom"}
        body += part_header(BOUNDARY, fields, is_first=number == 0) + content
    return body + closing(BOUNDARY)


@dataclass(slots=True)
class WatchedEngine:
    """Remembers which studies are to be looked at, and how soon."""

    looks: list[tuple[str, float]] = field(default_factory=list)

    def look_at_study_in(self, study_instance_uid: str, seconds: float) -> None:
        self.looks.append((study_instance_uid, seconds))


def catalogue_all(
    settings: Settings, database: Database, stored: StoredBytes, engine: WatchedEngine
) -> None:
    """Read the headers of what has arrived, as the cataloguer does."""
    falls = FallsWhileReading(settings.data_folder / "reading")
    cataloguer = Cataloguer(settings, database, stored, engine, falls)  # type: ignore[arg-type] # in its place
    while cataloguer.catalogue_next():
        pass


@dataclass(slots=True)
class Site:
    """DICOMweb of a node without a network, with what stands behind it."""

    node: WebNode
    database: Database
    engine: WatchedEngine
    settings: Settings

    def ask(
        self,
        method: str,
        path: str,
        *,
        content: bytes | Iterable[bytes] = b"",
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        return asyncio.run(self._ask(method, path, content, headers))

    def get(self, path: str, accept: str = "*/*") -> httpx.Response:
        return self.ask("GET", path, headers={"Accept": accept})

    def store(
        self,
        files: Iterable[bytes | Path],
        path: str = "/studies",
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        return self.ask(
            "POST",
            path,
            content=multipart_body(files),
            headers={"Content-Type": MULTIPART, **(headers or {})},
        )

    def catalogue(self) -> None:
        """Read the headers of what has arrived, as the cataloguer does."""
        catalogue_all(self.settings, self.database, self.node.stored, self.engine)

    async def _ask(
        self,
        method: str,
        path: str,
        content: bytes | Iterable[bytes],
        headers: Mapping[str, str] | None,
    ) -> httpx.Response:
        async def pieces() -> AsyncIterator[bytes]:
            for each in [content] if isinstance(content, bytes) else content:
                yield each

        transport = httpx.ASGITransport(dicomweb_application(self.node))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.request(method, path, content=pieces(), headers=headers)


@pytest.fixture
def start_site(
    settings: Settings, database: Database, stored: StoredBytes
) -> Iterator[Callable[..., Site]]:
    """Make a `Site` of some settings: ``start_site(dicomweb=DicomwebSettings(...))``."""
    open_receptions = []

    def start(**changes: object) -> Site:
        changed = settings.model_copy(update=changes)
        engine = WatchedEngine()
        opened = reception_of(changed, f"slot-{len(open_receptions)}", database, stored)
        reception = opened.__enter__()
        trail = NoTrail(AuditedNode(changed.dicom.ae_title))
        open_receptions.append(opened)
        node = WebNode(
            changed, for_reading(database), stored, reception, engine, ArrivalAudit(trail)
        )
        return Site(node, database, engine, changed)

    yield start
    for each in open_receptions:
        each.__exit__(None, None, None)


@pytest.fixture
def site(start_site: Callable[..., Site]) -> Site:
    return start_site()
