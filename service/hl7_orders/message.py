"""Reading an HL7 v2 message from bytes that nobody vouches for (HL7 v2.5.1, chapter 2).

python-hl7 splits the text. Decoding, limits and escape sequences are done here: it
knows no MSH-18, takes its time with separators by the ten thousand, and writes what
it cannot unescape into the log.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import hl7

from processing.measurement import RejectedInput

MOST_SEPARATORS: Final = 10_000
_HEADERS: Final = (b"MSH|^~\\&|", b"MSH|^~\\&#|")
_SEPARATORS: Final = re.compile(r"[\r|^~&]")
_ESCAPE: Final = re.compile(r"\\([^\\]*)\\")
_SEPARATOR_ESCAPES: Final = {"F": "|", "S": "^", "T": "&", "R": "~", "E": "\\", "P": "#"}
_HIGHLIGHTS: Final = ("H", "N")
_NULL: Final = '""'

# HL7 table 0211, as MSH-18 names character sets. Those of ISO 2022 switch within the text.
_CODECS: Final = {
    "ASCII": "ascii",
    **{f"8859/{part}": f"iso8859_{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 15)},
    "UNICODE": "utf_8",
    "UNICODE UTF-8": "utf_8",
    "UTF-8": "utf_8",
    "GB 18030-2000": "gb18030",
    "BIG-5": "big5",
    "KS X 1001": "euc_kr",
}
_ISO_2022: Final = ("ISO IR6", "ISO IR14", "ISO IR87", "ISO IR159")


class Fault(Enum):
    """Message error conditions: code and text of HL7 table 0357."""

    SEQUENCE = ("100", "Segment sequence error")
    MISSING = ("101", "Required field missing")
    DATA_TYPE = ("102", "Data type error")
    UNKNOWN_VALUE = ("103", "Table value not found")
    MESSAGE_TYPE = ("200", "Unsupported message type")
    EVENT = ("201", "Unsupported event code")
    PROCESSING_ID = ("202", "Unsupported processing id")
    UNKNOWN_KEY = ("204", "Unknown key identifier")
    INTERNAL = ("207", "Application internal error")


class RefusedMessage(RejectedInput):
    """A message that is not taken.

    Parameters
    ----------
    text : str
        What is wrong and what to do, without a value of the message.
    fault : Fault
    location : str
        Segment and field, as ``PID-3``.
    """

    def __init__(self, text: str, fault: Fault, location: str = "") -> None:
        super().__init__(text)
        self.fault = fault
        self.location = location


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment whose values are asked for by number, from 1 as HL7 counts."""

    name: str
    _fields: Any
    _codec: str

    def text(self, field: int, component: int = 1, subcomponent: int = 1, repeat: int = 1) -> str:
        """A value without escape sequences and outer spaces; empty where there is none.

        The HL7 null (two quotation marks) is no value.

        Raises
        ------
        RefusedMessage
            If an escape sequence of the value cannot be read.
        """
        if field >= len(self._fields):
            return ""
        value = self._fields[field]
        for number in (repeat, component, subcomponent):
            value = _part(value, number)
        text = str(value).strip()
        if text == _NULL:
            return ""
        return _ESCAPE.sub(lambda found: self._unescaped(found[1], field), text)

    def repeats(self, field: int) -> int:
        """How often the field repeats."""
        return len(self._fields[field]) if field < len(self._fields) else 0

    def _unescaped(self, sequence: str, field: int) -> str:
        """What an escape sequence stands for (section 2.7); formatting becomes a space."""
        if sequence in _SEPARATOR_ESCAPES:
            return _SEPARATOR_ESCAPES[sequence]
        if sequence in _HIGHLIGHTS:
            return ""
        if sequence.startswith("."):
            return " "
        if sequence.startswith("X"):
            try:
                return bytes.fromhex(sequence[1:]).decode(self._codec)
            except ValueError:
                pass
        raise RefusedMessage(
            f"{self.name}-{field} has an escape sequence that is not supported; send the "
            "characters themselves, in a character set that MSH-18 names",
            Fault.DATA_TYPE,
            f"{self.name}-{field}",
        )


@dataclass(frozen=True, slots=True)
class Message:
    """The segments of a message in their order; the first is its MSH."""

    segments: tuple[Segment, ...]

    @property
    def header(self) -> Segment:
        """The MSH segment."""
        return self.segments[0]

    def first(self, name: str) -> Segment:
        """The first segment of a name; one without values where there is none."""
        return next(self.named(name), Segment(name, (), "ascii"))

    def named(self, name: str) -> Iterator[Segment]:
        """All segments of a name."""
        return (each for each in self.segments if each.name == name)


def read_message(content: bytes) -> Message:
    r"""Read one message, with the separators ``|^~\&`` that HL7 recommends.

    Without a character set in MSH-18 the text is ASCII, or UTF-8 by which many mean it.

    Raises
    ------
    RefusedMessage
        If it is no message, is not in the character set it names, or has more than
        `MOST_SEPARATORS` values.
    """
    if not content.startswith(_HEADERS):
        raise RefusedMessage(
            "this is no HL7 v2 message that begins with MSH|^~\\&|", Fault.SEQUENCE, "MSH-2"
        )
    codec = _codec_of(content)
    try:
        text = content.decode(codec)
    except UnicodeDecodeError:
        raise RefusedMessage(
            "the text is not in the character set of MSH-18 (UTF-8 where it names none)",
            Fault.DATA_TYPE,
            "MSH-18",
        ) from None
    text = text.replace("\r\n", "\r").replace("\n", "\r")
    if len(_SEPARATORS.findall(text)) > MOST_SEPARATORS:
        raise RefusedMessage(f"the message has more than {MOST_SEPARATORS} values", Fault.DATA_TYPE)
    lines = [each for each in text.split("\r") if each.strip()]
    split = hl7.parse("\r".join(lines))
    return Message(tuple(Segment(str(each[0]), each, codec) for each in split))


def header_of(content: bytes) -> Segment:
    """The MSH segment of what may be no message, for answering it; empty where it has none."""
    line = re.split(rb"[\r\n]", content[:2000], maxsplit=1)[0]
    if not line.startswith(_HEADERS):
        return Segment("MSH", (), "ascii")
    (header,) = hl7.parse(line.decode("ascii", "replace"))
    return Segment("MSH", header, "ascii")


def _codec_of(content: bytes) -> str:
    header = header_of(content)
    names = [header.text(18, repeat=each + 1).upper() for each in range(header.repeats(18))]
    if any(each in _ISO_2022 for each in names):
        return "iso2022_jp_ext"
    named = next(filter(None, names), "UTF-8")
    if named not in _CODECS:
        raise RefusedMessage(
            "MSH-18 names a character set that is not supported; send UNICODE UTF-8",
            Fault.UNKNOWN_VALUE,
            "MSH-18",
        )
    return _CODECS[named]


def _part(value: Any, number: int) -> Any:
    """A part of a value by its number; a value that has no parts is its own first one."""
    if isinstance(value, str):
        return value if number == 1 else ""
    return value[number - 1] if number <= len(value) else ""
