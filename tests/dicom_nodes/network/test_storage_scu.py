from __future__ import annotations

import socket
import struct
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit

from dicom_nodes.network.instance_store import StoreStatus
from dicom_nodes.network.peer import Peer
from dicom_nodes.network.storage_scu import Fault, send_files
from dicom_nodes.network.verification_scu import echo
from processing.measurement import PermanentFault, TransientFault
from tests.dicom_nodes.network.instances import SECONDARY_CAPTURE, SERIES, write_instance
from tests.dicom_nodes.network.listening import Node, listening
from tests.dicom_nodes.network.scripted_peer import (
    A_ABORT,
    A_ASSOCIATE_RJ,
    Connection,
    ScriptedAcceptor,
    associate_ac,
    command_set,
    fragment,
    pdu,
    uid_value,
)


def peer_at(port: int, **options: float) -> Peer:
    return Peer(
        "archive",
        "HEMIFACE",
        "127.0.0.1",
        port,
        "SENDER",
        **{"connection_timeout_seconds": 2, "acse_timeout_seconds": 2, **options},  # type: ignore[arg-type]  # of many
    )


def data_set_of(path: Path) -> bytes:
    content = path.read_bytes()
    return content[144 + struct.unpack("<L", content[140:144])[0] :]


def test_files_arrive_as_they_are_in_their_transfer_syntaxes(tmp_path: Path) -> None:
    files = [
        write_instance(tmp_path, 1, transfer_syntax=JPEGBaseline8Bit),
        write_instance(tmp_path, 2, transfer_syntax=ImplicitVRLittleEndian),
        write_instance(tmp_path, 3, transfer_syntax=ExplicitVRLittleEndian),
    ]
    progress: list[tuple[int, int]] = []
    with listening(tmp_path / "node") as node:
        outcomes = send_files(
            peer_at(node.port), files, on_progress=lambda done, all_: progress.append((done, all_))
        )
        arrived = {dcmread(each).SOPInstanceUID: each for each in node.files()}
    assert [each.accepted for each in outcomes] == [True] * 3
    assert [each.status for each in outcomes] == [0] * 3
    assert progress == [(1, 3), (2, 3), (3, 3)]
    for number, file in enumerate(files, start=1):
        assert data_set_of(arrived[f"{SERIES}.{number}"]) == data_set_of(file)


@pytest.mark.parametrize(
    ("own", "accepted"),
    [
        (ExplicitVRLittleEndian, ImplicitVRLittleEndian),
        (ImplicitVRLittleEndian, ExplicitVRLittleEndian),
    ],
)
def test_an_uncompressed_file_is_written_anew_for_a_peer_that_wants_the_other_syntax(
    tmp_path: Path, own: str, accepted: str
) -> None:
    file = write_instance(tmp_path, 1, transfer_syntax=own)
    with listening(tmp_path / "node", transfer_syntaxes=(str(accepted),)) as node:
        (outcome,) = send_files(peer_at(node.port), [file])
        (arrived,) = node.files()
    assert outcome.accepted
    assert dcmread(arrived).file_meta.TransferSyntaxUID == accepted
    assert dcmread(arrived).PixelData == dcmread(file).PixelData


def test_what_the_peer_does_not_take_is_refused_for_good_and_the_rest_is_sent(
    tmp_path: Path,
) -> None:
    files = [
        write_instance(tmp_path, 1, transfer_syntax=JPEGBaseline8Bit),
        write_instance(tmp_path, 2),
    ]
    with listening(tmp_path / "node", transfer_syntaxes=(ExplicitVRLittleEndian,)) as node:
        refused, accepted = send_files(peer_at(node.port), files)
    assert accepted.accepted
    assert refused.fault is Fault.PERMANENT
    assert "does not accept Secondary Capture" in refused.reason
    assert "JPEG Baseline" in refused.reason


def test_a_peer_that_takes_no_context_at_all_refuses_for_good(tmp_path: Path) -> None:
    file = write_instance(tmp_path, 1)
    with listening(tmp_path / "node", sop_classes=("1.2.3",)) as node:
        (outcome,) = send_files(peer_at(node.port), [file])
    assert outcome.fault is Fault.PERMANENT
    assert outcome.reason.startswith("archive (HEMIFACE at 127.0.0.1:")


def test_more_sop_classes_than_contexts_take_several_associations(tmp_path: Path) -> None:
    files = [
        write_instance(tmp_path, number, sop_class=f"1.2.826.0.1.99.{number}", rows=2)
        for number in range(1, 71)
    ]
    with listening(tmp_path / "node") as node:
        outcomes = send_files(peer_at(node.port), files)
        assert len(node.files()) == 70
    assert [each.path for each in outcomes] == files
    assert all(each.accepted for each in outcomes)


def test_what_is_no_dicom_file_does_not_stop_the_others(tmp_path: Path) -> None:
    no_dicom = tmp_path / "picture.jpg"
    no_dicom.write_bytes(b"\xff\xd8" + bytes(500))
    missing = tmp_path / "missing.dcm"
    file = write_instance(tmp_path, 1)
    with listening(tmp_path / "node") as node:
        outcomes = send_files(peer_at(node.port), [no_dicom, missing, file])
    assert [each.fault for each in outcomes] == [Fault.PERMANENT, Fault.TRANSIENT, None]
    assert "picture.jpg is no DICOM file" in outcomes[0].reason


@pytest.mark.parametrize(
    ("status", "fault"),
    [
        (0x0000, None),
        (0xB000, None),
        (0xB007, None),
        (0x0111, None),
        (0xA700, Fault.TRANSIENT),
        (0xA7FF, Fault.TRANSIENT),
        (0x0110, Fault.TRANSIENT),
        (0xA900, Fault.PERMANENT),
        (0xC000, Fault.PERMANENT),
        (0xC123, Fault.PERMANENT),
        (0x0122, Fault.PERMANENT),
        (0x0124, Fault.PERMANENT),
    ],
)
def test_a_status_says_whether_to_send_again(
    tmp_path: Path, status: int, fault: Fault | None
) -> None:
    def answer(connection: Connection) -> None:
        connection.receive()
        connection.send(associate_ac(ExplicitVRLittleEndian))
        while connection.receive()[1][5:6] != b"\x02":  # until the last data set fragment
            pass
        response = command_set(
            (0x0002, uid_value(SECONDARY_CAPTURE)),
            (0x0100, b"\x01\x80"),
            (0x0120, struct.pack("<H", 1)),
            (0x0800, b"\x01\x01"),
            (0x0900, struct.pack("<H", status)),
            (0x0902, b"said by peer"),
        )
        connection.send(pdu(4, fragment(1, 3, response)))
        connection.receive()
        connection.send(pdu(6, bytes(4)))

    file = write_instance(tmp_path, 1)
    with ScriptedAcceptor(answer) as acceptor:
        (outcome,) = send_files(peer_at(acceptor.port), [file])
    assert (outcome.status, outcome.fault) == (status, fault)
    if status:
        assert f"0x{status:04X}, said by peer" in outcome.reason


@pytest.mark.parametrize(
    ("rejection", "fault", "says"),
    [
        ((1, 1, 3), PermanentFault, "check that it knows 'SENDER'"),
        ((1, 1, 7), PermanentFault, "answers to 'HEMIFACE'"),
        ((2, 3, 2), TransientFault, "it may accept one later"),
        ((2, 3, 1), TransientFault, "it may accept one later"),
    ],
)
def test_a_rejected_association_says_whether_to_try_again(
    rejection: tuple[int, ...], fault: type[Exception], says: str
) -> None:
    def reject(connection: Connection) -> None:
        connection.receive()
        connection.send(pdu(A_ASSOCIATE_RJ, bytes((0, *rejection))))
        # The requestor closes the connection (PS3.8, state 13), not who has rejected.
        connection.ended()

    with ScriptedAcceptor(reject) as acceptor, pytest.raises(fault, match=says):
        echo(peer_at(acceptor.port))


def test_a_peer_that_is_not_there_is_a_transient_fault(free_port: int) -> None:
    with pytest.raises(TransientFault, match="cannot be reached: Connection refused"):
        echo(peer_at(free_port))


def test_a_name_that_does_not_resolve_is_a_transient_fault() -> None:
    with pytest.raises(TransientFault, match="cannot be reached"):
        echo(Peer("archive", "ARCHIVE", "no-such-host.invalid", 104, "SENDER"))


def test_a_peer_that_does_not_answer_the_association_request_is_a_transient_fault() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(TransientFault, match="did not answer"):
            echo(peer_at(port, acse_timeout_seconds=0.3))


def test_a_peer_that_aborts_between_two_files_leaves_the_rest_to_be_sent_again(
    tmp_path: Path,
) -> None:
    def abort(connection: Connection) -> None:
        connection.receive()
        connection.send(associate_ac(ExplicitVRLittleEndian))
        connection.receive()
        connection.send(pdu(A_ABORT, bytes(4)))

    files = [write_instance(tmp_path, number) for number in (1, 2)]
    with ScriptedAcceptor(abort) as acceptor:
        outcomes = send_files(peer_at(acceptor.port), files)
    assert [each.fault for each in outcomes] == [Fault.TRANSIENT] * 2
    assert "ended the association" in outcomes[0].reason


def test_a_full_peer_is_a_transient_fault_with_its_comment(tmp_path: Path) -> None:
    file = write_instance(tmp_path, 1)
    with listening(tmp_path / "node") as node:
        node.room = lambda: False
        (outcome,) = send_files(peer_at(node.port), [file])
    assert outcome.status == StoreStatus.OUT_OF_RESOURCES
    assert outcome.fault is Fault.TRANSIENT
    assert "no room on the disk" in outcome.reason


def test_echo_returns_when_the_peer_answers(tmp_path: Path) -> None:
    with listening(tmp_path) as node:
        echo(peer_at(node.port))
        assert isinstance(node, Node)
