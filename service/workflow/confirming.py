"""Asking a destination whether it holds a result."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from dicom_nodes.network.query_scu import find_instances
from processing.measurement import TransientFault
from service.catalogue import results
from service.peers import destination_named, peer_of
from service.workflow.delivery import Attempt, DeliveryState, outcome

# An archive may take a while until it lists what it took.
PATIENCE: Final = timedelta(minutes=5)


def confirm(attempt: Attempt) -> dict[str, str]:
    """Ask the destination whether it holds the result; gives the state and its reason."""
    held = _held(attempt)
    wanted = {each.sop_instance_uid for each in attempt.result.objects}
    sent = attempt.sent()
    is_last_try = sent is not None and datetime.now(UTC) - sent.delivered_at > PATIENCE
    if isinstance(held, TransientFault):
        if not is_last_try:
            return outcome(DeliveryState.WAITING, str(held))
        confirmation = f"answered each C-STORE with success; cannot be asked ({held})"
    elif held is None:
        confirmation = "answered each C-STORE with success; offers no C-FIND"
    elif wanted <= held:
        confirmation = f"C-FIND lists all {len(wanted)} objects"
    else:
        return outcome(
            DeliveryState.PARKED if is_last_try else DeliveryState.WAITING,
            f"{attempt.destination} took the result but lists only "
            f"{len(wanted & held)} of its {len(wanted)} objects",
        )
    results.record_confirmation(
        attempt.database, attempt.result.key, attempt.destination, confirmation
    )
    return outcome(DeliveryState.DELIVERED, confirmation)


def _held(attempt: Attempt) -> frozenset[str] | TransientFault | None:
    """What the destination holds of a result; None where it cannot be asked."""
    destination = destination_named(attempt.settings, attempt.destination)
    peer = peer_of(destination, attempt.settings.dicom.ae_title)
    found: set[str] = set()
    for series in sorted({each.series_instance_uid for each in attempt.result.objects}):
        uids = [
            each.sop_instance_uid
            for each in attempt.result.objects
            if each.series_instance_uid == series
        ]
        try:
            held = find_instances(peer, attempt.result.study_instance_uid, series, uids)
        except TransientFault as fault:
            return fault
        if held is None:
            return None
        found |= held
    return frozenset(found)
