"""What an archive holds of a patient, asked by Study Root C-FIND (PS3.4, annex C)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from pydicom.dataset import Dataset
from pynetdicom.association import Association
from pynetdicom.presentation import build_context

from dicom_nodes.network.part10_header import is_valid_uid
from dicom_nodes.network.peer import Peer, association_with
from dicom_nodes.network.query_scu import STUDY_ROOT_FIND, find_identifiers, query_keys
from dicom_nodes.network.sent_query import SentQuery, as_sent
from dicom_nodes.objects.character_sets import without_controls
from processing.measurement import RejectedInput

# What a name or number of a sane archive is far below; the rest is cut off.
_LONGEST_TEXT: Final = 500
# Characters that make a Patient ID match others (PS3.4, section C.2.2.2) or part it.
_WILDCARDS: Final = frozenset("*?\\")


@dataclass(frozen=True, slots=True)
class HeldStudy:
    """A study as an archive lists it; what it does not tell is empty.

    `study_date` and `birth_date` are YYYYMMDD.
    """

    study_instance_uid: str
    study_date: str
    patient_id: str
    issuer_of_patient_id: str
    patient_name: str
    birth_date: str


@dataclass(frozen=True, slots=True)
class HeldSeries:
    """A series as an archive lists it."""

    study_instance_uid: str
    series_instance_uid: str
    modality: str


@dataclass(frozen=True, slots=True)
class HeldInstance:
    """An instance as an archive lists it; `sop_class_uid` is empty where it is not told."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str


@dataclass(frozen=True, slots=True)
class ArchiveQuery:
    """Questions to an archive over one association.

    Every method raises TransientFault or PermanentFault where the archive answers with
    a failure or not at all.
    """

    peer: Peer
    association: Association

    def studies_of_patient(self, patient_id: str) -> list[HeldStudy]:
        """All studies that the archive lists under a Patient ID.

        Raises
        ------
        RejectedInput
            If the Patient ID is empty, or would match other patients as well.
        """
        check_matches_one_patient(patient_id)
        return self._ask(_study_keys(patient_id), _held_study, "StudyInstanceUID")

    def sent_for_patient(self, patient_id: str) -> SentQuery:
        """What `studies_of_patient` sends, or raises."""
        check_matches_one_patient(patient_id)
        return as_sent(self.association, _study_keys(patient_id))

    def series_of_study(self, study_instance_uid: str) -> list[HeldSeries]:
        """The series of a study."""
        keys = query_keys(
            "SERIES", StudyInstanceUID=study_instance_uid, SeriesInstanceUID="", Modality=""
        )

        def held(identifier: Dataset) -> HeldSeries:
            return HeldSeries(
                study_instance_uid,
                _text(identifier, "SeriesInstanceUID"),
                _text(identifier, "Modality"),
            )

        return self._ask(keys, held, "SeriesInstanceUID")

    def instances_of_series(
        self, study_instance_uid: str, series_instance_uid: str
    ) -> list[HeldInstance]:
        """The instances of a series."""
        keys = query_keys(
            "IMAGE",
            StudyInstanceUID=study_instance_uid,
            SeriesInstanceUID=series_instance_uid,
            SOPInstanceUID="",
            SOPClassUID="",
        )

        def held(identifier: Dataset) -> HeldInstance:
            return HeldInstance(
                study_instance_uid,
                series_instance_uid,
                _text(identifier, "SOPInstanceUID"),
                _text(identifier, "SOPClassUID"),
            )

        return self._ask(keys, held, "SOPInstanceUID")

    def _ask(self, keys: Dataset, held: Callable[[Dataset], Any], unique_key: str) -> list[Any]:
        """The answers whose unique key is a valid UID."""
        return [
            held(identifier)
            for identifier in find_identifiers(self.peer, self.association, keys)
            if is_valid_uid(_text(identifier, unique_key))
        ]


def check_matches_one_patient(patient_id: str) -> None:
    """See that a Patient ID, as a key of a query, matches no other patient.

    Raises
    ------
    RejectedInput
        If it is empty, or would match other patients as well.
    """
    if not patient_id or _WILDCARDS & set(patient_id):
        raise RejectedInput(
            "Patient ID (0010,0020) is empty or holds one of the characters * ? \\, which "
            "match other patients: their studies cannot be asked for."
        )


@contextmanager
def archive_query(peer: Peer) -> Iterator[ArchiveQuery]:
    """Open an association to ask an archive.

    Raises
    ------
    TransientFault, PermanentFault
        As `association_with`.
    """
    with association_with(peer, [build_context(STUDY_ROOT_FIND)]) as association:
        yield ArchiveQuery(peer, association)


def _study_keys(patient_id: str) -> Dataset:
    return query_keys(
        "STUDY",
        StudyInstanceUID="",
        StudyDate="",
        PatientID=patient_id,
        IssuerOfPatientID="",
        PatientName="",
        PatientBirthDate="",
    )


def _held_study(identifier: Dataset) -> HeldStudy:
    return HeldStudy(
        study_instance_uid=_text(identifier, "StudyInstanceUID"),
        study_date=_text(identifier, "StudyDate"),
        patient_id=_text(identifier, "PatientID"),
        issuer_of_patient_id=_text(identifier, "IssuerOfPatientID"),
        patient_name=_text(identifier, "PatientName"),
        birth_date=_text(identifier, "PatientBirthDate"),
    )


def _text(identifier: Dataset, keyword: str) -> str:
    """The value of an attribute as text; empty where it is missing or cannot be read."""
    try:
        value = identifier.get(keyword)
    except (ValueError, TypeError, AttributeError, LookupError, NotImplementedError):
        # pydicom decodes a value when it is first asked for, with whatever the peer sent.
        return ""
    return "" if value is None else clean(str(value))


def clean(text: str) -> str:
    """A text of an archive without control characters, and cut off where it is too long."""
    return without_controls(text).strip()[:_LONGEST_TEXT]
