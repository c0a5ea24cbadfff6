"""What a match may change: nothing, the results alone, or a copy of what was received."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from dicom_nodes.network.worklist_scu import ScheduledStep
from dicom_nodes.objects.content_keyed_uids import content_key
from dicom_nodes.objects.corrected_copy import OrderIdentifiers
from service.worklist.matching import ArrivedStudy, Match, Outcome


class CorrectionKind(StrEnum):
    """What is done with a study that was matched to an order."""

    NONE = "none"
    RESULTS = "results"
    COPIES = "copies"


def correction_for(
    study: ArrivedStudy, match: Match, chosen: Literal["off", "results", "copies"]
) -> CorrectionKind:
    """What is done with a study, as the settings choose.

    A study that names its own accession number belongs to an order already: nothing
    is changed. A study that lies in the order's study needs no copies.
    """
    if chosen == "off" or match.outcome is not Outcome.MATCHED or match.step is None:
        return CorrectionKind.NONE
    if study.accession_numbers:
        return CorrectionKind.NONE
    is_in_its_study = study.study_instance_uid == match.step.study_instance_uid
    if is_in_its_study and not match.step.accession_number:
        return CorrectionKind.NONE
    if is_in_its_study or chosen == "results":
        return CorrectionKind.RESULTS
    return CorrectionKind.COPIES


def decision_key(study_instance_uid: str, match: Match, correction: CorrectionKind) -> str:
    """Key of a decision: which study, which order, what is changed."""
    step = match.step
    named = [study_instance_uid, match.outcome]
    if step is not None:
        named += [f"study {step.study_instance_uid}", f"accession {step.accession_number}"]
    else:
        named.append(match.reason)
    return content_key(named, "order", "1", correction)


def identifiers(step: ScheduledStep, correction: CorrectionKind) -> OrderIdentifiers:
    """What the objects of an order carry.

    The patient's data are written as the order has them only where the objects go
    into the order's study: elsewhere they stay as those beside them. IHE's Scheduled
    Workflow has the Requested Procedure ID as Study ID (RAD TF-2, appendix A).
    """
    values = {
        "AccessionNumber": step.accession_number,
        "ReferringPhysicianName": step.referring_physician_name,
    }
    if correction is CorrectionKind.COPIES:
        values |= {
            "PatientName": step.patient_name,
            "IssuerOfPatientID": step.issuer,
            "PatientBirthDate": step.birth_date,
            "PatientSex": step.sex,
            "StudyID": step.procedure_id,
        }
    return OrderIdentifiers(
        study_instance_uid=step.study_instance_uid,
        values=values,
        request={
            "AccessionNumber": step.accession_number,
            "RequestedProcedureID": step.procedure_id,
            "RequestedProcedureDescription": step.procedure_description,
            "ScheduledProcedureStepID": step.step_id,
            "ScheduledProcedureStepDescription": step.step_description,
        },
    )
