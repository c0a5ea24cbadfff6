"""Sending a result to a destination."""

from __future__ import annotations

from dicom_nodes.network.storage_scu import Fault, SendOutcome, send_files
from service.catalogue import results
from service.peers import destination_named, peer_of
from service.web_peers import web_destination
from service.workflow.committing import uncommitted
from service.workflow.delivery import Attempt, DeliveryState, opened_files, outcome
from service.workflow.web_delivering import send_to_web


def deliver(attempt: Attempt) -> dict[str, str]:
    """Send what is not there yet of a result; gives the state and its reason."""
    if attempt.sent() is not None:
        return outcome(DeliveryState.DELIVERED)
    web = web_destination(attempt.settings, attempt.destination)
    sent = _sent(attempt) if web is None else send_to_web(attempt, web)
    refused = [each for each in sent if not each.accepted]
    if not refused:
        results.record_delivery(attempt.database, attempt.result.key, attempt.destination)
        return outcome(DeliveryState.DELIVERED)
    parked = [each for each in refused if each.fault is Fault.PERMANENT]
    state = DeliveryState.PARKED if parked else DeliveryState.WAITING
    return outcome(state, (parked or refused)[0].reason)


def _sent(attempt: Attempt) -> tuple[SendOutcome, ...]:
    destination = destination_named(attempt.settings, attempt.destination)
    with opened_files(attempt, uncommitted(attempt)) as files:
        return send_files(peer_of(destination, attempt.settings.dicom.ae_title), files)
