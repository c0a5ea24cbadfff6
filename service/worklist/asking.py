"""Asking the worklist periodically, and looking again at studies whose order has come."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Protocol

import structlog

from dicom_nodes.network.peer import Peer
from dicom_nodes.network.sent_query import SentQuery
from dicom_nodes.network.worklist_scu import ScheduledStep, WorklistQuery, find_scheduled
from processing.measurement import PermanentFault, TransientFault
from service.audit.questions import QuestionAudit
from service.audit.trail import open_trail
from service.catalogue import orders, worklist
from service.catalogue.database import DATABASE_FAULTS, Database, open_database
from service.catalogue.overviews import completions_of_studies
from service.catalogue.studies import known_study
from service.peers import peer_of
from service.settings import Settings, WorklistSettings
from service.workflow.completion import SETTLE_SECONDS
from service.workflow.engine import EngineClient
from service.worklist.assigning import look_for_order
from service.worklist.matching import Outcome

log = structlog.get_logger()


class LookingEngine(Protocol):
    """What is asked of the workflow engine; see `service.workflow.engine.EngineClient`."""

    def look_at_study_in(self, study_instance_uid: str, seconds: float) -> None:
        """Have the study completed in so many seconds; a later call moves the moment."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Asks one worklist, and keeps what it answers; `tell` is told of each query."""

    settings: Settings
    database: Database
    engine: LookingEngine
    peer: Peer
    tell: Callable[[SentQuery], None] = lambda _sent: None

    def run(self, stopped: threading.Event) -> None:
        """Ask until told to stop."""
        while not stopped.is_set():
            self.ask()
            stopped.wait(self.settings.worklist.every_seconds)

    def ask(self) -> None:
        """Ask once. What goes wrong is noted, shown, and tried again the next time."""
        today = datetime.now().astimezone().date()
        chosen = self.settings.worklist
        try:
            answer = find_scheduled(self.peer, query_of(chosen, today), self.tell)
        except (TransientFault, PermanentFault) as fault:
            log.warning("the worklist cannot be asked", reason=str(fault))
            worklist.record_fault(self.database, self.peer.name, str(fault))
            return
        changed = worklist.record_answer(
            self.database,
            self.peer.name,
            answer.steps,
            answer.rejected,
            today - timedelta(days=chosen.keep_days),
        )
        look_again(self.settings, self.database, self.engine, changed)


def query_of(chosen: WorklistSettings, today: date) -> WorklistQuery:
    """What is asked for on a day."""
    return WorklistQuery(
        first_day=today - timedelta(days=chosen.days_before),
        last_day=today + timedelta(days=chosen.days_after),
        modalities=chosen.modalities,
        stations=chosen.stations,
    )


def look_again(
    settings: Settings,
    database: Database,
    engine: LookingEngine,
    changed: list[ScheduledStep],
) -> list[str]:
    """Have studies completed once more whose order came after them; gives their UIDs."""
    since = datetime.now(UTC) - timedelta(days=settings.worklist.keep_days)
    found = []
    for uid in worklist.studies_of(database, changed, since):
        study = known_study(database, uid)
        now = look_for_order(database, study) if study is not None else None
        former = orders.order_of_study(database, uid)
        if now is None or (former is not None and former.outcome == Outcome.MATCHED):
            continue
        # A study that was not complete yet will be: it must not be hurried.
        is_complete = bool(completions_of_studies(database, [uid]))
        if is_complete and now[1].outcome is Outcome.MATCHED:
            engine.look_at_study_in(uid, min(SETTLE_SECONDS, settings.completion.quiet_seconds))
            found.append(uid)
    return found


def run_asker(settings: Settings, stopped: threading.Event) -> None:
    """Ask the worklist of the settings until told to stop.

    While the database is away the part ends, and its supervisor starts it again.
    """
    entity = settings.worklist.peer
    if entity is None:
        raise PermanentFault("worklist.peer is not set")
    database = open_database(settings)
    engine = EngineClient(settings)
    try:
        peer = peer_of(entity, settings.dicom.ae_title)
        with open_trail(settings) as trail:
            asked = partial(QuestionAudit(trail).asked, entity)
            Asker(settings, database, engine, peer, asked).run(stopped)
    except DATABASE_FAULTS as fault:
        raise TransientFault(f"the database does not answer: {fault.orig}") from fault
    finally:
        engine.close()
        database.close()
