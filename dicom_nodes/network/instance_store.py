"""Keeping an instance that arrives, byte for byte, whichever service brought it.

An instance is written to its place while it arrives and is never decoded.
`Accept` makes it known; only then may it be acknowledged. C-STORE (PS3.4, annex
B) and STOW-RS (PS3.18, section 10.5) both end here, so that the same is kept and
refused for the same reasons.
"""

from __future__ import annotations

import errno
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Final

from dicom_nodes.network.data_set_beginning import (
    SOP_CLASS_UID,
    SOP_INSTANCE_UID,
    Tag,
    first_values,
    uid_among,
)
from dicom_nodes.network.direct_file import AlignedBlock, DirectFile
from dicom_nodes.network.part10_header import encode_header, is_valid_uid
from processing.measurement import PermanentFault, RejectedInput, TransientFault

_ROOM_CHECKED_EVERY_BYTES: Final = 64 * 1024 * 1024
_PEEKED_BYTES: Final = 4096
_LOGGER = logging.getLogger(__name__)
_DISK_FULL: Final = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))


class StoreStatus(IntEnum):
    """Status of a C-STORE response (PS3.4, table B.2-1; PS3.7, section 9.1.1.1.9).

    The same numbers are the failure reasons of STOW-RS (PS3.18, table I.2-2), which has one
    more: `TRANSFER_SYNTAX_NOT_SUPPORTED`.
    """

    SUCCESS = 0x0000
    PROCESSING_FAILURE = 0x0110
    INVALID_INSTANCE_UID = 0x0117
    SOP_CLASS_NOT_SUPPORTED = 0x0122
    NOT_AUTHORIZED = 0x0124
    OUT_OF_RESOURCES = 0xA700
    DATA_SET_DOES_NOT_MATCH = 0xA900
    CANNOT_UNDERSTAND = 0xC000
    TRANSFER_SYNTAX_NOT_SUPPORTED = 0xC122


@dataclass(frozen=True, slots=True)
class Arrival:
    """An instance that has arrived completely and is not acknowledged yet.

    Parameters
    ----------
    path : Path
        A complete DICOM file; not fsynced.
    sop_class_uid, sop_instance_uid : str
        As in the C-STORE request; valid, and the same as in the data set.
    transfer_syntax_uid : str
    calling_ae_title, called_ae_title : str
    peer_address : str
        IP address of the sender.
    dataset_offset : int
        Where in the file the data set starts, in bytes.
    size_bytes : int
        Of the whole file.
    association : str
        Tells the association, or request, that brought it from all others.
    beginning : mapping
        What the data set says of itself, as `data_set_beginning.first_values` gives it.
    move_originator_ae_title, move_originator_message_id : str, int, optional
        Who asked for the C-MOVE that brought it, and by which message.
    """

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    calling_ae_title: str
    called_ae_title: str
    peer_address: str
    dataset_offset: int
    size_bytes: int
    association: str = ""
    beginning: Mapping[Tag, bytes] = field(default_factory=dict)
    move_originator_ae_title: str | None = None
    move_originator_message_id: int | None = None


Accept = Callable[[Arrival], StoreStatus]


@dataclass(frozen=True, slots=True)
class Sender:
    """Who brings an instance: AE titles as they stand, and the IP address it comes from.

    `association` tells the association, or request, from all others.
    The move originator is who asked for the C-MOVE that it is brought by, and by which
    message.
    """

    calling_ae_title: str
    called_ae_title: str
    peer_address: str
    association: str = ""
    move_originator_ae_title: str | None = None
    move_originator_message_id: int | None = None


@dataclass(frozen=True, slots=True)
class Announced:
    """What is said of an instance before its data set comes."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str


class Refusal(Exception):
    """The instance is answered with a failure.

    Parameters
    ----------
    status : StoreStatus
    comment : str
        For the sender, without patient data.
    """

    def __init__(self, status: StoreStatus, comment: str) -> None:
        super().__init__(comment)
        self.status = status


@dataclass(frozen=True, slots=True)
class InstanceStore:
    """Writes each instance to its place and hands it to `accept`.

    Parameters
    ----------
    accept, place, room : callable
        As `dicom_nodes.network.storage_scp.start_listening` describes them.
    """

    accept: Accept
    place: Callable[[], Path]
    room: Callable[[], bool]
    # Each sender is served by a thread of its own, with one block of memory for all it brings.
    blocks: threading.local = field(default_factory=threading.local)

    def store(
        self, announced: Announced, sender: Sender, data_set: Iterator[list[memoryview]]
    ) -> StoreStatus:
        """Keep one instance; returns what `accept` answered.

        Raises
        ------
        Refusal
            If it is not kept. What is left of `data_set` has then not been read.
        """
        if not is_valid_uid(announced.sop_instance_uid):
            raise Refusal(StoreStatus.INVALID_INSTANCE_UID, "SOP Instance UID is not valid")
        if not self.room():
            raise Refusal(StoreStatus.OUT_OF_RESOURCES, "no room on the disk")
        header = encode_header(
            announced.sop_class_uid,
            announced.sop_instance_uid,
            announced.transfer_syntax_uid,
            sender.calling_ae_title,
        )
        path, size_bytes, beginning = self._write(header, data_set, announced)
        return self._accepted(
            Arrival(
                path=path,
                sop_class_uid=announced.sop_class_uid,
                sop_instance_uid=announced.sop_instance_uid,
                transfer_syntax_uid=announced.transfer_syntax_uid,
                calling_ae_title=sender.calling_ae_title,
                called_ae_title=sender.called_ae_title,
                peer_address=sender.peer_address,
                dataset_offset=len(header),
                size_bytes=size_bytes,
                association=sender.association,
                beginning=beginning,
                move_originator_ae_title=sender.move_originator_ae_title,
                move_originator_message_id=sender.move_originator_message_id,
            )
        )

    def _write(
        self, header: bytes, data_set: Iterator[list[memoryview]], announced: Announced
    ) -> tuple[Path, int, dict[Tag, bytes]]:
        """Write the file; returns its path, its size in bytes, and what it says of itself."""
        try:
            path = self.place()
            with DirectFile(path, self._block()) as file, _removed_on_failure(path):
                beginning = self._fill(file, header, data_set)
                values = first_values(beginning, announced.transfer_syntax_uid)
                _check_data_set(values, announced)
                file.finish()
                return path, file.size_bytes, values
        except TransientFault as fault:
            _LOGGER.error("no place for an instance: %s", fault)
            raise Refusal(StoreStatus.OUT_OF_RESOURCES, "cannot be written") from fault
        except OSError as error:
            reason = "the disk is full" if error.errno in _DISK_FULL else "cannot be written"
            _LOGGER.error("an instance could not be written: %s", error)
            raise Refusal(StoreStatus.OUT_OF_RESOURCES, reason) from error

    def _fill(self, file: DirectFile, header: bytes, data_set: Iterator[list[memoryview]]) -> bytes:
        """Write header and data set; returns how the data set begins."""
        file.write([header])
        beginning = b""
        until_check = _ROOM_CHECKED_EVERY_BYTES
        for batch in data_set:
            if len(beginning) < _PEEKED_BYTES:
                beginning += b"".join(view[:_PEEKED_BYTES] for view in batch)
            file.write(batch)
            if file.size_bytes >= until_check:
                until_check += _ROOM_CHECKED_EVERY_BYTES
                if not self.room():
                    raise Refusal(StoreStatus.OUT_OF_RESOURCES, "no room on the disk")
        if not beginning:
            raise Refusal(StoreStatus.CANNOT_UNDERSTAND, "no data set")
        return beginning

    def _block(self) -> AlignedBlock:
        block: AlignedBlock | None = getattr(self.blocks, "block", None)
        if block is None:
            block = self.blocks.block = AlignedBlock()
        return block

    def _accepted(self, arrival: Arrival) -> StoreStatus:
        try:
            return StoreStatus(self.accept(arrival))
        except (TransientFault, OSError) as error:
            _LOGGER.warning("an instance could not be kept: %s", error)
            raise Refusal(StoreStatus.OUT_OF_RESOURCES, "could not be kept, try again") from error
        except RejectedInput as error:
            raise Refusal(StoreStatus.CANNOT_UNDERSTAND, str(error)) from error
        except PermanentFault as error:
            raise Refusal(StoreStatus.PROCESSING_FAILURE, "could not be kept") from error


def _check_data_set(values: Mapping[Tag, bytes], announced: Announced) -> None:
    if uid_among(values, SOP_CLASS_UID) not in (None, announced.sop_class_uid):
        raise Refusal(StoreStatus.DATA_SET_DOES_NOT_MATCH, "SOP class differs in the data set")
    if uid_among(values, SOP_INSTANCE_UID) not in (None, announced.sop_instance_uid):
        raise Refusal(
            StoreStatus.DATA_SET_DOES_NOT_MATCH, "SOP Instance UID differs in the data set"
        )


@contextmanager
def _removed_on_failure(path: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise
