"""Which order each study belongs to, by what, and what that changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from dicom_nodes.network.worklist_scu import ScheduledStep
from service.catalogue.database import Database
from service.catalogue.models import Series, Study, StudyOrder
from service.catalogue.studies import insert_into, record_names
from service.catalogue.worklist import step_as_json, step_of
from service.worklist.matching import Outcome


@dataclass(frozen=True, slots=True)
class RecordedOrder:
    """What came of looking for a study's order.

    Parameters
    ----------
    key : str
        Of study, order and correction; the same decision has the same key.
    outcome, found_by, reason : str
        As in `service.worklist.matching.Match`.
    correction : str
        A `service.worklist.correction.CorrectionKind`.
    step : ScheduledStep, optional
        The order that was found, taken or not.
    decided_at : datetime
        When it was decided first.
    """

    key: str
    outcome: str
    found_by: str | None
    reason: str
    correction: str
    step: ScheduledStep | None
    decided_at: datetime


def record_order_of_study(
    database: Database, study_instance_uid: str, order: RecordedOrder
) -> None:
    """Keep what came of looking for a study's order; deciding the same again changes nothing."""
    now = datetime.now(UTC)
    with database.sessions.begin() as session:
        study = session.scalar(
            sa.select(Study.id).where(Study.study_instance_uid == study_instance_uid)
        )
        row = session.scalar(
            sa.select(StudyOrder).where(StudyOrder.study_row == study, StudyOrder.key == order.key)
        )
        if row is None:
            row = StudyOrder(study_row=study, key=order.key, first_decided_at=order.decided_at)
            session.add(row)
        row.outcome, row.found_by = order.outcome, order.found_by
        row.reason, row.correction = order.reason, order.correction
        row.step = step_as_json(order.step) if order.step is not None else None
        row.order_study_uid = order.step.study_instance_uid if order.step is not None else None
        row.decided_at = now


def orders_of_studies(
    database: Database, study_instance_uids: Sequence[str]
) -> dict[str, RecordedOrder]:
    """What was decided last of each study, by Study Instance UID."""
    query = (
        sa.select(Study.study_instance_uid, StudyOrder)
        .join(Study, StudyOrder.study_row == Study.id)
        .where(Study.study_instance_uid.in_(study_instance_uids))
        .order_by(StudyOrder.decided_at, StudyOrder.id)
    )
    with database.sessions() as session:
        return {uid: _recorded(row) for uid, row in session.execute(query)}


def order_of_study(database: Database, study_instance_uid: str) -> RecordedOrder | None:
    """What was decided last of a study."""
    return orders_of_studies(database, [study_instance_uid]).get(study_instance_uid)


def studies_of_orders(database: Database, order_study_uids: Sequence[str]) -> dict[str, list[str]]:
    """The studies that were put to orders, by the Study Instance UID of the order."""
    query = (
        sa.select(StudyOrder.order_study_uid, Study.study_instance_uid)
        .join(Study, StudyOrder.study_row == Study.id)
        .where(
            StudyOrder.order_study_uid.in_(order_study_uids), StudyOrder.outcome == Outcome.MATCHED
        )
        .order_by(StudyOrder.id)
    )
    found: dict[str, list[str]] = {}
    with database.sessions() as session:
        for order, study in session.execute(query):
            studies = found.setdefault(str(order), [])
            if study not in studies:
                studies.append(study)
    return found


def open_study_of_order(database: Database, study_instance_uid: str, step: ScheduledStep) -> None:
    """Have the order's study in the catalogue, for what is put into it; once is enough."""
    now = datetime.now(UTC)
    with database.sessions.begin() as session:
        received = session.scalars(
            sa.select(Study).where(Study.study_instance_uid == study_instance_uid)
        ).one()
        row = session.scalar(
            insert_into(session, Study)
            .values(
                study_instance_uid=step.study_instance_uid,
                patient_row=received.patient_row,
                patient_name=step.patient_name or received.patient_name,
                accession_number=step.accession_number,
                study_date=received.study_date,
                study_time=received.study_time,
                study_id=step.procedure_id or received.study_id,
                referring_physician=step.referring_physician_name or received.referring_physician,
                description=received.description,
                priority=step.priority,
                first_arrival=now,
                last_arrival=now,
            )
            .on_conflict_do_nothing()
            .returning(Study.id)
        )
        if row is not None:
            record_names(session, row, step.patient_name or received.patient_name)


def series_of_study(database: Database, study_instance_uid: str) -> list[str]:
    """Series Instance UIDs of a study."""
    query = sa.select(Series.series_instance_uid).join(Study, Series.study_row == Study.id)
    with database.sessions() as session:
        return list(session.scalars(query.where(Study.study_instance_uid == study_instance_uid)))


def _recorded(row: StudyOrder) -> RecordedOrder:
    return RecordedOrder(
        key=row.key,
        outcome=row.outcome,
        found_by=row.found_by,
        reason=row.reason,
        correction=row.correction,
        step=step_of(row.step) if row.step is not None else None,
        decided_at=row.first_decided_at,
    )
