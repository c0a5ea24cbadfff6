"""Frames as pictures for a browser (PS3.18, section 10.4.1.1.4), drawn in a process of their own.

A decoder that a hostile stream brings down takes that process with it, and not
the server: ``python -m dicom_nodes.web.rendering FILE FRAME JPEG`` writes the
picture to its standard output.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final, Literal

from PIL import Image

from dicom_nodes.objects.photograph_reader import read_frame
from processing.measurement import RejectedInput, TransientFault

PictureFormat = Literal["JPEG", "PNG"]

_REFUSED: Final = 3
_QUALITY: Final = 92
_TIMEOUT_SECONDS: Final = 60
_MEMORY_BYTES: Final = 3 * 1024**3
# Of one server process; other requests wait.
_AT_ONCE: Final = threading.BoundedSemaphore(2)


def rendered(path: Path, frame: int, picture_format: PictureFormat) -> bytes:
    """A frame, counted from 1, as a picture in sRGB.

    Raises
    ------
    RejectedInput
        If the instance is no picture, or cannot be decoded.
    TransientFault
        If it took too long.
    """
    command = [sys.executable, "-m", __name__, str(path), str(frame), picture_format]
    try:
        with _AT_ONCE:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_TIMEOUT_SECONDS,
                check=False,
            )
    except subprocess.TimeoutExpired as fault:
        raise TransientFault(f"drawing took longer than {_TIMEOUT_SECONDS} s") from fault
    if done.returncode == 0:
        return done.stdout
    if done.returncode == _REFUSED:
        raise RejectedInput(done.stderr.decode("utf-8", "replace").strip())
    raise RejectedInput("The decoder did not survive the pixels of this instance.")


def main() -> int:
    """Draw what the arguments name."""
    path, frame, picture_format = sys.argv[1:]
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    try:
        pixels = read_frame(Path(path), int(frame))
    except RejectedInput as rejection:
        sys.stderr.write(str(rejection))
        return _REFUSED
    options = {"quality": _QUALITY} if picture_format == "JPEG" else {}
    Image.fromarray(pixels).save(sys.stdout.buffer, picture_format, **options)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
