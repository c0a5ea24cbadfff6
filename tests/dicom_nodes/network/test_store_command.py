from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom.dimse_messages import C_STORE_RQ, DIMSEMessage
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.pdu import P_DATA_TF

from dicom_nodes.network.pdu_reader import InvalidPDU
from dicom_nodes.network.store_command import (
    StoreRequest,
    command_field,
    decode_command,
    encode_store_response,
    store_request,
    store_request_pdus,
)

REQUEST = StoreRequest(7, "1.2.840.10008.5.1.4.1.1.4", "1.2.3.45", True)


def test_a_request_encoded_by_pynetdicom_is_decoded() -> None:
    primitive = C_STORE()
    primitive.MessageID = 7
    primitive.Priority = 1
    primitive.AffectedSOPClassUID = REQUEST.sop_class_uid
    primitive.AffectedSOPInstanceUID = REQUEST.sop_instance_uid
    primitive.MoveOriginatorApplicationEntityTitle = "MOVER"
    primitive.MoveOriginatorMessageID = 99
    primitive.DataSet = BytesIO(b"1234")
    message = C_STORE_RQ()
    message.primitive_to_message(primitive)
    first = next(iter(message.encode_msg(1, 16384)))
    elements = decode_command(first.presentation_data_value_list[0][1][1:])
    assert command_field(elements) == 1
    moved = replace(REQUEST, move_originator_ae_title="MOVER", move_originator_message_id=99)
    assert store_request(elements) == moved


@pytest.mark.parametrize("maximum_pdu_bytes", [0, 16384, 64, 7])
def test_a_response_is_decoded_by_pynetdicom(maximum_pdu_bytes: int) -> None:
    encoded = encode_store_response(REQUEST, 3, 0xA700, "no room on the disk", maximum_pdu_bytes)
    message = DIMSEMessage()
    complete = False
    position = 0
    while position < len(encoded):
        end = position + 6 + int.from_bytes(encoded[position + 2 : position + 6], "big")
        assert maximum_pdu_bytes == 0 or end - position - 6 <= max(maximum_pdu_bytes, 8)
        pdu = P_DATA_TF()
        pdu.decode(encoded[position:end])
        complete = message.decode_msg(pdu.to_primitive())
        position = end
    assert complete
    primitive = message.message_to_primitive()
    assert isinstance(primitive, C_STORE)
    assert primitive.Status == 0xA700
    assert primitive.MessageIDBeingRespondedTo == 7
    assert primitive.AffectedSOPInstanceUID == "1.2.3.45"
    assert primitive.ErrorComment == "no room on the disk"


@given(st.binary(max_size=200))
def test_any_bytes_are_decoded_or_refused(encoded: bytes) -> None:
    try:
        store_request(decode_command(encoded))
    except InvalidPDU:
        return


def test_a_comment_becomes_one_ascii_value_of_at_most_64_characters() -> None:
    encoded = encode_store_response(REQUEST, 1, 0xC000, "a\\b\u4e2d" + "x" * 100, 0)
    assert b"a/b?" + b"x" * 60 in encoded
    assert b"x" * 61 not in encoded


@pytest.mark.parametrize("maximum_pdu_bytes", [0, 16384, 65, 8])
def test_an_encoded_request_is_decoded_by_pynetdicom(maximum_pdu_bytes: int) -> None:
    data_set = bytes(range(250)) * 4
    pdus = store_request_pdus(REQUEST, 5, BytesIO(data_set), maximum_pdu_bytes)
    message = DIMSEMessage()
    complete = False
    for encoded in _each_pdu(b"".join(pdus)):
        assert not maximum_pdu_bytes or len(encoded) - 6 <= maximum_pdu_bytes
        pdu = P_DATA_TF()
        pdu.decode(encoded)
        assert not complete
        complete = message.decode_msg(pdu.to_primitive())
    assert complete
    assert message.context_id == 5
    primitive = message.message_to_primitive()
    assert isinstance(primitive, C_STORE)
    assert (primitive.MessageID, primitive.AffectedSOPInstanceUID) == (7, "1.2.3.45")
    assert primitive.DataSet is not None
    assert primitive.DataSet.getvalue() == data_set


def _each_pdu(encoded: bytes) -> Iterator[bytes]:
    while encoded:
        length = 6 + int.from_bytes(encoded[2:6], "big")
        yield encoded[:length]
        encoded = encoded[length:]
