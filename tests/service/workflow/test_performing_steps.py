from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom import dcmread

from dicom_nodes.network.peer import Peer
from dicom_nodes.network.procedure_step_source import claim
from dicom_nodes.network.storage_scu import send_files
from dicom_nodes.objects.procedure_step import InstanceReference, PatientOfStep, review_step
from processing.measurement import Status
from service.catalogue import procedure_steps, results, step_events, studies
from service.demo_orthanc import Modality, OrthancServer
from service.settings import (
    PriorSettings,
    PriorSource,
    ProcedureStepSettings,
    WebStepSource,
)
from service.step_sources import step_source
from service.workflow import completion
from service.workflow.declarations import declaration_of
from service.workflow.delivery import DeliveryState
from service.workflow.procedure_steps import StepPerformer, ask_for_review
from service.workflow.step_looking import look_for_steps
from tests.dicom_nodes.network.step_manager import StepManager, serving_web
from tests.service.workflow.priors_at_hand import (
    MR,
    STL,
    EarlierStudy,
    FetchingNode,
    fetching_node,
    write_study,
)

UID = "1.2.3.1"
NOW = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)


@pytest.fixture
def manager() -> StepManager:
    return StepManager()


@pytest.fixture
def node(tmp_path: Path, manager: StepManager) -> Iterator[FetchingNode]:
    with fetching_node(tmp_path / "data") as opened, serving_web(manager) as url:
        source = WebStepSource(name="manager", url=url, worklist_label="HEMIFACE")
        chosen = ProcedureStepSettings(web_sources=(source,), review_source="manager")
        settings = opened.settings.model_copy(update={"procedure_steps": chosen})
        yield replace(opened, settings=settings)


@pytest.fixture
def study(tmp_path: Path) -> EarlierStudy:
    return write_study(tmp_path / "study", "20261120", kinds=((STL, "M3D"),))


def references(study: EarlierStudy) -> list[InstanceReference]:
    found = []
    for file in study.files:
        header = dcmread(file)
        found.append(
            InstanceReference(
                str(header.StudyInstanceUID),
                str(header.SeriesInstanceUID),
                str(header.SOPClassUID),
                str(header.SOPInstanceUID),
            )
        )
    return found


def schedule(
    node: FetchingNode, study: EarlierStudy, worklist_label: str = "HEMIFACE", uid: str = UID
) -> None:
    step = review_step(
        uid,
        PatientOfStep("P1", "", "Wang^XiaoDong", "19850203", "M", ""),
        references(study),
        label="Measure the face",
        worklist_label=worklist_label,
        retrieve_ae_title="PACS",
        scheduled_at=NOW,
    )
    step_source(node.settings, "manager").create(uid, step)


def tend(node: FetchingNode) -> dict[str, object]:
    """As after a restart: nothing is kept in memory."""
    return StepPerformer(node.settings, node.database, node.reception).tend("manager", UID)


def record_result(node: FetchingNode, study: EarlierStudy) -> results.MadeResult:
    known = studies.known_study(node.database, study.study_instance_uid)
    assert known is not None
    (job,) = completion.plan(known, node.settings, known.last_arrival).jobs
    report = results.MadeObject(
        "1.2.3.50", "1.2.840.10008.5.1.4.1.1.88.34", "1.2.3.5", "report", "r"
    )
    made = results.MadeResult(
        key=job.key,
        study_instance_uid=study.study_instance_uid,
        analysis=job.analysis,
        version="1",
        status=Status.MEASURED,
        reason=None,
        inputs=job.inputs,
        made_at=NOW,
        predecessor_uid=None,
        objects=(report,),
    )
    results.record_result(node.database, made)
    return made


def test_a_step_is_claimed_and_its_inputs_are_waited_for(
    node: FetchingNode, manager: StepManager, study: EarlierStudy
) -> None:
    schedule(node, study)
    outcome = tend(node)
    assert outcome["state"] == DeliveryState.WAITING
    assert outcome["reason"] == "1 of 1 inputs are missing"
    assert manager.state(UID) == "IN PROGRESS"
    assert declaration_of(node.database, node.settings, study.study_instance_uid) is None


def test_its_inputs_are_evidence_of_a_complete_study(
    node: FetchingNode, study: EarlierStudy
) -> None:
    schedule(node, study)
    tend(node)
    node.push(study.files[0])
    outcome = tend(node)
    assert outcome["complete"] == [study.study_instance_uid]
    declared = declaration_of(node.database, node.settings, study.study_instance_uid)
    assert declared is not None
    assert declared.evidence is completion.Evidence.PROCEDURE_STEP


def test_a_step_is_completed_with_the_results_as_outputs(
    node: FetchingNode, manager: StepManager, study: EarlierStudy
) -> None:
    schedule(node, study)
    node.push(study.files[0])
    assert tend(node)["state"] == DeliveryState.WAITING
    record_result(node, study)
    assert tend(node)["state"] == DeliveryState.DELIVERED
    assert manager.state(UID) == "COMPLETED"
    (done,) = manager.steps[UID].UnifiedProcedureStepPerformedProcedureSequence
    (series,) = done.OutputInformationSequence
    assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == "1.2.3.50"
    assert series.DICOMRetrievalSequence[0].RetrieveAETitle == "HEMIFACE"
    asked = list(manager.asked)
    assert tend(node)["state"] == DeliveryState.DELIVERED
    assert manager.asked == asked, "a step that has ended is let alone"


def test_after_a_crash_the_claim_is_made_again_with_the_same_transaction(
    node: FetchingNode, manager: StepManager, study: EarlierStudy
) -> None:
    schedule(node, study)
    # The answer to the claim is lost, and so is all that was in memory.
    manager.loses_answers = 1
    assert tend(node)["state"] == DeliveryState.WAITING
    kept = procedure_steps.kept_step(node.database, UID, "manager")
    assert kept is not None
    assert kept.claimed_at is None
    assert manager.transactions[UID] == kept.transaction_uid
    tend(node)
    again = procedure_steps.kept_step(node.database, UID, "manager")
    assert again is not None
    assert again.claimed_at is not None
    assert again.transaction_uid == kept.transaction_uid


def test_an_end_whose_answer_was_lost_is_an_end(
    node: FetchingNode, manager: StepManager, study: EarlierStudy
) -> None:
    schedule(node, study)
    node.push(study.files[0])
    tend(node)
    record_result(node, study)
    # The update goes through, the answer to the change of state is lost.
    manager.loses_answers = 2
    while tend(node)["state"] == DeliveryState.WAITING:
        assert manager.loses_answers < 2
    assert manager.state(UID) == "COMPLETED"
    assert manager.asked.count("state COMPLETED") <= 3


def test_a_step_that_nothing_can_be_made_of_is_canceled_with_its_reason(
    node: FetchingNode, manager: StepManager, tmp_path: Path
) -> None:
    scan = write_study(tmp_path / "mr", "20261120", kinds=((MR, "MR"),))
    schedule(node, scan)
    node.push(scan.files[0])
    assert "no analysis" in str(tend(node)["reason"])
    assert manager.state(UID) == "CANCELED"
    (told,) = manager.steps[UID].ProcedureStepProgressInformationSequence
    assert "no analysis" in told.ReasonForCancellation


def test_a_step_whose_inputs_never_come_is_given_up(
    node: FetchingNode, manager: StepManager, study: EarlierStudy
) -> None:
    schedule(node, study)
    chosen = node.settings.procedure_steps.model_copy(update={"maximum_seconds": 0})
    settings = node.settings.model_copy(update={"procedure_steps": chosen})
    assert "given up" in str(tend(replace(node, settings=settings))["reason"])
    assert manager.state(UID) == "CANCELED"


def test_what_somebody_else_works_on_is_left(
    node: FetchingNode, manager: StepManager, study: EarlierStudy
) -> None:
    schedule(node, study)
    claim(step_source(node.settings, "manager"), UID, "1.2.3.200")
    outcome = tend(node)
    assert outcome["state"] == DeliveryState.DELIVERED
    assert "somebody else" in str(outcome["reason"])
    assert manager.transactions[UID] == "1.2.3.200"


def test_a_step_of_another_worklist_is_not_claimed(
    node: FetchingNode, manager: StepManager, study: EarlierStudy
) -> None:
    schedule(node, study, "OTHERS")
    assert tend(node)["state"] == DeliveryState.PARKED
    assert manager.state(UID) == "SCHEDULED"


@dataclass
class FoundSteps:
    """What is told of steps that were found; stops the looking at the first."""

    stopped: threading.Event = field(default_factory=threading.Event)
    found: list[tuple[str, str]] = field(default_factory=list)

    def perform_step(self, source: str, uid: str) -> None:
        self.found.append((source, uid))
        self.stopped.set()

    def cancel_step(self, source: str, uid: str) -> None:
        raise AssertionError(f"nobody has called off {uid} of {source}")


def test_steps_are_looked_for_until_told_to_stop(node: FetchingNode, study: EarlierStudy) -> None:
    schedule(node, study)
    schedule(node, study, "OTHERS", "1.2.3.2")
    work = FoundSteps()
    look_for_steps(node.settings, node.database, work, work.stopped)
    assert work.found == [("manager", UID)]


def test_a_result_asks_for_its_review_once(
    node: FetchingNode, manager: StepManager, study: EarlierStudy
) -> None:
    node.push(study.files[0])
    made = record_result(node, study)
    manager.loses_answers = 1
    assert ask_for_review(node.settings, node.database, made.key)["state"] == DeliveryState.WAITING
    for _ in range(2):
        answer = ask_for_review(node.settings, node.database, made.key)
        assert answer["state"] == DeliveryState.DELIVERED
    ((uid, step),) = manager.steps.items()
    assert uid in answer["reason"]
    assert (step.WorklistLabel, step.ProcedureStepState) == ("REVIEW", "SCHEDULED")
    (series,) = step.InputInformationSequence
    assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == "1.2.3.50"
    assert (step.PatientID, step.PatientName) == ("P1", "Wang^XiaoDong")


@pytest.mark.peer
def test_inputs_that_are_not_here_are_fetched_and_measured(
    start_orthanc: Callable[..., OrthancServer],
    node: FetchingNode,
    study: EarlierStudy,
) -> None:
    orthanc = start_orthanc(modalities=[Modality("hemiface", "HEMIFACE", 1)])
    peer = Peer("pacs", "ORTHANC", "127.0.0.1", orthanc.dicom_port, "HEMIFACE")
    assert all(each.accepted for each in send_files(peer, study.files))
    archive = PriorSource(
        name="pacs", ae_title="ORTHANC", address="127.0.0.1", port=orthanc.dicom_port
    )
    with_archive = node.settings.model_copy(update={"priors": PriorSettings(sources=(archive,))})
    node = replace(node, settings=with_archive)
    schedule(node, study)
    assert tend(node)["state"] == DeliveryState.WAITING
    node.catalogue()
    assert [each.prior for each in node.instances(study)] == [False]
    assert tend(node)["complete"] == [study.study_instance_uid]


def request_cancel(node: FetchingNode) -> bool:
    code = ("110513", "DCM", "Discontinued for unspecified reason")
    return step_events.request_cancel(node.database, "manager", UID, "wrong patient", code)


def test_a_step_is_canceled_on_request_while_its_inputs_are_waited_for(
    node: FetchingNode, manager: StepManager, study: EarlierStudy
) -> None:
    schedule(node, study)
    tend(node)
    assert request_cancel(node)
    assert [each.uid for each in step_events.steps_to_cancel(node.database)] == [UID]
    assert tend(node)["state"] == DeliveryState.DELIVERED
    assert manager.state(UID) == "CANCELED"
    (told,) = manager.steps[UID].ProcedureStepProgressInformationSequence
    assert told.ReasonForCancellation == "on request: wrong patient"
    (code,) = told.ProcedureStepDiscontinuationReasonCodeSequence
    assert (code.CodeValue, code.CodingSchemeDesignator) == ("110513", "DCM")
    assert step_events.steps_to_cancel(node.database) == []


def test_what_was_called_off_is_not_measured(node: FetchingNode, study: EarlierStudy) -> None:
    schedule(node, study)
    node.push(study.files[0])
    tend(node)
    request_cancel(node)
    assert not step_events.begin(node.database, study.sop_instance_uids)
    tend(node)
    assert not step_events.begin(node.database, study.sop_instance_uids), "not afterwards either"


def test_a_cancel_after_measuring_began_is_too_late_and_the_step_says_so(
    node: FetchingNode, manager: StepManager, study: EarlierStudy
) -> None:
    schedule(node, study)
    node.push(study.files[0])
    tend(node)
    assert step_events.begin(node.database, study.sop_instance_uids)
    assert request_cancel(node)
    assert step_events.steps_to_cancel(node.database) == []
    tend(node)
    (told,) = manager.steps[UID].ProcedureStepProgressInformationSequence
    assert "after measuring had begun" in told.ProcedureStepProgressDescription
    record_result(node, study)
    assert "after measuring had begun" in str(tend(node)["reason"])
    assert manager.state(UID) == "COMPLETED"


def test_a_new_step_for_what_was_called_off_is_measured(
    node: FetchingNode, study: EarlierStudy
) -> None:
    schedule(node, study)
    node.push(study.files[0])
    tend(node)
    request_cancel(node)
    tend(node)
    schedule(node, study, uid="1.2.3.9")
    StepPerformer(node.settings, node.database, node.reception).tend("manager", "1.2.3.9")
    uids = study.sop_instance_uids
    assert step_events.newest_after_cancel(node.database, uids) == "1.2.3.9"
    assert step_events.begin(node.database, uids)


def test_a_person_can_have_measured_what_was_called_off(
    node: FetchingNode, study: EarlierStudy
) -> None:
    schedule(node, study)
    tend(node)
    request_cancel(node)
    tend(node)
    step_events.want_anyway(node.database, study.sop_instance_uids)
    assert step_events.begin(node.database, study.sop_instance_uids)


def test_what_no_step_asks_for_is_measured_whatever_was_called_off(
    node: FetchingNode, study: EarlierStudy
) -> None:
    schedule(node, study)
    tend(node)
    request_cancel(node)
    assert step_events.begin(node.database, [*study.sop_instance_uids, "1.2.3.99"])


def test_a_step_that_its_manager_has_ended_is_let_go(
    node: FetchingNode, manager: StepManager, study: EarlierStudy
) -> None:
    schedule(node, study)
    tend(node)
    manager.steps[UID].ProcedureStepState = "CANCELED"
    outcome = tend(node)
    assert outcome["state"] == DeliveryState.DELIVERED
    assert outcome["reason"] == "its manager has made it CANCELED"
    assert not step_events.begin(node.database, study.sop_instance_uids)


def test_a_cancel_of_a_step_that_the_node_does_not_work_on_is_none_of_its_business(
    node: FetchingNode,
) -> None:
    assert not request_cancel(node)
