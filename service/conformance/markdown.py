"""The few forms of Markdown that the statement is written in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; what would part a cell is escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(_cell(each) for each in line)} |" for line in lines)


def listed(items: Iterable[str]) -> str:
    """A list of short items, in their order."""
    return "\n".join(f"- {each}" for each in items)


def paragraphs(*parts: str) -> str:
    """Paragraphs, tables and headings, one after the other."""
    return "\n\n".join(each for each in parts if each)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
