"""Which service classes the node offers beside storage and verification."""

from __future__ import annotations

from dicom_nodes.network.node_service import NodeService
from service.catalogue.database import Database
from service.catalogue.stored_bytes import StoredBytes
from service.settings import Settings


def offered_services(
    settings: Settings, database: Database, stored: StoredBytes
) -> tuple[NodeService, ...]:
    """Those that the settings switch on, each with what it answers from."""
    return ()
