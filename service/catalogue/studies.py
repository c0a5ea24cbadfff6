"""Studies and what belongs to them, as their headers say."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import InstrumentedAttribute, Session

from service.catalogue.database import Database
from service.catalogue.models import (
    Base,
    Instance,
    Patient,
    Quarantined,
    Series,
    Study,
    StudyName,
)
from service.catalogue.name_matching import folded_groups


@dataclass(frozen=True, slots=True)
class Uncatalogued:
    """A received instance whose header has not been read yet."""

    row: int
    sop_instance_uid: str
    sop_class_uid: str
    key: str
    received_at: datetime
    calling_ae_title: str
    prior: bool = False


@dataclass(frozen=True, slots=True)
class StudyFacts:
    """What a header says of patient, study and series."""

    study_instance_uid: str
    series_instance_uid: str
    patient_id: str
    issuer: str
    patient_name: str
    birth_date: str
    sex: str
    accession_number: str
    study_date: str
    study_description: str
    priority: str
    modality: str
    series_description: str
    study_time: str = ""
    study_id: str = ""
    referring_physician: str = ""
    series_number: int | None = None


@dataclass(frozen=True, slots=True)
class Catalogued:
    """The outcome of reading one header.

    `facts` is None where the object does not even name its study; `reason` says
    why the object cannot be used, None where it can. `header` holds the facts
    that the analyses look at when they declare their inputs, and those that queries
    ask for.
    """

    instance: Uncatalogued
    facts: StudyFacts | None
    header: dict[str, Any]
    reason: str | None
    own: bool


@dataclass(frozen=True, slots=True)
class KnownInstance:
    """An instance of a study; a `prior` came for the sake of another one."""

    sop_instance_uid: str
    sop_class_uid: str
    key: str
    received_at: datetime
    calling_ae_title: str
    own: bool
    modality: str
    header: dict[str, Any]
    reason: str | None
    prior: bool = False


@dataclass(frozen=True, slots=True)
class KnownStudy:
    """A study with all its instances, the oldest first."""

    study_instance_uid: str
    patient_id: str
    patient_name: str
    accession_number: str
    study_date: str
    description: str
    priority: str
    first_arrival: datetime
    last_arrival: datetime
    instances: tuple[KnownInstance, ...]


def uncatalogued(database: Database, limit: int) -> list[Uncatalogued]:
    """The oldest instances whose headers are unread, at most `limit`."""
    query = (
        sa.select(Instance)
        .where(Instance.catalogued_at.is_(None))
        .order_by(Instance.id)
        .limit(limit)
    )
    with database.sessions() as session:
        return [
            Uncatalogued(
                row.id,
                row.sop_instance_uid,
                row.sop_class_uid,
                row.key,
                row.received_at,
                row.calling_ae_title,
                row.prior,
            )
            for row in session.scalars(query)
        ]


def record(database: Database, batch: Sequence[Catalogued]) -> None:
    """Write what the headers of a batch say, in one transaction.

    Recording the same header twice changes nothing, so a batch that was cut off
    is simply read again.
    """
    now = datetime.now(UTC)
    with database.sessions.begin() as session:
        for each in batch:
            study_row = series_row = None
            if each.facts is not None:
                study_row = _study_row(session, each)
                series_row = _series_row(session, each.facts, study_row)
            session.execute(
                sa.update(Instance)
                # A prior that was sent for its own sake meanwhile is read once more.
                .where(Instance.id == each.instance.row, Instance.prior == each.instance.prior)
                .values(
                    catalogued_at=now,
                    study_row=study_row,
                    series_row=series_row,
                    header=each.header,
                    reason=each.reason,
                    own=each.own,
                )
            )


def known_study(database: Database, study_instance_uid: str) -> KnownStudy | None:
    """The study with its instances, or None."""
    with database.sessions() as session:
        study = session.scalar(
            sa.select(Study).where(Study.study_instance_uid == study_instance_uid)
        )
        if study is None:
            return None
        rows = session.execute(
            sa.select(Instance, Series.modality)
            .join(Series, Instance.series_row == Series.id)
            .where(Instance.study_row == study.id)
            .order_by(Instance.id)
        ).all()
        return KnownStudy(
            study_instance_uid=study.study_instance_uid,
            patient_id=study.patient.patient_id,
            patient_name=study.patient_name,
            accession_number=study.accession_number,
            study_date=study.study_date,
            description=study.description,
            priority=study.priority,
            first_arrival=study.first_arrival,
            last_arrival=study.last_arrival,
            instances=tuple(_known(instance, modality) for instance, modality in rows),
        )


def latest_studies(database: Database, limit: int) -> list[str]:
    """Study Instance UIDs, the one with the latest arrival first."""
    query = (
        sa.select(Study.study_instance_uid)
        .order_by(Study.last_arrival.desc(), Study.id.desc())
        .limit(limit)
    )
    with database.sessions() as session:
        return list(session.scalars(query))


def arrived_among(database: Database, study_instance_uids: Collection[str]) -> set[str]:
    """Those of these studies that are in the catalogue."""
    query = sa.select(Study.study_instance_uid).where(
        Study.study_instance_uid.in_(study_instance_uids)
    )
    with database.sessions() as session:
        return set(session.scalars(query))


def instance_keys(database: Database, sop_instance_uids: Sequence[str]) -> dict[str, str]:
    """Where the bytes of these instances are, by SOP Instance UID."""
    query = sa.select(Instance.sop_instance_uid, Instance.key).where(
        Instance.sop_instance_uid.in_(sop_instance_uids)
    )
    with database.sessions() as session:
        return {row.sop_instance_uid: row.key for row in session.execute(query)}


@dataclass(frozen=True, slots=True)
class Unusable:
    """Bytes that are kept but belong to no study or are not used, and why."""

    sop_instance_uid: str
    key: str
    received_at: datetime
    calling_ae_title: str
    reason: str


def unusable(database: Database, limit: int) -> list[Unusable]:
    """What is quarantined or names no study, the latest first."""
    columns = ("sop_instance_uid", "key", "received_at", "calling_ae_title", "reason")
    quarantined = sa.select(*(getattr(Quarantined, name) for name in columns))
    without_study = sa.select(*(getattr(Instance, name) for name in columns)).where(
        Instance.reason.is_not(None), Instance.study_row.is_(None)
    )
    with database.sessions() as session:
        found = [
            Unusable(*row)
            for query, table in ((quarantined, Quarantined), (without_study, Instance))
            for row in session.execute(query.order_by(table.id.desc()).limit(limit))
        ]
    return sorted(found, key=lambda each: each.received_at, reverse=True)[:limit]


def _known(instance: Instance, modality: str) -> KnownInstance:
    return KnownInstance(
        sop_instance_uid=instance.sop_instance_uid,
        sop_class_uid=instance.sop_class_uid,
        key=instance.key,
        received_at=instance.received_at,
        calling_ae_title=instance.calling_ae_title,
        own=instance.own,
        modality=modality,
        header=instance.header or {},
        reason=instance.reason,
        prior=instance.prior,
    )


def _study_row(session: Session, catalogued: Catalogued) -> int:
    facts = catalogued.facts
    assert facts is not None
    patient_row = _row_of(
        session,
        Patient,
        {"patient_id": facts.patient_id, "issuer": facts.issuer},
        {"name": facts.patient_name, "birth_date": facts.birth_date, "sex": facts.sex},
    )
    arrived = catalogued.instance.received_at
    study_row = _row_of(
        session,
        Study,
        {"study_instance_uid": facts.study_instance_uid},
        {
            "patient_row": patient_row,
            "patient_name": facts.patient_name,
            "accession_number": facts.accession_number,
            "study_date": facts.study_date,
            "study_time": facts.study_time,
            "study_id": facts.study_id,
            "referring_physician": facts.referring_physician,
            "description": facts.study_description,
            "priority": facts.priority,
            "first_arrival": arrived,
            "last_arrival": arrived,
        },
    )
    record_names(session, study_row, facts.patient_name)
    if not catalogued.own and not catalogued.instance.prior:
        _raise_arrival(session, study_row, arrived)
    if facts.priority:
        session.execute(
            sa.update(Study).where(Study.id == study_row).values(priority=facts.priority)
        )
    return study_row


def record_names(session: Session, study_row: int, patient_name: str) -> None:
    """Have the study found by this name of its patient, beside those it had before."""
    for name in folded_groups(patient_name):
        session.execute(
            insert_into(session, StudyName)
            .values(study_row=study_row, name=name)
            .on_conflict_do_nothing()
        )


def _raise_arrival(session: Session, study_row: int, arrived: datetime) -> None:
    session.execute(
        sa.update(Study)
        .where(Study.id == study_row, Study.last_arrival < arrived)
        .values(last_arrival=arrived)
    )


def _series_row(session: Session, facts: StudyFacts, study_row: int) -> int:
    return _row_of(
        session,
        Series,
        {"series_instance_uid": facts.series_instance_uid},
        {
            "study_row": study_row,
            "modality": facts.modality,
            "number": facts.series_number,
            "description": facts.series_description,
        },
    )


def insert_into(session: Session, table: type[Base]) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that may say what to do on a conflict."""
    if session.get_bind().dialect.name == "sqlite":
        return sqlite.insert(table)
    return postgresql.insert(table)


def _row_of(
    session: Session,
    table: type[Patient] | type[Study] | type[Series],
    identity: dict[str, str],
    otherwise: dict[str, Any],
) -> int:
    """The row with this identity, made with `otherwise` when it is not there yet."""
    session.execute(
        insert_into(session, table).values(**identity, **otherwise).on_conflict_do_nothing()
    )
    columns: list[InstrumentedAttribute[Any]] = [getattr(table, name) for name in identity]
    row = session.scalar(
        sa.select(table.id).where(
            *(column == value for column, value in zip(columns, identity.values(), strict=True))
        )
    )
    assert row is not None
    return row
