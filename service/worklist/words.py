"""Orders and performed steps in words for a person, and as JSON for scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from dicom_nodes.network.mpps_scp import StepState
from service.catalogue.orders import RecordedOrder
from service.catalogue.performed_steps import KeptStep
from service.catalogue.worklist import Asked, KeptItem, step_as_json
from service.display import ago, clock, shown
from service.worklist.correction import CorrectionKind
from service.worklist.matching import Outcome

_LONGEST = 400


def order_as_text(order: RecordedOrder) -> str:
    """Which order a study belongs to, by what, and what was changed."""
    match order.outcome:
        case Outcome.MATCHED:
            return shown(f"{order.reason}; {_correction_as_text(order)}", _LONGEST)
        case Outcome.NONE:
            return shown(f"none: {order.reason}", _LONGEST)
        case _:
            return shown(f"not taken ({order.outcome}): {order.reason}", _LONGEST)


def is_open(order: RecordedOrder) -> bool:
    """Whether a person should look: an order may be this study's, but is not certain."""
    return order.outcome in (Outcome.AMBIGUOUS, Outcome.MISMATCH)


def _correction_as_text(order: RecordedOrder) -> str:
    match order.correction:
        case CorrectionKind.COPIES:
            assert order.step is not None
            return (
                "corrected copies and the results are in the order's study "
                f"{order.step.study_instance_uid}, what was received is unchanged"
            )
        case CorrectionKind.RESULTS:
            return "the results carry its identifiers, what was received is unchanged"
        case _:
            return "nothing was changed"


def step_as_text(kept: KeptStep) -> str:
    """How a performed step stands: ``STUDIO1: COMPLETED, 4 instances listed``."""
    step = kept.step
    said = f"{step.station_ae_title or 'a modality'}: {step.state}"
    if step.state is StepState.DISCONTINUED:
        said += f" ({step.reason or 'no reason was given'}); it starts nothing"
    if step.instances:
        said += f", {len(step.instances)} instances listed"
    return shown(said, _LONGEST)


def asked_as_text(asked: Asked, now: datetime) -> str:
    """What came of asking a worklist last."""
    answered = f"answered {ago(asked.answered_at, now)}" if asked.answered_at else "never answered"
    if asked.fault is not None:
        return shown(
            f"{asked.source} cannot be asked, tried {ago(asked.asked_at, now)}: {asked.fault} "
            f"({answered})",
            _LONGEST,
        )
    left_out = f", {len(asked.rejected)} could not be used" if asked.rejected else ""
    return shown(f"{asked.source} {answered}: {asked.items} scheduled steps{left_out}", _LONGEST)


def worklist_as_json(
    items: Sequence[KeptItem],
    arrived: Mapping[str, Sequence[str]],
    asked: Sequence[Asked],
    performed: Sequence[KeptStep],
) -> dict[str, Any]:
    """What is scheduled, what of it arrived, and what modalities say, for scripts."""
    return {
        "schema": 1,
        "worklists": [
            {
                "name": each.source,
                "asked_at": each.asked_at.isoformat(),
                "answered_at": each.answered_at.isoformat() if each.answered_at else None,
                "items": each.items,
                "fault": each.fault,
                "rejected": list(each.rejected),
            }
            for each in asked
        ],
        "scheduled": [
            {
                **step_as_json(each.step),
                "source": each.source,
                "seen_at": each.seen_at.isoformat(),
                "has_left": has_left(each, asked),
                "studies": list(arrived.get(each.step.study_instance_uid, ())),
            }
            for each in items
        ],
        "performed": [performed_as_json(each) for each in performed],
    }


def performed_as_json(kept: KeptStep) -> dict[str, Any]:
    """A performed step, for scripts."""
    step = kept.step
    return {
        "sop_instance_uid": step.sop_instance_uid,
        "state": step.state.value,
        "studies": list(step.study_instance_uids),
        "station_ae_title": step.station_ae_title,
        "patient_id": step.patient_id,
        "patient_name": step.patient_name,
        "began": step.began,
        "ended": step.ended,
        "reason": step.reason,
        "instances": len(step.instances),
        "changed_at": kept.changed_at.isoformat(),
    }


def order_as_json(order: RecordedOrder | None) -> dict[str, Any] | None:
    """What came of looking for a study's order, for scripts."""
    if order is None:
        return None
    return {
        "outcome": order.outcome,
        "by": order.found_by,
        "reason": order.reason,
        "correction": order.correction,
        "accession_number": order.step.accession_number if order.step else None,
        "study_instance_uid": order.step.study_instance_uid if order.step else None,
        "decided_at": order.decided_at.isoformat(),
    }


def has_left(item: KeptItem, asked: Sequence[Asked]) -> bool:
    """Whether the last answer of its worklist did not have the step any more."""
    answered = {each.source: each.answered_at for each in asked}.get(item.source)
    return answered is not None and item.seen_at < answered


def when_as_text(item: KeptItem) -> str:
    """Day and time of a scheduled step: ``2026-11-21 08:00``."""
    date, time = item.step.start_date, item.step.start_time
    day = f"{date[:4]}-{date[4:6]}-{date[6:]}" if len(date) == 8 else date
    return shown(f"{day} {time[:2]}:{time[2:4]}" if len(time) >= 4 else day)


def changed_as_text(kept: KeptStep, now: datetime) -> str:
    """When the node was told of a step last."""
    return clock(kept.changed_at, now)
