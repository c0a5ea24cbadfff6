"""The data set of a stored file, as it is sent: byte for byte wherever the peer takes it so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, Final

from pydicom import dcmread
from pydicom.filereader import read_file_meta_info
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from dicom_nodes.network.decompressing import decompress
from dicom_nodes.objects.foreign_values import FOREIGN_VALUE_FAULTS, foreign_values
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

    As it lies there if the receiver takes it so; otherwise written anew without
    compression, for which compressed pixels are decoded in a process of their own.

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
    wanted = next((each for each in CONVERTIBLE if is_accepted(str(each))), None)
    if wanted is None:
        raise PermanentFault(f"the receiver does not take {UID(transfer_syntax).name}")
    with TemporaryDirectory() as folder:
        anew = Path(folder) / "anew.dcm"
        if transfer_syntax in CONVERTIBLE or transfer_syntax == DeflatedExplicitVRLittleEndian:
            _convert(path, anew, wanted)
        else:
            decompress(path, anew, str(wanted))
        with anew.open("rb") as file:
            file.seek(_offset(file))
            yield DataSetStream(str(wanted), file)


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


def _convert(path: Path, out: Path, transfer_syntax: UID) -> None:
    """Write an uncompressed file in another transfer syntax."""
    if path.stat().st_size > LARGEST_CONVERTED_BYTES:
        raise PermanentFault(f"it is too large to be written anew as {transfer_syntax.name}")
    try:
        with foreign_values():
            data_set = dcmread(path)
            data_set.file_meta.TransferSyntaxUID = transfer_syntax
            data_set.save_as(out, implicit_vr=transfer_syntax.is_implicit_VR, little_endian=True)
    except FOREIGN_VALUE_FAULTS as error:
        raise PermanentFault(f"it cannot be written anew: {error}") from error
