"""What storage commitment says, and its data sets (PS3.4, annex J)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from pydicom.dataset import Dataset

from dicom_nodes.network.part10_header import is_valid_uid
from processing.measurement import RejectedInput

STORAGE_COMMITMENT_SOP_CLASS: Final = "1.2.840.10008.1.20.1"
STORAGE_COMMITMENT_SOP_INSTANCE: Final = "1.2.840.10008.1.20.1.1"
REQUEST_ACTION: Final = 1
ALL_COMMITTED: Final = 1
FAILURES_EXIST: Final = 2

# One transaction may name so many instances; an identifier of 1 MiB has room for fewer.
MOST_REFERENCES: Final = 20_000

# What pydicom raises on bytes that are no data set, at the latest when a value is looked at.
_DECODING_ERRORS: Final = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
)


class FailureReason(IntEnum):
    """Failure Reason (0008,1197), PS3.3 section C.14.1.1."""

    PROCESSING_FAILURE = 0x0110
    NO_SUCH_OBJECT_INSTANCE = 0x0112
    CLASS_INSTANCE_CONFLICT = 0x0119
    SOP_CLASS_NOT_SUPPORTED = 0x0122
    DUPLICATE_TRANSACTION_UID = 0x0131
    RESOURCE_LIMITATION = 0x0213


_MEANINGS: Final = {
    FailureReason.PROCESSING_FAILURE: "processing failure",
    FailureReason.NO_SUCH_OBJECT_INSTANCE: "no such object instance",
    FailureReason.CLASS_INSTANCE_CONFLICT: "held under another SOP class",
    FailureReason.SOP_CLASS_NOT_SUPPORTED: "SOP class not supported",
    FailureReason.DUPLICATE_TRANSACTION_UID: "duplicate Transaction UID",
    FailureReason.RESOURCE_LIMITATION: "out of resources",
}


@dataclass(frozen=True, slots=True)
class Reference:
    """An instance that commitment is about."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class Failed:
    """An instance that was not committed; `reason` as in `FailureReason`, or a peer's own."""

    reference: Reference
    reason: int

    @property
    def text(self) -> str:
        """The reason in words."""
        meaning = _MEANINGS.get(self.reason)  # type: ignore[call-overload] # IntEnum keys are ints
        return f"0x{self.reason:04X}" + (f", {meaning}" if meaning else "")


@dataclass(frozen=True, slots=True)
class CommitmentRequest:
    """That safekeeping of these instances is asked for (PS3.4, table J.3-2)."""

    transaction_uid: str
    references: tuple[Reference, ...]


@dataclass(frozen=True, slots=True)
class CommitmentReport:
    """What became of a request (PS3.4, table J.3-3)."""

    transaction_uid: str
    committed: tuple[Reference, ...]
    failed: tuple[Failed, ...]

    @property
    def event_type(self) -> int:
        """Event Type ID of its N-EVENT-REPORT."""
        return FAILURES_EXIST if self.failed else ALL_COMMITTED


def request_as_data_set(request: CommitmentRequest) -> Dataset:
    """Action Information of an N-ACTION."""
    data_set = Dataset()
    data_set.TransactionUID = request.transaction_uid
    data_set.ReferencedSOPSequence = _items(request.references)
    return data_set


def report_as_data_set(report: CommitmentReport) -> Dataset:
    """Event Information of an N-EVENT-REPORT."""
    data_set = Dataset()
    data_set.TransactionUID = report.transaction_uid
    # Each sequence is there only where it has items (PS3.4, table J.3-3).
    if report.committed:
        data_set.ReferencedSOPSequence = _items(report.committed)
    if report.failed:
        data_set.FailedSOPSequence = _items(each.reference for each in report.failed)
        for item, each in zip(data_set.FailedSOPSequence, report.failed, strict=True):
            item.FailureReason = each.reason
    return data_set


def read_request(decode: Callable[[], Dataset]) -> CommitmentRequest:
    """The request in an Action Information.

    Parameters
    ----------
    decode : callable
        Gives the data set, or raises what pydicom raises.

    Raises
    ------
    RejectedInput
        If it is no request; the message names the attribute.
    """
    try:
        data_set = decode()
        transaction_uid = _transaction_uid(data_set)
        references = _references(data_set, "ReferencedSOPSequence")
    except _DECODING_ERRORS as error:
        raise RejectedInput(f"the request cannot be decoded: {error}") from error
    if not references:
        raise RejectedInput("Referenced SOP Sequence (0008,1199) names no instance")
    return CommitmentRequest(transaction_uid, references)


def read_report(decode: Callable[[], Dataset]) -> CommitmentReport:
    """The report in an Event Information; parameters and faults as in `read_request`."""
    try:
        data_set = decode()
        failed = tuple(
            Failed(reference, int(item.get("FailureReason", FailureReason.PROCESSING_FAILURE)))
            for reference, item in zip(
                _references(data_set, "FailedSOPSequence"),
                data_set.get("FailedSOPSequence") or (),
                strict=True,
            )
        )
        return CommitmentReport(
            _transaction_uid(data_set), _references(data_set, "ReferencedSOPSequence"), failed
        )
    except _DECODING_ERRORS as error:
        raise RejectedInput(f"the report cannot be decoded: {error}") from error


def _transaction_uid(data_set: Dataset) -> str:
    uid = str(data_set.get("TransactionUID", ""))
    if not is_valid_uid(uid):
        raise RejectedInput("Transaction UID (0008,1195) is missing or not valid")
    return uid


def _references(data_set: Dataset, keyword: str) -> tuple[Reference, ...]:
    """Those of a sequence, in its order."""
    items: Sequence[Dataset] = data_set.get(keyword) or ()
    if len(items) > MOST_REFERENCES:
        raise RejectedInput(f"{keyword} has more than {MOST_REFERENCES} items; ask in parts")
    found = tuple(
        Reference(str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID))
        for item in items
    )
    for each in found:
        if not is_valid_uid(each.sop_class_uid) or not is_valid_uid(each.sop_instance_uid):
            raise RejectedInput(f"{keyword} has an item whose UIDs are not valid")
    return found


def _items(references: Iterable[Reference]) -> list[Dataset]:
    items = []
    for each in references:
        item = Dataset()
        item.ReferencedSOPClassUID = each.sop_class_uid
        item.ReferencedSOPInstanceUID = each.sop_instance_uid
        items.append(item)
    return items
