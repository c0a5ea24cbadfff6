"""What the pages say, before anything is drawn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from processing.measurement import (
    Analysis,
    Measurement,
    QualityCheck,
    Status,
)
from service.display import shown
from service.result_pages.measure_tables import tables_of
from service.result_pages.text_tables import (
    NormalRangeOf,
    TextTable,
    name_of_row,
    range_in_words,
    shown_value,
    text_table,
)
from service.result_pages.words import Sentence, Words, named

HEADLINES: Final = {
    "photograph-symmetry": "symmetry_ratio",
    "photograph-smile": "commissure_excursion_difference",
    "photograph-brow-raise": "brow_height_difference",
    "photograph-eye-closure": "palpebral_fissure_height_difference",
    "surface-symmetry": "volume_discrepancy",
}
"""The quantity of each analysis that is said first."""

_LONGEST_REASON: Final = 1500
_MOST_CHECKS_NAMED: Final = 6
_EDITED: Final = "landmark_edit_distance"
_VOLUME: Final = "volume_discrepancy"
_HEADINGS: Final = {
    Status.REFUSED: (Sentence.REFUSED_HEADING, Sentence.REFUSED_ADVICE),
    Status.FAILED: (Sentence.FAILED_HEADING, Sentence.FAILED_ADVICE),
}
_STATES: Final = {
    Status.MEASURED: Sentence.MEASURED,
    Status.REFUSED: Sentence.REFUSED,
    Status.FAILED: Sentence.FAILED,
}


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose result it is; texts in Unicode, empty where unknown.

    `name` is written as people write it; dates are ``YYYYMMDD``; `sex` is the code.
    """

    name: str
    patient_id: str
    birth_date: str
    sex: str
    study_date: str
    accession_number: str


@dataclass(frozen=True, slots=True)
class PageContent:
    """The pages in words.

    Parameters
    ----------
    title : str
    subject : tuple of (str, str)
        Labels and values.
    statement_heading : str
    statement : tuple of str
        The result, or why there is none; a paragraph each, the first is said loudest.
    cautions, how : tuple of str
    tables : tuple of TextTable
    measures_left_out : int
        How many measures stand only in the report.
    normal : tuple of str
        Normal values, a line each.
    """

    title: str
    subject: tuple[tuple[str, str], ...]
    statement_heading: str
    statement: tuple[str, ...]
    cautions: tuple[str, ...]
    how: tuple[str, ...]
    tables: tuple[TextTable, ...]
    measures_left_out: int
    normal: tuple[str, ...]


def page_content(
    analysis: Analysis,
    subject: Subject,
    made_at: datetime,
    words: Words,
    *,
    software: str,
    normal_range_of: NormalRangeOf,
) -> PageContent:
    """What the pages of a result say.

    Parameters
    ----------
    analysis : Analysis
    subject : Subject
    made_at : datetime
        When it was measured, in the zone that is shown.
    words : Words
    software : str
        Version of the program.
    normal_range_of : callable
    """
    tables = tables_of(analysis.measurements)
    placed = sum(cell is not None for each in tables for row in each.rows for cell in row.cells)
    heading, statement = _statement(analysis, words)
    return PageContent(
        title=named(words.analyses, analysis.analysis),
        subject=_subject(analysis, subject, made_at, words),
        statement_heading=heading,
        statement=statement,
        cautions=tuple(_cautions(analysis, words)),
        how=tuple(_how(analysis, words, software)),
        tables=tuple(text_table(each, words, normal_range_of) for each in tables),
        measures_left_out=len(analysis.measurements) - placed,
        normal=tuple(_normal(analysis.measurements, words, normal_range_of)),
    )


def _subject(
    analysis: Analysis, subject: Subject, made_at: datetime, words: Words
) -> tuple[tuple[str, str], ...]:
    state = words.say(_STATES[analysis.status])
    if analysis.status is Status.MEASURED:
        state = words.say(Sentence.LISTED).join((state, words.say(Sentence.UNVERIFIED)))
    lines = (
        (Sentence.NAME, subject.name),
        (Sentence.PATIENT_ID, subject.patient_id),
        (Sentence.BIRTH_DATE, _date(subject.birth_date)),
        (Sentence.SEX, words.sexes.get(subject.sex, subject.sex)),
        (Sentence.STUDY_DATE, _date(subject.study_date)),
        (Sentence.ACCESSION, subject.accession_number),
        (Sentence.MEASURED_AT, f"{made_at:%Y-%m-%d %H:%M %Z}".strip()),
        (Sentence.STATUS, state),
    )
    return tuple((words.say(label), shown(value) or "–") for label, value in lines)


def _date(text: str) -> str:
    is_date = len(text) == 8 and text.isascii() and text.isdigit()
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if is_date else text


def _statement(analysis: Analysis, words: Words) -> tuple[str, tuple[str, ...]]:
    if analysis.status is not Status.MEASURED:
        heading, advice = _HEADINGS[analysis.status]
        reason = shown(analysis.reason or "", _LONGEST_REASON)
        return words.say(heading), (
            words.say(Sentence.BESIDE).join((words.say(Sentence.REASON), reason)),
            words.say(advice),
        )
    said = _headline(analysis, words)
    return words.say(Sentence.RESULT), said


def _headline(analysis: Analysis, words: Words) -> tuple[str, ...]:
    wanted = HEADLINES.get(analysis.analysis)
    found = next((each for each in analysis.measurements if each.quantity == wanted), None)
    if found is None or analysis.analysis not in words.headlines:
        return ()
    first = words.headlines[analysis.analysis].format(value=shown_value(found))
    if analysis.analysis not in words.differences:
        return (first,)
    more, less = words.differences[analysis.analysis]
    if abs(found.value) < 2 * found.uncertainty:
        return (first, words.say(Sentence.NOT_CLEAR))
    said = (more if found.value > 0 else less, words.say(Sentence.CLEAR))
    return (first, words.say(Sentence.BESIDE).join(said))


def _cautions(analysis: Analysis, words: Words) -> Iterator[str]:
    failed = [each for each in analysis.quality if not each.passed]
    for each in failed[:_MOST_CHECKS_NAMED]:
        yield words.say(
            Sentence.CHECK_FAILED,
            check=named(words.checks, each.check),
            value=_number(each, each.value),
            limit=_number(each, each.limit),
        )
    if len(failed) > _MOST_CHECKS_NAMED:
        yield words.say(Sentence.MORE_CHECKS_FAILED, count=str(len(failed) - _MOST_CHECKS_NAMED))
    if analysis.quality and not failed:
        yield words.say(Sentence.ALL_CHECKS_PASSED, count=str(len(analysis.quality)))
    if _has_found_area(analysis):
        yield words.say(Sentence.AREA_NO_LESION)
    if _may_hide_a_wide_loss(analysis):
        yield words.say(Sentence.WIDE_LOSS_MAY_HIDE)
    edited = sum(
        each.quantity == _EDITED and each.structure is not None for each in analysis.measurements
    )
    if edited:
        yield words.say(Sentence.PLACED_BY_A_PERSON, count=str(edited))
    if analysis.status is Status.MEASURED:
        yield words.say(Sentence.SIDES_ARE_THE_PATIENTS)
        yield words.say(Sentence.HEALTHY_ARE_ASYMMETRIC)
    yield words.say(Sentence.RESEARCH_USE)


def _has_found_area(analysis: Analysis) -> bool:
    by_region = any(
        (each.region or "").startswith("affected area") and "given" not in (each.region or "")
        for each in analysis.measurements
    )
    return by_region or "affected-area" in analysis.areas


def _may_hide_a_wide_loss(analysis: Analysis) -> bool:
    """Where a volume was measured and nobody outlined an area."""
    volumes = [each for each in analysis.measurements if each.quantity == _VOLUME]
    return bool(volumes) and not any("given" in (each.region or "") for each in volumes)


def _number(check: QualityCheck, value: float) -> str:
    unit = {"1": "", "deg": "°", "{pixels}": " px"}.get(check.unit, f" {check.unit}")
    return f"{value:.3g}{unit}"


def _how(analysis: Analysis, words: Words, software: str) -> Iterator[str]:
    if analysis.analysis in words.how:
        yield words.how[analysis.analysis]
    if analysis.measurements:
        yield words.say(Sentence.UNCERTAINTY)
    yield words.say(
        Sentence.METHOD_VERSION,
        analysis=shown(analysis.analysis),
        version=shown(analysis.version),
        software=software,
    )


def _normal(
    measurements: Sequence[Measurement], words: Words, normal_range_of: NormalRangeOf
) -> Iterator[str]:
    for each in measurements:
        found = normal_range_of(each)
        if found is not None:
            yield words.say(
                Sentence.NORMAL_OF,
                name=name_of_row(each.quantity, None, each.region, words),
                range=range_in_words(found, words),
                population=found.population,
                source=found.source,
            )
