"""WADO-RS (PS3.18, section 10.4): what is in the catalogue, streamed as it is stored."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from uuid import uuid4

import structlog
from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import StreamingResponse

from dicom_nodes.network.query import Level, Question
from dicom_nodes.web.dicom_json import metadata_of
from dicom_nodes.web.frames import (
    FRAME_MEDIA_TYPES,
    OCTET_STREAM,
    Frames,
    bulk_data,
    stored_frames,
)
from dicom_nodes.web.multipart import MediaType, closing, part_header
from dicom_nodes.web.rendering import PictureFormat, rendered
from processing.measurement import RejectedInput
from service.catalogue.queries import FoundInstance, instances_of
from service.dicomweb.access import caller_with
from service.dicomweb.addresses import DICOM_JSON, accepted, given_as, named_uids, require_json
from service.dicomweb.web_node import WebNode

APPLICATION_DICOM: Final = "application/dicom"
_MULTIPART_INSTANCES: Final = f'multipart/related; type="{APPLICATION_DICOM}"'
_MULTIPART_OCTETS: Final = f'multipart/related; type="{OCTET_STREAM}"'
_BLOCK_BYTES: Final = 1 << 20
_MOST_FRAMES: Final = 100
_TAG: Final = re.compile(r"[0-9A-Fa-f]{8}", re.ASCII)
_STUDY: Final = "/studies/{study}"
_SERIES: Final = f"{_STUDY}/series/{{series}}"
_INSTANCE: Final = f"{_SERIES}/instances/{{instance}}"
_PICTURES: Final[Mapping[str, PictureFormat]] = {
    "image/jpeg": "JPEG",
    "image/png": "PNG",
    "*/*": "JPEG",
    "image/*": "JPEG",
}
_PICTURE_TYPES: Final[Mapping[PictureFormat, str]] = {"JPEG": "image/jpeg", "PNG": "image/png"}

log = structlog.get_logger()


def add_wado(router: APIRouter, node: WebNode) -> None:
    """Give studies, series and instances, and what is in an instance."""
    _add_instances(router, node)
    _add_metadata(router, node)
    _add_parts_of_instances(router, node)


def _add_instances(router: APIRouter, node: WebNode) -> None:
    def retrieve(request: Request) -> Response:
        found = _found(node, request)
        if _is_single_part(request) and len(found) == 1:
            return StreamingResponse(_file(node, found[0]), media_type=APPLICATION_DICOM)
        _require_stored_as_accepted(request, found)
        boundary = uuid4().hex
        return StreamingResponse(
            _multipart(node, found, boundary),
            media_type=f"{_MULTIPART_INSTANCES}; boundary={boundary}",
        )

    for path in (_STUDY, _SERIES, _INSTANCE):
        router.add_api_route(
            path,
            retrieve,
            name=f"retrieve {path}",
            response_model=None,
            responses=given_as(_MULTIPART_INSTANCES, APPLICATION_DICOM),
        )


def _add_metadata(router: APIRouter, node: WebNode) -> None:
    def metadata(request: Request) -> Response:
        require_json(request)
        found = _found(node, request)
        level = [each for each in Level if each.unique_key in named_uids(request)][-1]
        return StreamingResponse(_metadata(node, found, level), media_type=DICOM_JSON)

    for path in (_STUDY, _SERIES, _INSTANCE):
        router.add_api_route(
            f"{path}/metadata",
            metadata,
            name=f"metadata {path}",
            response_model=None,
            responses=given_as(DICOM_JSON),
        )


def _found(node: WebNode, request: Request) -> list[FoundInstance]:
    """The instances that the address names, of which there is at least one."""
    caller_with(node.settings, request.headers.get("authorization"), "query")
    uids = named_uids(request)
    found = list(instances_of(node.database, Question(Level.IMAGE, uids)))
    if not found:
        raise HTTPException(404, "nothing of this name is held here")
    return found


def _is_single_part(request: Request) -> bool:
    return any(each.name == APPLICATION_DICOM for each in accepted(request))


def _require_stored_as_accepted(request: Request, found: list[FoundInstance]) -> None:
    """Raise 406 when a request wants another form than the stored one."""
    taken: set[str] = set()
    for each in accepted(request):
        is_any = each.name in ("*/*", "multipart/*")
        of = each.parameters.get("type", APPLICATION_DICOM).lower()
        if is_any or (each.name == "multipart/related" and of in (APPLICATION_DICOM, "*/*")):
            taken.add(each.parameters.get("transfer-syntax", "*"))
    if not taken:
        raise HTTPException(406, f"instances are given as multipart/related {APPLICATION_DICOM}")
    stored = {each.transfer_syntax_uid or "unknown" for each in found}
    if "*" not in taken and not stored <= taken:
        raise HTTPException(
            406,
            "instances are given as they are stored, here in transfer syntax "
            f"{', '.join(sorted(stored - taken))}; ask for transfer-syntax=*",
        )


def _multipart(node: WebNode, found: list[FoundInstance], boundary: str) -> Iterator[bytes]:
    for number, each in enumerate(found):
        # Of a result made before its transfer syntax was catalogued nothing is said.
        syntax = f"; transfer-syntax={each.transfer_syntax_uid}" if each.transfer_syntax_uid else ""
        fields = {"Content-Type": f"{APPLICATION_DICOM}{syntax}"}
        yield part_header(boundary, fields, is_first=number == 0)
        yield from _file(node, each)
    yield closing(boundary)


def _file(node: WebNode, instance: FoundInstance) -> Iterator[bytes]:
    with node.stored.as_file(instance.key) as path:
        yield from _blocks(path, 0, path.stat().st_size)


def _blocks(path: Path, start: int, length: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(start)
        while length > 0 and (block := file.read(min(_BLOCK_BYTES, length))):
            length -= len(block)
            yield block


def _metadata(node: WebNode, found: list[FoundInstance], level: Level) -> Iterator[bytes]:
    """The list of all instances, written one by one."""
    yield b"["
    is_first = True
    for each in found:
        with node.stored.as_file(each.key) as path:
            try:
                item = metadata_of(path, _bulk_data_uri(each, level))
            except RejectedInput as rejection:
                log.warning("no metadata of an instance", reason=str(rejection))
                continue
        yield (b"" if is_first else b",") + json.dumps(item, allow_nan=False).encode()
        is_first = False
    yield b"]"


def _bulk_data_uri(instance: FoundInstance, level: Level) -> str:
    """Relative to ``…/metadata`` of a study, a series or an instance (RFC 3986, section 5.2)."""
    below_series = f"instances/{instance.sop_instance_uid}/bulkdata"
    return {
        Level.STUDY: f"series/{instance.series_instance_uid}/{below_series}",
        Level.SERIES: below_series,
    }.get(level, "bulkdata")


def _add_parts_of_instances(router: APIRouter, node: WebNode) -> None:
    @router.get(
        f"{_INSTANCE}/frames/{{numbers}}",
        responses=given_as(*FRAME_MEDIA_TYPES),
    )
    def frames(request: Request, numbers: str) -> Response:
        with _opened(node, request) as path, _refusals_named():
            found = stored_frames(path, _frame_numbers(numbers))
        return _frames_answer(request, found)

    @router.get(
        f"{_INSTANCE}/bulkdata/{{tag}}", responses=given_as(OCTET_STREAM, _MULTIPART_OCTETS)
    )
    def bulkdata(request: Request, tag: str) -> Response:
        return _bulk_answer(node, request, tag)

    @router.get(f"{_INSTANCE}/rendered", responses=given_as(*_PICTURE_TYPES.values()))
    def show_instance(request: Request) -> Response:
        return _rendered(node, request, 1)

    @router.get(
        f"{_INSTANCE}/frames/{{number}}/rendered",
        responses=given_as(*_PICTURE_TYPES.values()),
    )
    def show_frame(request: Request, number: int) -> Response:
        return _rendered(node, request, number)


@contextmanager
def _opened(node: WebNode, request: Request) -> Iterator[Path]:
    with node.stored.as_file(_found(node, request)[0].key) as path:
        yield path


@contextmanager
def _refusals_named() -> Iterator[None]:
    try:
        yield
    except RejectedInput as rejection:
        raise HTTPException(406, str(rejection)) from rejection


def _frame_numbers(text: str) -> list[int]:
    numbers = [int(each) if each.isascii() and each.isdecimal() else 0 for each in text.split(",")]
    if not all(0 < each < 2**31 for each in numbers) or len(numbers) > _MOST_FRAMES:
        raise HTTPException(
            400, f"name frames by up to {_MOST_FRAMES} numbers from 1, with commas between"
        )
    return numbers


def _frames_answer(request: Request, frames: Frames) -> Response:
    types = accepted(request)
    if len(frames.contents) == 1 and any(each.name == frames.media_type for each in types):
        return Response(frames.contents[0], media_type=frames.media_type)
    if not any(_takes(each, frames) for each in types):
        raise HTTPException(
            406,
            f"these frames are stored as {frames.media_type} in transfer syntax "
            f"{frames.transfer_syntax_uid}, and given so",
        )
    content_type = f"{frames.media_type}; transfer-syntax={frames.transfer_syntax_uid}"
    return _multipart_answer(frames.media_type, content_type, frames.contents)


def _takes(accepted_type: MediaType, frames: Frames) -> bool:
    if accepted_type.name in ("*/*", "multipart/*"):
        return True
    of = accepted_type.parameters.get("type", frames.media_type).lower()
    syntax = accepted_type.parameters.get("transfer-syntax", "")
    if accepted_type.name != "multipart/related":
        return False
    # Viewers name any stored form by octets in any transfer syntax.
    is_octets_of_it = of == OCTET_STREAM and syntax in ("*", frames.transfer_syntax_uid)
    return of in (frames.media_type, "*/*") or is_octets_of_it


def _multipart_answer(of: str, content_type: str, contents: tuple[bytes, ...]) -> Response:
    boundary = uuid4().hex
    body = b"".join(
        part_header(boundary, {"Content-Type": content_type}, is_first=number == 0) + content
        for number, content in enumerate(contents)
    )
    return Response(
        body + closing(boundary),
        media_type=f'multipart/related; type="{of}"; boundary={boundary}',
    )


def _bulk_answer(node: WebNode, request: Request, tag: str) -> Response:
    if not _TAG.fullmatch(tag):
        raise HTTPException(400, "name the attribute by its tag, as in 7FE00010")
    instance = _found(node, request)[0]
    with node.stored.as_file(instance.key) as path, _refusals_named():
        place = bulk_data(path, int(tag, 16))
    if place is None:
        raise HTTPException(404, "the instance has no such attribute")

    def value() -> Iterator[bytes]:
        with node.stored.as_file(instance.key) as path:
            yield from _blocks(path, place.offset, place.length)

    if any(each.name in (OCTET_STREAM, "*/*") for each in accepted(request)):
        return StreamingResponse(value(), media_type=OCTET_STREAM)
    boundary = uuid4().hex

    def part() -> Iterator[bytes]:
        yield part_header(boundary, {"Content-Type": OCTET_STREAM}, is_first=True)
        yield from value()
        yield closing(boundary)

    return StreamingResponse(part(), media_type=f"{_MULTIPART_OCTETS}; boundary={boundary}")


def _rendered(node: WebNode, request: Request, frame: int) -> Response:
    names = [each.name for each in accepted(request)]
    wanted = next((_PICTURES[each] for each in names if each in _PICTURES), None)
    if wanted is None:
        raise HTTPException(406, "pictures are given as image/jpeg or image/png")
    with _opened(node, request) as path, _refusals_named():
        picture = rendered(path, frame, wanted)
    return Response(picture, media_type=_PICTURE_TYPES[wanted])
