"""C-FIND as SCP, asked by pynetdicom and by a scripted peer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.association import Association

from dicom_nodes.network.node_service import NodeService
from dicom_nodes.network.query import Answer, Level, Question
from dicom_nodes.network.query_scp import QueryOptions, query_service
from processing.measurement import RejectedInput, TransientFault
from tests.dicom_nodes.network import scripted_peer as peer
from tests.dicom_nodes.network.listening import Node, listening

PATIENT_ROOT = "1.2.840.10008.5.1.4.1.2.1.1"
STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.2.1"
KEYS = frozenset({"PatientName", "PatientID", "StudyInstanceUID", "ModalitiesInStudy"})


def finding(find: Callable[[Question], Iterator[Answer]], most: int = 100) -> NodeService:
    return query_service(QueryOptions(find, lambda _: KEYS, "HEMIFACE", most))


def many(number: int) -> Callable[[Question], Iterator[Answer]]:
    def find(question: Question) -> Iterator[Answer]:
        for index in range(number):
            yield {"StudyInstanceUID": f"1.2.{index}"}

    return find


@contextmanager
def associated(node: Node, model: str = STUDY_ROOT) -> Iterator[Association]:
    entity = AE("VIEWER")
    entity.add_requested_context(model)
    association = entity.associate("127.0.0.1", node.port)
    assert association.is_established
    yield association
    association.release()


def keys(level: str | None = "STUDY", **values: Any) -> Dataset:
    identifier = Dataset()
    if level is not None:
        identifier.QueryRetrieveLevel = level
    for keyword, value in values.items():
        setattr(identifier, keyword, value)
    return identifier


def ask(
    node: Node, identifier: Dataset, model: str = STUDY_ROOT
) -> tuple[list[tuple[int, Dataset | None]], Dataset]:
    """The pending answers with their statuses, and the final response."""
    with associated(node, model) as association:
        *pending, (final, _) = association.send_c_find(identifier, model)
    return [(status.Status, answer) for status, answer in pending], final


def test_answers_are_given_in_utf_8_with_where_to_retrieve_from(tmp_path: Path) -> None:
    questions: list[Question] = []

    def find(question: Question) -> Iterator[Answer]:
        questions.append(question)
        yield {
            "StudyInstanceUID": "1.2.3",
            "PatientName": "Wang^XiaoDong=王^小东",
            "ModalitiesInStudy": ("SR", "XC"),
        }

    with listening(tmp_path, [finding(find)]) as node:
        identifier = keys(SpecificCharacterSet="GB18030", PatientName="王*", ModalitiesInStudy="")
        ((status, answer),), final = ask(node, identifier)
    assert questions == [Question(Level.STUDY, {"PatientName": "王*", "ModalitiesInStudy": ""})]
    assert status == 0xFF00
    assert final.Status == 0x0000
    assert answer is not None
    assert answer.SpecificCharacterSet == "ISO_IR 192"
    assert str(answer.PatientName) == "Wang^XiaoDong=王^小东"
    assert list(answer.ModalitiesInStudy) == ["SR", "XC"]
    assert answer.RetrieveAETitle == "HEMIFACE"
    assert answer.InstanceAvailability == "ONLINE"
    assert answer.QueryRetrieveLevel == "STUDY"


def test_utf_8_without_a_character_set_is_understood(tmp_path: Path) -> None:
    questions: list[Question] = []

    def find(question: Question) -> Iterator[Answer]:
        questions.append(question)
        yield from ()

    identifier = keys()
    identifier.add_new("PatientName", "PN", "王^小东".encode())
    with listening(tmp_path, [finding(find)]) as node:
        ask(node, identifier)
    assert questions[0].keys == {"PatientName": "王^小东"}


def test_keys_that_are_not_supported_are_told_with_each_answer(tmp_path: Path) -> None:
    with listening(tmp_path, [finding(many(2))]) as node:
        pending, final = ask(node, keys(PatientID="", InstitutionName="x"))
    assert [status for status, _ in pending] == [0xFF01, 0xFF01]
    assert final.Status == 0x0000


@pytest.mark.parametrize(
    ("model", "identifier", "status", "words"),
    [
        (STUDY_ROOT, keys(None, PatientID="1"), 0xA900, "(0008,0052) is missing"),
        (STUDY_ROOT, keys("PATIENT", PatientID="1"), 0xA900, "Study Root"),
        (STUDY_ROOT, keys("WARD"), 0xA900, "Study Root"),
        (STUDY_ROOT, keys("SERIES", Modality="SR"), 0xA900, "StudyInstanceUID"),
        (
            STUDY_ROOT,
            keys("IMAGE", StudyInstanceUID="1.2", SeriesInstanceUID=["1.3", "1.4"]),
            0xA900,
            "SeriesInstanceUID",
        ),
        (PATIENT_ROOT, keys("STUDY", StudyInstanceUID="1.2"), 0xA900, "PatientID"),
        (PATIENT_ROOT, keys("STUDY", PatientID="1*"), 0xA900, "PatientID"),
        (
            STUDY_ROOT,
            keys(SpecificCharacterSet="ISO_IR 192", PatientName=b"\xff\xfe"),
            0xC000,
            "Specific Character Set",
        ),
    ],
)
def test_an_unusable_identifier_is_refused_with_the_reason(
    tmp_path: Path, model: str, identifier: Dataset, status: int, words: str
) -> None:
    if "PatientName" in identifier:
        identifier["PatientName"].value  # noqa: B018 - a bare look decodes it
    with listening(tmp_path, [finding(many(1))]) as node:
        pending, final = ask(node, identifier, model)
    assert pending == []
    assert final.Status == status
    assert words in final.ErrorComment


@pytest.mark.parametrize(
    ("fault", "status"),
    [(RejectedInput("the value of StudyDate"), 0xA900), (TransientFault("away"), 0xA700)],
)
def test_a_fault_of_the_search_is_answered(tmp_path: Path, fault: Exception, status: int) -> None:
    def find(question: Question) -> Iterator[Answer]:
        raise fault
        yield {}

    with listening(tmp_path, [finding(find)]) as node:
        _, final = ask(node, keys())
    assert final.Status == status


def test_no_more_answers_are_given_than_the_settings_allow(tmp_path: Path) -> None:
    with listening(tmp_path, [finding(many(11), most=10)]) as node:
        pending, final = ask(node, keys())
    assert len(pending) == 10
    assert final.Status == 0xA700
    assert "ask for less" in final.ErrorComment


def test_a_cancel_ends_the_answers(tmp_path: Path) -> None:
    go_on = threading.Event()

    def find(question: Question) -> Iterator[Answer]:
        yield {"StudyInstanceUID": "1.2.1"}
        assert go_on.wait(5)
        for index in range(10_000):
            yield {"StudyInstanceUID": f"1.2.{index}"}

    with (
        listening(tmp_path, [finding(find, most=100_000)]) as node,
        associated(node) as association,
    ):
        responses = association.send_c_find(keys(), STUDY_ROOT, msg_id=5)
        next(responses)
        association.send_c_cancel(5, None, STUDY_ROOT)
        go_on.set()
        *pending, (final, _) = responses
    assert final.Status == 0xFE00
    assert len(pending) < 10_000


def test_a_viewer_that_goes_away_ends_the_search(tmp_path: Path) -> None:
    ended = threading.Event()

    def find(question: Question) -> Iterator[Answer]:
        try:
            yield from many(1_000_000)(question)
        finally:
            ended.set()

    with listening(tmp_path, [finding(find, most=2_000_000)]) as node:
        entity = AE("VIEWER")
        entity.add_requested_context(STUDY_ROOT)
        association = entity.associate("127.0.0.1", node.port)
        next(association.send_c_find(keys(), STUDY_ROOT))
        association.abort()
        assert ended.wait(5)


def test_identifiers_of_any_bytes_are_answered_or_end_their_association_alone(
    tmp_path: Path,
) -> None:
    nested = bytes.fromhex("0800 1611 ffffffff feff00e0 ffffffff".replace(" ", "")) * 20_000
    with listening(tmp_path, [finding(many(1))]) as node:
        for encoded in (b"", b"\x08\x00", b"\xff" * 500, nested):
            assert _status_of(node, encoded) in (0xA900, 0xC000)
        pending, final = ask(node, keys())
    assert (len(pending), final.Status) == (1, 0x0000)


def _status_of(node: Node, encoded: bytes) -> int:
    """Final status for an identifier in Implicit VR Little Endian."""
    request = peer.command_set(
        (0x0002, peer.uid_value(STUDY_ROOT)),
        (0x0100, b"\x20\x00"),
        (0x0110, b"\x01\x00"),
        (0x0700, b"\0\0"),
        (0x0800, b"\x01\x00"),
    )
    with peer.connect(node.port) as connection:
        connection.associate((STUDY_ROOT, [peer.IMPLICIT]))
        connection.send(peer.pdu(peer.P_DATA_TF, peer.fragment(1, 3, request)))
        for start in range(0, max(len(encoded), 1), 8000):
            last = 2 if start + 8000 >= len(encoded) else 0
            part = encoded[start : start + 8000]
            connection.send(peer.pdu(peer.P_DATA_TF, peer.fragment(1, last, part)))
        return connection.store_status()
