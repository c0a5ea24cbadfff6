"""What destinations were asked to commit themselves to, and what they reported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from processing.measurement import TransientFault
from service.catalogue.database import DATABASE_FAULTS, Database
from service.catalogue.models import Result, ResultCommitment
from service.catalogue.results import MadeResult, made_result


@dataclass(frozen=True, slots=True)
class Commitment:
    """A request to commit to a result, and what came of it.

    `failures` are SOP Instance UIDs and why they were not committed, once it is
    reported; `given_up` says why no report is waited for.
    """

    transaction_uid: str
    result_key: str
    destination: str
    requested_at: datetime
    accepted_at: datetime | None
    reported_at: datetime | None
    failures: Mapping[str, str]
    given_up: str | None

    @property
    def is_committed(self) -> bool:
        """Whether the destination has committed itself to all objects."""
        return self.reported_at is not None and not self.failures

    @property
    def has_failed(self) -> bool:
        """Whether the destination has reported that it did not take all objects."""
        return self.reported_at is not None and bool(self.failures)


def record_asking(
    database: Database, transaction_uid: str, result_key: str, destination: str
) -> None:
    """A destination is about to be asked: its report may come before its answer."""
    with database.sessions.begin() as session:
        session.execute(
            sa.insert(ResultCommitment).values(
                transaction_uid=transaction_uid,
                result_row=sa.select(Result.id).where(Result.key == result_key).scalar_subquery(),
                destination=destination,
                requested_at=datetime.now(UTC),
            )
        )


def record_accepted(database: Database, transaction_uid: str) -> None:
    """The destination has taken the request, and will report."""
    _update(database, transaction_uid, accepted_at=datetime.now(UTC))


def record_given_up(database: Database, transaction_uid: str, reason: str) -> None:
    """No report is waited for, and why."""
    _update(database, transaction_uid, given_up=reason)


def record_report(database: Database, transaction_uid: str, failures: Mapping[str, str]) -> None:
    """What the destination reported; a later report counts.

    Raises
    ------
    TransientFault
        If the database did not take it.
    """
    try:
        _update(database, transaction_uid, reported_at=datetime.now(UTC), failures=dict(failures))
    except DATABASE_FAULTS as fault:
        raise TransientFault(f"the catalogue did not take the report: {fault.orig}") from fault


def commitments_of(database: Database, result_key: str, destination: str) -> list[Commitment]:
    """What a destination was asked about a result, the latest last."""
    query = (
        sa.select(ResultCommitment)
        .join(Result)
        .where(Result.key == result_key, ResultCommitment.destination == destination)
        .order_by(ResultCommitment.id)
    )
    with database.sessions() as session:
        return [_commitment(row, result_key) for row in session.scalars(query)]


def commitment_by_transaction(
    database: Database, transaction_uid: str
) -> tuple[Commitment, MadeResult] | None:
    """A request with the result that it is about, or None."""
    query = sa.select(ResultCommitment).where(ResultCommitment.transaction_uid == transaction_uid)
    with database.sessions() as session:
        row = session.scalar(query)
        if row is None:
            return None
        return _commitment(row, row.result.key), made_result(row.result)


def _commitment(row: ResultCommitment, result_key: str) -> Commitment:
    return Commitment(
        transaction_uid=row.transaction_uid,
        result_key=result_key,
        destination=row.destination,
        requested_at=row.requested_at,
        accepted_at=row.accepted_at,
        reported_at=row.reported_at,
        failures=row.failures or {},
        given_up=row.given_up,
    )


def _update(database: Database, transaction_uid: str, **values: object) -> None:
    with database.sessions.begin() as session:
        session.execute(
            sa.update(ResultCommitment)
            .where(ResultCommitment.transaction_uid == transaction_uid)
            .values(**values)
        )
