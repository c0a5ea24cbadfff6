"""The node as a performer of Unified Procedure Steps, and as one who asks for a review.

A step is kept with its transaction before it is claimed, so that a crash in between
only claims it again. Its inputs are waited for, and fetched where an archive is set;
with them the study is complete. The step ends when every analysis of its studies has
its result, and names these as outputs.

A request to cancel that comes before measuring begins is followed. One that comes later
is not, as PS3.4, section CC.2.2.2, allows: the step goes on, and its progress says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

import structlog

from dicom_nodes.network.procedure_step_source import (
    ProcedureStepSource,
    StepConflict,
    StepTaken,
    claim,
    finish,
)
from dicom_nodes.network.retrieve_scu import MOST_INSTANCES_A_REQUEST, Wanted
from dicom_nodes.objects.content_keyed_uids import content_uid
from dicom_nodes.objects.procedure_step import (
    InstanceReference,
    PatientOfStep,
    StepState,
    canceled,
    performed,
    progress,
    review_step,
)
from processing.measurement import PermanentFault, RejectedInput, TransientFault
from service.catalogue import priors, procedure_steps, results, step_events, studies
from service.catalogue.database import Database
from service.catalogue.performed_steps import catalogued_among
from service.catalogue.procedure_steps import KeptStep
from service.receive import Reception
from service.settings import Settings
from service.step_sources import step_source, worklists
from service.workflow import completion
from service.workflow.delivery import DeliveryState
from service.workflow.retrieving import retrieve

_TOO_LATE: Final = "a cancel was requested after measuring had begun, and is not followed"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class StepPerformer:
    """Claims steps, sees to their inputs, and ends them."""

    settings: Settings
    database: Database
    reception: Reception

    def tend(self, source_name: str, uid: str) -> dict[str, Any]:
        """Do what is next for a step; gives a `DeliveryState`, its reason, and what is complete.

        Can be done again at any time; `complete` are the Study Instance UIDs that have
        all their inputs.
        """
        try:
            source = step_source(self.settings, source_name)
            kept = self._kept(source, source_name, uid)
            if kept.ended_at is not None:
                return _answer(DeliveryState.DELIVERED, kept.outcome or "")
            if kept.claimed_at is None:
                claim(source, uid, kept.transaction_uid)
                procedure_steps.mark_claimed(self.database, kept)
                kept = self._kept(source, source_name, uid)
            return self._perform_or_leave(source, kept)
        except StepTaken as taken:
            return _answer(DeliveryState.DELIVERED, f"left: {taken}")
        except TransientFault as fault:
            return _answer(DeliveryState.WAITING, str(fault))
        except (PermanentFault, RejectedInput) as fault:
            log.warning("a procedure step cannot be performed", reason=str(fault))
            return _answer(DeliveryState.PARKED, str(fault))

    def _kept(self, source: ProcedureStepSource, source_name: str, uid: str) -> KeptStep:
        kept = procedure_steps.kept_step(self.database, uid, source_name)
        if kept is not None:
            return kept
        step = source.get(uid)
        if step.worklist_label != worklists(self.settings)[source_name]:
            raise PermanentFault(f"step {uid} is of another worklist than this node's")
        if not step.inputs:
            raise PermanentFault(
                f"step {uid} names no inputs; name the instances to be measured in its Input "
                "Information Sequence (0040,4021)"
            )
        transaction_uid = f"2.25.{uuid4().int}"
        return procedure_steps.keep(self.database, uid, source_name, transaction_uid, step.inputs)

    def _perform_or_leave(self, source: ProcedureStepSource, kept: KeptStep) -> dict[str, Any]:
        """Go on with a claimed step, unless its manager has ended it."""
        try:
            return self._perform(source, kept)
        except StepConflict:
            state = source.get(kept.uid).state
            if state not in (StepState.CANCELED, StepState.COMPLETED):
                raise
            reason = f"its manager has made it {state}"
            step_events.request_cancel(self.database, kept.source, kept.uid, reason)
            return self._ended(kept, reason)

    def _perform(self, source: ProcedureStepSource, kept: KeptStep) -> dict[str, Any]:
        if kept.is_called_off:
            return self._cancel(source, kept, f"on request: {kept.cancel_reason or 'no reason'}")
        uids = [each.sop_instance_uid for each in kept.inputs]
        procedure_steps.take_priors_for_themselves(self.database, uids)
        missing = self._missing(kept)
        if missing:
            self._fetch(missing)
            missing = self._missing(kept)
        if missing or len(catalogued_among(self.database, uids)) < len(set(uids)):
            return self._wait(source, kept, f"{len(missing)} of {len(uids)} inputs are missing")
        study_uids = sorted({each.study_instance_uid for each in kept.inputs})
        jobs = [job for uid in study_uids for job in self._jobs(uid)]
        if not jobs:
            return self._cancel(source, kept, "no analysis of this node wants these inputs")
        made = [results.result_by_key(self.database, job.key) for job in jobs]
        if None in made:
            waiting = self._wait(source, kept, f"{made.count(None)} analyses are under way")
            return {**waiting, "complete": study_uids}
        return self._complete(source, kept, [each for each in made if each is not None])

    def _missing(self, kept: KeptStep) -> list[InstanceReference]:
        held = priors.held_instances(self.database, [each.sop_instance_uid for each in kept.inputs])
        return [each for each in kept.inputs if each.sop_instance_uid not in held]

    def _fetch(self, missing: Sequence[InstanceReference]) -> None:
        """Fetch inputs from where priors come from; others are waited for."""
        accept = self.reception.accept
        for archive in self.settings.priors.all_sources:
            for wanted in _requests(missing):
                try:
                    retrieve(archive, wanted, accept, self.reception, self.settings)
                except (TransientFault, PermanentFault) as fault:
                    log.warning("inputs cannot be fetched", source=archive.name, reason=str(fault))

    def _jobs(self, study_instance_uid: str) -> tuple[completion.Job, ...]:
        study = studies.known_study(self.database, study_instance_uid)
        if study is None:
            raise TransientFault(f"study {study_instance_uid} is not in the catalogue yet")
        return completion.plan(study, self.settings, datetime.now(UTC)).jobs

    def _wait(self, source: ProcedureStepSource, kept: KeptStep, reason: str) -> dict[str, Any]:
        """Wait for more, unless that has lasted too long."""
        claimed_at = kept.claimed_at or kept.kept_at
        waited = (datetime.now(UTC) - claimed_at).total_seconds()
        if waited > self.settings.procedure_steps.maximum_seconds:
            return self._cancel(source, kept, f"given up after {waited:.0f} s: {reason}")
        if kept.cancel_requested_at is not None:
            reason = f"{reason}; {_TOO_LATE}"
        source.update(kept.uid, kept.transaction_uid, progress(reason, 50))
        return _answer(DeliveryState.WAITING, reason)

    def _complete(
        self, source: ProcedureStepSource, kept: KeptStep, made: Sequence[results.MadeResult]
    ) -> dict[str, Any]:
        outputs = [each for result in made for each in _objects(result)]
        last = performed(
            kept.begun_at or kept.claimed_at or kept.kept_at,
            datetime.now(UTC),
            self.settings.dicom.ae_title,
            outputs,
        )
        finish(source, kept.uid, kept.transaction_uid, StepState.COMPLETED, last)
        outcome = f"completed with {len(outputs)} objects"
        if kept.cancel_requested_at is not None:
            outcome = f"{outcome}; {_TOO_LATE}"
        return self._ended(kept, outcome)

    def _cancel(self, source: ProcedureStepSource, kept: KeptStep, reason: str) -> dict[str, Any]:
        last = canceled(reason, datetime.now(UTC), kept.cancel_code)
        finish(source, kept.uid, kept.transaction_uid, StepState.CANCELED, last)
        return self._ended(kept, f"canceled: {reason}")

    def _ended(self, kept: KeptStep, outcome: str) -> dict[str, Any]:
        procedure_steps.mark_ended(self.database, kept, outcome)
        return _answer(DeliveryState.DELIVERED, outcome)


def ask_for_review(settings: Settings, database: Database, key: str) -> dict[str, str]:
    """Make the step in which a person reviews a result; gives a state and its reason.

    Its UID follows from the result's key: asked for again, it is the same step.
    """
    chosen = settings.procedure_steps
    result = results.result_by_key(database, key)
    if result is None or chosen.review_source is None:
        raise PermanentFault(f"no review can be asked for of result {key}")
    study = studies.known_study(database, result.study_instance_uid)
    patient = priors.identity_of_study(database, result.study_instance_uid)
    if study is None or patient is None:
        raise PermanentFault(f"study {result.study_instance_uid} is not in the catalogue")
    uid = content_uid(key, "review-step")
    step = review_step(
        uid,
        PatientOfStep(
            patient.patient_id,
            patient.issuer,
            patient.name,
            patient.birth_date,
            sex="",
            accession_number=study.accession_number,
        ),
        _objects(result),
        label=f"Review {result.analysis}",
        worklist_label=chosen.review_worklist_label,
        retrieve_ae_title=settings.dicom.ae_title,
        scheduled_at=result.made_at,
    )
    try:
        step_source(settings, chosen.review_source).create(uid, step)
    except TransientFault as fault:
        return {"state": DeliveryState.WAITING, "reason": str(fault)}
    return {"state": DeliveryState.DELIVERED, "reason": f"review step {uid}"}


def _answer(state: DeliveryState, reason: str) -> dict[str, Any]:
    return {"state": state, "reason": reason, "complete": []}


def _objects(result: results.MadeResult) -> list[InstanceReference]:
    return [
        InstanceReference(
            result.study_instance_uid,
            each.series_instance_uid,
            each.sop_class_uid,
            each.sop_instance_uid,
        )
        for each in result.objects
    ]


def _requests(missing: Sequence[InstanceReference]) -> Iterable[Wanted]:
    """What is asked for together: of one series, and not too much."""
    by_series: dict[tuple[str, str], list[InstanceReference]] = {}
    for each in missing:
        by_series.setdefault((each.study_instance_uid, each.series_instance_uid), []).append(each)
    for (study, series), of_series in by_series.items():
        for start in range(0, len(of_series), MOST_INSTANCES_A_REQUEST):
            some = of_series[start : start + MOST_INSTANCES_A_REQUEST]
            yield Wanted(
                study,
                series,
                tuple(each.sop_instance_uid for each in some),
                frozenset(each.sop_class_uid for each in some),
            )
