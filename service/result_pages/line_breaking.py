"""Breaks a text into lines: at spaces, and between Chinese characters (GB/T 15834)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

# That of a Chinese font hangs at half height, which reads as a dash in English.
ELLIPSIS: Final = "..."

_WIDE: Final = r"\u2E80-\u9FFF\uF900-\uFFEF"
# A line must not begin with these, nor end with an opening mark.
_CLOSING: Final = r"[，。、；：？！）》」』】”’…]"
_OPENING: Final = r"[（《「『【“‘]"
# No-break spaces are no places to break at.
_PIECE: Final = re.compile(rf"{_OPENING}*(?:[{_WIDE}]|[^{_WIDE} ]+){_CLOSING}*| +")

Width = Callable[[str], float]


def lines_of(text: str, width: float, width_of: Width) -> list[str]:
    """The lines of a paragraph.

    Parameters
    ----------
    text : str
        One paragraph.
    width : float
        Of a line, in the unit of `width_of`.
    width_of : callable
        Width of a text that is set in one line.

    Returns
    -------
    list of str
        None is wider than `width`, but for single characters that are; none when
        there is no text.
    """
    lines: list[str] = []
    line = ""
    for piece in _pieces(text, width, width_of):
        if width_of(line + piece.rstrip(" ")) <= width:
            line += piece
            continue
        lines.append(line.rstrip(" "))
        line = piece.lstrip(" ")
    lines.append(line.rstrip(" "))
    return [each for each in lines if each]


def fitted(text: str, width: float, width_of: Width) -> str:
    """`text` in one line, cut with an ellipsis where it is wider than `width`."""
    if width_of(text) <= width:
        return text
    fits, does_not = 0, len(text)
    while does_not - fits > 1:
        middle = (fits + does_not) // 2
        if width_of(text[:middle].rstrip() + ELLIPSIS) <= width:
            fits = middle
        else:
            does_not = middle
    return text[:fits].rstrip() + ELLIPSIS


def _pieces(text: str, width: float, width_of: Width) -> Iterator[str]:
    """What a line is not broken within; a word that no line holds comes in parts."""
    for found in _PIECE.finditer(text):
        piece = found[0]
        while len(piece) > 1 and width_of(piece) > width:
            count = len(piece)
            while count > 1 and width_of(piece[:count]) > width:
                count = max(1, count * 3 // 4)
            yield piece[:count]
            piece = piece[count:]
        yield piece
