"""What the catalogue holds, as queries ask for it: by C-FIND, by QIDO-RS, and for retrieval.

Received instances and the objects of own results are found alike. An object that
the archive sent back is found once, as what this node made. Instances that cannot
be used (`Instance.reason`) are not found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, cast

import sqlalchemy as sa

from dicom_nodes.network.query import Answer, Level, Question
from processing.measurement import RejectedInput, TransientFault
from service.catalogue.database import DATABASE_FAULTS, Database, for_reading
from service.catalogue.key_matching import (
    Column,
    Condition,
    Match,
    is_universal,
    match_date,
    match_name,
    match_name_as_it_is,
    match_number,
    match_text,
    match_time,
    match_uid,
)
from service.catalogue.models import (
    Instance,
    Patient,
    ResultObject,
    Series,
    Study,
    StudyName,
)
from service.catalogue.related_counts import COMPUTED, is_found

_PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class FoundInstance:
    """An instance that can be retrieved; `key` is that of its stored bytes."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    key: str


@dataclass(frozen=True, slots=True)
class _Key:
    """An attribute: its column, and how it is matched; None if it is only returned."""

    column: Column
    match: Match | None


@dataclass(frozen=True, slots=True)
class _Source:
    """Where entities of a level are, with the attributes of it and of the levels above."""

    row: Column
    joined: sa.FromClause
    keys: Mapping[str, _Key]
    rows_above: dict[Level, Column]
    conditions: tuple[Condition, ...] = ()


def answers(
    database: Database, question: Question, *, limit: int | None = None, offset: int = 0
) -> Iterator[Answer]:
    """The entities that match, the latest first, read as they are asked for.

    Parameters
    ----------
    database : Database
    question : Question
    limit, offset : int
        At most how many, and how many of the first are left out.

    Yields
    ------
    Answer
        The unique keys of the level and of those above, and every attribute of the
        question that `supported_keys` names. Empty text where nothing is known.

    Raises
    ------
    RejectedInput
        If the value of a key cannot be used; the message names the key.
    TransientFault
        If the database does not answer.
    """
    wanted = [*_unique_keys(question.level), *question.keys]
    asked = [each for each in dict.fromkeys(wanted) if each in supported_keys(question.level)]
    reading = for_reading(database)
    queries = [
        (
            source,
            _select(source, _conditions(source, question, database.engine.dialect.name), asked),
        )
        for source in _sources(question.level)
    ]
    rows = (row for source, query in queries for row in _rows(reading, source, query))
    last = None if limit is None else offset + limit
    chosen = islice(rows, offset, last)
    while page := list(islice(chosen, _PAGE)):
        yield from _completed(reading, page, asked)


def instances_of(database: Database, question: Question) -> Iterator[FoundInstance]:
    """The instances of the entities that match, the latest first; the level does not matter.

    Raises
    ------
    RejectedInput, TransientFault
        As `answers`.
    """
    reading = for_reading(database)
    asked = [*_unique_keys(Level.IMAGE), "SOPClassUID", "AvailableTransferSyntaxUID"]
    for source, stored in ((_RECEIVED, Instance.key), (_MADE, ResultObject.key)):
        conditions = _conditions(source, question, database.engine.dialect.name)
        query = _select(source, conditions, asked)
        for row in _rows(reading, source, query.add_columns(stored.label("stored_key"))):
            yield FoundInstance(
                study_instance_uid=row["StudyInstanceUID"],
                series_instance_uid=row["SeriesInstanceUID"],
                sop_instance_uid=row["SOPInstanceUID"],
                sop_class_uid=row["SOPClassUID"],
                transfer_syntax_uid=row["AvailableTransferSyntaxUID"],
                key=row["stored_key"],
            )


def supported_keys(level: Level) -> frozenset[str]:
    """Keywords of the attributes that are matched or returned at a level."""
    computed = (name for name, each in COMPUTED.items() if each.level.depth <= level.depth)
    return frozenset((*_sources(level)[0].keys, *computed))


def matched_keys(level: Level) -> frozenset[str]:
    """Those of the `supported_keys` that are matched; the others are only returned."""
    own = (name for name, each in _sources(level)[0].keys.items() if each.match is not None)
    computed = (
        name
        for name, each in COMPUTED.items()
        if each.match is not None and each.level.depth <= level.depth
    )
    return frozenset((*own, *computed))


def _unique_keys(level: Level) -> list[str]:
    """Those of the level and of the levels above; of the patient only at its own level."""
    if level is Level.PATIENT:
        return [level.unique_key]
    return [each.unique_key for each in Level if 1 <= each.depth <= level.depth]


def _conditions(source: _Source, question: Question, dialect: str) -> list[Condition]:
    conditions = list(source.conditions)
    for keyword, value in question.keys.items():
        if is_universal(value):
            continue
        try:
            condition = _condition(source, keyword, value, dialect)
        except RejectedInput as rejection:
            raise RejectedInput(f"the value of {keyword} {rejection}") from rejection
        if condition is not None:
            conditions.append(condition)
    return conditions


def _condition(source: _Source, keyword: str, value: str, dialect: str) -> Condition | None:
    if keyword == "PatientName":
        return _named(source, value, dialect)
    if keyword in source.keys:
        key = source.keys[keyword]
        return None if key.match is None else key.match(key.column, value, dialect)
    computed = COMPUTED.get(keyword)
    if computed is None or computed.match is None or computed.level not in source.rows_above:
        return None
    return computed.match(source.rows_above[computed.level], value, dialect)


def _named(source: _Source, value: str, dialect: str) -> Condition:
    studies = sa.select(StudyName.study_row).where(
        match_name(StudyName.name.expression, value, dialect)
    )
    if Level.STUDY in source.rows_above:
        return source.rows_above[Level.STUDY].in_(studies)
    return Patient.id.in_(sa.select(Study.patient_row).where(Study.id.in_(studies)))


def _select(
    source: _Source, conditions: Sequence[Condition], asked: Sequence[str]
) -> sa.Select[Any]:
    columns = [source.keys[each].column.label(each) for each in asked if each in source.keys]
    above = [column.label(f"{level}_row") for level, column in source.rows_above.items()]
    return (
        sa.select(source.row.label("row"), *above, *columns)
        .select_from(source.joined)
        .where(*conditions)
        .order_by(source.row.desc())
        .limit(_PAGE)
    )


def _rows(
    database: Database, source: _Source, query: sa.Select[Any]
) -> Iterator[Mapping[str, Any]]:
    """All rows, page by page: no transaction stays open while a peer takes its time."""
    page_query = query
    while True:
        page = _fetched(database, page_query)
        yield from page
        if len(page) < _PAGE:
            return
        page_query = query.where(source.row < page[-1]["row"])


def _fetched(database: Database, query: sa.Select[Any]) -> list[Mapping[str, Any]]:
    try:
        with database.engine.connect() as connection:
            return [cast(Mapping[str, Any], row) for row in connection.execute(query).mappings()]
    except DATABASE_FAULTS as fault:
        raise TransientFault(f"the database does not answer: {fault.orig}") from fault


def _completed(
    database: Database, page: Sequence[Mapping[str, Any]], asked: Sequence[str]
) -> Iterator[Answer]:
    """The answers of a page, with what is computed for all of it at once."""
    computed: dict[str, Mapping[int, str | int | tuple[str, ...]]] = {}
    levels: dict[str, str] = {}
    for name in asked:
        if name in COMPUTED:
            levels[name] = f"{COMPUTED[name].level}_row"
            rows = sorted({row[levels[name]] for row in page})
            computed[name] = COMPUTED[name].values(lambda query: _fetched(database, query), rows)
    for row in page:
        yield {
            name: (
                computed[name].get(row[levels[name]], "")
                if name in computed
                else ""
                if row[name] is None
                else row[name]
            )
            for name in asked
        }


_PATIENT: Final = {
    "PatientName": _Key(Patient.name.expression, match_name),
    "PatientID": _Key(Patient.patient_id.expression, match_text),
    "IssuerOfPatientID": _Key(Patient.issuer.expression, match_text),
    "PatientBirthDate": _Key(Patient.birth_date.expression, match_date),
    "PatientSex": _Key(Patient.sex.expression, match_text),
}
_STUDY: Final = _PATIENT | {
    "PatientName": _Key(Study.patient_name.expression, match_name),
    "StudyInstanceUID": _Key(Study.study_instance_uid.expression, match_uid),
    "StudyDate": _Key(Study.study_date.expression, match_date),
    "StudyTime": _Key(Study.study_time.expression, match_time),
    "AccessionNumber": _Key(Study.accession_number.expression, match_text),
    "StudyID": _Key(Study.study_id.expression, match_text),
    "StudyDescription": _Key(Study.description.expression, match_text),
    "ReferringPhysicianName": _Key(Study.referring_physician.expression, match_name_as_it_is),
}
_SERIES: Final = _STUDY | {
    "SeriesInstanceUID": _Key(Series.series_instance_uid.expression, match_uid),
    "Modality": _Key(Series.modality.expression, match_text),
    "SeriesNumber": _Key(Series.number.expression, match_number),
    "SeriesDescription": _Key(Series.description.expression, match_text),
}


def _image_keys(
    table: type[Instance] | type[ResultObject], transfer_syntax: Column
) -> dict[str, _Key]:
    header: Any = table.header
    return _SERIES | {
        "SOPInstanceUID": _Key(table.sop_instance_uid.expression, match_uid),
        "SOPClassUID": _Key(table.sop_class_uid.expression, match_uid),
        "InstanceNumber": _Key(header["instance_number"].as_integer(), match_number),
        "Rows": _Key(header["rows"].as_integer(), None),
        "Columns": _Key(header["columns"].as_integer(), None),
        "NumberOfFrames": _Key(header["frames"].as_integer(), None),
        "AvailableTransferSyntaxUID": _Key(transfer_syntax, None),
    }


_PATIENTS: Final = _Source(
    row=Patient.id.expression,
    joined=Patient.__table__,
    keys=_PATIENT,
    rows_above={Level.PATIENT: Patient.id.expression},
)
_STUDIES: Final = _Source(
    row=Study.id.expression,
    joined=sa.join(Study, Patient, Study.patient_row == Patient.id),
    keys=_STUDY,
    rows_above=_PATIENTS.rows_above | {Level.STUDY: Study.id.expression},
)
_SERIES_OF_STUDIES: Final = _Source(
    row=Series.id.expression,
    joined=sa.join(Series, Study, Series.study_row == Study.id).join(
        Patient, Study.patient_row == Patient.id
    ),
    keys=_SERIES,
    rows_above=_STUDIES.rows_above | {Level.SERIES: Series.id.expression},
)
_RECEIVED: Final = _Source(
    row=Instance.id.expression,
    joined=sa.join(Instance, Series, Instance.series_row == Series.id)
    .join(Study, Instance.study_row == Study.id)
    .join(Patient, Study.patient_row == Patient.id),
    keys=_image_keys(Instance, Instance.transfer_syntax_uid.expression),
    rows_above=_SERIES_OF_STUDIES.rows_above,
    conditions=(is_found(),),
)
_MADE: Final = _Source(
    row=ResultObject.id.expression,
    # By its series: a result may be filed under another study than that of its inputs.
    joined=sa.join(
        ResultObject, Series, ResultObject.series_instance_uid == Series.series_instance_uid
    )
    .join(Study, Series.study_row == Study.id)
    .join(Patient, Study.patient_row == Patient.id),
    keys=_image_keys(
        ResultObject, cast(Any, ResultObject.header)["transfer_syntax_uid"].as_string()
    ),
    rows_above=_SERIES_OF_STUDIES.rows_above,
)


def _sources(level: Level) -> tuple[_Source, ...]:
    match level:
        case Level.PATIENT:
            return (_PATIENTS,)
        case Level.STUDY:
            return (_STUDIES,)
        case Level.SERIES:
            return (_SERIES_OF_STUDIES,)
        case Level.IMAGE:
            return (_RECEIVED, _MADE)
