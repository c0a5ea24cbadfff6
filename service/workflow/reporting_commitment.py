"""Reporting to peers what the node holds of what they asked it to commit itself to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import structlog

from dicom_nodes.network.storage_commitment_scp import send_report
from processing.measurement import PermanentFault, TransientFault
from service.catalogue import commitment_requests
from service.catalogue.database import Database
from service.catalogue.stored_bytes import StoredBytes
from service.commitment import Commitments
from service.peers import application_entity
from service.settings import Settings
from service.workflow.delivery import DeliveryState, outcome
from service.workflow.engine import EngineClient

log = structlog.get_logger()


def hand_over(database: Database, engine: EngineClient) -> None:
    """Tell the engine which reports are due; it is told before that is noted."""
    due = commitment_requests.due_requests(database)
    for each in due:
        engine.report_commitment(each.number, each.received_at)
    if due:
        commitment_requests.handed_over(database, due)


def report_commitment(
    settings: Settings, database: Database, stored: StoredBytes, number: int
) -> dict[str, str]:
    """Report on a request over a new association; gives the state and its reason."""
    request = commitment_requests.request_of(database, number)
    if request is None or request.is_reported:
        return outcome(DeliveryState.DELIVERED, "reported before")
    try:
        peer = application_entity(settings, request.calling_ae_title)
        if peer is None:
            raise PermanentFault(
                f"{request.calling_ae_title!r} asked for storage commitment but is no longer in "
                "the settings: add it under [[peers]], and have it ask again"
            )
        book = Commitments(settings, database, stored)
        send_report(peer, book.report_on(number))
        book.reported(number)
    except TransientFault as fault:
        days = settings.commitment.give_up_days
        if datetime.now(UTC) - request.received_at <= timedelta(days=days):
            return outcome(DeliveryState.WAITING, str(fault))
        return _given_up(database, number, f"given up after {days:g} days: {fault}")
    except PermanentFault as fault:
        return _given_up(database, number, str(fault))
    return outcome(DeliveryState.DELIVERED, f"reported to {peer}")


def _given_up(database: Database, number: int, reason: str) -> dict[str, str]:
    commitment_requests.give_up(database, number, reason)
    log.error("a report on storage commitment could not be sent", reason=reason)
    return outcome(DeliveryState.PARKED, reason)
