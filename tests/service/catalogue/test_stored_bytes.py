from __future__ import annotations

from pathlib import Path

import pytest

from service.catalogue.stored_bytes import (
    LocalBytes,
    RemoteBytes,
    StoredBytes,
    checked_key,
    open_stored_bytes,
)
from service.settings import Settings, StorageSettings


@pytest.fixture(params=["local", "remote"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> StoredBytes:
    if request.param == "local":
        return LocalBytes(tmp_path / "root")
    return RemoteBytes.at(f"memory://bucket-{tmp_path.name}/folder", tmp_path / "incoming")


@pytest.mark.parametrize(
    "key", ["../outside", "/etc/passwd", "a/../b", "a//b", "", ".hidden", "a/.b", "a\\b", "a\x00"]
)
def test_a_key_can_only_name_something_below_the_root(key: str) -> None:
    with pytest.raises(ValueError, match="is not a key"):
        checked_key(key)


def test_what_arrived_is_there_under_its_key_once_it_is_settled(place: StoredBytes) -> None:
    keys = [f"instances/2026/{name}.dcm" for name in ("one", "two")]
    place.prepare(keys)
    for key in keys:
        place.arriving(key).write_bytes(key.encode())
        assert place.key_of(place.arriving(key)) == key
    place.settle(keys)
    for key in keys:
        assert place.exists(key)
        with place.as_file(key) as path:
            assert path.read_bytes() == key.encode()
    assert place.list("instances") == keys


def test_what_is_only_arriving_is_listed_and_can_be_removed(place: StoredBytes) -> None:
    place.prepare(["instances/2026/one.dcm"])
    place.arriving("instances/2026/one.dcm").write_bytes(b"half the way")
    assert place.list("instances/2026") == ["instances/2026/one.dcm"]
    place.remove("instances/2026/one.dcm")
    assert place.list("instances/2026") == []


def test_an_object_store_keeps_no_copy_of_what_it_took(tmp_path: Path) -> None:
    place = RemoteBytes.at(f"memory://bucket-{tmp_path.name}/folder", tmp_path / "incoming")
    place.prepare(["instances/one.dcm"])
    place.arriving("instances/one.dcm").write_bytes(b"DICM")
    place.settle(["instances/one.dcm"])
    assert [each for each in (tmp_path / "incoming").rglob("*") if each.is_file()] == []


def test_written_bytes_replace_what_was_there(place: StoredBytes) -> None:
    place.write("results/a.dcm", b"one")
    place.write("results/a.dcm", b"two")
    assert place.read("results/a.dcm") == b"two"
    assert place.list("results") == ["results/a.dcm"]


def test_removing_twice_is_no_error(place: StoredBytes) -> None:
    place.write("work/a", b"x")
    place.remove("work/a")
    place.remove("work/a")
    assert not place.exists("work/a")
    assert place.list("work") == []


def test_a_failed_write_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = LocalBytes(tmp_path)
    place.write("work/a", b"old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("service.catalogue.stored_bytes.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        place.write("work/a", b"new")
    monkeypatch.undo()
    assert place.read("work/a") == b"old"
    assert [each.name for each in (tmp_path / "work").iterdir()] == ["a"]


def test_the_settings_choose_the_place(tmp_path: Path) -> None:
    remote = Settings(
        data_folder=tmp_path, storage=StorageSettings(bytes_url="memory://bucket/folder")
    )
    assert isinstance(open_stored_bytes(remote), RemoteBytes)
    assert isinstance(open_stored_bytes(Settings(data_folder=tmp_path)), LocalBytes)
