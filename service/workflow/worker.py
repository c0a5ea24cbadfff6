"""A worker slot: takes work from the engine until it is told to stop."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Final

import structlog

from service.audit.deliveries import DeliveryAudit
from service.audit.questions import QuestionAudit
from service.audit.trail import open_trail
from service.catalogue import results
from service.catalogue.database import Database, open_database
from service.catalogue.stored_bytes import open_stored_bytes
from service.receive import reception_of
from service.settings import Settings
from service.workflow import engine
from service.workflow.measuring_child import MeasuringChild
from service.workflow.step_looking import look_for_steps
from service.workflow.step_subscribing import keep_subscribed
from service.workflow.steps import Steps

_BEAT_SECONDS: Final = 10
# A slot that is silent for this long is taken for gone: six beats.
_SILENCE: Final = timedelta(seconds=60)

log = structlog.get_logger()


def run_worker(settings: Settings, slot: str, stopped: threading.Event) -> None:
    """Work as this slot. What it had begun before a crash is taken up again."""
    database = open_database(settings)
    stored = open_stored_bytes(settings)
    child = MeasuringChild(settings)
    # What this slot fetches it keeps as a receiver does.
    with (
        open_trail(settings) as trail,
        reception_of(settings, slot, database, stored) as reception,
    ):
        told, asked = DeliveryAudit(trail).sent, QuestionAudit(trail).asked
        results.beat(database, slot)
        child.warm_up()
        engine.launch(
            settings, slot, Steps(settings, database, stored, child, reception, told, asked)
        )
        log.info("worker takes work", slot=slot)
        looking = threading.Thread(
            target=look_for_steps, args=(settings, database, engine, stopped), daemon=True
        )
        looking.start()
        # One slot of a machine listens for all.
        if slot.endswith("-0"):
            keep_subscribed(settings, database, stopped)
        try:
            while not stopped.wait(_BEAT_SECONDS):
                _look_after(database, slot)
        finally:
            engine.stop()
            child.stop()
    database.close()


def _look_after(database: Database, slot: str) -> None:
    """Give a sign of life, and take over what slots without one had begun."""
    results.beat(database, slot)
    taken_over = engine.sweep(results.living_slots(database, _SILENCE))
    if taken_over:
        log.warning("took over the work of a slot that is gone", pieces=len(taken_over))
