"""Asking a destination to commit itself to a result (PS3.4, annex J), and its report."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import uuid4

from dicom_nodes.network.peer import ContextsRefused
from dicom_nodes.network.storage_commitment import CommitmentRequest, Reference
from dicom_nodes.network.storage_commitment_scu import request_commitment
from processing.measurement import PermanentFault, TransientFault
from service.catalogue import results
from service.catalogue.result_commitments import (
    Commitment,
    commitments_of,
    record_accepted,
    record_asking,
    record_given_up,
)
from service.commitment import Commitments, committed_text
from service.peers import destination_named, peer_of
from service.workflow.delivery import Attempt, DeliveryState, outcome

# So often a result is sent before a person has to look at it.
_MOST_SENDINGS: Final = 3


@dataclass(frozen=True, slots=True)
class NotTold:
    """Storage commitment does not tell, why, and since when."""

    why: str
    since: datetime


def by_commitment(attempt: Attempt) -> dict[str, str] | NotTold:
    """How a result stands by storage commitment: an outcome, or why that does not tell.

    Run again and again it asks once, then looks whether the report has come, on
    whichever association and to whichever process of the node.
    """
    asked = _asked(attempt)
    sent = attempt.sent()
    if not asked or _is_to_be_asked_again(attempt, asked[-1], sent):
        if sent is None:
            return outcome(DeliveryState.WAITING, "it is sent again")
        not_asked = _ask(attempt, sent)
        if not_asked is not None:
            return not_asked
        asked = _asked(attempt)
    return _verdict(attempt, asked)


def uncommitted(attempt: Attempt) -> tuple[results.MadeObject, ...]:
    """The objects of a result that the destination has not committed itself to so far."""
    asked = _asked(attempt)
    if not asked or not asked[-1].has_failed:
        return attempt.result.objects
    failures = asked[-1].failures
    return tuple(each for each in attempt.result.objects if each.sop_instance_uid in failures)


def _verdict(attempt: Attempt, asked: list[Commitment]) -> dict[str, str] | NotTold:
    latest = asked[-1]
    if any(each.is_committed for each in asked):
        return outcome(DeliveryState.DELIVERED, committed_text(len(attempt.result.objects)))
    if latest.has_failed:
        return _send_again(attempt, latest, sum(each.has_failed for each in asked))
    timeout = timedelta(seconds=attempt.settings.delivery.commitment_timeout_seconds)
    if latest.given_up is not None:
        return NotTold(latest.given_up, latest.requested_at)
    if datetime.now(UTC) - latest.requested_at <= timeout:
        return outcome(
            DeliveryState.WAITING, f"{attempt.destination} has not reported on the commitment yet"
        )
    why = f"gave no report on storage commitment within {timeout.total_seconds():g} s"
    record_given_up(attempt.database, latest.transaction_uid, why)
    return NotTold(why, latest.requested_at + timeout)


def _ask(attempt: Attempt, sent: results.Sent) -> dict[str, str] | NotTold | None:
    """Ask, and wait a moment for the report; None when the destination was asked."""
    settings, database = attempt.settings, attempt.database
    destination = destination_named(settings, attempt.destination)
    request = CommitmentRequest(
        f"2.25.{uuid4().int}",
        tuple(
            Reference(each.sop_class_uid, each.sop_instance_uid) for each in attempt.result.objects
        ),
    )
    record_asking(database, request.transaction_uid, attempt.result.key, attempt.destination)
    try:
        request_commitment(
            peer_of(destination, settings.dicom.ae_title),
            request,
            Commitments(settings, database, attempt.stored).take,
            is_reported=lambda: _asked(attempt)[-1].reported_at is not None,
            wait_seconds=settings.delivery.commitment_wait_seconds,
        )
    except ContextsRefused:
        why = "offers no storage commitment"
    except PermanentFault as fault:
        why = f"was asked for storage commitment and refused: {fault}"
    except TransientFault as fault:
        timeout = timedelta(seconds=settings.delivery.commitment_timeout_seconds)
        if datetime.now(UTC) - sent.delivered_at <= timeout:
            return outcome(DeliveryState.WAITING, str(fault))
        why = f"cannot be asked for storage commitment: {fault}"
    else:
        record_accepted(database, request.transaction_uid)
        return None
    record_given_up(database, request.transaction_uid, why)
    return NotTold(why, datetime.now(UTC))


def _send_again(attempt: Attempt, latest: Commitment, times: int) -> dict[str, str]:
    """Have what was not committed sent again, or parked after so many times."""
    results.withdraw_delivery(attempt.database, attempt.result.key, attempt.destination)
    reason = (
        f"{attempt.destination} has not committed itself to {len(latest.failures)} of "
        f"{len(attempt.result.objects)} objects ({next(iter(latest.failures.values()))})"
    )
    if times >= _MOST_SENDINGS:
        return outcome(DeliveryState.PARKED, f"{reason}, although they were sent {times} times")
    return outcome(DeliveryState.WAITING, f"{reason}; they are sent again")


def _is_to_be_asked_again(attempt: Attempt, latest: Commitment, sent: results.Sent | None) -> bool:
    if latest.reported_at is not None:
        # What failed was sent again since.
        return latest.has_failed and sent is not None and sent.delivered_at > latest.reported_at
    if latest.given_up is not None:
        # Without another way to confirm, a person has had it delivered once more.
        return destination_named(attempt.settings, attempt.destination).confirm == "commitment"
    return latest.accepted_at is None


def _asked(attempt: Attempt) -> list[Commitment]:
    return commitments_of(attempt.database, attempt.result.key, attempt.destination)
