"""Delivering to a DICOMweb server: sent by STOW-RS, confirmed by QIDO-RS."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from dicom_nodes.network.storage_scu import SendOutcome
from dicom_nodes.web.qido_client import find_instances
from dicom_nodes.web.stow_client import store_files
from dicom_nodes.web.web_peer import WebPeer
from processing.measurement import TransientFault
from service.catalogue import results
from service.workflow.delivery import Attempt, DeliveryState, opened_files, outcome


def send_to_web(attempt: Attempt, peer: WebPeer) -> tuple[SendOutcome, ...]:
    """Send all objects of a result in one request."""
    with opened_files(attempt, attempt.result.objects) as files:
        return store_files(peer, files)


def confirm_at_web(attempt: Attempt, peer: WebPeer, patience: timedelta) -> dict[str, str]:
    """Make sure that a server lists the result; gives the state and its reason.

    Raises
    ------
    PermanentFault
        If the server refuses to be asked for good.
    """
    wanted = {each.sop_instance_uid for each in attempt.result.objects}
    try:
        held = _held(attempt, peer)
    except TransientFault as fault:
        return outcome(DeliveryState.WAITING, str(fault))
    if wanted <= held:
        confirmation = f"QIDO-RS lists all {len(wanted)} objects"
        results.record_confirmation(
            attempt.database, attempt.result.key, attempt.destination, confirmation
        )
        return outcome(DeliveryState.DELIVERED, confirmation)
    sent = attempt.sent()
    is_last_try = sent is not None and datetime.now(UTC) - sent.delivered_at > patience
    return outcome(
        DeliveryState.PARKED if is_last_try else DeliveryState.WAITING,
        f"{attempt.destination} took the result but lists only "
        f"{len(wanted & held)} of its {len(wanted)} objects",
    )


def _held(attempt: Attempt, peer: WebPeer) -> set[str]:
    found: set[str] = set()
    for series in sorted({each.series_instance_uid for each in attempt.result.objects}):
        uids = [
            each.sop_instance_uid
            for each in attempt.result.objects
            if each.series_instance_uid == series
        ]
        found |= find_instances(peer, attempt.result.study_of_objects, series, uids)
    return found
