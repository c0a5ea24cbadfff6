"""Cure 9: what is no DICOM message ends its association, and nothing else."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from tests.dicom_nodes.network.listening import listening
from tests.dicom_nodes.network.scripted_peer import (
    A_ABORT,
    A_ASSOCIATE_AC,
    A_RELEASE_RQ,
    ECHO,
    MR_IMAGE,
    P_DATA_TF,
    STORAGE,
    connect,
    echo_command,
    fragment,
    pdu,
    store_command,
)


@pytest.mark.parametrize(
    "nonsense",
    [
        b"GET / HTTP/1.1\r\nHost: hemiface\r\n\r\n",
        b"\x01\x00\xff\xff\xff\xff",  # an A-ASSOCIATE-RQ of 4 GB
        b"\x04\x00\xff\xff\xff\xff",  # a P-DATA-TF before an association
        b"\x01\x00\x00\x00\x00\x04\x00\x01\x00\x00",
        b"\x05\x00\x00\x00\x00\x04\x00\x00\x00\x00",  # a release of nothing
        b"\x07\x00\x00\x00\x00\x04\x00\x00\x00\x00",
        b"\x00" * 100,
    ],
)
def test_nonsense_instead_of_an_association_request_ends_the_connection(
    tmp_path: Path, nonsense: bytes
) -> None:
    with listening(tmp_path, acse_timeout_seconds=0.5) as node:
        with connect(node.port, timeout=5) as peer:
            peer.send(nonsense)
            assert peer.ended()
        with connect(node.port) as peer:
            assert peer.associate(ECHO)[0] == A_ASSOCIATE_AC


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\x04\x00\xff\xff\xff\xff",  # more than the announced maximum
        pdu(P_DATA_TF, struct.pack(">LBB", 0xFFFFFFFF, 1, 3)),
        pdu(P_DATA_TF, fragment(1, 3, b"")),
        pdu(P_DATA_TF, fragment(1, 3, b"\0" * 7)),
        pdu(P_DATA_TF, fragment(1, 3, struct.pack("<HHL", 0, 0, 0xFFFFFFFF))),
        pdu(P_DATA_TF, fragment(1, 2, b"data before a command")),
        pdu(P_DATA_TF, fragment(99, 3, store_command(MR_IMAGE, "1.2.3"))),
        pdu(P_DATA_TF, fragment(1, 3, store_command(MR_IMAGE, "1.2.3")) + fragment(3, 2, b"x")),
        pdu(P_DATA_TF, fragment(1, 3, store_command(MR_IMAGE, "1.2.3")))
        + pdu(A_RELEASE_RQ, bytes(4)),
        pdu(P_DATA_TF, fragment(1, 3, echo_command()[:-4] + b"\xff\xff\xff\xff")),
        pdu(A_ASSOCIATE_AC, b"\0" * 100),
        pdu(9, b"\0" * 100),
    ],
)
def test_nonsense_on_an_association_aborts_it_and_nothing_else(
    tmp_path: Path, nonsense: bytes
) -> None:
    with listening(tmp_path, network_timeout_seconds=1) as node, connect(node.port) as other:
        other.associate(ECHO)
        with connect(node.port, timeout=5) as peer:
            peer.associate(STORAGE)
            peer.send(nonsense)
            assert peer.receive()[0] == A_ABORT
        assert other.echo() == 0x0000
        assert node.arrivals == []
        assert list(node.incoming.iterdir()) == []
