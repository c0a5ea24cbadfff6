"""The local audit log: append-only, and each record holds the hash of the one before.

The records stand in ``audit-000001.jsonl`` and so on, a JSON object to a line.
Who changes, removes or inserts a record breaks the chain at that place, which
`verify` finds. Several processes append under a lock of the file system.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import structlog

GENESIS: Final = "0" * 64
"""What stands for the hash before the first record."""

LONGEST_LINE: Final = 1 << 20
_TAIL_BYTES: Final = LONGEST_LINE
_NAME: Final = re.compile(r"audit-(\d{6,})\.jsonl")
_HEAD: Final = "head.json"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Entry:
    """What is to be kept: the moment of an event, and its message."""

    at: datetime
    message: str


@dataclass(frozen=True, slots=True)
class Record:
    """A record of the chain; `sequence` begins with 1."""

    sequence: int
    at: str
    previous: str
    message: str
    digest: str

    @property
    def computed(self) -> str:
        """SHA-256, in hexadecimal, of all that the record says."""
        said = f"{self.sequence}\n{self.at}\n{self.previous}\n{self.message}"
        return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()

    def line(self) -> bytes:
        """The record as it is written."""
        return (
            json.dumps(
                {
                    "sequence": self.sequence,
                    "at": self.at,
                    "previous": self.previous,
                    "hash": self.digest,
                    "message": self.message,
                },
                ensure_ascii=True,
            ).encode()
            + b"\n"
        )


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a chain."""

    sequence: int
    digest: str


@dataclass(frozen=True, slots=True)
class Break:
    """Where a chain is broken, and how."""

    file: str
    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What `verify` has found.

    Parameters
    ----------
    records : int
        That were read up to the end or the break.
    first_sequence : int
        Sequence number of the first record that is there; 0 when there is none.
    head : Head
    broken : Break, optional
    """

    records: int
    first_sequence: int
    head: Head
    broken: Break | None


class Chain:
    """Appends to the log in a folder; for one thread at a time, and many processes.

    Parameters
    ----------
    folder : Path
    rotate_bytes : int
        A file that has grown past this is followed by a new one, which goes on
        with the chain. No file is ever removed.
    """

    def __init__(self, folder: Path, rotate_bytes: int) -> None:
        self._folder = folder
        self._rotate_bytes = rotate_bytes
        # Where this process left off: nothing needs to be read if nobody wrote meanwhile.
        self._left: tuple[Path, int, Head] | None = None
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def append(self, entries: Sequence[Entry]) -> Head:
        """Append, and return when all is on disk: one fsync for all entries.

        Raises
        ------
        OSError
            If it could not be written; nothing then counts as appended.
        """
        with self._alone():
            path, head = self._end()
            written = bytearray()
            for entry in entries:
                record = _next(head, entry)
                head = Head(record.sequence, record.digest)
                written += record.line()
            _write(path, bytes(written))
            self._left = (path, path.stat().st_size, head)
            self._note(head)
            return head

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with (self._folder / "lock").open("a") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield

    def _end(self) -> tuple[Path, Head]:
        """The file to append to, and the end of the chain."""
        files = log_files(self._folder)
        if not files:
            return self._folder / "audit-000001.jsonl", Head(0, GENESIS)
        path = files[-1]
        size = path.stat().st_size
        if self._left is not None and self._left[:2] == (path, size):
            head = self._left[2]
        else:
            head = self._read_end(files)
        if size >= self._rotate_bytes:
            number = int(path.stem.rpartition("-")[2]) + 1
            path = self._folder / f"audit-{number:06d}.jsonl"
        return path, head

    def _read_end(self, files: Sequence[Path]) -> Head:
        """The end of the chain; where the last line is no record, what was noted of it."""
        try:
            ends = (_last(path) for path in reversed(files[-2:]))
            return next((end for end in ends if end is not None), Head(0, GENESIS))
        except ValueError:
            log.error("the last record of the audit log cannot be read", file=files[-1].name)
            return noted_head(self._folder) or Head(0, GENESIS)

    def _note(self, head: Head) -> None:
        """Note the end of the chain, so that a log that was cut short is noticed."""
        noted = self._folder / f"{_HEAD}.new"
        noted.write_text(json.dumps({"sequence": head.sequence, "hash": head.digest}))
        noted.replace(self._folder / _HEAD)


def log_files(folder: Path) -> list[Path]:
    """The files of the log, in their order."""
    named = [(each, _NAME.fullmatch(each.name)) for each in folder.glob("audit-*.jsonl")]
    found = [(int(match.group(1)), each) for each, match in named if match]
    return [each for _, each in sorted(found)]


def read_record(line: bytes) -> Record:
    """A record as it was written.

    Raises
    ------
    ValueError
        If the line is no record.
    """
    try:
        said: dict[str, Any] = json.loads(line)
        record = Record(
            said["sequence"], said["at"], said["previous"], said["message"], said["hash"]
        )
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError("is no record") from error
    if type(record.sequence) is not int or not all(
        isinstance(each, str)
        for each in (record.at, record.previous, record.message, record.digest)
    ):
        raise ValueError("is no record")
    return record


def verify(folder: Path) -> Verification:
    """Follow the chain from the first record that is there to the last."""
    head: Head | None = None
    first = records = 0
    for path in log_files(folder):
        for number, line in _lines(path):
            reason, record = _judged(line, head)
            if record is None:
                broken = Break(path.name, number, reason)
                return Verification(records, first, head or Head(0, GENESIS), broken)
            head = Head(record.sequence, record.digest)
            first = first or record.sequence
            records += 1
    end = head or Head(0, GENESIS)
    return Verification(records, first, end, _cut_short(folder, end))


def _judged(line: bytes, head: Head | None) -> tuple[str, Record | None]:
    """A record that follows on `head`; otherwise none, and why not."""
    if not line.endswith(b"\n"):
        return "is cut off in the middle of a record", None
    try:
        record = read_record(line)
    except ValueError as error:
        return str(error) if str(error) == "is no record" else "is no JSON", None
    if record.digest != record.computed:
        return f"record {record.sequence} was changed: its hash is not that of its content", None
    if head is None:
        if record.sequence == 1 and record.previous != GENESIS:
            return "record 1 does not begin the chain", None
        return "", record
    if record.sequence != head.sequence + 1:
        return f"record {record.sequence} follows on record {head.sequence}", None
    if record.previous != head.digest:
        return f"record {record.sequence} does not hold the hash of the one before", None
    return "", record


def noted_head(folder: Path) -> Head | None:
    """The end of the chain as it was noted last; None where there is no note of it."""
    try:
        noted = json.loads((folder / _HEAD).read_text())
        return Head(int(noted["sequence"]), str(noted["hash"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _cut_short(folder: Path, end: Head) -> Break | None:
    noted = noted_head(folder)
    if noted is None:
        if end.sequence == 0:
            return None
        return Break(_HEAD, 1, "is missing, or no note of the chain's end")
    if noted.sequence > end.sequence:
        return Break(_HEAD, 1, f"names record {noted.sequence}, but the last one is {end.sequence}")
    if noted.sequence == end.sequence and noted.digest != end.digest:
        return Break(_HEAD, 1, f"names another hash for record {noted.sequence}")
    return None


def _next(head: Head, entry: Entry) -> Record:
    at = entry.at.astimezone(UTC).isoformat(timespec="microseconds")
    unsigned = Record(head.sequence + 1, at, head.digest, entry.message, "")
    return Record(unsigned.sequence, at, head.digest, entry.message, unsigned.computed)


def _write(path: Path, data: bytes) -> None:
    is_new = not path.exists()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        before = os.fstat(descriptor).st_size
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, before)
            raise
    finally:
        os.close(descriptor)
    if is_new:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _last(path: Path) -> Head | None:
    """The end of a file; what a crash left of a record after it is taken away."""
    with path.open("rb+") as stream:
        size = stream.seek(0, os.SEEK_END)
        start = max(0, size - _TAIL_BYTES)
        stream.seek(start)
        tail = stream.read()
        whole = tail.rfind(b"\n") + 1
        if whole < len(tail):
            log.warning("the audit log ended in the middle of a record", file=path.name)
            stream.truncate(start + whole)
        lines = tail[:whole].splitlines()
    if not lines:
        return None
    record = read_record(lines[-1])
    return Head(record.sequence, record.digest)


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Number and bytes of each line; a longer one than is ever written comes in pieces."""
    with path.open("rb") as stream:
        number = 1
        while line := stream.readline(LONGEST_LINE):
            yield number, line
            number += 1
