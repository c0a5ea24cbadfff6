"""Patient and study of an object: copied exactly from a source, or new.

Results carry the Patient and General Study modules of their source value by value
(PS3.3 C.7.1.1 to C.7.2.2), so that a PACS files them beside it and every reader
shows the same name. Text is transcoded to ISO_IR 192 only where all of it decodes
with certainty; otherwise bytes and character set stay as they are, and what
hemiface adds is written in ASCII, which every character set contains.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Final

from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag, Tag

from dicom_nodes.objects.character_sets import (
    TEXT_VRS,
    UTF_8,
    as_ascii,
    certain_text,
    declared_character_sets,
)
from dicom_nodes.objects.file_structure import FileStructure, read_structure
from dicom_nodes.objects.foreign_dataset import undecoded
from dicom_nodes.objects.foreign_values import FOREIGN_VALUE_FAULTS, foreign_values
from dicom_nodes.objects.header import (
    SPECIFIC_CHARACTER_SET,
    character_sets,
    is_valid_uid,
)
from processing.measurement import RejectedInput

_KEYWORDS: Final = (
    # General Study
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "IssuerOfAccessionNumberSequence",
    "ReferringPhysicianName",
    "ReferringPhysicianIdentificationSequence",
    "ConsultingPhysicianName",
    "StudyID",
    "StudyDescription",
    "PhysiciansOfRecord",
    "NameOfPhysiciansReadingStudy",
    "ProcedureCodeSequence",
    "ReasonForPerformedProcedureCodeSequence",
    # Patient
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "TypeOfPatientID",
    "IssuerOfPatientIDQualifiersSequence",
    "PatientBirthDate",
    "PatientBirthTime",
    "PatientSex",
    "OtherPatientNames",
    "OtherPatientIDs",
    "OtherPatientIDsSequence",
    "EthnicGroup",
    "PatientComments",
    "PatientSpeciesDescription",
    "PatientBreedDescription",
    "ResponsiblePerson",
    "ResponsibleOrganization",
    "QualityControlSubject",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "DeidentificationMethodCodeSequence",
    # Patient Study
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "AdmissionID",
    "Occupation",
    "PatientState",
    # Clinical Trial Subject and Study
    "ClinicalTrialSponsorName",
    "ClinicalTrialProtocolID",
    "ClinicalTrialProtocolName",
    "ClinicalTrialSiteID",
    "ClinicalTrialSiteName",
    "ClinicalTrialSubjectID",
    "ClinicalTrialSubjectReadingID",
    "ClinicalTrialProtocolEthicsCommitteeName",
    "ClinicalTrialProtocolEthicsCommitteeApprovalNumber",
    "ClinicalTrialTimePointID",
    "ClinicalTrialTimePointDescription",
    # The zone in which the study's date and time are stated
    "TimezoneOffsetFromUTC",
)
PATIENT_AND_STUDY: Final = tuple(sorted(int(Tag(each)) for each in _KEYWORDS))
"""Tags of the modules that a result takes over from its source."""

_REQUIRED: Final = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
)
_LONGEST_SHORT_VALUE_BYTES: Final = 0xFFFE
_TIMEZONE_OFFSET: Final = 0x00080201
_LONG_VALUE_VRS: Final = frozenset({"UC", "UT"})


class _Uncertain(Exception):
    """A text whose bytes cannot be decoded with certainty."""


@dataclass(frozen=True, slots=True)
class StudyIdentity:
    """Whose study an object belongs to, and which.

    Texts are in Unicode; dates are ``YYYYMMDD``, times ``HHMMSS``, names
    ``Family^Given``, each empty where unknown. `copied` holds the modules of an
    existing study, as `identity_of` read them; it then counts instead of the texts.
    `is_utf_8` is False where these are in another character set, whose bytes are kept.

    Raises
    ------
    RejectedInput
        If a value is not allowed in its attribute.
    """

    study_instance_uid: str
    patient_id: str = ""
    issuer_of_patient_id: str = ""
    patient_name: str = ""
    birth_date: str = ""
    sex: str = ""
    study_id: str = ""
    study_date: str = ""
    study_time: str = ""
    accession_number: str = ""
    referring_physician_name: str = ""
    study_description: str = ""
    copied: Dataset | None = field(default=None, repr=False, compare=False)
    is_utf_8: bool = True

    def __post_init__(self) -> None:
        if self.copied is not None:
            return
        if not is_valid_uid(self.study_instance_uid):
            raise RejectedInput(f"Study Instance UID '{self.study_instance_uid}' is no valid UID.")
        for name, text, longest in (
            ("Patient ID", self.patient_id, 64),
            ("Issuer of Patient ID", self.issuer_of_patient_id, 64),
            ("Study ID", self.study_id, 16),
            ("Accession Number", self.accession_number, 16),
            ("Study Description", self.study_description, 64),
        ):
            _check_text(name, text, longest)
        for name, text in (
            ("Patient's Name", self.patient_name),
            ("Referring Physician's Name", self.referring_physician_name),
        ):
            for group in text.split("="):
                _check_text(name, group, 64)
        _check_pattern("Patient's Birth Date", self.birth_date, r"\d{8}", "YYYYMMDD")
        _check_pattern("Study Date", self.study_date, r"\d{8}", "YYYYMMDD")
        _check_pattern("Study Time", self.study_time, r"\d{6}(\.\d{1,6})?", "HHMMSS")
        _check_pattern("Patient's Sex", self.sex, "[MFO]", "M, F or O")


def identity_of(path: Path) -> StudyIdentity:
    """The patient and study of an existing object, to put another object beside it.

    Raises
    ------
    RejectedInput
        If the file cannot be read or its Study Instance UID is not valid.
    """
    return identity_of_structure(read_structure(path))


def identity_of_structure(structure: FileStructure) -> StudyIdentity:
    """The patient and study of a file whose structure was read; see `identity_of`."""
    copied, is_utf_8 = _copied_modules(structure)
    uid = structure.value(0x0020000D).rstrip(b"\0 ").decode("ascii", "replace")
    if not is_valid_uid(uid):
        raise RejectedInput(
            "Study Instance UID (0020,000D) is missing or invalid, so nothing can be put into "
            "this study. Correct the object at its sender."
        )
    return StudyIdentity(study_instance_uid=uid, copied=copied, is_utf_8=is_utf_8)


def apply_identity(dataset: Dataset, identity: StudyIdentity) -> None:
    """Put patient and study into an object; to be called last, before it is written.

    Parameters
    ----------
    dataset : Dataset
        Changed in place. Its own text must already be complete, since it may have
        to be reduced to ASCII.
    identity : StudyIdentity
    """
    if identity.copied is None:
        _add_new(dataset, identity)
        return
    if not identity.is_utf_8:
        _reduce_to_ascii(dataset)
    if SPECIFIC_CHARACTER_SET in dataset:
        del dataset[SPECIFIC_CHARACTER_SET]
    dataset.update(identity.copied)


def _raw(tag: int, vr: str, value: bytes) -> RawDataElement:
    padding = b"\0" if vr == "UI" else b" "
    padded = value if len(value) % 2 == 0 else value + padding
    return RawDataElement(BaseTag(tag), vr, len(padded), padded, 0, False, True)


def _copied_modules(structure: FileStructure) -> tuple[Dataset, bool]:
    character_set = UTF_8.encode("ascii")
    is_utf_8 = True
    try:
        copied = _copy(structure, character_sets(structure), transcode=True)
    except _Uncertain:
        copied = _copy(structure, character_sets(structure), transcode=False)
        character_set = structure.value(SPECIFIC_CHARACTER_SET)
        is_utf_8 = False
    if character_set:
        copied[SPECIFIC_CHARACTER_SET] = _raw(SPECIFIC_CHARACTER_SET, "CS", character_set)
    for keyword in _REQUIRED:
        tag = Tag(keyword)
        if tag not in copied:
            copied[tag] = _raw(tag, dictionary_VR(tag), b"")
    return copied, is_utf_8


def _copy(structure: FileStructure, sets: tuple[str, ...], *, transcode: bool) -> Dataset:
    copied = Dataset()
    for tag in PATIENT_AND_STUDY:
        element = structure.elements.get(tag)
        if element is None or element.value is None:
            continue
        if dictionary_VR(tag) == "SQ":
            sequence = _copied_sequence(structure, tag, sets, transcode=transcode)
            if sequence is not None:
                copied.add_new(tag, "SQ", sequence)
        else:
            copied[BaseTag(tag)] = _copied_value(
                tag, dictionary_VR(tag), element.value, sets, transcode=transcode
            )
    return copied


def _copied_value(
    tag: int, vr: str, value: bytes, sets: tuple[str, ...], *, transcode: bool
) -> RawDataElement:
    if transcode and vr in TEXT_VRS:
        text = certain_text(value, sets, vr)
        if text is None:
            raise _Uncertain
        value = text.encode("utf-8")
    if len(value) > _LONGEST_SHORT_VALUE_BYTES and vr not in _LONG_VALUE_VRS:
        if transcode:
            raise _Uncertain
        raise RejectedInput(
            f"({tag >> 16:04X},{tag & 0xFFFF:04X}) is {len(value)} bytes long, which no result "
            "could carry. Correct the object at its sender."
        )
    return _raw(tag, vr, value)


def _copied_sequence(
    structure: FileStructure, tag: int, sets: tuple[str, ...], *, transcode: bool
) -> Sequence | None:
    """A copy of a sequence, or None where it is damaged."""
    try:
        with foreign_values():
            items = structure.dataset()[tag].value
            return Sequence([_copied_item(item, sets, transcode=transcode) for item in items])
    except FOREIGN_VALUE_FAULTS:
        return None


def _copied_item(item: Dataset, sets: tuple[str, ...], *, transcode: bool) -> Dataset:
    own = undecoded(item, SPECIFIC_CHARACTER_SET) if SPECIFIC_CHARACTER_SET in item else b""
    if own:
        sets = declared_character_sets(own)
    copied = Dataset()
    for tag in item.keys():  # noqa: SIM118 - iterating a Dataset would decode its elements
        vr = item.get_item(tag).VR or _vr_of(tag)
        if vr == "SQ":
            nested = [_copied_item(each, sets, transcode=transcode) for each in item[tag].value]
            copied.add_new(tag, "SQ", Sequence(nested))
        elif tag != SPECIFIC_CHARACTER_SET or not transcode:
            copied[tag] = _copied_value(tag, vr, undecoded(item, tag), sets, transcode=transcode)
    return copied


def _vr_of(tag: BaseTag) -> str:
    try:
        return dictionary_VR(tag)
    except KeyError:
        return "UN"


def _add_new(dataset: Dataset, identity: StudyIdentity) -> None:
    dataset.SpecificCharacterSet = UTF_8
    dataset.PatientName = identity.patient_name
    dataset.PatientID = identity.patient_id
    if identity.issuer_of_patient_id:
        dataset.IssuerOfPatientID = identity.issuer_of_patient_id
    dataset.PatientBirthDate = identity.birth_date
    dataset.PatientSex = identity.sex
    dataset.StudyInstanceUID = identity.study_instance_uid
    dataset.StudyID = identity.study_id
    dataset.StudyDate = identity.study_date
    dataset.StudyTime = identity.study_time
    dataset.AccessionNumber = identity.accession_number
    dataset.ReferringPhysicianName = identity.referring_physician_name
    if identity.study_description:
        dataset.StudyDescription = identity.study_description


def _reduce_to_ascii(dataset: Dataset) -> None:
    """Make every text of a dataset undecoded ASCII, which no character set changes."""
    for element in list(dataset):
        if element.VR == "SQ":
            for item in element.value:
                _reduce_to_ascii(item)
        elif element.VR in TEXT_VRS and not element.is_empty:
            values = element.value if element.VM > 1 else [element.value]
            text = "\\".join(as_ascii(str(each)) for each in values)
            dataset[element.tag] = _raw(element.tag, element.VR, text.encode("ascii"))


def _check_text(name: str, text: str, longest: int) -> None:
    if len(text) > longest:
        raise RejectedInput(f"{name} has {len(text)} characters; DICOM allows {longest}.")
    if "\\" in text or any(ord(each) < 0x20 or 0x7F <= ord(each) < 0xA0 for each in text):
        raise RejectedInput(f"{name} contains a backslash or a control character.")


def _check_pattern(name: str, text: str, pattern: str, form: str) -> None:
    if text and re.fullmatch(pattern, text, re.ASCII) is None:
        raise RejectedInput(f"{name} '{text}' is not in the form {form}.")


def study_time_of(moment: datetime, identity: StudyIdentity) -> datetime:
    """A moment in the zone in which the study states its times, where it states one.

    Timezone Offset From UTC (0008,0201) is copied with the study and covers every
    date and time of an object (PS3.3 C.12.1.1.8).
    """
    element = identity.copied.get(_TIMEZONE_OFFSET) if identity.copied is not None else None
    found = re.fullmatch(r"([+-])(\d\d)(\d\d)", str(element.value).strip()) if element else None
    if found is None or moment.tzinfo is None:
        return moment
    offset = timedelta(hours=int(found[2]), minutes=int(found[3]))
    if offset >= timedelta(days=1):
        return moment
    return moment.astimezone(timezone(-offset if found[1] == "-" else offset))
