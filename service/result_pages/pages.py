"""Draws a result on one or two A4 pages, as PDF."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from processing.measurement import Analysis, Picture, Status
from service.result_pages.embedded_font import MISSING_CHARACTER, embedded_font
from service.result_pages.page_content import PageContent, Subject, page_content
from service.result_pages.pictures import CAPTION_MM, Placed, placed_pictures
from service.result_pages.sheet import (
    ACCENT,
    HEIGHT_MM,
    INK,
    INNER_MM,
    MARGIN_MM,
    PALE,
    PALE_WARNING,
    QUIET,
    RIGHT_MM,
    WARNING,
    Colour,
    Sheet,
    Type,
)
from service.result_pages.table_drawing import draw_tables
from service.result_pages.text_tables import NormalRangeOf
from service.result_pages.words import Language, Sentence, Words, words_of

_TITLE: Final = Type(17, ACCENT, bold=True)
_HEADING: Final = Type(11, ACCENT, bold=True)
_NAME: Final = Type(10.5, INK, bold=True)
_LOUD: Final = Type(11.5, INK, bold=True)
_BODY: Final = Type(9)
_LABEL: Final = Type(8, QUIET)
_SMALL: Final = Type(7.5, QUIET)

_PADDING: Final = 3.0
_GAP: Final = 5.0
_FOOTER_TOP: Final = HEIGHT_MM - 14.0
_SUBJECT_COLUMNS: Final = 2
_LABEL_WIDTH: Final = 22.0
_MOST_NAME_LINES: Final = 2
_SMALLEST_PICTURES_MM: Final = 40.0
_LARGEST_PICTURES_MM: Final = 118.0


def result_pages(
    analysis: Analysis,
    pictures: Sequence[Picture],
    subject: Subject,
    made_at: datetime,
    *,
    language: Language,
    software: str,
    normal_range_of: NormalRangeOf,
) -> bytes:
    """The pages of a result.

    The same arguments make the same bytes.

    Parameters
    ----------
    analysis : Analysis
        Measured, refused or failed.
    pictures : sequence of Picture
        The first few are shown.
    subject : Subject
    made_at : datetime
        When it was measured, in the zone that is shown.
    language : ``"en"`` or ``"zh"``
    software : str
        Version of the program.
    normal_range_of : callable

    Returns
    -------
    bytes
        A PDF of one page, or of two where measures were taken.

    Raises
    ------
    PermanentFault
        If the font is not installed.
    """
    words = words_of(language)
    content = page_content(
        analysis, subject, made_at, words, software=software, normal_range_of=normal_range_of
    )
    drawing = _Drawing(
        Sheet(embedded_font(), content.title, language, made_at),
        words,
        content,
        is_measured=analysis.status is Status.MEASURED,
    )
    drawing.first_page(pictures)
    if content.tables:
        drawing.second_page()
    return drawing.sheet.as_bytes()


@dataclass(frozen=True, slots=True)
class _Drawing:
    sheet: Sheet
    words: Words
    content: PageContent
    is_measured: bool

    @property
    def _pages(self) -> int:
        return 2 if self.content.tables else 1

    def first_page(self, pictures: Sequence[Picture]) -> None:
        """Patient, result, pictures, what to be careful about, how it was done."""
        self.sheet.add_page()
        top = self._title(MARGIN_MM - 2)
        top = self._subject(top)
        top = self._statement(top + _GAP)
        room = _FOOTER_TOP - 3 * _GAP - self._text_height() - top
        top += self._pictures(top + _GAP, room, pictures)
        self._cautions_and_method(top + _GAP)
        self._footer(1)

    def second_page(self) -> None:
        """The tables, and what is normal."""
        sheet, content = self.sheet, self.content
        sheet.add_page()
        top = MARGIN_MM - 2
        sheet.text(MARGIN_MM, top, self.words.say(Sentence.MEASURES), _HEADING)
        name = content.subject[0][1]
        sheet.text_to(RIGHT_MM, top + 0.8, f"{content.title} – {name}", _LABEL, width=130)
        notes = [*content.normal]
        if content.normal:
            notes.append(self.words.say(Sentence.NORMAL_NOTE))
        notes.append(self.words.say(Sentence.UNCERTAINTY))
        lines = [line for each in notes for line in sheet.lines(each, INNER_MM, _SMALL)]
        bottom = _FOOTER_TOP - 2 - (len(lines) + 1) * _SMALL.line_mm
        left_out = draw_tables(sheet, content.tables, top + _GAP + _PADDING, bottom)
        left_out += content.measures_left_out
        if left_out:
            rest = self.words.say(Sentence.REST_IN_REPORT, count=str(left_out))
            lines.append(rest)
        sheet.paragraph(MARGIN_MM, bottom + 2, lines, _SMALL)
        self._footer(2)

    def _title(self, top: float) -> float:
        self.sheet.text(MARGIN_MM, top, self.content.title, _TITLE, width=INNER_MM)
        self.sheet.rule(top + _TITLE.line_mm + 0.5, ACCENT, thickness=0.6)
        return top + _TITLE.line_mm + 2.5

    def _subject(self, top: float) -> float:
        """The name over the whole width, the rest in two columns, read downward."""
        (label, name), *rest = self.content.subject
        self.sheet.text(MARGIN_MM, top + 0.9, label, _LABEL, width=_LABEL_WIDTH - 1)
        lines = self.sheet.lines(name, INNER_MM - _LABEL_WIDTH, _NAME)[:_MOST_NAME_LINES]
        top = self.sheet.paragraph(MARGIN_MM + _LABEL_WIDTH, top, lines, _NAME)
        rows = -(-len(rest) // _SUBJECT_COLUMNS)
        column = INNER_MM / _SUBJECT_COLUMNS
        for index, (label, value) in enumerate(rest):
            left = MARGIN_MM + index // rows * column
            at = top + index % rows * _BODY.line_mm
            self.sheet.text(left, at + 0.3, label, _LABEL, width=_LABEL_WIDTH - 1)
            width = column - _LABEL_WIDTH - 3
            self.sheet.text(left + _LABEL_WIDTH, at, value, _BODY, width=width)
        return top + rows * _BODY.line_mm

    def _statement(self, top: float) -> float:
        """The result in a box, or why there is none."""
        inner = INNER_MM - 2 * _PADDING
        loud = _LOUD if self.is_measured else _BODY
        parts = [
            (self.sheet.lines(each, inner, style), style)
            for each, style in zip(
                self.content.statement,
                (loud, *(_BODY for _ in self.content.statement)),
                strict=False,
            )
        ]
        height = 2 * _PADDING + sum(len(lines) * style.line_mm + 1 for lines, style in parts)
        colour = PALE if self.is_measured else PALE_WARNING
        heading = _HEADING if self.is_measured else Type(_HEADING.points, WARNING, bold=True)
        height += heading.line_mm
        self.sheet.box(MARGIN_MM, top, INNER_MM, height, colour)
        at = top + _PADDING
        self.sheet.text(MARGIN_MM + _PADDING, at, self.content.statement_heading, heading)
        at += heading.line_mm + 0.5
        for lines, style in parts:
            at = self.sheet.paragraph(MARGIN_MM + _PADDING, at, lines, style) + 1
        return top + height

    def _pictures(self, top: float, room: float, pictures: Sequence[Picture]) -> float:
        """Draw what there is room for; gives the height that it takes, with the gap above."""
        if room < _SMALLEST_PICTURES_MM:
            return 0.0
        height = min(room, _LARGEST_PICTURES_MM)
        placed = placed_pictures(pictures, self.words, INNER_MM, height)
        for each in placed:
            self._picture(top, each)
        bottoms = [each.top + each.height + CAPTION_MM for each in placed]
        return max(bottoms) + _GAP if bottoms else 0.0

    def _picture(self, top: float, placed: Placed) -> None:
        left = MARGIN_MM + placed.left
        self.sheet.picture(left, top + placed.top, placed.width, placed.height, placed.pixels)
        caption = self.sheet.lines(placed.caption, placed.width, _SMALL)[:1]
        self.sheet.paragraph(left, top + placed.top + placed.height + 0.5, caption, _SMALL)

    def _cautions_and_method(self, top: float) -> None:
        """Both side by side."""
        for index, (heading, paragraphs, colour) in enumerate(self._columns()):
            left = MARGIN_MM + index * (self._column_width() + _GAP)
            self.sheet.box(left, top, self._column_width(), self._text_height(), colour)
            at = top + _PADDING
            self.sheet.text(left + _PADDING, at, heading, _HEADING)
            at += _HEADING.line_mm + 0.5
            for each in paragraphs:
                at = self.sheet.paragraph(left + _PADDING, at, each, _BODY) + 1

    def _columns(self) -> list[tuple[str, list[list[str]], Colour]]:
        inner = self._column_width() - 2 * _PADDING
        cautions = self.content.cautions
        if any(MISSING_CHARACTER in embedded_font().drawable(v) for _, v in self.content.subject):
            cautions = (*cautions, self.words.say(Sentence.MISSING_CHARACTER))
        return [
            (
                self.words.say(heading),
                [self.sheet.lines(each, inner, _BODY) for each in paragraphs],
                colour,
            )
            for heading, paragraphs, colour in (
                (Sentence.CAREFUL, cautions, PALE_WARNING),
                (Sentence.HOW, self.content.how, PALE),
            )
        ]

    def _column_width(self) -> float:
        return (INNER_MM - _GAP) / 2

    def _text_height(self) -> float:
        return max(
            2 * _PADDING
            + _HEADING.line_mm
            + sum(len(each) * _BODY.line_mm + 1 for each in paragraphs)
            for _, paragraphs, _ in self._columns()
        )

    def _footer(self, page: int) -> None:
        self.sheet.rule(_FOOTER_TOP)
        research = self.words.say(Sentence.RESEARCH_USE)
        kept = self.words.say(Sentence.PICTURES_ARE_ON) if self.is_measured else ""
        text = self.words.say(Sentence.BESIDE).join((research, kept)).strip()
        self.sheet.text(MARGIN_MM, _FOOTER_TOP + 1.2, text, _SMALL, width=INNER_MM - 30)
        number = self.words.say(Sentence.PAGE, page=str(page), pages=str(self._pages))
        self.sheet.text_to(RIGHT_MM, _FOOTER_TOP + 1.2, number, _SMALL)
