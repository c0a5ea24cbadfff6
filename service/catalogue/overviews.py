"""Bulk reads for a list of studies: a fixed number of queries, however many studies."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import sqlalchemy as sa

from service.catalogue.database import Database
from service.catalogue.models import Completion, Instance, Patient, Quarantined, Series, Study
from service.catalogue.results import (
    Evidence,
    MadeResult,
    Sent,
    deliveries_query,
    made_result,
    results_query,
)

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Content:
    """Instances of a study that are alike; `sop_instance_uid` names one of them.

    Those that are `prior` came for the sake of another study.
    """

    modality: str
    view: str | None
    expression: str | None
    calling_ae_title: str
    own: bool
    reason: str | None
    instances: int
    sop_instance_uid: str
    prior: bool = False


@dataclass(frozen=True, slots=True)
class StudyOverview:
    """A study with what it holds, counted instead of listed."""

    study_instance_uid: str
    patient_id: str
    patient_name: str
    accession_number: str
    study_date: str
    description: str
    priority: str
    first_arrival: datetime
    last_arrival: datetime
    contents: tuple[Content, ...]

    @property
    def arrived(self) -> tuple[Content, ...]:
        """What others sent for its own sake, without what this node made itself."""
        return tuple(each for each in self.contents if not each.own and not each.prior)

    @property
    def is_only_prior(self) -> bool:
        """Whether all that others sent came for the sake of another study."""
        return not self.arrived and any(each.prior for each in self.contents)


@dataclass(frozen=True, slots=True)
class Counts:
    """How much the catalogue holds."""

    studies: int
    instances: int
    quarantined: int


def study_overviews(
    database: Database, study_instance_uids: Sequence[str]
) -> dict[str, StudyOverview]:
    """These studies by their UIDs; one that is not in the catalogue is left out."""
    with database.sessions() as session:
        found = session.execute(
            sa.select(Study, Patient)
            .join(Patient, Study.patient_row == Patient.id)
            .where(Study.study_instance_uid.in_(study_instance_uids))
        ).all()
        contents = _contents(session.execute(_contents_query(study_instance_uids)))
    return {
        study.study_instance_uid: StudyOverview(
            study_instance_uid=study.study_instance_uid,
            patient_id=patient.patient_id,
            patient_name=study.patient_name,
            accession_number=study.accession_number,
            study_date=study.study_date,
            description=study.description,
            priority=study.priority,
            first_arrival=study.first_arrival,
            last_arrival=study.last_arrival,
            contents=tuple(contents[study.id]),
        )
        for study, patient in found
    }


def completions_of_studies(
    database: Database, study_instance_uids: Sequence[str]
) -> dict[str, list[Evidence]]:
    """Why each study counted as complete, by Study Instance UID, the first time first."""
    query = (
        sa.select(Study.study_instance_uid, Completion)
        .join(Study, Completion.study_row == Study.id)
        .where(Study.study_instance_uid.in_(study_instance_uids))
        .order_by(Completion.id)
    )
    with database.sessions() as session:
        return _by_first(
            (uid, Evidence(row.evidence, row.detail, row.decided_at))
            for uid, row in session.execute(query)
        )


def results_of_studies(
    database: Database, study_instance_uids: Sequence[str]
) -> dict[str, list[MadeResult]]:
    """The results of each study, by Study Instance UID, the oldest first."""
    with database.sessions() as session:
        made = [made_result(row) for row in session.scalars(results_query(study_instance_uids))]
    return _by_first((each.study_instance_uid, each) for each in made)


def deliveries_of_studies(
    database: Database, study_instance_uids: Sequence[str]
) -> dict[str, list[Sent]]:
    """Where the results of each study went, by Study Instance UID."""
    with database.sessions() as session:
        return _by_first(
            (
                uid,
                Sent(key, row.destination, row.delivered_at, row.confirmation, row.confirmed_at),
            )
            for uid, key, row in session.execute(deliveries_query(study_instance_uids))
        )


def uids_starting_with(database: Database, prefix: str, limit: int) -> list[str]:
    """Study Instance UIDs that begin with `prefix`, at most `limit`; an exact match alone."""
    query = (
        sa.select(Study.study_instance_uid)
        .where(Study.study_instance_uid.startswith(prefix, autoescape=True))
        .order_by(Study.study_instance_uid)
        .limit(limit)
    )
    with database.sessions() as session:
        found = list(session.scalars(query))
    return [prefix] if prefix in found else found


def unread_instances(database: Database) -> int:
    """How many received instances wait for their headers to be read."""
    query = sa.select(sa.func.count()).select_from(Instance).where(Instance.catalogued_at.is_(None))
    with database.sessions() as session:
        return session.scalar(query) or 0


def counts(database: Database) -> Counts:
    """How much the catalogue holds."""
    with database.sessions() as session:
        studies, instances, quarantined = (
            session.scalar(sa.select(sa.func.count()).select_from(table)) or 0
            for table in (Study, Instance, Quarantined)
        )
    return Counts(studies, instances, quarantined)


def _contents_query(study_instance_uids: Sequence[str]) -> sa.Select[*tuple[Any, ...]]:
    alike = (
        Series.modality,
        Instance.header["view"].as_string().label("view"),
        Instance.header["expression"].as_string().label("expression"),
        Instance.calling_ae_title,
        Instance.own,
        Instance.reason,
        Instance.prior,
    )
    return (
        sa.select(
            Instance.study_row,
            *alike,
            sa.func.count().label("instances"),
            sa.func.min(Instance.sop_instance_uid).label("sop_instance_uid"),
        )
        .join(Study, Instance.study_row == Study.id)
        .outerjoin(Series, Instance.series_row == Series.id)
        .where(Study.study_instance_uid.in_(study_instance_uids))
        .group_by(Instance.study_row, *alike)
        .order_by(sa.func.min(Instance.id))
    )


def _contents(rows: Iterable[sa.Row[*tuple[Any, ...]]]) -> defaultdict[int, list[Content]]:
    contents: defaultdict[int, list[Content]] = defaultdict(list)
    for row in rows:
        contents[row.study_row].append(
            Content(
                modality=row.modality or "",
                view=row.view,
                expression=row.expression,
                calling_ae_title=row.calling_ae_title,
                own=row.own,
                reason=row.reason,
                instances=row.instances,
                sop_instance_uid=row.sop_instance_uid,
                prior=row.prior,
            )
        )
    return contents


def _by_first(pairs: Iterable[tuple[str, _T]]) -> dict[str, list[_T]]:
    grouped: defaultdict[str, list[_T]] = defaultdict(list)
    for uid, each in pairs:
        grouped[uid].append(each)
    return dict(grouped)
