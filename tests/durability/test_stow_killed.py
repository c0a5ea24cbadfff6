"""kill -9 in the middle of a STOW-RS request: what was answered for is kept."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from dicom_nodes.web.multipart import closing, part_header
from service.catalogue.database import migrate, open_database
from service.catalogue.models import Instance
from service.settings import Settings
from service.workflow.engine import migrate_engine
from tests.dicom_nodes.network.instances import SERIES, write_instance
from tests.durability.node import REPOSITORY, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

BOUNDARY = "b"
HEADERS = {"Content-Type": f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'}


class Console:
    """The part of a node that serves HTTP, as a process that can be killed."""

    def __init__(self, data_folder: Path, port: int) -> None:
        self.settings = Settings(data_folder=data_folder)
        self._environment = {
            **os.environ,
            "HEMIFACE_DATA_FOLDER": str(data_folder),
            "HEMIFACE_SETTINGS": str(data_folder / "none.toml"),
            "HEMIFACE_HTTP__PORT": str(port),
            "HEMIFACE_STORAGE__RESERVE_BYTES": "0",
        }
        self.url = f"http://127.0.0.1:{port}"
        migrate(self.settings)
        migrate_engine(self.settings)

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "service.part", "console-0"],
            stdin=subprocess.PIPE,
            env=self._environment,
            cwd=REPOSITORY,
        )
        wait_until(self._is_alive, 150, "the console answers")

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdin is not None
        self._process.stdin.close()

    def store(self, body: Iterator[bytes]) -> httpx.Response:
        return httpx.post(
            f"{self.url}/dicom-web/studies",
            content=body,
            headers=HEADERS,
            timeout=90,
            trust_env=False,
        )

    def held(self) -> dict[str, Path]:
        """The files of all instances in the catalogue."""
        database = open_database(self.settings)
        try:
            with database.sessions() as session:
                rows = session.execute(select(Instance.sop_instance_uid, Instance.key)).all()
        finally:
            database.close()
        return {uid: self.settings.data_folder / key for uid, key in rows}

    def _is_alive(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz", trust_env=False, timeout=5).is_success
        except httpx.TransportError:
            return False


def test_a_console_killed_between_parts_loses_nothing_that_it_answered_for(
    tmp_path: Path, free_port: int
) -> None:
    files = [write_instance(tmp_path / "files", number, rows=512) for number in range(1, 9)]
    console = Console(tmp_path / "data", free_port)

    def parts() -> Iterator[bytes]:
        for number, file in enumerate(files):
            yield part_header(BOUNDARY, {}, is_first=number == 0) + file.read_bytes()

    def until_killed() -> Iterator[bytes]:
        for number, part in enumerate(parts()):
            yield part
            if number == 5:
                # Some parts are on the disk and in the catalogue, and nobody was told.
                wait_until(lambda: len(console.held()) >= 3, 60, "three parts are kept")
                console.kill()

    def whole() -> Iterator[bytes]:
        yield from parts()
        yield closing(BOUNDARY)

    console.start()
    with pytest.raises(httpx.TransportError):
        console.store(until_killed())
    kept_before = console.held()
    console.start()
    answer = console.store(whole())
    console.kill()
    assert answer.status_code == 200
    held = console.held()
    assert set(held) == {f"{SERIES}.{number}" for number in range(1, 9)}
    assert kept_before.items() <= held.items()
    for number, file in enumerate(files, start=1):
        # The data set is the same; the File Meta Information before it is the node's own.
        kept = held[f"{SERIES}.{number}"].read_bytes()
        assert kept.endswith(file.read_bytes()[-512 * 512 :])
    # Of the part that was cut off nothing is left, but for names that were prepared.
    left = (console.settings.data_folder / "instances").rglob("*.dcm")
    assert {each for each in left if each.stat().st_size} == set(held.values())
