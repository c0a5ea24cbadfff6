from __future__ import annotations

import json
import multiprocessing
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.audit.chain import GENESIS, Chain, Entry, Head, log_files, read_record, verify

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)


def entries(count: int, text: str = "event") -> list[Entry]:
    return [Entry(AT, f"{text} {number}") for number in range(count)]


def lines(folder: Path) -> list[bytes]:
    return [line for path in log_files(folder) for line in path.read_bytes().splitlines(True)]


def test_each_record_holds_the_hash_of_the_one_before(tmp_path: Path) -> None:
    Chain(tmp_path, 10**6).append(entries(3))
    records = [read_record(line) for line in lines(tmp_path)]
    assert [each.sequence for each in records] == [1, 2, 3]
    assert [each.previous for each in records] == [GENESIS, records[0].digest, records[1].digest]
    assert [each.digest for each in records] == [each.computed for each in records]
    found = verify(tmp_path)
    assert (found.records, found.broken) == (3, None)
    assert found.head == Head(3, records[2].digest)


def test_an_empty_folder_is_whole(tmp_path: Path) -> None:
    assert verify(tmp_path).broken is None


def test_a_restart_goes_on_with_the_chain(tmp_path: Path) -> None:
    for _ in range(3):
        Chain(tmp_path, 10**6).append(entries(2))
    found = verify(tmp_path)
    assert (found.records, found.broken) == (6, None)


def test_rotation_keeps_the_chain_and_removes_nothing(tmp_path: Path) -> None:
    chain = Chain(tmp_path, 1000)
    for number in range(30):
        chain.append(entries(1, f"{number} " + "x" * 100))
    assert len(log_files(tmp_path)) > 3
    assert [read_record(line).sequence for line in lines(tmp_path)] == list(range(1, 31))
    assert verify(tmp_path).broken is None


def changed(line: bytes, **values: object) -> bytes:
    return json.dumps(json.loads(line) | values).encode() + b"\n"


def rehashed(line: bytes, **values: object) -> bytes:
    record = read_record(changed(line, **values))
    return changed(line, **values, hash=record.computed)


@pytest.mark.parametrize(
    ("tamper", "line", "reason"),
    [
        (lambda all_: [all_[0], changed(all_[1], message="nothing"), *all_[2:]], 2, "was changed"),
        (
            lambda all_: [all_[0], rehashed(all_[1], message="nothing"), *all_[2:]],
            3,
            "does not hold the hash",
        ),
        (lambda all_: [all_[0], *all_[2:]], 2, "record 3 follows on record 1"),
        (lambda all_: [all_[0], all_[2], all_[1], *all_[3:]], 2, "record 3 follows"),
        (lambda all_: [*all_[:2], all_[1], *all_[2:]], 3, "record 2 follows on record 2"),
        (lambda all_: [*all_[:2], b"no record\n", *all_[2:]], 3, "is no JSON"),
        (lambda all_: [*all_[:2], b"[1]\n", *all_[2:]], 3, "is no record"),
        (lambda all_: [*all_[:-1], all_[-1][:-5]], 5, "cut off"),
        (lambda all_: all_[:-1], 1, "names record 5, but the last one is 4"),
        (
            lambda all_: [*all_[:-1], rehashed(all_[-1], message="nothing")],
            1,
            "names another hash for record 5",
        ),
        (lambda all_: [], 1, "names record 5, but the last one is 0"),
    ],
)
def test_who_tampers_breaks_the_chain_there(
    tmp_path: Path, tamper: object, line: int, reason: str
) -> None:
    Chain(tmp_path, 10**6).append(entries(5))
    (path,) = log_files(tmp_path)
    assert callable(tamper)
    path.write_bytes(b"".join(tamper(lines(tmp_path))))
    broken = verify(tmp_path).broken
    assert broken is not None
    assert broken.line == line
    assert reason in broken.reason


def test_a_missing_file_in_the_middle_is_noticed_and_missing_first_files_are_told(
    tmp_path: Path,
) -> None:
    chain = Chain(tmp_path, 1)
    for _ in range(5):
        chain.append(entries(1))
    files = log_files(tmp_path)
    files[0].unlink()
    found = verify(tmp_path)
    assert (found.broken, found.first_sequence) == (None, 2)
    files[2].unlink()
    broken = verify(tmp_path).broken
    assert broken is not None
    assert "record 4 follows on record 2" in broken.reason


def test_the_missing_note_of_the_end_is_noticed(tmp_path: Path) -> None:
    Chain(tmp_path, 10**6).append(entries(2))
    (tmp_path / "head.json").unlink()
    broken = verify(tmp_path).broken
    assert broken is not None
    assert "is missing" in broken.reason


def test_what_a_crash_left_of_a_record_is_taken_away(tmp_path: Path) -> None:
    Chain(tmp_path, 10**6).append(entries(2))
    (path,) = log_files(tmp_path)
    with path.open("ab") as stream:
        stream.write(b'{"sequence": 3, "at"')
    Chain(tmp_path, 10**6).append(entries(1, "after"))
    found = verify(tmp_path)
    assert (found.records, found.broken) == (3, None)


def test_a_last_record_that_is_destroyed_stops_nobody_from_going_on_and_is_found(
    tmp_path: Path,
) -> None:
    Chain(tmp_path, 10**6).append(entries(2))
    (path,) = log_files(tmp_path)
    kept = path.read_bytes().splitlines(True)[0]
    path.write_bytes(kept + b"\xff\xff\n")
    head = Chain(tmp_path, 10**6).append(entries(1))
    assert head.sequence == 3
    broken = verify(tmp_path).broken
    assert broken is not None
    assert broken.line == 2


def test_a_full_disk_leaves_no_half_of_a_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = Chain(tmp_path, 10**6)
    chain.append(entries(1))
    write = os.write

    def full(descriptor: int, data: bytes) -> int:
        write(descriptor, data[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        chain.append(entries(1))
    monkeypatch.undo()
    chain.append(entries(1))
    found = verify(tmp_path)
    assert (found.records, found.broken) == (2, None)


def test_the_log_is_readable_by_the_node_only(tmp_path: Path) -> None:
    folder = tmp_path / "audit"
    Chain(folder, 10**6).append(entries(1))
    assert folder.stat().st_mode & 0o077 == 0
    assert log_files(folder)[0].stat().st_mode & 0o077 == 0


def append_many(folder: Path, name: str) -> None:
    chain = Chain(folder, 20_000)
    for number in range(40):
        chain.append(entries(1 + number % 3, name))


def test_several_processes_append_to_one_chain(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=append_many, args=(tmp_path, f"writer {number}"))
        for number in range(3)
    ]
    for each in processes:
        each.start()
    for each in processes:
        each.join(60)
        assert each.exitcode == 0
    found = verify(tmp_path)
    assert found.broken is None
    assert found.records == 3 * sum(1 + number % 3 for number in range(40))
