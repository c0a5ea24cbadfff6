"""How many connections an address may open in a second."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

# Addresses that are remembered; more are forgotten, the longest silent first.
MOST_ADDRESSES: Final = 10_000
_SECONDS_AT_ONCE: Final = 2


@dataclass(slots=True)
class ArrivalRate:
    """A bucket of allowances for each address, which fills at a constant rate.

    Parameters
    ----------
    per_second : float
        Allowances that come in a second; 0 for no limit.
    clock : callable
        Gives seconds that never go back.
    """

    per_second: float
    clock: Callable[[], float] = time.monotonic
    _left: dict[str, tuple[float, float]] = field(default_factory=dict)

    def allows(self, address: str) -> bool:
        """Take an allowance of `address`; False when none is left."""
        if not self.per_second:
            return True
        now = self.clock()
        most = max(self.per_second * _SECONDS_AT_ONCE, 1.0)
        left, since = self._left.pop(address, (most, now))
        left = min(most, left + (now - since) * self.per_second)
        is_allowed = left >= 1
        # Put last, so that the first ones are those that were silent longest.
        self._left[address] = (left - 1 if is_allowed else left, now)
        if len(self._left) > MOST_ADDRESSES:
            del self._left[next(iter(self._left))]
        return is_allowed
