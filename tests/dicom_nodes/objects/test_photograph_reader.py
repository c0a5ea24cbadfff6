from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from dicom_nodes.objects import decoded_frames
from dicom_nodes.objects.compressed_frames import stream_size
from dicom_nodes.objects.photograph_reader import read_photographs
from dicom_nodes.objects.study_context import StudyIdentity
from dicom_nodes.objects.vl_photograph import write_vl_photograph
from processing.inputs import Expression, View
from processing.measurement import RejectedInput
from tests.dicom_nodes.objects import photographs_of_others

SourceWriter = Callable[..., Path]
PIXELS = 0x7FE00010
ITEM = b"\xfe\xff\x00\xe0"
SEQUENCE_END = b"\xfe\xff\xdd\xe0\0\0\0\0"


def _us(value: int) -> tuple[str, bytes]:
    return "US", struct.pack("<H", value)


def _colour(pixels: NDArray[np.uint8]) -> dict[int, tuple[str, bytes] | None]:
    rows, columns, _ = pixels.shape
    return {
        0x00280002: _us(3),
        0x00280004: ("CS", b"RGB"),
        0x00280006: _us(0),
        0x00280010: _us(rows),
        0x00280011: _us(columns),
        PIXELS: ("OB", pixels.tobytes()),
    }


def _encapsulated(element: Callable[..., bytes], *frames: bytes) -> bytes:
    items = ITEM + struct.pack("<I", 0)
    for frame in frames:
        padded = frame + b"\0" * (len(frame) % 2)
        items += ITEM + struct.pack("<I", len(padded)) + padded
    return element(PIXELS, "OB", items + SEQUENCE_END, length=0xFFFFFFFF)


def test_monochrome2_is_shown_as_it_is(write_source: SourceWriter) -> None:
    (photograph,) = read_photographs(write_source())
    assert photograph.pixels.dtype == np.uint8
    assert photograph.pixels[:, :, 0].tolist() == [[0, 0x40], [0x80, 0xFF]]
    assert (photograph.pixels[:, :, 1:] == photograph.pixels[:, :, :1]).all()
    assert photograph.source == "1.2.3.4"


def test_monochrome1_is_inverted(write_source: SourceWriter) -> None:
    (photograph,) = read_photographs(write_source({0x00280004: ("CS", b"MONOCHROME1")}))
    assert photograph.pixels[:, :, 2].tolist() == [[255, 255 - 0x40], [0x7F, 0]]


def _sixteen_bits(stored: int, values: list[int]) -> dict[int, tuple[str, bytes] | None]:
    return {
        0x00280100: _us(16),
        0x00280101: _us(stored),
        0x00280102: _us(stored - 1),
        PIXELS: ("OW", struct.pack("<4H", *values)),
    }


@pytest.mark.parametrize(("stored", "shift"), [(16, 8), (12, 4), (10, 2)])
def test_sixteen_bit_grey_is_scaled_by_the_stored_bits(
    write_source: SourceWriter, stored: int, shift: int
) -> None:
    values = [0, 100 << shift, 200 << shift, (1 << stored) - 1]
    (photograph,) = read_photographs(write_source(_sixteen_bits(stored, values)))
    assert photograph.pixels[:, :, 0].ravel().tolist() == [0, 100, 200, 255]


def test_window_decides_what_is_black_and_white(write_source: SourceWriter) -> None:
    changed = _sixteen_bits(12, [999, 1000, 1500, 2001])
    changed |= {0x00281050: ("DS", b"1500"), 0x00281051: ("DS", b"1001")}
    (photograph,) = read_photographs(write_source(changed))
    shown = photograph.pixels[:, :, 0].ravel().tolist()
    assert (shown[0], shown[1], shown[3]) == (0, 0, 255)
    assert shown[2] == pytest.approx(127.5, abs=1)


def test_palette_is_looked_up(write_source: SourceWriter) -> None:
    table = bytes(range(256))
    changed: dict[int, tuple[str, bytes] | None] = {0x00280004: ("CS", b"PALETTE COLOR")}
    for offset, values in enumerate((table, table[::-1], bytes(256))):
        changed[0x00281101 + offset] = ("US", struct.pack("<3H", 256, 0, 8))
        changed[0x00281201 + offset] = ("OW", values)
    (photograph,) = read_photographs(write_source(changed))
    assert photograph.pixels[0, 1].tolist() == [0x40, 0xFF - 0x40, 0]


def test_full_chrominance_is_converted_to_rgb(write_source: SourceWriter) -> None:
    pixels = np.full((2, 2, 3), (81, 90, 240), np.uint8)
    changed = _colour(pixels) | {0x00280004: ("CS", b"YBR_FULL")}
    (photograph,) = read_photographs(write_source(changed))
    assert np.abs(photograph.pixels[0, 0].astype(int) - (238, 14, 14)).max() <= 2


def test_frames_are_photographs_with_their_numbers(
    write_source: SourceWriter, picture: NDArray[np.uint8]
) -> None:
    multi_frame = b"1.2.840.10008.5.1.4.1.1.7.4"
    changed = _colour(picture) | {
        0x00080016: ("UI", multi_frame),
        0x00280008: ("IS", b"2"),
        PIXELS: ("OB", picture.tobytes() + picture[::-1].tobytes()),
    }
    one, two = read_photographs(write_source(changed, sop_class=multi_frame))
    assert (one.source, two.source) == ("1.2.3.4#1", "1.2.3.4#2")
    assert (two.pixels == picture[::-1]).all()


def test_picture_of_one_pixel_is_read(write_source: SourceWriter) -> None:
    changed = {0x00280010: _us(1), 0x00280011: _us(1), PIXELS: ("OB", b"\x07\0")}
    (photograph,) = read_photographs(write_source(changed))
    assert photograph.pixels.shape == (1, 1, 3)


def test_jpeg_that_claims_60000_by_60000_is_rejected_before_it_is_decoded(
    write_source: SourceWriter,
    element: Callable[..., bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    frame_header = (
        b"\xff\xc0\0\x11\x08" + struct.pack(">HH", 60000, 60000) + b"\3" + b"\1\x11\0" * 3
    )
    stream = b"\xff\xd8" + frame_header + b"\xff\xda\0\x08\1\1\0\0\x3f\0" + b"\0" * 20 + b"\xff\xd9"
    monkeypatch.setattr(decoded_frames, "decode_frame", pytest.fail)
    monkeypatch.setattr(decoded_frames.Image, "open", pytest.fail)
    path = write_source(
        {PIXELS: None, 0x00280002: _us(3), 0x00280004: ("CS", b"YBR_FULL_422")},
        syntax="1.2.840.10008.1.2.4.50",
        tail=_encapsulated(element, stream),
    )
    with pytest.raises(RejectedInput, match="claims 60000 x 60000 pixels"):
        read_photographs(path)


def test_rows_and_columns_that_claim_too_much_are_rejected(write_source: SourceWriter) -> None:
    path = write_source({0x00280010: _us(60000), 0x00280011: _us(60000)})
    with pytest.raises(RejectedInput, match="60000 x 60000 pixels; at most 100 megapixels"):
        read_photographs(path)


def test_frames_that_claim_too_much_are_rejected(write_source: SourceWriter) -> None:
    with pytest.raises(RejectedInput, match="Number of Frames"):
        read_photographs(write_source({0x00280008: ("IS", b"999999999")}))


def test_pixel_data_shorter_than_claimed_is_rejected(write_source: SourceWriter) -> None:
    with pytest.raises(RejectedInput, match=r"has 4 bytes where .* claim 40000"):
        read_photographs(write_source({0x00280010: _us(200), 0x00280011: _us(200)}))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({0x00280010: None}, "Rows"),
        ({PIXELS: None}, "Pixel Data .* is missing"),
        ({0x00280004: None}, "cannot be decoded"),
        ({0x00280100: ("US", b"\x07\0")}, "cannot be decoded"),
        ({0x00280030: ("DS", b"0.1\\0.2")}, "not square"),
    ],
)
def test_wrong_attribute_is_named(
    write_source: SourceWriter, changed: dict[int, Any], message: str
) -> None:
    with pytest.raises(RejectedInput, match=message):
        read_photographs(write_source(changed))


def test_damaged_stream_is_rejected(
    write_source: SourceWriter, element: Callable[..., bytes]
) -> None:
    start = b"\xff\xd8\xff\xc0\0\x0b\x08\0\2\0\2\1\1\x11\0"
    for stream in (b"\xff\xd8\xff", start, start + b"\xff\xda\0\x08" + b"\0" * 30, b"", b"junk"):
        path = write_source(
            {PIXELS: None},
            syntax="1.2.840.10008.1.2.4.50",
            tail=_encapsulated(element, stream),
        )
        with pytest.raises(RejectedInput):
            read_photographs(path)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None
)
@given(st.data())
def test_damaged_bytes_of_a_jpeg_object_never_cause_another_error(
    tmp_path: Path,
    identity: StudyIdentity,
    picture: NDArray[np.uint8],
    made_at: datetime,
    data: st.DataObject,
) -> None:
    """GDCM ended the process here; a crash of the decoder would end the tests."""
    jpeg = BytesIO()
    Image.fromarray(picture).save(jpeg, "JPEG")
    path = tmp_path / "damaged.dcm"
    write_vl_photograph(jpeg.getvalue(), identity, path, made_at=made_at)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(132, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content))
    with suppress(RejectedInput):
        assert read_photographs(path)[0].pixels.dtype == np.uint8


def test_object_that_is_no_picture_is_rejected(model: Path) -> None:
    with pytest.raises(RejectedInput, match="is no photograph"):
        read_photographs(model)


@pytest.mark.parametrize("tag", [0x00280030, 0x00181164])
def test_pixel_spacing_is_read(write_source: SourceWriter, tag: int) -> None:
    (photograph,) = read_photographs(write_source({tag: ("DS", b"0.25\\0.25")}))
    assert photograph.pixel_spacing_mm == 0.25


@pytest.mark.parametrize("value", [b"0\\0", b"-1\\-1", b"", b"1"])
def test_spacing_that_is_none_is_ignored(write_source: SourceWriter, value: bytes) -> None:
    (photograph,) = read_photographs(write_source({0x00280030: ("DS", value)}))
    assert photograph.pixel_spacing_mm is None


@photographs_of_others.where_they_are
@photographs_of_others.each_with_view_and_expression
def test_photographs_of_another_writer_are_read(
    name: str, view: View, expression: Expression
) -> None:
    (photograph,) = read_photographs(photographs_of_others.DATA / f"{name}.dcm")
    assert photograph.view is view
    assert photograph.expression is expression
    assert photograph.pixels.std() > 20


def test_size_of_a_jpeg_2000_stream_is_read() -> None:
    sizes = struct.pack(">HIIIIIIIIH", 0, 640, 480, 0, 0, 640, 480, 0, 0, 3)
    size = stream_size(b"\xff\x4f\xff\x51\0\x2f" + sizes + b"\7\1\1" * 3)
    assert size is not None
    assert (size.rows, size.columns, size.samples, size.bits) == (480, 640, 3, 8)


@pytest.mark.parametrize(
    ("changed", "origin"),
    [
        ({0x00280030: ("DS", b"0.2\\0.2")}, "Pixel Spacing of the image"),
        (
            {0x00280030: ("DS", b"0.2\\0.2"), 0x00280A02: ("CS", b"FIDUCIAL")},
            "Pixel Spacing of the image, calibrated with an object of known size",
        ),
        ({0x00181164: ("DS", b"0.2\\0.2")}, "Imager Pixel Spacing of the image"),
        ({}, None),
    ],
)
def test_origin_of_the_spacing_is_told(
    write_source: SourceWriter, changed: dict[int, Any], origin: str | None
) -> None:
    (photograph,) = read_photographs(write_source(changed))
    assert photograph.pixel_spacing_origin == origin
    assert photograph.pixel_spacing_uncertainty_mm is None
