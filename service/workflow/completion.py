"""Whether a study is complete, by which evidence, and which analyses that starts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from dicom_nodes.objects.content_keyed_uids import content_key
from service.analyses import ANALYSES
from service.analysis_entry import AnalysisEntry, CandidateInput
from service.catalogue.studies import KnownInstance, KnownStudy
from service.settings import CompletionSettings, Settings, UrgencyRule, WorkSettings
from service.workflow.performed_steps import NOTHING_PERFORMED, Performed, Standing
from service.worklist.assigning import NOT_ORDERED, Ordered

SETTLE_SECONDS: Final = 2.0


class Evidence(StrEnum):
    """What shows that a study is complete; the first that proves it wins."""

    PERFORMED_STEP = "performed procedure step"
    DECLARED_INPUTS = "declared inputs"
    STOW_REQUEST = "STOW request"
    PROCEDURE_STEP = "unified procedure step"
    QUIET_TIME = "quiet time"
    HARD_MAXIMUM = "hard maximum"


@dataclass(frozen=True, slots=True)
class Declaration:
    """That somebody who should know has said that a study is complete."""

    evidence: Evidence
    detail: str


@dataclass(frozen=True, slots=True)
class Job:
    """One analysis on one set of inputs; `key` is the content key of its result."""

    analysis: str
    inputs: tuple[str, ...]
    key: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Why a study counts as complete now, and what that starts."""

    evidence: Evidence
    detail: str
    inputs_key: str
    jobs: tuple[Job, ...]
    urgent: bool


def has_declared_inputs(study: KnownStudy) -> bool:
    """Whether every analysis has all the inputs that it declares."""
    usable = _usable(study)
    return all(
        entry.is_complete([each for each in usable if entry.wants(each)])
        for entry in ANALYSES.values()
    )


def plan(
    study: KnownStudy,
    settings: Settings,
    now: datetime,
    performed: Performed = NOTHING_PERFORMED,
    declaration: Declaration | None = None,
    ordered: Ordered = NOT_ORDERED,
) -> Plan:
    """The plan for a study whose time to be measured has come.

    It is asked for when the inputs are there, when somebody has declared the study
    complete, or when the debounced wait is over; which of these, and for how
    long, is worked out from the study itself. `ordered` is what its order means for it.
    """
    evidence, detail = _evidence(study, settings.completion, now, performed, declaration)
    jobs = tuple(
        job
        for entry in ANALYSES.values()
        if (job := _job(entry, _usable(study), settings, ordered.key)) is not None
    )
    return Plan(
        evidence=evidence,
        detail=detail,
        inputs_key=content_key(
            [each.sop_instance_uid for each in study.instances if not each.own and not each.prior],
            "study",
            "1",
        ),
        jobs=jobs,
        urgent=is_urgent(study, settings.work, ordered.priority),
    )


def is_urgent(study: KnownStudy, work: WorkSettings, order_priority: str = "") -> bool:
    """Whether the study overtakes others: by its Requested Procedure Priority, or by a rule.

    The priority is that of its headers, or of its order.
    """
    if {study.priority.upper(), order_priority.upper()} & set(work.urgent_priorities):
        return True
    return any(_matches(rule, study) for rule in work.urgency_rules)


def _evidence(
    study: KnownStudy,
    completion: CompletionSettings,
    now: datetime,
    performed: Performed,
    declaration: Declaration | None,
) -> tuple[Evidence, str]:
    if performed.standing is Standing.COMPLETE:
        return Evidence.PERFORMED_STEP, performed.detail
    if completion.start_on_declared_inputs and has_declared_inputs(study):
        declared = "; ".join(
            f"{entry.name}: {entry.declared}" for entry in ANALYSES.values() if entry.declared
        )
        return Evidence.DECLARED_INPUTS, f"all declared inputs are there ({declared})"
    # While the modality says that it goes on, more is to come whatever else is said.
    is_going_on = performed.standing is Standing.WAITING
    if declaration is not None and not is_going_on:
        return declaration.evidence, declaration.detail
    is_quiet = now - study.last_arrival >= timedelta(seconds=completion.quiet_seconds)
    if is_quiet and not is_going_on:
        return Evidence.QUIET_TIME, f"nothing came for {completion.quiet_seconds:g} s"
    # A study that was a prior before is here for longer than anybody waits for it.
    first_arrival = min(
        (each.received_at for each in study.instances if not each.prior),
        default=study.first_arrival,
    )
    return (
        Evidence.HARD_MAXIMUM,
        f"the first instance came {(now - first_arrival).total_seconds():.0f} s ago "
        f"(the maximum is {completion.maximum_seconds:g} s)"
        + (f"; {performed.detail}" if performed.standing is Standing.WAITING else ""),
    )


def _job(
    entry: AnalysisEntry, usable: Sequence[CandidateInput], settings: Settings, order_key: str
) -> Job | None:
    inputs = tuple(sorted(each.sop_instance_uid for each in entry.inputs_among(usable)))
    if not inputs:
        return None
    choices = entry.choices(settings)
    # Without an order the key is that of former versions, so that no result is made anew.
    edits = json.dumps([choices, order_key]) if order_key else choices
    key = content_key(inputs, entry.name, entry.version, edits)
    return Job(entry.name, inputs, key)


def _usable(study: KnownStudy) -> list[CandidateInput]:
    """What may be measured; a prior that came for another study's sake is not, of its own."""
    return [
        _candidate(each)
        for each in study.instances
        if each.reason is None and not each.own and not each.prior
    ]


def _candidate(instance: KnownInstance) -> CandidateInput:
    return CandidateInput(
        instance.sop_instance_uid, instance.sop_class_uid, instance.modality, instance.header
    )


def _matches(rule: UrgencyRule, study: KnownStudy) -> bool:
    given: list[bool] = []
    if rule.calling_ae_title is not None:
        given.append(
            any(each.calling_ae_title == rule.calling_ae_title for each in study.instances)
        )
    if rule.modality is not None:
        given.append(any(each.modality == rule.modality for each in study.instances))
    if rule.study_description_contains is not None:
        given.append(rule.study_description_contains.lower() in study.description.lower())
    return bool(given) and all(given)
