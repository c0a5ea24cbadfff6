from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from dicom_nodes.network.procedure_step_scu import DimseStepSource
from dicom_nodes.network.procedure_step_source import (
    ProcedureStepSource,
    StepConflict,
    StepTaken,
    claim,
    finish,
)
from dicom_nodes.objects.procedure_step import (
    InstanceReference,
    PatientOfStep,
    StepState,
    canceled,
    performed,
    progress,
    review_step,
    state_change,
)
from dicom_nodes.web.procedure_step_client import WebStepSource
from processing.measurement import PermanentFault, TransientFault
from tests.dicom_nodes.network.step_manager import StepManager, serving_dimse, serving_web

UID, MINE, OTHERS = "1.2.3.1", "1.2.3.100", "1.2.3.200"
INPUT = InstanceReference("1.2", "1.2.1", "1.2.840.10008.5.1.4.1.1.77.1.4", "1.2.1.1")
OUTPUT = InstanceReference("1.2", "1.2.9", "1.2.840.10008.5.1.4.1.1.88.34", "1.2.9.1")
PATIENT = PatientOfStep("P1", "HOSPITAL", "Wang^XiaoDong=王^小东", "19850203", "M", "A1")
NOW = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)


@pytest.fixture
def steps() -> StepManager:
    return StepManager()


@pytest.fixture(params=["UPS-RS", "DIMSE"])
def source(request: pytest.FixtureRequest, steps: StepManager) -> Iterator[ProcedureStepSource]:
    if request.param == "UPS-RS":
        with serving_web(steps) as url:
            yield WebStepSource("manager", url)
    else:
        with serving_dimse(steps) as peer:
            yield DimseStepSource(peer)


def create(source: ProcedureStepSource, uid: str = UID, worklist_label: str = "HEMIFACE") -> None:
    step = review_step(
        uid,
        PATIENT,
        [INPUT],
        label="Measure the face",
        worklist_label=worklist_label,
        retrieve_ae_title="PACS",
        scheduled_at=NOW,
    )
    source.create(uid, step)


def test_a_step_is_read_as_it_was_made(source: ProcedureStepSource) -> None:
    create(source)
    step = source.get(UID)
    assert (step.state, step.label, step.inputs) == (
        StepState.SCHEDULED,
        "Measure the face",
        (INPUT,),
    )
    assert (step.patient_id, step.workitem) == ("P1", "110007")


def test_creating_it_again_changes_nothing(source: ProcedureStepSource) -> None:
    create(source)
    create(source)
    assert source.scheduled(None) == [UID]


def test_only_steps_of_the_worklist_that_wait_are_found(source: ProcedureStepSource) -> None:
    create(source)
    create(source, "1.2.3.2", "OTHER")
    create(source, "1.2.3.3")
    claim(source, "1.2.3.3", OTHERS)
    assert source.scheduled("HEMIFACE") == [UID]


def test_the_way_of_a_step_from_claim_to_outputs(
    source: ProcedureStepSource, steps: StepManager
) -> None:
    create(source)
    claim(source, UID, MINE)
    assert steps.transactions[UID] == MINE
    source.update(UID, MINE, progress("measuring", 50))
    finish(source, UID, MINE, StepState.COMPLETED, performed(NOW, NOW, "HEMIFACE", [OUTPUT]))
    assert steps.state(UID) == "COMPLETED"
    (done,) = steps.steps[UID].UnifiedProcedureStepPerformedProcedureSequence
    (series,) = done.OutputInformationSequence
    assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == OUTPUT.sop_instance_uid


def test_claiming_again_with_the_same_transaction_goes_on(source: ProcedureStepSource) -> None:
    create(source)
    claim(source, UID, MINE)
    claim(source, UID, MINE)
    assert source.get(UID).state is StepState.IN_PROGRESS


def test_what_somebody_else_has_claimed_is_left_to_him(source: ProcedureStepSource) -> None:
    create(source)
    claim(source, UID, OTHERS)
    with pytest.raises(StepTaken, match="somebody else"):
        claim(source, UID, MINE)
    with pytest.raises(StepConflict):
        source.update(UID, MINE, progress("measuring", 50))


def test_finishing_again_is_done_already(source: ProcedureStepSource, steps: StepManager) -> None:
    create(source)
    claim(source, UID, MINE)
    for _ in range(2):
        finish(source, UID, MINE, StepState.CANCELED, canceled("nothing to measure", NOW))
    assert steps.state(UID) == "CANCELED"
    with pytest.raises(StepTaken, match="CANCELED"):
        claim(source, UID, MINE)


def test_a_step_is_not_completed_without_what_was_performed(source: ProcedureStepSource) -> None:
    create(source)
    claim(source, UID, MINE)
    with pytest.raises(StepConflict):
        source.change_state(UID, state_change(StepState.COMPLETED, MINE))


def test_a_step_that_nobody_knows_is_told(source: ProcedureStepSource) -> None:
    with pytest.raises(PermanentFault):
        source.get("1.2.3.999")


def test_a_server_that_is_away_is_a_passing_fault(steps: StepManager) -> None:
    with serving_web(steps) as url:
        steps.is_away = True
        with pytest.raises(TransientFault, match="503"):
            WebStepSource("manager", url).scheduled(None)
    with pytest.raises(TransientFault, match="does not answer"):
        WebStepSource("manager", url).scheduled(None)


def test_an_answer_that_was_lost_does_no_harm(steps: StepManager) -> None:
    with serving_web(steps) as url:
        source = WebStepSource("manager", url)
        create(source)
        steps.loses_answers = 1
        with pytest.raises(TransientFault):
            claim(source, UID, MINE)
        claim(source, UID, MINE)
    assert steps.transactions[UID] == MINE
