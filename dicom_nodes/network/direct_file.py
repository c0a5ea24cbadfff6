"""Writing a file past the page cache (O_DIRECT).

Bytes that are to be fsynced at once gain nothing from the page cache: they are
copied into it, and the disk fetches them from there. Here they go to the disk
in blocks that it can take as they are, while more of them arrive. Where the
filesystem does not offer that, the ordinary way is taken.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Self

# What O_DIRECT asks of addresses, offsets and lengths; no disk has larger sectors.
ALIGNMENT_BYTES: Final = 4096
BLOCK_BYTES: Final = 1 << 20
# Below this an ordinary write and its fsync are faster.
SMALLEST_DIRECT_BYTES: Final = 64 * 1024

_OPEN: Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_PERMISSIONS: Final = 0o640


class AlignedBlock:
    """A block of memory that O_DIRECT can write from; one serves many files in turn."""

    __slots__ = ("view",)

    def __init__(self, size_bytes: int = BLOCK_BYTES) -> None:
        # An anonymous mapping begins on a page.
        self.view = memoryview(mmap.mmap(-1, size_bytes))


class DirectFile:
    """A file that is written from its beginning to its end, and fsynced by nobody here.

    To be used in a ``with`` statement.

    Parameters
    ----------
    path : Path
        An empty file, or none yet.
    block : AlignedBlock
        Holds what is not written yet; no other file may use it meanwhile.

    Raises
    ------
    OSError
        If the file cannot be opened.
    """

    __slots__ = ("_block", "_descriptor", "_direct", "_filled", "_written")

    def __init__(self, path: Path, block: AlignedBlock) -> None:
        self._block = block.view
        self._filled = 0
        self._written = 0
        self._direct = False
        self._descriptor = os.open(path, _OPEN, _PERMISSIONS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    @property
    def size_bytes(self) -> int:
        """How much was given to `write` so far."""
        return self._written + self._filled

    def write(self, views: Iterable[memoryview | bytes]) -> None:
        """Append the bytes of `views`; they may be changed afterwards.

        Raises
        ------
        OSError
        """
        for view in views:
            start = 0
            while start < len(view):
                if self._filled == len(self._block):
                    self._empty_block()
                taken = min(len(view) - start, len(self._block) - self._filled)
                self._block[self._filled : self._filled + taken] = view[start : start + taken]
                self._filled += taken
                start += taken

    def finish(self) -> None:
        """Write what is left. Only an fsync makes it, and how long the file is, outlast a crash.

        Raises
        ------
        OSError
        """
        size_bytes = self.size_bytes
        if size_bytes < SMALLEST_DIRECT_BYTES:
            self._write(self._filled)
            # Starts the writing without waiting for it: blocks are given to the file
            # now, so that one commit of the filesystem's journal serves many files.
            os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        else:
            self._empty_block()
            os.ftruncate(self._descriptor, size_bytes)
            self._written = size_bytes

    def _empty_block(self) -> None:
        """Write the block; the last one is filled up with zeros that `finish` cuts off."""
        if not self._written:
            self._set_direct(wanted=True)
        whole = -(-self._filled // ALIGNMENT_BYTES) * ALIGNMENT_BYTES
        self._block[self._filled : whole] = bytes(whole - self._filled)
        self._write(whole)

    def _write(self, length: int) -> None:
        """Write the first `length` bytes of the block."""
        start = 0
        while start < length:
            try:
                start += os.pwrite(
                    self._descriptor, self._block[start:length], self._written + start
                )
            except OSError as fault:
                if fault.errno != errno.EINVAL or not self._direct:
                    raise
                # A filesystem that takes the flag and not the write, or that took
                # only a part of a sector before.
                self._set_direct(wanted=False)
        self._written += length
        self._filled = 0

    def _set_direct(self, *, wanted: bool) -> None:
        flags = fcntl.fcntl(self._descriptor, fcntl.F_GETFL)
        flags = flags | os.O_DIRECT if wanted else flags & ~os.O_DIRECT
        try:
            fcntl.fcntl(self._descriptor, fcntl.F_SETFL, flags)
        except OSError as fault:
            if fault.errno != errno.EINVAL:
                raise
            wanted = False
        self._direct = wanted
