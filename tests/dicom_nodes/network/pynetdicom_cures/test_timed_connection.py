"""Cures 1 and 9: a silent or slow peer stops nobody else and is cut off."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from dicom_nodes.network.tls import ServerTLS
from tests.dicom_nodes.network.certificates import Authority
from tests.dicom_nodes.network.listening import listening
from tests.dicom_nodes.network.scripted_peer import (
    A_ABORT,
    A_ASSOCIATE_AC,
    ECHO,
    MR_IMAGE,
    P_DATA_TF,
    STORAGE,
    Connection,
    connect,
    data_set,
    fragment,
    pdu,
    store_command,
)


def test_a_silent_peer_on_a_tls_listener_stops_nobody_else(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("localhost")
    with (
        listening(tmp_path / "node", tls=ServerTLS(certificate, key)) as node,
        connect(node.port),  # says nothing, not even a ClientHello
        connect(node.port),
    ):
        started = time.monotonic()
        raw = socket.create_connection(("127.0.0.1", node.port))
        with Connection(
            authority.client_context().wrap_socket(raw, server_hostname="localhost")
        ) as peer:
            assert peer.associate(ECHO)[0] == A_ASSOCIATE_AC
            assert peer.echo() == 0x0000
        assert time.monotonic() - started < 2


def test_a_silent_peer_on_a_tls_listener_is_cut_off(tmp_path: Path) -> None:
    certificate, key = Authority(tmp_path).issue("localhost")
    with (
        listening(
            tmp_path / "node", tls=ServerTLS(certificate, key), acse_timeout_seconds=0.3
        ) as node,
        connect(node.port, timeout=5) as silent,
    ):
        assert silent.ended()


def test_a_silent_connection_is_closed_after_the_acse_timeout(tmp_path: Path) -> None:
    with (
        listening(tmp_path, acse_timeout_seconds=0.3) as node,
        connect(node.port, timeout=5) as silent,
    ):
        started = time.monotonic()
        assert silent.ended()
        assert 0.2 < time.monotonic() - started < 3


def test_a_request_that_trickles_in_has_one_deadline(tmp_path: Path) -> None:
    with (
        listening(tmp_path, acse_timeout_seconds=0.5) as node,
        connect(node.port, timeout=0.1) as slow,
    ):
        started = time.monotonic()
        ended = False
        while not ended and time.monotonic() - started < 5:
            try:
                slow.send(b"\x01")
                ended = slow.ended()
            except TimeoutError:
                continue
            except OSError:
                ended = True
        assert ended
        assert time.monotonic() - started < 3


def test_half_a_pdu_is_given_up_by_the_listener(tmp_path: Path) -> None:
    with (
        listening(tmp_path, network_timeout_seconds=0.3) as node,
        connect(node.port, timeout=5) as peer,
    ):
        peer.associate(STORAGE)
        peer.send(pdu(P_DATA_TF, fragment(1, 3, store_command(MR_IMAGE, "1.2.3")))[:20])
        assert peer.receive()[0] == A_ABORT


def test_half_a_data_set_is_given_up_and_leaves_nothing(tmp_path: Path) -> None:
    with (
        listening(tmp_path, network_timeout_seconds=0.3) as node,
        connect(node.port, timeout=5) as peer,
    ):
        peer.associate(STORAGE)
        peer.send(pdu(P_DATA_TF, fragment(1, 3, store_command(MR_IMAGE, "1.2.3"))))
        peer.send(pdu(P_DATA_TF, fragment(1, 0, data_set("1.2.3"))))
        assert peer.receive()[0] == A_ABORT
        assert list(node.incoming.iterdir()) == []
        assert node.arrivals == []


def trickle(peer: Connection, message: bytes, piece: int, seconds: float) -> None:
    for position in range(0, len(message), piece):
        peer.send(message[position : position + piece])
        time.sleep(seconds)


def test_a_peer_that_sends_a_byte_now_and_then_is_cut_off_in_the_middle_of_a_message(
    tmp_path: Path,
) -> None:
    with (
        listening(tmp_path, network_timeout_seconds=0.5, slowest_bytes_per_second=100) as node,
        connect(node.port, timeout=5) as peer,
    ):
        assert peer.associate(STORAGE)[0] == A_ASSOCIATE_AC
        began = time.monotonic()
        message = pdu(P_DATA_TF, fragment(1, 3, store_command(MR_IMAGE, "1.2.3")))
        with pytest.raises(OSError, match=r"(?i)reset|pipe"):
            trickle(peer, message, 1, seconds=0.1)
        assert time.monotonic() - began < 4


def test_a_slow_peer_whose_pace_is_enough_is_served(tmp_path: Path) -> None:
    with (
        listening(tmp_path, network_timeout_seconds=0.3, slowest_bytes_per_second=100) as node,
        connect(node.port) as peer,
    ):
        assert peer.associate(STORAGE)[0] == A_ASSOCIATE_AC
        message = pdu(P_DATA_TF, fragment(1, 3, store_command(MR_IMAGE, "1.2.3")))
        message += pdu(P_DATA_TF, fragment(1, 2, data_set("1.2.3", size=400)))
        trickle(peer, message, 40, seconds=0.05)
        assert peer.store_status() == 0x0000
