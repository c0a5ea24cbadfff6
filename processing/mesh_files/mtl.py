"""MTL, the library of materials beside an OBJ: which picture each material shows."""

from __future__ import annotations

from typing import Final

MAXIMUM_LIBRARY_BYTES: Final = 4_000_000

# How many words follow each option of a texture, at most.
_OPTIONS: Final = {
    "-blendu": 1,
    "-blendv": 1,
    "-boost": 1,
    "-bm": 1,
    "-cc": 1,
    "-clamp": 1,
    "-imfchan": 1,
    "-mm": 2,
    "-o": 3,
    "-s": 3,
    "-t": 3,
    "-texres": 1,
    "-type": 1,
}
_OF_NUMBERS: Final = frozenset({"-o", "-s", "-t", "-mm"})


def pictures_of_materials(library: bytes) -> dict[str, str]:
    """The picture of each material of an MTL file, by the material's name.

    The diffuse colour's picture (``map_Kd``) counts, the ambient one's (``map_Ka``)
    where there is no other. What cannot be understood is left out: without a
    picture a surface is measured all the same.
    """
    diffuse: dict[str, str] = {}
    ambient: dict[str, str] = {}
    material = None
    for line in library[:MAXIMUM_LIBRARY_BYTES].decode("utf-8", "replace").splitlines():
        keyword, _, rest = line.strip().replace("\t", " ").partition(" ")
        if keyword.lower() == "newmtl":
            material = rest.strip()
        elif material is not None and keyword.lower() in ("map_kd", "map_ka"):
            name = _file_name(rest)
            if name:
                (diffuse if keyword.lower() == "map_kd" else ambient)[material] = name
    return ambient | diffuse


def _file_name(statement: str) -> str:
    """The file's name behind the options of a texture; it may hold spaces."""
    words = statement.split(" ")
    at = 0
    while at < len(words) and (not words[at] or words[at].lower() in _OPTIONS):
        option = words[at].lower()
        at += 1
        for _ in range(_OPTIONS.get(option, 0)):
            # Options of several numbers may have fewer than the most.
            if option in _OF_NUMBERS and (at >= len(words) or not _is_number(words[at])):
                break
            at += 1
    return " ".join(words[at:]).strip()


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
