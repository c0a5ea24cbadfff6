"""What a compressed frame claims of itself, read before anything is decoded.

A stream of a few bytes can claim 60,000 x 60,000 pixels; a decoder that believes
it allocates them.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from processing.measurement import RejectedInput

_START_OF_FRAME: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
_WITHOUT_LENGTH: Final = frozenset({0x01, *range(0xD0, 0xD9)})
_JPEG_2000_BOX_SIGNATURE: Final = b"\0\0\0\x0cjP  "


@dataclass(frozen=True, slots=True)
class StreamSize:
    """The size in the header of a compressed stream.

    `process` is the JPEG start-of-frame marker (0xC0 baseline, 0xC2 progressive,
    0xF7 JPEG-LS), or 0x51 for JPEG 2000. `component_ids` identify the components of
    a JPEG; `adobe_transform` is that of Adobe's segment, where there is one.
    """

    rows: int
    columns: int
    samples: int
    bits: int
    process: int
    component_ids: tuple[int, ...] = ()
    adobe_transform: int | None = None
    is_jfif: bool = False


def stream_size(stream: bytes) -> StreamSize | None:
    """Size of a JPEG, JPEG-LS or JPEG 2000 stream; None where it is none of these.

    Raises
    ------
    RejectedInput
        If the stream ends before its size is stated.
    """
    if stream.startswith(b"\xff\xd8"):
        return _jpeg_size(stream)
    if stream.startswith((b"\xff\x4f\xff\x51", _JPEG_2000_BOX_SIGNATURE)):
        return _jpeg_2000_size(stream)
    return None


def _jpeg_size(stream: bytes) -> StreamSize:
    """Walk the marker segments to the first start of frame (ISO/IEC 10918-1 annex B)."""
    adobe: int | None = None
    jfif = False
    at = 2
    while at + 4 <= len(stream) and stream[at] == 0xFF:
        marker = stream[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker in _WITHOUT_LENGTH:
            at += 2
            continue
        (length,) = struct.unpack_from(">H", stream, at + 2)
        segment = stream[at + 4 : at + 2 + length]
        if marker == 0xE0 and segment.startswith(b"JFIF\0"):
            jfif = True
        if marker == 0xEE and segment.startswith(b"Adobe") and len(segment) >= 12:
            adobe = segment[11]
        if marker in _START_OF_FRAME:
            return _start_of_frame(marker, segment, adobe, is_jfif=jfif)
        if marker == 0xDA or length < 2:
            break
        at += 2 + length
    raise RejectedInput("Pixel Data (7FE0,0010) holds a JPEG stream that does not state its size.")


def _start_of_frame(marker: int, segment: bytes, adobe: int | None, *, is_jfif: bool) -> StreamSize:
    if len(segment) < 6 or len(segment) < 6 + 3 * segment[5]:
        raise RejectedInput("Pixel Data (7FE0,0010) holds a JPEG stream with a damaged header.")
    bits, rows, columns, samples = struct.unpack_from(">BHHB", segment)
    return StreamSize(
        rows=rows,
        columns=columns,
        samples=samples,
        bits=bits,
        process=marker,
        component_ids=tuple(segment[6 + 3 * each] for each in range(samples)),
        adobe_transform=adobe,
        is_jfif=is_jfif,
    )


def _jpeg_2000_size(stream: bytes) -> StreamSize:
    """Read the SIZ marker segment (ISO/IEC 15444-1 annex A.5.1)."""
    at = stream.find(b"\xff\x4f\xff\x51", 0, 4096)
    if at < 0 or len(stream) < at + 43:
        raise RejectedInput(
            "Pixel Data (7FE0,0010) holds a JPEG 2000 stream that does not state its size."
        )
    x_end, y_end, x_start, y_start = struct.unpack_from(">4I", stream, at + 8)
    tile_columns, tile_rows = struct.unpack_from(">2I", stream, at + 24)
    if x_start >= x_end or y_start >= y_end or 0 in (tile_columns, tile_rows):
        raise RejectedInput("Pixel Data (7FE0,0010) holds a JPEG 2000 stream of no size.")
    (samples,) = struct.unpack_from(">H", stream, at + 40)
    return StreamSize(
        rows=y_end - y_start,
        columns=x_end - x_start,
        samples=samples,
        bits=(stream[at + 42] & 0x7F) + 1,
        process=0x51,
    )
