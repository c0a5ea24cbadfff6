"""What the answers of DICOMweb are made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from service.audit.arrivals import ArrivalAudit
from service.catalogue.database import Database
from service.catalogue.stored_bytes import StoredBytes
from service.receive import Reception
from service.settings import Settings


class Completing(Protocol):
    """What is asked of the engine; see `service.workflow.engine.EngineClient`."""

    def look_at_study_in(self, study_instance_uid: str, seconds: float) -> None:
        """Have the study completed in so many seconds."""


@dataclass(frozen=True, slots=True)
class WebNode:
    """The node as DICOMweb sees it; `database` is for reading, `reception` for what comes.

    `arrivals` counts what comes for the audit trail.
    """

    settings: Settings
    database: Database
    stored: StoredBytes
    reception: Reception
    engine: Completing
    arrivals: ArrivalAudit
