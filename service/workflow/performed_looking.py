"""Looking at the studies that modalities told of."""

from __future__ import annotations

from typing import Final, Protocol

from service.catalogue.database import Database
from service.catalogue.performed_steps import (
    catalogued_among,
    mark_looked_at,
    steps_of_studies,
    steps_to_look_at,
)
from service.catalogue.studies import arrived_among
from service.settings import Settings
from service.workflow.completion import SETTLE_SECONDS
from service.workflow.performed_steps import (
    NOTHING_PERFORMED,
    Performed,
    Standing,
    listed_instances,
    performed,
)

_AT_ONCE: Final = 100


class LookingEngine(Protocol):
    """What is asked of the workflow engine; see `service.workflow.engine.EngineClient`."""

    def look_at_study_in(self, study_instance_uid: str, seconds: float) -> None:
        """Have the study completed in so many seconds; a later call moves the moment."""


def performed_of_study(database: Database, study_instance_uid: str) -> Performed:
    """What the performed procedure steps of a study say now."""
    kept = steps_of_studies(database, [study_instance_uid]).get(study_instance_uid)
    if not kept:
        return NOTHING_PERFORMED
    steps = [each.step for each in kept]
    return performed(steps, catalogued_among(database, listed_instances(steps)))


def wait_seconds(settings: Settings, database: Database, study_instance_uid: str) -> float:
    """How long a study waits for more: the hard maximum while a modality says that it comes."""
    said = performed_of_study(database, study_instance_uid)
    match said.standing:
        case Standing.WAITING:
            return settings.completion.maximum_seconds
        case Standing.COMPLETE:
            return min(SETTLE_SECONDS, settings.completion.quiet_seconds)
        case Standing.NOTHING:
            return settings.completion.quiet_seconds


def look_at_told_steps(settings: Settings, database: Database, engine: LookingEngine) -> int:
    """Have the studies looked at whose steps changed; gives how many steps these were.

    The engine is told before the steps are marked: a crash between the two only
    means that they are looked at again.
    """
    told = steps_to_look_at(database, _AT_ONCE)
    if not told:
        return 0
    uids = {uid for each in told for uid in each.study_instance_uids}
    # A study that has no image yet is looked at when the first one comes.
    for uid in sorted(arrived_among(database, uids)):
        engine.look_at_study_in(uid, wait_seconds(settings, database, uid))
    mark_looked_at(database, told)
    return len(told)
