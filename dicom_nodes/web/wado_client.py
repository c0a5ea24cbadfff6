"""WADO-RS as user agent (PS3.18, section 10.4): fetches instances as they are stored."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx

from dicom_nodes.network.instance_store import Accept, InstanceStore, Sender, StoreStatus
from dicom_nodes.network.retrieve_scu import SubOperationsFailed, Wanted
from dicom_nodes.web.multipart import boundary_of, media_type
from dicom_nodes.web.store_service import AcceptedKinds, store_parts
from dicom_nodes.web.web_peer import WebPeer, bounded_body, fault_of, web_session
from processing.measurement import PermanentFault, RejectedInput, TransientFault

_ACCEPT: Final = 'multipart/related; type="application/dicom"; transfer-syntax=*'
# The server does not have it, or not in a form that can be taken.
_NOT_BROUGHT: Final = frozenset((204, 404, 406, 410))
_MAY_DO_LATER: Final = frozenset((StoreStatus.OUT_OF_RESOURCES, StoreStatus.PROCESSING_FAILURE))

_LOGGER = logging.getLogger(__name__)


def fetch_instances(
    peer: WebPeer,
    wanted: Wanted,
    accept: Accept,
    *,
    place: Callable[[], Path],
    room: Callable[[], bool],
    sent_as: str,
    own_ae_title: str,
    largest_answer_bytes: int,
) -> None:
    """Fetch instances, each by a request of its own, and keep them as they are stored.

    One that the server does not have is left out. One that it fails to send does not
    keep back the others.

    Parameters
    ----------
    peer : WebPeer
    wanted : Wanted
    accept, place, room
        As for `dicom_nodes.network.storage_scp.start_listening`.
    sent_as : str
        The AE title that counts as the sender's.
    own_ae_title : str
    largest_answer_bytes : int
        No more of an answer is read.

    Raises
    ------
    TransientFault
        If the server cannot be reached or does not answer. `SubOperationsFailed` if it
        failed to send some of them.
    PermanentFault
        If the server refuses, or an answer is too large or none of instances.
    """
    store = InstanceStore(accept, place, room)
    sender = Sender(sent_as, own_ae_title, (urlsplit(peer.url).hostname or "")[:64])
    failed: TransientFault | None = None
    with web_session(peer) as client:
        for uid in wanted.sop_instance_uids:
            path = (
                f"studies/{wanted.study_instance_uid}/series/{wanted.series_instance_uid}"
                f"/instances/{uid}"
            )
            try:
                _fetch(peer, client, path, store, sender, largest_answer_bytes)
            except TransientFault as fault:
                failed = fault
    if failed is not None:
        raise SubOperationsFailed(str(failed)) from failed


def _fetch(
    peer: WebPeer,
    client: httpx.Client,
    path: str,
    store: InstanceStore,
    sender: Sender,
    largest_answer_bytes: int,
) -> None:
    """Fetch and keep one instance, if the server has it."""
    with client.stream("GET", path, headers={"Accept": _ACCEPT}) as answer:
        if answer.status_code in _NOT_BROUGHT:
            return
        if answer.status_code not in (200, 206):
            said = bounded_body(peer, answer).decode("utf-8", "replace")
            raise fault_of(peer, answer.status_code, said)
        try:
            boundary = boundary_of(media_type(answer.headers.get("content-type", "")))
        except RejectedInput as rejection:
            raise PermanentFault(
                f"{peer} answers with no multipart body: {rejection}"
            ) from rejection
        chunks = _bounded(peer, answer, largest_answer_bytes)
        outcome = store_parts(store, sender, chunks, boundary, AcceptedKinds())
    for each in outcome.failed:
        _LOGGER.warning("refused an instance from %s: %s", peer.name, each.comment)
        if each.reason in _MAY_DO_LATER:
            raise TransientFault(f"an instance from {peer} could not be kept: {each.comment}")
    if outcome.fault is not None:
        raise TransientFault(f"{peer} gave an answer that breaks off: {outcome.fault}")


def _bounded(peer: WebPeer, answer: httpx.Response, largest_bytes: int) -> Iterator[bytes]:
    size_bytes = 0
    for chunk in answer.iter_bytes():
        size_bytes += len(chunk)
        if size_bytes > largest_bytes:
            raise PermanentFault(f"{peer} sends more than {largest_bytes} bytes for one instance")
        yield chunk
