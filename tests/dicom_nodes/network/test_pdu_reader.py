from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_nodes.network.pdu_reader import BLOCK_BYTES, ConnectionEnded, InvalidPDU, PDUReader
from tests.dicom_nodes.network.scripted_peer import P_DATA_TF, fragment, pdu


def reader_of(stream: bytes, chunk: int = 1 << 20) -> PDUReader:
    """A reader whose socket gives at most `chunk` bytes at once."""
    position = 0

    def receive_into(view: memoryview) -> int:
        nonlocal position
        taken = stream[position : position + min(chunk, len(view))]
        view[: len(taken)] = taken
        position += len(taken)
        return len(taken)

    return PDUReader(receive_into, 0)


def whole(reader: PDUReader, context_id: int = 1) -> bytes:
    return b"".join(bytes(view) for batch in reader.data_set(context_id) for view in batch)


@given(
    command=st.binary(max_size=200),
    pieces=st.lists(st.binary(max_size=300), min_size=1, max_size=20),
    fragments_in_pdu=st.integers(1, 5),
    chunk=st.integers(1, 400),
)
def test_a_message_is_read_however_it_is_cut(
    command: bytes, pieces: list[bytes], fragments_in_pdu: int, chunk: int
) -> None:
    fragments = [fragment(1, 3, command)]
    fragments += [
        fragment(1, 2 if index == len(pieces) - 1 else 0, piece)
        for index, piece in enumerate(pieces)
    ]
    stream = b"".join(
        pdu(P_DATA_TF, b"".join(fragments[start : start + fragments_in_pdu]))
        for start in range(0, len(fragments), fragments_in_pdu)
    )
    reader = reader_of(stream + pdu(5, bytes(4)), chunk)
    assert reader.next_pdu() == P_DATA_TF
    assert reader.read_command() == (1, command)
    assert whole(reader) == b"".join(pieces)
    assert reader.next_pdu() == 5
    assert reader.read_control_pdu() == pdu(5, bytes(4))


def test_a_fragment_larger_than_the_buffer_is_read() -> None:
    content = bytes(range(256)) * (3 * BLOCK_BYTES // 256 + 1)
    stream = pdu(P_DATA_TF, fragment(1, 3, b"command")) + pdu(P_DATA_TF, fragment(1, 2, content))
    reader = reader_of(stream, 100_000)
    reader.next_pdu()
    reader.read_command()
    assert whole(reader) == content


@given(st.binary(max_size=300))
def test_any_bytes_give_a_message_or_one_of_two_errors(stream: bytes) -> None:
    reader = reader_of(stream)
    try:
        while True:
            if reader.next_pdu() == P_DATA_TF:
                context_id, _ = reader.read_command()
                whole(reader, context_id)
            else:
                reader.read_control_pdu()
    except (InvalidPDU, ConnectionEnded):
        pass


def test_a_pdu_longer_than_announced_is_refused_before_it_is_read() -> None:
    stream = pdu(P_DATA_TF, fragment(1, 3, bytes(5000)))
    reader = PDUReader(reader_of(stream)._receive_into, 4096)
    with pytest.raises(InvalidPDU, match="4096 were announced"):
        reader.next_pdu()


def test_a_command_set_without_end_is_refused() -> None:
    stream = pdu(P_DATA_TF, fragment(1, 1, bytes(60_000))) * 2
    reader = reader_of(stream)
    reader.next_pdu()
    with pytest.raises(InvalidPDU, match="command set of more than"):
        reader.read_command()
