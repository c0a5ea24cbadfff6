"""Modality Performed Procedure Steps as they come over the network."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset
from pynetdicom import AE

from dicom_nodes.network.mpps_scp import (
    MODALITY_PERFORMED_PROCEDURE_STEP,
    PerformedStep,
    StepState,
    performed_step_service,
)
from dicom_nodes.network.storage_scp import start_listening
from processing.measurement import TransientFault
from tests.dicom_nodes.network.listening import Node

STEP = "1.2.3.4"
STUDY = "1.2.3"


@dataclass
class Kept:
    """Steps in memory."""

    steps: dict[str, PerformedStep] = field(default_factory=dict)
    away: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def create(self, step: PerformedStep, calling_ae_title: str) -> bool:
        if self.away:
            raise TransientFault("the catalogue does not answer; try again")
        with self.lock:
            if step.sop_instance_uid in self.steps:
                return False
            self.steps[step.sop_instance_uid] = step
        return True

    def change(self, uid: str, change: Callable[[PerformedStep], PerformedStep]) -> bool:
        with self.lock:
            if uid not in self.steps:
                return False
            self.steps[uid] = change(self.steps[uid])
        return True


@dataclass
class Modality:
    """A modality with an association to the node."""

    association: object
    kept: Kept

    def create(self, attributes: Dataset, uid: str = STEP) -> Dataset:
        status, _ = self.association.send_n_create(
            attributes, MODALITY_PERFORMED_PROCEDURE_STEP, uid
        )
        return status

    def set(self, changes: Dataset, uid: str = STEP) -> Dataset:
        status, _ = self.association.send_n_set(changes, MODALITY_PERFORMED_PROCEDURE_STEP, uid)
        return status


@contextmanager
def connected(folder: Path, kept: Kept) -> Iterator[Modality]:
    node = Node(folder)
    listener = start_listening(
        node.options(),
        node.accept,
        place=node.place,
        room=node.room,
        services=[performed_step_service(kept)],
    )
    entity = AE("STUDIO1")
    entity.add_requested_context(MODALITY_PERFORMED_PROCEDURE_STEP)
    association = entity.associate("127.0.0.1", listener.port, ae_title="HEMIFACE")
    assert association.is_established
    try:
        yield Modality(association, kept)
    finally:
        association.release()
        listener.stop(grace_seconds=0.2)


@pytest.fixture
def modality(tmp_path: Path) -> Iterator[Modality]:
    with connected(tmp_path, Kept()) as opened:
        yield opened


def begun(**changed: Any) -> Dataset:
    scheduled = Dataset()
    scheduled.StudyInstanceUID = STUDY
    scheduled.AccessionNumber = "A1"
    step = Dataset()
    step.SpecificCharacterSet = "GB18030"
    step.ScheduledStepAttributesSequence = [scheduled]
    step.PatientName = "Wang^XiaoDong=王^小东"
    step.PatientID = "P1"
    step.PerformedProcedureStepID = "S1"
    step.PerformedStationAETitle = "STUDIO1"
    step.PerformedProcedureStepStartDate = "20261121"
    step.PerformedProcedureStepStartTime = "081500.25"
    step.PerformedProcedureStepStatus = "IN PROGRESS"
    step.Modality = "XC"
    step.PerformedSeriesSequence = []
    with disable_value_validation():
        for keyword, value in changed.items():
            step.pop(keyword, None)
            setattr(step, keyword, value)
    return step


def ended(state: str, *instances: str) -> Dataset:
    images = []
    for uid in instances:
        image = Dataset()
        image.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.77.1.4"
        with disable_value_validation():
            image.ReferencedSOPInstanceUID = uid
        images.append(image)
    series = Dataset()
    series.SeriesInstanceUID = "1.2.9"
    series.ReferencedImageSequence = images[:-1]
    series.ReferencedNonImageCompositeSOPInstanceSequence = images[-1:]
    changes = Dataset()
    changes.PerformedProcedureStepStatus = state
    changes.PerformedProcedureStepEndDate = "20261121"
    changes.PerformedProcedureStepEndTime = "082000"
    changes.PerformedSeriesSequence = [series]
    return changes


def test_a_step_is_kept_as_it_began_and_as_it_ended(modality: Modality) -> None:
    assert modality.create(begun()).Status == 0x0000
    assert modality.kept.steps[STEP] == PerformedStep(
        sop_instance_uid=STEP,
        state=StepState.IN_PROGRESS,
        study_instance_uids=(STUDY,),
        accession_number="A1",
        patient_id="P1",
        patient_name="Wang^XiaoDong=王^小东",
        modality="XC",
        station_ae_title="STUDIO1",
        began="20261121081500",
    )
    began = modality.kept.steps[STEP]
    assert modality.set(ended("COMPLETED", "1.5", "1.6")).Status == 0x0000
    assert modality.kept.steps[STEP] == replace(
        began, state=StepState.COMPLETED, ended="20261121082000", instances=("1.5", "1.6")
    )


def test_a_discontinued_step_says_why(modality: Modality) -> None:
    modality.create(begun())
    changes = ended("DISCONTINUED", "1.5")
    reason = Dataset()
    reason.CodeValue = "110514"
    reason.CodingSchemeDesignator = "DCM"
    reason.CodeMeaning = "Incorrect worklist entry selected"
    changes.PerformedProcedureStepDiscontinuationReasonCodeSequence = [reason]
    assert modality.set(changes).Status == 0x0000
    step = modality.kept.steps[STEP]
    assert (step.state, step.reason) == (
        StepState.DISCONTINUED,
        "Incorrect worklist entry selected",
    )


@pytest.mark.parametrize("state", ["COMPLETED", "DISCONTINUED"])
def test_an_ended_step_never_changes_again(modality: Modality, state: str) -> None:
    modality.create(begun())
    modality.set(ended(state, "1.5"))
    before = modality.kept.steps[STEP]
    answer = modality.set(ended("IN PROGRESS", "1.5", "1.6"))
    assert (answer.Status, answer.ErrorID) == (0x0110, 0xA501)
    assert "may no longer be updated" in answer.ErrorComment
    assert modality.kept.steps[STEP] == before


def test_a_second_step_of_the_same_uid_is_a_duplicate(modality: Modality) -> None:
    modality.create(begun())
    assert modality.create(begun(PatientID="P2")).Status == 0x0111
    assert modality.kept.steps[STEP].patient_id == "P1"


def test_a_step_that_nobody_created_is_unknown(modality: Modality) -> None:
    assert modality.set(ended("COMPLETED"), "1.2.9.9").Status == 0x0112


@pytest.mark.parametrize(
    ("attributes", "status"),
    [
        (begun(PerformedProcedureStepStatus="COMPLETED"), 0x0106),
        (begun(PerformedProcedureStepStatus="SCHEDULED"), 0x0106),
        (begun(ScheduledStepAttributesSequence=[]), 0x0120),
        (begun(ScheduledStepAttributesSequence=[Dataset()]), 0x0121),
        (begun(PatientID="P" * 70), 0x0106),
    ],
)
def test_a_step_that_cannot_be_used_is_refused_with_words(
    modality: Modality, attributes: Dataset, status: int
) -> None:
    answer = modality.create(attributes)
    assert answer.Status == status
    assert answer.ErrorComment
    assert not modality.kept.steps


def test_a_state_that_there_is_not_changes_nothing(modality: Modality) -> None:
    modality.create(begun())
    assert modality.set(ended("FINISHED", "1.5")).Status == 0x0106
    assert modality.set(ended("COMPLETED", "1.5", "no uid")).Status == 0x0106
    assert modality.kept.steps[STEP].state is StepState.IN_PROGRESS
    assert modality.set(ended("IN PROGRESS", "1.5")).Status == 0x0000
    assert modality.kept.steps[STEP].instances == ("1.5",)


def test_while_the_catalogue_is_away_a_step_is_not_taken(tmp_path: Path) -> None:
    with connected(tmp_path, Kept(away=True)) as modality:
        answer = modality.create(begun())
    assert answer.Status == 0x0213
    assert "try again" in answer.ErrorComment
