"""Unified Procedure Steps (PS3.3, annex B.26; PS3.4, annex CC), read and written.

What a performer sends are the attributes that PS3.4, table CC.2.5-3, asks of it: to
claim, to tell progress, and for the final state.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum
from itertools import groupby
from typing import Final

from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from dicom_nodes.objects.character_sets import without_controls
from dicom_nodes.objects.foreign_values import FOREIGN_VALUE_FAULTS, foreign_values
from dicom_nodes.objects.header import is_valid_uid
from processing.measurement import RejectedInput

PROCEDURE_STEP_PUSH: Final = "1.2.840.10008.5.1.4.34.6.1"
PROCEDURE_STEP_WATCH: Final = "1.2.840.10008.5.1.4.34.6.2"
PROCEDURE_STEP_PULL: Final = "1.2.840.10008.5.1.4.34.6.3"
PROCEDURE_STEP_EVENT: Final = "1.2.840.10008.5.1.4.34.6.4"
# Well-known instances that stand for all steps of a manager, and for a chosen part.
ALL_STEPS: Final = "1.2.840.10008.5.1.4.34.5"
FILTERED_STEPS: Final = "1.2.840.10008.5.1.4.34.5.1"

_MOST_INPUTS: Final = 10_000
_LONGEST_TEXT: Final = 500
_LONGEST_CODE: Final = 64
_DISCONTINUED: Final = Code("110513", "DCM", "Discontinued for unspecified reason")


class StepState(StrEnum):
    """Procedure Step State (0074,1000); see PS3.4, section CC.1.1."""

    SCHEDULED = "SCHEDULED"
    IN_PROGRESS = "IN PROGRESS"
    COMPLETED = "COMPLETED"
    CANCELED = "CANCELED"


@dataclass(frozen=True, slots=True)
class InstanceReference:
    """An instance that goes into a step, or comes out of it."""

    study_instance_uid: str
    series_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class ProcedureStep:
    """A step as its manager tells it; what it does not tell is empty.

    `station` and `workitem` are the code values of Scheduled Station Name and of
    Scheduled Workitem.
    """

    uid: str
    state: StepState
    label: str
    worklist_label: str
    station: str
    workitem: str
    patient_id: str
    inputs: tuple[InstanceReference, ...]


class EventType(IntEnum):
    """Event Type IDs of PS3.4, table CC.2.4-1."""

    STATE = 1
    CANCEL_REQUESTED = 2
    PROGRESS = 3
    MANAGER_STATUS = 4
    ASSIGNED = 5


@dataclass(frozen=True, slots=True)
class StepEvent:
    """What a manager reports of a step; what it does not tell is empty.

    `reason` and `code` (value, scheme and meaning) are those of a cancel.
    """

    uid: str
    event_type: EventType
    state: str = ""
    reason: str = ""
    code: tuple[str, str, str] | None = None


@dataclass(frozen=True, slots=True)
class PatientOfStep:
    """Whom a step is about, and under which order."""

    patient_id: str
    issuer: str
    name: str
    birth_date: str
    sex: str
    accession_number: str


def procedure_step_of(dataset: Dataset, uid: str) -> ProcedureStep:
    """Read a step.

    Raises
    ------
    RejectedInput
        If its state is none of the standard's, or a reference in it is no valid UID.
    """
    try:
        with foreign_values():
            state = StepState(_text(dataset, "ProcedureStepState"))
            inputs = tuple(_inputs(dataset))
            return ProcedureStep(
                uid=uid,
                state=state,
                label=_text(dataset, "ProcedureStepLabel"),
                worklist_label=_text(dataset, "WorklistLabel"),
                station=_code_value(dataset, "ScheduledStationNameCodeSequence"),
                workitem=_code_value(dataset, "ScheduledWorkitemCodeSequence"),
                patient_id=_text(dataset, "PatientID"),
                inputs=inputs,
            )
    except FOREIGN_VALUE_FAULTS as fault:
        raise RejectedInput(
            f"The Unified Procedure Step {uid} cannot be read: correct it at its manager."
        ) from fault


def step_event_of(event_type: int, uid: str, attributes: Dataset) -> StepEvent:
    """Read an event report (PS3.4, section CC.2.4).

    Raises
    ------
    RejectedInput
        If it is of no type that the standard knows, about no step, or cannot be read.
    """
    if not is_valid_uid(uid):
        raise RejectedInput("The report names no valid SOP Instance UID: correct it.")
    try:
        with foreign_values():
            return StepEvent(
                uid=uid,
                event_type=EventType(event_type),
                state=_text(attributes, "ProcedureStepState"),
                reason=_text(attributes, "ReasonForCancellation"),
                code=_code(attributes, "ProcedureStepDiscontinuationReasonCodeSequence"),
            )
    except FOREIGN_VALUE_FAULTS as fault:
        raise RejectedInput(
            f"The report on the Unified Procedure Step {uid} cannot be read: correct it."
        ) from fault


def subscription(receiving_ae_title: str, worklist_label: str | None) -> Dataset:
    """What subscribes to the reports on all steps, or on those of one worklist.

    See PS3.4, table CC.2.3-1.
    """
    asked = Dataset()
    asked.ReceivingAE = receiving_ae_title
    asked.DeletionLock = "FALSE"
    if worklist_label is not None:
        asked.WorklistLabel = worklist_label
    return asked


def step_keys(worklist_label: str | None) -> Dataset:
    """The identifier of a query for scheduled steps (PS3.4, table CC.2.5-3)."""
    keys = Dataset()
    keys.ProcedureStepState = StepState.SCHEDULED.value
    keys.WorklistLabel = worklist_label or ""
    keys.ProcedureStepLabel = ""
    keys.ScheduledStationNameCodeSequence = []
    keys.ScheduledWorkitemCodeSequence = []
    keys.PatientID = ""
    keys.InputInformationSequence = []
    return keys


def state_change(state: StepState, transaction_uid: str) -> Dataset:
    """What changes the state of a step that the transaction holds (PS3.4, table CC.2.1-1)."""
    change = Dataset()
    change.ProcedureStepState = state.value
    change.TransactionUID = transaction_uid
    return change


def progress(text: str, percent: int) -> Dataset:
    """How far a step has come."""
    item = Dataset()
    item.ProcedureStepProgress = str(percent)
    item.ProcedureStepProgressDescription = text[:1024]
    change = Dataset()
    change.ProcedureStepProgressInformationSequence = [item]
    return change


def performed(
    began_at: datetime, ended_at: datetime, station: str, outputs: Sequence[InstanceReference]
) -> Dataset:
    """What was done and what came of it: needed before a step can be COMPLETED.

    Parameters
    ----------
    began_at, ended_at : datetime
    station : str
        AE title of the node; also where the outputs can be retrieved from.
    outputs : sequence of InstanceReference
    """
    item = Dataset()
    item.PerformedStationNameCodeSequence = [_coded(Code(station, "99HEMIFACE", station))]
    item.PerformedWorkitemCodeSequence = [_coded(codes.cid9231.ImageProcessing)]
    item.PerformedProcedureStepStartDateTime = _moment(began_at)
    item.PerformedProcedureStepEndDateTime = _moment(ended_at)
    item.PerformedProcedureStepDescription = "Facial symmetry measured"
    item.OutputInformationSequence = _references(outputs, station)
    change = Dataset()
    change.UnifiedProcedureStepPerformedProcedureSequence = [item]
    return change


def canceled(reason: str, at: datetime, code: tuple[str, str, str] | None = None) -> Dataset:
    """Why a step was given up: needed before it can be CANCELED.

    Parameters
    ----------
    reason : str
    at : datetime
    code : tuple of str, optional
        Value, scheme and meaning of the discontinuation reason, where somebody has
        proposed one (PS3.4, section CC.2.2.3).
    """
    item = Dataset()
    item.ProcedureStepCancellationDateTime = _moment(at)
    item.ReasonForCancellation = reason[:1024]
    item.ProcedureStepDiscontinuationReasonCodeSequence = [
        _coded(_DISCONTINUED if code is None else Code(*code))
    ]
    change = Dataset()
    change.ProcedureStepProgressInformationSequence = [item]
    return change


def review_step(
    uid: str,
    patient: PatientOfStep,
    objects: Sequence[InstanceReference],
    *,
    label: str,
    worklist_label: str,
    retrieve_ae_title: str,
    scheduled_at: datetime,
) -> Dataset:
    """A new step in which a person looks at a result and verifies it.

    Parameters
    ----------
    uid : str
        SOP Instance UID of the step.
    patient : PatientOfStep
    objects : sequence of InstanceReference
        The report and its pictures.
    label, worklist_label : str
        Procedure Step Label and Worklist Label.
    retrieve_ae_title : str
        Where the objects can be retrieved from.
    scheduled_at : datetime
    """
    step = Dataset()
    step.SpecificCharacterSet = "ISO_IR 192"
    step.SOPClassUID = PROCEDURE_STEP_PUSH
    step.SOPInstanceUID = uid
    step.TransactionUID = ""
    step.ScheduledProcedureStepPriority = "MEDIUM"
    step.ScheduledProcedureStepModificationDateTime = _moment(scheduled_at)
    step.ProcedureStepLabel = label[:64]
    step.WorklistLabel = worklist_label[:64]
    step.ScheduledProcessingParametersSequence = []
    step.ScheduledStationNameCodeSequence = []
    step.ScheduledStationClassCodeSequence = []
    step.ScheduledStationGeographicLocationCodeSequence = []
    step.ScheduledProcedureStepStartDateTime = _moment(scheduled_at)
    step.ScheduledWorkitemCodeSequence = [_coded(codes.cid9231.ReportVerification)]
    step.InputReadinessState = "READY"
    step.InputInformationSequence = _references(objects, retrieve_ae_title)
    step.PatientName = patient.name
    step.PatientID = patient.patient_id
    if patient.issuer:
        step.IssuerOfPatientID = patient.issuer
    step.PatientBirthDate = patient.birth_date
    step.PatientSex = patient.sex
    step.AdmissionID = ""
    step.AdmittingDiagnosesDescription = ""
    step.ReferencedRequestSequence = []
    if patient.accession_number:
        step.ReferencedRequestSequence = [_request(objects, patient.accession_number)]
    step.ProcedureStepState = StepState.SCHEDULED.value
    step.ProcedureStepProgressInformationSequence = []
    step.UnifiedProcedureStepPerformedProcedureSequence = []
    return step


def _inputs(dataset: Dataset) -> Iterable[InstanceReference]:
    found = 0
    for series in dataset.get("InputInformationSequence") or ():
        for each in series.get("ReferencedSOPSequence") or ():
            found += 1
            reference = InstanceReference(
                _uid(series, "StudyInstanceUID"),
                _uid(series, "SeriesInstanceUID"),
                _uid(each, "ReferencedSOPClassUID"),
                _uid(each, "ReferencedSOPInstanceUID"),
            )
            if found > _MOST_INPUTS:
                raise ValueError("more inputs than can be sensible")
            yield reference


def _references(objects: Sequence[InstanceReference], ae_title: str) -> list[Dataset]:
    """One item a series, as in table CC.2.5-2c of PS3.4."""

    def series_of(each: InstanceReference) -> tuple[str, str]:
        return each.study_instance_uid, each.series_instance_uid

    items = []
    for (study, series), of_series in groupby(sorted(objects, key=series_of), key=series_of):
        item = Dataset()
        item.TypeOfInstances = "DICOM"
        item.StudyInstanceUID = study
        item.SeriesInstanceUID = series
        item.ReferencedSOPSequence = [_reference(each) for each in of_series]
        retrieval = Dataset()
        retrieval.RetrieveAETitle = ae_title
        item.DICOMRetrievalSequence = [retrieval]
        items.append(item)
    return items


def _reference(each: InstanceReference) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = each.sop_class_uid
    item.ReferencedSOPInstanceUID = each.sop_instance_uid
    return item


def _request(objects: Sequence[InstanceReference], accession_number: str) -> Dataset:
    item = Dataset()
    item.StudyInstanceUID = objects[0].study_instance_uid
    item.AccessionNumber = accession_number[:16]
    item.RequestedProcedureID = ""
    item.RequestedProcedureDescription = ""
    item.RequestedProcedureCodeSequence = []
    return item


def _coded(code: Code) -> Dataset:
    item = Dataset()
    item.CodeValue = code.value
    item.CodingSchemeDesignator = code.scheme_designator
    item.CodeMeaning = code.meaning
    return item


def _moment(moment: datetime) -> str:
    return f"{moment:%Y%m%d%H%M%S%z}"


def _text(dataset: Dataset, keyword: str) -> str:
    value = dataset.get(keyword)
    return "" if value is None else without_controls(str(value)).strip()[:_LONGEST_TEXT]


def _uid(dataset: Dataset, keyword: str) -> str:
    value = _text(dataset, keyword)
    if not is_valid_uid(value):
        raise ValueError(f"{keyword} is no valid UID")
    return value


def _code_value(dataset: Dataset, keyword: str) -> str:
    items = list(dataset.get(keyword) or ())
    return _text(items[0], "CodeValue") if items else ""


def _code(dataset: Dataset, keyword: str) -> tuple[str, str, str] | None:
    for item in dataset.get(keyword) or ():
        value, scheme, meaning = (
            _text(item, each)[:_LONGEST_CODE]
            for each in ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")
        )
        return (value[:16], scheme[:16], meaning) if value and scheme else None
    return None
