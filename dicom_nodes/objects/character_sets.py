"""Text of DICOM objects in any character set, decoded with certainty or not at all.

A result is written in ISO_IR 192 when every text that it takes over from its source
decodes with certainty; otherwise the source's bytes and its Specific Character Set
are kept as they are. So being unsure costs nothing, and being wrong would change a
patient's name.

The code extensions of ISO/IEC 2022 are decoded here and not by pydicom, whose 3.0.2
corrupts ISO 2022 IR 58 (PS3.3 C.12.1.1.2, PS3.5 section 6.1.2).
"""

from __future__ import annotations

import unicodedata
from typing import Final

UTF_8: Final = "ISO_IR 192"
TEXT_VRS: Final = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})

_STAND_ALONE: Final = {UTF_8: "utf_8", "GB18030": "gb18030", "GBK": "gbk"}
_SINGLE_BYTE: Final = {
    "100": ("latin_1", b"-A"),
    "101": ("iso8859_2", b"-B"),
    "109": ("iso8859_3", b"-C"),
    "110": ("iso8859_4", b"-D"),
    "126": ("iso8859_7", b"-F"),
    "127": ("iso8859_6", b"-G"),
    "138": ("iso8859_8", b"-H"),
    "144": ("iso8859_5", b"-L"),
    "148": ("iso8859_9", b"-M"),
    "166": ("tis_620", b"-T"),
    "203": ("iso8859_15", b"-b"),
}
_LATIN: Final = frozenset({"latin_1", "iso8859_2", "iso8859_3", "iso8859_4", "iso8859_9"})
_MULTI_BYTE: Final = {
    "87": (b"$B", 0, "jisx0208"),
    "159": (b"$(D", 0, "jisx0212"),
    "149": (b"$)C", 1, "ksx1001"),
    "58": (b"$)A", 1, "gb2312"),
}
_ESCAPE: Final = 0x1B
_RESETTING_CONTROLS: Final = frozenset(b"\t\n\f\r")
_MULTI_VALUED: Final = frozenset({"LO", "PN", "SH", "UC"})


def supported_character_sets() -> tuple[str, ...]:
    """The defined terms of all character sets that are decoded (PS3.3 C.12.1.1.2)."""
    single = ("6", "13", *_SINGLE_BYTE)
    return (
        *(f"ISO_IR {each}" for each in single),
        *_STAND_ALONE,
        *(f"ISO 2022 IR {each}" for each in (*single, *_MULTI_BYTE)),
    )


def declared_character_sets(value: bytes) -> tuple[str, ...]:
    """The defined terms in a value of Specific Character Set (0008,0005)."""
    text = value.decode("ascii", "replace").rstrip("\0 ")
    return tuple(each.strip() for each in text.split("\\")) if text else ()


def decode_text(value: bytes, character_sets: tuple[str, ...], vr: str = "LO") -> str | None:
    """Decode a text value exactly as its declared character sets say.

    Parameters
    ----------
    value : bytes
        Undecoded value; padding at its end is kept.
    character_sets : tuple of str
        From `declared_character_sets`.
    vr : str
        Value representation, which says what resets a code extension.

    Returns
    -------
    str or None
        None where a byte is not allowed in these character sets.
    """
    if all(0x20 <= byte < 0x7F and byte not in b"\\~" for byte in value):
        return value.decode("ascii")
    if len(character_sets) == 1 and character_sets[0] in _STAND_ALONE:
        return _decode_stand_alone(value, _STAND_ALONE[character_sets[0]])
    registers = _Registers.of(character_sets)
    return registers.decode(value, vr) if registers is not None else None


def certain_text(value: bytes, character_sets: tuple[str, ...], vr: str = "LO") -> str | None:
    """Decode a text value, but only where no other reading of its bytes is likely.

    A Latin character set accepts every byte, so Chinese text in a file that
    declares ISO_IR 100 decodes without error, to nonsense. It is taken as
    uncertain when its bytes are also well-formed GB 2312 or KS X 1001; in any
    character set but ISO_IR 192, when they are also well-formed UTF-8.

    Returns
    -------
    str or None
        None where it is uncertain.
    """
    text = decode_text(value, character_sets, vr)
    if text is None or _ESCAPE in value or not any(byte >= 0x80 for byte in value):
        return text
    if character_sets == (UTF_8,):
        return text
    registers = _Registers.of(character_sets)
    is_latin = registers is not None and registers.initial_g1 in _LATIN
    others = ("utf_8", "gb2312", "euc_kr") if is_latin else ("utf_8",)
    return None if any(_is_well_formed(value, codec) for codec in others) else text


def display_text(value: bytes, character_sets: tuple[str, ...], vr: str = "LO") -> str:
    """A text for a person: decoded as declared, padding and control characters removed.

    Empty where it cannot be decoded.
    """
    return without_controls(decode_text(value, character_sets, vr) or "").strip()


def without_controls(text: str) -> str:
    """`text` with control and format characters, and halves of surrogate pairs, made spaces."""
    return "".join(
        " " if unicodedata.category(each) in {"Cc", "Cf", "Cs"} else each for each in text
    )


def as_ascii(text: str) -> str:
    """`text` in ASCII, which every character set of DICOM contains, legible if not exact."""
    replaced = text.replace("±", "+/-").replace("²", "2").replace("–", "-").replace("’", "'")
    plain = unicodedata.normalize("NFKD", replaced)
    return (
        "".join(each for each in plain if not unicodedata.combining(each))
        .encode("ascii", "replace")
        .decode("ascii")
    )


def _decode_stand_alone(value: bytes, codec: str) -> str | None:
    try:
        text = value.decode(codec)
    except UnicodeDecodeError:
        return None
    return text if text.encode(codec) == value else None


def _is_well_formed(value: bytes, codec: str) -> bool:
    try:
        value.decode(codec)
    except UnicodeDecodeError:
        return False
    return True


class _Registers:
    """The two registers of ISO/IEC 2022 as DICOM uses them: G0 for 7 bits, G1 for 8."""

    def __init__(self, g0: str, g1: str | None, escapes: dict[bytes, tuple[int, str]]) -> None:
        self.initial_g0 = g0
        self.initial_g1 = g1
        self._escapes = escapes

    @classmethod
    def of(cls, character_sets: tuple[str, ...]) -> _Registers | None:
        """Registers for these defined terms; None where a term is unknown or cannot extend."""
        g0, g1 = "ascii", None
        escapes: dict[bytes, tuple[int, str]] = {b"(B": (0, "ascii")}
        for position, term in enumerate(character_sets):
            number = term.removeprefix("ISO_IR ").removeprefix("ISO 2022 IR ")
            if term in ("", "ISO_IR 6", "ISO 2022 IR 6"):
                continue
            if number == term:
                return None
            if number == "13":
                escapes |= {b"(J": (0, "jis_roman"), b")I": (1, "katakana")}
                if position == 0:
                    g0, g1 = "jis_roman", "katakana"
            elif number in _SINGLE_BYTE:
                codec, escape = _SINGLE_BYTE[number]
                escapes[escape] = (1, codec)
                if position == 0:
                    g1 = codec
            elif number in _MULTI_BYTE:
                escape, register, name = _MULTI_BYTE[number]
                escapes[escape] = (register, name)
            else:
                return None
        return cls(g0, g1, escapes)

    def decode(self, value: bytes, vr: str) -> str | None:
        """Decode, or None at the first byte that means nothing."""
        resetting = _RESETTING_CONTROLS | (frozenset(b"^=") if vr == "PN" else frozenset())
        if vr in _MULTI_VALUED:
            resetting |= frozenset(b"\\")
        g0, g1 = self.initial_g0, self.initial_g1
        decoded: list[str] = []
        at = 0
        while at < len(value):
            byte = value[at]
            if byte == _ESCAPE:
                escape = next((e for e in self._escapes if value.startswith(e, at + 1)), None)
                if escape is None:
                    return None
                register, name = self._escapes[escape]
                g0, g1 = (name, g1) if register == 0 else (g0, name)
                at += 1 + len(escape)
                continue
            # While a set of two bytes is in G0, the code of a graphic delimiter is half a
            # character; a writer must return to ASCII before it.
            if byte in resetting and not (g0 in ("jisx0208", "jisx0212") and byte > 0x20):
                g0, g1 = self.initial_g0, self.initial_g1
                decoded.append(chr(byte))
                at += 1
                continue
            character, width = _character(value, at, g0 if byte < 0x80 else g1)
            if character is None:
                return None
            decoded.append(character)
            at += width
        return "".join(decoded)


def _character(value: bytes, at: int, coded_set: str | None) -> tuple[str | None, int]:
    """The character at a position in a coded set, and how many bytes it takes."""
    byte = value[at]
    if byte < 0x21 or byte == 0x7F:
        return chr(byte), 1
    pair = bytes(each | 0x80 for each in value[at : at + 2])
    match coded_set:
        case None:
            return None, 1
        case "ascii":
            return chr(byte), 1
        case "jis_roman":
            return (None if byte in b"\\~" else chr(byte)), 1
        case "katakana":
            return (bytes([byte]).decode("shift_jis") if 0xA1 <= byte <= 0xDF else None), 1
        case "jisx0208":
            return _pair(pair, "euc_jp"), 2
        case "jisx0212":
            return _pair(b"\x8f" + pair, "euc_jp"), 2
        case "ksx1001":
            return _pair(value[at : at + 2], "euc_kr"), 2
        case "gb2312":
            return _pair(value[at : at + 2], "gb2312"), 2
        case codec:
            if byte < 0xA0:
                return None, 1
            return _pair(bytes([byte]), codec), 1


def _pair(code: bytes, codec: str) -> str | None:
    try:
        text = code.decode(codec)
    except UnicodeDecodeError:
        return None
    return text if len(text) == 1 else None
