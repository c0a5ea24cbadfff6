"""What stands before a data set in a file (PS3.10, section 7), and the UIDs it begins with."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Final

from dicom_nodes.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from processing.measurement import RejectedInput

_UID_PATTERN: Final = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))+")
LONG_VALUE_REPRESENTATIONS: Final = frozenset(
    (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
)
# Implementation, receiving application and private information take a few hundred bytes.
MOST_FILE_META_BYTES: Final = 64 * 1024
_PREAMBLE_BYTES: Final = 128


def is_valid_uid(uid: str) -> bool:
    """Whether `uid` is built as PS3.5, section 9.1 says: at most 64 digits and dots."""
    return len(uid) <= 64 and _UID_PATTERN.fullmatch(uid) is not None


def encode_header(
    sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str, source_ae_title: str
) -> bytes:
    """Preamble, prefix and File Meta Information of a file (PS3.10, table 7.1-1)."""
    meta = b"".join(
        (
            struct.pack("<HH2sxxL", 2, 0x0001, b"OB", 2),
            b"\x00\x01",
            _element(0x0002, b"UI", sop_class_uid, b"\0"),
            _element(0x0003, b"UI", sop_instance_uid, b"\0"),
            _element(0x0010, b"UI", transfer_syntax_uid, b"\0"),
            _element(0x0012, b"UI", IMPLEMENTATION_CLASS_UID, b"\0"),
            _element(0x0013, b"SH", IMPLEMENTATION_VERSION_NAME, b" "),
            _element(0x0016, b"AE", source_ae_title, b" "),
        )
    )
    return bytes(128) + b"DICM" + struct.pack("<HH2sHL", 2, 0, b"UL", 4, len(meta)) + meta


@dataclass(frozen=True, slots=True)
class FileMeta:
    """What the File Meta Information of a file names; a UID that it lacks is empty.

    `length_bytes` is how much of the file stands before its data set.
    """

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    length_bytes: int


def file_meta_of(beginning: bytes, *, is_whole: bool = False) -> FileMeta | None:
    """Read preamble, prefix and File Meta Information (PS3.10, section 7.1).

    Parameters
    ----------
    beginning : bytes
        The first bytes of a file; not more than `MOST_FILE_META_BYTES` are needed.
    is_whole : bool
        Whether nothing follows them.

    Returns
    -------
    FileMeta or None
        None where more bytes are needed to tell.

    Raises
    ------
    RejectedInput
        If it is no DICOM file, or its File Meta Information does not end.
    """
    start = _PREAMBLE_BYTES + 4
    if len(beginning) >= start and beginning[_PREAMBLE_BYTES:start] != b"DICM":
        raise RejectedInput("it is no DICOM file: the letters DICM are missing after the preamble")
    found: dict[int, str] = {}
    position = start
    while position + 12 <= len(beginning):
        group, element = struct.unpack_from("<HH", beginning, position)
        if group != 2:
            return FileMeta(
                sop_class_uid=found.get(0x0002, ""),
                sop_instance_uid=found.get(0x0003, ""),
                transfer_syntax_uid=found.get(0x0010, ""),
                length_bytes=position,
            )
        if beginning[position + 4 : position + 6] in LONG_VALUE_REPRESENTATIONS:
            (length,) = struct.unpack_from("<L", beginning, position + 8)
            position += 12
        else:
            (length,) = struct.unpack_from("<H", beginning, position + 6)
            position += 8
        value = beginning[position : position + length]
        found[element] = value.rstrip(b"\0 ").decode("latin-1")
        position += length
    if is_whole or position + 12 > MOST_FILE_META_BYTES:
        raise RejectedInput("it is no DICOM file: its File Meta Information does not end")
    return None


def _element(element: int, value_representation: bytes, text: str, padding: bytes) -> bytes:
    value = text.encode("latin-1")
    value += padding * (len(value) % 2)
    return struct.pack("<HH2sH", 2, element, value_representation, len(value)) + value
