"""An A4 sheet to draw on: text, lines, boxes and pictures, in mm from its upper left corner."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
from fpdf import FPDF
from fpdf.enums import TextMode
from numpy.typing import NDArray
from PIL import Image

from service.result_pages.embedded_font import EmbeddedFont
from service.result_pages.line_breaking import fitted, lines_of

WIDTH_MM: Final = 210.0
HEIGHT_MM: Final = 297.0
MARGIN_MM: Final = 14.0
RIGHT_MM: Final = WIDTH_MM - MARGIN_MM
INNER_MM: Final = RIGHT_MM - MARGIN_MM

Colour = tuple[int, int, int]
INK: Final[Colour] = (30, 34, 40)
QUIET: Final[Colour] = (95, 102, 112)
ACCENT: Final[Colour] = (16, 78, 122)
WARNING: Final[Colour] = (150, 62, 10)
RULE: Final[Colour] = (205, 210, 216)
PALE: Final[Colour] = (243, 246, 249)
PALE_WARNING: Final[Colour] = (253, 245, 236)

_FAMILY: Final = "pages"
_MM_PER_POINT: Final = 25.4 / 72
_LINE: Final = 1.42
_BOLD_STROKE: Final = 0.022  # of the size of the type
_ASCENT: Final = 1.02  # of the size of the type, from the top of a line to its baseline
_JPEG_QUALITY: Final = 88


@dataclass(frozen=True, slots=True)
class Type:
    """How a text is set."""

    points: float = 9.0
    colour: Colour = INK
    bold: bool = False

    @property
    def line_mm(self) -> float:
        """Distance of two lines."""
        return self.points * _MM_PER_POINT * _LINE


class Sheet:
    """A document of such sheets; the same calls make the same bytes."""

    def __init__(self, font: EmbeddedFont, title: str, language: str, made_at: datetime) -> None:
        self._font = font
        self._pdf = FPDF(format="A4", unit="mm")
        self._pdf.set_auto_page_break(False)
        self._pdf.set_margin(0)
        self._pdf.set_title(title)
        self._pdf.set_lang(language)
        self._pdf.set_producer("hemiface")
        self._pdf.set_creation_date(made_at)
        self._pdf.add_font(_FAMILY, fname=font.path)

    def add_page(self) -> None:
        """Begin a new page."""
        self._pdf.add_page()

    def as_bytes(self) -> bytes:
        """The document as PDF."""
        return bytes(self._pdf.output())

    def width_of(self, text: str, style: Type) -> float:
        """Width of a text in one line, mm."""
        self._set(style)
        return float(self._pdf.get_string_width(self._font.drawable(text)))

    def text(
        self, left: float, top: float, text: str, style: Type, *, width: float | None = None
    ) -> None:
        """One line; cut where it is wider than `width`."""
        self._line(left, top, self._cut(text, style, width), style)

    def text_to(
        self, right: float, top: float, text: str, style: Type, *, width: float | None = None
    ) -> None:
        """One line that ends at `right`."""
        cut = self._cut(text, style, width)
        self._line(right - self.width_of(cut, style), top, cut, style)

    def lines(self, text: str, width: float, style: Type) -> list[str]:
        """The lines of a paragraph."""
        return lines_of(text, width, lambda each: self.width_of(each, style))

    def paragraph(self, left: float, top: float, lines: Iterable[str], style: Type) -> float:
        """Lines below one another; gives where the next one would be."""
        for each in lines:
            self._line(left, top, each, style)
            top += style.line_mm
        return top

    def rule(self, top: float, colour: Colour = RULE, *, thickness: float = 0.2) -> None:
        """A line across the page."""
        self._pdf.set_draw_color(*colour)
        self._pdf.set_line_width(thickness)
        self._pdf.line(MARGIN_MM, top, RIGHT_MM, top)

    def box(self, left: float, top: float, width: float, height: float, colour: Colour) -> None:
        """A filled box."""
        self._pdf.set_fill_color(*colour)
        self._pdf.rect(left, top, width, height, style="F")

    def picture(
        self, left: float, top: float, width: float, height: float, pixels: NDArray[np.uint8]
    ) -> tuple[float, float]:
        """A picture in the middle of a box; gives its own width and height."""
        rows, columns = pixels.shape[:2]
        scale = min(width / columns, height / rows)
        shown_width, shown_height = columns * scale, rows * scale
        encoded = io.BytesIO()
        Image.fromarray(pixels).save(encoded, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
        self._pdf.image(
            encoded, left + (width - shown_width) / 2, top, w=shown_width, h=shown_height
        )
        return shown_width, shown_height

    def _cut(self, text: str, style: Type, width: float | None) -> str:
        if width is None:
            return text
        return fitted(text, width, lambda each: self.width_of(each, style))

    def _set(self, style: Type) -> None:
        self._pdf.set_font(_FAMILY, size=style.points)

    def _line(self, left: float, top: float, text: str, style: Type) -> None:
        self._set(style)
        baseline = top + style.points * _MM_PER_POINT * _ASCENT
        drawable = self._font.drawable(text)
        self._pdf.set_text_color(*style.colour)
        if not style.bold:
            self._pdf.text(left, baseline, drawable)
            return
        # One file for both weights: the outline is drawn as well.
        with self._pdf.local_context(
            text_mode=TextMode.FILL_STROKE,
            draw_color=style.colour,
            line_width=style.points * _MM_PER_POINT * _BOLD_STROKE,
        ):
            self._pdf.text(left, baseline, drawable)
