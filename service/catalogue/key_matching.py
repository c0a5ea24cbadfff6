"""How a key of a query is compared with a column (PS3.4, section C.2.2.2)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import sqlalchemy as sa

from dicom_nodes.network.part10_header import is_valid_uid
from processing.measurement import RejectedInput
from service.catalogue.name_matching import folded

MOST_UIDS: Final = 10_000
MOST_VALUES: Final = 64
LONGEST_VALUE: Final = 1024

_DATE: Final = re.compile(r"[0-9]{8}", re.ASCII)
_TIME: Final = re.compile(r"[0-9]{2}([0-9]{2}([0-9]{2}(\.[0-9]{1,6})?)?)?", re.ASCII)
_WILDCARDS: Final = "*?"

Column = sa.ColumnElement[Any]
Condition = sa.ColumnElement[bool]
# The column, the value that it shall match and the name of the database's dialect.
Match = Callable[[Column, str, str], Condition]


def is_universal(value: str) -> bool:
    """Whether a key matches everything: universal matching (C.2.2.2.3)."""
    return not value.strip("* ")


def match_uid(column: Column, value: str, dialect: str) -> Condition:
    """Single value or list of UID matching (C.2.2.2.1, C.2.2.2.2)."""
    wanted = _values(value, MOST_UIDS)
    for each in wanted:
        if not is_valid_uid(each):
            raise RejectedInput("is no UID, and no list of UIDs")
    return column.in_(wanted)


def match_text(column: Column, value: str, dialect: str) -> Condition:
    """Single value or wildcard matching (C.2.2.2.4), case counts; one of several values."""
    return sa.or_(*(_like(column, each, dialect) for each in _values(value, MOST_VALUES)))


def match_name(column: Column, value: str, dialect: str) -> Condition:
    """As `match_text`, for a column of folded component groups: case does not count.

    Of a value with several groups every one is wanted in turn, and one suffices.
    """
    groups = [group for each in _values(value, MOST_VALUES) for group in each.split("=")]
    wanted = [name for name in map(folded, groups) if name]
    return sa.or_(*(_like(column, each, dialect) for each in wanted)) if wanted else sa.false()


def match_name_as_it_is(column: Column, value: str, dialect: str) -> Condition:
    """As `match_text`; the case of letters that the database can fold does not count."""
    return match_text(sa.func.lower(column), value.lower(), dialect)


def match_date(column: Column, value: str, dialect: str) -> Condition:
    """Single value or range matching (C.2.2.2.5) of a date."""
    # The form with dots is that of ACR-NEMA, which readers shall still accept.
    first, last = _bounds(value.replace(".", ""), _DATE)
    if first == last:
        return column == first
    return sa.and_(column != "", column >= (first or ""), column <= (last or "99999999"))


def match_time(column: Column, value: str, dialect: str) -> Condition:
    """Single value or range matching of a time; what a bound leaves out may be anything."""
    first, last = _bounds(value.replace(":", ""), _TIME)
    # The colon follows the digits, so this is after every time that begins with the bound.
    return sa.and_(column != "", column >= (first or ""), column < f"{last or '24'}:")


def match_number(column: Column, value: str, dialect: str) -> Condition:
    """Single value matching of an Integer String."""
    try:
        wanted = [int(each) for each in _values(value, MOST_VALUES)]
    except ValueError as error:
        raise RejectedInput("is no integer") from error
    if any(abs(each) >= 2**31 for each in wanted):
        raise RejectedInput("is no Integer String")
    return column.in_(wanted)


def _values(value: str, most: int) -> list[str]:
    values = [each.strip() for each in value.split("\\")]
    if len(values) > most:
        raise RejectedInput(f"has more than {most} values")
    if any(len(each) > LONGEST_VALUE for each in values):
        raise RejectedInput(f"is longer than {LONGEST_VALUE} characters")
    return values


def _bounds(value: str, form: re.Pattern[str]) -> tuple[str, str]:
    """First and last of a range, empty where it is open; both the same for a single value."""
    first, dash, last = (each.strip() for each in value.partition("-"))
    if not dash:
        last = first
    if not (first or last) or any(each and not form.fullmatch(each) for each in (first, last)):
        raise RejectedInput("is neither a value nor a range of values")
    return first, last


def _like(column: Column, value: str, dialect: str) -> Condition:
    if not any(each in value for each in _WILDCARDS):
        return column == value
    if dialect == "sqlite":
        # LIKE would not heed case there; GLOB has the wildcards of DICOM, and brackets.
        return column.op("GLOB", is_comparison=True)(value.replace("[", "[[]"))
    escaped = re.sub(r"([\\%_])", r"\\\1", value)
    return column.like(escaped.replace("*", "%").replace("?", "_"), escape="\\")
