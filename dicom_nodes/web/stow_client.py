"""STOW-RS as user agent (PS3.18, section 10.5): sends files as they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info

from dicom_nodes.network.part10_header import is_valid_uid
from dicom_nodes.network.storage_scu import Fault, SendOutcome, verdict
from dicom_nodes.web.multipart import closing, part_header
from dicom_nodes.web.store_response import failures_in, stored_in
from dicom_nodes.web.web_peer import (
    DICOM_JSON,
    WebPeer,
    bounded_body,
    fault_of,
    parsed,
    web_session,
)
from processing.measurement import PermanentFault, TransientFault

_BLOCK_BYTES: Final = 1 << 20
_PART: Final = {"Content-Type": "application/dicom"}


def store_files(peer: WebPeer, files: Sequence[Path]) -> tuple[SendOutcome, ...]:
    """Send DICOM files to a server in one request, which it may take for a complete set.

    Parameters
    ----------
    peer : WebPeer
    files : sequence of Path

    Returns
    -------
    tuple of SendOutcome
        One for each file, in their order. Nothing is raised for faults of the
        connection or of the server; they are in the outcomes.
    """
    uids: dict[Path, str] = {}
    outcomes: dict[Path, SendOutcome] = {}
    for path in files:
        try:
            uids[path] = _sop_instance_uid(path)
        except (TransientFault, PermanentFault) as fault:
            outcomes[path] = _failed(path, None, fault)
    if uids:
        try:
            status_code, answer = _posted(peer, list(uids))
            outcomes |= {
                path: _outcome(peer, path, uid, status_code, answer) for path, uid in uids.items()
            }
        except (TransientFault, PermanentFault) as fault:
            outcomes |= {path: _failed(path, uid, fault) for path, uid in uids.items()}
    return tuple(outcomes[path] for path in files)


def _sop_instance_uid(path: Path) -> str:
    try:
        uid = str(read_file_meta_info(path).get("MediaStorageSOPInstanceUID", ""))
    except OSError as error:
        raise TransientFault(f"{path} cannot be read: {error.strerror or error}") from error
    except (InvalidDicomError, ValueError, KeyError, NotImplementedError) as error:
        raise PermanentFault(f"{path} is no DICOM file: {error}") from error
    if not is_valid_uid(uid):
        raise PermanentFault(f"{path}: its file meta information names no valid SOP Instance UID")
    return uid


def _posted(peer: WebPeer, files: Sequence[Path]) -> tuple[int, Any]:
    """The status code of the answer, and what it says; None where it says nothing usable.

    Raises
    ------
    TransientFault, PermanentFault
        If the request as a whole has failed.
    """
    boundary = uuid4().hex
    try:
        # Some servers take no body whose length is not known beforehand.
        length = sum(len(piece) for piece in _frame(boundary, len(files)))
        length += sum(path.stat().st_size for path in files)
        headers = {
            "Accept": DICOM_JSON,
            "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
            "Content-Length": str(length),
        }
        body = _body(boundary, files)
        with (
            web_session(peer) as client,
            client.stream("POST", "studies", content=body, headers=headers) as answer,
        ):
            content = bounded_body(peer, answer)
            status_code = answer.status_code
    except OSError as error:
        raise TransientFault(f"a file cannot be read: {error.strerror or error}") from error
    try:
        said = parsed(peer, content)
    except PermanentFault:
        said = None
    # A conflict may still say what became of each instance.
    if status_code in (200, 202) or (status_code == 409 and failures_in(said)):
        return status_code, said
    raise fault_of(peer, status_code, content.decode("utf-8", "replace"))


def _frame(boundary: str, parts: int) -> list[bytes]:
    """What stands before each part, and behind the last."""
    heads = [part_header(boundary, _PART, is_first=number == 0) for number in range(parts)]
    return [*heads, closing(boundary)]


def _body(boundary: str, files: Sequence[Path]) -> Iterator[bytes]:
    *heads, end = _frame(boundary, len(files))
    for head, path in zip(heads, files, strict=True):
        yield head
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                yield block
    yield end


def _outcome(peer: WebPeer, path: Path, uid: str, status_code: int, answer: Any) -> SendOutcome:
    failed = failures_in(answer)
    if failed is None:
        if status_code == 200:
            return SendOutcome(path, uid, None, None, "")
        fault = TransientFault(f"{peer} answered with {status_code}, not saying what it stored")
        return _failed(path, uid, fault)
    if uid in failed:
        reason, comment = failed[uid]
        if reason is None:
            return SendOutcome(path, uid, None, Fault.PERMANENT, f"{peer} did not store it")
        kind, text = verdict(reason, comment)
        return SendOutcome(path, uid, reason, kind, text)
    if uid in stored_in(answer):
        return SendOutcome(path, uid, None, None, "")
    return _failed(path, uid, TransientFault(f"{peer} does not list it as stored"))


def _failed(
    path: Path, sop_instance_uid: str | None, fault: TransientFault | PermanentFault
) -> SendOutcome:
    kind = Fault.TRANSIENT if isinstance(fault, TransientFault) else Fault.PERMANENT
    return SendOutcome(path, sop_instance_uid, None, kind, str(fault))
