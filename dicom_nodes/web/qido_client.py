"""QIDO-RS as user agent (PS3.18, section 10.6): asks what a server holds."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx
from pydicom.datadict import tag_for_keyword

from dicom_nodes.web.web_peer import WebPeer, json_of, web_session
from processing.measurement import PermanentFault

MOST_ANSWERS: Final = 100_000
_PAGE: Final = 1000


@dataclass(frozen=True, slots=True)
class FoundStudy:
    """A study that a server holds; texts are empty where it does not say."""

    study_instance_uid: str
    patient_id: str
    issuer_of_patient_id: str
    study_date: str
    description: str
    modalities: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FoundSeries:
    """A series that a server holds; `instances` is 0 where it does not say how many."""

    series_instance_uid: str
    modality: str
    description: str
    instances: int


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
    path = f"studies/{study_uid}/series/{series_uid}/instances"
    found = {_text(each, "SOPInstanceUID") for each in _search(peer, path, {}, "SOPInstanceUID")}
    return frozenset(found) & frozenset(sop_instance_uids)


def find_studies(peer: WebPeer, patient_id: str) -> list[FoundStudy]:
    """The studies of a patient.

    A server that takes the ID for a pattern, or does not match at all, may list
    others; they are left out.

    Raises
    ------
    TransientFault, PermanentFault
        If the server cannot be asked or answers with a failure.
    """
    fields = ("IssuerOfPatientID", "StudyDescription", "ModalitiesInStudy")
    found = [
        FoundStudy(
            study_instance_uid=_text(each, "StudyInstanceUID"),
            patient_id=_text(each, "PatientID"),
            issuer_of_patient_id=_text(each, "IssuerOfPatientID"),
            study_date=_text(each, "StudyDate"),
            description=_text(each, "StudyDescription"),
            modalities=_texts(each, "ModalitiesInStudy"),
        )
        for each in _search(peer, "studies", {"PatientID": patient_id}, "StudyInstanceUID", fields)
    ]
    return [each for each in found if each.patient_id == patient_id]


def find_series(peer: WebPeer, study_uid: str) -> list[FoundSeries]:
    """The series of a study.

    Raises
    ------
    TransientFault, PermanentFault
        If the server cannot be asked or answers with a failure.
    """
    fields = ("SeriesDescription", "NumberOfSeriesRelatedInstances")
    path = f"studies/{study_uid}/series"
    return [
        FoundSeries(
            series_instance_uid=_text(each, "SeriesInstanceUID"),
            modality=_text(each, "Modality"),
            description=_text(each, "SeriesDescription"),
            instances=_number(_text(each, "NumberOfSeriesRelatedInstances")),
        )
        for each in _search(peer, path, {}, "SeriesInstanceUID", fields)
    ]


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
    """The answers, page by page, each entity once; those without its UID are left out."""
    seen: set[str] = set()
    with web_session(peer) as client:
        while True:
            page = _page(peer, client, path, matching, fields, offset=len(seen))
            new = {uid: each for each in page if (uid := _text(each, identity)) not in seen | {""}}
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


def _texts(item: Mapping[str, Any], keyword: str) -> tuple[str, ...]:
    element = item.get(f"{tag_for_keyword(keyword):08X}")
    values = element.get("Value") if isinstance(element, dict) else None
    if not isinstance(values, list):
        return ()
    return tuple(str(each) for each in values if isinstance(each, str | int))


def _text(item: Mapping[str, Any], keyword: str) -> str:
    return next(iter(_texts(item, keyword)), "")


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0
