"""multipart/related bodies (RFC 2046, RFC 2387; PS3.18, section 8.6) read and written in pieces.

A body may be of any size and its sender may mean harm: what has to be held in
memory is bounded, and content passes on as it comes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from typing import Final

from processing.measurement import RejectedInput

# RFC 2046 allows 70; the DICOMweb plugin 1.7 of Orthanc sends 73.
LONGEST_BOUNDARY: Final = 200
MOST_HEADER_BYTES: Final = 16 * 1024
MOST_PREAMBLE_BYTES: Final = 64 * 1024
_MOST_PADDING_BYTES: Final = 128
_LONGEST_CONTENT_TYPE: Final = 1000


@dataclass(frozen=True, slots=True)
class MediaType:
    """A media type with its parameters; type and names of parameters in lower case."""

    name: str
    parameters: Mapping[str, str]


def media_type(text: str) -> MediaType:
    """Take a Content-Type apart; the name is empty where there is none."""
    message = Message()
    # A line break would begin another header.
    message["Content-Type"] = " ".join(text[:_LONGEST_CONTENT_TYPE].split())
    parameters = message.get_params(failobj=[], unquote=True)
    if not parameters:
        return MediaType("", {})
    name = parameters[0][0].strip().lower()
    return MediaType(name, {key.strip().lower(): value for key, value in parameters[1:]})


def boundary_of(content_type: MediaType) -> str:
    """The boundary that a multipart Content-Type names.

    Raises
    ------
    RejectedInput
        If there is none, or none that can be searched for.
    """
    boundary = content_type.parameters.get("boundary", "")
    if not 0 < len(boundary) <= LONGEST_BOUNDARY or not (
        boundary.isascii() and boundary.isprintable() and not boundary.endswith(" ")
    ):
        raise RejectedInput(
            f"the Content-Type needs a boundary of 1 to {LONGEST_BOUNDARY} printable ASCII letters"
        )
    return boundary


@dataclass(frozen=True, slots=True)
class PartBegins:
    """The header fields of a part, their names in lower case."""

    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class PartData:
    """Some bytes of the content of the part that began last."""

    data: bytes


@dataclass(frozen=True, slots=True)
class PartEnds:
    """The part that began last is complete."""


Event = PartBegins | PartData | PartEnds


def multipart_events(chunks: Iterable[bytes], boundary: str) -> Iterator[Event]:
    """Take a multipart body apart while it comes.

    Parameters
    ----------
    chunks : iterable of bytes
        The body, in pieces of any size.
    boundary : str

    Raises
    ------
    RejectedInput
        If it is no multipart body of this boundary, or ends before its end.
    """
    source = _Source(iter(chunks), bytearray(b"\r\n"))
    delimiter = b"\r\n--" + boundary.encode("ascii")
    skipped = 0
    for data in source.until(delimiter):
        skipped += len(data)
        if skipped > MOST_PREAMBLE_BYTES:
            raise RejectedInput("the body does not begin with its boundary")
    while _another_part_follows(source):
        yield PartBegins(_fields(source))
        for data in source.until(delimiter):
            yield PartData(data)
        yield PartEnds()
    # What follows the closing delimiter means nothing, and must be read to be answered.
    source.drop_rest()


@dataclass(slots=True)
class _Source:
    """The body, of which no more is held than is needed to find the next delimiter."""

    chunks: Iterator[bytes]
    held: bytearray

    def until(self, delimiter: bytes) -> Iterator[bytes]:
        """Give what stands before the delimiter, and step over it."""
        while True:
            at = self.held.find(delimiter)
            if at >= 0:
                if at:
                    yield bytes(self.held[:at])
                del self.held[: at + len(delimiter)]
                return
            # The delimiter may have begun in the last bytes.
            safe = len(self.held) - len(delimiter) + 1
            if safe > 0:
                yield bytes(self.held[:safe])
                del self.held[:safe]
            self._more()

    def peek(self, count: int) -> bytes:
        """The next bytes, which stay there."""
        while len(self.held) < count:
            self._more()
        return bytes(self.held[:count])

    def take_through(self, mark: bytes, most: int, what: str) -> bytes:
        """The next bytes up to a mark, which is stepped over."""
        searched = 0
        while (at := self.held.find(mark, max(0, searched - len(mark)))) < 0:
            searched = len(self.held)
            if searched > most:
                raise RejectedInput(f"{what} is longer than {most} bytes")
            self._more()
        if at > most:
            raise RejectedInput(f"{what} is longer than {most} bytes")
        taken = bytes(self.held[:at])
        del self.held[: at + len(mark)]
        return taken

    def drop_rest(self) -> None:
        """Read to the end of the body."""
        self.held.clear()
        for _ in self.chunks:
            pass

    def _more(self) -> None:
        for chunk in self.chunks:
            if chunk:
                self.held += chunk
                return
        raise RejectedInput("the body ends before its closing boundary; send it again")


def _another_part_follows(source: _Source) -> bool:
    """Step over what is left of a delimiter line, up to its line break."""
    if source.peek(2) == b"--":
        return False
    padding = source.take_through(b"\r\n", _MOST_PADDING_BYTES, "the line of a boundary")
    if padding.strip(b" \t"):
        raise RejectedInput("a boundary is followed by something else on its line")
    # An empty line may follow at once: the line break of the delimiter is then that of the
    # header as well.
    source.held[:0] = b"\r\n"
    return True


def _fields(source: _Source) -> dict[str, str]:
    header = source.take_through(b"\r\n\r\n", MOST_HEADER_BYTES, "the header of a part")
    fields = {}
    for line in header.split(b"\r\n"):
        name, colon, value = line.decode("latin-1").partition(":")
        if colon:
            fields[name.strip().lower()] = value.strip()
    return fields


def part_header(boundary: str, fields: Mapping[str, str], *, is_first: bool) -> bytes:
    """What stands before the content of a part."""
    lines = [f"--{boundary}", *(f"{name}: {value}" for name, value in fields.items())]
    return (b"" if is_first else b"\r\n") + "\r\n".join(lines).encode("ascii") + b"\r\n\r\n"


def closing(boundary: str) -> bytes:
    """What stands behind the content of the last part."""
    return f"\r\n--{boundary}--\r\n".encode("ascii")
