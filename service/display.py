"""Strings that came from elsewhere, made fit to be shown on a page or a terminal.

Escaping for HTML is the template's matter. What is removed here would do harm
anywhere: control characters (a terminal obeys them) and marks that turn the
direction of a line (a reader is misled by them).
"""

from __future__ import annotations

import math
import re
import unicodedata
from datetime import datetime, timedelta
from typing import Final

LONGEST: Final = 120

_DIGITS: Final = 3
_DIRECTION_MARKS: Final = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_UNIT_NAMES: Final = {"deg": "°", "1": "", "mm2": "mm²"}


def shown(text: str, longest: int = LONGEST) -> str:
    """One line of `text`, without control characters, cut at `longest` characters."""
    # Some characters are removed below, so a margin is kept before the long rest is cut.
    kept = _DIRECTION_MARKS.sub("", text[: 4 * longest])
    line = " ".join(
        "".join(
            " " if unicodedata.category(each) in ("Cc", "Cs") else each for each in kept
        ).split()
    )
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def person_name(value: str) -> str:
    """A Person Name (PS3.5, section 6.2) as people write it: ``Yamada, Tarou (山田 太郎)``.

    The alphabetic group comes first, ideographic and phonetic groups follow in
    parentheses.
    """
    alphabetic, *further = value.split("=")
    groups = [_name_group(alphabetic, ", "), *(_name_group(each, " ") for each in further)]
    named = [each for each in groups if each]
    if not named:
        return ""
    first, *others = named
    return shown(f"{first} ({', '.join(others)})" if others else first)


def size(count: int) -> str:
    """A number of bytes for a person, in powers of ten."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def clock(moment: datetime, now: datetime) -> str:
    """A moment in the machine's own time; with the date when it is not of the day of `now`."""
    here, today = moment.astimezone(), now.astimezone()
    return f"{here:%H:%M:%S}" if here.date() == today.date() else f"{here:%Y-%m-%d %H:%M}"


def ago(moment: datetime, now: datetime) -> str:
    """How long ago a moment was, in the largest unit that fits."""
    seconds = max(0, int((now - moment).total_seconds()))
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit} ago"
    return f"{seconds} s ago"


def until(moment: datetime, now: datetime) -> str:
    """When something is due: ``at 14:05:12, in 25 s``."""
    left = moment - now
    if left <= timedelta(0):
        return "now"
    seconds = int(left.total_seconds())
    rest = f"{seconds} s" if seconds < 120 else f"{seconds // 60} min"
    return f"at {clock(moment, now)}, in {rest}"


def quantity(value: float, uncertainty: float, unit: str) -> str:
    """A value with its standard uncertainty to two significant digits (JCGM 100, 7.2.6)."""
    digits = _DIGITS
    if uncertainty > 0:
        digits = min(max(1 - math.floor(math.log10(uncertainty)), 0), 2 * _DIGITS)
    sign = "\N{MINUS SIGN}" if value < 0 else ""
    number = f"{sign}{abs(value):.{digits}f} ± {uncertainty:.{digits}f}"
    # Kept on one line: a value must not be parted from its unit.
    return f"{number} {_UNIT_NAMES.get(unit, unit)}".rstrip().replace(" ", "\N{NO-BREAK SPACE}")


def _name_group(group: str, between: str) -> str:
    family, _, given = group.partition("^")
    rest = " ".join(given.replace("^", " ").split())
    return between.join(each for each in (shown(family), shown(rest)) if each)
