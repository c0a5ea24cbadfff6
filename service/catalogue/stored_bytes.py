"""Where the bytes live: local disk, or an object store through fsspec.

A key is a relative path with forward slashes that this package made up; nothing
that a peer sent ever becomes part of one.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Protocol
from uuid import uuid4

import fsspec

from processing.measurement import TransientFault
from service.settings import Settings

_KEY: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")


class StoredBytes(Protocol):
    """A place for bytes under keys."""

    def prepare(self, keys: Sequence[str]) -> None:
        """Make names for arriving bytes durable ahead of these; one call serves many."""

    def arriving(self, key: str) -> Path:
        """Where a local file that shall be stored under a prepared `key` is to be written."""

    def key_of(self, arriving: Path) -> str:
        """The key for which `arriving` gave this path."""

    def settle(self, keys: Sequence[str]) -> None:
        """Make durable what was written at `arriving` of these keys; one call serves many."""

    def write(self, key: str, data: bytes) -> None:
        """Store `data` under `key`, content and name durable on return."""

    def as_file(self, key: str) -> Any:
        """A context manager that gives a local `Path` to read the bytes from."""

    def read(self, key: str) -> bytes:
        """All bytes under `key`."""

    def exists(self, key: str) -> bool:
        """Whether there is something under `key`."""

    def size_bytes(self, key: str) -> int | None:
        """How many bytes there are under `key`; None where there is nothing."""

    def remove(self, key: str) -> None:
        """Forget `key`; nothing happens when it is not there."""

    def list(self, prefix: str) -> list[str]:
        """All keys under the folder `prefix`, those included that are only arriving."""

    def free_bytes(self) -> int | None:
        """Room left, or None where there is no such limit."""


def open_stored_bytes(settings: Settings) -> StoredBytes:
    """The place for bytes that the settings name."""
    if settings.storage.bytes_url:
        incoming = settings.data_folder.absolute() / "incoming"
        return RemoteBytes.at(settings.storage.bytes_url, incoming)
    settings.data_folder.mkdir(parents=True, exist_ok=True)
    return LocalBytes(settings.data_folder.absolute())


def checked_key(key: str) -> str:
    """`key` itself, if it can only name something below the store's root.

    Raises
    ------
    ValueError
        If it is not a relative path of plain names.
    """
    if not _KEY.fullmatch(key):
        raise ValueError(f"{key!r} is not a key of stored bytes")
    return key


@dataclass(frozen=True, slots=True)
class LocalBytes:
    """Bytes on a local disk below `root`."""

    root: Path

    def prepare(self, keys: Sequence[str]) -> None:
        """Create empty files and fsync their folder, which then need not be done for each."""
        places = [self._path(key) for key in keys]
        folders = {place.parent for place in places}
        for folder in folders:
            self._make_folder(folder)
        for place in places:
            place.touch(0o640, exist_ok=False)
        for folder in folders:
            _fsync(folder)

    def arriving(self, key: str) -> Path:
        """Its place for good, so that nothing has to be renamed."""
        return self._path(key)

    def key_of(self, arriving: Path) -> str:
        """Its path below the root."""
        return arriving.relative_to(self.root).as_posix()

    def settle(self, keys: Sequence[str]) -> None:
        """Fsync the files: the first has the filesystem commit what the others changed as well."""
        for key in keys:
            _fsync(self._path(key))

    def write(self, key: str, data: bytes) -> None:
        """Write beside the target, fsync, rename over it, fsync the folder."""
        target = self._path(key)
        self._make_folder(target.parent)
        beside = target.with_name(f".{uuid4().hex}.part")
        try:
            with beside.open("wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            beside.rename(target)
        finally:
            beside.unlink(missing_ok=True)
        _fsync(target.parent)

    @contextmanager
    def as_file(self, key: str) -> Iterator[Path]:
        """Give the file itself; it must not be changed."""
        yield self._path(key)

    def read(self, key: str) -> bytes:
        """All bytes of the file."""
        return self._path(key).read_bytes()

    def exists(self, key: str) -> bool:
        """Whether the file is there."""
        return self._path(key).is_file()

    def size_bytes(self, key: str) -> int | None:
        """The length of the file."""
        try:
            return self._path(key).stat().st_size
        except FileNotFoundError:
            return None

    def remove(self, key: str) -> None:
        """Unlink the file."""
        self._path(key).unlink(missing_ok=True)

    def list(self, prefix: str) -> list[str]:
        """All files below the folder."""
        return sorted(_keys_below(self.root, checked_key(prefix)))

    def free_bytes(self) -> int:
        """Room on the disk."""
        return shutil.disk_usage(self.root).free

    def _path(self, key: str) -> Path:
        return self.root / checked_key(key)

    def _make_folder(self, folder: Path) -> None:
        """Make a folder whose own name survives a power cut, and its parents'."""
        missing = [each for each in (folder, *folder.parents) if not each.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        for each in reversed(missing):
            _fsync(each.parent)


@dataclass(frozen=True, slots=True)
class RemoteBytes:
    """Bytes in an object store that fsspec can reach."""

    filesystem: Any
    root: str
    incoming: Path

    @classmethod
    def at(cls, url: str, incoming: Path) -> RemoteBytes:
        """The store at an fsspec URL such as ``s3://bucket/folder``.

        Files that arrive wait below the local folder `incoming` until they are uploaded.
        """
        filesystem, root = fsspec.core.url_to_fs(url)
        return cls(filesystem, root.rstrip("/"), incoming)

    def prepare(self, keys: Sequence[str]) -> None:
        """Make the local folders; the object store needs no names ahead."""
        for folder in {self.arriving(key).parent for key in keys}:
            folder.mkdir(parents=True, exist_ok=True)

    def arriving(self, key: str) -> Path:
        """A local file below the incoming folder."""
        return self.incoming / checked_key(key)

    def key_of(self, arriving: Path) -> str:
        """Its path below the incoming folder."""
        return arriving.relative_to(self.incoming).as_posix()

    def settle(self, keys: Sequence[str]) -> None:
        """Upload the files, then remove them here."""
        for key in keys:
            arrived = self.arriving(key)
            with _as_transient(f"the object store did not take {key}"):
                self.filesystem.makedirs(self._path(key).rpartition("/")[0], exist_ok=True)
                self.filesystem.put_file(str(arrived), self._path(key))
            arrived.unlink()

    def write(self, key: str, data: bytes) -> None:
        """Upload the bytes."""
        with _as_transient(f"the object store did not take {key}"):
            self.filesystem.makedirs(self._path(key).rpartition("/")[0], exist_ok=True)
            self.filesystem.pipe_file(self._path(key), data)

    @contextmanager
    def as_file(self, key: str) -> Iterator[Path]:
        """Fetch a copy that is removed afterwards."""
        with TemporaryDirectory() as folder:
            copy = Path(folder) / key.rpartition("/")[2]
            with _as_transient(f"the object store did not give {key}"):
                self.filesystem.get_file(self._path(key), str(copy))
            yield copy

    def read(self, key: str) -> bytes:
        """All bytes of the object."""
        with _as_transient(f"the object store did not give {key}"):
            data: bytes = self.filesystem.cat_file(self._path(key))
        return data

    def exists(self, key: str) -> bool:
        """Whether the object is there."""
        with _as_transient(f"the object store did not answer about {key}"):
            return bool(self.filesystem.exists(self._path(key)))

    def size_bytes(self, key: str) -> int | None:
        """The length of the object."""
        try:
            with _as_transient(f"the object store did not answer about {key}"):
                return int(self.filesystem.info(self._path(key), refresh=True)["size"])
        except FileNotFoundError:
            return None

    def remove(self, key: str) -> None:
        """Delete the object."""
        self.arriving(key).unlink(missing_ok=True)
        with _as_transient(f"the object store did not remove {key}"):
            if self.filesystem.exists(self._path(key)):
                self.filesystem.rm_file(self._path(key))

    def list(self, prefix: str) -> list[str]:
        """All objects below the folder."""
        found = set(_keys_below(self.incoming, checked_key(prefix)))
        with _as_transient(f"the object store did not list {prefix}"):
            if self.filesystem.exists(self._path(prefix)):
                stored = self.filesystem.find(self._path(prefix))
                found.update(each.removeprefix(f"{self.root}/") for each in stored)
        return sorted(found)

    def free_bytes(self) -> None:
        """No limit that could be asked for."""
        return

    def _path(self, key: str) -> str:
        return f"{self.root}/{checked_key(key)}"


def _keys_below(root: Path, prefix: str) -> Iterator[str]:
    for each in (root / prefix).rglob("*"):
        if each.is_file() and not each.name.startswith("."):
            yield each.relative_to(root).as_posix()


@contextmanager
def _as_transient(what: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as fault:
        raise TransientFault(f"{what}: {fault}") from fault


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        # All that is needed to read the file again, its length included.
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
