"""How a study stands, in words for a person."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from processing.measurement import Status
from service.catalogue.overviews import StudyOverview
from service.display import clock, shown, until
from service.study_state import (
    PENDING,
    Delivery,
    DeliveryStage,
    Stage,
    StudyState,
    analysis_of,
    destination_of,
    is_active,
)
from service.workflow.engine import WorkState

_LONGEST: Final = 400
# Of how many kinds of content, or of reasons, a sentence speaks.
_MOST_NAMED: Final = 5


def explanation(state: StudyState, now: datetime) -> str:
    """Why the stage of a study is what it is, in one line."""
    return shown(_EXPLANATIONS[state.stage](state, now), _LONGEST)


def contents_as_text(study: StudyOverview) -> str:
    """What has arrived: ``2 × XC frontal smile, 1 × M3D``."""
    counted: dict[str, int] = {}
    for each in study.arrived:
        kind = " ".join(
            filter(None, (each.modality or "unnamed modality", each.view, each.expression))
        )
        counted[kind] = counted.get(kind, 0) + each.instances
    named = [f"{count} × {shown(kind, 40)}" for kind, count in counted.items()]
    if len(named) > _MOST_NAMED:
        named = [*named[:_MOST_NAMED], f"and {len(named) - _MOST_NAMED} other kinds"]
    return ", ".join(named) or "nothing"


def unusable_reasons(study: StudyOverview) -> list[tuple[int, str]]:
    """Why instances of the study cannot be used: how many, and the reason."""
    counted: dict[str, int] = {}
    for each in study.arrived:
        if each.reason is not None:
            counted[each.reason] = counted.get(each.reason, 0) + each.instances
    return [(count, reason) for reason, count in counted.items()]


def delivery_as_text(delivery: Delivery, now: datetime) -> str:
    """How a delivery stands: ``sent to PACS at 14:05:12; C-FIND lists all 2 objects``."""
    name = shown(delivery.destination, 40)
    at = clock(delivery.at, now) if delivery.at else "an unknown time"
    match delivery.stage:
        case DeliveryStage.CONFIRMED:
            return f"{name} has it since {at}: {delivery.detail}"
        case DeliveryStage.SENT:
            reason = f": {delivery.detail}" if delivery.detail else ""
            return f"sent to {name} at {at}, not confirmed yet{reason}"
        case DeliveryStage.RETRYING:
            due = until(delivery.at, now) if delivery.at else "now"
            return f"not at {name} yet: {delivery.detail}; tried again {due}"
        case DeliveryStage.PARKED:
            return f"delivery to {name} is parked: {delivery.detail}"
        case DeliveryStage.QUEUED:
            return f"on its way to {name}"


def parked_as_text(work: WorkState) -> str:
    """What is parked, and why."""
    reason = work.reason or f"the engine says {work.state.lower().replace('_', ' ')}"
    match work.name:
        case "analyse":
            return f"{analysis_of(work)} is parked: {reason}"
        case "deliver":
            return f"delivery to {shown(destination_of(work), 40)} is parked: {reason}"
        case _:
            return f"completion is parked: {reason}"


def _receiving(state: StudyState, now: datetime) -> str:
    due = until(state.looked_at_next or now, now)
    return f"{contents_as_text(state.study)} so far; measured {due} if nothing more comes"


def _waiting(state: StudyState, now: datetime) -> str:
    if not state.work:
        return "not looked at yet, and no work is planned; if that lasts, run it again"
    return f"waits for a free worker since {clock(min(_active_since(state.work)), now)}"


def _measuring(state: StudyState, _now: datetime) -> str:
    running = {
        analysis_of(each) for each in state.work if each.name == "analyse" and each.state == PENDING
    }
    return f"{', '.join(sorted(running))} is being measured"


def _delivering(state: StudyState, now: datetime) -> str:
    settled = (DeliveryStage.CONFIRMED, DeliveryStage.PARKED)
    texts = [
        delivery_as_text(each, now)
        for each in _newest_deliveries(state)
        if each.stage not in settled
    ]
    return "; ".join(dict.fromkeys(texts)) or "the delivery is being confirmed"


def _done(state: StudyState, _now: datetime) -> str:
    return f"measured; {_where_it_went(state)}"


def _refused(state: StudyState, _now: datetime) -> str:
    reasons = _reasons(state, Status.REFUSED).removesuffix(".")
    return f"{reasons}. Report: {_where_it_went(state)}"


def _failed(state: StudyState, _now: datetime) -> str:
    return _reasons(state, Status.FAILED)


def _parked(state: StudyState, _now: datetime) -> str:
    return "; ".join(dict.fromkeys(parked_as_text(each) for each in state.parked))


def _nothing_to_measure(state: StudyState, _now: datetime) -> str:
    if not state.study.arrived:
        return "holds only what this node made"
    return f"no analysis wants what is here: {contents_as_text(state.study)}"


def _prior(_state: StudyState, _now: datetime) -> str:
    return "fetched as a prior of another study; measured when it is sent to this node itself"


def _unusable(state: StudyState, _now: datetime) -> str:
    reasons = unusable_reasons(state.study)
    said = [f"{count} × {reason}" for count, reason in reasons[:_MOST_NAMED]]
    return f"none of its objects can be used: {'; '.join(said)}"


def _where_it_went(state: StudyState) -> str:
    by_stage: dict[DeliveryStage, list[str]] = {}
    for each in _newest_deliveries(state):
        names = by_stage.setdefault(each.stage, [])
        if each.destination not in names:
            names.append(each.destination)
    said = [
        f"{word} {shown(', '.join(by_stage[stage]))}"
        for stage, word in (
            (DeliveryStage.CONFIRMED, "confirmed by"),
            (DeliveryStage.SENT, "sent to"),
        )
        if stage in by_stage
    ]
    return ", ".join(said) or f"kept here: no destination is set for {_senders(state.study)}"


def _senders(study: StudyOverview) -> str:
    names = dict.fromkeys(each.calling_ae_title for each in study.arrived)
    return f"the sender {shown(', '.join(names))}"


def _reasons(state: StudyState, status: Status) -> str:
    reasons = [
        each.made.reason or "no reason was recorded"
        for each in state.results
        if each.is_newest and each.made.status == status
    ]
    return "; ".join(dict.fromkeys(reasons))


def _newest_deliveries(state: StudyState) -> Iterator[Delivery]:
    for result in state.results:
        if result.is_newest:
            yield from result.deliveries


def _active_since(work: Sequence[WorkState]) -> Iterator[datetime]:
    return (each.created_at for each in work if is_active(each))


_EXPLANATIONS: Final[Mapping[Stage, Callable[[StudyState, datetime], str]]] = {
    Stage.RECEIVING: _receiving,
    Stage.WAITING: _waiting,
    Stage.MEASURING: _measuring,
    Stage.DELIVERING: _delivering,
    Stage.DONE: _done,
    Stage.REFUSED: _refused,
    Stage.FAILED: _failed,
    Stage.PARKED: _parked,
    Stage.NOTHING_TO_MEASURE: _nothing_to_measure,
    Stage.UNUSABLE: _unusable,
    Stage.PRIOR: _prior,
}
