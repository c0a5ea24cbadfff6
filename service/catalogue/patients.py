"""Whose a study is."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from service.catalogue.database import Database
from service.catalogue.models import Patient, Study


@dataclass(frozen=True, slots=True)
class PatientOfStudy:
    """Patient ID, and the name as the study says it."""

    patient_id: str
    patient_name: str


def patient_of_study(database: Database, study_instance_uid: str) -> PatientOfStudy | None:
    """The patient of a study; None when the catalogue does not know the study."""
    query = (
        sa.select(Patient.patient_id, Study.patient_name)
        .join(Study, Study.patient_row == Patient.id)
        .where(Study.study_instance_uid == study_instance_uid)
    )
    with database.sessions() as session:
        found = session.execute(query).one_or_none()
    return None if found is None else PatientOfStudy(*found)
