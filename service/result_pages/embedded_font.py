"""The font of the pages: Noto Sans SC, which has Latin, Greek, Cyrillic and Chinese characters.

Its file comes with a locked package (SIL Open Font License 1.1) and is checked by its
SHA-256, so that the same result has the same bytes on every machine. The PDF embeds
the characters that it uses, and no others.
"""

from __future__ import annotations

import hashlib
import unicodedata
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from fontTools.ttLib import TTFont

from processing.measurement import PermanentFault

PACKAGE: Final = "pylopdf_fonts_zh_cn"
FILE: Final = "NotoSansSC-Regular.otf"
SHA256: Final = "faa6c9df652116dde789d351359f3d7e5d2285a2b2a1f04a2d7244df706d5ea9"
MISSING_CHARACTER: Final = "\N{WHITE SQUARE}"
"""Stands for a character that the font does not have."""


@dataclass(frozen=True, slots=True)
class EmbeddedFont:
    """A font file and the characters (code points) that it has."""

    path: Path
    characters: frozenset[int] = field(repr=False)

    def drawable(self, text: str) -> str:
        """`text` composed, each character that the font does not have replaced."""
        return "".join(
            each if ord(each) in self.characters else MISSING_CHARACTER
            for each in unicodedata.normalize("NFC", text)
        )


@cache
def embedded_font() -> EmbeddedFont:
    """The font; read once in a process.

    Raises
    ------
    PermanentFault
        If the package that carries it is not installed, or the file is another.
    """
    spec = find_spec(PACKAGE)
    folders = spec.submodule_search_locations if spec is not None else None
    path = Path(folders[0]) / FILE if folders else None
    if path is None or not path.is_file():
        raise PermanentFault(
            f"The font of the PDF ({FILE}) is not installed. Install the locked dependencies "
            "again (make setup)."
        )
    if hashlib.sha256(path.read_bytes()).hexdigest() != SHA256:
        raise PermanentFault(
            f"The font of the PDF ({FILE}) is not the one that belongs to this version. Install "
            "the locked dependencies again (make setup)."
        )
    with TTFont(path, lazy=True) as font:
        return EmbeddedFont(path, frozenset(font.getBestCmap()))
