"""The sheet around a drawn surface: a title above, a margin for the legend, the patient's sides."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

PAPER: Final = (255, 255, 255)
INK: Final = (32, 36, 42)
_LINES_OF_TEXT: Final = 28
"""Height of the drawn surface in lines of text: legible when a page holds two pictures."""
_SIDE_SCALE: Final = 2.2

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True, slots=True)
class Sheet:
    """A picture under way.

    Parameters
    ----------
    image : Image
    text_px : int
        Height of the text.
    legend_left, legend_top : int
        Where the free margin for the legend begins.
    """

    image: Image.Image = field(repr=False)
    text_px: int
    legend_left: int
    legend_top: int


@cache
def font_of(size_px: int) -> Font:
    """Pillow's own font at a size; loaded once."""
    return ImageFont.load_default(size_px)


def title_height_px(rows: int) -> int:
    """How far below the upper edge of the sheet a surface of so many rows is put."""
    return round(2.6 * _text_px(rows))


def _text_px(rows: int) -> int:
    return max(12, round(rows / _LINES_OF_TEXT))


def begin_sheet(drawn: NDArray[np.uint8], title: str, marks: tuple[str, str]) -> Sheet:
    """Put a drawn surface on a sheet of paper.

    Parameters
    ----------
    drawn : (rows, columns, 3) uint8 array
        On `PAPER`.
    title : str
        Drawn above; cut where the sheet ends.
    marks : tuple of str
        The patient's sides, at the left and right edge of the surface.
    """
    rows, columns = drawn.shape[:2]
    text_px = _text_px(rows)
    title_height = title_height_px(rows)
    size = (columns + round(6.8 * text_px), rows + title_height)
    image = Image.new("RGB", size, PAPER)
    image.paste(Image.fromarray(drawn), (0, title_height))
    pen = ImageDraw.Draw(image)
    pen.text((text_px, title_height / 2), title, INK, font_of(round(1.25 * text_px)), anchor="lm")
    side_font = font_of(round(_SIDE_SCALE * text_px))
    # In the upper corners, where a face leaves the most room; with a rim where it does not.
    row = title_height + 1.6 * text_px
    rim = max(2, text_px // 6)
    for mark, column, anchor in (
        (marks[0], 0.6 * text_px, "lm"),
        (marks[1], columns - 0.6 * text_px, "rm"),
    ):
        pen.text((column, row), mark, INK, side_font, anchor, stroke_width=rim, stroke_fill=PAPER)
    return Sheet(image, text_px, columns + text_px // 2, title_height)


def draw_swatch(
    sheet: Sheet, row: int, colour: tuple[int, int, int], words: str, *, is_dot: bool = False
) -> None:
    """Draw a patch of a colour, and what it stands for, into the legend at a row."""
    pen, text_px, left = ImageDraw.Draw(sheet.image), sheet.text_px, sheet.legend_left
    box = (left, row, left + text_px, row + text_px)
    if is_dot:
        pen.ellipse(box, colour, PAPER, max(1, text_px // 8))
    else:
        pen.rectangle(box, colour, INK)
    pen.multiline_text(
        (left + 1.4 * text_px, row - 0.1 * text_px), words, INK, font_of(text_px), spacing=2
    )
