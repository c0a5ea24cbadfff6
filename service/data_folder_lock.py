"""One node on one data folder: a lock for each half of it, receiving and working."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from processing.measurement import PermanentFault


@contextmanager
def only_one(data_folder: Path, half: str) -> Iterator[None]:
    """Hold this half of the node on a data folder; the kernel lets go when the process ends.

    Raises
    ------
    PermanentFault
        If another process holds it.
    """
    data_folder.mkdir(parents=True, exist_ok=True)
    with (data_folder / f"{half}.lock").open("a+") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as fault:
            stream.seek(0)
            holder = stream.read(20).strip()
            raise PermanentFault(
                f"another `hemiface serve` (process {holder or 'unknown'}) runs on "
                f"{data_folder.absolute()}; stop that one, or set HEMIFACE_DATA_FOLDER to "
                "another folder"
            ) from fault
        stream.truncate(0)
        stream.write(f"{os.getpid()}\n")
        stream.flush()
        yield


def is_held(data_folder: Path, half: str) -> bool:
    """Whether a node runs this half of itself on a data folder."""
    try:
        with (data_folder / f"{half}.lock").open("r+") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False
