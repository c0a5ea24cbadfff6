"""Where the bytes live: local disk, or an object store through fsspec.

A key is a relative path with forward slashes that this package made up; nothing
that a peer sent ever becomes part of one.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Iterator
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

    def adopt(self, path: Path, key: str) -> None:
        """Move the file at `path` under `key`; its content is durable on return."""

    def settle(self, keys: Iterable[str]) -> None:
        """Make the names of adopted keys durable; one call serves many."""

    def write(self, key: str, data: bytes) -> None:
        """Store `data` under `key`, content and name durable on return."""

    def as_file(self, key: str) -> Any:
        """A context manager that gives a local `Path` to read the bytes from."""

    def read(self, key: str) -> bytes:
        """All bytes under `key`."""

    def exists(self, key: str) -> bool:
        """Whether there is something under `key`."""

    def remove(self, key: str) -> None:
        """Forget `key`; nothing happens when it is not there."""

    def list(self, prefix: str) -> list[str]:
        """All keys under the folder `prefix`."""

    def free_bytes(self) -> int | None:
        """Room left, or None where there is no such limit."""


def open_stored_bytes(settings: Settings) -> StoredBytes:
    """The place for bytes that the settings name."""
    if settings.storage.bytes_url:
        return RemoteBytes.at(settings.storage.bytes_url)
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

    def adopt(self, path: Path, key: str) -> None:
        """Move the file, its content fsynced first; `path` must be on the same filesystem."""
        target = self._path(key)
        _fsync(path)
        try:
            path.rename(target)
        except FileNotFoundError:
            self._make_folder(target.parent)
            path.rename(target)

    def settle(self, keys: Iterable[str]) -> None:
        """Fsync the folders that hold `keys`, each once."""
        for folder in {self._path(key).parent for key in keys}:
            _fsync(folder)

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

    def remove(self, key: str) -> None:
        """Unlink the file."""
        self._path(key).unlink(missing_ok=True)

    def list(self, prefix: str) -> list[str]:
        """All files below the folder."""
        folder = self._path(prefix)
        return sorted(
            each.relative_to(self.root).as_posix()
            for each in folder.rglob("*")
            if each.is_file() and not each.name.startswith(".")
        )

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

    @classmethod
    def at(cls, url: str) -> RemoteBytes:
        """The store at an fsspec URL such as ``s3://bucket/folder``."""
        filesystem, root = fsspec.core.url_to_fs(url)
        return cls(filesystem, root.rstrip("/"))

    def adopt(self, path: Path, key: str) -> None:
        """Upload the file, then remove it here."""
        with _as_transient(f"the object store did not take {key}"):
            self.filesystem.makedirs(self._path(key).rpartition("/")[0], exist_ok=True)
            self.filesystem.put_file(str(path), self._path(key))
        path.unlink()

    def settle(self, keys: Iterable[str]) -> None:
        """Nothing: an object store that answered has the object and its name."""

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

    def remove(self, key: str) -> None:
        """Delete the object."""
        with _as_transient(f"the object store did not remove {key}"):
            if self.filesystem.exists(self._path(key)):
                self.filesystem.rm_file(self._path(key))

    def list(self, prefix: str) -> list[str]:
        """All objects below the folder."""
        with _as_transient(f"the object store did not list {prefix}"):
            if not self.filesystem.exists(self._path(prefix)):
                return []
            found = self.filesystem.find(self._path(prefix))
        return sorted(each.removeprefix(f"{self.root}/") for each in found)

    def free_bytes(self) -> None:
        """No limit that could be asked for."""
        return

    def _path(self, key: str) -> str:
        return f"{self.root}/{checked_key(key)}"


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
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
