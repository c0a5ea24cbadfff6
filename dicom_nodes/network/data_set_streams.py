"""The data set of a stored file, as it is sent: byte for byte wherever the peer takes it so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, Final, cast

from pydicom import dcmread
from pydicom.filebase import DicomFileLike
from pydicom.filereader import read_file_meta_info
from pydicom.filewriter import write_dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dicom_nodes.objects.foreign_values import FOREIGN_VALUE_FAULTS
from processing.measurement import PermanentFault

# A data set in one of these can be written in the other without touching its pixels.
CONVERTIBLE: Final = {
    ExplicitVRLittleEndian: ImplicitVRLittleEndian,
    ImplicitVRLittleEndian: ExplicitVRLittleEndian,
}
# Writing anew holds the whole data set in memory.
LARGEST_CONVERTED_BYTES: Final = 256 * 1024 * 1024
_PREAMBLE_BYTES: Final = 132
_GROUP_LENGTH: Final = b"\x02\x00\x00\x00UL\x04\x00"


@dataclass(frozen=True, slots=True)
class DataSetStream:
    """A data set from its first byte to its end, and how it is encoded."""

    transfer_syntax_uid: str
    stream: BinaryIO


@contextmanager
def data_set_of(path: Path, is_accepted: Callable[[str], bool]) -> Iterator[DataSetStream]:
    """Open the data set of a Part 10 file (PS3.10, section 7.1) for sending.

    Compressed pixels are never decoded: that is no work for the process that receives.

    Parameters
    ----------
    path : Path
    is_accepted : callable
        Whether the receiver takes a transfer syntax.

    Raises
    ------
    PermanentFault
        If the file is no DICOM file, or the receiver takes none of the transfer
        syntaxes in which it can be sent.
    OSError
        If it cannot be read.
    """
    with path.open("rb") as file:
        transfer_syntax = _transfer_syntax(path)
        if is_accepted(transfer_syntax):
            file.seek(_offset(file))
            yield DataSetStream(transfer_syntax, file)
            return
    other = CONVERTIBLE.get(UID(transfer_syntax))
    if other is None or not is_accepted(str(other)):
        raise PermanentFault(f"the receiver does not take {UID(transfer_syntax).name}")
    if path.stat().st_size > LARGEST_CONVERTED_BYTES:
        raise PermanentFault(f"it is too large to be written anew as {other.name}")
    with TemporaryFile() as converted:
        _convert(path, other, cast(BinaryIO, converted))
        converted.seek(0)
        yield DataSetStream(str(other), cast(BinaryIO, converted))


def _transfer_syntax(path: Path) -> str:
    try:
        return str(read_file_meta_info(path).TransferSyntaxUID)
    except FOREIGN_VALUE_FAULTS as error:
        if isinstance(error, OSError):
            raise
        raise PermanentFault(f"its file meta information cannot be read: {error}") from error


def _offset(file: BinaryIO) -> int:
    """Where the data set begins, by the length of the file meta information."""
    head = file.read(_PREAMBLE_BYTES + len(_GROUP_LENGTH) + 4)
    if head[_PREAMBLE_BYTES:-4] != _GROUP_LENGTH:
        raise PermanentFault("its file meta information does not begin with its length")
    return len(head) + int.from_bytes(head[-4:], "little")


def _convert(path: Path, transfer_syntax: UID, out: BinaryIO) -> None:
    try:
        data_set = dcmread(path)
        sink = DicomFileLike(out)
        sink.is_implicit_VR = transfer_syntax.is_implicit_VR
        sink.is_little_endian = True
        write_dataset(sink, data_set)
    except FOREIGN_VALUE_FAULTS as error:
        raise PermanentFault(f"it cannot be written anew: {error}") from error
