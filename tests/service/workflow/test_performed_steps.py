"""What performed procedure steps prove, and how the cataloguer acts on them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from dicom_nodes.network.mpps_scp import PerformedStep, Refusal, StepState, StepStatus
from service.catalogue import arrivals, studies
from service.catalogue.database import Database
from service.catalogue.performed_steps import (
    KeptSteps,
    latest_steps,
    mark_looked_at,
    steps_of_studies,
    steps_to_look_at,
)
from service.settings import Settings
from service.workflow.completion import Evidence, plan
from service.workflow.performed_looking import (
    look_at_told_steps,
    performed_of_study,
    wait_seconds,
)
from service.workflow.performed_steps import Performed, Standing, performed
from tests.service.catalogue.test_studies import FACTS
from tests.service.workflow.test_completion import FRONTAL, NOW, SETTINGS, study

RUNNING = PerformedStep(
    sop_instance_uid="1.9.1",
    state=StepState.IN_PROGRESS,
    study_instance_uids=(FACTS.study_instance_uid,),
    patient_id="P",
    station_ae_title="STUDIO1",
)
COMPLETED = replace(RUNNING, state=StepState.COMPLETED, instances=("1.1", "1.2"))
DISCONTINUED = replace(RUNNING, state=StepState.DISCONTINUED, instances=("1.1",))


@dataclass
class Looked:
    """The engine, as far as it is asked to look at studies."""

    at: list[tuple[str, float]] = field(default_factory=list)

    def look_at_study_in(self, study_instance_uid: str, seconds: float) -> None:
        self.at.append((study_instance_uid, seconds))


def test_a_completed_step_whose_instances_are_all_here_proves_the_study_complete() -> None:
    said = performed([COMPLETED], {"1.1", "1.2"})
    assert said.standing is Standing.COMPLETE
    assert "STUDIO1 says COMPLETED, and all 2 instances" in said.detail


@pytest.mark.parametrize(
    ("steps", "received", "standing"),
    [
        ([], set(), Standing.NOTHING),
        ([COMPLETED], {"1.1"}, Standing.WAITING),
        ([COMPLETED, RUNNING], {"1.1", "1.2"}, Standing.WAITING),
        ([DISCONTINUED], {"1.1"}, Standing.NOTHING),
        ([DISCONTINUED, COMPLETED], {"1.1", "1.2"}, Standing.COMPLETE),
        ([replace(COMPLETED, instances=())], set(), Standing.NOTHING),
    ],
)
def test_what_other_steps_say(
    steps: list[PerformedStep], received: set[str], standing: Standing
) -> None:
    assert performed(steps, received).standing is standing


def test_the_evidence_of_a_plan_is_the_performed_step() -> None:
    complete = performed([COMPLETED], {"1.1", "1.2"})
    assert plan(study(FRONTAL), SETTINGS, NOW, complete).evidence is Evidence.PERFORMED_STEP


def test_silence_is_no_evidence_while_a_modality_says_that_more_comes() -> None:
    waiting = performed([COMPLETED], {"1.1"})
    decided = plan(study(FRONTAL, quiet_for=40), SETTINGS, NOW, waiting)
    assert decided.evidence is Evidence.HARD_MAXIMUM
    assert "lists 2 instances, 1 are not here yet" in decided.detail
    without = plan(study(FRONTAL, quiet_for=40), SETTINGS, NOW, Performed(Standing.NOTHING))
    assert without.evidence is Evidence.QUIET_TIME


def kept(database: Database) -> KeptSteps:
    return KeptSteps(database, timedelta(days=90))


def arrive(database: Database, *uids: str) -> None:
    register = arrivals.Register(database)
    now = datetime.now(UTC)
    register.enter(
        [
            arrivals.Received(
                sop_instance_uid=uid,
                sop_class_uid="1.2.840.10008.5.1.4.1.1.77.1.4",
                transfer_syntax_uid="1.2.840.10008.1.2.1",
                key=f"instances/{uid}.dcm",
                size_bytes=1,
                dataset_offset=0,
                received_at=now,
                calling_ae_title="CAMERA",
                peer_address="127.0.0.1",
            )
            for uid in uids
        ]
    )
    register.close()
    waiting = studies.uncatalogued(database, 100)
    studies.record(
        database, [studies.Catalogued(each, FACTS, {}, None, own=False) for each in waiting]
    )


def test_a_step_is_kept_once_and_found_by_its_study(database: Database) -> None:
    assert kept(database).create(RUNNING, "STUDIO1")
    assert not kept(database).create(replace(RUNNING, patient_id="Q"), "STUDIO1")
    found = steps_of_studies(database, [FACTS.study_instance_uid, "1.9.9.9"])
    assert [each.step for each in found[FACTS.study_instance_uid]] == [RUNNING]
    assert list(found) == [FACTS.study_instance_uid]
    assert [each.step for each in latest_steps(database, 5)] == [RUNNING]


def test_a_refused_change_leaves_the_step_as_it_is(database: Database) -> None:
    kept(database).create(RUNNING, "STUDIO1")
    assert kept(database).change(RUNNING.sop_instance_uid, lambda step: COMPLETED)

    def refuse(step: PerformedStep) -> PerformedStep:
        raise Refusal(StepStatus.PROCESSING_FAILURE, "ended")

    with pytest.raises(Refusal):
        kept(database).change(RUNNING.sop_instance_uid, refuse)
    assert [each.step for each in latest_steps(database, 5)] == [COMPLETED]
    assert not kept(database).change("1.2.3.4.5", refuse)


def test_old_steps_go_when_new_ones_come(database: Database) -> None:
    kept(database).create(RUNNING, "STUDIO1")
    newer = replace(RUNNING, sop_instance_uid="1.9.2")
    assert KeptSteps(database, timedelta(0)).create(newer, "STUDIO1")
    assert [each.step for each in latest_steps(database, 5)] == [newer]


def test_a_completed_step_starts_its_study_at_once(database: Database, settings: Settings) -> None:
    engine = Looked()
    uid = FACTS.study_instance_uid
    arrive(database, "1.1", "1.2")
    kept(database).create(RUNNING, "STUDIO1")
    assert look_at_told_steps(settings, database, engine) == 1
    kept(database).change(RUNNING.sop_instance_uid, lambda step: COMPLETED)
    assert look_at_told_steps(settings, database, engine) == 1
    assert look_at_told_steps(settings, database, engine) == 0
    assert engine.at == [(uid, settings.completion.maximum_seconds), (uid, 2.0)]


def test_a_step_whose_images_are_missing_waits_for_them(
    database: Database, settings: Settings
) -> None:
    arrive(database, "1.1")
    kept(database).create(RUNNING, "STUDIO1")
    kept(database).change(RUNNING.sop_instance_uid, lambda step: COMPLETED)
    uid = FACTS.study_instance_uid
    assert wait_seconds(settings, database, uid) == settings.completion.maximum_seconds
    arrive(database, "1.2")
    assert performed_of_study(database, uid).standing is Standing.COMPLETE
    assert wait_seconds(settings, database, uid) == 2.0


def test_a_discontinued_step_leaves_the_study_to_its_quiet_time(
    database: Database, settings: Settings
) -> None:
    engine = Looked()
    arrive(database, "1.1")
    kept(database).create(RUNNING, "STUDIO1")
    kept(database).change(RUNNING.sop_instance_uid, lambda step: DISCONTINUED)
    look_at_told_steps(settings, database, engine)
    assert engine.at == [(FACTS.study_instance_uid, settings.completion.quiet_seconds)]


def test_a_step_of_a_study_without_images_starts_nothing(
    database: Database, settings: Settings
) -> None:
    engine = Looked()
    kept(database).create(RUNNING, "STUDIO1")
    assert look_at_told_steps(settings, database, engine) == 1
    assert engine.at == []


def test_a_step_that_changes_while_it_is_looked_at_is_looked_at_again(database: Database) -> None:
    kept(database).create(RUNNING, "STUDIO1")
    told = steps_to_look_at(database, 10)
    kept(database).change(RUNNING.sop_instance_uid, lambda step: COMPLETED)
    mark_looked_at(database, told)
    assert len(steps_to_look_at(database, 10)) == 1
