"""Picture files of cameras: JPEG, PNG, TIFF, BMP and HEIC."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, Final

import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from dicom_nodes.objects.colour_profile import to_srgb
from dicom_nodes.objects.compressed_frames import StreamSize, stream_size
from dicom_nodes.objects.photograph_reader import LARGEST_FRAME_PIXELS
from processing.measurement import RejectedInput

_BASELINE: Final = 0xC0
_METHODS: Final = {
    "JPEG": "ISO_10918_1",
    "MPO": "ISO_10918_1",
    "HEIF": "ISO_23008_2",
}
_FORMATS: Final = ("JPEG", "PNG", "TIFF", "BMP", "HEIF")
"""No others: Pillow also opens formats that start other programs, or hide how lossy they are."""

_PILLOW_FAULTS: Final = (
    UnidentifiedImageError,
    OSError,
    ValueError,
    TypeError,
    IndexError,
    KeyError,
    OverflowError,
    SyntaxError,
    RuntimeError,
    EOFError,
    struct.error,
    Image.DecompressionBombError,
)
_KEPT_JPEG_SEGMENTS: Final = frozenset({0xE0, 0xE2, 0xEE})


@dataclass(frozen=True, slots=True)
class PictureFile:
    """A picture out of a file, upright.

    Parameters
    ----------
    pixels : (rows, columns, 3) uint8 array
        sRGB, turned as the orientation in its EXIF says.
    baseline_jpeg : bytes, optional
        The JPEG stream as it was, its metadata segments left out, where DICOM can
        carry it as it is: baseline, 8 bits, one or three components, upright.
    stream : StreamSize, optional
        What `baseline_jpeg` says of itself.
    icc_profile : bytes, optional
        That of `baseline_jpeg`, where its colours are not sRGB.
    lossy_method : str, optional
        Defined term of Lossy Image Compression Method (0028,2114).
    lossy_ratio : float
        Size of the pixels divided by the size of the file.
    exif : mapping of str to object
        The camera's words by their EXIF names. Position (GPS) is never among them.
    """

    pixels: NDArray[np.uint8] = field(repr=False)
    baseline_jpeg: bytes | None = field(default=None, repr=False)
    stream: StreamSize | None = None
    icc_profile: bytes | None = field(default=None, repr=False)
    lossy_method: str | None = None
    lossy_ratio: float = 1.0
    exif: Mapping[str, Any] = field(default_factory=dict)


def read_picture_file(data: bytes) -> PictureFile:
    """Decode a picture file.

    Parameters
    ----------
    data : bytes
        The whole file.

    Returns
    -------
    PictureFile

    Raises
    ------
    RejectedInput
        If it is no picture, is damaged, or has more than `LARGEST_FRAME_PIXELS`.
    """
    pillow_heif.register_heif_opener()
    try:
        with warnings.catch_warnings():
            # The size is checked below, against one limit for all readers.
            warnings.simplefilter("ignore")
            with Image.open(BytesIO(data), formats=_FORMATS) as image:
                return _read(image, data)
    except _PILLOW_FAULTS as error:
        raise RejectedInput(f"The picture cannot be read: {error}") from error


def _read(image: Image.Image, data: bytes) -> PictureFile:
    if image.width * image.height > LARGEST_FRAME_PIXELS:
        raise RejectedInput(
            f"The picture claims {image.width} x {image.height} pixels; at most "
            f"{LARGEST_FRAME_PIXELS // 1_000_000} megapixels are read."
        )
    exif = image.getexif()
    orientation = exif.get(ExifTags.Base.Orientation, 1)
    words = {
        ExifTags.TAGS.get(tag, ""): value
        for tag, value in (*exif.items(), *exif.get_ifd(ExifTags.IFD.Exif).items())
        if tag != ExifTags.Base.GPSInfo
    }
    method = _METHODS.get(image.format or "")
    stream = stream_size(data) if image.format in ("JPEG", "MPO") else None
    kept = orientation in (0, 1) and stream is not None and _fits_into_dicom(stream)
    profile = image.info.get("icc_profile")
    stored = _eight_bit_rgb(ImageOps.exif_transpose(image))
    pixels = to_srgb(stored, profile)
    return PictureFile(
        pixels=pixels,
        baseline_jpeg=without_metadata(data) if kept else None,
        stream=stream if kept else None,
        icc_profile=profile if kept and pixels is not stored else None,
        lossy_method=method,
        lossy_ratio=pixels.nbytes / len(data),
        exif=words,
    )


def _fits_into_dicom(stream: StreamSize) -> bool:
    return stream.process == _BASELINE and stream.bits == 8 and stream.samples in (1, 3)


def _eight_bit_rgb(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image, dtype=np.float64)
        highest = 65535.0 if image.mode.startswith("I") else max(float(values.max()), 1.0)
        grey = np.rint(np.clip(values / highest, 0, 1) * 255).astype(np.uint8)
        return np.ascontiguousarray(np.repeat(grey[:, :, np.newaxis], 3, axis=2))
    if image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info:
        opaque = Image.new("RGBA", image.size, "white")
        opaque.alpha_composite(image.convert("RGBA"))
        image = opaque
    return np.ascontiguousarray(np.asarray(image.convert("RGB"), dtype=np.uint8))


def without_metadata(stream: bytes) -> bytes:
    """A JPEG without its metadata segments, every coded coefficient as it was.

    EXIF and XMP (which hold place, owner and a second small picture), Photoshop
    resources and comments go; JFIF, ICC profile and Adobe's colour transform stay.
    What follows the end of the image goes too.
    """
    kept = [stream[:2]]
    at = 2
    while at + 4 <= len(stream):
        marker = stream[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker == 0xDA:
            break
        (length,) = struct.unpack_from(">H", stream, at + 2)
        is_metadata = (0xE0 <= marker <= 0xEF or marker == 0xFE) and (
            marker not in _KEPT_JPEG_SEGMENTS
        )
        if not is_metadata:
            kept.append(stream[at : at + 2 + length])
        at += 2 + length
    end = stream.find(b"\xff\xd9", at)
    kept.append(stream[at : end + 2] if end >= 0 else stream[at:])
    return b"".join(kept)
