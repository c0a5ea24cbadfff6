"""Plain picture files (JPG, PNG, TIFF, HEIC) as photographs.

A file is decoded only after its header has said how large the picture is, and
is shown the way a viewer shows it: turned by its EXIF orientation, in sRGB,
eight bits a channel.
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError
from pillow_heif import register_heif_opener

from processing.inputs import Photograph
from processing.measurement import RejectedInput

LARGEST_PICTURE_PIXELS: Final = 100_000_000
LARGEST_FILE_BYTES: Final = 1_000_000_000

_FORMATS: Final = ("JPEG", "PNG", "TIFF", "HEIF")
_SIXTEEN_BIT_MODES: Final = ("I;16", "I;16B", "I;16L", "I;16N")
_ADVICE: Final = "export the picture again as JPEG, PNG, TIFF or HEIC"
# What Pillow's decoders raise on broken files, beside OSError.
_DECODER_FAULTS: Final = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    OverflowError,
    EOFError,
    RuntimeError,
)

register_heif_opener()


def read_picture(path: Path) -> Photograph:
    """Read a picture file.

    Parameters
    ----------
    path : Path
        JPEG, PNG, TIFF or HEIC; of several pictures in a file the first is read.

    Returns
    -------
    Photograph
        `source` is the file's name; view, expression and pixel spacing are not
        known to such files and stay None.

    Raises
    ------
    RejectedInput
        If the file cannot be read, is no picture, is damaged or truncated, or
        holds more than 100 million pixels (found before it is decoded).
    """
    try:
        if path.stat().st_size > LARGEST_FILE_BYTES:
            raise RejectedInput(f"{path.name}: the file is larger than {LARGEST_FILE_BYTES} bytes")
        content = path.read_bytes()
    except OSError as fault:
        raise RejectedInput(f"{path.name} cannot be read: {fault.strerror}") from fault
    return Photograph(pixels=picture_pixels(content, path.name), source=path.name)


def picture_pixels(content: bytes, name: str) -> NDArray[np.uint8]:
    """Decode the bytes of a picture file to upright sRGB pixels.

    Parameters
    ----------
    content : bytes
        The whole file.
    name : str
        What the file is called in a message.

    Returns
    -------
    (rows, columns, 3) uint8 array

    Raises
    ------
    RejectedInput
        As `read_picture`.
    """
    with warnings.catch_warnings():
        # Pillow warns of sizes and odd tags; the limits here decide instead.
        warnings.simplefilter("ignore")
        try:
            with Image.open(io.BytesIO(content), formats=_FORMATS) as picture:
                _check_size(picture, name)
                picture.load()
                upright = ImageOps.exif_transpose(picture)
                return _as_srgb(upright, name)
        except Image.DecompressionBombError as fault:
            raise RejectedInput(_too_large(name)) from fault
        except UnidentifiedImageError as fault:
            raise RejectedInput(
                f"{name} is no JPEG, PNG, TIFF or HEIC picture, or its header is damaged: {_ADVICE}"
            ) from fault
        except _DECODER_FAULTS as fault:
            raise RejectedInput(
                f"{name} is damaged or truncated ({fault}): send the file again, or {_ADVICE}"
            ) from fault


def _check_size(picture: Image.Image, name: str) -> None:
    columns, rows = picture.size
    if columns < 1 or rows < 1:
        raise RejectedInput(f"{name} has no pixels")
    if columns * rows > LARGEST_PICTURE_PIXELS:
        raise RejectedInput(_too_large(name, f"{columns} x {rows} pixels"))


def _too_large(name: str, size: str = "its size") -> str:
    return (
        f"{name}: {size} is more than the {LARGEST_PICTURE_PIXELS // 1_000_000} million pixels "
        f"that are accepted: export it smaller"
    )


def _as_srgb(picture: Image.Image, name: str) -> NDArray[np.uint8]:
    profile = picture.info.get("icc_profile")
    if picture.mode in (*_SIXTEEN_BIT_MODES, "I"):
        return _grey_of_sixteen_bits(picture, name)
    if picture.mode == "F":
        raise RejectedInput(f"{name} holds floating-point pixels: {_ADVICE}")
    if "A" in picture.getbands() or "transparency" in picture.info:
        picture = _on_white(picture.convert("RGBA"))
    elif picture.mode not in ("RGB", "L", "CMYK", "LAB"):
        picture = picture.convert("RGB")
    converted = _by_profile(picture, profile) if profile else None
    return np.array((converted or picture).convert("RGB"), dtype=np.uint8)


def _by_profile(picture: Image.Image, profile: bytes) -> Image.Image | None:
    """The picture in sRGB, or None where its profile is of no use."""
    try:
        return ImageCms.profileToProfile(
            picture,
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            outputMode="RGB",
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None


def _on_white(picture: Image.Image) -> Image.Image:
    white = Image.new("RGBA", picture.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, picture).convert("RGB")


def _grey_of_sixteen_bits(picture: Image.Image, name: str) -> NDArray[np.uint8]:
    values = np.asarray(picture, dtype=np.int64)
    if values.min() < 0 or values.max() > 0xFFFF:
        raise RejectedInput(f"{name} holds pixels outside sixteen bits: {_ADVICE}")
    eight_bits = (values >> 8).astype(np.uint8)
    return np.repeat(eight_bits[:, :, None], 3, axis=2)
