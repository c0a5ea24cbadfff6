"""Scheduled procedures as worklists described them; old ones go."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, date, datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from dicom_nodes.network.worklist_scu import ScheduledStep
from service.catalogue.database import Database
from service.catalogue.models import Patient, Study, WorklistItem, WorklistSource

MOST_ITEMS: Final = 20_000
ORDERS: Final = "HL7 orders"
"""The source of what orders by HL7 schedule; see `service.catalogue.ordered_steps`."""

_STEPS_AT_ONCE: Final = 500
_FIELDS: Final = frozenset(each.name for each in fields(ScheduledStep))


@dataclass(frozen=True, slots=True)
class KeptItem:
    """A scheduled step, where it came from, and when it was seen first and last."""

    source: str
    step: ScheduledStep
    first_seen_at: datetime
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class Asked:
    """When a worklist was asked last, and what came of it."""

    source: str
    asked_at: datetime
    answered_at: datetime | None
    items: int
    fault: str | None
    rejected: tuple[str, ...]


def record_answer(
    database: Database,
    source: str,
    steps: Sequence[ScheduledStep],
    rejected: Sequence[str],
    oldest_day: date,
) -> list[ScheduledStep]:
    """Keep what a worklist answered, and drop what is older than `oldest_day`.

    Returns
    -------
    list of ScheduledStep
        Those that are new or say something else than before.
    """
    now = datetime.now(UTC)
    with database.sessions.begin() as session:
        changed = [each for each in steps if keep_step(session, source, each, now)]
        drop_past(session, oldest_day)
        _drop_too_many(session)
        _note(session, source, now, answered_at=now, items=len(steps), rejected=list(rejected))
    return changed


def record_fault(database: Database, source: str, fault: str) -> None:
    """Note that a worklist could not be asked; what it said before stays."""
    with database.sessions.begin() as session:
        _note(session, source, datetime.now(UTC), fault=fault)


def candidates(
    database: Database,
    study_instance_uid: str,
    accession_numbers: Collection[str],
    patient_ids: Collection[str],
) -> list[ScheduledStep]:
    """The steps that may be of a study: of its UID, its accession number or its patient."""
    query = sa.select(WorklistItem).where(
        sa.or_(
            WorklistItem.study_instance_uid == study_instance_uid,
            WorklistItem.accession_number.in_([each for each in accession_numbers if each]),
            WorklistItem.patient_id.in_(patient_ids),
        )
    )
    with database.sessions() as session:
        return [step_of(row.step) for row in session.scalars(query.order_by(WorklistItem.id))]


def items(database: Database, limit: int) -> list[KeptItem]:
    """What is scheduled, the latest day first."""
    query = (
        sa.select(WorklistItem)
        .order_by(WorklistItem.start_date.desc(), WorklistItem.id.desc())
        .limit(limit)
    )
    with database.sessions() as session:
        return [
            KeptItem(row.source, step_of(row.step), row.first_seen_at, row.seen_at)
            for row in session.scalars(query)
        ]


def has_items(database: Database) -> bool:
    """Whether anything at all is scheduled."""
    with database.sessions() as session:
        return session.scalar(sa.select(WorklistItem.id).limit(1)) is not None


def asked(database: Database) -> list[Asked]:
    """The worklists that were asked, with what came of it."""
    query = sa.select(WorklistSource).order_by(WorklistSource.name)
    with database.sessions() as session:
        return [
            Asked(
                row.name, row.asked_at, row.answered_at, row.items, row.fault, tuple(row.rejected)
            )
            for row in session.scalars(query)
        ]


def studies_of(database: Database, steps: Sequence[ScheduledStep], since: datetime) -> list[str]:
    """Studies that arrived lately and may be of one of these steps."""
    found: dict[str, None] = {}
    with database.sessions() as session:
        for begin in range(0, len(steps), _STEPS_AT_ONCE):
            some = steps[begin : begin + _STEPS_AT_ONCE]
            # Two queries, each by an index: one for either key would look at every study.
            for key, values in (
                (Study.study_instance_uid, {each.study_instance_uid for each in some}),
                (Patient.patient_id, {each.patient_id for each in some}),
            ):
                query = (
                    sa.select(Study.study_instance_uid)
                    .join(Patient, Study.patient_row == Patient.id)
                    .where(key.in_(values), Study.last_arrival >= since)
                )
                found |= dict.fromkeys(session.scalars(query))
    return list(found)


def is_item(
    source: str, study_instance_uid: str, step_id: str
) -> tuple[sa.ColumnElement[bool], ...]:
    """Conditions for the row of a scheduled step."""
    return (
        WorklistItem.source == source,
        WorklistItem.study_instance_uid == study_instance_uid,
        WorklistItem.step_id == step_id,
    )


def keep_step(session: Session, source: str, step: ScheduledStep, now: datetime) -> bool:
    """Keep a step; gives whether it is new, or says something else than before."""
    row = session.scalar(
        sa.select(WorklistItem).where(*is_item(source, step.study_instance_uid, step.step_id))
    )
    kept = step_as_json(step)
    if row is None:
        row = WorklistItem(
            source=source,
            study_instance_uid=step.study_instance_uid,
            step_id=step.step_id,
            first_seen_at=now,
        )
        session.add(row)
        is_changed = True
    else:
        is_changed = row.step != kept
    row.patient_id, row.accession_number = step.patient_id, step.accession_number
    row.start_date, row.step, row.seen_at = step.start_date, kept, now
    session.flush()
    return is_changed


def drop_past(session: Session, oldest_day: date) -> None:
    """Drop what was scheduled for days before `oldest_day`."""
    session.execute(sa.delete(WorklistItem).where(WorklistItem.start_date < f"{oldest_day:%Y%m%d}"))


def step_as_json(step: ScheduledStep) -> dict[str, Any]:
    """A step as it is kept."""
    return asdict(step)


def step_of(kept: dict[str, Any]) -> ScheduledStep:
    """A step as it was kept; what a later version kept and this one does not know is left out."""
    return ScheduledStep(**{name: kept[name] for name in kept if name in _FIELDS})


def _drop_too_many(session: Session) -> None:
    """Drop, of too many that worklists answered, those that were not seen for the longest time."""
    answered = sa.select(WorklistItem.id).where(WorklistItem.source != ORDERS)
    count = sa.select(sa.func.count()).select_from(answered.subquery())
    too_many = (session.scalar(count) or 0) - MOST_ITEMS
    if too_many > 0:
        oldest = answered.order_by(WorklistItem.seen_at, WorklistItem.id).limit(too_many)
        session.execute(sa.delete(WorklistItem).where(WorklistItem.id.in_(oldest)))


def _note(session: Session, source: str, now: datetime, **said: Any) -> None:
    row = session.get(WorklistSource, source)
    if row is None:
        row = WorklistSource(name=source, items=0, rejected=[])
        session.add(row)
    row.asked_at, row.fault = now, None
    for name, value in said.items():
        setattr(row, name, value)
