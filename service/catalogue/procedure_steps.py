"""Which Unified Procedure Steps the node has claimed, and by which transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from dicom_nodes.objects.procedure_step import InstanceReference
from service.catalogue.database import Database
from service.catalogue.models import Instance, ProcedureStepInput, ProcedureStepRow


@dataclass(frozen=True, slots=True)
class KeptStep:
    """A step that the node works on, or has worked on.

    It is kept before it is claimed: after a crash the claim is made again with the same
    transaction. `begun_at` is when measuring began. `cancel_requested_at` is when its
    manager passed on that it is to be canceled, with the reason and its code (value,
    scheme, meaning). `outcome` says how it ended.
    """

    uid: str
    source: str
    transaction_uid: str
    inputs: tuple[InstanceReference, ...]
    kept_at: datetime
    claimed_at: datetime | None
    begun_at: datetime | None
    cancel_requested_at: datetime | None
    cancel_reason: str | None
    cancel_code: tuple[str, str, str] | None
    ended_at: datetime | None
    outcome: str | None

    @property
    def is_called_off(self) -> bool:
        """Whether the request to cancel came before measuring began."""
        return self.cancel_requested_at is not None and self.begun_at is None


def keep(
    database: Database,
    uid: str,
    source: str,
    transaction_uid: str,
    inputs: Sequence[InstanceReference],
) -> KeptStep:
    """Keep a step with the transaction that is to claim it; what is kept already stays."""
    insert = sqlite.insert if database.engine.dialect.name == "sqlite" else postgresql.insert
    with database.sessions.begin() as session:
        number = session.scalar(
            insert(ProcedureStepRow)
            .values(
                uid=uid,
                source=source,
                transaction_uid=transaction_uid,
                inputs=[
                    [
                        each.study_instance_uid,
                        each.series_instance_uid,
                        each.sop_class_uid,
                        each.sop_instance_uid,
                    ]
                    for each in inputs
                ],
                kept_at=datetime.now(UTC),
            )
            .on_conflict_do_nothing()
            .returning(ProcedureStepRow.id)
        )
        if number is not None:
            uids = dict.fromkeys(each.sop_instance_uid for each in inputs)
            session.add_all(
                ProcedureStepInput(step_row=number, sop_instance_uid=uid) for uid in uids
            )
    kept = kept_step(database, uid, source)
    assert kept is not None
    return kept


def kept_step(database: Database, uid: str, source: str) -> KeptStep | None:
    """The step of a source, or None where it is not kept."""
    query = sa.select(ProcedureStepRow).where(
        ProcedureStepRow.uid == uid, ProcedureStepRow.source == source
    )
    with database.sessions() as session:
        row = session.scalar(query)
        return None if row is None else as_kept(row)


def mark_claimed(database: Database, kept: KeptStep) -> None:
    """Record that the step is the node's."""
    _update(database, kept, claimed_at=datetime.now(UTC))


def mark_ended(database: Database, kept: KeptStep, outcome: str) -> None:
    """Record how the step ended."""
    _update(database, kept, ended_at=datetime.now(UTC), outcome=outcome)


def claimed_steps(database: Database) -> list[KeptStep]:
    """The steps that the node has claimed and not ended, the oldest first."""
    query = (
        sa.select(ProcedureStepRow)
        .where(ProcedureStepRow.claimed_at.is_not(None), ProcedureStepRow.ended_at.is_(None))
        .order_by(ProcedureStepRow.id)
    )
    with database.sessions() as session:
        return [as_kept(row) for row in session.scalars(query)]


def take_priors_for_themselves(database: Database, sop_instance_uids: Sequence[str]) -> None:
    """Make instances that came as priors inputs of their own study; they are read anew."""
    with database.sessions.begin() as session:
        session.execute(
            sa.update(Instance)
            .where(Instance.sop_instance_uid.in_(sop_instance_uids), Instance.prior)
            .values(prior=False, catalogued_at=None)
        )


def _update(database: Database, kept: KeptStep, **values: object) -> None:
    with database.sessions.begin() as session:
        session.execute(
            sa.update(ProcedureStepRow)
            .where(ProcedureStepRow.uid == kept.uid, ProcedureStepRow.source == kept.source)
            .values(**values)
        )


def as_kept(row: ProcedureStepRow) -> KeptStep:
    """A row as a step."""
    return KeptStep(
        uid=row.uid,
        source=row.source,
        transaction_uid=row.transaction_uid,
        inputs=tuple(InstanceReference(*each) for each in row.inputs),
        kept_at=row.kept_at,
        claimed_at=row.claimed_at,
        begun_at=row.begun_at,
        cancel_requested_at=row.cancel_requested_at,
        cancel_reason=row.cancel_reason,
        cancel_code=_code(row.cancel_code),
        ended_at=row.ended_at,
        outcome=row.outcome,
    )


def _code(kept: Sequence[str] | None) -> tuple[str, str, str] | None:
    if kept is None:
        return None
    value, scheme, meaning = kept
    return value, scheme, meaning
