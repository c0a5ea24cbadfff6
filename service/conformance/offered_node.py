"""What the node offers, asked of a node that is put together for it and never started."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from fastapi.routing import APIRoute

from dicom_nodes.audit.events import Node
from dicom_nodes.network.node_service import NodeService
from dicom_nodes.network.storage_scp import ListenOptions
from dicom_nodes.network.verification_scp import VERIFICATION
from service.audit.arrivals import ArrivalAudit
from service.audit.trail import NoTrail
from service.catalogue.database import Database, open_database
from service.catalogue.stored_bytes import StoredBytes, open_stored_bytes
from service.dicomweb.application import PATH, dicomweb_routers
from service.dicomweb.web_node import WebNode
from service.listening import listen_options
from service.offered_services import offered_services
from service.receive import reception_of
from service.settings import ProcedureStepSettings, Settings, StepSource


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource of DICOMweb: `service` is its name in PS3.18, `path` below the HTTP address."""

    service: str
    method: str
    path: str
    media_types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OfferedNode:
    """A node with the default settings, and with everything switched on that can be.

    Parameters
    ----------
    settings : Settings
        The defaults.
    listening : ListenOptions
        How it listens by them.
    services : tuple of NodeService
        All that can be offered beside storage, verification among them.
    off_by_default : frozenset of str
        Names of those services that the defaults leave out.
    resources : tuple of Resource
    """

    settings: Settings
    listening: ListenOptions
    services: tuple[NodeService, ...]
    off_by_default: frozenset[str]
    resources: tuple[Resource, ...]


def offered_node() -> OfferedNode:
    """Put a node together in a folder that is removed again, and ask it what it offers.

    Neither settings file nor environment count.
    """
    with TemporaryDirectory() as folder:
        defaults = Settings.model_construct(data_folder=Path(folder))
        database = open_database(defaults)
        try:
            return _asked(defaults, database, open_stored_bytes(defaults))
        finally:
            database.close()


def _asked(defaults: Settings, database: Database, stored: StoredBytes) -> OfferedNode:
    by_default = {each.name for each in offered_services(defaults, database, stored)}
    services = offered_services(_all_switched_on(defaults), database, stored)
    return OfferedNode(
        settings=defaults,
        listening=listen_options(defaults)[0],
        services=(VERIFICATION, *services),
        off_by_default=frozenset(each.name for each in services) - by_default,
        resources=_resources(defaults, database, stored),
    )


def _all_switched_on(settings: Settings) -> Settings:
    """The settings with `offered` set in every table that has it, and a subscription."""
    tables = {name: getattr(settings, name) for name in Settings.model_fields}
    manager = StepSource(
        name="manager",
        ae_title="MANAGER",
        address="localhost",
        port=104,
        worklist_label="WORKLIST",
        subscribe=True,
    )
    return settings.model_copy(
        update={
            name: table.model_copy(update={"offered": True})
            for name, table in tables.items()
            if hasattr(table, "offered")
        }
        | {"procedure_steps": ProcedureStepSettings(sources=(manager,))}
    )


class _NothingArrives:
    """The engine of a node to which nothing is sent."""

    def look_at_study_in(self, study_instance_uid: str, seconds: float) -> None:
        raise RuntimeError(f"study {study_instance_uid} arrived at a node that is not started")


def _resources(settings: Settings, database: Database, stored: StoredBytes) -> tuple[Resource, ...]:
    arrivals = ArrivalAudit(NoTrail(Node(settings.dicom.ae_title)))
    with reception_of(settings, "conformance", database, stored) as reception:
        routers = dicomweb_routers(
            WebNode(settings, database, stored, reception, _NothingArrives(), arrivals)
        )
    return tuple(
        Resource(
            service=", ".join(map(str, route.tags)),
            method=method,
            path=PATH + route.path,
            media_types=tuple(route.responses[200]["content"]),
        )
        for router in routers
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in sorted(route.methods or ())
    )
