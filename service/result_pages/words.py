"""The words of the pages: what a language must have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Language = Literal["en", "zh"]


class Sentence(StrEnum):
    """The headings and sentences of the pages; fields in braces are filled in."""

    NAME = "name"
    PATIENT_ID = "patient id"
    BIRTH_DATE = "birth date"
    SEX = "sex"
    STUDY_DATE = "study date"
    ACCESSION = "accession"
    MEASURED_AT = "measured at"
    STATUS = "status"
    UNVERIFIED = "unverified"
    MEASURED = "measured"
    REFUSED = "refused"
    FAILED = "failed"
    REFUSED_HEADING = "refused heading"
    FAILED_HEADING = "failed heading"
    REASON = "reason"
    REFUSED_ADVICE = "refused advice"
    FAILED_ADVICE = "failed advice"
    RESULT = "result"
    NOT_CLEAR = "not clear"
    CLEAR = "clear"
    CAREFUL = "careful"
    CHECK_FAILED = "check failed"
    ALL_CHECKS_PASSED = "all checks passed"
    MORE_CHECKS_FAILED = "more checks failed"
    AREA_NO_LESION = "area is no lesion"
    WIDE_LOSS_MAY_HIDE = "a wide loss may hide"
    SIDES_ARE_THE_PATIENTS = "sides are the patient's"
    HEALTHY_ARE_ASYMMETRIC = "healthy faces are asymmetric"
    RESEARCH_USE = "research use"
    MISSING_CHARACTER = "missing character"
    PLACED_BY_A_PERSON = "placed by a person"
    HOW = "how"
    UNCERTAINTY = "uncertainty"
    METHOD_VERSION = "method version"
    REST_IN_REPORT = "rest in report"
    MEASURES = "measures"
    TABLE_OVERALL = "table overall"
    TABLE_SIDES = "table sides"
    TABLE_REGIONS = "table regions"
    TABLE_LANDMARKS = "table landmarks"
    MEASURE = "measure"
    VALUE = "value"
    NORMAL = "normal"
    RIGHT = "right"
    LEFT = "left"
    DIFFERENCE = "difference"
    RATIO = "ratio"
    PART_OF_FACE = "part of face"
    LANDMARK = "landmark"
    NORMAL_OF = "normal of"
    NORMAL_WHOLE = "normal of the whole face"
    RANGE = "range"
    AT_LEAST = "at least"
    AT_MOST = "at most"
    NORMAL_NOTE = "normal note"
    PAGE = "page"
    PICTURES_ARE_ON = "pictures are on"
    JOINED = "joined"
    LISTED = "listed"
    BESIDE = "beside"


@dataclass(frozen=True, slots=True)
class Words:
    """One language.

    Parameters
    ----------
    analyses : mapping of str to str
        Title of the pages by the name of the analysis.
    quantities, structures, regions, checks : mapping of str to str
        By the names of an analysis.
    short_quantities : mapping of str to str
        Of those that head a column.
    pictures : mapping of str to str
        Captions, by the name of a picture.
    sexes : mapping of str to str
        By the code of Patient's Sex (0010,0040).
    headlines : mapping of str to str
        What the headline of an analysis says, by the name of the analysis.
    differences : mapping of str to tuple of str
        By the name of an analysis: what is said of its headline where the left side has
        more, and where it has less. Only of signed headlines.
    how : mapping of str to str
        How it was measured, by the name of the analysis.
    sentences : mapping of Sentence to str
    """

    language: Language
    analyses: Mapping[str, str]
    quantities: Mapping[str, str]
    short_quantities: Mapping[str, str]
    structures: Mapping[str, str]
    regions: Mapping[str, str]
    checks: Mapping[str, str]
    pictures: Mapping[str, str]
    sexes: Mapping[str, str]
    headlines: Mapping[str, str]
    differences: Mapping[str, tuple[str, str]]
    how: Mapping[str, str]
    sentences: Mapping[Sentence, str]

    def say(self, sentence: Sentence, **fields: str) -> str:
        """A sentence with its fields filled in."""
        return self.sentences[sentence].format(**fields)


def words_of(language: Language) -> Words:
    """The words of a language."""
    from service.result_pages.chinese import CHINESE
    from service.result_pages.english import ENGLISH

    return {"en": ENGLISH, "zh": CHINESE}[language]


def named(table: Mapping[str, str], name: str) -> str:
    """The word for a name; the name itself, readable, where it has none."""
    return table.get(name) or name.replace("_", " ")
