"""How values are read that others wrote, and that may be anything."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from pydicom.errors import BytesLengthException

FOREIGN_VALUE_FAULTS: Final = (
    AttributeError,
    BytesLengthException,
    EOFError,
    IndexError,
    KeyError,
    NotImplementedError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
)
"""What pydicom raises on a damaged value, sequence or dataset."""


@contextmanager
def foreign_values() -> Iterator[None]:
    """Silence pydicom's warnings about values that are not ours to correct."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield
