"""Subscribing to the reports of those who manage Unified Procedure Steps.

A subscription is renewed now and then, since a manager may lose it, and a channel that
ends is opened again after a pause. With each the source is looked at once, for what was
reported to nobody meanwhile.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from dicom_nodes.network.procedure_step_scu import DimseStepSource
from dicom_nodes.web.procedure_step_client import WebStepSource
from dicom_nodes.web.step_event_channel import step_events
from processing.measurement import PermanentFault, TransientFault
from service.catalogue.database import DATABASE_FAULTS, Database
from service.catalogue.step_events import notice
from service.settings import Settings
from service.step_reports import StepReports
from service.step_sources import dimse_step_source, web_step_source

_RENEWAL_SECONDS: Final = 600.0
_FIRST_PAUSE_SECONDS: Final = 1.0
_LONGEST_PAUSE_SECONDS: Final = 60.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Subscriber:
    settings: Settings
    database: Database
    stopped: threading.Event

    def renew(self, source: DimseStepSource, worklist_label: str) -> None:
        """Have a peer report to the node's port, until told to stop."""

        def subscribe() -> None:
            source.subscribe(self.settings.dicom.ae_title, worklist_label)
            notice(self.database, source.peer.name)
            self.stopped.wait(_RENEWAL_SECONDS)

        self._again_and_again(source.peer.name, subscribe)

    def listen(self, source: WebStepSource, worklist_label: str) -> None:
        """Take what a server reports on its channel, until told to stop."""
        reports = StepReports(self.settings, self.database)

        def listen() -> None:
            url = source.subscribe(self.settings.dicom.ae_title, worklist_label)
            for event in step_events(
                url,
                token=source.token,
                authorities=source.authorities,
                opened=lambda: notice(self.database, source.name),
                is_stopped=self.stopped.is_set,
            ):
                reports.take(event, source.name)

        self._again_and_again(source.name, listen)

    def _again_and_again(self, name: str, do: Callable[[], None]) -> None:
        pause = 0.0
        while not self.stopped.is_set():
            began = time.monotonic()
            try:
                do()
                pause = 0.0
            except (TransientFault, PermanentFault, *DATABASE_FAULTS) as fault:
                log.warning(
                    "no reports on procedure steps; the source is still asked periodically",
                    source=name,
                    reason=str(fault),
                )
                pause = pause_after_fault(pause, time.monotonic() - began)
                self.stopped.wait(pause)


def pause_after_fault(former_seconds: float, lasted_seconds: float) -> float:
    """Seconds until the next attempt: twice the former pause, but soon after what had lasted.

    Parameters
    ----------
    former_seconds : float
        The pause before this attempt, 0 before the first.
    lasted_seconds : float
        How long the subscription had lasted when it failed.
    """
    if not former_seconds or lasted_seconds > _LONGEST_PAUSE_SECONDS:
        return _FIRST_PAUSE_SECONDS
    return min(2 * former_seconds, _LONGEST_PAUSE_SECONDS)


def keep_subscribed(
    settings: Settings, database: Database, stopped: threading.Event
) -> list[threading.Thread]:
    """Start a thread for each source that is to report, which ends when told to stop."""
    subscriber = _Subscriber(settings, database, stopped)
    chosen = settings.procedure_steps
    threads = [
        threading.Thread(
            target=subscriber.renew,
            args=(dimse_step_source(settings, each), each.worklist_label),
            daemon=True,
        )
        for each in chosen.sources
        if each.subscribe
    ] + [
        threading.Thread(
            target=subscriber.listen,
            args=(web_step_source(each), each.worklist_label),
            daemon=True,
        )
        for each in chosen.web_sources
        if each.subscribe
    ]
    for thread in threads:
        thread.start()
    return threads
