from __future__ import annotations

import numpy as np
import pytest

from processing.measurement import RejectedInput
from processing.mesh_files.textures import (
    LARGEST_TEXTURE_PIXELS,
    MOST_PICTURES,
    PLAIN,
    joined_texture,
)

CORNERS = np.tile([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]], (2, 1, 1))


def test_without_a_picture_there_is_no_texture() -> None:
    assert joined_texture([], np.array([PLAIN, PLAIN]), CORNERS, source="scan") is None
    assert joined_texture([], np.empty(0, int), np.empty((0, 3, 2)), source="scan") is None


def test_large_pictures_are_reduced_and_keep_their_mean() -> None:
    picture = np.zeros((6000, 5000, 3), np.uint8)
    picture[::2] = 100
    texture = joined_texture([picture], np.array([0, 0]), CORNERS, source="scan")
    assert texture is not None
    assert texture.pixels.shape == (3000, 2500, 3)
    assert texture.pixels.shape[0] * texture.pixels.shape[1] <= LARGEST_TEXTURE_PIXELS
    assert (texture.pixels == 50).all()
    np.testing.assert_array_equal(texture.corners, CORNERS)


def test_a_place_that_is_no_number_shows_grey() -> None:
    corners = CORNERS.copy()
    corners[1, 2, 0] = np.nan
    picture = np.zeros((4, 4, 3), np.uint8)
    texture = joined_texture([picture], np.array([0, 0]), corners, source="scan")
    assert texture is not None
    assert np.isfinite(texture.corners).all()
    assert texture.corners.min() >= 0
    assert texture.corners.max() <= 1
    assert (texture.corners[1, :, 0] > 4 / 12).all()


def test_more_pictures_than_a_scan_has_are_rejected() -> None:
    count = MOST_PICTURES + 1
    pictures = [np.zeros((1, 1, 3), np.uint8)] * count
    corners = np.zeros((count, 3, 2))
    with pytest.raises(RejectedInput, match="textures"):
        joined_texture(pictures, np.arange(count), corners, source="scan")
