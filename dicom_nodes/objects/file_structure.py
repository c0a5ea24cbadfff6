"""Walks the data elements of a Part 10 file without believing what it claims.

Only element headers are read, values are skipped by seeking; so a file of many
gigabytes costs as little as a small one, and a length that runs past the end of
the file is noticed and not allocated (PS3.5 section 7, PS3.10 section 7).
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Final

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from processing.measurement import RejectedInput

SOP_CLASS_UID: Final = 0x00080016
PIXEL_DATA: Final = 0x7FE00010
LARGEST_KEPT_VALUE_BYTES: Final = 1 << 20
LARGEST_INFLATED_BYTES: Final = 1 << 30
MOST_ELEMENTS: Final = 2_000_000
DEEPEST_NESTING: Final = 32

_PREAMBLE_BYTES: Final = 132
_UNDEFINED_LENGTH: Final = 0xFFFFFFFF
_ITEM: Final = 0xFFFEE000
_ITEM_END: Final = 0xFFFEE00D
_SEQUENCE_END: Final = 0xFFFEE0DD
_TRANSFER_SYNTAX_UID: Final = 0x00020010
_LONG_LENGTH_VRS: Final = frozenset(
    {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
)
_SHORT_LENGTH_VRS: Final = frozenset(
    (b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US").split()
)


class _Truncated(Exception):
    """The bytes end inside a data element."""


@dataclass(frozen=True, slots=True)
class FileStructure:
    """The top-level data elements of a Part 10 file.

    Parameters
    ----------
    file_meta : mapping of int to bytes
        Values of group 0002 by tag.
    elements : mapping of int to RawDataElement
        Elements of the dataset by tag, values not decoded; longer values than
        `LARGEST_KEPT_VALUE_BYTES`, and pixel data, are None.
    lengths : mapping of int to int
        Bytes of the value as found in the file (for an undefined length, what it
        extends over).
    transfer_syntax_uid : str
    fault : str, optional
        Why the file ends too early or cannot be walked to its end; `elements`
        then holds what came before.
    """

    file_meta: Mapping[int, bytes]
    elements: Mapping[int, RawDataElement]
    lengths: Mapping[int, int]
    transfer_syntax_uid: str
    fault: str | None = None

    def value(self, tag: int) -> bytes:
        """The undecoded value of an element, empty where it is absent or too long to keep."""
        element = self.elements.get(tag)
        value = element.value if element is not None else None
        return value if value is not None else b""

    def dataset(self) -> Dataset:
        """The kept elements as a pydicom dataset, still undecoded."""
        kept: dict[BaseTag, DataElement | RawDataElement] = {
            BaseTag(tag): each for tag, each in self.elements.items() if each.value is not None
        }
        return Dataset(kept)


def read_structure(path: Path) -> FileStructure:
    """Walk a Part 10 file to its end, or to where it breaks.

    Parameters
    ----------
    path : Path

    Returns
    -------
    FileStructure
        With a `fault` where the dataset is damaged.

    Raises
    ------
    RejectedInput
        If it is no Part 10 file, or its file meta information is damaged, or its
        deflated dataset is larger than `LARGEST_INFLATED_BYTES`.
    """
    with path.open("rb") as file:
        if file.read(_PREAMBLE_BYTES)[128:] != b"DICM":
            raise RejectedInput(
                "It is not a DICOM file: the letters DICM are missing after the preamble."
            )
        file_meta = _read_file_meta(file)
        syntax = uid_text(file_meta.get(_TRANSFER_SYNTAX_UID, b""))
        if not syntax:
            raise RejectedInput(
                "Transfer Syntax UID (0002,0010) is missing, so the dataset cannot be read."
            )
        if syntax == DeflatedExplicitVRLittleEndian:
            return _walk_deflated(file, file_meta, syntax)
        return _walk(file, os.fstat(file.fileno()).st_size, file_meta, syntax)


def uid_text(value: bytes) -> str:
    """A UID's bytes as text without padding; bytes that are no ASCII become ``?``."""
    return value.rstrip(b"\0 ").decode("ascii", "replace").replace("\ufffd", "?")


def _walk_deflated(file: BinaryIO, meta: Mapping[int, bytes], syntax: str) -> FileStructure:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        dataset = inflater.decompress(file.read(), LARGEST_INFLATED_BYTES)
    except zlib.error as error:
        raise RejectedInput(
            f"The deflated dataset is damaged ({error}). Send the object again."
        ) from error
    if inflater.unconsumed_tail:
        raise RejectedInput(
            f"The deflated dataset is larger than {LARGEST_INFLATED_BYTES} bytes; "
            "send it uncompressed."
        )
    structure = _walk(BytesIO(dataset), len(dataset), meta, syntax)
    if structure.fault is None and not inflater.eof:
        return FileStructure(
            structure.file_meta,
            structure.elements,
            structure.lengths,
            syntax,
            "The file is truncated: its deflated dataset has no end.",
        )
    return structure


def _walk(stream: BinaryIO, size: int, meta: Mapping[int, bytes], syntax: str) -> FileStructure:
    walker = _Walker(
        stream,
        size,
        implicit=syntax == ImplicitVRLittleEndian,
        little=syntax != ExplicitVRBigEndian,
    )
    fault: str | None = None
    try:
        walker.walk_dataset()
    except _Truncated as ending:
        fault = str(ending)
    return FileStructure(meta, walker.elements, walker.lengths, syntax, fault)


def _read_file_meta(file: BinaryIO) -> dict[int, bytes]:
    size = os.fstat(file.fileno()).st_size
    walker = _Walker(file, size, implicit=False, little=True)
    try:
        walker.walk_group(2)
    except _Truncated as ending:
        raise RejectedInput(f"The file meta information is damaged: {ending}") from ending
    return {tag: element.value or b"" for tag, element in walker.elements.items()}


@dataclass(slots=True)
class _Walker:
    """The position in a stream of data elements, and what was found so far."""

    stream: BinaryIO
    size: int
    implicit: bool
    little: bool
    elements: dict[int, RawDataElement] = field(default_factory=dict)
    lengths: dict[int, int] = field(default_factory=dict)
    seen: int = 0

    def walk_group(self, group: int) -> None:
        """Keep the elements of one group, and stop before the next group."""
        while (start := self.stream.tell()) + 4 <= self.size:
            tag = self._tag()
            self.stream.seek(start)
            if tag >> 16 != group:
                return
            self._keep_element()

    def walk_dataset(self) -> None:
        """Keep the elements until the end of the stream."""
        while self.stream.tell() < self.size and not self._is_padding():
            self._keep_element()

    def _is_padding(self) -> bool:
        """Whether only a few zeros follow, which some writers leave behind a dataset."""
        start = self.stream.tell()
        if self.size - start > 512:
            return False
        rest = self.stream.read()
        self.stream.seek(start)
        return not any(rest)

    def _keep_element(self) -> None:
        start = self.stream.tell()
        tag, vr, length = self._element_header()
        if tag >> 16 in (0x0000, 0xFFFE):
            raise _Truncated(
                f"The dataset is damaged: no data element begins at byte {start}. "
                "Send the object again."
            )
        begin = self.stream.tell()
        if length == _UNDEFINED_LENGTH:
            end = self._skip_undefined(tag, vr, depth=0)
        else:
            end = begin + length
            self._require(end, tag)
            self.stream.seek(end)
        after = self.stream.tell()
        value: bytes | None = None
        if end - begin <= LARGEST_KEPT_VALUE_BYTES and tag != PIXEL_DATA:
            self.stream.seek(begin)
            value = self.stream.read(end - begin)
            self.stream.seek(after)
        self.lengths[tag] = end - begin
        implicit = self.implicit or (vr == b"UN" and length == _UNDEFINED_LENGTH)
        self.elements[tag] = RawDataElement(
            BaseTag(tag),
            vr.decode("ascii") if vr else None,
            end - begin,
            value,
            begin,
            implicit,
            self.little,
        )

    def _skip_undefined(self, tag: int, vr: bytes | None, depth: int) -> int:
        """Skip a value of undefined length, and answer where its delimiter begins."""
        if depth > DEEPEST_NESTING:
            raise RejectedInput(
                f"Sequences are nested more than {DEEPEST_NESTING} deep in {_name(tag)}."
            )
        implicit = self.implicit
        if vr == b"UN":
            self.implicit = True
        while True:
            start = self.stream.tell()
            item, length = self._item_header(tag)
            if item == _SEQUENCE_END:
                self.implicit = implicit
                return start
            if item != _ITEM:
                raise _Truncated(
                    f"The file is damaged: {_name(tag)} has no sequence delimiter and byte "
                    f"{start} begins no item. Send the object again."
                )
            if length == _UNDEFINED_LENGTH:
                self._skip_item(tag, depth)
            else:
                end = self.stream.tell() + length
                self._require(end, tag)
                self.stream.seek(end)

    def _skip_item(self, parent: int, depth: int) -> None:
        while True:
            start = self.stream.tell()
            self._require(start + 8, parent)
            tag = self._tag()
            if tag == _ITEM_END:
                self.stream.seek(4, os.SEEK_CUR)
                return
            self.stream.seek(start)
            tag, vr, length = self._element_header()
            if length == _UNDEFINED_LENGTH:
                self._skip_undefined(tag, vr, depth + 1)
            else:
                end = self.stream.tell() + length
                self._require(end, parent)
                self.stream.seek(end)

    def _element_header(self) -> tuple[int, bytes | None, int]:
        self.seen += 1
        if self.seen > MOST_ELEMENTS:
            raise RejectedInput(f"The dataset has more than {MOST_ELEMENTS} elements.")
        start = self.stream.tell()
        tag = self._tag()
        if self.implicit or tag >> 16 == 0xFFFE:
            return tag, None, self._unsigned(4)
        vr = self._read(2)
        if vr in _SHORT_LENGTH_VRS:
            return tag, vr, self._unsigned(2)
        if vr in _LONG_LENGTH_VRS:
            self._read(2)
            return tag, vr, self._unsigned(4)
        raise _Truncated(
            f"The dataset is damaged: no data element begins at byte {start}. "
            "Send the object again."
        )

    def _item_header(self, parent: int) -> tuple[int, int]:
        if self.stream.tell() + 8 > self.size:
            raise _Truncated(
                f"The file is truncated: {_name(parent)} ends without its sequence delimiter. "
                "Send the object again."
            )
        return self._tag(), self._unsigned(4)

    def _require(self, end: int, tag: int) -> None:
        if end > self.size:
            raise _Truncated(
                f"The file is truncated: {_name(tag)} runs to byte {end}, but there are only "
                f"{self.size} bytes. Send the object again."
            )

    def _tag(self) -> int:
        return (self._unsigned(2) << 16) | self._unsigned(2)

    def _unsigned(self, width: int) -> int:
        order = "<" if self.little else ">"
        kind = "H" if width == 2 else "I"
        number: int = struct.unpack(order + kind, self._read(width))[0]
        return number

    def _read(self, count: int) -> bytes:
        read = self.stream.read(count)
        if len(read) < count:
            raise _Truncated(
                f"The file is truncated inside the header of its last element, at byte "
                f"{self.size}. Send the object again."
            )
        return read


def _name(tag: int) -> str:
    known = {PIXEL_DATA: "Pixel Data ", 0x00420011: "Encapsulated Document "}
    return f"{known.get(tag, '')}({tag >> 16:04X},{tag & 0xFFFF:04X})"


PLAIN_TRANSFER_SYNTAXES: Final = frozenset(
    {
        str(ImplicitVRLittleEndian),
        str(ExplicitVRLittleEndian),
        str(ExplicitVRBigEndian),
        str(DeflatedExplicitVRLittleEndian),
    }
)
"""The transfer syntaxes whose pixel data is not compressed."""
