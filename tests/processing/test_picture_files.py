from __future__ import annotations

import io
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageCms

from processing.measurement import RejectedInput
from processing.picture_files import picture_pixels, read_picture

EXIF_ORIENTATION = 0x0112


@pytest.fixture
def pixels() -> NDArray[np.uint8]:
    rows, columns = np.mgrid[0:40, 0:60]
    return np.stack([rows * 6, columns * 4, np.full_like(rows, 90)], axis=-1).astype(np.uint8)


def _jpeg(pixels: NDArray[np.uint8], **options: object) -> bytes:
    written = io.BytesIO()
    Image.fromarray(pixels).save(written, "JPEG", quality=95, **options)
    return written.getvalue()


@pytest.mark.parametrize("name", ["face.png", "face.tiff"])
def test_lossless_files_are_read_back_exactly(
    pixels: NDArray[np.uint8], tmp_path: Path, name: str
) -> None:
    Image.fromarray(pixels).save(tmp_path / name)
    photograph = read_picture(tmp_path / name)
    np.testing.assert_array_equal(photograph.pixels, pixels)
    assert photograph.source == name


def test_heic_is_read(pixels: NDArray[np.uint8], tmp_path: Path) -> None:
    pillow_heif.from_pillow(Image.fromarray(pixels)).save(tmp_path / "face.heic", quality=95)
    read = read_picture(tmp_path / "face.heic").pixels
    assert read.shape == pixels.shape
    assert np.abs(read.astype(int) - pixels).mean() < 6


def test_the_picture_is_turned_as_its_exif_orientation_says(
    pixels: NDArray[np.uint8], tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = 6  # to be shown turned a quarter clockwise
    (tmp_path / "turned.jpg").write_bytes(_jpeg(pixels, exif=exif))
    read = read_picture(tmp_path / "turned.jpg").pixels
    expected = np.rot90(pixels, k=-1)
    assert read.shape == expected.shape
    assert np.abs(read.astype(int) - expected).mean() < 4


def test_colours_are_converted_by_the_embedded_profile(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    # With the names of red's and green's primary swapped, red means green.
    swapped = profile.replace(b"rXYZ", b"????", 1).replace(b"gXYZ", b"rXYZ", 1)
    swapped = swapped.replace(b"????", b"gXYZ", 1)
    red = Image.new("RGB", (4, 4), (200, 0, 0))
    red.save(tmp_path / "swapped.png", icc_profile=swapped)
    shown = read_picture(tmp_path / "swapped.png").pixels[0, 0]
    assert shown[1] > 180
    assert shown[0] < 40


def test_a_useless_profile_is_ignored(pixels: NDArray[np.uint8], tmp_path: Path) -> None:
    Image.fromarray(pixels).save(tmp_path / "odd.png", icc_profile=b"no profile")
    np.testing.assert_array_equal(read_picture(tmp_path / "odd.png").pixels, pixels)


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    deep = np.array([[0, 256], [32768, 65535]], dtype=np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    read = read_picture(tmp_path / "deep.png").pixels
    np.testing.assert_array_equal(read[..., 0], [[0, 1], [128, 255]])
    np.testing.assert_array_equal(read[..., 0], read[..., 2])


def test_transparent_parts_are_shown_on_white(tmp_path: Path) -> None:
    Image.new("RGBA", (3, 3), (10, 20, 30, 0)).save(tmp_path / "clear.png")
    assert (read_picture(tmp_path / "clear.png").pixels == 255).all()


def test_a_truncated_file_is_rejected_with_its_name(
    pixels: NDArray[np.uint8], tmp_path: Path
) -> None:
    whole = _jpeg(pixels)
    (tmp_path / "half.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RejectedInput, match=r"half\.jpg is damaged or truncated"):
        read_picture(tmp_path / "half.jpg")


def test_what_is_no_picture_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "letter.jpg").write_bytes(b"Dear colleague, ...")
    with pytest.raises(RejectedInput, match="is no JPEG"):
        read_picture(tmp_path / "letter.jpg")


def test_a_missing_file_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(RejectedInput, match="cannot be read"):
        read_picture(tmp_path / "absent.png")


def _png_that_claims(columns: int, rows: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", columns, rows, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


def _jpeg_that_claims(pixels: NDArray[np.uint8], columns: int, rows: int) -> bytes:
    content = bytearray(_jpeg(pixels))
    frame = content.index(b"\xff\xc0")
    content[frame + 5 : frame + 9] = struct.pack(">HH", rows, columns)
    return bytes(content)


def test_a_picture_that_claims_too_many_pixels_is_rejected_before_it_is_decoded(
    pixels: NDArray[np.uint8],
) -> None:
    started = time.monotonic()
    for content in (_png_that_claims(60_000, 60_000), _jpeg_that_claims(pixels, 60_000, 60_000)):
        with pytest.raises(RejectedInput, match="100 million pixels"):
            picture_pixels(content, "bomb")
    assert time.monotonic() - started < 5


def test_the_largest_accepted_size_is_a_hundred_million_pixels() -> None:
    with pytest.raises(RejectedInput, match="damaged or truncated"):
        picture_pixels(_png_that_claims(10_000, 10_000), "empty")
    with pytest.raises(RejectedInput, match="10001 x 10000 pixels is more"):
        picture_pixels(_png_that_claims(10_001, 10_000), "larger")


@given(content=st.binary(max_size=300))
def test_any_bytes_are_rejected_and_nothing_else(content: bytes) -> None:
    with pytest.raises(RejectedInput):
        picture_pixels(content, "bytes")


@given(position=st.integers(0, 2000), value=st.integers(0, 255), name=st.sampled_from("PJT"))
def test_a_changed_byte_gives_a_picture_or_a_rejection(
    position: int, value: int, name: str
) -> None:
    picture = Image.fromarray(
        np.arange(48 * 48 * 3, dtype=np.uint32).astype(np.uint8).reshape(48, 48, 3)
    )
    written = io.BytesIO()
    picture.save(written, {"P": "PNG", "J": "JPEG", "T": "TIFF"}[name])
    content = bytearray(written.getvalue())
    content[position % len(content)] = value
    try:
        read = picture_pixels(bytes(content), "changed")
    except RejectedInput:
        return
    assert read.dtype == np.uint8
    assert read.shape[2] == 3
