from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa

from dicom_nodes.network.storage_scp import Arrival, StoreStatus
from processing.measurement import TransientFault
from service.catalogue import studies
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


@pytest.fixture
def incoming(stored: LocalBytes) -> Path:
    folder = stored.root / "incoming"
    folder.mkdir()
    return folder


def arrival(incoming: Path, uid: str, dataset: bytes, meta: bytes = META) -> Arrival:
    path = incoming / uuid4().hex
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
    )


def test_success_means_that_bytes_and_row_are_there(
    reception: Reception, database: Database, stored: LocalBytes, incoming: Path
) -> None:
    assert reception.accept(arrival(incoming, "1.2.3", b"pixels")) is StoreStatus.SUCCESS
    (row,) = studies.uncatalogued(database, 10)
    assert stored.read(row.key) == META + b"pixels"
    assert row.sop_instance_uid == "1.2.3"
    assert list(incoming.iterdir()) == []


def test_the_same_bytes_again_are_stored_once(
    reception: Reception, database: Database, stored: LocalBytes, incoming: Path
) -> None:
    for meta in (b"meta", b"meta of another sender"):
        again = arrival(incoming, "1.2.3", b"pixels", meta)
        assert reception.accept(again) is StoreStatus.SUCCESS
    assert len(studies.uncatalogued(database, 10)) == 1
    assert len(stored.list("instances")) == 1
    assert studies.unusable(database, 10) == []


def test_the_same_uid_with_other_bytes_is_kept_in_quarantine_with_a_reason(
    reception: Reception, database: Database, stored: LocalBytes, incoming: Path
) -> None:
    reception.accept(arrival(incoming, "1.2.3", b"pixels"))
    assert reception.accept(arrival(incoming, "1.2.3", b"PIXELS")) is StoreStatus.SUCCESS
    (row,) = studies.uncatalogued(database, 10)
    assert stored.read(row.key) == META + b"pixels"
    (flagged,) = studies.unusable(database, 10)
    assert stored.read(flagged.key) == META + b"PIXELS"
    assert "1.2.3 came a second time with other bytes" in flagged.reason


def test_many_associations_at_once_lose_nothing_and_store_nothing_twice(
    reception: Reception, database: Database, stored: LocalBytes, incoming: Path
) -> None:
    uids = [f"1.2.{number % 50}" for number in range(200)]
    with ThreadPoolExecutor(8) as pool:
        states = pool.map(lambda uid: reception.accept(arrival(incoming, uid, uid.encode())), uids)
        assert set(states) == {StoreStatus.SUCCESS}
    rows = studies.uncatalogued(database, 1000)
    assert sorted(row.sop_instance_uid for row in rows) == sorted(set(uids))
    assert all(stored.read(row.key) == META + row.sop_instance_uid.encode() for row in rows)
    assert len(stored.list("instances")) == 50


def test_waiting_arrivals_share_one_transaction(
    database: Database, stored: LocalBytes, incoming: Path
) -> None:
    transactions: list[int] = []
    sa.event.listen(database.engine, "commit", lambda _connection: transactions.append(1))
    group_commit = GroupCommit(database, stored)
    reception = Reception(database, stored, Keys("slot", stored), group_commit, reserve_bytes=0)
    gate = threading.Barrier(16)

    def accept(number: int) -> StoreStatus:
        waiting = arrival(incoming, f"1.2.{number}", b"pixels")
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
    incoming: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def away(*_arguments: object) -> None:
        raise TransientFault("the catalogue did not take the rows: disk I/O error")

    monkeypatch.setattr("service.receive.register", away)
    with pytest.raises(TransientFault, match="disk I/O error"):
        reception.accept(arrival(incoming, "1.2.3", b"pixels"))
    assert stored.list("instances") == []


def test_below_the_reserve_there_is_no_room(database: Database, stored: LocalBytes) -> None:
    free = stored.free_bytes()
    group_commit = GroupCommit(database, stored)
    full = Reception(database, stored, Keys("slot", stored), group_commit, reserve_bytes=free * 2)
    roomy = Reception(database, stored, Keys("slot", stored), group_commit, reserve_bytes=0)
    assert not full.has_room()
    assert roomy.has_room()
    group_commit.close()


def test_a_restart_removes_only_what_was_never_acknowledged(
    reception: Reception, database: Database, stored: LocalBytes, incoming: Path
) -> None:
    reception.accept(arrival(incoming, "1.2.3", b"kept"))
    (kept,) = stored.list("instances")
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
    reception: Reception, database: Database, incoming: Path
) -> None:
    reception.accept(arrival(incoming, "1.2.3", b"pixels"))
    reception.accept(arrival(incoming, "1.2.3", b"PIXELS"))
    with database.sessions() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Instance)) == 1
        assert session.scalar(sa.select(sa.func.count()).select_from(Quarantined)) == 1
