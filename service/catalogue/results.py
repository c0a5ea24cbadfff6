"""What was made of the studies, why they counted as complete, and where results went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session, selectinload

from service.catalogue.database import Database
from service.catalogue.models import (
    Base,
    Completion,
    Delivery,
    Result,
    ResultObject,
    Series,
    Study,
    WorkerSlot,
)
from service.catalogue.studies import insert_into


@dataclass(frozen=True, slots=True)
class MadeObject:
    """A DICOM object made of a result, and where its bytes are.

    `header` holds what queries ask for, as `service.query_facts.made_facts` gives it.
    """

    sop_instance_uid: str
    sop_class_uid: str
    series_instance_uid: str
    role: str
    key: str
    header: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MadeResult:
    """What one analysis made of one set of inputs."""

    key: str
    study_instance_uid: str
    analysis: str
    version: str
    status: str
    reason: str | None
    inputs: tuple[str, ...]
    made_at: datetime
    predecessor_uid: str | None
    objects: tuple[MadeObject, ...]
    filed_under: str | None = None

    @property
    def study_of_objects(self) -> str:
        """Study Instance UID in the objects: of the inputs, or of the order they belong to."""
        return self.filed_under or self.study_instance_uid


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why a study counted as complete."""

    evidence: str
    detail: str
    decided_at: datetime


@dataclass(frozen=True, slots=True)
class Sent:
    """That a destination took a result."""

    result_key: str
    destination: str
    delivered_at: datetime
    confirmation: str | None
    confirmed_at: datetime | None


def record_completion(
    database: Database, study_instance_uid: str, inputs_key: str, evidence: str, detail: str
) -> bool:
    """Record why a study counts as complete with these inputs; False when it already did."""
    with database.sessions.begin() as session:
        row = session.execute(
            _insert(database, Completion)
            .values(
                study_row=_study(study_instance_uid),
                inputs_key=inputs_key,
                evidence=evidence,
                detail=detail,
                decided_at=datetime.now(UTC),
            )
            .on_conflict_do_nothing()
            .returning(Completion.id)
        ).first()
        return row is not None


def completions(database: Database, study_instance_uid: str) -> list[Evidence]:
    """Why the study counted as complete, the first time first."""
    query = (
        sa.select(Completion)
        .join(Study)
        .where(Study.study_instance_uid == study_instance_uid)
        .order_by(Completion.id)
    )
    with database.sessions() as session:
        return [
            Evidence(row.evidence, row.detail, row.decided_at) for row in session.scalars(query)
        ]


def record_result(database: Database, made: MadeResult) -> bool:
    """Write a result and its objects in one transaction; False when it was there already."""
    with database.sessions.begin() as session:
        row = session.execute(
            _insert(database, Result)
            .values(
                key=made.key,
                study_row=_study(made.study_instance_uid),
                analysis=made.analysis,
                version=made.version,
                status=made.status,
                reason=made.reason,
                inputs=list(made.inputs),
                made_at=made.made_at,
                predecessor_uid=made.predecessor_uid,
                filed_under=made.filed_under,
            )
            .on_conflict_do_nothing()
            .returning(Result.id)
        ).scalar()
        if row is None:
            return False
        for each in made.objects:
            # Two results of one study share the copies that put it under its order.
            session.execute(
                _insert(database, ResultObject)
                .values(
                    result_row=row,
                    sop_instance_uid=each.sop_instance_uid,
                    sop_class_uid=each.sop_class_uid,
                    series_instance_uid=each.series_instance_uid,
                    role=each.role,
                    key=each.key,
                    header=each.header,
                )
                .on_conflict_do_nothing()
            )
        _record_series(session, made)
        return True


def result_by_key(database: Database, key: str) -> MadeResult | None:
    """The result with this content key, or None."""
    query = _results_query().where(Result.key == key)
    with database.sessions() as session:
        row = session.scalar(query)
        return made_result(row) if row is not None else None


def results_of_study(database: Database, study_instance_uid: str) -> list[MadeResult]:
    """All results of a study, the oldest first."""
    with database.sessions() as session:
        return [made_result(row) for row in session.scalars(results_query([study_instance_uid]))]


def are_own(database: Database, sop_instance_uids: Sequence[str]) -> set[str]:
    """Those UIDs that name an object which this node made."""
    query = sa.select(ResultObject.sop_instance_uid).where(
        ResultObject.sop_instance_uid.in_(sop_instance_uids)
    )
    with database.sessions() as session:
        return set(session.scalars(query))


def record_delivery(database: Database, result_key: str, destination: str) -> None:
    """Record that a destination took all objects of a result; once is enough."""
    with database.sessions.begin() as session:
        session.execute(
            _insert(database, Delivery)
            .values(
                result_row=_result(result_key),
                destination=destination,
                delivered_at=datetime.now(UTC),
            )
            .on_conflict_do_nothing()
        )


def record_confirmation(
    database: Database, result_key: str, destination: str, confirmation: str
) -> None:
    """Record how it was confirmed that the destination holds the result."""
    with database.sessions.begin() as session:
        session.execute(
            sa.update(Delivery)
            .where(Delivery.result_row == _result(result_key), Delivery.destination == destination)
            .values(confirmation=confirmation, confirmed_at=datetime.now(UTC))
        )


def withdraw_delivery(database: Database, result_key: str, destination: str) -> None:
    """A destination does not hold what it took: the result is to be sent again."""
    with database.sessions.begin() as session:
        session.execute(
            sa.delete(Delivery).where(
                Delivery.result_row == _result(result_key), Delivery.destination == destination
            )
        )


def deliveries_of_study(database: Database, study_instance_uid: str) -> list[Sent]:
    """Where the results of a study went."""
    with database.sessions() as session:
        return [
            Sent(key, row.destination, row.delivered_at, row.confirmation, row.confirmed_at)
            for _, key, row in session.execute(deliveries_query([study_instance_uid]))
        ]


def beat(database: Database, slot: str) -> None:
    """A sign of life of a worker slot."""
    now = datetime.now(UTC)
    with database.sessions.begin() as session:
        session.execute(
            _insert(database, WorkerSlot)
            .values(name=slot, beat_at=now)
            .on_conflict_do_update(index_elements=[WorkerSlot.name], set_={"beat_at": now})
        )


def living_slots(database: Database, within: timedelta) -> set[str]:
    """Worker slots that gave a sign of life lately."""
    query = sa.select(WorkerSlot.name).where(WorkerSlot.beat_at > datetime.now(UTC) - within)
    with database.sessions() as session:
        return set(session.scalars(query))


def _insert(database: Database, table: type[Base]) -> sqlite.Insert | postgresql.Insert:
    if database.engine.dialect.name == "sqlite":
        return sqlite.insert(table)
    return postgresql.insert(table)


def _record_series(session: Session, made: MadeResult) -> None:
    """The series of the objects, so that they are found as those of received instances are."""
    for each in made.objects:
        session.execute(
            insert_into(session, Series)
            .values(
                series_instance_uid=each.series_instance_uid,
                study_row=_study(made.study_of_objects),
                modality=each.header.get("modality", "OT"),
                number=each.header.get("series_number"),
                description=each.header.get("series_description", ""),
            )
            .on_conflict_do_nothing()
        )


def _study(study_instance_uid: str) -> sa.ScalarSelect[int]:
    return (
        sa.select(Study.id).where(Study.study_instance_uid == study_instance_uid).scalar_subquery()
    )


def _result(key: str) -> sa.ScalarSelect[int]:
    return sa.select(Result.id).where(Result.key == key).scalar_subquery()


def results_query(study_instance_uids: Sequence[str]) -> sa.Select[Result]:
    """The rows of all results of these studies, the oldest first."""
    return (
        _results_query()
        .join(Study, Result.study_row == Study.id)
        .where(Study.study_instance_uid.in_(study_instance_uids))
        .order_by(Result.id)
    )


def deliveries_query(study_instance_uids: Sequence[str]) -> sa.Select[str, str, Delivery]:
    """Study Instance UID, key of the result and row of each delivery of these studies."""
    return (
        sa.select(Study.study_instance_uid, Result.key, Delivery)
        .join(Result, Delivery.result_row == Result.id)
        .join(Study, Result.study_row == Study.id)
        .where(Study.study_instance_uid.in_(study_instance_uids))
        .order_by(Delivery.id)
    )


def _results_query() -> sa.Select[Result]:
    return sa.select(Result).options(selectinload(Result.objects), selectinload(Result.study))


def made_result(row: Result) -> MadeResult:
    """What a row of the results says."""
    return MadeResult(
        key=row.key,
        study_instance_uid=row.study.study_instance_uid,
        analysis=row.analysis,
        version=row.version,
        status=row.status,
        reason=row.reason,
        inputs=tuple(row.inputs),
        made_at=row.made_at,
        predecessor_uid=row.predecessor_uid,
        filed_under=row.filed_under,
        objects=tuple(
            MadeObject(
                each.sop_instance_uid,
                each.sop_class_uid,
                each.series_instance_uid,
                each.role,
                each.key,
                each.header or {},
            )
            for each in row.objects
        ),
    )
