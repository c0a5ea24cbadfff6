"""JSON documents that a person wrote: read with suspicion, by whoever knows their form."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, TypeGuard

from processing.measurement import RejectedInput

_SHOWN: Final = 40


def read_at_most(path: Path, largest_bytes: int) -> bytes:
    """The bytes of a file, one more than `largest_bytes` of one that is larger.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    with path.open("rb") as file:
        return file.read(largest_bytes + 1)


def parsed(data: bytes, name: str) -> Any:
    """What a JSON document holds.

    Parameters
    ----------
    data : bytes
    name : str
        What the document is called in a message.

    Raises
    ------
    RejectedInput
        If it is no JSON.
    """
    try:
        return json.loads(data)
    # A deeply nested document exhausts the parser's recursion.
    except (ValueError, RecursionError) as fault:
        raise RejectedInput(f"{name} is no JSON document: {short(fault)}") from fault


def is_number(value: object, below: float) -> TypeGuard[float]:
    """Whether a value is a finite number, and its magnitude below a bound.

    A bound, because an integer may be too large for a float.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < below and math.isfinite(value)


def are_numbers(values: Iterable[object], below: float) -> bool:
    """Whether all values are such numbers; see `is_number`."""
    return all(is_number(each, below) for each in values)


def short(said: object) -> str:
    """Words of a document for a message: printable, and not too many."""
    words = "".join(each if each.isprintable() else "?" for each in str(said))
    return words if len(words) <= _SHOWN else words[: _SHOWN - 1] + "…"
