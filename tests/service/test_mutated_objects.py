"""Mutated objects through all that the node reads them with, in this process.

A reader that meets one gives what it says or a `RejectedInput`. Whatever else it
raises would end a cataloguer or a measuring child.
"""

from __future__ import annotations

import random
import warnings
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dicom_nodes.network.data_set_beginning import first_values
from dicom_nodes.network.pdu_reader import ConnectionEnded, InvalidPDU, PDUReader
from dicom_nodes.network.store_command import decode_command, store_request
from dicom_nodes.objects.header import inspect
from processing.measurement import PermanentFault, RejectedInput, TransientFault
from service.analyses import ANALYSES, facts_for_analyses
from service.settings import Settings
from tests.dicom_nodes.network.scripted_peer import (
    EXPLICIT,
    IMPLICIT,
    MR_IMAGE,
    P_DATA_TF,
    VERIFICATION,
    associate_rq,
    data_set,
    echo_command,
    fragment,
    pdu,
    store_command,
)
from tests.mutations import CORPUS, mutated, part_10

SEED = 20261121
OBJECTS_OF_EACH_KIND = 150
STREAMS = 500

CONTEXTS = [(VERIFICATION, [IMPLICIT]), (MR_IMAGE, [EXPLICIT])]
STORE = pdu(P_DATA_TF, fragment(1, 3, store_command(MR_IMAGE, "1.2.3")))
MESSAGES = {
    "association": associate_rq(CONTEXTS),
    "echo": pdu(P_DATA_TF, fragment(1, 3, echo_command())),
    "store": STORE + pdu(P_DATA_TF, fragment(1, 2, data_set("1.2.3", size=300))),
}


def read_as_the_node_does(path: Path, chosen: Settings) -> None:
    """Catalogue an object, and read it for each analysis, whatever it claims to be."""
    # As in the node, where pydicom's warnings are not errors.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        header, reason = inspect(path)
        assert header is not None or reason
        if header is not None:
            facts_for_analyses(header)
        for entry in ANALYSES.values():
            with suppress(RejectedInput, PermanentFault, TransientFault):
                entry.read({"1.2.3": path}, chosen)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", CORPUS)
def test_a_mutated_object_is_read_or_rejected(kind: str, tmp_path: Path) -> None:
    choice = random.Random(f"{SEED} {kind}")
    whole = part_10(CORPUS[kind]())
    path = tmp_path / "mutated.dcm"
    for number in range(OBJECTS_OF_EACH_KIND):
        path.write_bytes(mutated(whole, choice, spare=132))
        try:
            read_as_the_node_does(path, Settings())
        except Exception as fault:
            kept = tmp_path / f"{kind}-{number}.dcm"
            path.rename(kept)
            raise AssertionError(f"mutation {number} of {kind}: {kept}") from fault


@pytest.mark.parametrize("kind", CORPUS)
def test_an_object_of_the_corpus_is_read_to_its_end(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "whole.dcm"
    path.write_bytes(part_10(CORPUS[kind]()))
    header, reason = inspect(path)
    assert header is not None
    assert reason is None
    read_as_the_node_does(path, Settings())


class Wire:
    """Gives a stream of bytes in small pieces, then its end."""

    def __init__(self, data: bytes, choice: random.Random) -> None:
        self._data, self._choice = data, choice

    def receive_into(self, view: memoryview) -> int:
        size = min(len(view), len(self._data), self._choice.randrange(1, 200))
        view[:size] = self._data[:size]
        self._data = self._data[size:]
        return size


def read_stream(data: bytes, choice: random.Random) -> None:
    """Read PDUs as an association does, to the end of the stream or the first that is invalid."""
    reader = PDUReader(Wire(data, choice).receive_into, 16384)
    try:
        while True:
            if reader.next_pdu() != P_DATA_TF:
                reader.read_control_pdu()
                continue
            context_id, encoded = reader.read_command()
            request = store_request(decode_command(encoded))
            if request.has_data_set:
                received = b"".join(
                    bytes(view) for batch in reader.data_set(context_id) for view in batch
                )
                first_values(received, EXPLICIT)
    except (ConnectionEnded, InvalidPDU):
        return


@pytest.mark.parametrize("kind", MESSAGES)
def test_a_mutated_stream_of_pdus_is_read_or_refused(kind: str) -> None:
    choice = random.Random(f"{SEED} {kind}")
    for _ in range(STREAMS // len(MESSAGES)):
        read_stream(mutated(MESSAGES[kind] * 2, choice), choice)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.binary(max_size=400), st.integers())
def test_any_bytes_are_a_stream_or_refused(data: bytes, seed: int) -> None:
    read_stream(data, random.Random(seed))
    read_stream(pdu(P_DATA_TF, data), random.Random(seed))


@settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.binary(max_size=300))
def test_any_bytes_behind_a_preamble_are_a_header_or_a_reason(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "any.dcm"
    path.write_bytes(bytes(128) + b"DICM" + data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        header, reason = inspect(path)
    assert header is not None or reason
