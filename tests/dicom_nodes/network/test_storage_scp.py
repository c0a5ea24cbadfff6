from __future__ import annotations

import errno
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from dicom_nodes.network import instance_store
from dicom_nodes.network.instance_store import StoreStatus
from dicom_nodes.network.storage_scp import is_storage_sop_class, start_listening
from processing.measurement import PermanentFault, RejectedInput, TransientFault
from tests.dicom_nodes.network.listening import Node, listening
from tests.dicom_nodes.network.scripted_peer import (
    A_ABORT,
    A_ASSOCIATE_AC,
    A_ASSOCIATE_RJ,
    A_RELEASE_RP,
    ECHO,
    EXPLICIT,
    JPEG,
    MR_IMAGE,
    P_DATA_TF,
    STORAGE,
    connect,
    data_set,
    fragment,
    pdu,
    store_command,
)


def store(node: Node, uid: str = "1.2.3", content: bytes | None = None) -> int:
    """Send one instance over an association of its own; returns the status."""
    with connect(node.port) as peer:
        assert peer.associate(STORAGE)[0] == A_ASSOCIATE_AC
        status = peer.store(MR_IMAGE, uid, content or data_set("1.2.3"))
        assert peer.release() == A_RELEASE_RP
        return status


def test_an_instance_arrives_byte_for_byte_with_who_sent_it(tmp_path: Path) -> None:
    content = data_set("1.2.3", size=300_001)
    with listening(tmp_path) as node:
        assert store(node, content=content) == 0x0000
        (arrival,) = node.arrivals
        assert node.files()[0].read_bytes()[arrival.dataset_offset :] == content
        assert arrival.sop_class_uid == MR_IMAGE
        assert arrival.sop_instance_uid == "1.2.3"
        assert arrival.transfer_syntax_uid == EXPLICIT
        assert arrival.calling_ae_title == "SCRIPT"
        assert arrival.called_ae_title == "HEMIFACE"
        assert arrival.peer_address == "127.0.0.1"


def test_the_answer_waits_until_the_instance_is_accepted(tmp_path: Path) -> None:
    durable = threading.Event()
    with listening(tmp_path) as node, connect(node.port, timeout=0.3) as peer:
        plain = node.accept

        def slow(arrival: Any) -> StoreStatus:
            durable.wait(5)
            return plain(arrival)

        node.accept = slow  # type: ignore[method-assign]  # the listener looks it up late
        peer.associate(STORAGE)
        with pytest.raises(TimeoutError):
            peer.store(MR_IMAGE, "1.2.3", data_set("1.2.3"))
        durable.set()
        assert peer.store_status() == 0x0000


def test_associations_are_served_at_the_same_time(tmp_path: Path) -> None:
    together = threading.Barrier(3, timeout=5)
    with listening(tmp_path) as node:
        plain = node.accept

        def meet(arrival: Any) -> StoreStatus:
            together.wait()
            return plain(arrival)

        node.accept = meet  # type: ignore[method-assign]  # the listener looks it up late
        senders = [threading.Thread(target=store, args=(node,)) for _ in range(3)]
        for each in senders:
            each.start()
        for each in senders:
            each.join(10)
        assert len(node.files()) == 3


def test_many_instances_go_over_one_association(tmp_path: Path) -> None:
    with listening(tmp_path) as node, connect(node.port) as peer:
        peer.associate(STORAGE)
        for index in range(1, 21):
            uid = f"1.2.{index}"
            assert peer.store(MR_IMAGE, uid, data_set(uid, size=1000 * index)) == 0x0000
        assert peer.release() == A_RELEASE_RP
        assert len(node.files()) == 20


@pytest.mark.parametrize(
    ("raised", "status"),
    [
        (TransientFault("the database is away"), StoreStatus.OUT_OF_RESOURCES),
        (OSError(errno.EIO, "input/output error"), StoreStatus.OUT_OF_RESOURCES),
        (RejectedInput("no image in it"), StoreStatus.CANNOT_UNDERSTAND),
        (PermanentFault("the catalogue is broken"), StoreStatus.PROCESSING_FAILURE),
    ],
)
def test_an_instance_that_is_not_kept_is_never_answered_with_success(
    tmp_path: Path, raised: Exception, status: StoreStatus
) -> None:
    with listening(tmp_path) as node, connect(node.port) as peer:
        peer.associate(STORAGE)
        node.answer = raised
        assert peer.store(MR_IMAGE, "1.2.3", data_set("1.2.3")) == status
        assert list(node.incoming.iterdir()) == []
        node.answer = StoreStatus.SUCCESS
        assert peer.store(MR_IMAGE, "1.2.3", data_set("1.2.3")) == 0x0000


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_defect_in_accept_aborts_the_association(tmp_path: Path) -> None:
    with listening(tmp_path) as node, connect(node.port) as peer:
        peer.associate(STORAGE)
        node.answer = KeyError("a defect")
        peer.send(pdu(P_DATA_TF, fragment(1, 3, store_command(MR_IMAGE, "1.2.3"))))
        peer.send(pdu(P_DATA_TF, fragment(1, 2, data_set("1.2.3"))))
        assert peer.receive()[0] == A_ABORT
        assert list(node.incoming.iterdir()) == []


def test_a_failure_that_accept_returns_is_what_the_peer_is_told(tmp_path: Path) -> None:
    with listening(tmp_path) as node:
        node.answer = StoreStatus.CANNOT_UNDERSTAND
        assert store(node) == StoreStatus.CANNOT_UNDERSTAND


@pytest.mark.parametrize("fault", [TransientFault("the store is away"), OSError(errno.EIO, "I/O")])
def test_without_a_place_the_instance_is_refused_and_can_be_sent_again(
    tmp_path: Path, fault: Exception
) -> None:
    with listening(tmp_path) as node, connect(node.port) as peer:
        peer.associate(STORAGE)
        plain = node.place

        def away() -> Path:
            raise fault

        node.place = away  # type: ignore[method-assign]  # the listener looks it up late
        refused = peer.store(MR_IMAGE, "1.2.3", data_set("1.2.3"))
        assert refused == StoreStatus.OUT_OF_RESOURCES
        node.place = plain  # type: ignore[method-assign]  # as above
        assert peer.store(MR_IMAGE, "1.2.3", data_set("1.2.3")) == 0x0000


def test_without_room_nothing_is_written_and_the_association_goes_on(tmp_path: Path) -> None:
    with listening(tmp_path) as node, connect(node.port) as peer:
        peer.associate(STORAGE)
        node.room = lambda: False
        content = data_set("1.2.3", size=500_000)
        assert peer.store(MR_IMAGE, "1.2.3", content) == StoreStatus.OUT_OF_RESOURCES
        assert node.arrivals == []
        node.room = lambda: True
        assert peer.store(MR_IMAGE, "1.2.3", content) == 0x0000


def test_room_is_asked_for_again_during_a_large_instance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instance_store, "_ROOM_CHECKED_EVERY_BYTES", 100_000)
    answers = iter([True, True, False])
    with listening(tmp_path) as node:
        node.room = lambda: next(answers)
        content = data_set("1.2.3", size=500_000)
        assert store(node, content=content) == StoreStatus.OUT_OF_RESOURCES
        assert list(node.incoming.iterdir()) == []


def test_a_disk_that_fills_up_answers_out_of_resources_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = os.pwrite

    def full_after_a_megabyte(descriptor: int, content: memoryview, offset: int) -> int:
        if offset > 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return plain(descriptor, content, offset)

    with listening(tmp_path) as node, connect(node.port) as peer:
        peer.associate(STORAGE)
        content = data_set("1.2.3", size=1_500_000)
        with monkeypatch.context() as patched:
            patched.setattr(os, "pwrite", full_after_a_megabyte)
            assert peer.store(MR_IMAGE, "1.2.3", content) == StoreStatus.OUT_OF_RESOURCES
        assert list(node.incoming.iterdir()) == []
        assert peer.store(MR_IMAGE, "1.2.3", content) == 0x0000


@pytest.mark.parametrize(
    "uid", ["../../../../etc/passwd", "/etc/passwd", "", "1.2.3/../../x", "1.2.3\n", "x" * 200]
)
def test_a_uid_that_is_no_uid_is_refused_and_becomes_no_path(tmp_path: Path, uid: str) -> None:
    with listening(tmp_path / "node") as node:
        assert store(node, uid) == StoreStatus.INVALID_INSTANCE_UID
        assert node.arrivals == []
        every = {each.name for each in tmp_path.rglob("*")}
        assert every == {"node", "incoming", "kept"}


def test_another_instance_uid_in_the_data_set_is_refused(tmp_path: Path) -> None:
    with listening(tmp_path) as node:
        assert store(node, "1.2.3", data_set("1.2.4")) == StoreStatus.DATA_SET_DOES_NOT_MATCH
        assert node.arrivals == []


def test_another_sop_class_in_the_data_set_is_refused(tmp_path: Path) -> None:
    with listening(tmp_path) as node:
        content = data_set("1.2.3", sop_class="1.2.840.10008.5.1.4.1.1.2")
        assert store(node, "1.2.3", content) == StoreStatus.DATA_SET_DOES_NOT_MATCH


def test_a_sop_class_that_is_not_that_of_the_context_is_refused(tmp_path: Path) -> None:
    with listening(tmp_path) as node, connect(node.port) as peer:
        peer.associate(STORAGE)
        status = peer.store("1.2.840.10008.5.1.4.1.1.2", "1.2.3", data_set("1.2.3"))
        assert status == StoreStatus.SOP_CLASS_NOT_SUPPORTED


def test_a_request_without_a_data_set_is_refused(tmp_path: Path) -> None:
    with listening(tmp_path) as node, connect(node.port) as peer:
        peer.associate(STORAGE)
        command = store_command(MR_IMAGE, "1.2.3").replace(
            b"\x00\x08\x02\x00\x00\x00\x01\x00", b"\x00\x08\x02\x00\x00\x00\x01\x01"
        )
        peer.send(pdu(P_DATA_TF, fragment(1, 3, command)))
        assert peer.store_status() == StoreStatus.CANNOT_UNDERSTAND
        assert list(node.incoming.iterdir()) == []


def test_a_peer_that_goes_away_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    with listening(tmp_path) as node:
        with connect(node.port) as peer:
            peer.associate(STORAGE)
            peer.send(pdu(P_DATA_TF, fragment(1, 3, store_command(MR_IMAGE, "1.2.3"))))
            peer.send(pdu(P_DATA_TF, fragment(1, 0, data_set("1.2.3"))))
        assert node.listener is not None
        deadline = time.monotonic() + 5
        while node.listener.associations and time.monotonic() < deadline:
            time.sleep(0.01)
        assert node.arrivals == []
        assert list(node.incoming.iterdir()) == []


def test_private_and_unknown_sop_classes_are_stored(tmp_path: Path) -> None:
    private = "1.3.12.2.1107.5.9.1"
    with listening(tmp_path) as node, connect(node.port) as peer:
        assert peer.associate((private, [EXPLICIT]))[0] == A_ASSOCIATE_AC
        content = data_set("1.2.3", sop_class=private)
        assert peer.store(private, "1.2.3", content) == 0x0000


@pytest.mark.parametrize(
    ("uid", "accepted"),
    [
        (MR_IMAGE, True),
        ("1.2.840.10008.5.1.4.1.1.104.3", True),  # Encapsulated STL
        ("1.2.840.10008.5.1.4.1.1.68.1", True),  # Surface Scan Mesh
        ("1.2.840.10008.5.1.4.1.1.77.1.4", True),  # VL Photographic
        ("1.2.840.10008.5.1.4.39.1", True),  # Color Palette, a non-patient object
        ("1.2.840.113619.4.27", True),  # private
        ("1.2.840.10008.5.1.4.1.2.2.1", False),  # Study Root FIND
        ("1.2.840.10008.5.1.4.31", False),  # Modality Worklist
        ("1.2.840.10008.1.20.1", False),  # Storage Commitment
    ],
)
def test_only_what_may_be_storage_is_taken_for_storage(uid: str, accepted: bool) -> None:
    assert is_storage_sop_class(uid) is accepted


def results_of_contexts(content: bytes) -> dict[int, int]:
    """Presentation context IDs and their results in an A-ASSOCIATE-AC."""
    results, position = {}, 68
    while position < len(content):
        kind, length = (
            content[position],
            int.from_bytes(content[position + 2 : position + 4], "big"),
        )
        if kind == 0x21:
            results[content[position + 4]] = content[position + 6]
        position += 4 + length
    return results


def test_restricted_sop_classes_and_transfer_syntaxes_are_refused_by_context(
    tmp_path: Path,
) -> None:
    with (
        listening(tmp_path, sop_classes=(MR_IMAGE,), transfer_syntaxes=(EXPLICIT,)) as node,
        connect(node.port) as peer,
    ):
        kind, content = peer.associate(
            STORAGE,
            ("1.2.840.10008.5.1.4.1.1.2", [EXPLICIT]),
            (MR_IMAGE, [JPEG]),
            ECHO,
        )
        assert kind == A_ASSOCIATE_AC
        assert results_of_contexts(content) == {1: 0, 3: 3, 5: 4, 7: 0}


@pytest.mark.parametrize(
    ("changes", "rejection"),
    [
        ({"calling_ae_titles": ("PACS",)}, (1, 1, 3)),
        ({"calling_ae_titles": ("PACS", "SCRIPT")}, None),
        ({"require_called_ae_title": True, "ae_title": "OTHER"}, (1, 1, 7)),
        ({"require_called_ae_title": True}, None),
        ({"ae_title": "OTHER"}, None),
        ({"peer_addresses": ("10.0.0.0/8", "192.168.1.1")}, (1, 1, 1)),
        ({"peer_addresses": ("127.0.0.0/8",)}, None),
        ({"peer_addresses": ("127.0.0.1",)}, None),
    ],
)
def test_only_known_peers_are_let_in(
    tmp_path: Path, changes: dict[str, Any], rejection: tuple[int, ...] | None
) -> None:
    with listening(tmp_path, **changes) as node, connect(node.port) as peer:
        kind, content = peer.associate(STORAGE)
        if rejection is None:
            assert kind == A_ASSOCIATE_AC
        else:
            assert (kind, tuple(content[1:4])) == (A_ASSOCIATE_RJ, rejection)
            assert peer.receive()[0] == 0


def test_an_address_that_is_none_is_named(tmp_path: Path) -> None:
    node = Node(tmp_path)
    with pytest.raises(ValueError, match=r"10\.0\.0\.300"):
        start_listening(
            node.options(peer_addresses=("10.0.0.300",)),
            node.accept,
            place=node.place,
            room=lambda: True,
        )


def test_an_instance_that_is_arriving_when_the_node_stops_is_let_finish(tmp_path: Path) -> None:
    with listening(tmp_path) as node, connect(node.port) as peer, connect(node.port) as idle:
        peer.associate(STORAGE)
        idle.associate(STORAGE)
        content = data_set("1.2.3", size=100_000)
        peer.send(pdu(P_DATA_TF, fragment(1, 3, store_command(MR_IMAGE, "1.2.3"))))
        peer.send(pdu(P_DATA_TF, fragment(1, 0, content[:10_000])))
        deadline = time.monotonic() + 5
        while not list(node.incoming.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert node.listener is not None
        stopping = threading.Thread(target=node.listener.stop, args=(5,))
        stopping.start()
        assert idle.receive()[0] == A_ABORT
        peer.send(pdu(P_DATA_TF, fragment(1, 2, content[10_000:])))
        assert peer.store_status() == 0x0000
        stopping.join(10)
        assert not stopping.is_alive()
        assert node.files()[0].read_bytes().endswith(content)
        with pytest.raises(OSError, match="refused"):
            connect(node.port)


def test_a_peer_without_a_limit_of_its_own_is_answered(tmp_path: Path) -> None:
    with listening(tmp_path) as node, connect(node.port) as peer:
        assert peer.associate(STORAGE, maximum_length=0)[0] == A_ASSOCIATE_AC
        assert peer.store(MR_IMAGE, "1.2.3", data_set("1.2.3")) == 0x0000
