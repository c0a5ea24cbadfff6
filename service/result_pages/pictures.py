"""Which pictures stand on the first page, and where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from processing.measurement import Picture
from service.display import shown
from service.result_pages.words import Words

_LARGEST_PX: Final = 1400
CAPTION_MM: Final = 5.0
_GAP_MM: Final = 4.0
_LONGEST_CAPTION: Final = 200
# The first of these is the large one; a picture that is not named comes after.
_ORDER: Final = (
    "photograph-symmetry",
    "heat-map-front",
    "photograph-chimeras",
    "heat-map-right-oblique",
    "heat-map-left-oblique",
    "midsagittal-plane",
)
_MOST: Final = 3


@dataclass(frozen=True, slots=True)
class Placed:
    """A picture with its place, mm from the corner of the room for pictures."""

    left: float
    top: float
    width: float
    height: float
    caption: str
    pixels: NDArray[np.uint8] = field(repr=False)


def placed_pictures(
    pictures: Sequence[Picture], words: Words, width: float, height: float
) -> list[Placed]:
    """The pictures that are shown: side by side, or one large beside two smaller ones.

    Parameters
    ----------
    pictures : sequence of Picture
    words : Words
    width, height : float
        Of the room, mm.
    """
    chosen = sorted(
        pictures, key=lambda each: _ORDER.index(each.name) if each.name in _ORDER else len(_ORDER)
    )[:_MOST]
    if len(chosen) < _MOST:
        return _side_by_side(chosen, words, width, height)
    large, *small = chosen
    beside = (width - _GAP_MM) * 0.36
    first = _side_by_side([large], words, width - beside - _GAP_MM, height)[0]
    room = (first.height - (len(small) - 2) * CAPTION_MM - _GAP_MM) / len(small)
    placed = [first]
    for index, each in enumerate(small):
        top = index * (room + _GAP_MM)
        fitting = _side_by_side([each], words, beside, room + CAPTION_MM)[0]
        left = width - beside + fitting.left
        placed.append(replace(fitting, left=left, top=top))
    return placed


def _side_by_side(
    pictures: Sequence[Picture], words: Words, width: float, height: float
) -> list[Placed]:
    """Pictures of one height, in the middle of the room."""
    reduced = [_reduced(each.pixels) for each in pictures]
    aspects = [each.shape[1] / each.shape[0] for each in reduced]
    gaps = (len(pictures) - 1) * _GAP_MM
    if not pictures:
        return []
    own_height = min((width - gaps) / sum(aspects), height - CAPTION_MM)
    left = (width - gaps - own_height * sum(aspects)) / 2
    placed = []
    for picture, pixels, aspect in zip(pictures, reduced, aspects, strict=True):
        caption = words.pictures.get(picture.name) or shown(picture.caption, _LONGEST_CAPTION)
        placed.append(Placed(left, 0, own_height * aspect, own_height, caption, pixels))
        left += own_height * aspect + _GAP_MM
    return placed


def _reduced(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """No larger than paper can show."""
    longest = max(pixels.shape[:2])
    if longest <= _LARGEST_PX:
        return pixels
    rows, columns = (max(1, round(each * _LARGEST_PX / longest)) for each in pixels.shape[:2])
    reduced = Image.fromarray(pixels).resize((columns, rows), Image.Resampling.LANCZOS)
    return np.asarray(reduced, np.uint8)
