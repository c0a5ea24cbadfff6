"""What ``hemiface study why-not`` says: why a study has no result (yet), and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from processing.measurement import Status
from service.analyses import ANALYSES
from service.study_explanation import (
    contents_as_text,
    delivery_as_text,
    explanation,
    parked_as_text,
    unusable_reasons,
)
from service.study_state import DeliveryStage, Stage, StudyState


def reasons_for_no_result(state: StudyState, now: datetime) -> list[str]:
    """Whole sentences, the most important first; never empty."""
    return [*_under_way(state, now), *_at_rest(state, now), *_deliveries(state, now)] or [
        f"Nothing is missing: {explanation(state, now)}."
    ]


def _under_way(state: StudyState, now: datetime) -> Iterator[str]:
    for each in state.parked:
        yield (
            f"{_sentence(parked_as_text(each))} Mend the cause, then run "
            f"`hemiface study re-run {state.study.study_instance_uid}`."
        )
    match state.stage:
        case Stage.RECEIVING:
            yield f"It is still being received: {explanation(state, now)}."
        case Stage.WAITING if not state.work:
            yield (
                "It has arrived, but no work is planned for it. If that lasts longer than a "
                f"minute, run `hemiface study re-run {state.study.study_instance_uid}`."
            )
        case Stage.WAITING:
            yield (
                f"It {explanation(state, now)}. If that lasts, look whether "
                "`hemiface serve` runs with a worker."
            )
        case Stage.MEASURING:
            yield f"It is being measured now: {explanation(state, now)}."
        case _:
            return


def _at_rest(state: StudyState, now: datetime) -> Iterator[str]:
    for result in state.results:
        if result.is_newest and result.made.status != Status.MEASURED:
            verb = "failed" if result.made.status == Status.FAILED else "refused"
            yield f"{result.made.analysis} {verb}: {_sentence(result.made.reason or '')}"
    for count, reason in unusable_reasons(state.study):
        yield f"{count} of its objects cannot be used: {_sentence(reason)}"
    if state.stage in (Stage.NOTHING_TO_MEASURE, Stage.RECEIVING, Stage.UNUSABLE):
        yield f"What is here: {contents_as_text(state.study)}. What the analyses want:"
        for entry in ANALYSES.values():
            if entry.declared is not None:
                yield f"  {entry.name}: {entry.declared}"


def _deliveries(state: StudyState, now: datetime) -> Iterator[str]:
    for result in state.results:
        if not result.is_newest:
            continue
        if not result.deliveries and state.stage in (Stage.DONE, Stage.REFUSED, Stage.FAILED):
            senders = dict.fromkeys(each.calling_ae_title for each in state.study.arrived)
            yield (
                f"{result.made.analysis} has its result, but it was sent nowhere: no destination "
                f"is set for {', '.join(senders)}. Add one with that AE title under "
                "[[delivery.destinations]], or name one in delivery.always_to, then run "
                f"`hemiface study re-run {state.study.study_instance_uid}`."
            )
        for each in result.deliveries:
            if each.stage in (DeliveryStage.RETRYING, DeliveryStage.QUEUED):
                yield f"{result.made.analysis} has its result: {delivery_as_text(each, now)}."


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
