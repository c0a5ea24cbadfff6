"""Under which keys the workflow keeps what it makes on the way to a report."""

from __future__ import annotations

from typing import Final

ANALYSIS_FILE: Final = "analysis.json"
# A reading that was written with another number, before the node was upgraded, is made anew.
READING_FORMAT: Final = 2


def analysis_key(key: str) -> str:
    """Where the analysis with this content key is kept, in its published JSON form."""
    return f"work/{key}/{ANALYSIS_FILE}"


def reading_key(key: str) -> str:
    """Where what was read for the analysis with this content key is kept, by its format."""
    return f"work/{key}/reading-{READING_FORMAT}.npz"
