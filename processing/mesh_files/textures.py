"""The pictures of a mesh as one texture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from processing.inputs import Texture
from processing.measurement import RejectedInput

PLAIN: Final = -1
LARGEST_TEXTURE_PIXELS: Final = 4096 * 4096
MOST_PICTURES: Final = 16

_PLAIN_PIXELS: Final = 8
_PLAIN_LEVEL: Final = 176


def joined_texture(
    pictures: Sequence[NDArray[np.uint8]],
    shown: NDArray[np.int64],
    corners: NDArray[np.float64],
    *,
    source: str,
) -> Texture | None:
    """One texture for the whole mesh; several pictures are laid side by side.

    Pictures of more than 16 megapixels together are reduced by a whole factor: the
    texture serves to find the face, not to measure it. Triangles without a picture
    show a plain grey.

    Parameters
    ----------
    pictures : sequence of (rows, columns, 3) uint8 arrays
    shown : (m,) int64 array
        The picture of each triangle, or `PLAIN`.
    corners : (m, 3, 2) float64 array
        Where its corners lie in that picture, (across, up) from its lower left
        corner; outside 0..1 the picture repeats.
    source : str
        Named in messages.

    Returns
    -------
    Texture or None
        None where no triangle shows a picture.

    Raises
    ------
    RejectedInput
        If there are more than `MOST_PICTURES`.
    """
    used = np.unique(shown)
    used = used[used != PLAIN]
    if not len(used):
        return None
    check_picture_count(len(used), source)
    usable = np.asarray(np.isfinite(corners).all(axis=(1, 2)))
    shown = np.where(usable, shown, PLAIN)
    if not usable.all():
        corners = np.where(usable[:, None, None], corners, 0.0)
    within = _within_the_picture(corners)
    chosen = _reduced([pictures[number] for number in used])
    if len(chosen) == 1 and (shown != PLAIN).all():
        return Texture(pixels=chosen[0], corners=within)
    chosen.append(np.full((_PLAIN_PIXELS, _PLAIN_PIXELS, 3), _PLAIN_LEVEL, np.uint8))
    # The grey comes last, and its middle is shown, clear of what lies beside it.
    position = np.where(shown == PLAIN, len(used), np.searchsorted(used, shown))
    within = np.where((shown == PLAIN)[:, None, None], 0.5, within)
    return _side_by_side(chosen, position, within)


def check_picture_count(count: int, source: str) -> None:
    """Refuse more than `MOST_PICTURES`, before they take memory; raises RejectedInput."""
    if count > MOST_PICTURES:
        raise RejectedInput(
            f"{source}: the surface has {count} textures; at most {MOST_PICTURES} are read"
        )


def small_enough(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture, reduced by a whole factor to at most `LARGEST_TEXTURE_PIXELS`."""
    (picture,) = _reduced([picture])
    return picture


def texture_of_vertices(
    pixels: NDArray[np.uint8],
    places: NDArray[np.float64],
    triangles: NDArray[np.int32],
    *,
    source: str,
) -> Texture | None:
    """The texture of a surface whose every vertex has one place in one picture.

    Parameters
    ----------
    pixels : (rows, columns, 3) uint8 array
    places : (n, 2) float64 array
        (across, up) in 0..1 from the lower left corner of the picture.
    triangles : (m, 3) int32 array
    source : str
        Named in messages.
    """
    shown = np.zeros(len(triangles), np.int64)
    return joined_texture([pixels], shown, places[triangles], source=source)


def _within_the_picture(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """The corners moved by whole pictures until their triangle's middle lies in 0..1."""
    outside = ((corners < 0) | (corners > 1)).any(axis=(1, 2))
    if not outside.any():
        return corners
    moved = corners.copy()
    moved[outside] -= np.floor(corners[outside].mean(axis=1, keepdims=True))
    return np.clip(moved, 0.0, 1.0)


def _reduced(pictures: list[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    pixels = max(each.shape[0] for each in pictures) * sum(each.shape[1] for each in pictures)
    factor = int(np.ceil(np.sqrt(pixels / LARGEST_TEXTURE_PIXELS)))
    if factor <= 1:
        return pictures
    return [np.asarray(Image.fromarray(each).reduce(factor)) for each in pictures]


def _side_by_side(
    pictures: list[NDArray[np.uint8]],
    position: NDArray[np.int64],
    corners: NDArray[np.float64],
) -> Texture:
    heights = np.array([each.shape[0] for each in pictures])
    widths = np.array([each.shape[1] for each in pictures])
    offsets = np.cumsum(widths) - widths
    whole = np.zeros((heights.max(), widths.sum(), 3), np.uint8)
    for each, offset in zip(pictures, offsets, strict=True):
        # Aligned at the bottom, from where texture coordinates count.
        whole[whole.shape[0] - each.shape[0] :, offset : offset + each.shape[1]] = each
    scale = np.stack([widths, heights], axis=1) / np.array([widths.sum(), heights.max()])
    start = np.stack([offsets / widths.sum(), np.zeros(len(pictures))], axis=1)
    placed = start[position][:, None] + corners * scale[position][:, None]
    return Texture(pixels=whole, corners=placed)
