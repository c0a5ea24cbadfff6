"""kill -9 while a Unified Procedure Step is performed: it ends once, with what it must tell.

The points are functions on the way of a step, as in `test_kill`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest
from pydicom import dcmread
from pydicom.uid import generate_uid

from dicom_nodes.objects.procedure_step import InstanceReference, PatientOfStep, review_step
from dicom_nodes.web.procedure_step_client import WebStepSource
from tests.dicom_nodes.network.step_manager import StepManager, serving_web
from tests.durability.node import Node, wait_until
from tests.durability.studies import SentStudy, renewed, write_phantom
from tests.service.workflow.priors_at_hand import MR, write_study

# Between two things that must both become durable: at the manager, and here.
CLAIMED: Final = "service.workflow.procedure_steps:claim:after"
MEASURING: Final = "service.workflow.steps:Steps.measure:before"
MADE: Final = "service.catalogue.results:record_result:after"
TOLD: Final = "service.workflow.procedure_steps:finish:after"
# A worker that begins anew loads much; on a busy machine that takes a minute or two.
_PATIENCE_SECONDS: Final = 240
POINTS: Final = (CLAIMED, MEASURING, MADE, TOLD)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@dataclass
class Department:
    """A manager of steps, a node that performs them, and a phantom."""

    manager: StepManager
    url: str
    node: Node
    phantom: Path
    kill_at: Path

    def start(self) -> None:
        self.node.start_to_be_killed(POINTS, self.kill_at)

    def photograph(self, folder: Path) -> SentStudy:
        study = renewed(self.phantom, folder)
        (file,) = [each for each in study.files if dcmread(each).Modality == "XC"]
        uid = str(dcmread(file).SOPInstanceUID)
        return replace(study, files=(file,), sop_instance_uids=(uid,))

    def schedule(self, files: tuple[Path, ...]) -> str:
        headers = [dcmread(file, stop_before_pixels=True) for file in files]
        inputs = [
            InstanceReference(
                str(each.StudyInstanceUID),
                str(each.SeriesInstanceUID),
                str(each.SOPClassUID),
                str(each.SOPInstanceUID),
            )
            for each in headers
        ]
        uid = str(generate_uid())
        step = review_step(
            uid,
            PatientOfStep(str(headers[0].PatientID), "", "", "", "", ""),
            inputs,
            label="Measure the face",
            worklist_label="HEMIFACE",
            retrieve_ae_title="PACS",
            scheduled_at=datetime.now(UTC),
        )
        WebStepSource("manager", self.url).create(uid, step)
        return uid

    def wait_for_state(self, uid: str, state: str) -> None:
        wait_until(
            lambda: self.manager.state(uid) == state, _PATIENCE_SECONDS, f"the step is {state}"
        )

    def wait_for_kill(self, point: str) -> None:
        wait_until(
            lambda: not self.kill_at.exists(), _PATIENCE_SECONDS, f"a process comes to {point}"
        )

    def wait_for_review(self, study: SentStudy) -> None:
        wait_until(lambda: bool(self.reviews(study)), _PATIENCE_SECONDS, "the review is asked for")

    def assert_completed_once(self, uid: str, study: SentStudy) -> None:
        # After a restart the worker may be at work before the console answers.
        wait_until(
            lambda: bool(self.node.state(study.study_instance_uid)["complete"]),
            _PATIENCE_SECONDS,
            "the node says why the study was complete",
        )
        assert self.manager.ended.count(uid) == 1
        (done,) = self.manager.steps[uid].UnifiedProcedureStepPerformedProcedureSequence
        told = {
            str(each.ReferencedSOPInstanceUID)
            for series in done.OutputInformationSequence
            for each in series.ReferencedSOPSequence
        }
        state = self.node.state(study.study_instance_uid)
        (evidence,) = state["complete"]
        assert evidence["evidence"] == "unified procedure step"
        (result,) = state["results"]
        assert result["report_uid"] in told
        assert len(self.reviews(study)) == 1

    def reviews(self, study: SentStudy) -> list[str]:
        return [
            uid
            for uid, step in self.manager.steps.items()
            if step.WorklistLabel == "REVIEW"
            and step.InputInformationSequence[0].StudyInstanceUID == study.study_instance_uid
        ]


@pytest.fixture(scope="module")
def department(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Department]:
    folder = tmp_path_factory.mktemp("department")
    manager = StepManager()
    with serving_web(manager) as url:
        chosen = {
            "web_sources": [{"name": "manager", "url": url, "worklist_label": "HEMIFACE"}],
            "review_source": "manager",
            "poll_seconds": 0.5,
            "first_retry_seconds": 0.5,
            "longest_retry_seconds": 1,
        }
        node = Node.delivering_to(
            folder,
            None,
            {
                "HEMIFACE_PROCEDURE_STEPS": json.dumps(chosen),
                # Only the step may say that the study is complete.
                "HEMIFACE_COMPLETION__QUIET_SECONDS": "3600",
                "HEMIFACE_COMPLETION__MAXIMUM_SECONDS": "7200",
                "HEMIFACE_COMPLETION__START_ON_DECLARED_INPUTS": "false",
            },
        )
        phantom = write_phantom(folder / "phantom")
        opened = Department(manager, url, node, phantom, folder / "kill-at")
        opened.start()
        try:
            yield opened
        finally:
            node.kill()


def test_a_step_whose_worker_is_killed_again_and_again_is_completed_once(
    department: Department, tmp_path: Path
) -> None:
    study = department.photograph(tmp_path / "study")
    department.kill_at.write_text(CLAIMED)
    uid = department.schedule(study.files)
    department.wait_for_kill(CLAIMED)
    department.kill_at.write_text(MEASURING)
    department.node.send_until_acknowledged(study.files, _PATIENCE_SECONDS)
    department.wait_for_kill(MEASURING)
    assert department.manager.state(uid) == "IN PROGRESS"
    department.kill_at.write_text(MADE)
    department.wait_for_kill(MADE)
    department.kill_at.write_text(TOLD)
    department.wait_for_kill(TOLD)
    assert department.manager.state(uid) == "COMPLETED"
    department.wait_for_review(study)
    # Whatever might come twice would come now.
    time.sleep(2)
    department.assert_completed_once(uid, study)


def test_a_step_whose_worker_is_killed_is_canceled_once_with_its_reason(
    department: Department, tmp_path: Path
) -> None:
    scan = write_study(tmp_path / "mr", "20261120", kinds=((MR, "MR"),))
    department.kill_at.write_text(TOLD)
    uid = department.schedule(scan.files)
    department.node.send_until_acknowledged(scan.files, _PATIENCE_SECONDS)
    department.wait_for_kill(TOLD)
    time.sleep(2)
    assert department.manager.state(uid) == "CANCELED"
    assert department.manager.ended.count(uid) == 1
    (told,) = department.manager.steps[uid].ProcedureStepProgressInformationSequence
    assert "no analysis of this node wants these inputs" in told.ReasonForCancellation


def test_the_machine_goes_down_with_a_result_that_nobody_was_told_of(
    department: Department, tmp_path: Path
) -> None:
    study = department.photograph(tmp_path / "study")
    uid = department.schedule(study.files)
    department.wait_for_state(uid, "IN PROGRESS")
    department.manager.is_away = True
    department.node.send_until_acknowledged(study.files, _PATIENCE_SECONDS)
    wait_until(
        lambda: bool(department.node.state(study.study_instance_uid)["results"]),
        _PATIENCE_SECONDS,
        "the result is made",
    )
    department.node.kill()
    department.start()
    assert department.manager.state(uid) == "IN PROGRESS"
    department.manager.is_away = False
    department.wait_for_state(uid, "COMPLETED")
    department.wait_for_review(study)
    department.assert_completed_once(uid, study)
