"""Attributes of patients, studies and series that follow from what belongs to them.

They are worked out for a page of entities at a time (PS3.4, tables C.6-1 to C.6-5,
and additional attributes of section C.3.4).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from dicom_nodes.network.query import Level
from service.catalogue.key_matching import Column, Condition, Match, match_text, match_uid
from service.catalogue.models import Instance, ResultObject, Series, Study

Fetch = Callable[[sa.Select[Any]], Sequence[Mapping[str, Any]]]
Values = Mapping[int, "str | int | tuple[str, ...]"]


@dataclass(frozen=True, slots=True)
class ComputedKey:
    """An attribute of a level: its values for given rows, and how a row is matched by it."""

    level: Level
    values: Callable[[Fetch, Sequence[int]], Values]
    match: Match | None = None


def is_found() -> Condition:
    """Whether a received instance is one that queries find; see `queries`."""
    made = sa.exists().where(ResultObject.sop_instance_uid == Instance.sop_instance_uid)
    return sa.and_(
        Instance.study_row.is_not(None),
        Instance.series_row.is_not(None),
        Instance.reason.is_(None),
        ~made,
    )


def _numbers(*queries: Callable[[Sequence[int]], sa.Select[Any]]) -> Callable[..., Values]:
    """Adds up what queries count for each row, columns `row` and `number`."""

    def values(fetch: Fetch, rows: Sequence[int]) -> Values:
        counted: Counter[int] = Counter(dict.fromkeys(rows, 0))
        for query in queries:
            for found in fetch(query(rows)):
                counted[found["row"]] += found["number"]
        return counted

    return values


def _lists(*queries: Callable[[Sequence[int]], sa.Select[Any]]) -> Callable[..., Values]:
    """Collects what queries find for each row, columns `row` and `value`."""

    def values(fetch: Fetch, rows: Sequence[int]) -> Values:
        collected: defaultdict[int, set[str]] = defaultdict(set)
        for query in queries:
            for found in fetch(query(rows)):
                if found["value"]:
                    collected[found["row"]].add(found["value"])
        return {row: tuple(sorted(each)) for row, each in collected.items()}

    return values


def _counted(row: Column, joined: sa.FromClause, *conditions: Condition) -> Any:
    def query(rows: Sequence[int]) -> sa.Select[Any]:
        columns: tuple[Column, ...] = (row.label("row"), sa.func.count().label("number"))
        return (
            sa.select(*columns).select_from(joined).where(row.in_(rows), *conditions).group_by(row)
        )

    return query


def _distinct(row: Column, value: Column, joined: sa.FromClause, *conditions: Condition) -> Any:
    def query(rows: Sequence[int]) -> sa.Select[Any]:
        return (
            sa.select(row.label("row"), value.label("value"))
            .select_from(joined)
            .where(row.in_(rows), *conditions)
            .distinct()
        )

    return query


def _has_modality(study: Column, value: str, dialect: str) -> Condition:
    modality = match_text(Series.modality.expression, value, dialect)
    return sa.exists().where(Series.study_row == study, modality).correlate_except(Series)


def _has_sop_class(study: Column, value: str, dialect: str) -> Condition:
    received = sa.exists().where(
        Instance.study_row == study,
        match_uid(Instance.sop_class_uid.expression, value, dialect),
        is_found(),
    )
    made = sa.exists().where(
        Series.study_row == study,
        ResultObject.series_instance_uid == Series.series_instance_uid,
        match_uid(ResultObject.sop_class_uid.expression, value, dialect),
    )
    return sa.or_(received.correlate_except(Instance), made.correlate_except(Series, ResultObject))


_MADE: Final = sa.join(
    ResultObject, Series, ResultObject.series_instance_uid == Series.series_instance_uid
)

COMPUTED: Final[Mapping[str, ComputedKey]] = {
    "NumberOfPatientRelatedStudies": ComputedKey(
        Level.PATIENT, _numbers(_counted(Study.patient_row.expression, Study.__table__))
    ),
    "NumberOfPatientRelatedSeries": ComputedKey(
        Level.PATIENT,
        _numbers(
            _counted(
                Study.patient_row.expression, sa.join(Study, Series, Series.study_row == Study.id)
            )
        ),
    ),
    "NumberOfPatientRelatedInstances": ComputedKey(
        Level.PATIENT,
        _numbers(
            _counted(
                Study.patient_row.expression,
                sa.join(Study, Instance, Instance.study_row == Study.id),
                is_found(),
            ),
            _counted(Study.patient_row.expression, _MADE.join(Study, Series.study_row == Study.id)),
        ),
    ),
    "NumberOfStudyRelatedSeries": ComputedKey(
        Level.STUDY, _numbers(_counted(Series.study_row.expression, Series.__table__))
    ),
    "NumberOfStudyRelatedInstances": ComputedKey(
        Level.STUDY,
        _numbers(
            _counted(Instance.study_row.expression, Instance.__table__, is_found()),
            _counted(Series.study_row.expression, _MADE),
        ),
    ),
    "ModalitiesInStudy": ComputedKey(
        Level.STUDY,
        _lists(
            _distinct(Series.study_row.expression, Series.modality.expression, Series.__table__)
        ),
        _has_modality,
    ),
    "SOPClassesInStudy": ComputedKey(
        Level.STUDY,
        _lists(
            _distinct(
                Instance.study_row.expression,
                Instance.sop_class_uid.expression,
                Instance.__table__,
                is_found(),
            ),
            _distinct(Series.study_row.expression, ResultObject.sop_class_uid.expression, _MADE),
        ),
        _has_sop_class,
    ),
    "NumberOfSeriesRelatedInstances": ComputedKey(
        Level.SERIES,
        _numbers(
            _counted(Instance.series_row.expression, Instance.__table__, is_found()),
            _counted(Series.id.expression, _MADE),
        ),
    ),
}
