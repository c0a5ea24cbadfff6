"""What the performed procedure steps of a study say of its completeness."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from dicom_nodes.network.mpps_scp import PerformedStep, StepState


class Standing(StrEnum):
    """What the steps of a study say together."""

    NOTHING = "nothing"
    WAITING = "waiting"
    COMPLETE = "complete"


@dataclass(frozen=True, slots=True)
class Performed:
    """What the steps say, and the words for it."""

    standing: Standing
    detail: str = ""


NOTHING_PERFORMED: Final = Performed(Standing.NOTHING)


def listed_instances(steps: Sequence[PerformedStep]) -> frozenset[str]:
    """The instances that completed steps list."""
    return frozenset(
        uid for each in steps if each.state is StepState.COMPLETED for uid in each.instances
    )


def performed(steps: Sequence[PerformedStep], received: Collection[str]) -> Performed:
    """Whether the steps prove the study complete, or that more is to come.

    Parameters
    ----------
    steps : sequence of PerformedStep
        Those of the study. A discontinued one says nothing: what came of it is
        measured when no more comes.
    received : collection of str
        Those of `listed_instances` that are here.

    Returns
    -------
    Performed
        COMPLETE when every step ended COMPLETED and all that they list is here;
        WAITING while one is in progress or something listed is missing; NOTHING
        without steps, or when they list nothing.
    """
    counted = [each for each in steps if each.state is not StepState.DISCONTINUED]
    running = [each for each in counted if each.state is StepState.IN_PROGRESS]
    if running:
        return Performed(Standing.WAITING, f"{_stations(running)} is still taking images")
    listed = listed_instances(counted)
    if not listed:
        return NOTHING_PERFORMED
    missing = len(listed - frozenset(received))
    if missing:
        return Performed(
            Standing.WAITING,
            f"{_stations(counted)} lists {len(listed)} instances, {missing} are not here yet",
        )
    return Performed(
        Standing.COMPLETE,
        f"{_stations(counted)} says COMPLETED, and all {len(listed)} instances that it lists "
        "are here",
    )


def _stations(steps: Sequence[PerformedStep]) -> str:
    return ", ".join(dict.fromkeys(each.station_ae_title or "the modality" for each in steps))
