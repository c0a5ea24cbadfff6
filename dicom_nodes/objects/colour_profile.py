"""Pictures with an ICC profile, shown in sRGB.

A telephone's photograph is in Display P3 more often than not; taken as sRGB, skin
looks paler than it is.
"""

from __future__ import annotations

import io
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

LARGEST_PROFILE_BYTES: Final = 1 << 20
_ICC_SEGMENT: Final = b"ICC_PROFILE\0"
# What a rounded conversion to the same colours may change, of 255.
_NO_CHANGE: Final = 2
_PROBE_STEPS: Final = 6


def to_srgb(pixels: NDArray[np.uint8], profile: bytes | None) -> NDArray[np.uint8]:
    """Convert colours by their ICC profile.

    Parameters
    ----------
    pixels : (rows, columns, 3) uint8 array
        Device colours (RGB).
    profile : bytes, optional
        ICC input or display profile.

    Returns
    -------
    (rows, columns, 3) uint8 array
        In sRGB, by relative colorimetry; `pixels` itself where there is no profile,
        where it is sRGB within rounding, or where it cannot be used.
    """
    transform = _transform(profile) if profile else None
    if transform is None:
        return pixels
    probe = _probe()
    converted = _applied(transform, probe)
    if int(np.abs(converted.astype(np.int16) - probe).max()) <= _NO_CHANGE:
        return pixels
    return _applied(transform, pixels)


def profile_of_jpeg(stream: bytes) -> bytes | None:
    """The ICC profile in the APP2 segments of a JPEG (ICC.1:2022, annex B.4), if whole."""
    parts: dict[int, bytes] = {}
    wanted = 0
    at = 2
    while at + 4 <= len(stream) and stream[at] == 0xFF and stream[at + 1] != 0xDA:
        length = int.from_bytes(stream[at + 2 : at + 4], "big")
        segment = stream[at + 4 : at + 2 + length]
        if stream[at + 1] == 0xE2 and segment.startswith(_ICC_SEGMENT) and len(segment) > 14:
            parts[segment[12]], wanted = segment[14:], segment[13]
        if length < 2:
            break
        at += 2 + length
    if not parts or sorted(parts) != list(range(1, wanted + 1)):
        return None
    return b"".join(parts[number] for number in sorted(parts))


def _transform(profile: bytes) -> ImageCms.ImageCmsTransform | None:
    if len(profile) > LARGEST_PROFILE_BYTES:
        return None
    try:
        return ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            "RGB",
            "RGB",
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None  # damaged, or for another kind of pixels


def _probe() -> NDArray[np.uint8]:
    """Colours all over the cube, as a picture."""
    steps = np.linspace(0, 255, _PROBE_STEPS).astype(np.uint8)
    cube = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1)
    return cube.reshape(1, -1, 3)


def _applied(transform: ImageCms.ImageCmsTransform, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    shown = ImageCms.applyTransform(Image.fromarray(pixels), transform)
    assert shown is not None
    return np.array(shown, dtype=np.uint8)
