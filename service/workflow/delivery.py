"""What can become of an attempt to deliver."""

from __future__ import annotations

from enum import StrEnum


class DeliveryState(StrEnum):
    """What became of an attempt to deliver."""

    DELIVERED = "delivered"
    WAITING = "waiting"
    PARKED = "parked"
