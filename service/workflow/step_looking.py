"""Looking for Unified Procedure Steps that wait for the node.

Each source is asked again and again, and at once when it has reported that a step
waits. Of reports that are lost nothing depends but the time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

import structlog

from processing.measurement import PermanentFault, TransientFault
from service.catalogue import step_events
from service.catalogue.database import DATABASE_FAULTS, Database
from service.settings import Settings
from service.step_reports import is_subscribed
from service.step_sources import step_source, worklists

# How soon a report is seen; a source is not asked more often either, whatever it reports.
_GLANCE_SECONDS: Final = 0.5

log = structlog.get_logger()


class StepWork(Protocol):
    """What begins work on steps; see `service.workflow.engine`."""

    def perform_step(self, source: str, uid: str) -> None:
        """Have a step performed; nothing happens when it already is."""

    def cancel_step(self, source: str, uid: str) -> None:
        """Have a step that was called off looked at now."""


@dataclass(slots=True)
class StepLooking:
    """Looks for steps; remembers when each source is due, and which reports it has seen."""

    settings: Settings
    database: Database
    work: StepWork
    _due: dict[str, float] = field(default_factory=dict)
    _seen: dict[str, int] = field(default_factory=dict)

    def look(self) -> None:
        """Ask the sources that are due, and those that have reported a step."""
        told = self._notices()
        for name, worklist_label in worklists(self.settings).items():
            has_reported = told.get(name, 0) != self._seen.get(name, 0)
            if has_reported or time.monotonic() >= self._due.get(name, 0):
                self._seen[name] = told.get(name, 0)
                self._due[name] = time.monotonic() + self.settings.procedure_steps.poll_seconds
                self._ask(name, worklist_label)
        self._cancel()

    def _notices(self) -> Mapping[str, int]:
        try:
            return step_events.notices(self.database)
        except DATABASE_FAULTS as fault:
            log.warning("reports on procedure steps cannot be looked at", reason=str(fault))
            return dict(self._seen)

    def _ask(self, name: str, worklist_label: str) -> None:
        try:
            for uid in step_source(self.settings, name).scheduled(worklist_label):
                self.work.perform_step(name, uid)
        except (TransientFault, PermanentFault) as fault:
            log.warning("no procedure steps can be asked for", source=name, reason=str(fault))

    def _cancel(self) -> None:
        try:
            for step in step_events.steps_to_cancel(self.database):
                self.work.cancel_step(step.source, step.uid)
        except DATABASE_FAULTS as fault:
            log.warning("steps to cancel cannot be looked at", reason=str(fault))


def look_for_steps(
    settings: Settings, database: Database, work: StepWork, stopped: threading.Event
) -> None:
    """Look until told to stop."""
    if not worklists(settings):
        return
    pause = settings.procedure_steps.poll_seconds
    if is_subscribed(settings):
        pause = min(pause, _GLANCE_SECONDS)
    looking = StepLooking(settings, database, work)
    while not stopped.is_set():
        looking.look()
        stopped.wait(pause)
