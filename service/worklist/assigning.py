"""Finding the order of a study in the catalogue, and keeping what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from dicom_nodes.network.worklist_scu import ScheduledStep
from service.catalogue import orders, worklist
from service.catalogue.database import Database
from service.catalogue.studies import KnownStudy
from service.settings import Settings
from service.worklist.arrived import arrived_study
from service.worklist.correction import CorrectionKind, correction_for, decision_key
from service.worklist.matching import ArrivedStudy, Match, Outcome, match


@dataclass(frozen=True, slots=True)
class Ordered:
    """What an order means for the work on a study.

    Parameters
    ----------
    priority : str
        Requested Procedure Priority (0040,1003) of the order.
    key : str
        Of what the order changes; empty where it changes nothing. The same inputs
        under another order make another result.
    """

    priority: str = ""
    key: str = ""


NOT_ORDERED: Final = Ordered()


def assign(database: Database, settings: Settings, study: KnownStudy) -> Ordered:
    """Find the order of a study, and keep what came of it.

    An order that was found before is kept in view after it has left the worklist,
    as it does once it is performed.
    """
    found = look_for_order(database, study)
    if found is None:
        return NOT_ORDERED
    arrived, matched = found
    correction = correction_for(arrived, matched, settings.worklist.put_under_order)
    recorded = orders.RecordedOrder(
        key=decision_key(study.study_instance_uid, matched, correction),
        outcome=matched.outcome,
        found_by=matched.by,
        reason=matched.reason,
        correction=correction,
        step=matched.step,
        decided_at=datetime.now(UTC),
    )
    orders.record_order_of_study(database, study.study_instance_uid, recorded)
    return _ordered(recorded)


def look_for_order(database: Database, study: KnownStudy) -> tuple[ArrivedStudy, Match] | None:
    """What would come of looking for a study's order now; None where there is nothing to ask."""
    arrived = arrived_study(study)
    former = orders.order_of_study(database, study.study_instance_uid)
    if arrived is None or (former is None and not worklist.has_items(database)):
        return None
    steps = worklist.candidates(
        database,
        study.study_instance_uid,
        arrived.accession_numbers,
        [each.patient_id for each in arrived.patients],
    )
    return arrived, match(arrived, _with_former(steps, former))


def ordered(database: Database, study_instance_uid: str) -> Ordered:
    """What was decided last of a study's order."""
    recorded = orders.order_of_study(database, study_instance_uid)
    return _ordered(recorded) if recorded is not None else NOT_ORDERED


def _with_former(
    steps: list[ScheduledStep], former: orders.RecordedOrder | None
) -> list[ScheduledStep]:
    if former is None or former.outcome != Outcome.MATCHED or former.step is None:
        return steps
    known = {(each.study_instance_uid, each.accession_number) for each in steps}
    order = (former.step.study_instance_uid, former.step.accession_number)
    return steps if order in known else [*steps, former.step]


def _ordered(recorded: orders.RecordedOrder) -> Ordered:
    is_matched = recorded.outcome == Outcome.MATCHED and recorded.step is not None
    return Ordered(
        priority=recorded.step.priority if is_matched and recorded.step is not None else "",
        key=recorded.key if recorded.correction != CorrectionKind.NONE else "",
    )
