"""Steps that orders by HL7 schedule, change and remove, in the order in which they were said.

What was scheduled stands beside what worklists answered (`service.catalogue.worklist`).
Here is what tells a repeated message and a late one: neither may undo a later change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from dicom_nodes.network.worklist_scu import ScheduledStep
from service.catalogue.database import Database
from service.catalogue.models import OrderMessage, OrderState, WorklistItem
from service.catalogue.worklist import MOST_ITEMS, ORDERS, drop_past, is_item, keep_step

MOST_KEPT: Final = 100_000
_PRUNED_EVERY: Final = 100


class Applied(Enum):
    """What became of a message."""

    CHANGED = "changed"
    REPEATED = "repeated"
    OLDER = "older"
    UNKNOWN = "unknown"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class OrderedStep:
    """A step as an order schedules it, with the order's numbers at placer and filler."""

    placer_number: str
    filler_number: str
    step: ScheduledStep


@dataclass(frozen=True, slots=True)
class OrderName:
    """What names the steps of an order that is cancelled.

    Without a Study Instance UID all steps of the order's numbers, without a step ID
    all of its study.
    """

    placer_number: str
    filler_number: str
    study_instance_uid: str
    step_id: str


@dataclass(frozen=True, slots=True)
class OrderChange:
    """What a message says: who said it, when, and what it schedules and removes."""

    sender: str
    control_id: str
    said_at: datetime
    scheduled: tuple[OrderedStep, ...]
    removed: tuple[OrderName, ...]


def apply_change(database: Database, change: OrderChange, digest: str, keep_days: int) -> Applied:
    """Schedule and remove what a message says; all of it is committed, or nothing.

    To be called by one thread of the node at a time.

    Parameters
    ----------
    database : Database
    change : OrderChange
    digest : str
        Of the message's bytes: control IDs may begin anew after a restart of the sender.
    keep_days : int
        How long past steps, and what is known of messages, are kept.

    Returns
    -------
    Applied
        OLDER where every step was changed by a later message, UNKNOWN where what is
        to be removed is not known, FULL where no more steps may be scheduled; nothing
        is changed then.
    """
    now = datetime.now(UTC)
    with database.turn(), database.sessions() as session:
        if _is_repeated(session, change, digest):
            return Applied.REPEATED
        drop_past(session, _day(now) - timedelta(days=keep_days))
        outcomes = [_schedule(session, change, each, now) for each in change.scheduled]
        outcomes += [_remove(session, change, each, now) for each in change.removed]
        for refusal in (Applied.FULL, Applied.UNKNOWN):
            if refusal in outcomes:
                return refusal
        message = OrderMessage(
            sender=change.sender, control_id=change.control_id, digest=digest, received_at=now
        )
        session.add(message)
        session.flush()
        if message.id % _PRUNED_EVERY == 0:
            _prune(session, now - timedelta(days=keep_days))
        session.commit()
    return Applied.OLDER if outcomes and set(outcomes) == {Applied.OLDER} else Applied.CHANGED


def _is_repeated(session: Session, change: OrderChange, digest: str) -> bool:
    query = sa.select(OrderMessage.id).where(
        OrderMessage.sender == change.sender,
        OrderMessage.control_id == change.control_id,
        OrderMessage.digest == digest,
    )
    return session.scalar(query) is not None


def _schedule(
    session: Session, change: OrderChange, ordered: OrderedStep, now: datetime
) -> Applied:
    step = ordered.step
    state = _state(session, step.study_instance_uid, step.step_id)
    if state is not None and state.said_at > change.said_at:
        return Applied.OLDER
    if _is_full(session, step):
        return Applied.FULL
    _note(session, change, state, ordered, now)
    keep_step(session, ORDERS, step, now)
    return Applied.CHANGED


def _remove(session: Session, change: OrderChange, name: OrderName, now: datetime) -> Applied:
    known = _states_of(session, change, name)
    if not known and name.study_instance_uid:
        # What schedules it may come late.
        step = ScheduledStep(name.study_instance_uid, name.step_id, patient_id="")
        _note(session, change, None, OrderedStep(name.placer_number, name.filler_number, step), now)
        return Applied.CHANGED
    if not known:
        return Applied.UNKNOWN
    current = [each for each in known if each.said_at <= change.said_at]
    for state in current:
        state.said_at, state.changed_at = change.said_at, now
        session.execute(
            sa.delete(WorklistItem).where(*is_item(ORDERS, state.study_instance_uid, state.step_id))
        )
    return Applied.CHANGED if current else Applied.OLDER


def _state(session: Session, study_instance_uid: str, step_id: str) -> OrderState | None:
    return session.scalar(
        sa.select(OrderState).where(
            OrderState.study_instance_uid == study_instance_uid, OrderState.step_id == step_id
        )
    )


def _states_of(session: Session, change: OrderChange, name: OrderName) -> Sequence[OrderState]:
    query = sa.select(OrderState)
    if name.study_instance_uid:
        query = query.where(OrderState.study_instance_uid == name.study_instance_uid)
        if name.step_id:
            query = query.where(OrderState.step_id == name.step_id)
    else:
        # Numbers are unique within one sender only.
        query = query.where(OrderState.sender == change.sender)
        if name.filler_number:
            query = query.where(OrderState.filler_number == name.filler_number)
        else:
            query = query.where(OrderState.placer_number == name.placer_number)
    return session.scalars(query).all()


def _note(
    session: Session,
    change: OrderChange,
    state: OrderState | None,
    ordered: OrderedStep,
    now: datetime,
) -> None:
    if state is None:
        state = OrderState(
            study_instance_uid=ordered.step.study_instance_uid, step_id=ordered.step.step_id
        )
        session.add(state)
    state.sender = change.sender
    state.placer_number, state.filler_number = ordered.placer_number, ordered.filler_number
    state.said_at, state.changed_at = change.said_at, now
    session.flush()


def _is_full(session: Session, step: ScheduledStep) -> bool:
    """Whether another step may not be scheduled: what was acknowledged is never pushed out."""
    is_kept = session.scalar(
        sa.select(WorklistItem.id).where(*is_item(ORDERS, step.study_instance_uid, step.step_id))
    )
    count = sa.select(sa.func.count(WorklistItem.id)).where(WorklistItem.source == ORDERS)
    return is_kept is None and (session.scalar(count) or 0) >= MOST_ITEMS


def _prune(session: Session, oldest: datetime) -> None:
    """Forget messages and removed steps that are so old that a repeat is refused anyway."""
    session.execute(sa.delete(OrderMessage).where(OrderMessage.received_at < oldest))
    newest = session.scalar(sa.select(sa.func.max(OrderMessage.id))) or 0
    session.execute(sa.delete(OrderMessage).where(OrderMessage.id <= newest - MOST_KEPT))
    is_scheduled = sa.exists().where(
        WorklistItem.source == ORDERS,
        WorklistItem.study_instance_uid == OrderState.study_instance_uid,
        WorklistItem.step_id == OrderState.step_id,
    )
    session.execute(
        sa.delete(OrderState).where(OrderState.changed_at < oldest, ~is_scheduled),
        execution_options={"synchronize_session": False},
    )


def _day(now: datetime) -> date:
    return now.astimezone().date()
