"""Whether this machine can draw off screen at all, asked without risk."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

from processing.rendering.scene import EGL_WINDOW, WINDOW_VARIABLE

PROBE_SECONDS: Final = 60.0

LIBRARIES: Final = (
    "install the packages libegl1, libegl-mesa0, libgl1 and libgl1-mesa-dri "
    "(Debian, Ubuntu) or their like"
)

_ONE_FRAME: Final = """
from processing.rendering.scene import Camera, OffscreenScene
camera = Camera((0.0, 0.0, 10.0), (0.0, 0.0, 0.0), (0.0, 1.0, 0.0), 30.0, 32, 32)
triangle = [[-9.0, -9.0, 0.0], [9.0, -9.0, 0.0], [0.0, 9.0, 0.0]]
with OffscreenScene(triangle, [[0, 1, 2]], background=(0, 0, 0)) as scene:
    raise SystemExit(0 if scene.render(camera)[16, 16].min() > 50 else 3)
"""


def why_rendering_fails() -> str | None:
    """Draw one frame in a child process.

    A child, because VTK ends the process with a segmentation fault where a
    library of OpenGL is missing.

    Returns
    -------
    str or None
        None when a frame was drawn; otherwise one line that says what is
        missing and what to install.
    """
    try:
        child = subprocess.run(
            [sys.executable, "-c", _ONE_FRAME],
            capture_output=True,
            text=True,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
            timeout=PROBE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"rendering: no frame within {PROBE_SECONDS:.0f} s; the machine may be overloaded"
    return _verdict(child.returncode, child.stderr)


def _verdict(return_code: int, stderr: str) -> str | None:
    if return_code == 0:
        return None
    if return_code == 3:
        return f"rendering: the frame came out empty; {LIBRARIES}"
    if return_code < 0:
        name = signal.Signals(-return_code).name
        chosen = os.environ.get(WINDOW_VARIABLE, EGL_WINDOW)
        if chosen != EGL_WINDOW:
            return f"rendering: VTK died with {name}; unset {WINDOW_VARIABLE} (now {chosen})"
        return f"rendering: VTK died with {name}, a library of OpenGL is missing; {LIBRARIES}"
    last = next((line for line in reversed(stderr.splitlines()) if line.strip()), "no message")
    return f"rendering: {last.strip()}; {LIBRARIES}"
