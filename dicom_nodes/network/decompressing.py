"""Writes a compressed file anew without compression; runs as a program of its own.

Decoders of pictures are the code that bytes of a stranger most likely break, or
make take all memory. So they run neither in the process that receives nor without
a limit.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final

from pydicom import dcmread
from pydicom.uid import UID

from dicom_nodes.objects.foreign_values import FOREIGN_VALUE_FAULTS, foreign_values
from processing.measurement import PermanentFault

MOST_MEMORY_BYTES: Final = 3 * 1024**3
MOST_SECONDS: Final = 60.0
# Of one receiver process; other associations wait.
_AT_ONCE: Final = threading.BoundedSemaphore(2)


def decompress(path: Path, out: Path, transfer_syntax: str) -> None:
    """Write the object of a file anew in an uncompressed transfer syntax, in a child process.

    The pixels are those that the picture decodes to, in RGB where they are coloured;
    the SOP Instance UID stays.

    Parameters
    ----------
    path : Path
    out : Path
        Where to write.
    transfer_syntax : str
        Explicit or Implicit VR Little Endian.

    Raises
    ------
    PermanentFault
        If it cannot be decoded within limits of time and memory.
    """
    command = [sys.executable, "-m", __name__, str(path), str(out), transfer_syntax]
    with _AT_ONCE:
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=MOST_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as expired:
            raise PermanentFault(f"it was not decoded within {MOST_SECONDS:g} s") from expired
    if done.returncode != 0:
        raise PermanentFault("its pixels cannot be decoded")


def main(path: Path, out: Path, transfer_syntax: str) -> int:
    """The child: 0 when `out` was written."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY_BYTES, MOST_MEMORY_BYTES))
    try:
        with foreign_values():
            dataset = dcmread(path)
            if not dataset.file_meta.TransferSyntaxUID.is_compressed:
                return 1
            dataset.decompress(generate_instance_uid=False)
            dataset.file_meta.TransferSyntaxUID = UID(transfer_syntax)
            dataset.save_as(
                out, implicit_vr=UID(transfer_syntax).is_implicit_VR, little_endian=True
            )
    except (*FOREIGN_VALUE_FAULTS, RuntimeError, MemoryError):
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))
