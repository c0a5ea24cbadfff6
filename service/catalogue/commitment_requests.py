"""What peers asked the node to commit itself to, and whether they have got their reports."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import sqlalchemy as sa

from processing.measurement import RejectedInput, TransientFault
from service.catalogue.database import DATABASE_FAULTS, Database
from service.catalogue.models import CommitmentRequest, Instance

# A request that was reported on is kept for so long, in case its sender asks again.
_REMEMBERED: Final = timedelta(days=7)
# More requests of one peer without a report are not taken.
MOST_OPEN_REQUESTS: Final = 1000
# SQLite takes 32,766 parameters in a statement.
_UIDS_AT_ONCE: Final = 1000


@dataclass(frozen=True, slots=True)
class KnownRequest:
    """A request: pairs of SOP Class UID and SOP Instance UID, and who asked."""

    number: int
    calling_ae_title: str
    transaction_uid: str
    references: tuple[tuple[str, str], ...]
    received_at: datetime
    is_reported: bool


@dataclass(frozen=True, slots=True)
class DueRequest:
    """A request that is to be handed to the workflow engine, and when it was last made."""

    number: int
    received_at: datetime


@dataclass(frozen=True, slots=True)
class HeldInstance:
    """What is held under a SOP Instance UID."""

    sop_class_uid: str
    key: str
    size_bytes: int


def record_request(
    database: Database,
    calling_ae_title: str,
    transaction_uid: str,
    references: Sequence[tuple[str, str]],
    due_in: timedelta,
) -> int:
    """Make a request durable; gives its number.

    The same request once more is reported on once more.

    Raises
    ------
    RejectedInput
        If the Transaction UID is in use for other instances.
    TransientFault
        If too many requests of this peer wait, or the database did not take the row.
    """
    with _faults_as_transient(), database.sessions.begin() as session:
        now = datetime.now(UTC)
        session.execute(
            sa.delete(CommitmentRequest).where(CommitmentRequest.reported_at < now - _REMEMBERED)
        )
        row = session.scalar(
            sa.select(CommitmentRequest)
            .where(CommitmentRequest.calling_ae_title == calling_ae_title)
            .where(CommitmentRequest.transaction_uid == transaction_uid)
        )
        if row is None:
            if _open_requests(session, calling_ae_title) >= MOST_OPEN_REQUESTS:
                raise TransientFault(
                    f"{MOST_OPEN_REQUESTS} requests for commitment wait for their reports"
                )
            row = CommitmentRequest(
                calling_ae_title=calling_ae_title,
                transaction_uid=transaction_uid,
                references=[list(each) for each in references],
                received_at=now,
            )
            session.add(row)
        elif [tuple(each) for each in row.references] != list(references):
            raise RejectedInput("Transaction UID is in use for other instances")
        elif row.reported_at is not None or row.given_up is not None:
            row.received_at, row.reported_at, row.given_up = now, None, None
        row.due_at = now + due_in
        session.flush()
        return row.id


def request_of(database: Database, number: int) -> KnownRequest | None:
    """The request with this number, or None."""
    with _faults_as_transient(), database.sessions() as session:
        row = session.get(CommitmentRequest, number)
        if row is None:
            return None
        return KnownRequest(
            number=row.id,
            calling_ae_title=row.calling_ae_title,
            transaction_uid=row.transaction_uid,
            references=tuple((sop_class, uid) for sop_class, uid in row.references),
            received_at=row.received_at,
            is_reported=row.reported_at is not None,
        )


def due_requests(database: Database) -> list[DueRequest]:
    """Requests whose reports are due and were not handed to the engine yet."""
    query = (
        sa.select(CommitmentRequest.id, CommitmentRequest.received_at)
        .where(CommitmentRequest.due_at <= datetime.now(UTC))
        .order_by(CommitmentRequest.id)
        .limit(100)
    )
    with database.sessions() as session:
        return [DueRequest(row.id, row.received_at) for row in session.execute(query)]


def handed_over(database: Database, due: Sequence[DueRequest]) -> None:
    """The engine knows of these now."""
    numbers = [each.number for each in due]
    _update(database, CommitmentRequest.id.in_(numbers), due_at=None)


def make_due(database: Database, number: int) -> None:
    """The report is to be handed to the engine now."""
    _update(
        database,
        sa.and_(CommitmentRequest.id == number, CommitmentRequest.reported_at.is_(None)),
        due_at=datetime.now(UTC),
    )


def record_reported(database: Database, number: int) -> None:
    """The peer has got its report."""
    _update(database, CommitmentRequest.id == number, due_at=None, reported_at=datetime.now(UTC))


def give_up(database: Database, number: int, reason: str) -> None:
    """No report will be sent, and why."""
    _update(database, CommitmentRequest.id == number, due_at=None, given_up=reason)


def held_instances(database: Database, uids: Sequence[str]) -> dict[str, HeldInstance]:
    """What is held under these SOP Instance UIDs."""
    found: dict[str, HeldInstance] = {}
    with _faults_as_transient(), database.sessions() as session:
        for start in range(0, len(uids), _UIDS_AT_ONCE):
            query = sa.select(
                Instance.sop_instance_uid, Instance.sop_class_uid, Instance.key, Instance.size_bytes
            ).where(Instance.sop_instance_uid.in_(uids[start : start + _UIDS_AT_ONCE]))
            found |= {
                row.sop_instance_uid: HeldInstance(row.sop_class_uid, row.key, row.size_bytes)
                for row in session.execute(query)
            }
    return found


def _open_requests(session: sa.orm.Session, calling_ae_title: str) -> int:
    query = sa.select(sa.func.count()).where(
        CommitmentRequest.calling_ae_title == calling_ae_title,
        CommitmentRequest.reported_at.is_(None),
        CommitmentRequest.given_up.is_(None),
    )
    return session.scalar(query) or 0


def _update(database: Database, where: sa.ColumnElement[bool], **values: object) -> None:
    with _faults_as_transient(), database.sessions.begin() as session:
        session.execute(sa.update(CommitmentRequest).where(where).values(**values))


@contextmanager
def _faults_as_transient() -> Iterator[None]:
    """Let the peer try again when the database is away, or two ask the same at one moment."""
    try:
        yield
    except (*DATABASE_FAULTS, sa.exc.IntegrityError) as fault:
        raise TransientFault(f"the catalogue did not take the request: {fault.orig}") from fault
