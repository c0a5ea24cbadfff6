"""Under which keys the workflow keeps what it makes on the way to a report."""

from __future__ import annotations

from typing import Final

ANALYSIS_FILE: Final = "analysis.json"


def analysis_key(key: str) -> str:
    """Where the analysis with this content key is kept, in its published JSON form."""
    return f"work/{key}/{ANALYSIS_FILE}"
