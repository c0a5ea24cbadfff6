"""QIDO-RS as user agent (PS3.18, section 10.6): asks what a server holds."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

import httpx
from pydicom.datadict import tag_for_keyword

from dicom_nodes.network.archive_query import (
    HeldInstance,
    HeldSeries,
    HeldStudy,
    check_matches_one_patient,
    clean,
)
from dicom_nodes.network.part10_header import is_valid_uid
from dicom_nodes.network.sent_query import SentQuery
from dicom_nodes.web.web_peer import WebPeer, json_of, web_session
from processing.measurement import PermanentFault

MOST_ANSWERS: Final = 100_000
_PAGE: Final = 1000


@dataclass(frozen=True, slots=True)
class WebArchiveQuery:
    """Questions to an archive by QIDO-RS; the same as `ArchiveQuery` asks by C-FIND.

    Every method raises TransientFault or PermanentFault where the archive answers with
    a failure or not at all.
    """

    peer: WebPeer

    def studies_of_patient(self, patient_id: str) -> list[HeldStudy]:
        """All studies that the archive lists under a Patient ID.

        A server that does not match, or matches more freely, may list others; they are
        left out.

        Raises
        ------
        RejectedInput
            If the Patient ID is empty, or would match other patients as well.
        """
        check_matches_one_patient(patient_id)
        fields = ("PatientBirthDate", "IssuerOfPatientID")
        found = [
            HeldStudy(
                study_instance_uid=_text(each, "StudyInstanceUID"),
                study_date=_text(each, "StudyDate"),
                patient_id=_text(each, "PatientID"),
                issuer_of_patient_id=_text(each, "IssuerOfPatientID"),
                patient_name=_name(each, "PatientName"),
                birth_date=_text(each, "PatientBirthDate"),
            )
            for each in _search(
                self.peer, "studies", {"PatientID": patient_id}, "StudyInstanceUID", fields
            )
        ]
        return [each for each in found if each.patient_id == patient_id]

    def sent_for_patient(self, patient_id: str) -> SentQuery:
        """What `studies_of_patient` sends, or raises."""
        check_matches_one_patient(patient_id)
        root = self.peer.url.rstrip("/")
        return SentQuery(f"{root}/studies?{urlencode({'PatientID': patient_id})}")

    def series_of_study(self, study_instance_uid: str) -> list[HeldSeries]:
        """The series of a study."""
        path = f"studies/{study_instance_uid}/series"
        return [
            HeldSeries(
                study_instance_uid, _text(each, "SeriesInstanceUID"), _text(each, "Modality")
            )
            for each in _search(self.peer, path, {}, "SeriesInstanceUID")
        ]

    def instances_of_series(
        self, study_instance_uid: str, series_instance_uid: str
    ) -> list[HeldInstance]:
        """The instances of a series."""
        path = f"studies/{study_instance_uid}/series/{series_instance_uid}/instances"
        return [
            HeldInstance(
                study_instance_uid,
                series_instance_uid,
                _text(each, "SOPInstanceUID"),
                _text(each, "SOPClassUID"),
            )
            for each in _search(self.peer, path, {}, "SOPInstanceUID")
        ]


def find_instances(
    peer: WebPeer, study_uid: str, series_uid: str, sop_instance_uids: Collection[str]
) -> frozenset[str]:
    """Which of the instances of a series a server holds.

    All instances of the series are asked for and the wanted ones picked out, since
    not every server matches lists of UIDs.

    Raises
    ------
    TransientFault, PermanentFault
        If the server cannot be asked or answers with a failure.
    """
    held = WebArchiveQuery(peer).instances_of_series(study_uid, series_uid)
    return frozenset(each.sop_instance_uid for each in held) & frozenset(sop_instance_uids)


def check_searches(peer: WebPeer) -> None:
    """Return when a server answers a search.

    Raises
    ------
    TransientFault, PermanentFault
        If it does not.
    """
    with web_session(peer) as client:
        json_of(peer, client, "studies", {"limit": "1"})


def _search(
    peer: WebPeer,
    path: str,
    matching: Mapping[str, str],
    identity: str,
    fields: Collection[str] = (),
) -> Iterator[Mapping[str, Any]]:
    """The answers, page by page, each entity once; those without a valid UID are left out."""
    seen: set[str] = set()
    with web_session(peer) as client:
        while True:
            page = _page(peer, client, path, matching, fields, offset=len(seen))
            new = {
                uid: each
                for each in page
                if is_valid_uid(uid := _text(each, identity)) and uid not in seen
            }
            yield from new.values()
            seen.update(new)
            if len(seen) > MOST_ANSWERS:
                raise PermanentFault(f"{peer} answers with more than {MOST_ANSWERS}")
            # Servers that know no offset repeat themselves; those that know no limit gave all.
            if not new or len(page) != _PAGE:
                return


def _page(
    peer: WebPeer,
    client: httpx.Client,
    path: str,
    matching: Mapping[str, str],
    fields: Collection[str],
    offset: int,
) -> list[Mapping[str, Any]]:
    query = {**matching, "limit": str(_PAGE), "offset": str(offset)}
    if fields:
        query["includefield"] = ",".join(fields)
    answer = json_of(peer, client, path, query)
    if answer is None:
        return []
    if not isinstance(answer, list):
        raise PermanentFault(f"{peer} answers a search with something that is no list")
    return [each for each in answer if isinstance(each, dict)]


def _value(item: Mapping[str, Any], keyword: str) -> Any:
    """The first value of an attribute; None where there is none."""
    element = item.get(f"{tag_for_keyword(keyword):08X}")
    values = element.get("Value") if isinstance(element, dict) else None
    return values[0] if isinstance(values, list) and values else None


def _text(item: Mapping[str, Any], keyword: str) -> str:
    value = _value(item, keyword)
    return clean(str(value)) if isinstance(value, str | int) else ""


def _name(item: Mapping[str, Any], keyword: str) -> str:
    """A person's name with its component groups, as in a data set (PS3.18, section F.2.2)."""
    value = _value(item, keyword)
    if not isinstance(value, dict):
        return ""
    groups = [value.get(each) for each in ("Alphabetic", "Ideographic", "Phonetic")]
    return clean("=".join(each if isinstance(each, str) else "" for each in groups).rstrip("="))
