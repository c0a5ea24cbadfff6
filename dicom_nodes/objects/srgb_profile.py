"""The ICC profile of sRGB, as objects carry it."""

from __future__ import annotations

from functools import cache
from typing import Final

from PIL import ImageCms

# Fields of the header of a profile (ICC.1:2022, 7.2).
_CLASS: Final = slice(12, 16)
_CREATED: Final = slice(24, 36)
_IDENTIFIER: Final = slice(84, 100)
_FIRST_OF_2026: Final = bytes.fromhex("07ea 0001 0001 0000 0000 0000")


@cache
def srgb_profile() -> bytes:
    """The profile of sRGB as an input device's, the same bytes at any time.

    ICC Profile (0028,2000) is an input device profile (PS3.3 C.11.15.1.1).
    """
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[_CLASS] = b"scnr"
    profile[_CREATED] = _FIRST_OF_2026
    profile[_IDENTIFIER] = bytes(16)
    return bytes(profile)
