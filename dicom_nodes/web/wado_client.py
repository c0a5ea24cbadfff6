"""WADO-RS as user agent (PS3.18, section 10.4): fetches instances as they are stored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from dicom_nodes.web.multipart import (
    PartBegins,
    PartData,
    boundary_of,
    media_type,
    multipart_events,
)
from dicom_nodes.web.web_peer import WebPeer, bounded_body, fault_of, web_session
from processing.measurement import PermanentFault, RejectedInput, TransientFault

_ACCEPT: Final = 'multipart/related; type="application/dicom"; transfer-syntax=*'


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may be fetched at once."""

    instances: int = 5_000
    size_bytes: int = 4_000_000_000


def fetch_to_folder(
    peer: WebPeer,
    study_uid: str,
    series_uid: str | None,
    folder: Path,
    limits: Limits | None = None,
) -> list[Path]:
    """Fetch a series, or a whole study, as files ``00000.dcm`` and on; none may be there yet.

    Returns
    -------
    list of Path
        Empty where the server holds no such study or series.

    Raises
    ------
    TransientFault, PermanentFault
        If it could not be fetched, or exceeds the limits; files that came are left.
    """
    limits = limits or Limits()
    files: list[Path] = []
    with _retrieved(peer, study_uid, series_uid, limits) as answered:
        if answered is None:
            return []
        chunks, boundary = answered
        for event in multipart_events(chunks, boundary):
            if isinstance(event, PartBegins):
                if len(files) == limits.instances:
                    raise PermanentFault(f"{peer} has more than {limits.instances} instances of it")
                files.append(folder / f"{len(files):05}.dcm")
                files[-1].touch(exist_ok=False)
            elif isinstance(event, PartData):
                with files[-1].open("ab") as file:
                    file.write(event.data)
    return files


@contextmanager
def _retrieved(
    peer: WebPeer, study_uid: str, series_uid: str | None, limits: Limits
) -> Iterator[tuple[Iterable[bytes], str] | None]:
    """The body of the answer and its boundary; None where the server has nothing."""
    path = f"studies/{study_uid}" + (f"/series/{series_uid}" if series_uid else "")
    try:
        with (
            web_session(peer) as client,
            client.stream("GET", path, headers={"Accept": _ACCEPT}) as answer,
        ):
            if answer.status_code in (204, 404):
                yield None
                return
            if answer.status_code not in (200, 206):
                said = bounded_body(peer, answer).decode("utf-8", "replace")
                raise fault_of(peer, answer.status_code, said)
            boundary = boundary_of(media_type(answer.headers.get("content-type", "")))
            yield _bounded(peer, answer, limits), boundary
    except RejectedInput as rejection:
        raise TransientFault(f"{peer} gave an answer that breaks off: {rejection}") from rejection


def _bounded(peer: WebPeer, answer: httpx.Response, limits: Limits) -> Iterator[bytes]:
    size_bytes = 0
    for chunk in answer.iter_bytes():
        size_bytes += len(chunk)
        if size_bytes > limits.size_bytes:
            raise PermanentFault(f"{peer} has more than {limits.size_bytes} bytes of it")
        yield chunk
