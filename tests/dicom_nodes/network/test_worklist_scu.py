"""The worklist query, and answers that no worklist should give."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import pytest
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset
from pynetdicom import AE, evt

from dicom_nodes.network import worklist_scu
from dicom_nodes.network.peer import ContextsRefused, Peer
from dicom_nodes.network.worklist_scu import (
    MODALITY_WORKLIST_FIND,
    WorklistQuery,
    find_scheduled,
)
from processing.measurement import PermanentFault, TransientFault
from tests.dicom_nodes.network.plain_server import plain_server

QUERY = WorklistQuery(date(2026, 11, 20), date(2026, 11, 22), ("XC",), ("STUDIO1",))
Answers = Callable[[Any], Iterator[tuple[int, Dataset | None]]]


@contextmanager
def worklist(answers: Answers, sop_class: str = MODALITY_WORKLIST_FIND) -> Iterator[Peer]:
    entity = AE("RIS")
    entity.add_supported_context(sop_class)
    with plain_server(entity, [(evt.EVT_C_FIND, answers)]) as port:
        yield Peer("ris", "RIS", "127.0.0.1", port, "HEMIFACE")


def item(**changed: str) -> Dataset:
    step = Dataset()
    step.ScheduledProcedureStepID = "S1"
    step.Modality = "XC"
    dataset = Dataset()
    dataset.PatientID = "P1"
    dataset.PatientName = "Doe^Jane"
    dataset.StudyInstanceUID = "1.2.3"
    dataset.ScheduledProcedureStepSequence = [step]
    with disable_value_validation():
        for keyword, value in changed.items():
            dataset.pop(keyword, None)
            setattr(dataset, keyword, value)
    return dataset


def test_the_identifier_asks_for_one_station_modality_and_range_of_days() -> None:
    asked: list[Dataset] = []

    def answers(event: Any) -> Iterator[tuple[int, Dataset | None]]:
        asked.append(event.identifier)
        yield 0xFF00, item()

    with worklist(answers) as peer:
        query = WorklistQuery(QUERY.first_day, QUERY.last_day, ("XC", "MR"), ("A", "B"))
        assert len(find_scheduled(peer, query).steps) == 1, "the same step, answered four times"
    steps = [each.ScheduledProcedureStepSequence[0] for each in asked]
    assert [(each.Modality, each.ScheduledStationAETitle) for each in steps] == [
        ("XC", "A"),
        ("XC", "B"),
        ("MR", "A"),
        ("MR", "B"),
    ]
    assert {each.ScheduledProcedureStepStartDate for each in steps} == {"20261120-20261122"}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"StudyInstanceUID": ""}, "Study Instance UID is missing"),
        ({"StudyInstanceUID": "no uid"}, "no valid UID"),
        ({"PatientID": ""}, "Patient ID is missing"),
        ({"PatientID": "P" * 70}, "PatientID has 70 characters"),
        ({"PatientID": "P" * 5000}, "PatientID is 5000 bytes long"),
    ],
)
def test_an_item_that_cannot_be_trusted_is_left_out_and_told(
    changed: dict[str, str], said: str
) -> None:
    def answers(_event: Any) -> Iterator[tuple[int, Dataset | None]]:
        yield 0xFF00, item(**changed)
        yield 0xFF00, item(StudyInstanceUID="1.2.4")

    with worklist(answers) as peer:
        answer = find_scheduled(peer, QUERY)
    assert [each.study_instance_uid for each in answer.steps] == ["1.2.4"]
    (reason,) = answer.rejected
    assert said in reason
    assert "P" * 10 not in reason, "no patient data in a reason that is logged"


def test_an_endless_answer_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worklist_scu, "MOST_ANSWERS", 20)

    def answers(event: Any) -> Iterator[tuple[int, Dataset | None]]:
        for number in range(100_000):
            if event.is_cancelled:
                return
            yield 0xFF00, item(StudyInstanceUID=f"1.2.3.{number}")

    with worklist(answers) as peer, pytest.raises(PermanentFault, match="more than 20"):
        find_scheduled(peer, QUERY)


@pytest.mark.parametrize(
    ("status", "fault"),
    [(0xA700, TransientFault), (0xA900, PermanentFault), (0xC001, PermanentFault)],
)
def test_a_failure_is_told_as_what_it_is(status: int, fault: type[Exception]) -> None:
    def answers(_event: Any) -> Iterator[tuple[int, Dataset | None]]:
        yield status, None

    with worklist(answers) as peer, pytest.raises(fault, match=f"0x{status:04X}"):
        find_scheduled(peer, QUERY)


def test_a_peer_without_a_worklist_says_so() -> None:
    def answers(_event: Any) -> Iterator[tuple[int, Dataset | None]]:
        yield 0x0000, None

    with (
        worklist(answers, sop_class="1.2.840.10008.1.1") as peer,
        pytest.raises(ContextsRefused),
    ):
        find_scheduled(peer, QUERY)
