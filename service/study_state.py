"""How a study stands: what the catalogue knows together with what the engine says.

Nothing here is stored. The engine is asked before the catalogue's results are
read, so that work which ends meanwhile shows as under way, never as missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol

from processing.measurement import Status
from service.catalogue.database import Database
from service.catalogue.orders import RecordedOrder, orders_of_studies
from service.catalogue.overviews import (
    StudyOverview,
    completions_of_studies,
    deliveries_of_studies,
    results_of_studies,
    study_overviews,
)
from service.catalogue.performed_steps import KeptStep, steps_of_studies
from service.catalogue.results import Evidence, MadeResult, Sent
from service.workflow.engine import WorkState

DELAYED: Final = "DELAYED"
ENQUEUED: Final = "ENQUEUED"
PENDING: Final = "PENDING"


class Stage(StrEnum):
    """Where a study is on its way, in one word."""

    RECEIVING = "receiving"
    WAITING = "waiting"
    MEASURING = "measuring"
    DELIVERING = "delivering"
    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"
    PARKED = "parked"
    NOTHING_TO_MEASURE = "nothing to measure"
    UNUSABLE = "unusable"
    PRIOR = "prior"


class DeliveryStage(StrEnum):
    """Where a result is on its way to a destination."""

    QUEUED = "queued"
    RETRYING = "retrying"
    SENT = "sent"
    CONFIRMED = "confirmed"
    PARKED = "parked"


@dataclass(frozen=True, slots=True)
class Delivery:
    """How the delivery of a result to a destination stands.

    `detail` is the confirmation of a confirmed one, and the reason of one that
    is tried again, parked, or sent and not confirmed yet. `at` is when it was
    sent, or is to be tried next.
    """

    destination: str
    stage: DeliveryStage
    detail: str | None
    at: datetime | None


@dataclass(frozen=True, slots=True)
class ResultState:
    """A result and where it went; `is_newest` while no later one has replaced it."""

    made: MadeResult
    is_newest: bool
    deliveries: tuple[Delivery, ...]

    @property
    def report_uid(self) -> str | None:
        """SOP Instance UID of the report."""
        return next(
            (each.sop_instance_uid for each in self.made.objects if each.role == "report"), None
        )


@dataclass(frozen=True, slots=True)
class StudyState:
    """How a study stands; `work` is what waits, runs or is parked.

    `order` is what came of looking for its order, `performed` what modalities said of it.
    """

    study: StudyOverview
    stage: Stage
    evidence: tuple[Evidence, ...]
    results: tuple[ResultState, ...]
    work: tuple[WorkState, ...]
    order: RecordedOrder | None = None
    performed: tuple[KeptStep, ...] = ()

    @property
    def parked(self) -> tuple[WorkState, ...]:
        """The work that waits for a person."""
        return tuple(each for each in self.work if not is_active(each))

    @property
    def looked_at_next(self) -> datetime | None:
        """When the study is due to be completed, while more may come."""
        return next(
            (
                each.not_before
                for each in self.work
                if each.name == "complete" and each.state == DELAYED
            ),
            None,
        )


class Engine(Protocol):
    """What is asked of the workflow engine; see `service.workflow.engine.EngineClient`."""

    def unfinished_work(self, failed_since: datetime) -> list[WorkState]:
        """Work that waits or runs, and work that failed since a moment."""


def state_of(database: Database, engine: Engine, study_instance_uid: str) -> StudyState | None:
    """How one study stands, or None when it is not in the catalogue."""
    return next(iter(states_of(database, engine, [study_instance_uid])), None)


def states_of(
    database: Database, engine: Engine, study_instance_uids: Sequence[str]
) -> list[StudyState]:
    """How these studies stand, in this order; a fixed number of queries for all."""
    overviews = study_overviews(database, study_instance_uids)
    if not overviews:
        return []
    work = engine.unfinished_work(min(each.first_arrival for each in overviews.values()))
    evidence = completions_of_studies(database, study_instance_uids)
    results = results_of_studies(database, study_instance_uids)
    deliveries = deliveries_of_studies(database, study_instance_uids)
    orders = orders_of_studies(database, study_instance_uids)
    performed = steps_of_studies(database, study_instance_uids)
    by_subject: dict[str, list[WorkState]] = {}
    for each in work:
        by_subject.setdefault(subject_of(each), []).append(each)
    return [
        replace(
            _state(
                overviews[uid],
                tuple(evidence.get(uid, ())),
                results.get(uid, []),
                deliveries.get(uid, []),
                by_subject,
            ),
            order=orders.get(uid),
            performed=tuple(performed.get(uid, ())),
        )
        for uid in study_instance_uids
        if uid in overviews
    ]


def subject_of(work: WorkState) -> str:
    """What a piece of work is about: a Study Instance UID, or the key of a result."""
    return str(work.arguments[0]) if work.arguments else ""


def analysis_of(work: WorkState) -> str:
    """The analysis that an `analyse` carries out."""
    return str(work.arguments[1])


def destination_of(work: WorkState) -> str:
    """The destination of a `deliver`."""
    return str(work.arguments[1])


def _state(
    study: StudyOverview,
    evidence: tuple[Evidence, ...],
    made: Sequence[MadeResult],
    sent: Sequence[Sent],
    by_subject: Mapping[str, Sequence[WorkState]],
) -> StudyState:
    newest = {each.analysis: each.key for each in made}
    own = list(by_subject.get(study.study_instance_uid, ()))
    # What a later report has replaced need not arrive any more.
    own += [work for key in newest.values() for work in by_subject.get(key, ())]
    work = tuple(
        each
        for each in own
        if is_active(each) or not _is_settled(each, _later(each, own), evidence, made, sent)
    )
    results = tuple(
        ResultState(each, newest[each.analysis] == each.key, _deliveries(each, sent, work))
        for each in made
    )
    return StudyState(study, _stage(study, evidence, results, work), evidence, results, work)


def is_active(work: WorkState) -> bool:
    """Whether work waits or runs; otherwise it is parked."""
    return work.state in (DELAYED, ENQUEUED, PENDING)


def _later(work: WorkState, own: Sequence[WorkState]) -> bool:
    """Whether the same was begun once more after this."""
    return any(
        each.name == work.name
        and each.arguments[:2] == work.arguments[:2]
        and each.created_at > work.created_at
        for each in own
    )


def _is_settled(
    failed: WorkState,
    is_begun_anew: bool,
    evidence: Sequence[Evidence],
    made: Sequence[MadeResult],
    sent: Sequence[Sent],
) -> bool:
    """Whether something later has done what the failed work was for."""
    if is_begun_anew:
        return True
    if failed.name == "analyse":
        return any(
            each.key == failed.arguments[-1]
            or (each.analysis == analysis_of(failed) and each.made_at > failed.updated_at)
            for each in made
        )
    if failed.name == "deliver":
        return any(
            each.result_key == subject_of(failed)
            and each.destination == destination_of(failed)
            and (each.confirmed_at is not None or each.delivered_at > failed.updated_at)
            for each in sent
        )
    return any(each.decided_at > failed.updated_at for each in evidence)


def _deliveries(
    made: MadeResult, sent: Sequence[Sent], work: Sequence[WorkState]
) -> tuple[Delivery, ...]:
    found = {
        each.destination: Delivery(
            each.destination,
            DeliveryStage.CONFIRMED if each.confirmed_at else DeliveryStage.SENT,
            each.confirmation,
            each.delivered_at,
        )
        for each in sent
        if each.result_key == made.key
    }
    for each in work:
        if each.name != "deliver" or subject_of(each) != made.key:
            continue
        name = destination_of(each)
        if not is_active(each):
            found[name] = Delivery(name, DeliveryStage.PARKED, each.reason, each.updated_at)
        elif name in found:
            if found[name].stage is DeliveryStage.SENT:
                found[name] = replace(found[name], detail=_waiting_reason(each))
        else:
            stage = DeliveryStage.RETRYING if each.reason else DeliveryStage.QUEUED
            found[name] = Delivery(name, stage, _waiting_reason(each), each.not_before)
    return tuple(found.values())


def _waiting_reason(work: WorkState) -> str | None:
    return work.reason.removeprefix("waiting: ") if work.reason else None


def _stage(
    study: StudyOverview,
    evidence: Sequence[Evidence],
    results: Sequence[ResultState],
    work: Sequence[WorkState],
) -> Stage:
    """The first that applies; what needs a person comes before all else."""
    states = {(each.name, each.state) for each in work}
    if any(not is_active(each) for each in work):
        return Stage.PARKED
    if ("analyse", PENDING) in states:
        return Stage.MEASURING
    if states & {("analyse", ENQUEUED), ("complete", ENQUEUED), ("complete", PENDING)}:
        return Stage.WAITING
    if ("complete", DELAYED) in states:
        return Stage.RECEIVING
    if any(each.name == "deliver" for each in work):
        return Stage.DELIVERING
    return _stage_at_rest(study, evidence, results)


def _stage_at_rest(
    study: StudyOverview, evidence: Sequence[Evidence], results: Sequence[ResultState]
) -> Stage:
    if study.is_only_prior:
        return Stage.PRIOR
    statuses = {each.made.status for each in results if each.is_newest}
    if Status.FAILED in statuses:
        return Stage.FAILED
    if Status.MEASURED in statuses:
        return Stage.DONE
    if statuses:
        return Stage.REFUSED
    if study.arrived and all(each.reason is not None for each in study.arrived):
        return Stage.UNUSABLE
    return Stage.NOTHING_TO_MEASURE if evidence or not study.arrived else Stage.WAITING
