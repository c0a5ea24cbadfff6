"""Modality Performed Procedure Step as SCP (PS3.4, annex F.7).

A modality creates a step as it begins, and sets it COMPLETED or DISCONTINUED as it
ends. What it says is kept before it is answered with success; an ended step never
changes again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum
from typing import Any, Final, Protocol

from pydicom.dataset import Dataset
from pynetdicom import evt

from dicom_nodes.network.node_service import NodeService
from dicom_nodes.objects.foreign_dataset import ForeignDataset
from dicom_nodes.objects.foreign_values import FOREIGN_VALUE_FAULTS
from dicom_nodes.objects.header import is_valid_uid
from processing.measurement import RejectedInput, TransientFault

MODALITY_PERFORMED_PROCEDURE_STEP: Final = "1.2.840.10008.3.1.2.3.3"
MOST_LISTED_INSTANCES: Final = 20_000
MOST_STUDIES: Final = 100
# PS3.4, table F.7.2-2: the step may no longer be updated.
MAY_NO_LONGER_BE_UPDATED: Final = 0xA501
_LONGEST_COMMENT: Final = 64


class StepState(StrEnum):
    """Performed Procedure Step Status (0040,0252)."""

    IN_PROGRESS = "IN PROGRESS"
    COMPLETED = "COMPLETED"
    DISCONTINUED = "DISCONTINUED"


class StepStatus(IntEnum):
    """Statuses of N-CREATE and N-SET (PS3.7, annex C)."""

    SUCCESS = 0x0000
    INVALID_VALUE = 0x0106
    PROCESSING_FAILURE = 0x0110
    DUPLICATE = 0x0111
    UNKNOWN = 0x0112
    INVALID_INSTANCE = 0x0117
    MISSING_ATTRIBUTE = 0x0120
    MISSING_VALUE = 0x0121
    RESOURCE_LIMITATION = 0x0213


@dataclass(frozen=True, slots=True)
class PerformedStep:
    """What a modality said of a step.

    Parameters
    ----------
    sop_instance_uid : str
    state : StepState
    study_instance_uids : tuple of str
        The studies that its images are in.
    accession_number, patient_id, patient_name, modality, description : str
    station_ae_title : str
        The modality.
    began, ended : str
        ``YYYYMMDDHHMMSS`` as the modality says, in its own zone; empty where unknown.
    reason : str
        Why it was discontinued.
    instances : tuple of str
        SOP Instance UIDs in its Performed Series Sequence.
    """

    sop_instance_uid: str
    state: StepState
    study_instance_uids: tuple[str, ...]
    accession_number: str = ""
    patient_id: str = ""
    patient_name: str = ""
    modality: str = ""
    description: str = ""
    station_ae_title: str = ""
    began: str = ""
    ended: str = ""
    reason: str = ""
    instances: tuple[str, ...] = ()


class Refusal(Exception):
    """A request that is answered with a failure."""

    def __init__(self, status: StepStatus, comment: str, error: int | None = None) -> None:
        super().__init__(comment)
        self.status = status
        self.comment = comment
        self.error = error


class PerformedSteps(Protocol):
    """Where steps are kept. Both methods return when what they did is durable."""

    def create(self, step: PerformedStep, calling_ae_title: str) -> bool:
        """Keep a new step; False when there is one with its UID.

        Raises
        ------
        TransientFault
            If it cannot be kept now.
        """

    def change(
        self, sop_instance_uid: str, change: Callable[[PerformedStep], PerformedStep]
    ) -> bool:
        """Keep what `change` makes of a step; False when there is none with this UID.

        Nobody else changes it meanwhile; an exception of `change` leaves it as it is.

        Raises
        ------
        TransientFault
            If it cannot be kept now.
        """


def performed_step_service(steps: PerformedSteps) -> NodeService:
    """The service class, to be offered beside storage."""

    def create(event: Any) -> tuple[Dataset, None]:
        return _answered(lambda: _create(event, steps))

    def change(event: Any) -> tuple[Dataset, None]:
        return _answered(lambda: _change(event, steps))

    return NodeService(
        name="mpps",
        sop_classes=(MODALITY_PERFORMED_PROCEDURE_STEP,),
        handlers={evt.EVT_N_CREATE: create, evt.EVT_N_SET: change},
    )


def new_step(sop_instance_uid: str, attributes: ForeignDataset) -> PerformedStep:
    """The step that an N-CREATE describes (PS3.4, section F.7.2.1).

    Raises
    ------
    Refusal
        If it does not begin IN PROGRESS, or names no study.
    RejectedInput
        If a value cannot be used.
    """
    if not attributes.has("PerformedProcedureStepStatus"):
        raise Refusal(StepStatus.MISSING_ATTRIBUTE, "Performed Procedure Step Status is missing")
    state = attributes.text("PerformedProcedureStepStatus")
    if state != StepState.IN_PROGRESS:
        raise Refusal(StepStatus.INVALID_VALUE, "a step begins IN PROGRESS")
    scheduled = attributes.items("ScheduledStepAttributesSequence")
    if not scheduled:
        raise Refusal(
            StepStatus.MISSING_ATTRIBUTE, "Scheduled Step Attributes Sequence is missing or empty"
        )
    studies = tuple(dict.fromkeys(each.text("StudyInstanceUID") for each in scheduled))
    if not all(studies):
        raise Refusal(StepStatus.MISSING_VALUE, "Study Instance UID is missing")
    if not all(map(is_valid_uid, studies)) or len(studies) > MOST_STUDIES:
        raise Refusal(StepStatus.INVALID_VALUE, "Study Instance UID is no valid UID")
    step = PerformedStep(
        sop_instance_uid=sop_instance_uid,
        state=StepState.IN_PROGRESS,
        study_instance_uids=studies,
        accession_number=scheduled[0].text("AccessionNumber"),
        patient_id=attributes.text("PatientID"),
        patient_name=attributes.text("PatientName"),
        modality=attributes.text("Modality"),
        station_ae_title=attributes.text("PerformedStationAETitle"),
        began=_moment(attributes, "PerformedProcedureStepStart"),
    )
    return _with_changes(step, attributes)


def changed_step(step: PerformedStep, changes: ForeignDataset) -> PerformedStep:
    """The step after an N-SET (PS3.4, section F.7.2.2).

    Only what may change is taken; patient and studies stay as they were created.

    Raises
    ------
    Refusal
        If the step has ended, or the new state is none.
    RejectedInput
        If a value cannot be used.
    """
    if step.state is not StepState.IN_PROGRESS:
        raise Refusal(
            StepStatus.PROCESSING_FAILURE,
            f"the step is {step.state} and may no longer be updated",
            MAY_NO_LONGER_BE_UPDATED,
        )
    changed = _with_changes(step, changes)
    if changes.has("PerformedProcedureStepStatus"):
        said = changes.text("PerformedProcedureStepStatus")
        try:
            changed = replace(changed, state=StepState(said))
        except ValueError:
            raise Refusal(
                StepStatus.INVALID_VALUE, "the status is IN PROGRESS, COMPLETED or DISCONTINUED"
            ) from None
    return changed


def _with_changes(step: PerformedStep, attributes: ForeignDataset) -> PerformedStep:
    """What both N-CREATE and N-SET may state; a sequence replaces the one before."""
    if attributes.has("PerformedProcedureStepDescription"):
        step = replace(step, description=attributes.text("PerformedProcedureStepDescription"))
    if attributes.has("PerformedProcedureStepEndDate"):
        step = replace(step, ended=_moment(attributes, "PerformedProcedureStepEnd"))
    codes = attributes.items("PerformedProcedureStepDiscontinuationReasonCodeSequence")
    if codes:
        step = replace(step, reason=codes[0].text("CodeMeaning"))
    if attributes.has("PerformedSeriesSequence"):
        instances = tuple(dict.fromkeys(_listed(attributes)))
        if len(instances) > MOST_LISTED_INSTANCES:
            raise RejectedInput(f"more than {MOST_LISTED_INSTANCES} instances are listed")
        step = replace(step, instances=instances)
    return step


def _listed(attributes: ForeignDataset) -> Iterator[str]:
    for series in attributes.items("PerformedSeriesSequence"):
        for sequence in (
            "ReferencedImageSequence",
            "ReferencedNonImageCompositeSOPInstanceSequence",
        ):
            for each in series.items(sequence):
                uid = each.text("ReferencedSOPInstanceUID")
                if not is_valid_uid(uid):
                    raise RejectedInput("Referenced SOP Instance UID is missing or no valid UID")
                yield uid


def _moment(attributes: ForeignDataset, keyword: str) -> str:
    date, time = attributes.text(f"{keyword}Date"), attributes.text(f"{keyword}Time")
    return (date + time.partition(".")[0])[:14]


def _create(event: Any, steps: PerformedSteps) -> None:
    uid = str(event.request.AffectedSOPInstanceUID or "")
    if not is_valid_uid(uid):
        raise Refusal(StepStatus.INVALID_INSTANCE, "Affected SOP Instance UID is missing or wrong")
    step = new_step(uid, _read(lambda: event.attribute_list))
    if not steps.create(step, _calling_ae_title(event)):
        raise Refusal(StepStatus.DUPLICATE, "there is a step with this SOP Instance UID")


def _change(event: Any, steps: PerformedSteps) -> None:
    uid = str(event.request.RequestedSOPInstanceUID or "")
    changes = _read(lambda: event.modification_list)
    if not steps.change(uid, lambda step: changed_step(step, changes)):
        raise Refusal(StepStatus.UNKNOWN, "there is no step with this SOP Instance UID")


def _calling_ae_title(event: Any) -> str:
    return str(event.assoc.requestor.ae_title or "").strip()[:16]


def _answered(do: Callable[[], None]) -> tuple[Dataset, None]:
    answer = Dataset()
    answer.Status = int(StepStatus.SUCCESS)
    try:
        do()
    except Refusal as refusal:
        _refuse(answer, refusal.status, refusal.comment)
        if refusal.error is not None:
            answer.ErrorID = refusal.error
    except RejectedInput as rejection:
        _refuse(answer, StepStatus.INVALID_VALUE, str(rejection))
    except TransientFault as fault:
        _refuse(answer, StepStatus.RESOURCE_LIMITATION, str(fault))
    return answer, None


def _read(attributes: Callable[[], Dataset]) -> ForeignDataset:
    try:
        return ForeignDataset.of(attributes())
    except FOREIGN_VALUE_FAULTS as fault:
        raise Refusal(StepStatus.PROCESSING_FAILURE, "the data set cannot be read") from fault


def _refuse(answer: Dataset, status: StepStatus, comment: str) -> None:
    answer.Status = int(status)
    # Error Comment is of VR LO in the default character set (PS3.7, section 9.3 and annex C).
    text = comment.encode("ascii", "replace").decode("ascii").replace("\\", "/")
    answer.ErrorComment = text[:_LONGEST_COMMENT]
