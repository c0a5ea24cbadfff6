"""STOW-RS (PS3.18, section 10.5): instances in, by the promise of `service.receive`.

Each part is on disk, fsynced, and in the catalogue before the next is read; the
answer that names it comes at the end of the request. A sender that got no
answer sends all again, and what is there already is found to be the same.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Final
from uuid import uuid4

import anyio
import structlog
from anyio import from_thread, to_thread
from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from dicom_nodes.network.instance_store import InstanceStore, Sender, StoreStatus
from dicom_nodes.network.storage_scp import Ended
from dicom_nodes.web.multipart import MediaType, boundary_of, media_type
from dicom_nodes.web.store_response import store_response
from dicom_nodes.web.store_service import (
    APPLICATION_DICOM,
    AcceptedKinds,
    StoreOutcome,
    store_parts,
)
from processing.measurement import RejectedInput, TransientFault
from service.catalogue.stow_requests import record_request, studies_with
from service.dicomweb.access import Caller, caller_with
from service.dicomweb.addresses import DICOM_JSON, given_as, named_uids, require_json
from service.dicomweb.web_node import WebNode
from service.settings import Settings
from service.workflow.completion import SETTLE_SECONDS
from service.workflow.declarations import declaration_of

_GATHERED_BYTES: Final = 512 * 1024
# What a refused sender may go on sending until it reads why; beyond that it is cut off.
_MOST_IGNORED_BYTES: Final = 32 * 1024 * 1024
_REFUSED_KINDS: Final = (
    "only multipart/related with type=application/dicom is taken; metadata and bulk data apart "
    "(application/dicom+json, application/dicom+xml) are not"
)

log = structlog.get_logger()


class SenderGone(Exception):
    """The sender has hung up or fallen silent in the middle of its request."""


def add_stow(router: APIRouter, node: WebNode) -> None:
    """Take instances at ``/studies`` and ``/studies/{study}``."""
    accept = node.arrivals.around(node.reception.accept)
    instances = InstanceStore(accept, node.reception.place, node.reception.has_room)
    limiter = anyio.CapacityLimiter(node.settings.dicomweb.maximum_requests)

    @router.post("/studies", responses=given_as(DICOM_JSON))
    async def store(request: Request) -> Response:
        return await answered(request, None)

    @router.post("/studies/{study}", responses=given_as(DICOM_JSON))
    async def store_in_study(request: Request, study: str) -> Response:
        return await answered(request, study)

    async def answered(request: Request, study: str | None) -> Response:
        try:
            caller = caller_with(node.settings, request.headers.get("authorization"), "store")
            boundary = _boundary(request)
            if limiter.available_tokens < 1:
                raise HTTPException(
                    503, "too many are storing at once; try again", headers={"Retry-After": "5"}
                )
        except HTTPException:
            await _ignore_body(request)
            raise
        accepted = AcceptedKinds(
            frozenset(node.settings.dicom.sop_classes),
            frozenset(node.settings.dicom.transfer_syntaxes),
            study,
        )
        chunks = _chunks(request, node.settings.dicomweb.idle_timeout_seconds)
        sender = _sender(request, caller, node.settings)
        try:
            outcome = await to_thread.run_sync(
                store_parts,
                instances,
                sender,
                chunks,
                boundary,
                accepted,
                limiter=limiter,
            )
            await to_thread.run_sync(_declare, node, caller, outcome)
        except SenderGone as gone:
            log.warning("STOW-RS: the request broke off", client=caller.name, reason=str(gone))
            raise HTTPException(408, str(gone), headers={"Connection": "close"}) from gone
        finally:
            ended = Ended(sender.association, sender.calling_ae_title, sender.peer_address)
            await to_thread.run_sync(node.arrivals.ended, ended)
        return _answer(outcome)


def _boundary(request: Request) -> str:
    named_uids(request)
    require_json(request)
    stated = media_type(request.headers.get("content-type", ""))
    if not _is_of_instances(stated):
        raise HTTPException(415, _REFUSED_KINDS)
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise HTTPException(415, "compressed bodies (Content-Encoding) are not taken")
    try:
        return boundary_of(stated)
    except RejectedInput as rejection:
        raise HTTPException(400, str(rejection)) from rejection


def _is_of_instances(stated: MediaType) -> bool:
    of = stated.parameters.get("type", APPLICATION_DICOM).lower()
    return stated.name == "multipart/related" and of == APPLICATION_DICOM


def _sender(request: Request, caller: Caller, settings: Settings) -> Sender:
    address = request.client.host if request.client else ""
    return Sender(caller.ae_title, settings.dicom.ae_title, address[:64], uuid4().hex)


def _chunks(request: Request, idle_timeout_seconds: float) -> Iterator[bytes]:
    """The body for a thread that waits for it: never more in memory than one piece.

    Raises
    ------
    SenderGone
    """
    stream = aiter(request.stream())
    while piece := from_thread.run(_next_piece, stream, idle_timeout_seconds):
        yield piece


async def _next_piece(stream: AsyncIterator[bytes], idle_timeout_seconds: float) -> bytes:
    """Some of the body; nothing at its end."""
    gathered = bytearray()
    try:
        # For the whole piece: a sender that drips is as little waited for as a silent one.
        with anyio.fail_after(idle_timeout_seconds):
            while len(gathered) < _GATHERED_BYTES:
                gathered += await anext(stream)
    except StopAsyncIteration:
        pass
    except TimeoutError as fault:
        raise SenderGone(f"half a megabyte took longer than {idle_timeout_seconds:g} s") from fault
    except ClientDisconnect as fault:
        raise SenderGone("the connection was closed before the end of the body") from fault
    return bytes(gathered)


async def _ignore_body(request: Request) -> None:
    """Read what a refused sender still sends, since many read the answer only afterwards."""
    ignored = 0
    with anyio.move_on_after(5):
        try:
            async for chunk in request.stream():
                ignored += len(chunk)
                if ignored > _MOST_IGNORED_BYTES:
                    return
        except ClientDisconnect:
            return


def _declare(node: WebNode, caller: Caller, outcome: StoreOutcome) -> None:
    """Record that a complete set has come, and have its studies looked at soon."""
    if not outcome.stored or outcome.failed or outcome.fault or not caller.sends_complete_sets:
        return
    uids = [each.sop_instance_uid for each in outcome.stored]
    try:
        record_request(node.reception.database, caller.name, uids)
        # What is not catalogued yet is looked at by the cataloguer when it is.
        for study in studies_with(node.database, uids):
            if declaration_of(node.database, node.settings, study):
                wait = min(SETTLE_SECONDS, node.settings.completion.quiet_seconds)
                node.engine.look_at_study_in(study, wait)
    except TransientFault as fault:
        # The instances are kept; without this evidence the quiet time starts the study.
        log.warning("STOW-RS: the end of a request was not recorded", reason=str(fault))


def _answer(outcome: StoreOutcome) -> Response:
    headers = {}
    if outcome.fault is not None:
        headers["Warning"] = f'299 hemiface "{outcome.fault}"'
    return JSONResponse(
        store_response(outcome),
        status_code=_status(outcome),
        headers=headers,
        media_type=DICOM_JSON,
    )


def _status(outcome: StoreOutcome) -> int:
    """The status code (PS3.18, table 10.5.3-1), and 507 where there was no room for any."""
    if outcome.fault is not None or not (outcome.stored or outcome.failed):
        return 413 if outcome.is_too_large else 400
    if not outcome.failed:
        return 200
    if outcome.stored:
        return 202
    if all(each.reason == StoreStatus.OUT_OF_RESOURCES for each in outcome.failed):
        return 507
    return 409
