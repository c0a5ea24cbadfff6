"""Sending a result to a destination."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from dicom_nodes.network.storage_scu import Fault, send_files
from service.catalogue import results
from service.peers import destination_named, peer_of
from service.workflow.committing import uncommitted
from service.workflow.delivery import Attempt, DeliveryState, outcome


def deliver(attempt: Attempt) -> dict[str, str]:
    """Send what is not there yet of a result; gives the state and its reason."""
    if attempt.sent() is not None:
        return outcome(DeliveryState.DELIVERED)
    destination = destination_named(attempt.settings, attempt.destination)
    with _files(attempt) as files:
        sent = send_files(peer_of(destination, attempt.settings.dicom.ae_title), files)
    refused = [each for each in sent if not each.accepted]
    if not refused:
        results.record_delivery(attempt.database, attempt.result.key, attempt.destination)
        return outcome(DeliveryState.DELIVERED)
    parked = [each for each in refused if each.fault is Fault.PERMANENT]
    state = DeliveryState.PARKED if parked else DeliveryState.WAITING
    return outcome(state, (parked or refused)[0].reason)


@contextmanager
def _files(attempt: Attempt) -> Iterator[list[Path]]:
    with ExitStack() as stack:
        yield [
            stack.enter_context(attempt.stored.as_file(each.key)) for each in uncommitted(attempt)
        ]
