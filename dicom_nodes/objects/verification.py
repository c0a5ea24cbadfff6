"""Who verified a report and when, and by which UID its verified version is known.

A verified version that hemiface wrote names a person, as a reviewer's own report does.
What tells them apart is the UID, which follows from the predecessor, the verifier and
the moment: whoever changes the object gives it another UID.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pydicom.dataset import Dataset

from dicom_nodes.objects.character_sets import without_controls
from dicom_nodes.objects.content_keyed_uids import content_key, content_uid
from processing.measurement import RejectedInput

VERIFIED: Final = "VERIFIED"

_LONGEST: Final = 64
_DATETIME: Final = "%Y%m%d%H%M%S%z"


@dataclass(frozen=True, slots=True)
class Verification:
    """That a person is accountable for the content of a report (PS3.3 C.17.2).

    Parameters
    ----------
    name : str
        ``Family^Given``.
    organization : str
    verified_at : datetime
        With its zone; to the second.

    Raises
    ------
    RejectedInput
        If a text is empty, too long, or not allowed in its attribute.
    """

    name: str
    organization: str
    verified_at: datetime

    def __post_init__(self) -> None:
        if self.verified_at.tzinfo is None:
            raise ValueError("a moment without a time zone cannot be stated")
        groups = self.name.split("=")
        _check("The verifier's name", self.name, "Family^Given")
        if len(groups) > 3 or any(len(each) > _LONGEST for each in groups):
            raise RejectedInput("The verifier's name is longer than a Person Name may be (64).")
        _check("The verifier's organization", self.organization, "the name of the hospital")
        if len(self.organization) > _LONGEST:
            raise RejectedInput("The verifier's organization is longer than 64 characters.")

    @property
    def verification_datetime(self) -> str:
        """Verification DateTime (0040,A030), with the offset from UTC."""
        return self.verified_at.strftime(_DATETIME)

    def key(self, predecessor_uid: str) -> str:
        """The content key of the verified version of a report."""
        return _key(predecessor_uid, self.name, self.organization, self.verification_datetime)


def verified_uid(key: str) -> str:
    """SOP Instance UID of the verified version with this key."""
    return content_uid(key, "verified-report")


def is_own_verified_version(document: Dataset) -> bool:
    """Whether a report is a verified version just as hemiface wrote it."""
    observers = list(document.get("VerifyingObserverSequence") or [])
    predecessors = [
        reference.ReferencedSOPInstanceUID
        for study in document.get("PredecessorDocumentsSequence") or ()
        for series in study.get("ReferencedSeriesSequence") or ()
        for reference in series.get("ReferencedSOPSequence") or ()
    ]
    if document.get("VerificationFlag") != VERIFIED or len(observers) != 1 or not predecessors:
        return False
    observer = observers[0]
    key = _key(
        str(predecessors[0]),
        str(observer.get("VerifyingObserverName") or ""),
        str(observer.get("VerifyingOrganization") or ""),
        str(observer.get("VerificationDateTime") or ""),
    )
    return str(document.get("SOPInstanceUID") or "") == verified_uid(key)


def _key(predecessor_uid: str, name: str, organization: str, moment: str) -> str:
    # As they stand in the object, where a reader finds them without trailing spaces.
    said = "\0".join((name.strip(), organization.strip(), moment.strip()))
    return content_key([predecessor_uid], "verification", "1", said)


def _check(what: str, text: str, example: str) -> None:
    if not text.strip("^= "):
        raise RejectedInput(f"{what} is missing; give it as {example}.")
    if "\\" in text or without_controls(text) != text:
        raise RejectedInput(f"{what} contains a backslash or a control character.")
