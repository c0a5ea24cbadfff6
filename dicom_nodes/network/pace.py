"""Whether a peer sends fast enough to be waited for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Pace:
    """Compares what came with how long it was waited for.

    Only time spent waiting for the peer counts, not what the node itself needs.

    Parameters
    ----------
    slowest_bytes_per_second : float
        0 for no limit.
    window_seconds : float
        Waiting time after which the peer is judged, again and again.
    """

    slowest_bytes_per_second: float
    window_seconds: float
    _waited_seconds: float = 0.0
    _bytes: int = 0

    def restart(self) -> None:
        """Forget what was; for the beginning of a message."""
        self._waited_seconds, self._bytes = 0.0, 0

    def is_too_slow(self, received_bytes: int, waited_seconds: float) -> bool:
        """Take note of what was received, and judge at the end of each window."""
        self._bytes += received_bytes
        self._waited_seconds += waited_seconds
        if self._waited_seconds < self.window_seconds:
            return False
        too_slow = self._bytes < self.slowest_bytes_per_second * self._waited_seconds
        self.restart()
        return too_slow
