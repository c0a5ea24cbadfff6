"""STOW-RS as origin server (PS3.18, section 10.5): instances in a multipart body.

Each part is kept by the same rules as an instance of a C-STORE, before the next
one is read. Its preamble is not kept, nor what its File Meta Information says
beside the three UIDs: both are written anew.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from pydicom.uid import DeflatedExplicitVRLittleEndian

from dicom_nodes.network.instance_store import (
    Announced,
    Arrival,
    InstanceStore,
    Refusal,
    Sender,
    StoreStatus,
)
from dicom_nodes.network.part10_header import MOST_FILE_META_BYTES, file_meta_of, is_valid_uid
from dicom_nodes.network.storage_scp import is_storage_sop_class
from dicom_nodes.objects.file_structure import read_structure, uid_text
from dicom_nodes.web.multipart import (
    Event,
    PartBegins,
    PartData,
    PartEnds,
    media_type,
    multipart_events,
)
from processing.measurement import RejectedInput

APPLICATION_DICOM: Final = "application/dicom"
MOST_PARTS: Final = 20_000
_STUDY_INSTANCE_UID: Final = 0x0020000D
_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StoredInstance:
    """An instance that is kept for good."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class FailedInstance:
    """A part that was not kept; UIDs are empty where it does not name them."""

    sop_class_uid: str
    sop_instance_uid: str
    reason: int
    comment: str


@dataclass(frozen=True, slots=True)
class StoreOutcome:
    """What became of the parts of a request.

    `fault` says why the body could not be read to its end; what stands in
    `stored` is kept nevertheless. `is_too_large` tells that there were too many parts.
    """

    stored: tuple[StoredInstance, ...]
    failed: tuple[FailedInstance, ...]
    fault: str | None = None
    is_too_large: bool = False


@dataclass(frozen=True, slots=True)
class AcceptedKinds:
    """SOP classes and transfer syntaxes that are taken.

    Where empty all storage SOP classes are, private and unknown ones included, and all
    transfer syntaxes. `study_instance_uid` is that of the request's target, where it names one.
    """

    sop_classes: frozenset[str] = frozenset()
    transfer_syntaxes: frozenset[str] = frozenset()
    study_instance_uid: str | None = None


@dataclass(slots=True)
class _Results:
    stored: list[StoredInstance] = field(default_factory=list)
    failed: list[FailedInstance] = field(default_factory=list)

    def outcome(self, fault: str | None = None) -> StoreOutcome:
        return StoreOutcome(tuple(self.stored), tuple(self.failed), fault)


def store_parts(
    instances: InstanceStore,
    sender: Sender,
    chunks: Iterable[bytes],
    boundary: str,
    accepted: AcceptedKinds,
) -> StoreOutcome:
    """Keep the instances of a multipart body, one after the other.

    Parameters
    ----------
    instances : InstanceStore
    sender : Sender
    chunks : iterable of bytes
        The body. What it raises goes through; the instance in hand is then not kept.
    boundary : str
    accepted : AcceptedKinds

    Returns
    -------
    StoreOutcome
    """
    if accepted.study_instance_uid is not None:
        instances = _only_of_study(instances, accepted.study_instance_uid)
    results = _Results()
    events = multipart_events(chunks, boundary)
    try:
        for event in events:
            if not isinstance(event, PartBegins):
                continue
            if len(results.stored) + len(results.failed) == MOST_PARTS:
                fault = f"a request may have {MOST_PARTS} parts; send less at once"
                return replace(results.outcome(fault), is_too_large=True)
            _store_part(instances, sender, event, _Content(events), accepted, results)
    except RejectedInput as rejection:
        return results.outcome(str(rejection))
    return results.outcome()


@dataclass(slots=True)
class _Content:
    """The content of one part, and whether all of it was read."""

    events: Iterator[Event]
    is_read: bool = False

    def __iter__(self) -> Iterator[bytes]:
        if self.is_read:
            return
        for event in self.events:
            if isinstance(event, PartEnds):
                self.is_read = True
                return
            if isinstance(event, PartData):
                yield event.data


def _store_part(
    instances: InstanceStore,
    sender: Sender,
    begun: PartBegins,
    content: _Content,
    accepted: AcceptedKinds,
    results: _Results,
) -> None:
    announced = Announced("", "", "")
    try:
        _check_media_type(begun)
        announced, data_set = _opened(content)
        _check_kind(announced, accepted)
        status = instances.store(announced, sender, data_set)
        if status != StoreStatus.SUCCESS:
            raise Refusal(status, "could not be kept")
    except Refusal as refusal:
        _LOGGER.warning("STOW-RS: refused a part: %s", refusal)
        for _ in content:
            pass
        results.failed.append(
            FailedInstance(
                announced.sop_class_uid,
                announced.sop_instance_uid,
                int(refusal.status),
                str(refusal),
            )
        )
    else:
        results.stored.append(StoredInstance(announced.sop_class_uid, announced.sop_instance_uid))


def _check_media_type(begun: PartBegins) -> None:
    stated = media_type(begun.fields.get("content-type", APPLICATION_DICOM)).name
    if stated != APPLICATION_DICOM:
        raise Refusal(StoreStatus.CANNOT_UNDERSTAND, f"parts are taken as {APPLICATION_DICOM} only")


def _opened(content: _Content) -> tuple[Announced, Iterator[list[memoryview]]]:
    """What the File Meta Information announces, and the data set that follows it."""
    chunks = iter(content)
    beginning = bytearray()
    try:
        while (meta := file_meta_of(bytes(beginning[:MOST_FILE_META_BYTES]))) is None:
            chunk = next(chunks, None)
            if chunk is None:
                meta = file_meta_of(bytes(beginning), is_whole=True)
                break
            beginning += chunk
    except RejectedInput as rejection:
        raise Refusal(StoreStatus.CANNOT_UNDERSTAND, str(rejection)) from rejection
    assert meta is not None
    announced = Announced(meta.sop_class_uid, meta.sop_instance_uid, meta.transfer_syntax_uid)
    return announced, _data_set(bytes(beginning[meta.length_bytes :]), chunks)


def _data_set(beginning: bytes, chunks: Iterator[bytes]) -> Iterator[list[memoryview]]:
    if beginning:
        yield [memoryview(beginning)]
    for chunk in chunks:
        yield [memoryview(chunk)]


def _check_kind(announced: Announced, accepted: AcceptedKinds) -> None:
    sop_class, transfer_syntax = announced.sop_class_uid, announced.transfer_syntax_uid
    if not is_valid_uid(sop_class) or not is_valid_uid(transfer_syntax):
        raise Refusal(
            StoreStatus.CANNOT_UNDERSTAND,
            "the File Meta Information names no valid SOP Class and Transfer Syntax UID",
        )
    is_taken = (
        sop_class in accepted.sop_classes
        if accepted.sop_classes
        else is_storage_sop_class(sop_class)
    )
    if not is_taken:
        raise Refusal(StoreStatus.SOP_CLASS_NOT_SUPPORTED, "this SOP class is not taken here")
    if accepted.transfer_syntaxes and transfer_syntax not in accepted.transfer_syntaxes:
        raise Refusal(
            StoreStatus.TRANSFER_SYNTAX_NOT_SUPPORTED, "this transfer syntax is not taken here"
        )


def _only_of_study(instances: InstanceStore, study_instance_uid: str) -> InstanceStore:
    """The same store, which refuses instances of another study than this."""

    def accept(arrival: Arrival) -> StoreStatus:
        stated = study_named_in(arrival)
        if stated is not None and stated != study_instance_uid:
            arrival.path.unlink()
            raise Refusal(
                StoreStatus.DATA_SET_DOES_NOT_MATCH, "it is of another study than the request"
            )
        return instances.accept(arrival)

    return replace(instances, accept=accept)


def study_named_in(arrival: Arrival) -> str | None:
    """The Study Instance UID of what arrived; None where that cannot be read at little cost."""
    # To look into a deflated data set is to inflate it, which may take a gigabyte.
    if arrival.transfer_syntax_uid == DeflatedExplicitVRLittleEndian:
        return None
    try:
        return uid_text(read_structure(arrival.path).value(_STUDY_INSTANCE_UID))
    except RejectedInput:
        return None
