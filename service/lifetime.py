"""How long a part of the node lives, and under which name."""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
import time
from typing import Final

STOP_SECONDS: Final = 20.0
"""How long a part may take to end before it is ended."""


def slot_name(part: str) -> str:
    """A name of this slot that is the same after a restart and differs between machines."""
    host = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())
    return f"{host}-{part}"


def end_with_parent(stopped: threading.Event) -> None:
    """Set `stopped` when the supervisor asks for it or is gone.

    The supervisor holds the other end of our standard input; the kernel closes
    it however the supervisor ends.
    """

    def asked(_number: int, _frame: object) -> None:
        stopped.set()

    signal.signal(signal.SIGTERM, asked)
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def wait_for_end() -> None:
        # Not sys.stdin: a thread that blocks in it aborts the interpreter at its exit.
        while os.read(0, 1024):
            pass
        stopped.set()
        # What hangs in a library must not outlive the node.
        time.sleep(STOP_SECONDS)
        os._exit(1)

    threading.Thread(target=wait_for_end, name="end-with-parent", daemon=True).start()
