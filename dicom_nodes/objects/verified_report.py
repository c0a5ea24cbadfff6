"""Writes the version of a report that a person has verified (PS3.3 C.17.2, PS3.16 TID 1003)."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from highdicom import sr
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.sr.codedict import codes as standard_codes

from dicom_nodes.objects.file_structure import read_structure
from dicom_nodes.objects.foreign_values import FOREIGN_VALUE_FAULTS, foreign_values
from dicom_nodes.objects.sop_classes import STRUCTURED_REPORTS
from dicom_nodes.objects.study_context import (
    apply_identity,
    identity_of_structure,
    study_time_of,
)
from dicom_nodes.objects.verification import VERIFIED, Verification, verified_uid
from dicom_nodes.objects.written_object import (
    OWN_MANUFACTURER,
    WrittenObject,
    add_creation,
    write_file,
)
from processing.measurement import RejectedInput

_OBSERVER: Final = "HAS OBS CONTEXT"


def write_verified_report(
    report: Path, verification: Verification, out: Path, *, key: str
) -> WrittenObject:
    """Write the verified version of a report; its measurements stay as they are.

    The same arguments make the same bytes.

    Parameters
    ----------
    report : Path
        A report of hemiface that is complete and not verified.
    verification : Verification
    out : Path
        The file to write.
    key : str
        From `Verification.key`; the UID follows from it.

    Returns
    -------
    WrittenObject
        In the series of the report, which it names as its predecessor.

    Raises
    ------
    RejectedInput
        If the file is damaged, no report of hemiface, not complete, or verified already.
    OSError
        If the file cannot be written.
    """
    structure = read_structure(report)
    if structure.fault is not None:
        raise RejectedInput(structure.fault)
    identity = identity_of_structure(structure)
    if not identity.is_utf_8 and not (verification.name + verification.organization).isascii():
        raise RejectedInput(
            "The study keeps a character set of its own, so the verifier's name and organization "
            "must be given in Latin letters."
        )
    try:
        with foreign_values():
            document = dcmread(report)
            _check(document)
            _verify(document, verification, key)
    except FOREIGN_VALUE_FAULTS as fault:
        raise RejectedInput(f"The report cannot be read ({fault}).") from fault
    # The moment in the study's zone, as its other times.
    add_creation(document, study_time_of(verification.verified_at, identity))
    apply_identity(document, identity)
    with foreign_values():
        return write_file(document, out)


def _check(document: Dataset) -> None:
    if (
        str(document.get("SOPClassUID")) not in STRUCTURED_REPORTS
        or document.get("Manufacturer") != OWN_MANUFACTURER
    ):
        raise RejectedInput("The object is no report of hemiface, so it cannot be verified here.")
    if document.get("CompletionFlag") != "COMPLETE":
        raise RejectedInput(
            "The report holds no measurements (the analysis was refused or failed), so there is "
            "nothing to verify."
        )
    if document.get("VerificationFlag") == VERIFIED:
        observers = document.get("VerifyingObserverSequence") or [Dataset()]
        raise RejectedInput(
            f"The report is verified already, by {observers[0].get('VerifyingObserverName', '?')}."
        )


def _verify(document: Dataset, verification: Verification, key: str) -> None:
    document.PredecessorDocumentsSequence = Sequence([_reference(document)])
    document.SOPInstanceUID = verified_uid(key)
    document.InstanceNumber = int(document.get("InstanceNumber") or 0) + 1
    document.VerificationFlag = VERIFIED
    document.VerifyingObserverSequence = Sequence([_observer(verification)])
    items = list(document.ContentSequence)
    context = [number for number, each in enumerate(items) if each.RelationshipType == _OBSERVER]
    after = max(context) + 1 if context else 0
    document.ContentSequence = Sequence([*items[:after], *_person(verification), *items[after:]])


def _reference(document: Dataset) -> Dataset:
    """The report as a predecessor (PS3.3 table 10-4)."""
    instance = Dataset()
    instance.ReferencedSOPClassUID = document.SOPClassUID
    instance.ReferencedSOPInstanceUID = document.SOPInstanceUID
    series = Dataset()
    series.SeriesInstanceUID = document.SeriesInstanceUID
    series.ReferencedSOPSequence = Sequence([instance])
    study = Dataset()
    study.StudyInstanceUID = document.StudyInstanceUID
    study.ReferencedSeriesSequence = Sequence([series])
    return study


def _observer(verification: Verification) -> Dataset:
    observer = Dataset()
    observer.VerifyingObserverName = verification.name
    observer.VerifyingOrganization = verification.organization
    observer.VerificationDateTime = verification.verification_datetime
    observer.VerifyingObserverIdentificationCodeSequence = Sequence([])
    return observer


def _person(verification: Verification) -> list[Dataset]:
    """The person as an observer beside the device (TID 1002, TID 1003)."""
    return list(
        sr.ObserverContext(
            observer_type=standard_codes.DCM.Person,
            observer_identifying_attributes=sr.PersonObserverIdentifyingAttributes(
                name=verification.name, organization_name=verification.organization
            ),
        )
    )
