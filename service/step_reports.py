"""What becomes of the reports of those who manage Unified Procedure Steps.

That a step waits makes the worker look at once; that one is to be canceled is kept with
the step. A report that is lost loses no work: the worker also looks by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from dicom_nodes.objects.procedure_step import EventType, StepEvent, StepState
from processing.measurement import PermanentFault, TransientFault
from service.catalogue import step_events
from service.catalogue.database import DATABASE_FAULTS, Database
from service.settings import Settings


def is_subscribed(settings: Settings) -> bool:
    """Whether any source is to report on its steps."""
    chosen = settings.procedure_steps
    of_peers = any(each.subscribe for each in chosen.sources)
    return of_peers or any(each.subscribe for each in chosen.web_sources)


@dataclass(frozen=True, slots=True)
class StepReports:
    """Takes reports into the catalogue."""

    settings: Settings
    database: Database

    def take_from_peer(self, event: StepEvent, calling_ae_title: str) -> None:
        """Take a report that came to the node's port.

        Raises
        ------
        PermanentFault
            If no source that the node has subscribed to has this AE title.
        TransientFault
            If the catalogue does not answer.
        """
        names = [
            each.name
            for each in self.settings.procedure_steps.sources
            if each.subscribe and each.ae_title.strip() == calling_ae_title
        ]
        if not names:
            raise PermanentFault(f"{calling_ae_title!r} is no subscribed source of steps")
        for name in names:
            self.take(event, name)

    def take(self, event: StepEvent, source: str) -> None:
        """Take a report of a source.

        Raises
        ------
        TransientFault
            If the catalogue does not answer.
        """
        try:
            if event.event_type is EventType.CANCEL_REQUESTED:
                step_events.request_cancel(
                    self.database, source, event.uid, event.reason, event.code
                )
            elif event.event_type is EventType.STATE and event.state == StepState.SCHEDULED:
                step_events.notice(self.database, source)
        except DATABASE_FAULTS as fault:
            raise TransientFault("the catalogue does not answer; try again") from fault
