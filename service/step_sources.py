"""From the settings to those who manage Unified Procedure Steps."""

from __future__ import annotations

from dicom_nodes.network.procedure_step_scu import DimseStepSource
from dicom_nodes.network.procedure_step_source import ProcedureStepSource
from dicom_nodes.web.procedure_step_client import WebStepSource
from processing.measurement import PermanentFault
from service.peers import peer_of
from service.settings import Settings, StepSource
from service.settings import WebStepSource as WebStepSourceSettings


def worklists(settings: Settings) -> dict[str, str]:
    """The name of each source, and the worklist whose steps the node claims there."""
    chosen = settings.procedure_steps
    by_web = {each.name: each.worklist_label for each in chosen.web_sources}
    return by_web | {each.name: each.worklist_label for each in chosen.sources}


def web_step_source(chosen: WebStepSourceSettings) -> WebStepSource:
    """A server of the settings, as it is asked."""
    return WebStepSource(
        chosen.name, chosen.url, chosen.token, chosen.authorities, chosen.events_url
    )


def dimse_step_source(settings: Settings, chosen: StepSource) -> DimseStepSource:
    """A peer of the settings, as it is asked."""
    return DimseStepSource(peer_of(chosen, settings.dicom.ae_title))


def step_source(settings: Settings, name: str) -> ProcedureStepSource:
    """The source of this name.

    Raises
    ------
    PermanentFault
        If the settings name no such source.
    """
    chosen = settings.procedure_steps
    for web in chosen.web_sources:
        if web.name == name:
            return web_step_source(web)
    for entity in chosen.sources:
        if entity.name == name:
            return dimse_step_source(settings, entity)
    known = ", ".join(map(repr, worklists(settings))) or "none"
    raise PermanentFault(
        f"there is no source of procedure steps {name!r} in the settings (known: {known}); "
        "add it under [procedure_steps]"
    )
