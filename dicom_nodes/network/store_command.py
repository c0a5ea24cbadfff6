"""The command sets of C-STORE, encoded and decoded (PS3.7, sections 6.3 and 9.3.1).

Command sets are Implicit VR Little Endian. pynetdicom decodes them through
general data sets and message objects, 0.6 ms for each instance; these few
elements take 0.005 ms.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from dicom_nodes.network.pdu_reader import P_DATA_TF, InvalidPDU

C_STORE_RQ: Final = 0x0001
_C_STORE_RSP: Final = 0x8001
_NO_DATA_SET: Final = 0x0101
_WITH_DATA_SET: Final = 0x0001
# Of the data set in one PDU; an even length, as every fragment but the last must have.
_LARGEST_FRAGMENT: Final = 256 * 1024

_AFFECTED_SOP_CLASS_UID: Final = 0x0002
_COMMAND_FIELD: Final = 0x0100
_MESSAGE_ID: Final = 0x0110
_MESSAGE_ID_RESPONDED_TO: Final = 0x0120
_PRIORITY: Final = 0x0700
_DATA_SET_TYPE: Final = 0x0800
_STATUS: Final = 0x0900
_ERROR_COMMENT: Final = 0x0902
_AFFECTED_SOP_INSTANCE_UID: Final = 0x1000
_MOVE_ORIGINATOR_AE_TITLE: Final = 0x1030
_MOVE_ORIGINATOR_MESSAGE_ID: Final = 0x1031

_ELEMENT: Final = struct.Struct("<HHL")
_US: Final = struct.Struct("<H")


@dataclass(frozen=True, slots=True)
class StoreRequest:
    """The command set of a C-STORE request; its UIDs are as received, not checked.

    The move originator is who asked, and by which message, for the C-MOVE that this
    C-STORE is a sub-operation of (PS3.7, section 9.1.1.1); None where the peer names none.
    """

    message_id: int
    sop_class_uid: str
    sop_instance_uid: str
    has_data_set: bool
    move_originator_ae_title: str | None = None
    move_originator_message_id: int | None = None


def decode_command(encoded: bytes) -> dict[int, bytes]:
    """Element numbers of group 0000 and their values, as they are encoded.

    Raises
    ------
    InvalidPDU
        If `encoded` is no command set.
    """
    elements: dict[int, bytes] = {}
    position = 0
    while position < len(encoded):
        if position + _ELEMENT.size > len(encoded):
            raise InvalidPDU("a command set that ends inside an element")
        group, element, length = _ELEMENT.unpack_from(encoded, position)
        position += _ELEMENT.size
        if group != 0 or length > len(encoded) - position:
            raise InvalidPDU(f"element ({group:04X},{element:04X}) of a command set is not valid")
        elements[element] = encoded[position : position + length]
        position += length
    return elements


def command_field(elements: dict[int, bytes]) -> int:
    """Command Field (0000,0100), which says what message it is."""
    return _unsigned_short(elements, _COMMAND_FIELD)


def has_data_set(elements: dict[int, bytes]) -> bool:
    """Whether a data set follows the command set: Command Data Set Type (0000,0800)."""
    return _unsigned_short(elements, _DATA_SET_TYPE) != _NO_DATA_SET


def store_request(elements: dict[int, bytes]) -> StoreRequest:
    """The C-STORE request in a decoded command set.

    Raises
    ------
    InvalidPDU
        If an element that a C-STORE request must have is missing.
    """
    return StoreRequest(
        message_id=_unsigned_short(elements, _MESSAGE_ID),
        sop_class_uid=_uid(elements, _AFFECTED_SOP_CLASS_UID),
        sop_instance_uid=_uid(elements, _AFFECTED_SOP_INSTANCE_UID),
        has_data_set=has_data_set(elements),
        move_originator_ae_title=_ae_title(elements, _MOVE_ORIGINATOR_AE_TITLE),
        move_originator_message_id=_unsigned_short(elements, _MOVE_ORIGINATOR_MESSAGE_ID)
        if _MOVE_ORIGINATOR_MESSAGE_ID in elements
        else None,
    )


def encode_store_response(
    request: StoreRequest, context_id: int, status: int, comment: str, maximum_pdu_bytes: int
) -> bytes:
    """The P-DATA-TF PDUs of a C-STORE response.

    Parameters
    ----------
    request : StoreRequest
        What is answered.
    context_id : int
        Presentation context ID of the request.
    status : int
        Status (0000,0900).
    comment : str
        Error Comment (0000,0902), at most 64 characters of it; left out when empty.
    maximum_pdu_bytes : int
        The maximum length that the peer announced; 0 for no limit.
    """
    elements = [
        (_AFFECTED_SOP_CLASS_UID, _encoded_uid(request.sop_class_uid)),
        (_COMMAND_FIELD, _US.pack(_C_STORE_RSP)),
        (_MESSAGE_ID_RESPONDED_TO, _US.pack(request.message_id)),
        (_DATA_SET_TYPE, _US.pack(_NO_DATA_SET)),
        (_STATUS, _US.pack(status)),
    ]
    if comment:
        text = comment[:64].encode("ascii", "replace").replace(b"\\", b"/")
        elements.append((_ERROR_COMMENT, text + b" " * (len(text) % 2)))
    elements.append((_AFFECTED_SOP_INSTANCE_UID, _encoded_uid(request.sop_instance_uid)))
    return _command_pdus(elements, context_id, maximum_pdu_bytes)


def store_request_pdus(
    request: StoreRequest, context_id: int, data_set: BinaryIO, maximum_pdu_bytes: int
) -> Iterator[bytes]:
    """The P-DATA-TF PDUs of a C-STORE request, read as they are asked for.

    Parameters
    ----------
    request : StoreRequest
    context_id : int
        A presentation context of the encoding of `data_set`.
    data_set : binary stream
        The encoded data set, from where it stands to its end; not empty.
    maximum_pdu_bytes : int
        The maximum length that the peer announced; 0 for no limit.

    Raises
    ------
    OSError
        If `data_set` cannot be read.
    """
    elements = [
        (_AFFECTED_SOP_CLASS_UID, _encoded_uid(request.sop_class_uid)),
        (_COMMAND_FIELD, _US.pack(C_STORE_RQ)),
        (_MESSAGE_ID, _US.pack(request.message_id)),
        (_PRIORITY, _US.pack(0)),
        (_DATA_SET_TYPE, _US.pack(_WITH_DATA_SET)),
        (_AFFECTED_SOP_INSTANCE_UID, _encoded_uid(request.sop_instance_uid)),
    ]
    yield _command_pdus(elements, context_id, maximum_pdu_bytes)
    step = _LARGEST_FRAGMENT
    if maximum_pdu_bytes:
        step = min(max((maximum_pdu_bytes - 6) & ~1, 2), step)
    part = data_set.read(step)
    while part:
        following = data_set.read(step)
        yield _pdu(part, context_id, 0x00 if following else 0x02)
        part = following


def _command_pdus(
    elements: list[tuple[int, bytes]], context_id: int, maximum_pdu_bytes: int
) -> bytes:
    body = b"".join(_ELEMENT.pack(0, element, len(value)) + value for element, value in elements)
    command = _ELEMENT.pack(0, 0, 4) + struct.pack("<L", len(body)) + body
    step = max(maximum_pdu_bytes - 6, 2) if maximum_pdu_bytes else len(command)
    pdus = bytearray()
    for start in range(0, len(command), step):
        control = 0x03 if start + step >= len(command) else 0x01
        pdus += _pdu(command[start : start + step], context_id, control)
    return bytes(pdus)


def _pdu(part: bytes, context_id: int, control: int) -> bytes:
    header = struct.pack(">BxLLBB", P_DATA_TF, len(part) + 6, len(part) + 2, context_id, control)
    return header + part


def _unsigned_short(elements: dict[int, bytes], element: int) -> int:
    value = elements.get(element, b"")
    if len(value) != 2:
        raise InvalidPDU(f"element (0000,{element:04X}) of a command set is missing")
    return int(_US.unpack(value)[0])


def _ae_title(elements: dict[int, bytes], element: int) -> str | None:
    return elements.get(element, b"").strip(b"\0 ").decode("latin-1") or None


def _uid(elements: dict[int, bytes], element: int) -> str:
    value = elements.get(element)
    if value is None:
        raise InvalidPDU(f"element (0000,{element:04X}) of a C-STORE request is missing")
    return value.rstrip(b"\0 ").decode("latin-1")


def _encoded_uid(uid: str) -> bytes:
    value = uid.encode("latin-1")
    return value + b"\0" * (len(value) % 2)
