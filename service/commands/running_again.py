"""What ``hemiface study re-run`` begins: the analyses without a result, and missing deliveries."""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime

from processing.measurement import RejectedInput, Status
from service.analyses import instance_of
from service.catalogue import step_events
from service.catalogue.database import Database
from service.catalogue.studies import known_study
from service.settings import Settings
from service.study_state import (
    DeliveryStage,
    ResultState,
    StudyState,
    is_active,
    subject_of,
)
from service.workflow import completion
from service.workflow.engine import EngineClient
from service.workflow.routing import destination_names
from service.worklist.assigning import ordered


@dataclass(slots=True)
class Begun:
    """Identifiers of the work that was begun, and what was done or not, for a person."""

    work: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, identifier: str, note: str) -> None:
        """Take down work that was begun."""
        self.work.append(identifier)
        self.notes.append(note)


def run_again(
    settings: Settings,
    database: Database,
    engine: EngineClient,
    state: StudyState,
    analysis: str | None,
) -> Begun:
    """Begin what is missing for a study.

    Parameters
    ----------
    settings : Settings
    database : Database
    engine : EngineClient
    state : StudyState
    analysis : str, optional
        Only this analysis.

    Raises
    ------
    RejectedInput
        If the study has nothing for this analysis.
    """
    study = known_study(database, state.study.study_instance_uid)
    assert study is not None  # its state has just been asked
    order = ordered(database, study.study_instance_uid)
    plan = completion.plan(study, settings, datetime.now(UTC), ordered=order)
    jobs = [each for each in plan.jobs if analysis in (None, each.analysis)]
    if not jobs:
        raise RejectedInput(
            f"there is nothing in this study for {analysis or 'any analysis'}; "
            f"`hemiface study why-not {study.study_instance_uid}` says what there is"
        )
    begun = Begun()
    made = {each.made.key: each for each in state.results}
    for job in jobs:
        if job.key in made:
            _deliver_what_is_missing(settings, engine, state, made[job.key], begun)
        elif _is_under_way(state, job.key):
            begun.notes.append(f"{job.analysis} is under way already")
        else:
            step_events.want_anyway(database, {instance_of(each) for each in job.inputs})
            identifier = engine.analyse_again(
                study.study_instance_uid, job.analysis, job.inputs, job.key
            )
            begun.add(identifier, f"{job.analysis} is begun again")
    for result in _verified(state, {job.key for job in jobs}):
        _send_what_is_missing(settings, engine, state, result, begun)
    return begun


def _verified(state: StudyState, keys: Set[str]) -> Iterator[ResultState]:
    """Verified versions of the results with these keys: no inputs make them."""
    reports = {each.report_uid for each in state.results if each.made.key in keys}
    for each in state.results:
        if each.made.predecessor_uid in reports and each.made.key not in keys:
            yield each


def _is_under_way(state: StudyState, key: str) -> bool:
    return any(
        each.name == "analyse" and is_active(each) and each.arguments[-1] == key
        for each in state.work
    )


def _deliver_what_is_missing(
    settings: Settings,
    engine: EngineClient,
    state: StudyState,
    result: ResultState,
    begun: Begun,
) -> None:
    begun.notes.append(_why_not_measured_again(result))
    _send_what_is_missing(settings, engine, state, result, begun)


def _send_what_is_missing(
    settings: Settings,
    engine: EngineClient,
    state: StudyState,
    result: ResultState,
    begun: Begun,
) -> None:
    made = result.made
    for name in _missing(settings, state, result):
        identifier = engine.deliver_again(made.key, name)
        begun.add(identifier, f"{made.analysis} is sent to {name} again")


def _missing(settings: Settings, state: StudyState, result: ResultState) -> Iterator[str]:
    """Destinations that neither have the result nor are about to get it."""
    stages = {each.destination: each.stage for each in result.deliveries}
    senders = (each.calling_ae_title for each in state.study.contents)
    wanted = destination_names(senders, settings.delivery)
    active = {
        each.arguments[1]
        for each in state.work
        if each.name == "deliver" and is_active(each) and subject_of(each) == result.made.key
    }
    parked = [name for name, stage in stages.items() if stage is DeliveryStage.PARKED]
    for name in dict.fromkeys([*wanted, *parked]):
        has_it = stages.get(name) in (DeliveryStage.CONFIRMED, DeliveryStage.SENT)
        if not has_it and name not in active:
            yield name


def _why_not_measured_again(result: ResultState) -> str:
    """Content-keyed: the same inputs and the same version make the same report."""
    made = result.made
    if made.status == Status.FAILED:
        return (
            f"{made.analysis} {made.version} failed on these inputs ({made.reason}); it is "
            "measured again when another input comes, or with another version"
        )
    return (
        f"{made.analysis} {made.version} has a result for these inputs ({made.status}); "
        "measuring them again would make the same report"
    )
