"""What can become of an attempt to deliver, and what every part of a delivery works on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from processing.measurement import PermanentFault
from service.catalogue import results
from service.catalogue.database import Database
from service.catalogue.stored_bytes import StoredBytes
from service.settings import Settings


class DeliveryState(StrEnum):
    """What became of an attempt to deliver."""

    DELIVERED = "delivered"
    WAITING = "waiting"
    PARKED = "parked"


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt to have a result at a destination, and confirmed there."""

    settings: Settings
    database: Database
    stored: StoredBytes
    result: results.MadeResult
    destination: str

    def sent(self) -> results.Sent | None:
        """That the destination took all objects of the result, or None."""
        deliveries = results.deliveries_of_study(self.database, self.result.study_instance_uid)
        for each in deliveries:
            if each.result_key == self.result.key and each.destination == self.destination:
                return each
        return None


def attempt_of(
    settings: Settings, database: Database, stored: StoredBytes, key: str, destination: str
) -> Attempt:
    """The attempt to deliver the result with this content key.

    Raises
    ------
    PermanentFault
        If the catalogue has no such result.
    """
    result = results.result_by_key(database, key)
    if result is None:
        raise PermanentFault(f"result {key} is not in the catalogue")
    return Attempt(settings, database, stored, result, destination)


@contextmanager
def opened_files(attempt: Attempt, objects: Iterable[results.MadeObject]) -> Iterator[list[Path]]:
    """The files of objects of the result, in their order."""
    with ExitStack() as stack:
        yield [stack.enter_context(attempt.stored.as_file(each.key)) for each in objects]


def outcome(state: DeliveryState, reason: str = "") -> dict[str, str]:
    """An outcome in the form that the engine records."""
    return {"state": state, "reason": reason}
