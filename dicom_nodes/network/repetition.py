"""Telling what happens again and again once in a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Final

MOST_KEYS: Final = 10_000


@dataclass(slots=True)
class Repetition:
    """Says of each kind of event whether it is due to be told again.

    Parameters
    ----------
    seconds : float
        After one was told, those like it within so long are only counted.
    clock : callable
        Gives seconds that never go back.
    """

    seconds: float
    clock: Callable[[], float] = time.monotonic
    _seen: dict[Hashable, tuple[float, int]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def before(self, key: Hashable) -> int | None:
        """How many like it were not told before; None when this one is not to be, either."""
        now = self.clock()
        with self._lock:
            at, passed_over = self._seen.get(key, (-float("inf"), 0))
            if now - at < self.seconds:
                self._seen[key] = (at, passed_over + 1)
                return None
            # Put last, so that the first are those that are longest ago.
            self._seen.pop(key, None)
            self._seen[key] = (now, 0)
            if len(self._seen) > MOST_KEYS:
                del self._seen[next(iter(self._seen))]
            return passed_over
