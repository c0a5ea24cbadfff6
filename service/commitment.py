"""Storage commitment from the catalogue: what the node answers to, and takes from, its peers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import structlog

from dicom_nodes.network.storage_commitment import (
    CommitmentReport,
    CommitmentRequest,
    Failed,
    FailureReason,
    Reference,
)
from processing.measurement import PermanentFault, RejectedInput
from service.catalogue import commitment_requests, result_commitments, results
from service.catalogue.database import Database
from service.catalogue.stored_bytes import StoredBytes
from service.peers import application_entity
from service.settings import Settings

# After this the workflow engine reports, whatever became of the association.
_SAME_ASSOCIATION: Final = timedelta(seconds=10)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Commitments:
    """The node's book of requests and reports; see `CommitmentBook` of the network."""

    settings: Settings
    database: Database
    stored: StoredBytes

    def record(self, request: CommitmentRequest, calling_ae_title: str) -> int:
        """Make a request durable before it is answered; gives its number.

        Raises
        ------
        PermanentFault
            If the settings do not say where the peer can be reported to.
        RejectedInput, TransientFault
            As `service.catalogue.commitment_requests.record_request`.
        """
        if application_entity(self.settings, calling_ae_title) is None:
            raise PermanentFault(f"{calling_ae_title!r} is not in [[peers]]: report where?")
        references = [(each.sop_class_uid, each.sop_instance_uid) for each in request.references]
        return commitment_requests.record_request(
            self.database,
            calling_ae_title,
            request.transaction_uid,
            references,
            _SAME_ASSOCIATION,
        )

    def report_on(self, number: int) -> CommitmentReport:
        """What is held of what a request asks for, by catalogue and bytes.

        Raises
        ------
        PermanentFault
            If there is no such request.
        TransientFault
            If the bytes cannot be looked at now.
        """
        request = commitment_requests.request_of(self.database, number)
        if request is None:
            raise PermanentFault(f"request {number} for commitment is not in the catalogue")
        uids = list(dict.fromkeys(uid for _, uid in request.references))
        held = commitment_requests.held_instances(self.database, uids)
        committed: list[Reference] = []
        failed: list[Failed] = []
        for sop_class, uid in dict.fromkeys(request.references):
            reason = self._why_not(held.get(uid), sop_class)
            if reason is None:
                committed.append(Reference(sop_class, uid))
            else:
                failed.append(Failed(Reference(sop_class, uid), reason))
        return CommitmentReport(request.transaction_uid, tuple(committed), tuple(failed))

    def reported(self, number: int) -> None:
        """The peer has got its report."""
        commitment_requests.record_reported(self.database, number)

    def report_elsewhere(self, number: int) -> None:
        """Leave the report to the workflow engine, now."""
        commitment_requests.make_due(self.database, number)

    def take(self, report: CommitmentReport, calling_ae_title: str) -> None:
        """Make durable what an archive reports on a result.

        Raises
        ------
        RejectedInput
            If the node did not ask for it.
        TransientFault
            If the database did not take it.
        """
        found = result_commitments.commitment_by_transaction(self.database, report.transaction_uid)
        if found is None:
            raise RejectedInput("Transaction UID is of no request of this node")
        commitment, result = found
        failures = _failures(result, report)
        result_commitments.record_report(self.database, report.transaction_uid, failures)
        if not failures:
            confirmation = committed_text(len(result.objects))
            results.record_confirmation(
                self.database, result.key, commitment.destination, confirmation
            )
            return
        log.warning(
            "an archive did not commit itself",
            destination=commitment.destination,
            reported_by=calling_ae_title,
            objects=len(failures),
            reason=next(iter(failures.values())),
        )

    def _why_not(
        self, held: commitment_requests.HeldInstance | None, sop_class_uid: str
    ) -> FailureReason | None:
        if held is None:
            return FailureReason.NO_SUCH_OBJECT_INSTANCE
        if held.sop_class_uid != sop_class_uid:
            return FailureReason.CLASS_INSTANCE_CONFLICT
        size = self.stored.size_bytes(held.key)
        if size == held.size_bytes:
            return None
        log.error(
            "bytes of an instance are gone or cut short: restore them from a backup",
            key=held.key,
            expected_bytes=held.size_bytes,
            found_bytes=size,
        )
        if size is None:
            return FailureReason.NO_SUCH_OBJECT_INSTANCE
        return FailureReason.PROCESSING_FAILURE


def committed_text(objects: int) -> str:
    """How it is told that a destination has committed itself to a result."""
    return f"storage commitment for all {objects} objects"


def _failures(result: results.MadeResult, report: CommitmentReport) -> dict[str, str]:
    """Objects of a result that are not committed, and why."""
    committed = {(each.sop_class_uid, each.sop_instance_uid) for each in report.committed}
    reasons = {each.reference.sop_instance_uid: each.text for each in report.failed}
    return {
        each.sop_instance_uid: reasons.get(each.sop_instance_uid, "the report does not name it")
        for each in result.objects
        if each.sop_instance_uid in reasons
        or (each.sop_class_uid, each.sop_instance_uid) not in committed
    }
