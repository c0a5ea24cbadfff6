"""The identifiers of Query/Retrieve messages, decoded and encoded (PS3.4, section C.4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Final

from pydicom import config
from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.uid import UID
from pynetdicom.dsutils import encode

from dicom_nodes.network.query import Answer, Level, Question
from dicom_nodes.objects.character_sets import (
    TEXT_VRS,
    UTF_8,
    declared_character_sets,
    decode_text,
)
from dicom_nodes.objects.foreign_values import FOREIGN_VALUE_FAULTS, foreign_values

DOES_NOT_MATCH: Final = 0xA900
UNABLE_TO_PROCESS: Final = 0xC000

_SPECIFIC_CHARACTER_SET: Final = 0x00080005
_LEVEL: Final = 0x00080052
_LONGEST_UID_VALUE_BYTES: Final = 0xFFFE
# Attributes of the identifier that are no keys.
_NO_KEYS: Final = frozenset(
    {
        "SpecificCharacterSet",
        "TimezoneOffsetFromUTC",
        "QueryRetrieveLevel",
        "RetrieveAETitle",
        "InstanceAvailability",
        "QueryRetrieveView",
    }
)


class UnusableIdentifier(Exception):
    """The identifier of a request cannot be served.

    `status` is the one to answer, `element` the tag that is to blame, where one is.
    """

    def __init__(self, status: int, comment: str, element: int | None = None) -> None:
        super().__init__(comment)
        self.status = status
        self.element = element


@dataclass(frozen=True, slots=True)
class Model:
    """An information model: what stands at its root (PS3.4, section C.6)."""

    name: str
    root: Level

    def unique_keys_above(self, level: Level) -> list[str]:
        """The unique keys that a request at `level` must have a single value of."""
        return [each.unique_key for each in Level if self.root.depth <= each.depth < level.depth]


PATIENT_ROOT: Final = Model("Patient Root", Level.PATIENT)
STUDY_ROOT: Final = Model("Study Root", Level.STUDY)


def find_question(encoded: bytes, transfer_syntax: str, model: Model) -> Question:
    """The question that the identifier of a C-FIND request puts (section C.4.1.1.3.1).

    Raises
    ------
    UnusableIdentifier
        If it cannot be decoded, or is not one of the hierarchical search of the model.
    """
    question = _question(encoded, transfer_syntax, model)
    for name in model.unique_keys_above(question.level):
        value = question.keys.get(name, "")
        if not value or any(each in value for each in "*?\\"):
            raise _lacks(name, f"needs a single value at level {question.level}")
    return question


def retrieve_question(encoded: bytes, transfer_syntax: str, model: Model) -> Question:
    """The question that the identifier of a C-MOVE or C-GET request puts (C.4.2.1.4.1).

    Its keys are unique keys alone: of the level, a value or a list of UIDs; of the
    levels above, single values.

    Raises
    ------
    UnusableIdentifier
        As `find_question`, and where the unique key of the level is missing.
    """
    question = find_question(encoded, transfer_syntax, model)
    own = question.level.unique_key
    value = question.keys.get(own, "")
    if not value or any(each in value for each in "*?"):
        raise _lacks(own, f"needs a value at level {question.level}, without wildcards")
    if question.level is Level.PATIENT and "\\" in value:
        raise _lacks(own, "needs a single value")
    names = [*model.unique_keys_above(question.level), own]
    return Question(question.level, {name: question.keys[name] for name in names})


def encode_answer(answer: Answer, level: Level, ae_title: str, transfer_syntax: str) -> bytes:
    """The identifier of a pending C-FIND response, in ISO_IR 192 (section C.4.1.1.3.2).

    Raises
    ------
    UnusableIdentifier
        If a value cannot be encoded.
    """
    identifier = Dataset()
    values = {
        "SpecificCharacterSet": UTF_8,
        "QueryRetrieveLevel": str(level),
        "RetrieveAETitle": ae_title,
        "InstanceAvailability": "ONLINE",
        **answer,
    }
    for name, value in values.items():
        tag = tag_for_keyword(name)
        if tag is not None:
            # What a sender once wrote is given as it is, valid or not.
            identifier[tag] = DataElement(
                tag,
                dictionary_VR(tag),
                list(value) if isinstance(value, tuple) else value,
                validation_mode=config.IGNORE,
            )
    return _encoded(identifier, transfer_syntax)


def encode_failed_instances(sop_instance_uids: list[str], transfer_syntax: str) -> bytes:
    """The identifier of a final C-MOVE or C-GET response (section C.4.2.1.4.2).

    As many UIDs as one element can hold.
    """
    fitting: list[str] = []
    length = 0
    for uid in sop_instance_uids:
        length += len(uid) + 1
        if length > _LONGEST_UID_VALUE_BYTES:
            break
        fitting.append(uid)
    identifier = Dataset()
    identifier.FailedSOPInstanceUIDList = fitting
    return _encoded(identifier, transfer_syntax)


def _encoded(identifier: Dataset, transfer_syntax: str) -> bytes:
    syntax = UID(transfer_syntax)
    encoded = encode(identifier, syntax.is_implicit_VR, syntax.is_little_endian)
    if encoded is None:
        raise UnusableIdentifier(UNABLE_TO_PROCESS, "an answer cannot be encoded")
    return encoded


def _question(encoded: bytes, transfer_syntax: str, model: Model) -> Question:
    syntax = UID(transfer_syntax)
    try:
        with foreign_values():
            identifier = read_dataset(
                BytesIO(encoded), syntax.is_implicit_VR, syntax.is_little_endian
            )
        elements = {int(tag): identifier.get_item(tag) for tag in identifier.keys()}  # noqa: SIM118 - iterating a Dataset would decode its elements
    except FOREIGN_VALUE_FAULTS as error:
        raise UnusableIdentifier(UNABLE_TO_PROCESS, "the identifier cannot be decoded") from error
    character_sets = declared_character_sets(_bytes(elements.get(_SPECIFIC_CHARACTER_SET)))
    level = _level(elements, model)
    keys = {}
    for tag, element in elements.items():
        name = keyword_for_tag(tag) or f"{tag:08X}"
        if name not in _NO_KEYS and tag & 0xFFFF:
            keys[name] = _text(tag, _bytes(element), character_sets)
    return Question(level, keys)


def _level(elements: Mapping[int, DataElement | RawDataElement | None], model: Model) -> Level:
    text = _bytes(elements.get(_LEVEL)).decode("ascii", "replace").strip("\0 ")
    if not text:
        raise UnusableIdentifier(
            DOES_NOT_MATCH, "Query/Retrieve Level (0008,0052) is missing", _LEVEL
        )
    level = Level(text) if text in list(Level) else None
    if level is None or level.depth < model.root.depth:
        raise UnusableIdentifier(DOES_NOT_MATCH, f"no Query/Retrieve Level of {model.name}", _LEVEL)
    return level


def _lacks(name: str, reason: str) -> UnusableIdentifier:
    return UnusableIdentifier(DOES_NOT_MATCH, f"{name} {reason}", tag_for_keyword(name))


def _bytes(element: DataElement | RawDataElement | None) -> bytes:
    """The encoded value; empty for a sequence, which is matched by nothing here."""
    if isinstance(element, RawDataElement) and element.VR != "SQ":
        return element.value or b""
    return b""


def _text(tag: int, value: bytes, character_sets: tuple[str, ...]) -> str:
    """A key in Unicode; empty where its value representation is no text."""
    try:
        vr = dictionary_VR(tag)
    except KeyError:
        return ""
    if vr in TEXT_VRS:
        text = decode_text(value, character_sets, vr)
        if text is None and not character_sets:
            # Many send UTF-8 without saying so.
            text = decode_text(value, (UTF_8,), vr)
        if text is None:
            raise UnusableIdentifier(
                UNABLE_TO_PROCESS,
                f"{keyword_for_tag(tag)} is not in its Specific Character Set",
                tag,
            )
        return text.strip("\0 ")
    if vr in {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI"}:
        return value.decode("ascii", "replace").strip("\0 ")
    return ""
