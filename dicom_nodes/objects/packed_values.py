"""Long lists of numbers as DICOM packs them: OF, OL and OW."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from processing.measurement import RejectedInput


def packed_values(item: Dataset, keyword: str, kind: str) -> NDArray[Any]:
    """The numbers of an element, none where it is absent or empty.

    Parameters
    ----------
    item : Dataset
        As pydicom read it; says the byte order.
    keyword : str
    kind : str
        NumPy's name of the packed type without byte order: ``"f4"``, ``"u4"``, ``"u2"``.

    Raises
    ------
    RejectedInput
        If the bytes are not a whole number of values.
    """
    value = item.get(keyword)
    if value is None:
        return np.empty(0, kind)
    if not isinstance(value, bytes):  # written with a value representation of single numbers
        with np.errstate(over="ignore", invalid="ignore"):
            return np.atleast_1d(np.asarray(value, np.float64)).astype(kind)
    size = np.dtype(kind).itemsize
    if len(value) % size:
        raise RejectedInput(
            f"{keyword} has {len(value)} bytes, not a multiple of {size}. Send the object again."
        )
    is_little_endian = item.original_encoding[1] is not False
    return np.frombuffer(value, ("<" if is_little_endian else ">") + kind)
