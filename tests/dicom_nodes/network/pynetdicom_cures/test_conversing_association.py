"""Cure 6: the data set goes to the disk while it arrives."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from dicom_nodes.network.direct_file import BLOCK_BYTES
from tests.dicom_nodes.network.listening import listening
from tests.dicom_nodes.network.scripted_peer import (
    ECHO,
    MR_IMAGE,
    P_DATA_TF,
    STORAGE,
    connect,
    data_set,
    echo_command,
    fragment,
    pdu,
    store_command,
)


def test_a_data_set_is_on_the_disk_before_it_is_complete(tmp_path: Path) -> None:
    with listening(tmp_path) as node, connect(node.port) as peer:
        peer.associate(STORAGE)
        content = data_set("1.2.3", size=2_500_000)
        parts = [content[start : start + 100_000] for start in range(0, len(content), 100_000)]
        peer.send(pdu(P_DATA_TF, fragment(1, 3, store_command(MR_IMAGE, "1.2.3"))))
        for part in parts[:-1]:
            peer.send(pdu(P_DATA_TF, fragment(1, 0, part)))
        deadline = time.monotonic() + 5
        size = 0
        while size < 2 * BLOCK_BYTES and time.monotonic() < deadline:
            size = sum(each.stat().st_size for each in node.incoming.iterdir())
        assert size == 2 * BLOCK_BYTES
        assert node.arrivals == []
        peer.send(pdu(P_DATA_TF, fragment(1, 2, parts[-1])))
        assert peer.store_status() == 0x0000
        assert node.files()[0].read_bytes().endswith(content)


@pytest.mark.parametrize("piece", [1, 7, 1000, 16_000])
def test_fragments_of_any_size_give_the_same_bytes(tmp_path: Path, piece: int) -> None:
    size = 300 if piece < 100 else 300_000
    content = data_set("1.2.3", size=size)
    with listening(tmp_path) as node, connect(node.port) as peer:
        peer.associate(STORAGE)
        assert peer.store(MR_IMAGE, "1.2.3", content, piece=piece) == 0x0000
        assert node.files()[0].read_bytes()[node.arrivals[0].dataset_offset :] == content


def test_many_fragments_in_one_pdu_and_an_empty_last_one_give_the_same_bytes(
    tmp_path: Path,
) -> None:
    content = data_set("1.2.3", size=5000)
    fragments = b"".join(
        fragment(1, 0, content[start : start + 5]) for start in range(0, len(content), 5)
    )
    with listening(tmp_path) as node, connect(node.port) as peer:
        peer.associate(STORAGE)
        # Command and data set in one PDU, the last fragment without a byte.
        command = fragment(1, 3, store_command(MR_IMAGE, "1.2.3"))
        peer.send(pdu(P_DATA_TF, command + fragments + fragment(1, 2, b"")))
        assert peer.store_status() == 0x0000
        assert node.files()[0].read_bytes().endswith(content)


def test_a_command_set_in_pieces_is_understood(tmp_path: Path) -> None:
    command = echo_command()
    with listening(tmp_path) as node, connect(node.port) as peer:
        peer.associate(ECHO)
        peer.send(pdu(P_DATA_TF, fragment(1, 1, command[:11]) + fragment(1, 3, command[11:])))
        assert peer.store_status() == 0x0000
