"""Cure 10: an acceptor that asks its peer while a message is in hand."""

from __future__ import annotations

import struct
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pynetdicom.dimse_primitives import C_ECHO

from dicom_nodes.network.node_service import NodeService
from dicom_nodes.network.pynetdicom_cures.conversing_association import ConversingAssociation
from tests.dicom_nodes.network.listening import listening
from tests.dicom_nodes.network.scripted_peer import (
    A_RELEASE_RP,
    A_RELEASE_RQ,
    EXPLICIT,
    IMPLICIT,
    MR_IMAGE,
    P_DATA_TF,
    Connection,
    command_set,
    connect,
    data_set,
    echo_command,
    echo_response,
    elements_of,
    fragment,
    pdu,
    store_command,
)

# Any SOP class serves that is none of storage and verification.
PULL = "1.2.840.10008.5.1.4.34.6.1"
ECHO_REQUEST, ECHO_RESPONSE, STORE_RESPONSE = 0x0030, 0x8030, 0x8001


@dataclass
class Asking:
    """A service that answers a C-ECHO once the peer has answered one of the node's."""

    asked: list[int] = field(default_factory=list)
    cancelled: threading.Event = field(default_factory=threading.Event)

    @property
    def service(self) -> NodeService:
        return NodeService("asking", (PULL,), conversations={C_ECHO: self.converse})

    def converse(self, association: ConversingAssociation, context_id: int, request: Any) -> None:
        response = association.ask(_echo(association.new_message_id()), context_id)
        self.asked.append(response.Status)
        _answer(association, context_id, request)


def _echo(message_id: int) -> C_ECHO:
    echo = C_ECHO()
    echo.MessageID = message_id
    echo.AffectedSOPClassUID = PULL
    return echo


def _answer(association: ConversingAssociation, context_id: int, request: Any) -> None:
    answer = C_ECHO()
    answer.MessageIDBeingRespondedTo = request.MessageID
    answer.AffectedSOPClassUID = PULL
    answer.Status = 0
    association.dimse.send_msg(answer, context_id)


def command(content: bytes, context_id: int = 1) -> bytes:
    return pdu(P_DATA_TF, fragment(context_id, 3, content))


def received(peer: Connection) -> tuple[int, int]:
    """Command Field, and Message ID or that of what is responded to, of the next message."""
    kind, content = peer.receive()
    assert kind == P_DATA_TF, f"PDU type {kind}"
    elements = elements_of(content[6:])
    (field_,) = struct.unpack("<H", elements[0x0100])
    (message_id,) = struct.unpack("<H", elements.get(0x0110) or elements[0x0120])
    return field_, message_id


def test_the_peer_is_asked_and_answers_while_its_request_waits(tmp_path: Path) -> None:
    asking = Asking()
    with listening(tmp_path, [asking.service]) as node, connect(node.port) as peer:
        peer.associate((PULL, [IMPLICIT]))
        peer.send(command(echo_command(message_id=77)))
        assert received(peer) == (ECHO_REQUEST, 1)
        peer.send(command(echo_response(message_id=1)))
        assert received(peer) == (ECHO_RESPONSE, 77)
        assert peer.release() == A_RELEASE_RP
    assert asking.asked == [0]


def test_an_instance_that_arrives_meanwhile_is_stored_at_once(tmp_path: Path) -> None:
    asking = Asking()
    with listening(tmp_path, [asking.service]) as node, connect(node.port) as peer:
        peer.associate((PULL, [IMPLICIT]), (MR_IMAGE, [EXPLICIT]))
        peer.send(command(echo_command(message_id=77)))
        assert received(peer) == (ECHO_REQUEST, 1)
        peer.send(command(store_command(MR_IMAGE, "1.2.3.4", message_id=78), context_id=3))
        peer.send(pdu(P_DATA_TF, fragment(3, 2, data_set("1.2.3.4"))))
        assert received(peer) == (STORE_RESPONSE, 78)
        assert len(node.files()) == 1
        peer.send(command(echo_response(message_id=1)))
        assert received(peer) == (ECHO_RESPONSE, 77)


def test_a_request_that_arrives_meanwhile_is_served_afterwards(tmp_path: Path) -> None:
    asking = Asking()
    with listening(tmp_path, [asking.service]) as node, connect(node.port) as peer:
        peer.associate((PULL, [IMPLICIT]))
        peer.send(command(echo_command(message_id=77)))
        assert received(peer) == (ECHO_REQUEST, 1)
        peer.send(command(echo_command(message_id=78)) + command(echo_response(message_id=1)))
        assert received(peer) == (ECHO_RESPONSE, 77)
        assert received(peer) == (ECHO_REQUEST, 2)
        peer.send(command(echo_response(message_id=2)))
        assert received(peer) == (ECHO_RESPONSE, 78)


def test_too_many_requests_before_a_response_end_the_association(tmp_path: Path) -> None:
    asking = Asking()
    with listening(tmp_path, [asking.service]) as node, connect(node.port) as peer:
        peer.associate((PULL, [IMPLICIT]))
        peer.send(command(echo_command(message_id=77)))
        assert received(peer) == (ECHO_REQUEST, 1)
        for number in range(9):
            peer.send(command(echo_command(message_id=100 + number)))
        assert peer.ended()


def test_a_peer_that_leaves_without_an_answer_leaves_nothing_behind(tmp_path: Path) -> None:
    asking = Asking()
    with listening(tmp_path, [asking.service]) as node:
        for goodbye in (pdu(7, bytes(4)), pdu(A_RELEASE_RQ, bytes(4)), b""):
            with connect(node.port) as peer:
                peer.associate((PULL, [IMPLICIT]))
                peer.send(command(echo_command()))
                assert received(peer) == (ECHO_REQUEST, 1)
                peer.send(goodbye)
        assert node.listener is not None
        node.listener.stop(grace_seconds=5)
        assert node.listener.associations == 0
    assert asking.asked == []


def test_what_follows_up_is_asked_after_the_answer(tmp_path: Path) -> None:
    def converse(association: ConversingAssociation, context_id: int, request: Any) -> None:
        association.follow_up(
            lambda: association.ask(_echo(association.new_message_id()), context_id)
        )
        _answer(association, context_id, request)

    service = NodeService("asking", (PULL,), conversations={C_ECHO: converse})
    with listening(tmp_path, [service]) as node, connect(node.port) as peer:
        peer.associate((PULL, [IMPLICIT]))
        peer.send(command(echo_command(message_id=77)))
        assert received(peer) == (ECHO_RESPONSE, 77)
        assert received(peer) == (ECHO_REQUEST, 1)
        peer.send(command(echo_response(message_id=1)))
        assert peer.release() == A_RELEASE_RP


def test_a_cancel_is_noticed_while_a_request_is_answered(tmp_path: Path) -> None:
    looked = threading.Event()
    before: list[bool] = []

    def converse(association: ConversingAssociation, context_id: int, request: Any) -> None:
        before.append(association.is_cancelled(request.MessageID))
        looked.set()
        while not association.is_cancelled(request.MessageID):
            threading.Event().wait(0.01)
        _answer(association, context_id, request)

    cancel = command_set(
        (0x0100, b"\xff\x0f"), (0x0120, struct.pack("<H", 77)), (0x0800, b"\x01\x01")
    )
    service = NodeService("asking", (PULL,), conversations={C_ECHO: converse})
    with listening(tmp_path, [service]) as node, connect(node.port) as peer:
        peer.associate((PULL, [IMPLICIT]))
        peer.send(command(cancel))  # of nothing: ignored
        peer.send(command(echo_command(message_id=77)))
        assert looked.wait(5)
        peer.send(command(cancel))
        assert received(peer) == (ECHO_RESPONSE, 77)
        assert peer.release() == A_RELEASE_RP
    assert before == [False]
