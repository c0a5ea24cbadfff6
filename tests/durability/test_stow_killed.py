"""kill -9 in the middle of a STOW-RS request: what was answered for is kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from dicom_nodes.network.query import Level, Question
from dicom_nodes.web.multipart import closing, part_header
from service.catalogue.database import open_database
from service.catalogue.queries import instances_of
from service.catalogue.stored_bytes import open_stored_bytes
from service.settings import Settings
from tests.dicom_nodes.network.instances import SERIES, STUDY, write_instance
from tests.durability.node import Node, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

BOUNDARY = "b"
HEADERS = {"Content-Type": f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'}


def held_of(node: Node) -> dict[str, bytes]:
    """What the catalogue holds of the study, with the bytes that are there."""
    settings = Settings(data_folder=node.data_folder)
    database = open_database(settings)
    stored = open_stored_bytes(settings)
    try:
        found = instances_of(database, Question(Level.IMAGE, {"StudyInstanceUID": STUDY}))
        return {each.sop_instance_uid: stored.read(each.key) for each in found}
    finally:
        database.close()


def test_a_console_killed_between_parts_loses_nothing_that_it_answered_for(
    tmp_path: Path,
) -> None:
    files = [write_instance(tmp_path / "files", number, rows=512) for number in range(1, 9)]
    node = Node.delivering_to(tmp_path, None)
    node.start()
    try:
        node.wait_until_listening()
        console = node.process_of("console-0")
        wait_until(lambda: _is_alive(node), 120, "the console answers")

        def until_killed() -> Iterator[bytes]:
            for number, file in enumerate(files):
                yield part_header(BOUNDARY, {}, is_first=number == 0) + file.read_bytes()
                if number == 5:
                    # Some parts are whole: they are on the disk, and nobody was told.
                    wait_until(lambda: len(held_of(node)) >= 3, 60, "three parts are catalogued")
                    console.kill()

        with pytest.raises(httpx.TransportError):
            _store(node, until_killed())
        wait_until(lambda: _is_alive(node), 120, "the console is started again")

        def whole() -> Iterator[bytes]:
            for number, file in enumerate(files):
                yield part_header(BOUNDARY, {}, is_first=number == 0) + file.read_bytes()
            yield closing(BOUNDARY)

        answer = _store(node, whole())
        node.kill()
        assert answer.status_code == 200
        node.start()
        wait_until(lambda: len(held_of(node)) == len(files), 60, "all is catalogued")
        held = held_of(node)
    finally:
        node.kill()
    assert set(held) == {f"{SERIES}.{number}" for number in range(1, 9)}
    for number, file in enumerate(files, start=1):
        # The data set, byte for byte; the File Meta Information before it is the node's own.
        assert held[f"{SERIES}.{number}"].endswith(file.read_bytes()[-4096:])
    left = [each for each in (node.data_folder / "instances").rglob("*.dcm") if each.stat().st_size]
    assert len(left) == len(files)


def _store(node: Node, body: Iterator[bytes]) -> httpx.Response:
    return httpx.post(
        f"{node.url}/dicom-web/studies", content=body, headers=HEADERS, timeout=90, trust_env=False
    )


def _is_alive(node: Node) -> bool:
    try:
        return httpx.get(f"{node.url}/healthz", trust_env=False, timeout=5).is_success
    except httpx.TransportError:
        return False
