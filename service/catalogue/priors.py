"""Which instances of earlier studies are wanted beside a study, and which have come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from service.catalogue.database import Database
from service.catalogue.models import Instance, Prior, Study
from service.patient_identity import PatientIdentity


@dataclass(frozen=True, slots=True)
class WantedPrior:
    """An instance of an earlier study that is wanted beside `study_instance_uid`.

    `message_id` is that of the C-MOVE that was asked for it.
    """

    study_instance_uid: str
    prior_study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    source: str
    message_id: int | None = None


@dataclass(frozen=True, slots=True)
class KnownPrior:
    """A wanted prior and what became of it; `outcome` is None while it is pending."""

    wanted: WantedPrior
    is_here: bool
    requested_at: datetime
    settled_at: datetime | None
    outcome: str | None


def want(database: Database, wanted: Sequence[WantedPrior]) -> None:
    """Record what is wanted; what was recorded before, or is settled, stays as it is."""
    if not wanted:
        return
    now = datetime.now(UTC)
    insert = sqlite.insert if database.engine.dialect.name == "sqlite" else postgresql.insert
    with database.sessions.begin() as session:
        for each in wanted:
            session.execute(
                insert(Prior)
                .values(
                    study_instance_uid=each.study_instance_uid,
                    prior_study_instance_uid=each.prior_study_instance_uid,
                    series_instance_uid=each.series_instance_uid,
                    sop_instance_uid=each.sop_instance_uid,
                    sop_class_uid=each.sop_class_uid,
                    source=each.source,
                    requested_at=now,
                )
                .on_conflict_do_nothing()
            )


def note_move(database: Database, wanted: Sequence[WantedPrior], message_id: int) -> None:
    """Record by which C-MOVE these are asked for now."""
    with database.sessions.begin() as session:
        session.execute(
            sa.update(Prior)
            .where(
                Prior.study_instance_uid == wanted[0].study_instance_uid,
                Prior.sop_instance_uid.in_([each.sop_instance_uid for each in wanted]),
            )
            .values(message_id=message_id)
        )


def pending(database: Database, study_instance_uid: str) -> list[WantedPrior]:
    """What is still wanted beside a study, in the order in which it was asked for."""
    query = (
        sa.select(Prior)
        .where(Prior.study_instance_uid == study_instance_uid, Prior.settled_at.is_(None))
        .order_by(Prior.id)
    )
    with database.sessions() as session:
        return [_wanted(row) for row in session.scalars(query)]


def pending_for_instance(database: Database, sop_instance_uid: str) -> list[WantedPrior]:
    """Beside which studies an instance is wanted now."""
    query = (
        sa.select(Prior)
        .where(Prior.sop_instance_uid == sop_instance_uid, Prior.settled_at.is_(None))
        .order_by(Prior.id)
    )
    with database.sessions() as session:
        return [_wanted(row) for row in session.scalars(query)]


def settle_arrived(database: Database, study_instance_uid: str) -> int:
    """Settle what is wanted beside a study and is here now; gives how many these were."""
    here = sa.select(Instance.sop_instance_uid).where(
        Instance.sop_instance_uid == Prior.sop_instance_uid
    )
    return _settle(database, study_instance_uid, "here", here.exists())


def settle_instance(
    database: Database, study_instance_uid: str, sop_instance_uid: str, outcome: str
) -> None:
    """Settle one instance that shall not be asked for again."""
    _settle(database, study_instance_uid, outcome, Prior.sop_instance_uid == sop_instance_uid)


def settle_missing(database: Database, study_instance_uid: str, source: str, reason: str) -> int:
    """Give up what a source did not bring; gives how many these were."""
    return _settle(database, study_instance_uid, reason, Prior.source == source)


def bytes_of_priors(database: Database, study_instance_uid: str) -> int:
    """How many bytes have come as priors of a study."""
    query = (
        sa.select(sa.func.coalesce(sa.func.sum(Instance.size_bytes), 0))
        .join(Prior, Prior.sop_instance_uid == Instance.sop_instance_uid)
        .where(Prior.study_instance_uid == study_instance_uid, Instance.prior)
    )
    with database.sessions() as session:
        return int(session.scalar(query) or 0)


def held_instances(database: Database, sop_instance_uids: Sequence[str]) -> set[str]:
    """Those instances that are here, however they came."""
    query = sa.select(Instance.sop_instance_uid).where(
        Instance.sop_instance_uid.in_(sop_instance_uids)
    )
    with database.sessions() as session:
        return set(session.scalars(query))


def priors_of_study(database: Database, study_instance_uid: str) -> list[KnownPrior]:
    """What was wanted beside a study and what became of it, in the order of asking."""
    query = (
        sa.select(Prior, Instance.id)
        .outerjoin(Instance, Instance.sop_instance_uid == Prior.sop_instance_uid)
        .where(Prior.study_instance_uid == study_instance_uid)
        .order_by(Prior.id)
    )
    with database.sessions() as session:
        return [
            KnownPrior(
                _wanted(row), held is not None, row.requested_at, row.settled_at, row.outcome
            )
            for row, held in session.execute(query)
        ]


def identity_of_study(database: Database, study_instance_uid: str) -> PatientIdentity | None:
    """Whose a study is; None when it is not in the catalogue."""
    with database.sessions() as session:
        study = session.scalar(
            sa.select(Study).where(Study.study_instance_uid == study_instance_uid)
        )
        if study is None:
            return None
        patient = study.patient
        return PatientIdentity(
            patient.patient_id, patient.issuer, study.patient_name, patient.birth_date
        )


def _settle(
    database: Database, study_instance_uid: str, outcome: str, condition: sa.ColumnElement[bool]
) -> int:
    with database.sessions.begin() as session:
        done = session.execute(
            sa.update(Prior)
            .where(
                Prior.study_instance_uid == study_instance_uid,
                Prior.settled_at.is_(None),
                condition,
            )
            .values(settled_at=datetime.now(UTC), outcome=outcome)
            .returning(Prior.id)
        )
        return len(done.all())


def _wanted(row: Prior) -> WantedPrior:
    return WantedPrior(
        study_instance_uid=row.study_instance_uid,
        prior_study_instance_uid=row.prior_study_instance_uid,
        series_instance_uid=row.series_instance_uid,
        sop_instance_uid=row.sop_instance_uid,
        sop_class_uid=row.sop_class_uid,
        source=row.source,
        message_id=row.message_id,
    )
