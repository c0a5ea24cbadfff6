"""Each cure of pynetdicom, shown with a peer that misbehaves."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pynetdicom
import pytest
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.presentation import build_context

from dicom_nodes.network import pynetdicom_cures
from dicom_nodes.network.direct_file import BLOCK_BYTES
from dicom_nodes.network.part10_header import encode_header
from dicom_nodes.network.peer import Peer
from dicom_nodes.network.pynetdicom_cures import (
    RequestingEntity,
    SafeCheckpoint,
    configure_pynetdicom,
    storage_contexts,
)
from dicom_nodes.network.storage_scp import start_listening
from dicom_nodes.network.storage_scu import Fault, send_files
from dicom_nodes.network.tls import ServerTLS
from tests.dicom_nodes.network.certificates import Authority
from tests.dicom_nodes.network.listening import Node, listening
from tests.dicom_nodes.network.scripted_peer import (
    A_ABORT,
    A_ASSOCIATE_AC,
    A_ASSOCIATE_RJ,
    A_RELEASE_RP,
    A_RELEASE_RQ,
    EXPLICIT,
    IMPLICIT,
    JPEG,
    MR_IMAGE,
    P_DATA_TF,
    VERIFICATION,
    Connection,
    ScriptedAcceptor,
    associate_ac,
    connect,
    connect_from,
    data_set,
    echo_command,
    echo_response,
    elements_of,
    fragment,
    pdu,
    store_command,
)

STORAGE = (MR_IMAGE, [EXPLICIT])
ECHO = (VERIFICATION, [IMPLICIT])


def test_an_unknown_version_of_pynetdicom_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pynetdicom, "__version__", "9.9.9")
    with pytest.raises(RuntimeError, match=r"9\.9\.9 is installed.*tried with 3\.0\.4"):
        configure_pynetdicom()


# Cure 1: the TLS handshake is not in the accept loop


def test_a_silent_peer_on_a_tls_listener_stops_nobody_else(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("localhost")
    with (
        listening(tmp_path / "node", tls=ServerTLS(certificate, key)) as node,
        connect(node.port),  # says nothing, not even a ClientHello
        connect(node.port),
    ):
        started = time.monotonic()
        raw = socket.create_connection(("127.0.0.1", node.port))
        with Connection(
            authority.client_context().wrap_socket(raw, server_hostname="localhost")
        ) as peer:
            assert peer.associate(ECHO)[0] == A_ASSOCIATE_AC
            assert peer.echo() == 0x0000
        assert time.monotonic() - started < 2


def test_a_silent_peer_on_a_tls_listener_is_cut_off(tmp_path: Path) -> None:
    certificate, key = Authority(tmp_path).issue("localhost")
    with (
        listening(
            tmp_path / "node", tls=ServerTLS(certificate, key), acse_timeout_seconds=0.3
        ) as node,
        connect(node.port, timeout=5) as silent,
    ):
        assert silent.ended()


# Cure 2: silent connections take nobody's place


def test_silent_connections_do_not_use_up_the_associations(tmp_path: Path) -> None:
    with listening(tmp_path, maximum_associations=2, maximum_associations_per_peer=2) as node:
        silent = [connect(node.port) for _ in range(6)]
        with connect(node.port) as peer:
            assert peer.associate(ECHO)[0] == A_ASSOCIATE_AC
            assert peer.echo() == 0x0000
        for each in silent:
            each.socket.close()


def test_an_idle_association_of_who_has_most_gives_way_when_every_place_is_taken(
    tmp_path: Path,
) -> None:
    with (
        listening(tmp_path, maximum_associations=4, maximum_associations_per_peer=3) as node,
        connect_from("127.0.0.2", node.port) as longest_idle,
        connect_from("127.0.0.2", node.port) as second,
        connect_from("127.0.0.2", node.port) as third,
        connect_from("127.0.0.3", node.port) as other,
    ):
        for each in (longest_idle, second, third, other):
            assert each.associate(ECHO)[0] == A_ASSOCIATE_AC
        with connect(node.port) as late:
            assert late.associate(ECHO)[0] == A_ASSOCIATE_AC
            assert late.echo() == 0x0000
            assert longest_idle.ended()
            assert [each.echo() for each in (second, third, other)] == [0, 0, 0]


def test_nobody_gives_way_where_each_peer_has_one(tmp_path: Path) -> None:
    with (
        listening(tmp_path, maximum_associations=2, maximum_associations_per_peer=2) as node,
        connect_from("127.0.0.2", node.port) as one,
        connect_from("127.0.0.3", node.port) as other,
    ):
        for each in (one, other):
            assert each.associate(ECHO)[0] == A_ASSOCIATE_AC
        time.sleep(pynetdicom_cures.IDLE_SECONDS)
        with connect(node.port) as late:
            assert late.associate(ECHO)[0] == A_ASSOCIATE_RJ
        assert [one.echo(), other.echo()] == [0, 0]


def test_a_silent_connection_is_closed_after_the_acse_timeout(tmp_path: Path) -> None:
    with (
        listening(tmp_path, acse_timeout_seconds=0.3) as node,
        connect(node.port, timeout=5) as silent,
    ):
        started = time.monotonic()
        assert silent.ended()
        assert 0.2 < time.monotonic() - started < 3


def test_a_request_that_trickles_in_has_one_deadline(tmp_path: Path) -> None:
    with (
        listening(tmp_path, acse_timeout_seconds=0.5) as node,
        connect(node.port, timeout=0.1) as slow,
    ):
        started = time.monotonic()
        ended = False
        while not ended and time.monotonic() - started < 5:
            try:
                slow.send(b"\x01")
                ended = slow.ended()
            except TimeoutError:
                continue
            except OSError:
                ended = True
        assert ended
        assert time.monotonic() - started < 3


def test_silent_connections_of_one_peer_are_bounded(tmp_path: Path) -> None:
    with listening(tmp_path, maximum_associations_per_peer=1) as node:
        waiting = [connect(node.port, timeout=5) for _ in range(4)]
        with connect(node.port, timeout=5) as one_too_many:
            assert one_too_many.receive()[0] == 0
        for each in waiting:
            each.socket.close()


def test_the_association_above_the_limit_is_rejected_as_transient(tmp_path: Path) -> None:
    with (
        listening(tmp_path, maximum_associations_per_peer=1) as node,
        connect(node.port) as first,
        connect(node.port) as second,
    ):
        assert first.associate(ECHO)[0] == A_ASSOCIATE_AC
        kind, content = second.associate(ECHO)
        assert (kind, tuple(content[1:4])) == (A_ASSOCIATE_RJ, (2, 3, 2))
        assert first.release() == A_RELEASE_RP
        first.socket.close()
        deadline = time.monotonic() + 5
        accepted = False
        while not accepted and time.monotonic() < deadline:
            with connect(node.port) as third:
                accepted = third.associate(ECHO)[0] == A_ASSOCIATE_AC
        assert accepted


# Cure 3: the race of send_*


class _Preempted(threading.Event):
    """Lets a reactor that comes out of `wait` sleep once, until `resume` is set.

    That is the moment in which the reactor may lose the interpreter lock.
    """

    def __init__(self) -> None:
        super().__init__()
        self.armed = False
        self.sleeping = threading.Event()
        self.resume = threading.Event()

    def wait(self, timeout: float | None = None) -> bool:
        was_set = super().wait(timeout)
        if self.armed:
            self.armed = False
            self.sleeping.set()
            self.resume.wait(5)
        return was_set


class _PreemptedSafeCheckpoint(SafeCheckpoint, _Preempted):
    """`SafeCheckpoint` whose inner wait is preempted in the same way."""


def _answer_echoes(connection: Connection) -> None:
    connection.receive()
    connection.send(associate_ac())
    while (received := connection.receive())[0] == P_DATA_TF:
        message_id = struct.unpack("<H", elements_of(received[1][6:])[0x0110])[0]
        connection.send(pdu(P_DATA_TF, fragment(1, 3, echo_response(message_id))))
    if received[0] == A_RELEASE_RQ:
        connection.send(pdu(A_RELEASE_RP, bytes(4)))


def _echo_while_the_reactor_is_preempted(
    checkpoint_of: Callable[[Association], _Preempted], monkeypatch: pytest.MonkeyPatch
) -> bool:
    """Whether a C-ECHO response arrives when the reactor loses the lock at the worst moment.

    The reactor sleeps as it comes out of its wait; the request is sent; the
    response is put on the queue; the reactor wakes; only then does `send_c_echo`
    look at the queue.
    """
    plain_request = Association.request

    def request(association: Association) -> None:
        association._reactor_checkpoint = checkpoint_of(association)
        plain_request(association)

    monkeypatch.setattr(Association, "request", request)
    entity = AE("SCU")
    entity.dimse_timeout = 1.0
    entity.add_requested_context(VERIFICATION)
    with ScriptedAcceptor(_answer_echoes) as acceptor:
        association = entity.associate("127.0.0.1", acceptor.port)
        checkpoint = association._reactor_checkpoint
        plain_send = association.dimse.send_msg

        def send_and_lose_the_lock(*message: Any) -> None:
            plain_send(*message)
            deadline = time.monotonic() + 5
            while association.dimse.msg_queue.empty() and time.monotonic() < deadline:
                time.sleep(0.001)
            checkpoint.resume.set()
            time.sleep(0.2)

        monkeypatch.setattr(association.dimse, "send_msg", send_and_lose_the_lock)
        checkpoint.armed = True
        assert checkpoint.sleeping.wait(5)
        arrived = "Status" in association.send_c_echo()
        association.release()
        return arrived


def _plain_checkpoint(association: Association) -> _Preempted:
    checkpoint = _Preempted()
    checkpoint.set()
    return checkpoint


def test_the_race_of_send_loses_a_response_without_the_cure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert not _echo_while_the_reactor_is_preempted(_plain_checkpoint, monkeypatch)


def test_the_safe_checkpoint_loses_no_response_in_the_same_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert _echo_while_the_reactor_is_preempted(_PreemptedSafeCheckpoint, monkeypatch)


def test_associations_of_the_node_have_the_safe_checkpoint() -> None:
    with ScriptedAcceptor(_answer_echoes) as acceptor:
        entity = RequestingEntity("SCU")
        entity.add_requested_context(VERIFICATION)
        association = entity.associate("127.0.0.1", acceptor.port)
        assert isinstance(association._reactor_checkpoint, SafeCheckpoint)
        association.release()
        assert association.is_released


# Cure 4: storage contexts with all transfer syntaxes


def test_jpeg_is_accepted(tmp_path: Path) -> None:
    with listening(tmp_path) as node, connect(node.port) as peer:
        kind, content = peer.associate((MR_IMAGE, [JPEG]))
        assert kind == A_ASSOCIATE_AC
        assert JPEG.encode() in content
        instance = data_set("1.2.3")
        assert peer.store(MR_IMAGE, "1.2.3", instance) == 0x0000
        (file,) = node.files()
        assert pydicom.filereader.read_file_meta_info(file).TransferSyntaxUID == JPEG
        assert file.read_bytes().endswith(instance)


def test_a_known_transfer_syntax_is_preferred_to_one_that_nobody_knows() -> None:
    (context,) = storage_contexts(
        [build_context(MR_IMAGE, ["1.2.3.4.5", JPEG])], lambda uid: True, ()
    )
    assert context.transfer_syntax == [JPEG]
    (context,) = storage_contexts([build_context(MR_IMAGE, ["1.2.3.4.5"])], lambda uid: True, ())
    assert context.transfer_syntax == ["1.2.3.4.5"]


# Cure 5: no Nagle


def test_both_ends_send_without_delay(tmp_path: Path) -> None:
    with listening(tmp_path) as node, connect(node.port) as peer:
        peer.associate(ECHO)
        assert node.listener is not None
        (accepted,) = node.listener._server.connections
        assert accepted._connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        entity = RequestingEntity("SCU")
        entity.add_requested_context(VERIFICATION)
        association = entity.associate("127.0.0.1", node.port)
        requested = association.dul.socket.socket
        assert requested.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        association.release()


# Cure 6: the data set goes to the disk while it arrives


def test_a_data_set_is_on_the_disk_before_it_is_complete(tmp_path: Path) -> None:
    with listening(tmp_path) as node, connect(node.port) as peer:
        peer.associate(STORAGE)
        content = data_set("1.2.3", size=2_500_000)
        parts = [content[start : start + 100_000] for start in range(0, len(content), 100_000)]
        peer.send(pdu(P_DATA_TF, fragment(1, 3, store_command(MR_IMAGE, "1.2.3"))))
        for part in parts[:-1]:
            peer.send(pdu(P_DATA_TF, fragment(1, 0, part)))
        deadline = time.monotonic() + 5
        size = 0
        while size < 2 * BLOCK_BYTES and time.monotonic() < deadline:
            size = sum(each.stat().st_size for each in node.incoming.iterdir())
        assert size == 2 * BLOCK_BYTES
        assert node.arrivals == []
        peer.send(pdu(P_DATA_TF, fragment(1, 2, parts[-1])))
        assert peer.store_status() == 0x0000
        assert node.files()[0].read_bytes().endswith(content)


@pytest.mark.parametrize("piece", [1, 7, 1000, 16_000])
def test_fragments_of_any_size_give_the_same_bytes(tmp_path: Path, piece: int) -> None:
    size = 300 if piece < 100 else 300_000
    content = data_set("1.2.3", size=size)
    with listening(tmp_path) as node, connect(node.port) as peer:
        peer.associate(STORAGE)
        assert peer.store(MR_IMAGE, "1.2.3", content, piece=piece) == 0x0000
        assert node.files()[0].read_bytes()[node.arrivals[0].dataset_offset :] == content


def test_many_fragments_in_one_pdu_and_an_empty_last_one_give_the_same_bytes(
    tmp_path: Path,
) -> None:
    content = data_set("1.2.3", size=5000)
    fragments = b"".join(
        fragment(1, 0, content[start : start + 5]) for start in range(0, len(content), 5)
    )
    with listening(tmp_path) as node, connect(node.port) as peer:
        peer.associate(STORAGE)
        # Command and data set in one PDU, the last fragment without a byte.
        command = fragment(1, 3, store_command(MR_IMAGE, "1.2.3"))
        peer.send(pdu(P_DATA_TF, command + fragments + fragment(1, 2, b"")))
        assert peer.store_status() == 0x0000
        assert node.files()[0].read_bytes().endswith(content)


def test_a_command_set_in_pieces_is_understood(tmp_path: Path) -> None:
    command = echo_command()
    with listening(tmp_path) as node, connect(node.port) as peer:
        peer.associate(ECHO)
        peer.send(pdu(P_DATA_TF, fragment(1, 1, command[:11]) + fragment(1, 3, command[11:])))
        assert peer.store_status() == 0x0000


# Cure 7: several processes on one port


def test_two_listeners_share_a_port(tmp_path: Path) -> None:
    nodes = [Node(tmp_path / name) for name in ("one", "two")]
    port = 0
    for node in nodes:
        node.kept.mkdir(parents=True)
        node.listener = start_listening(
            node.options(port=port),
            node.accept,
            place=node.place,
            room=lambda: True,
            share_port=True,
        )
        port = node.port
    for index in range(40):
        with connect(port) as peer:
            peer.associate(STORAGE)
            uid = f"1.2.{index}"
            assert peer.store(MR_IMAGE, uid, data_set(uid)) == 0x0000
    arrived = [len(node.arrivals) for node in nodes]
    for node in nodes:
        assert node.listener is not None
        node.listener.stop()
    assert sum(arrived) == 40
    assert min(arrived) > 0


def test_a_port_that_is_not_shared_is_taken(tmp_path: Path) -> None:
    with listening(tmp_path) as node, pytest.raises(OSError, match="in use"):
        start_listening(
            node.options(port=node.port), node.accept, place=node.place, room=lambda: True
        )


# Cure 8: no thread that polls


def test_an_association_is_one_thread(tmp_path: Path) -> None:
    with listening(tmp_path) as node:
        before = threading.active_count()
        with connect(node.port) as peer:
            peer.associate(ECHO)
            assert peer.echo() == 0x0000
            assert threading.active_count() == before + 1


def test_a_thousand_echoes_take_less_than_a_poll_each(tmp_path: Path) -> None:
    with listening(tmp_path) as node, connect(node.port) as peer:
        peer.associate(ECHO)
        started = time.monotonic()
        for _ in range(300):
            assert peer.echo() == 0x0000
        # pynetdicom's two loops sleep for at least a millisecond each.
        assert time.monotonic() - started < 300 * 0.010


# Cure 9: no endless waiting, no boundless length


def test_half_a_pdu_is_given_up_by_the_listener(tmp_path: Path) -> None:
    with (
        listening(tmp_path, network_timeout_seconds=0.3) as node,
        connect(node.port, timeout=5) as peer,
    ):
        peer.associate(STORAGE)
        peer.send(pdu(P_DATA_TF, fragment(1, 3, store_command(MR_IMAGE, "1.2.3")))[:20])
        assert peer.receive()[0] == A_ABORT


def test_half_a_data_set_is_given_up_and_leaves_nothing(tmp_path: Path) -> None:
    with (
        listening(tmp_path, network_timeout_seconds=0.3) as node,
        connect(node.port, timeout=5) as peer,
    ):
        peer.associate(STORAGE)
        peer.send(pdu(P_DATA_TF, fragment(1, 3, store_command(MR_IMAGE, "1.2.3"))))
        peer.send(pdu(P_DATA_TF, fragment(1, 0, data_set("1.2.3"))))
        assert peer.receive()[0] == A_ABORT
        assert list(node.incoming.iterdir()) == []
        assert node.arrivals == []


def test_half_a_pdu_is_given_up_by_the_sender(tmp_path: Path) -> None:
    def stall(connection: Connection) -> None:
        connection.receive()
        connection.send(associate_ac(EXPLICIT))
        connection.receive()
        connection.send(b"\x04\x00\x00\x00\x00\xff")
        time.sleep(1.5)

    file = tmp_path / "instance.dcm"
    file.write_bytes(_part10("1.2.3"))
    with ScriptedAcceptor(stall) as acceptor:
        peer = Peer(
            "archive",
            "ARCHIVE",
            "127.0.0.1",
            acceptor.port,
            "HEMIFACE",
            dimse_timeout_seconds=0.5,
            network_timeout_seconds=0.5,
        )
        started = time.monotonic()
        (outcome,) = send_files(peer, [file])
        assert outcome.fault is Fault.TRANSIENT
        assert time.monotonic() - started < 1.4


@pytest.mark.parametrize(
    "nonsense",
    [
        b"GET / HTTP/1.1\r\nHost: hemiface\r\n\r\n",
        b"\x01\x00\xff\xff\xff\xff",  # an A-ASSOCIATE-RQ of 4 GB
        b"\x04\x00\xff\xff\xff\xff",  # a P-DATA-TF before an association
        b"\x01\x00\x00\x00\x00\x04\x00\x01\x00\x00",
        b"\x05\x00\x00\x00\x00\x04\x00\x00\x00\x00",  # a release of nothing
        b"\x07\x00\x00\x00\x00\x04\x00\x00\x00\x00",
        b"\x00" * 100,
    ],
)
def test_nonsense_instead_of_an_association_request_ends_the_connection(
    tmp_path: Path, nonsense: bytes
) -> None:
    with listening(tmp_path, acse_timeout_seconds=0.5) as node:
        with connect(node.port, timeout=5) as peer:
            peer.send(nonsense)
            assert peer.ended()
        with connect(node.port) as peer:
            assert peer.associate(ECHO)[0] == A_ASSOCIATE_AC


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\x04\x00\xff\xff\xff\xff",  # more than the announced maximum
        pdu(P_DATA_TF, struct.pack(">LBB", 0xFFFFFFFF, 1, 3)),
        pdu(P_DATA_TF, fragment(1, 3, b"")),
        pdu(P_DATA_TF, fragment(1, 3, b"\0" * 7)),
        pdu(P_DATA_TF, fragment(1, 3, struct.pack("<HHL", 0, 0, 0xFFFFFFFF))),
        pdu(P_DATA_TF, fragment(1, 2, b"data before a command")),
        pdu(P_DATA_TF, fragment(99, 3, store_command(MR_IMAGE, "1.2.3"))),
        pdu(P_DATA_TF, fragment(1, 3, store_command(MR_IMAGE, "1.2.3")) + fragment(3, 2, b"x")),
        pdu(P_DATA_TF, fragment(1, 3, store_command(MR_IMAGE, "1.2.3")))
        + pdu(A_RELEASE_RQ, bytes(4)),
        pdu(P_DATA_TF, fragment(1, 3, echo_command()[:-4] + b"\xff\xff\xff\xff")),
        pdu(A_ASSOCIATE_AC, b"\0" * 100),
        pdu(9, b"\0" * 100),
    ],
)
def test_nonsense_on_an_association_aborts_it_and_nothing_else(
    tmp_path: Path, nonsense: bytes
) -> None:
    with listening(tmp_path, network_timeout_seconds=1) as node, connect(node.port) as other:
        other.associate(ECHO)
        with connect(node.port, timeout=5) as peer:
            peer.associate(STORAGE)
            peer.send(nonsense)
            assert peer.receive()[0] == A_ABORT
        assert other.echo() == 0x0000
        assert node.arrivals == []
        assert list(node.incoming.iterdir()) == []


def _part10(uid: str) -> bytes:
    return encode_header(MR_IMAGE, uid, EXPLICIT, "TEST") + data_set(uid)


def trickle(peer: Connection, message: bytes, piece: int, seconds: float) -> None:
    for position in range(0, len(message), piece):
        peer.send(message[position : position + piece])
        time.sleep(seconds)


def test_a_peer_that_sends_a_byte_now_and_then_is_cut_off_in_the_middle_of_a_message(
    tmp_path: Path,
) -> None:
    with (
        listening(tmp_path, network_timeout_seconds=0.5, slowest_bytes_per_second=100) as node,
        connect(node.port, timeout=5) as peer,
    ):
        assert peer.associate(STORAGE)[0] == A_ASSOCIATE_AC
        began = time.monotonic()
        message = pdu(P_DATA_TF, fragment(1, 3, store_command(MR_IMAGE, "1.2.3")))
        with pytest.raises(OSError, match=r"(?i)reset|pipe"):
            trickle(peer, message, 1, seconds=0.1)
        assert time.monotonic() - began < 4


def test_a_slow_peer_whose_pace_is_enough_is_served(tmp_path: Path) -> None:
    with (
        listening(tmp_path, network_timeout_seconds=0.3, slowest_bytes_per_second=100) as node,
        connect(node.port) as peer,
    ):
        assert peer.associate(STORAGE)[0] == A_ASSOCIATE_AC
        message = pdu(P_DATA_TF, fragment(1, 3, store_command(MR_IMAGE, "1.2.3")))
        message += pdu(P_DATA_TF, fragment(1, 2, data_set("1.2.3", size=400)))
        trickle(peer, message, 40, seconds=0.05)
        assert peer.store_status() == 0x0000
