"""2,000 mutated PDUs and objects at a live node: nothing acknowledged is lost, nothing is stuck.

Receiver, cataloguer, worker and its measuring child, and console run as they do for
an administrator. More mutations, and hypothesis, run in one process
(`tests/service/test_mutated_objects.py`).
"""

from __future__ import annotations

import random
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.dicom_nodes.network.scripted_peer import (
    A_ASSOCIATE_AC,
    EXPLICIT,
    IMPLICIT,
    MR_IMAGE,
    P_DATA_TF,
    VERIFICATION,
    Connection,
    associate_rq,
    connect,
    data_set,
    echo_command,
    elements_of,
    fragment,
    pdu,
    store_command,
)
from tests.durability.node import Node, wait_until
from tests.durability.studies import renewed, write_phantom
from tests.mutations import CORPUS, data_set_of, mutated, part_10

SEED = 20261121
STREAMS = 1540
OBJECTS_OF_EACH_KIND = 78
MUTATIONS = STREAMS + OBJECTS_OF_EACH_KIND * len(CORPUS)
PARTS = ("receiver-0", "cataloguer-0", "worker-0", "console-0")
IN_WORK = {"receiving", "waiting", "measuring", "delivering"}
LONGEST_ECHO_SECONDS = 1.0
C_STORE_RSP = b"\x01\x80"
CONTEXTS = [(VERIFICATION, [IMPLICIT]), (MR_IMAGE, [EXPLICIT])]
REQUEST = associate_rq(CONTEXTS)
MESSAGES = (
    pdu(P_DATA_TF, fragment(1, 3, echo_command())),
    pdu(P_DATA_TF, fragment(3, 3, store_command(MR_IMAGE, "1.2.3")))
    + pdu(P_DATA_TF, fragment(3, 2, data_set("1.2.3", size=300))),
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(480)]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    settings = {
        "HEMIFACE_DICOM__MAXIMUM_CONNECTIONS_PER_SECOND": "0",
        "HEMIFACE_DICOM__NETWORK_TIMEOUT_SECONDS": "5",
        "HEMIFACE_COMPLETION__QUIET_SECONDS": "1",
    }
    running = Node.delivering_to(tmp_path_factory.mktemp("node"), None, settings)
    running.start()
    running.wait_until_listening()
    yield running
    running.kill()


@pytest.fixture(scope="module")
def parts(node: Node) -> dict[str, int]:
    """The processes as they were at the start."""
    return {name: node.process_of(name).pid for name in PARTS}


def stored_in(answers: bytes) -> set[str]:
    """SOP Instance UIDs of the C-STORE responses with success among the PDUs of a node."""
    found = set()
    while len(answers) >= 6:
        end = 6 + int.from_bytes(answers[2:6], "big")
        if answers[0] == P_DATA_TF:
            response = elements_of(answers[12:end])
            if response[0x0100] == C_STORE_RSP and response[0x0900] == b"\0\0":
                found.add(response[0x1000].rstrip(b"\0").decode())
        answers = answers[end:]
    return found


def answers_to(peer: Connection, stream: bytes) -> bytes:
    """What the node says to a stream, after which nothing more comes."""
    answers = b""
    try:
        peer.send(stream)
        peer.socket.shutdown(socket.SHUT_WR)
        while received := peer.socket.recv(4096):
            answers += received
    except ConnectionError:  # it broke off what is no PDU
        pass
    return answers


@pytest.fixture(scope="module")
def stored_by_streams(node: Node, parts: dict[str, int]) -> set[str]:
    """Send mutated streams of PDUs; what was acknowledged on the way."""
    choice = random.Random(SEED)
    stored: set[str] = set()
    for number in range(STREAMS):
        with connect(node.dicom_port, timeout=20) as peer:
            if number % 3 == 0:
                answers_to(peer, mutated(REQUEST, choice))
                continue
            peer.send(REQUEST)
            assert peer.receive()[0] == A_ASSOCIATE_AC
            stored |= stored_in(answers_to(peer, mutated(MESSAGES[number % 2] * 2, choice)))
    return stored


@pytest.fixture(scope="module")
def acknowledged(node: Node, stored_by_streams: set[str]) -> dict[str, bytes]:
    """Send mutated objects, each of a study of its own; those acknowledged, by UID."""
    choice = random.Random(SEED)
    kept: dict[str, bytes] = {}
    for make in CORPUS.values():
        sop_class = str(make().SOPClassUID)
        with connect(node.dicom_port, timeout=60) as peer:
            assert peer.associate((sop_class, [EXPLICIT]))[0] == A_ASSOCIATE_AC
            for _ in range(OBJECTS_OF_EACH_KIND):
                dataset = make()
                uid = str(dataset.SOPInstanceUID)
                # What tells whose it is stays in half of them, so that these go further.
                spare = choice.choice((0, 400))
                content = mutated(data_set_of(part_10(dataset)), choice, spare=spare)
                if content and peer.store(sop_class, uid, content) == 0x0000:
                    kept[uid] = content
            peer.release()
    return kept


def rows(node: Node, query: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(node.data_folder / "catalogue.sqlite") as catalogue:
        return catalogue.execute(query).fetchall()


def test_no_process_has_ended_and_an_echo_is_prompt(
    node: Node, parts: dict[str, int], acknowledged: dict[str, bytes]
) -> None:
    assert MUTATIONS >= 2000
    assert {name: node.process_of(name).pid for name in PARTS} == parts
    assert node.echo_seconds() < LONGEST_ECHO_SECONDS


def test_what_was_acknowledged_is_there_byte_for_byte(
    node: Node, stored_by_streams: set[str], acknowledged: dict[str, bytes]
) -> None:
    # Most mutations leave an object that can be kept, whatever may be read of it.
    assert len(acknowledged) > 3 * OBJECTS_OF_EACH_KIND
    assert stored_by_streams
    found = {
        uid: (node.data_folder / key).read_bytes()[offset:]
        for uid, key, offset in rows(
            node, "SELECT sop_instance_uid, key, dataset_offset FROM instances WHERE own = 0"
        )
    }
    assert {uid: found.get(uid) for uid in acknowledged} == acknowledged
    assert stored_by_streams <= found.keys()


def test_each_study_has_a_result_or_a_reason(node: Node, acknowledged: dict[str, bytes]) -> None:
    wait_until(
        lambda: not rows(node, "SELECT 1 FROM instances WHERE catalogued_at IS NULL"),
        120,
        "all headers are read",
    )
    # No study: then the instance itself says why it cannot be used.
    assert not rows(node, "SELECT 1 FROM instances WHERE study_row IS NULL AND reason IS NULL")
    count = rows(node, "SELECT count(*) FROM studies")[0][0]
    studies: list[dict[str, Any]] = []

    def settled() -> bool:
        answer = httpx.get(f"{node.url}/api/studies?limit=500", trust_env=False, timeout=60)
        studies[:] = answer.raise_for_status().json()["studies"]
        return not any(each["state"] in IN_WORK for each in studies)

    wait_until(settled, 300, "every study is settled")
    assert len(studies) == count
    assert {
        result["status"]
        for each in studies
        for result in each["results"]
        if result["status"] != "measured" and not result["reason"]
    } == set()
    # No step has failed: what cannot be read is no fault of the step that reads it.
    assert [each["explanation"] for each in studies if each["state"] == "parked"] == []


def test_the_node_measures_a_good_study_after_all_that(
    node: Node, parts: dict[str, int], acknowledged: dict[str, bytes], tmp_path: Path
) -> None:
    assert {name: node.process_of(name).pid for name in PARTS} == parts
    study = renewed(write_phantom(tmp_path / "phantom"), tmp_path / "study")
    node.send_until_acknowledged(study.files)

    def measured() -> bool:
        found = node.state(study.study_instance_uid)["results"]
        return len(found) == 2 and all(each["status"] == "measured" for each in found)

    wait_until(measured, 120, "a good study is measured")
    assert node.echo_seconds() < LONGEST_ECHO_SECONDS
