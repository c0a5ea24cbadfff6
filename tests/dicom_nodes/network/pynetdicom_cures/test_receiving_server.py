"""Cures 2, 5 and 7: who is let in, without delay, by several processes."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from dicom_nodes.network.pynetdicom_cures import receiving_server
from dicom_nodes.network.pynetdicom_cures.receiving_server import IDLE_SECONDS
from dicom_nodes.network.pynetdicom_cures.requesting_entity import RequestingEntity
from dicom_nodes.network.storage_scp import start_listening
from tests.dicom_nodes.network.listening import Node, listening
from tests.dicom_nodes.network.scripted_peer import (
    A_ASSOCIATE_AC,
    A_ASSOCIATE_RJ,
    A_RELEASE_RP,
    ECHO,
    MR_IMAGE,
    STORAGE,
    VERIFICATION,
    connect,
    connect_from,
    data_set,
)


def test_silent_connections_do_not_use_up_the_associations(tmp_path: Path) -> None:
    with listening(tmp_path, maximum_associations=2, maximum_associations_per_peer=2) as node:
        silent = [connect(node.port) for _ in range(6)]
        with connect(node.port) as peer:
            assert peer.associate(ECHO)[0] == A_ASSOCIATE_AC
            assert peer.echo() == 0x0000
        for each in silent:
            each.socket.close()


def test_an_idle_association_of_who_has_most_gives_way_when_every_place_is_taken(
    tmp_path: Path,
) -> None:
    with (
        listening(tmp_path, maximum_associations=4, maximum_associations_per_peer=3) as node,
        connect_from("127.0.0.2", node.port) as longest_idle,
        connect_from("127.0.0.2", node.port) as second,
        connect_from("127.0.0.2", node.port) as third,
        connect_from("127.0.0.3", node.port) as other,
    ):
        for each in (longest_idle, second, third, other):
            assert each.associate(ECHO)[0] == A_ASSOCIATE_AC
        with connect(node.port) as late:
            assert late.associate(ECHO)[0] == A_ASSOCIATE_AC
            assert late.echo() == 0x0000
            assert longest_idle.ended()
            assert [each.echo() for each in (second, third, other)] == [0, 0, 0]


def test_a_machine_that_paused_while_it_waited_for_room_looks_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiving_server, "_ROOM_SECONDS", 0)
    with (
        listening(tmp_path, maximum_associations=2, maximum_associations_per_peer=2) as node,
        connect_from("127.0.0.2", node.port) as one,
        connect_from("127.0.0.2", node.port) as other,
    ):
        for each in (one, other):
            assert each.associate(ECHO)[0] == A_ASSOCIATE_AC
        time.sleep(IDLE_SECONDS)
        with connect(node.port) as late:
            assert late.associate(ECHO)[0] == A_ASSOCIATE_AC


def test_nobody_gives_way_where_each_peer_has_one(tmp_path: Path) -> None:
    with (
        listening(tmp_path, maximum_associations=2, maximum_associations_per_peer=2) as node,
        connect_from("127.0.0.2", node.port) as one,
        connect_from("127.0.0.3", node.port) as other,
    ):
        for each in (one, other):
            assert each.associate(ECHO)[0] == A_ASSOCIATE_AC
        time.sleep(IDLE_SECONDS)
        with connect(node.port) as late:
            assert late.associate(ECHO)[0] == A_ASSOCIATE_RJ
        assert [one.echo(), other.echo()] == [0, 0]


def test_silent_connections_of_one_peer_are_bounded(tmp_path: Path) -> None:
    with listening(tmp_path, maximum_associations_per_peer=1) as node:
        waiting = [connect(node.port, timeout=5) for _ in range(4)]
        with connect(node.port, timeout=5) as one_too_many:
            assert one_too_many.receive()[0] == 0
        for each in waiting:
            each.socket.close()


def test_the_association_above_the_limit_is_rejected_as_transient(tmp_path: Path) -> None:
    with (
        listening(tmp_path, maximum_associations_per_peer=1) as node,
        connect(node.port) as first,
        connect(node.port) as second,
    ):
        assert first.associate(ECHO)[0] == A_ASSOCIATE_AC
        kind, content = second.associate(ECHO)
        assert (kind, tuple(content[1:4])) == (A_ASSOCIATE_RJ, (2, 3, 2))
        assert first.release() == A_RELEASE_RP
        first.socket.close()
        deadline = time.monotonic() + 5
        accepted = False
        while not accepted and time.monotonic() < deadline:
            with connect(node.port) as third:
                accepted = third.associate(ECHO)[0] == A_ASSOCIATE_AC
        assert accepted


def test_both_ends_send_without_delay(tmp_path: Path) -> None:
    with listening(tmp_path) as node, connect(node.port) as peer:
        peer.associate(ECHO)
        assert node.listener is not None
        (accepted,) = node.listener._server.connections
        assert accepted.connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        entity = RequestingEntity("SCU")
        entity.add_requested_context(VERIFICATION)
        association = entity.associate("127.0.0.1", node.port)
        requested = association.dul.socket.socket
        assert requested.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        association.release()


def test_two_listeners_share_a_port(tmp_path: Path) -> None:
    nodes = [Node(tmp_path / name) for name in ("one", "two")]
    port = 0
    for node in nodes:
        node.kept.mkdir(parents=True)
        node.listener = start_listening(
            node.options(port=port),
            node.accept,
            place=node.place,
            room=lambda: True,
            share_port=True,
        )
        port = node.port
    for index in range(40):
        with connect(port) as peer:
            peer.associate(STORAGE)
            uid = f"1.2.{index}"
            assert peer.store(MR_IMAGE, uid, data_set(uid)) == 0x0000
    arrived = [len(node.arrivals) for node in nodes]
    for node in nodes:
        assert node.listener is not None
        node.listener.stop()
    assert sum(arrived) == 40
    assert min(arrived) > 0


def test_a_port_that_is_not_shared_is_taken(tmp_path: Path) -> None:
    with listening(tmp_path) as node, pytest.raises(OSError, match="in use"):
        start_listening(
            node.options(port=node.port), node.accept, place=node.place, room=lambda: True
        )
