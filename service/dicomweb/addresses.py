"""What the addresses and headers of DICOMweb requests say."""

from __future__ import annotations

from typing import Any, Final

from fastapi import HTTPException, Request

from dicom_nodes.network.query import Level
from dicom_nodes.objects.header import is_valid_uid
from dicom_nodes.web.multipart import MediaType, media_type

DICOM_JSON: Final = "application/dicom+json"
_MOST_ACCEPTED: Final = 50
_ANY: Final = ("*/*", "application/*", DICOM_JSON, "application/json")


def given_as(*media_types: str) -> dict[int | str, dict[str, Any]]:
    """What a route states of its answers: the media types that they are given in."""
    return {200: {"content": {each: {} for each in media_types}}}


def named_uids(request: Request) -> dict[str, str]:
    """Keywords and UIDs of the study, series and instance that the address names.

    Raises
    ------
    HTTPException
        400 if one is no UID.
    """
    uids = {}
    for level, name in (
        (Level.STUDY, "study"),
        (Level.SERIES, "series"),
        (Level.IMAGE, "instance"),
    ):
        uid = request.path_params.get(name)
        if uid is not None:
            if not is_valid_uid(uid):
                raise HTTPException(400, f"the {name} of the address is named by no valid UID")
            uids[level.unique_key] = uid
    return uids


def accepted(request: Request) -> list[MediaType]:
    """The media types that a request takes: of its Accept header, or its query (PS3.18, 8.3.3).

    Quality values are not weighed: the order is what counts.
    """
    stated = request.query_params.get("accept") or request.headers.get("accept") or "*/*"
    return [media_type(each) for each in _split(stated)[:_MOST_ACCEPTED]]


def require_json(request: Request) -> None:
    """Return when the request takes DICOM JSON.

    Raises
    ------
    HTTPException
        406 if it does not.
    """
    if not any(each.name in _ANY for each in accepted(request)):
        raise HTTPException(406, f"this is answered as {DICOM_JSON} only")


def _split(stated: str) -> list[str]:
    """Split at the commas that stand outside of quotes."""
    parts, quoted = [""], False
    for letter in stated:
        if letter == '"':
            quoted = not quoted
        if letter == "," and not quoted:
            parts.append("")
        else:
            parts[-1] += letter
    return [each.strip() for each in parts]
