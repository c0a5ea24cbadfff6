from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest

from dicom_nodes.network.direct_file import (
    ALIGNMENT_BYTES,
    SMALLEST_DIRECT_BYTES,
    AlignedBlock,
    DirectFile,
)

BLOCK_BYTES = 4 * SMALLEST_DIRECT_BYTES
SIZES = (
    0,
    1,
    SMALLEST_DIRECT_BYTES - 1,
    SMALLEST_DIRECT_BYTES,
    SMALLEST_DIRECT_BYTES + 1,
    BLOCK_BYTES,
    BLOCK_BYTES + 1,
    2 * BLOCK_BYTES + ALIGNMENT_BYTES + 7,
)


def write(path: Path, content: bytes, block: AlignedBlock, piece_bytes: int = 100_003) -> None:
    """Write `content` in uneven pieces."""
    with DirectFile(path, block) as file:
        for start in range(0, len(content), piece_bytes):
            file.write([memoryview(content)[start : start + piece_bytes]])
        file.finish()
        assert file.size_bytes == len(content)


@pytest.mark.parametrize("size", SIZES)
def test_every_length_is_written_byte_for_byte(tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    block = AlignedBlock(BLOCK_BYTES)
    # What an earlier file left in the block must not come out of it again.
    write(tmp_path / "earlier", os.urandom(3 * BLOCK_BYTES), block)
    write(tmp_path / "file", content, block)
    assert (tmp_path / "file").read_bytes() == content


def test_a_view_may_change_once_it_was_written(tmp_path: Path) -> None:
    changing = bytearray(b"first ")
    with DirectFile(tmp_path / "file", AlignedBlock()) as file:
        file.write([memoryview(changing)])
        changing[:] = b"second"
        file.write([memoryview(changing)])
        file.finish()
    assert (tmp_path / "file").read_bytes() == b"first second"


def test_a_filesystem_without_direct_writes_is_written_the_ordinary_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = fcntl.fcntl

    def refusing(descriptor: int, command: int, flags: int = 0) -> int:
        if command == fcntl.F_SETFL and flags & os.O_DIRECT:
            raise OSError(errno.EINVAL, "Invalid argument")
        return plain(descriptor, command, flags)

    monkeypatch.setattr(fcntl, "fcntl", refusing)
    content = os.urandom(2 * BLOCK_BYTES + 5)
    write(tmp_path / "file", content, AlignedBlock(BLOCK_BYTES))
    assert (tmp_path / "file").read_bytes() == content


def test_a_filesystem_that_refuses_only_the_direct_write_is_written_the_ordinary_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = os.pwrite

    def refusing(descriptor: int, content: memoryview, offset: int) -> int:
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_DIRECT:
            raise OSError(errno.EINVAL, "Invalid argument")
        return plain(descriptor, content, offset)

    monkeypatch.setattr(os, "pwrite", refusing)
    content = os.urandom(2 * BLOCK_BYTES + 5)
    write(tmp_path / "file", content, AlignedBlock(BLOCK_BYTES))
    assert (tmp_path / "file").read_bytes() == content


@pytest.mark.parametrize("size", [50_000, 2 * BLOCK_BYTES + 5])
def test_what_the_kernel_takes_in_part_is_written_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    plain = os.pwrite
    monkeypatch.setattr(
        os, "pwrite", lambda descriptor, content, at: plain(descriptor, content[:4096], at)
    )
    content = os.urandom(size)
    write(tmp_path / "file", content, AlignedBlock(BLOCK_BYTES))
    assert (tmp_path / "file").read_bytes() == content


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path / "file", bytes(BLOCK_BYTES), AlignedBlock(BLOCK_BYTES))


def test_a_link_in_the_place_of_the_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic link"):
        DirectFile(tmp_path / "link", AlignedBlock())
    assert not (tmp_path / "elsewhere").exists()
