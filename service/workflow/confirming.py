"""Making sure that a destination holds a result: by storage commitment, or else by C-FIND."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from dicom_nodes.network.query_scu import find_instances
from processing.measurement import TransientFault
from service.catalogue import results
from service.peers import destination_named, peer_of
from service.web_peers import web_destination
from service.workflow.committing import NotTold, by_commitment
from service.workflow.delivery import Attempt, DeliveryState, outcome
from service.workflow.web_delivering import confirm_at_web

# An archive may take a while until it lists what it took.
PATIENCE: Final = timedelta(minutes=5)


def confirm(attempt: Attempt) -> dict[str, str]:
    """Make sure that the destination holds the result; gives the state and its reason."""
    web = web_destination(attempt.settings, attempt.destination)
    if web is not None:
        return confirm_at_web(attempt, web, PATIENCE)
    how = destination_named(attempt.settings, attempt.destination).confirm
    if how == "none":
        answer = outcome(DeliveryState.DELIVERED, "answered each C-STORE with success; not asked")
    elif how == "query":
        answer = _by_query(attempt, None)
    else:
        told = by_commitment(attempt)
        if not isinstance(told, NotTold):
            answer = told
        elif how == "best":
            answer = _by_query(attempt, told)
        else:
            answer = outcome(DeliveryState.PARKED, f"{attempt.destination} {told.why}")
    if answer["state"] == DeliveryState.DELIVERED:
        results.record_confirmation(
            attempt.database, attempt.result.key, attempt.destination, answer["reason"]
        )
    return answer


def _by_query(attempt: Attempt, not_told: NotTold | None) -> dict[str, str]:
    """Ask by C-FIND; `not_told` is why storage commitment was of no use."""
    held = _held(attempt)
    wanted = {each.sop_instance_uid for each in attempt.result.objects}
    remark = f"; {not_told.why}" if not_told else ""
    is_last_try = datetime.now(UTC) - _since(attempt, not_told) > PATIENCE
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
    return outcome(DeliveryState.DELIVERED, confirmation + remark)


def _since(attempt: Attempt, not_told: NotTold | None) -> datetime:
    """Since when the destination could list the result, as far as it was asked to."""
    sent = attempt.sent()
    moments = [each for each in (sent and sent.delivered_at, not_told and not_told.since) if each]
    return max(moments, default=datetime.now(UTC))


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
            held = find_instances(peer, attempt.result.study_of_objects, series, uids)
        except TransientFault as fault:
            return fault
        if held is None:
            return None
        found |= held
    return frozenset(found)
