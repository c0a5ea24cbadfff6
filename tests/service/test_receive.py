from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from dicom_nodes.network.instance_store import Arrival, StoreStatus
from processing.measurement import TransientFault
from service.catalogue import studies
from service.catalogue.arrivals import Received, Register
from service.catalogue.database import Database
from service.catalogue.models import Instance, Quarantined
from service.catalogue.stored_bytes import LocalBytes
from service.receive import GroupCommit, Keys, Reception, remove_unacknowledged

META = b"meta"


@pytest.fixture
def reception(database: Database, stored: LocalBytes) -> Iterator[Reception]:
    group_commit = GroupCommit(database, stored)
    yield Reception(database, stored, Keys("slot", stored), group_commit, reserve_bytes=0)
    group_commit.close()


def arrival(reception: Reception, uid: str, dataset: bytes, meta: bytes = META) -> Arrival:
    path = reception.place()
    path.write_bytes(meta + dataset)
    return Arrival(
        path=path,
        sop_class_uid="1.2.840.10008.5.1.4.1.1.77.1.4",
        sop_instance_uid=uid,
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        calling_ae_title="CAMERA",
        called_ae_title="HEMIFACE",
        peer_address="127.0.0.1",
        dataset_offset=len(meta),
        size_bytes=len(meta) + len(dataset),
    )


def instances(stored: LocalBytes) -> list[str]:
    """Keys of what has arrived; those that are only prepared are empty."""
    return [key for key in stored.list("instances") if stored.read(key)]


def test_success_means_that_bytes_and_row_are_there(
    reception: Reception, database: Database, stored: LocalBytes
) -> None:
    assert reception.accept(arrival(reception, "1.2.3", b"pixels")) is StoreStatus.SUCCESS
    (row,) = studies.uncatalogued(database, 10)
    assert stored.read(row.key) == META + b"pixels"
    assert row.sop_instance_uid == "1.2.3"


def test_the_same_bytes_again_are_stored_once(
    reception: Reception, database: Database, stored: LocalBytes
) -> None:
    for meta in (b"meta", b"meta of another sender"):
        again = arrival(reception, "1.2.3", b"pixels", meta)
        assert reception.accept(again) is StoreStatus.SUCCESS
    assert len(studies.uncatalogued(database, 10)) == 1
    assert len(instances(stored)) == 1
    assert studies.unusable(database, 10) == []


def test_the_same_uid_with_other_bytes_is_kept_in_quarantine_with_a_reason(
    reception: Reception, database: Database, stored: LocalBytes
) -> None:
    reception.accept(arrival(reception, "1.2.3", b"pixels"))
    assert reception.accept(arrival(reception, "1.2.3", b"PIXELS")) is StoreStatus.SUCCESS
    (row,) = studies.uncatalogued(database, 10)
    assert stored.read(row.key) == META + b"pixels"
    (flagged,) = studies.unusable(database, 10)
    assert stored.read(flagged.key) == META + b"PIXELS"
    assert "1.2.3 came a second time with other bytes" in flagged.reason


def test_many_associations_at_once_lose_nothing_and_store_nothing_twice(
    reception: Reception, database: Database, stored: LocalBytes
) -> None:
    uids = [f"1.2.{number % 50}" for number in range(200)]
    with ThreadPoolExecutor(8) as pool:
        states = pool.map(lambda uid: reception.accept(arrival(reception, uid, uid.encode())), uids)
        assert set(states) == {StoreStatus.SUCCESS}
    rows = studies.uncatalogued(database, 1000)
    assert sorted(row.sop_instance_uid for row in rows) == sorted(set(uids))
    assert all(stored.read(row.key) == META + row.sop_instance_uid.encode() for row in rows)
    assert len(instances(stored)) == 50


def test_waiting_arrivals_share_one_transaction(database: Database, stored: LocalBytes) -> None:
    transactions: list[int] = []
    sa.event.listen(database.engine, "commit", lambda _connection: transactions.append(1))
    group_commit = GroupCommit(database, stored)
    reception = Reception(database, stored, Keys("slot", stored), group_commit, reserve_bytes=0)
    gate = threading.Barrier(16)

    def accept(number: int) -> StoreStatus:
        waiting = arrival(reception, f"1.2.{number}", b"pixels")
        gate.wait()
        return reception.accept(waiting)

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(accept, range(16))) == {StoreStatus.SUCCESS}
    group_commit.close()
    assert len(studies.uncatalogued(database, 100)) == 16
    assert len(transactions) < 16


def test_when_the_database_does_not_take_the_row_nothing_is_acknowledged_and_nothing_stays(
    reception: Reception,
    stored: LocalBytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def away(*_arguments: object) -> None:
        raise TransientFault("the catalogue did not take the rows: disk I/O error")

    monkeypatch.setattr("service.catalogue.arrivals.Register.enter", away)
    with pytest.raises(TransientFault, match="disk I/O error"):
        reception.accept(arrival(reception, "1.2.3", b"pixels"))
    assert instances(stored) == []


def test_bytes_whose_commit_was_lost_on_the_way_back_are_not_removed(
    reception: Reception, stored: LocalBytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Register.enter

    def takes_them_and_is_gone(register: Register, batch: list[Received]) -> None:
        plain(register, batch)
        raise TransientFault("the connection was lost")

    with monkeypatch.context() as patched:
        patched.setattr(Register, "enter", takes_them_and_is_gone)
        with pytest.raises(TransientFault, match="connection was lost"):
            reception.accept(arrival(reception, "1.2.3", b"pixels"))
    assert len(instances(stored)) == 1
    # The sender tries again: the same instance, and it is there.
    assert reception.accept(arrival(reception, "1.2.3", b"pixels")) is StoreStatus.SUCCESS
    assert len(instances(stored)) == 1


def test_when_a_commit_breaks_off_unexpectedly_nobody_who_waits_for_it_hangs(
    database: Database, stored: LocalBytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    group_commit = GroupCommit(database, stored)
    reception = Reception(database, stored, Keys("slot", stored), group_commit, reserve_bytes=0)
    entered, gate = threading.Event(), threading.Event()
    plain = Register.enter
    batches: list[int] = []

    def breaks_off(register: Register, batch: list[Received]) -> object:
        batches.append(len(batch))
        if len(batches) == 1:
            entered.set()
            gate.wait(10)
            return plain(register, batch)
        raise MemoryError

    monkeypatch.setattr(Register, "enter", breaks_off)
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(reception.accept, arrival(reception, "1.2.0", b"pixels"))
        assert entered.wait(10)
        others = [
            pool.submit(reception.accept, arrival(reception, f"1.2.{number}", b"pixels"))
            for number in (1, 2, 3)
        ]
        while len(group_commit._waiting) < 3:
            time.sleep(0.001)
        gate.set()
        assert first.result(10) is StoreStatus.SUCCESS
        faults = [type(each.exception(10)) for each in others]
    group_commit.close()
    assert sorted(fault.__name__ for fault in faults) == [
        "MemoryError",
        "TransientFault",
        "TransientFault",
    ]


def test_one_batch_that_fails_does_not_stop_the_next(
    reception: Reception, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(LocalBytes, "settle", full)
        with pytest.raises(OSError, match="No space left"):
            reception.accept(arrival(reception, "1.2.3", b"pixels"))
    assert reception.accept(arrival(reception, "1.2.3", b"pixels")) is StoreStatus.SUCCESS
    assert len(studies.uncatalogued(database, 10)) == 1


def test_prepared_names_that_nobody_used_are_gone_after_a_stop_and_after_a_restart(
    reception: Reception, database: Database, stored: LocalBytes
) -> None:
    reception.accept(arrival(reception, "1.2.3", b"kept"))
    assert len(stored.list("instances")) > 1
    reception.keys.close()
    assert len(stored.list("instances")) == 1
    reception.place()
    remove_unacknowledged(database, stored, "slot")
    assert len(stored.list("instances")) == 1


def test_below_the_reserve_there_is_no_room(database: Database, stored: LocalBytes) -> None:
    free = stored.free_bytes()
    group_commit = GroupCommit(database, stored)
    full = Reception(database, stored, Keys("slot", stored), group_commit, reserve_bytes=free * 2)
    roomy = Reception(database, stored, Keys("slot", stored), group_commit, reserve_bytes=0)
    assert not full.has_room()
    assert roomy.has_room()
    group_commit.close()


def test_a_restart_removes_only_what_was_never_acknowledged(
    reception: Reception, database: Database, stored: LocalBytes
) -> None:
    reception.accept(arrival(reception, "1.2.3", b"kept"))
    (kept,) = instances(stored)
    folder = kept.rpartition("/")[0]
    stored.write(f"{folder}/unregistered.dcm", b"half the way")
    other_slot = folder.replace("/slot-", "/other-")
    stored.write(f"{other_slot}/underway.dcm", b"of a receiver that runs")
    remove_unacknowledged(database, stored, "slot")
    assert stored.list("instances") == sorted([kept, f"{other_slot}/underway.dcm"])


def test_a_thousand_instances_share_a_folder_and_no_key_comes_twice(stored: LocalBytes) -> None:
    from datetime import UTC, datetime

    keys = Keys("slot", stored)
    given = [keys.next(datetime(2026, 11, 21, tzinfo=UTC)) for _ in range(2500)]
    assert len(set(given)) == 2500
    assert len({key.rpartition("/")[0] for key in given}) == 3


def test_rows_of_quarantine_and_catalogue_both_count_as_known(
    reception: Reception, database: Database
) -> None:
    reception.accept(arrival(reception, "1.2.3", b"pixels"))
    reception.accept(arrival(reception, "1.2.3", b"PIXELS"))
    with database.sessions() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Instance)) == 1
        assert session.scalar(sa.select(sa.func.count()).select_from(Quarantined)) == 1
