"""Cure 8: no thread that polls."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from tests.dicom_nodes.network.listening import listening
from tests.dicom_nodes.network.scripted_peer import ECHO, connect


def test_an_association_is_one_thread(tmp_path: Path) -> None:
    with listening(tmp_path) as node:
        before = threading.active_count()
        with connect(node.port) as peer:
            peer.associate(ECHO)
            assert peer.echo() == 0x0000
            assert threading.active_count() == before + 1


def test_a_thousand_echoes_take_less_than_a_poll_each(tmp_path: Path) -> None:
    with listening(tmp_path) as node, connect(node.port) as peer:
        peer.associate(ECHO)
        started = time.monotonic()
        for _ in range(300):
            assert peer.echo() == 0x0000
        # pynetdicom's two loops sleep for at least a millisecond each.
        assert time.monotonic() - started < 300 * 0.010
