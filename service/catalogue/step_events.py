"""What managers of Unified Procedure Steps tell: that a step waits, or is to be canceled.

Whether a cancel comes in time is decided in one statement: either measuring is
recorded as begun first, or the cancel as requested, and each holds back the other.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

import sqlalchemy as sa

from service.catalogue.database import Database
from service.catalogue.models import ProcedureStepInput, ProcedureStepRow, StepNotice
from service.catalogue.procedure_steps import KeptStep, as_kept
from service.catalogue.studies import insert_into


def notice(database: Database, source: str) -> None:
    """Record that a step of this source waits."""
    with database.sessions.begin() as session:
        session.execute(
            insert_into(session, StepNotice)
            .values(source=source, times=1)
            .on_conflict_do_update(
                index_elements=[StepNotice.source], set_={"times": StepNotice.times + 1}
            )
        )


def notices(database: Database) -> dict[str, int]:
    """How often each source has told that a step waits."""
    with database.sessions() as session:
        rows = session.scalars(sa.select(StepNotice))
        return {each.source: each.times for each in rows}


def request_cancel(
    database: Database,
    source: str,
    uid: str,
    reason: str,
    code: tuple[str, str, str] | None = None,
) -> bool:
    """Record that a step is to be canceled; False when the node does not work on it.

    The first request counts.
    """
    mine = (
        ProcedureStepRow.uid == uid,
        ProcedureStepRow.source == source,
        ProcedureStepRow.ended_at.is_(None),
    )
    with database.sessions.begin() as session:
        session.execute(
            sa.update(ProcedureStepRow)
            .where(*mine, ProcedureStepRow.cancel_requested_at.is_(None))
            .values(
                cancel_requested_at=datetime.now(UTC),
                cancel_reason=reason,
                cancel_code=None if code is None else list(code),
            )
        )
        return session.scalar(sa.select(ProcedureStepRow.id).where(*mine)) is not None


def steps_to_cancel(database: Database) -> list[KeptStep]:
    """The steps that were called off and have not ended, the oldest first."""
    query = (
        sa.select(ProcedureStepRow)
        .where(
            ProcedureStepRow.cancel_requested_at.is_not(None),
            ProcedureStepRow.begun_at.is_(None),
            ProcedureStepRow.claimed_at.is_not(None),
            ProcedureStepRow.ended_at.is_(None),
        )
        .order_by(ProcedureStepRow.id)
    )
    with database.sessions() as session:
        return [as_kept(row) for row in session.scalars(query)]


def begin(database: Database, sop_instance_uids: Collection[str]) -> bool:
    """Record that these instances are being measured; False when nobody wants that any more.

    Nobody does when steps asked for all of them, and each of these was called off.
    """
    covering = _covering(sop_instance_uids)
    with database.sessions.begin() as session:
        session.execute(
            sa.update(ProcedureStepRow)
            .where(
                ProcedureStepRow.id.in_(covering),
                ProcedureStepRow.ended_at.is_(None),
                ProcedureStepRow.cancel_requested_at.is_(None),
                ProcedureStepRow.begun_at.is_(None),
            )
            .values(begun_at=datetime.now(UTC))
            .execution_options(synchronize_session=False)
        )
        steps = [
            as_kept(row)
            for row in session.scalars(
                sa.select(ProcedureStepRow).where(ProcedureStepRow.id.in_(covering))
            )
        ]
    return not steps or not all(each.is_called_off for each in steps)


def newest_after_cancel(database: Database, sop_instance_uids: Collection[str]) -> str | None:
    """The newest step that asks for all these, where one before it or itself was called off."""
    query = (
        sa.select(ProcedureStepRow)
        .where(ProcedureStepRow.id.in_(_covering(sop_instance_uids)))
        .order_by(ProcedureStepRow.id)
    )
    with database.sessions() as session:
        steps = [as_kept(row) for row in session.scalars(query)]
    return steps[-1].uid if any(each.is_called_off for each in steps) else None


def want_anyway(database: Database, sop_instance_uids: Collection[str]) -> None:
    """Let a person have measured what was called off: the ended steps ask for it no longer."""
    ended = sa.select(ProcedureStepRow.id).where(ProcedureStepRow.ended_at.is_not(None))
    with database.sessions.begin() as session:
        session.execute(
            sa.delete(ProcedureStepInput)
            .where(
                ProcedureStepInput.sop_instance_uid.in_(sop_instance_uids),
                ProcedureStepInput.step_row.in_(ended),
            )
            .execution_options(synchronize_session=False)
        )


def _covering(sop_instance_uids: Collection[str]) -> sa.Select[int]:
    """The steps among whose inputs all of these are."""
    uids = set(sop_instance_uids)
    return (
        sa.select(ProcedureStepInput.step_row)
        .where(ProcedureStepInput.sop_instance_uid.in_(uids))
        .group_by(ProcedureStepInput.step_row)
        .having(sa.func.count() == len(uids))
    )
