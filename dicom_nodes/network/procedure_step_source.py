"""What a performer asks of whoever manages Unified Procedure Steps, over whichever service.

IHE AI Workflow for Imaging calls these: create (RAD-80), query (RAD-81), claim (RAD-82),
get (RAD-83), update (RAD-84) and complete (RAD-85).
"""

from __future__ import annotations

from typing import Protocol

from pydicom.dataset import Dataset

from dicom_nodes.objects.procedure_step import ProcedureStep, StepState, progress, state_change
from processing.measurement import PermanentFault


class StepConflict(PermanentFault):
    """The request does not fit the state of the step, or the transaction does not hold it."""


class StepTaken(PermanentFault):
    """Somebody else has claimed the step, or it is over."""


class ProcedureStepSource(Protocol):
    """Where steps are managed.

    Every method raises TransientFault where the manager does not answer, and
    PermanentFault where it refuses; `StepConflict` is such a refusal.
    """

    def scheduled(self, worklist_label: str | None) -> list[str]:
        """SOP Instance UIDs of the steps that wait."""

    def get(self, uid: str) -> ProcedureStep:
        """A step."""

    def change_state(self, uid: str, change: Dataset) -> None:
        """Change the state of a step, by `procedure_step.state_change`."""

    def update(self, uid: str, transaction_uid: str, changes: Dataset) -> None:
        """Set attributes of a step that the transaction holds."""

    def create(self, uid: str, step: Dataset) -> None:
        """Make a step; nothing happens when there is one with this UID."""


def claim(source: ProcedureStepSource, uid: str, transaction_uid: str) -> None:
    """Claim a step; may be done again with the same transaction, as after a crash.

    Raises
    ------
    StepTaken
        If the step is another's, or over.
    """
    try:
        source.change_state(uid, state_change(StepState.IN_PROGRESS, transaction_uid))
    except StepConflict:
        state = source.get(uid).state
        if state is not StepState.IN_PROGRESS:
            raise StepTaken(f"step {uid} is {state}") from None
        try:
            # The transaction is told to nobody: only its owner can do this.
            source.update(uid, transaction_uid, progress("claimed", 0))
        except StepConflict:
            raise StepTaken(f"step {uid} is somebody else's") from None


def finish(
    source: ProcedureStepSource, uid: str, transaction_uid: str, state: StepState, last: Dataset
) -> None:
    """Bring a claimed step to its final state; may be done again.

    Parameters
    ----------
    source : ProcedureStepSource
    uid, transaction_uid : str
    state : StepState
        COMPLETED or CANCELED.
    last : Dataset
        What the final state needs: `procedure_step.performed` or `canceled`.

    Raises
    ------
    StepConflict
        If it is not the transaction's any more, or something is missing.
    """
    try:
        source.update(uid, transaction_uid, last)
        source.change_state(uid, state_change(state, transaction_uid))
    except StepConflict:
        if source.get(uid).state is not state:
            raise
