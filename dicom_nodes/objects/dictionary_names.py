"""What UIDs and attributes are called by the data dictionary (PS3.6)."""

from __future__ import annotations

from pydicom.datadict import dictionary_description, tag_for_keyword
from pydicom.uid import UID


def name_of_uid(uid: str) -> str:
    """The name of a UID of the standard (PS3.6, annex A); the UID itself where it has none."""
    return UID(uid).name


def name_of_attribute(keyword: str) -> str:
    """Name and tag of an attribute, as in ``Patient ID (0010,0020)``.

    Raises
    ------
    KeyError
        If the dictionary does not know the keyword.
    """
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(f"{keyword!r} is no keyword of the data dictionary")
    return f"{dictionary_description(tag)} ({tag >> 16:04X},{tag & 0xFFFF:04X})"
