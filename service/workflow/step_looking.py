"""Looking for Unified Procedure Steps that wait for the node."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from processing.measurement import PermanentFault, TransientFault
from service.settings import Settings
from service.step_sources import step_source, worklists

log = structlog.get_logger()


def look_for_steps(
    settings: Settings, perform: Callable[[str, str], None], stopped: threading.Event
) -> None:
    """Ask every source again and again; `perform` is told source and UID of each step found."""
    if not worklists(settings):
        return
    while not stopped.is_set():
        for name, worklist_label in worklists(settings).items():
            _look_once(settings, name, worklist_label, perform)
        stopped.wait(settings.procedure_steps.poll_seconds)


def _look_once(
    settings: Settings, name: str, worklist_label: str, perform: Callable[[str, str], None]
) -> None:
    try:
        for uid in step_source(settings, name).scheduled(worklist_label):
            perform(name, uid)
    except (TransientFault, PermanentFault) as fault:
        log.warning("no procedure steps can be asked for", source=name, reason=str(fault))
