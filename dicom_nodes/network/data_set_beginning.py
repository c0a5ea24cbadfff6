"""What the beginning of a data set says of itself, found without decoding it."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final

from dicom_nodes.network.part10_header import LONG_VALUE_REPRESENTATIONS

_IMPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2"
_NOT_PEEKED_INTO: Final = frozenset(
    (
        "1.2.840.10008.1.2.1.99",  # Deflated Explicit VR Little Endian
        "1.2.840.10008.1.2.2",  # Explicit VR Big Endian
    )
)

Tag = tuple[int, int]

SPECIFIC_CHARACTER_SET: Final[Tag] = (0x0008, 0x0005)
SOP_CLASS_UID: Final[Tag] = (0x0008, 0x0016)
SOP_INSTANCE_UID: Final[Tag] = (0x0008, 0x0018)
PATIENT_NAME: Final[Tag] = (0x0010, 0x0010)
PATIENT_ID: Final[Tag] = (0x0010, 0x0020)
STUDY_INSTANCE_UID: Final[Tag] = (0x0020, 0x000D)
WANTED: Final = frozenset(
    (
        SPECIFIC_CHARACTER_SET,
        SOP_CLASS_UID,
        SOP_INSTANCE_UID,
        PATIENT_NAME,
        PATIENT_ID,
        STUDY_INSTANCE_UID,
    )
)

_TAG: Final = struct.Struct("<HH")
_LONG: Final = struct.Struct("<L")
_SHORT: Final = struct.Struct("<H")
_LONGEST_ELEMENT_HEADER: Final = 12
_UNDEFINED_LENGTH: Final = 0xFFFFFFFF
_ITEM: Final[Tag] = (0xFFFE, 0xE000)
_DELIMITERS: Final[tuple[Tag, ...]] = ((0xFFFE, 0xE00D), (0xFFFE, 0xE0DD))
_DEEPEST: Final = 16


def first_values(beginning: bytes, transfer_syntax_uid: str) -> dict[Tag, bytes]:
    """Values that the beginning of a data set states of what it is, and of whom.

    Of `WANTED`, undecoded and with their padding. The other elements are stepped
    over; nothing is decoded. What does not stand in `beginning`, or in a data set
    that is big endian or deflated, is not there.

    Parameters
    ----------
    beginning : bytes
        The first few kilobytes of the data set.
    transfer_syntax_uid : str
    """
    found: dict[Tag, bytes] = {}
    if transfer_syntax_uid in _NOT_PEEKED_INTO:
        return found
    implicit = transfer_syntax_uid == _IMPLICIT_VR_LITTLE_ENDIAN
    position: int | None = 0
    while position is not None and position + _LONGEST_ELEMENT_HEADER <= len(beginning):
        tag, start, length = _element_header(beginning, position, implicit)
        if tag > STUDY_INSTANCE_UID:
            break
        if tag in WANTED and start + length <= len(beginning):
            found[tag] = beginning[start : start + length]
        position = _behind(beginning, start, length, implicit, 0)
    return found


def uid_among(values: Mapping[Tag, bytes], tag: Tag) -> str | None:
    """The UID in a value that `first_values` has found, or None."""
    value = values.get(tag)
    return None if value is None else value.rstrip(b"\0 ").decode("latin-1")


def _element_header(data: bytes, position: int, implicit: bool) -> tuple[Tag, int, int]:
    """Tag of an element, where its value starts, and its length (PS3.5, section 7.1)."""
    tag: Tag = _TAG.unpack_from(data, position)
    if implicit or tag[0] == _ITEM[0]:
        return tag, position + 8, _LONG.unpack_from(data, position + 4)[0]
    if data[position + 4 : position + 6] in LONG_VALUE_REPRESENTATIONS:
        return tag, position + 12, _LONG.unpack_from(data, position + 8)[0]
    return tag, position + 8, _SHORT.unpack_from(data, position + 6)[0]


def _behind(data: bytes, start: int, length: int, implicit: bool, depth: int) -> int | None:
    """Where the next element begins; None if that is not within `data`."""
    if length != _UNDEFINED_LENGTH:
        return start + length if start + length <= len(data) else None
    if depth > _DEEPEST:
        return None
    position: int | None = start
    while position is not None and position + _LONGEST_ELEMENT_HEADER <= len(data):
        tag, start, length = _element_header(data, position, implicit)
        if tag in _DELIMITERS:
            return start
        position = _behind(data, start, length, implicit, depth + 1)
    return None
