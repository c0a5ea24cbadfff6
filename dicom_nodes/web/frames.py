"""Frames and bulk data of an instance as they are stored (PS3.18, section 10.4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydicom.encaps import get_frame
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from dicom_nodes.objects.file_structure import (
    PIXEL_DATA,
    PLAIN_TRANSFER_SYNTAXES,
    FileStructure,
    read_structure,
)
from dicom_nodes.objects.foreign_values import FOREIGN_VALUE_FAULTS
from dicom_nodes.objects.header import header_of
from processing.measurement import RejectedInput

OCTET_STREAM: Final = "application/octet-stream"
MOST_BYTES_AT_ONCE: Final = 512 * 1024 * 1024
_MEDIA_TYPES: Final = (
    dict.fromkeys(
        map(str, (JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1)), "image/jpeg"
    )
    | dict.fromkeys(map(str, (JPEGLSLossless, JPEGLSNearLossless)), "image/jls")
    | dict.fromkeys(map(str, (JPEG2000Lossless, JPEG2000)), "image/jp2")
    | dict.fromkeys(map(str, (HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K)), "image/jphc")
    | {str(RLELossless): "image/dicom-rle"}
)
"""Media types of compressed frames (PS3.18, table 8.7.3-2)."""
FRAME_MEDIA_TYPES: Final = (OCTET_STREAM, *sorted(set(_MEDIA_TYPES.values())))


@dataclass(frozen=True, slots=True)
class Frames:
    """Some frames of an instance, with what they are in."""

    media_type: str
    transfer_syntax_uid: str
    contents: tuple[bytes, ...]


def stored_frames(path: Path, numbers: Sequence[int]) -> Frames:
    """Frames, counted from 1, without decoding them.

    Raises
    ------
    RejectedInput
        If the instance has no such frames, or is stored in a way that does not let
        them be taken apart.
    """
    structure = read_structure(path)
    header = header_of(structure)
    if PIXEL_DATA not in structure.elements:
        raise RejectedInput("the instance has no Pixel Data")
    if not numbers or min(numbers) < 1 or max(numbers) > header.number_of_frames:
        raise RejectedInput(f"the instance has frames 1 to {header.number_of_frames}")
    syntax = structure.transfer_syntax_uid
    if syntax in PLAIN_TRANSFER_SYNTAXES:
        contents = _native(path, structure, numbers)
        # Pixels are the same in both; what has no explicit VR is named as what has.
        named = "1.2.840.10008.1.2.1" if syntax == ImplicitVRLittleEndian else syntax
        return Frames(OCTET_STREAM, named, contents)
    if syntax not in _MEDIA_TYPES:
        raise RejectedInput("frames of this transfer syntax are not given one by one")
    return Frames(
        _MEDIA_TYPES[syntax],
        syntax,
        _encapsulated(path, structure, numbers, header.number_of_frames),
    )


@dataclass(frozen=True, slots=True)
class BulkData:
    """Where in a file the value of an attribute is."""

    offset: int
    length: int


def bulk_data(path: Path, tag: int) -> BulkData | None:
    """Where the value of an attribute of the dataset itself is; None where it has none.

    Raises
    ------
    RejectedInput
        If the value cannot be given as it is.
    """
    structure = read_structure(path)
    element = structure.elements.get(tag)
    if element is None:
        return None
    _require_in_place(structure)
    if tag == PIXEL_DATA and structure.transfer_syntax_uid not in PLAIN_TRANSFER_SYNTAXES:
        raise RejectedInput("Pixel Data is compressed; ask for its frames")
    return BulkData(element.value_tell, structure.lengths[tag])


def _native(path: Path, structure: FileStructure, numbers: Sequence[int]) -> tuple[bytes, ...]:
    _require_in_place(structure)
    length = _frame_bytes(structure)
    last = max(numbers)
    if length == 0 or last * length > structure.lengths[PIXEL_DATA]:
        raise RejectedInput("Pixel Data (7FE0,0010) is shorter than its attributes claim")
    _require_fitting(len(numbers) * length)
    start = structure.elements[PIXEL_DATA].value_tell
    contents = []
    with path.open("rb") as file:
        for number in numbers:
            file.seek(start + (number - 1) * length)
            contents.append(file.read(length))
    return tuple(contents)


def _frame_bytes(structure: FileStructure) -> int:
    """Bytes of one uncompressed frame."""
    header = header_of(structure)
    dataset = structure.dataset()
    try:
        samples, allocated = int(dataset.SamplesPerPixel), int(dataset.BitsAllocated)
        is_subsampled = dataset.PhotometricInterpretation == "YBR_FULL_422"
    except FOREIGN_VALUE_FAULTS as fault:
        raise RejectedInput("the attributes of its pixels cannot be read") from fault
    bits = header.rows * header.columns * samples * allocated
    if bits % 8:
        raise RejectedInput("frames of single bits are not given one by one")
    return bits // 8 * 2 // 3 if is_subsampled else bits // 8


def _encapsulated(
    path: Path, structure: FileStructure, numbers: Sequence[int], frames: int
) -> tuple[bytes, ...]:
    dataset = structure.dataset()
    start = structure.elements[PIXEL_DATA].value_tell
    try:
        tables = [
            dataset.get(keyword)
            for keyword in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths")
        ]
        extended = (tables[0], tables[1]) if all(tables) else None
        contents = []
        with path.open("rb") as file:
            for number in numbers:
                file.seek(start)
                contents.append(
                    get_frame(file, number - 1, extended_offsets=extended, number_of_frames=frames)
                )
                _require_fitting(sum(map(len, contents)))
    except FOREIGN_VALUE_FAULTS as fault:
        raise RejectedInput("the fragments of its Pixel Data cannot be taken apart") from fault
    return tuple(contents)


def _require_fitting(size_bytes: int) -> None:
    if size_bytes > MOST_BYTES_AT_ONCE:
        raise RejectedInput(f"these are more than {MOST_BYTES_AT_ONCE} bytes; ask for fewer frames")


def _require_in_place(structure: FileStructure) -> None:
    if structure.transfer_syntax_uid == DeflatedExplicitVRLittleEndian:
        raise RejectedInput("the dataset is deflated; ask for the instance as a whole")
