"""Cure 12: who says nothing, or has gone already, costs no thread and keeps nobody waiting."""

from __future__ import annotations

import logging
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from dicom_nodes.network.pynetdicom_cures.unheard_connections import (
    Accepted,
    UnheardConnections,
    has_gone,
)
from tests.dicom_nodes.network.listening import listening
from tests.dicom_nodes.network.scripted_peer import (
    A_ASSOCIATE_AC,
    ECHO,
    associate_rq,
    connect,
)

RESET = struct.pack("ii", 1, 0)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening_socket:
        yield listening_socket


def accepted_from(listener: socket.socket, peer: socket.socket) -> Accepted:
    peer.connect(listener.getsockname())
    connection, address = listener.accept()
    return Accepted(connection, address, time.monotonic())


def test_a_connection_is_heard_once_and_not_before_it_speaks(listener: socket.socket) -> None:
    unheard = UnheardConnections(listener, timeout_seconds=5)
    with socket.socket() as peer:
        accepted = accepted_from(listener, peer)
        unheard.add(accepted)
        assert unheard.wait(0.05) == (False, [])
        peer.sendall(b"\x01")
        assert unheard.wait(5) == (False, [accepted])
        assert unheard.wait(0.05) == (False, [])
        accepted.connection.close()
    unheard.close()


def test_a_connection_to_accept_is_told(listener: socket.socket) -> None:
    unheard = UnheardConnections(listener, timeout_seconds=5)
    with socket.socket() as peer:
        peer.connect(listener.getsockname())
        assert unheard.wait(5) == (True, [])
    unheard.close()


def test_silent_connections_are_given_up_in_their_order(listener: socket.socket) -> None:
    unheard = UnheardConnections(listener, timeout_seconds=0.2)
    with socket.socket() as early, socket.socket() as late:
        first = accepted_from(listener, early)
        unheard.add(first)
        assert list(unheard.given_up()) == []
        time.sleep(0.2)
        unheard.add(accepted_from(listener, late))
        assert list(unheard.given_up()) == [first]
        first.connection.close()
        unheard.close()
        assert late.recv(1) == b""


def test_who_has_closed_or_reset_has_gone_but_not_who_has_spoken_before(
    listener: socket.socket,
) -> None:
    def judged(says: bytes, *, closes: bool, resets: bool = False) -> bool:
        with socket.socket() as peer:
            if resets:
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            connection = accepted_from(listener, peer).connection
            peer.sendall(says)
            if closes:
                peer.close()
            with connection:
                time.sleep(0.05)
                return has_gone(connection)

    assert judged(b"", closes=True)
    assert judged(b"", closes=True, resets=True)
    assert not judged(b"", closes=False)
    assert not judged(b"\x01", closes=False)
    assert not judged(b"\x01", closes=True)


def test_a_silent_connection_has_no_thread(tmp_path: Path) -> None:
    with listening(tmp_path) as node, ExitStack() as silent:
        before = threading.active_count()
        peers = [silent.enter_context(connect(node.port)) for _ in range(20)]
        with connect(node.port) as other:
            assert other.associate(ECHO)[0] == A_ASSOCIATE_AC
            assert threading.active_count() == before + 1
        peers[0].send(associate_rq([ECHO]))
        assert peers[0].receive()[0] == A_ASSOCIATE_AC


def test_port_probes_leave_no_place_taken(tmp_path: Path) -> None:
    # A place for each of four at once, and no more for who would stay.
    with listening(tmp_path, maximum_associations_per_peer=1) as node:
        for number in range(500):
            with socket.socket() as probe:
                if number % 2:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                probe.connect(("127.0.0.1", node.port))
        with connect(node.port) as peer:
            assert peer.associate(ECHO)[0] == A_ASSOCIATE_AC
            assert peer.echo() == 0x0000


def test_what_is_closed_unheard_is_told_once_in_a_while(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.INFO),
        listening(tmp_path, maximum_associations_per_peer=1) as node,
        ExitStack() as silent,
    ):
        for _ in range(4):
            silent.enter_context(connect(node.port))
        for _ in range(20):
            with connect(node.port) as one_too_many:
                assert one_too_many.receive()[0] == 0
    told = [each.message for each in caplog.records if "closed a connection" in each.message]
    assert told == [
        "closed a connection from 127.0.0.1: too many new or silent ones; 0 more before it"
    ]
