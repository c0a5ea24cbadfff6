"""kill -9 around the acknowledgement of an order: what was acknowledged is kept, once."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hl7.client import MLLPClient

from service.catalogue import worklist
from service.catalogue.database import migrate, open_database
from service.settings import Settings
from service.workflow.engine import migrate_engine
from tests.durability.node import REPOSITORY, wait_until
from tests.service.hl7_orders.hl7_samples import orm

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

PARSED = "service.hl7_orders.taking:order_change:after"
COMMITTED = "service.hl7_orders.taking:apply_change:after"


class Orders:
    """The part of a node that takes orders, as a process that kills itself when asked."""

    def __init__(self, folder: Path, port: int) -> None:
        self.port = port
        self.kill_at = folder / "kill-at"
        self.settings = Settings(data_folder=folder / "data")
        self.process: subprocess.Popen[bytes] | None = None
        migrate(self.settings)
        migrate_engine(self.settings)

    def start(self) -> None:
        environment = {
            **os.environ,
            "HEMIFACE_DATA_FOLDER": str(self.settings.data_folder),
            "HEMIFACE_SETTINGS": str(self.settings.data_folder / "none.toml"),
            "HEMIFACE_WORKLIST__ORDERS__PORT": str(self.port),
            "HEMIFACE_TEST_KILL_POINTS": f"{PARSED} {COMMITTED}",
            "HEMIFACE_TEST_KILL_AT": str(self.kill_at),
            "PYTHONPATH": f"{REPOSITORY / 'tests' / 'durability' / 'kill_at'}:{REPOSITORY}",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "service.part", "orders-0"],
            stdin=subprocess.PIPE,
            env=environment,
            cwd=REPOSITORY,
        )
        wait_until(self._listens, 120, "orders are taken")

    def end(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            assert self.process.stdin is not None
            self.process.stdin.close()

    def send(self, text: str) -> bytes:
        """The acknowledgement; empty where the node fell."""
        with MLLPClient("127.0.0.1", self.port) as client:
            try:
                return bytes(client.send_message(text))
            except ConnectionResetError:
                return b""

    def kept(self) -> list[str]:
        database = open_database(self.settings)
        try:
            return [each.step.accession_number for each in worklist.items(database, 100)]
        finally:
            database.close()

    def _listens(self) -> bool:
        try:
            # MLLPClient leaves its socket open when it is refused.
            socket.create_connection(("127.0.0.1", self.port), timeout=10).close()
        except ConnectionRefusedError:
            return False
        return True


@pytest.fixture
def orders(tmp_path: Path, free_port: int) -> Iterator[Orders]:
    made = Orders(tmp_path, free_port)
    yield made
    made.end()


@pytest.mark.parametrize(("point", "kept"), [(PARSED, []), (COMMITTED, ["A1"])])
def test_an_order_that_was_not_acknowledged_is_sent_again_and_kept_once(
    orders: Orders, point: str, kept: list[str]
) -> None:
    orders.start()
    orders.kill_at.write_text(point)
    assert orders.send(orm()) == b""
    orders.end()
    assert orders.kept() == kept
    orders.start()
    assert b"MSA|AA|M1" in orders.send(orm())
    orders.end()
    assert orders.kept() == ["A1"]


def test_what_was_acknowledged_outlives_a_kill_at_once(orders: Orders) -> None:
    orders.start()
    answers = [orders.send(orm(control_id=f"M{n}", step_id=f"S{n}")) for n in range(5)]
    orders.end()
    assert all(b"MSA|AA|" in each for each in answers)
    assert len(orders.kept()) == 5
