"""Basic Worklist Management as SCU (PS3.4, annex K): asks which procedures are scheduled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import product
from typing import Final

from pydicom.dataset import Dataset
from pynetdicom.association import Association
from pynetdicom.presentation import build_context

from dicom_nodes.network.peer import Peer, association_with
from dicom_nodes.network.sent_query import SentQuery, as_sent
from dicom_nodes.objects.foreign_dataset import ForeignDataset
from dicom_nodes.objects.header import is_valid_uid
from processing.measurement import PermanentFault, RejectedInput, TransientFault

MODALITY_WORKLIST_FIND: Final = "1.2.840.10008.5.1.4.31"
MOST_ANSWERS: Final = 5000
_MOST_REASONS: Final = 20
_PENDING: Final = (0xFF00, 0xFF01)

# Return keys (PS3.4, table K.6-1): all of type 1 and 2 that are used here, and the issuer.
_STEP_KEYS: Final = (
    "ScheduledStationAETitle",
    "ScheduledStationName",
    "ScheduledProcedureStepStartDate",
    "ScheduledProcedureStepStartTime",
    "ScheduledProcedureStepDescription",
    "ScheduledProcedureStepID",
    "Modality",
)
_KEYS: Final = (
    "AccessionNumber",
    "ReferringPhysicianName",
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "RequestedProcedureDescription",
    "RequestedProcedureID",
    "RequestedProcedurePriority",
)


@dataclass(frozen=True, slots=True)
class WorklistQuery:
    """Which scheduled procedure steps to ask for; no station or no modality means any.

    Parameters
    ----------
    first_day, last_day : date
        Of the scheduled start, both included.
    modalities, stations : tuple of str
        Modalities and Scheduled Station AE Titles.
    """

    first_day: date
    last_day: date
    modalities: tuple[str, ...] = ()
    stations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ScheduledStep:
    """A scheduled procedure step with its requested procedure, order and patient.

    Texts are in Unicode, and empty where the worklist does not say; `start_date` is
    ``YYYYMMDD``, `start_time` ``HHMMSS``, names ``Family^Given=...``.
    """

    study_instance_uid: str
    step_id: str
    patient_id: str
    issuer: str = ""
    patient_name: str = ""
    birth_date: str = ""
    sex: str = ""
    accession_number: str = ""
    referring_physician_name: str = ""
    procedure_id: str = ""
    procedure_description: str = ""
    priority: str = ""
    step_description: str = ""
    modality: str = ""
    station_ae_title: str = ""
    station_name: str = ""
    start_date: str = ""
    start_time: str = ""


@dataclass(frozen=True, slots=True)
class WorklistAnswer:
    """What a worklist answered; `rejected` says of some items why they cannot be used."""

    steps: tuple[ScheduledStep, ...]
    rejected: tuple[str, ...] = ()


def find_scheduled(
    peer: Peer, query: WorklistQuery, tell: Callable[[SentQuery], None] = lambda _sent: None
) -> WorklistAnswer:
    """Ask a worklist for scheduled procedure steps.

    Each station and modality is asked for on its own, since neither attribute may
    be matched by a list (PS3.4, section C.2.2.2).

    Parameters
    ----------
    peer : Peer
    query : WorklistQuery
    tell : callable
        Told of each C-FIND before it is sent.

    Raises
    ------
    TransientFault, PermanentFault
        If the peer cannot be asked, answers with a failure, or with more than
        `MOST_ANSWERS`.
    """
    found: dict[tuple[str, str], ScheduledStep] = {}
    rejected: list[str] = []
    with association_with(peer, [build_context(MODALITY_WORKLIST_FIND)]) as association:
        for modality, station in product(query.modalities or ("",), query.stations or ("",)):
            keys = worklist_identifier(query, modality, station)
            tell(as_sent(association, keys))
            for identifier in _find(peer, association, keys):
                try:
                    for step in scheduled_steps(identifier):
                        found.setdefault((step.study_instance_uid, step.step_id), step)
                except RejectedInput as rejection:
                    rejected.append(str(rejection))
                if len(found) + len(rejected) > MOST_ANSWERS:
                    raise PermanentFault(
                        f"{peer} answers with more than {MOST_ANSWERS} scheduled steps; ask for "
                        "fewer days, or for certain stations and modalities"
                    )
    return WorklistAnswer(tuple(found.values()), tuple(rejected[:_MOST_REASONS]))


def scheduled_steps(identifier: Dataset) -> Iterator[ScheduledStep]:
    """The steps in one item of a worklist.

    Raises
    ------
    RejectedInput
        If it names no patient or no valid Study Instance UID, or a value cannot
        be used; the message names the step where it can.
    """
    item = ForeignDataset.of(identifier)
    steps = item.items("ScheduledProcedureStepSequence")
    if not steps:
        raise RejectedInput("an item has no Scheduled Procedure Step Sequence")
    for step in steps:
        step_id = step.text("ScheduledProcedureStepID")
        try:
            yield _scheduled_step(item, step, step_id)
        except RejectedInput as rejection:
            raise RejectedInput(f"scheduled step {step_id or 'without ID'}: {rejection}") from None


def _scheduled_step(item: ForeignDataset, step: ForeignDataset, step_id: str) -> ScheduledStep:
    study_instance_uid = item.text("StudyInstanceUID")
    if not is_valid_uid(study_instance_uid):
        raise RejectedInput("Study Instance UID is missing or no valid UID")
    patient_id = item.text("PatientID")
    if not patient_id:
        raise RejectedInput("Patient ID is missing")
    return ScheduledStep(
        study_instance_uid=study_instance_uid,
        step_id=step_id,
        patient_id=patient_id,
        issuer=item.text("IssuerOfPatientID"),
        patient_name=item.text("PatientName"),
        birth_date=item.text("PatientBirthDate")[:8],
        sex=item.text("PatientSex")[:16],
        accession_number=item.text("AccessionNumber"),
        referring_physician_name=item.text("ReferringPhysicianName"),
        procedure_id=item.text("RequestedProcedureID"),
        procedure_description=item.text("RequestedProcedureDescription"),
        priority=item.text("RequestedProcedurePriority")[:16],
        step_description=step.text("ScheduledProcedureStepDescription"),
        modality=step.text("Modality")[:16],
        station_ae_title=step.text("ScheduledStationAETitle"),
        station_name=step.text("ScheduledStationName"),
        start_date=step.text("ScheduledProcedureStepStartDate")[:8],
        start_time=step.text("ScheduledProcedureStepStartTime").partition(".")[0][:6],
    )


def worklist_identifier(query: WorklistQuery, modality: str, station: str) -> Dataset:
    """The identifier of one C-FIND: keys with a value are matched, the others returned.

    An empty modality or station means any.
    """
    step = Dataset()
    for keyword in _STEP_KEYS:
        setattr(step, keyword, "")
    step.Modality = modality
    step.ScheduledStationAETitle = station
    step.ScheduledProcedureStepStartDate = f"{query.first_day:%Y%m%d}-{query.last_day:%Y%m%d}"
    identifier = Dataset()
    for keyword in _KEYS:
        setattr(identifier, keyword, "")
    # The answers may be in any character set; the keys are in ASCII.
    identifier.SpecificCharacterSet = "ISO_IR 192"
    identifier.ScheduledProcedureStepSequence = [step]
    return identifier


def _find(peer: Peer, association: Association, identifier: Dataset) -> Iterator[Dataset]:
    for status, answer in association.send_c_find(identifier, MODALITY_WORKLIST_FIND):
        if "Status" not in status:
            raise TransientFault(
                f"{peer} ended the association, or did not answer the worklist query; "
                f"does it allow {peer.own_ae_title} to query?"
            )
        if status.Status in _PENDING:
            if answer is not None:
                yield answer
        elif status.Status != 0x0000:
            text = f"{peer} answered the worklist query with 0x{status.Status:04X}"
            if status.Status >> 8 == 0xA7:
                raise TransientFault(f"{text}, out of resources")
            raise PermanentFault(text)
