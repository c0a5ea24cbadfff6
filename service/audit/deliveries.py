"""What was sent to destinations, a record for each attempt (PS3.15, A.5.3.7)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from dicom_nodes.audit.events import AuditedStudy, Node, transferred
from service.audit.trail import Trail
from service.catalogue.patients import patient_of_study
from service.workflow.delivery import Attempt


@dataclass(frozen=True, slots=True)
class DeliveryAudit:
    """Records the outcome of attempts to deliver."""

    trail: Trail

    def sent(self, attempt: Attempt, failure: str) -> None:
        """Record an attempt; `failure` says why not all was taken, and is empty if it was."""
        result = attempt.result
        patient = patient_of_study(attempt.database, result.study_instance_uid)
        study = AuditedStudy(
            result.study_instance_uid,
            patient.patient_id if patient else "",
            patient.patient_name if patient else "",
            Counter(each.sop_class_uid for each in result.objects),
        )
        destination = _destination(attempt)
        self.trail.record(transferred(self.trail.node, destination, study, failure))


def _destination(attempt: Attempt) -> Node:
    for each in attempt.settings.delivery.destinations:
        if each.name == attempt.destination:
            return Node(each.ae_title, each.address)
    return Node(attempt.destination, is_ae=False)
