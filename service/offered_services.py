"""Which service classes the node offers beside storage and verification."""

from __future__ import annotations

from datetime import timedelta

from dicom_nodes.network.mpps_scp import performed_step_service
from dicom_nodes.network.node_service import NodeService
from dicom_nodes.network.procedure_step_events import procedure_step_events
from dicom_nodes.network.storage_commitment_scp import storage_commitment
from service.catalogue.database import Database
from service.catalogue.performed_steps import KeptSteps
from service.catalogue.stored_bytes import StoredBytes
from service.commitment import Commitments
from service.query_retrieve import query_retrieve_services
from service.settings import Settings
from service.step_reports import StepReports, is_subscribed


def offered_services(
    settings: Settings, database: Database, stored: StoredBytes
) -> tuple[NodeService, ...]:
    """Those that the settings switch on, each with what it answers from."""
    offered: list[NodeService] = []
    if settings.performed_steps.offered:
        keep = timedelta(days=settings.performed_steps.keep_days)
        offered.append(performed_step_service(KeptSteps(database, keep)))
    if settings.commitment.offered:
        offered.append(storage_commitment(Commitments(settings, database, stored)))
    if settings.query.offered:
        offered += query_retrieve_services(settings, database, stored)
    if is_subscribed(settings):
        offered.append(procedure_step_events(StepReports(settings, database).take_from_peer))
    return tuple(offered)
