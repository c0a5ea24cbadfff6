"""QIDO-RS (PS3.18, section 10.6): searches of the catalogue."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import JSONResponse

from dicom_nodes.network.query import Answer, Level
from dicom_nodes.web.dicom_json import answer_as_json
from dicom_nodes.web.search_service import Search, search_of
from processing.measurement import RejectedInput
from service.catalogue.queries import answers, supported_keys
from service.dicomweb.access import caller_with
from service.dicomweb.addresses import DICOM_JSON, given_as, named_uids, require_json
from service.dicomweb.web_node import WebNode

_RETRIEVE_URL: Final = "00081190"
_INSTANCE_AVAILABILITY: Final = "00080056"
_PATHS: Final = {
    Level.STUDY: ("/studies",),
    Level.SERIES: ("/series", "/studies/{study}/series"),
    Level.IMAGE: (
        "/instances",
        "/studies/{study}/instances",
        "/studies/{study}/series/{series}/instances",
    ),
}
_COLLECTIONS: Final = {Level.STUDY: "studies", Level.SERIES: "series", Level.IMAGE: "instances"}


def add_qido(router: APIRouter, node: WebNode) -> None:
    """Answer searches for studies, series and instances."""
    for level, paths in _PATHS.items():
        for path in paths:
            _add_search(router, node, level, path)


def _add_search(router: APIRouter, node: WebNode, level: Level, path: str) -> None:
    @router.get(path, name=f"search {path}", responses=given_as(DICOM_JSON))
    def search(request: Request) -> Response:
        caller_with(node.settings, request.headers.get("authorization"), "query")
        require_json(request)
        try:
            asked = search_of(
                level,
                [each for each in request.query_params.multi_items() if each[0] != "accept"],
                named_uids(request),
                supported_keys(level),
            )
            # One more tells whether there are more.
            found = list(
                answers(node.database, asked.question, limit=asked.limit + 1, offset=asked.offset)
            )
        except RejectedInput as rejection:
            raise HTTPException(400, str(rejection)) from rejection
        root = str(request.base_url).rstrip("/")
        return _answer(level, asked, found, root)


def _answer(level: Level, asked: Search, found: list[Answer], root: str) -> Response:
    warnings = list(asked.warnings)
    if len(found) > asked.limit:
        warnings.append("There are additional results that can be requested.")
    headers = {"Warning": ", ".join(f'299 hemiface "{each}"' for each in warnings)}
    return JSONResponse(
        [_item(level, each, root) for each in found[: asked.limit]],
        headers=headers if warnings else {},
        media_type=DICOM_JSON,
    )


def _item(level: Level, answer: Answer, root: str) -> dict[str, Any]:
    url = root
    for each in (Level.STUDY, Level.SERIES, Level.IMAGE)[: level.depth]:
        url += f"/{_COLLECTIONS[each]}/{answer[each.unique_key]}"
    return {
        _INSTANCE_AVAILABILITY: {"vr": "CS", "Value": ["ONLINE"]},
        **answer_as_json(answer),
        _RETRIEVE_URL: {"vr": "UR", "Value": [url]},
    }
