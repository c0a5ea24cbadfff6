"""Cures 3, 9 and 13: the race of `send_*`, a peer that stops in the middle or rejects fast."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import AE
from pynetdicom.association import Association

from dicom_nodes.network.part10_header import encode_header
from dicom_nodes.network.peer import Peer
from dicom_nodes.network.pynetdicom_cures.requesting_entity import (
    RequestingEntity,
    RequestingSocket,
    SafeCheckpoint,
    answer_to_request,
)
from dicom_nodes.network.storage_scu import Fault, send_files
from tests.dicom_nodes.network.scripted_peer import (
    A_ASSOCIATE_RJ,
    A_RELEASE_RP,
    A_RELEASE_RQ,
    EXPLICIT,
    MR_IMAGE,
    P_DATA_TF,
    VERIFICATION,
    Connection,
    ScriptedAcceptor,
    associate_ac,
    data_set,
    echo_response,
    elements_of,
    fragment,
    pdu,
)


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


class _LateToWake(threading.Event):
    """Lets who waits for the connection wake when the answer has come and closed it."""

    def __init__(self, association: Association) -> None:
        super().__init__()
        self._association = association

    def wait(self, timeout: float | None = None) -> bool:
        was_set = super().wait(timeout)
        self._association.dul.join(5)
        return was_set


class _EntityThatWakesLate(RequestingEntity):
    def _create_socket(self, assoc: Association, address: Any, tls_args: Any) -> RequestingSocket:
        requesting = super()._create_socket(assoc, address, tls_args)
        requesting._ready = _LateToWake(assoc)
        return requesting


def test_a_rejection_that_came_before_the_requestor_woke_is_read() -> None:
    def reject(connection: Connection) -> None:
        connection.receive()
        connection.send(pdu(A_ASSOCIATE_RJ, bytes((0, 1, 1, 7))))
        connection.ended()

    entity = _EntityThatWakesLate("SCU")
    entity.add_requested_context(VERIFICATION)
    with ScriptedAcceptor(reject) as acceptor:
        association = entity.associate("127.0.0.1", acceptor.port)
    assert not association.is_rejected, "pynetdicom takes it for a connection that failed"
    answer = answer_to_request(association)
    assert answer is not None
    assert (answer.result, answer.result_source, answer.diagnostic) == (1, 1, 7)


def _part10(uid: str) -> bytes:
    return encode_header(MR_IMAGE, uid, EXPLICIT, "TEST") + data_set(uid)


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
