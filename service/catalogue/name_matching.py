"""Patients' names as they are compared: without case, width and empty components."""

from __future__ import annotations

import unicodedata
from typing import Final

_LONGEST: Final = 256


def folded_groups(name: str) -> tuple[str, ...]:
    """The component groups of a Person Name, each folded; those that are empty left out.

    ``Wang^XiaoDong=王^小东`` gives ``wang^xiaodong`` and ``王^小东`` (PS3.5, section
    6.2.1.1; PS3.4, C.2.2.2.1, leaves it to the node that case does not count).
    """
    groups = (folded(each)[:_LONGEST] for each in name.split("=")[:3])
    return tuple(dict.fromkeys(each for each in groups if each))


def folded(group: str) -> str:
    """One component group, without case, full-width forms and trailing delimiters."""
    composed = unicodedata.normalize("NFKC", group).casefold()
    return "^".join(each.strip() for each in composed.split("^")).rstrip("^ ")
