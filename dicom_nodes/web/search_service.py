"""QIDO-RS as origin server (PS3.18, section 10.6): from a request's parameters to a question."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword

from dicom_nodes.network.query import Level, Question
from processing.measurement import RejectedInput

MOST_ANSWERS: Final = 5_000
_MOST_PARAMETERS: Final = 100
_LONGEST_VALUE: Final = 20_000
_TAG: Final = re.compile(r"[0-9A-Fa-f]{8}", re.ASCII)

# Tables 10.6.3-3 to 10.6.3-5 of PS3.18, as far as a catalogue can know them.
RETURNED: Final = {
    Level.STUDY: [
        "StudyDate",
        "StudyTime",
        "AccessionNumber",
        "ModalitiesInStudy",
        "ReferringPhysicianName",
        "PatientName",
        "PatientID",
        "PatientBirthDate",
        "PatientSex",
        "StudyInstanceUID",
        "StudyID",
        "StudyDescription",
        "NumberOfStudyRelatedSeries",
        "NumberOfStudyRelatedInstances",
    ],
    Level.SERIES: [
        "Modality",
        "SeriesDescription",
        "SeriesInstanceUID",
        "SeriesNumber",
        "NumberOfSeriesRelatedInstances",
    ],
    Level.IMAGE: [
        "SOPClassUID",
        "SOPInstanceUID",
        "AvailableTransferSyntaxUID",
        "InstanceNumber",
        "Rows",
        "Columns",
        "NumberOfFrames",
    ],
}


@dataclass(frozen=True, slots=True)
class Search:
    """What a request asks for; `warnings` are for the Warning header of the answer."""

    question: Question
    limit: int
    offset: int
    warnings: tuple[str, ...]


def search_of(
    level: Level,
    parameters: Iterable[tuple[str, str]],
    above: dict[str, str],
    supported: Collection[str],
) -> Search:
    """The search that the parameters of a request describe, in their order.

    Parameters
    ----------
    level : Level
    parameters : iterable of (str, str)
        Percent-decoded.
    above : dict of str to str
        Keywords and UIDs that the address names.
    supported : collection of str
        Keywords that can be matched and returned at this level.

    Raises
    ------
    RejectedInput
        If a parameter cannot be used; the message names it.
    """
    matching: dict[str, str] = {}
    included: list[str] = []
    numbers = {"limit": MOST_ANSWERS, "offset": 0}
    warnings: list[str] = []
    for count, (name, value) in enumerate(parameters):
        if count == _MOST_PARAMETERS or len(value) > _LONGEST_VALUE:
            raise RejectedInput("there are too many parameters, or too long ones")
        if name in numbers:
            numbers[name] = _number(name, value)
        elif name == "includefield":
            included += _included(value, supported)
        elif name == "fuzzymatching":
            if value == "true":
                warnings.append(
                    "The fuzzymatching parameter is not supported. "
                    "Only literal matching has been performed."
                )
        elif (keyword := _keyword(name)) in supported and keyword is not None:
            matching[keyword] = _matching_value(keyword, value)
        else:
            warnings.append(f"{_shown(name)} is not matched here.")
    fields = dict.fromkeys((*_returned(level, above), *included), "")
    limit = min(numbers["limit"], MOST_ANSWERS)
    question = Question(level, {**fields, **matching, **above})
    return Search(question, limit, numbers["offset"], tuple(warnings))


def _returned(level: Level, above: dict[str, str]) -> list[str]:
    """What is returned unasked: of the levels above too where the address does not name them."""
    levels = [level]
    if level.depth > Level.SERIES.depth and Level.SERIES.unique_key not in above:
        levels.insert(0, Level.SERIES)
    if level.depth > Level.STUDY.depth and Level.STUDY.unique_key not in above:
        levels.insert(0, Level.STUDY)
    return [keyword for each in levels for keyword in RETURNED[each]]


def _included(value: str, supported: Collection[str]) -> list[str]:
    if value == "all":
        return sorted(supported)
    keywords = [_keyword(each.strip()) for each in value.split(",")]
    # What is not known of an attribute is left out: that is all that a server has to do.
    return [each for each in keywords if each is not None and each in supported]


def _keyword(attribute: str) -> str | None:
    """The keyword of an attribute that is named by it or by its tag."""
    if _TAG.fullmatch(attribute):
        return keyword_for_tag(int(attribute, 16)) or None
    return attribute if tag_for_keyword(attribute) is not None else None


def _matching_value(keyword: str, value: str) -> str:
    tag = tag_for_keyword(keyword)
    is_uid = tag is not None and dictionary_VR(tag) == "UI"
    return value.replace(",", "\\") if is_uid else value


def _number(name: str, value: str) -> int:
    if not (value.isascii() and value.isdecimal() and len(value) < 10):
        raise RejectedInput(f"{name} is no number")
    return int(value)


def _shown(name: str) -> str:
    return "".join(each for each in name[:64] if each.isascii() and each.isalnum()) or "A parameter"
