"""Which Unified Procedure Steps the node has claimed, and by which transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from dicom_nodes.objects.procedure_step import InstanceReference
from service.catalogue.database import Database
from service.catalogue.models import Instance, ProcedureStepRow


@dataclass(frozen=True, slots=True)
class KeptStep:
    """A step that the node works on, or has worked on.

    It is kept before it is claimed: after a crash the claim is made again with the same
    transaction. `outcome` says how it ended.
    """

    uid: str
    source: str
    transaction_uid: str
    inputs: tuple[InstanceReference, ...]
    kept_at: datetime
    claimed_at: datetime | None
    ended_at: datetime | None
    outcome: str | None


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
        session.execute(
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
        return None if row is None else _kept(row)


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
        return [_kept(row) for row in session.scalars(query)]


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


def _kept(row: ProcedureStepRow) -> KeptStep:
    return KeptStep(
        uid=row.uid,
        source=row.source,
        transaction_uid=row.transaction_uid,
        inputs=tuple(InstanceReference(*each) for each in row.inputs),
        kept_at=row.kept_at,
        claimed_at=row.claimed_at,
        ended_at=row.ended_at,
        outcome=row.outcome,
    )
