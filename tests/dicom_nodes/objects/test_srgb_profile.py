from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageCms

from dicom_nodes.objects.srgb_profile import srgb_profile


def test_the_profile_changes_no_colour_and_is_the_same_at_any_time() -> None:
    profile = srgb_profile()
    pixels = np.random.default_rng(1).integers(0, 256, (32, 32, 3), np.uint8)
    shown = ImageCms.profileToProfile(
        Image.fromarray(pixels),
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
    )
    assert shown is not None
    assert np.abs(np.asarray(shown).astype(int) - pixels).max() <= 1
    srgb_profile.cache_clear()
    assert srgb_profile() == profile
    assert profile[12:16] == b"scnr"
