"""The part of the node that asks the worklist."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from functools import partial
from typing import Any

from pydicom.dataset import Dataset

from dicom_nodes.network.peer import Peer
from dicom_nodes.network.worklist_scu import WorklistQuery
from service.audit.questions import QuestionAudit
from service.catalogue import worklist
from service.catalogue.database import Database
from service.processes import Role, part_names
from service.settings import ApplicationEntity, Settings, WorklistSettings
from service.worklist.asking import Asker, query_of
from tests.dicom_nodes.network.test_worklist_scu import worklist as served_worklist
from tests.peers.worklists import worklist_dataset
from tests.service.audit.watched_trail import WatchedTrail
from tests.service.worklist.test_matching import STEP
from tests.service.worklist.test_under_its_order import Looked

PEER = {"name": "ris", "ae_title": "RIS", "address": "127.0.0.1", "port": 104}


def test_nobody_is_asked_while_no_worklist_is_set(settings: Settings) -> None:
    assert "worklist-0" not in part_names(settings, Role.ALL)
    chosen = WorklistSettings.model_validate({"peer": PEER})
    asking = settings.model_copy(update={"worklist": chosen})
    assert "worklist-0" in part_names(asking, Role.ALL)
    assert "worklist-0" in part_names(asking, Role.WORK)
    assert "worklist-0" not in part_names(asking, Role.RECEIVE)


def test_days_around_today_are_asked_for() -> None:
    chosen = WorklistSettings(days_before=2, days_after=3, stations=("STUDIO1",))
    assert query_of(chosen, date(2026, 11, 21)) == WorklistQuery(
        date(2026, 11, 19), date(2026, 11, 24), ("XC",), ("STUDIO1",)
    )


def test_what_is_answered_is_kept_and_what_goes_wrong_is_noted(
    settings: Settings, database: Database
) -> None:
    today = f"{date.today():%Y%m%d}"  # noqa: DTZ011 - a worklist's days are local ones
    item = worklist_dataset(STEP)
    item.ScheduledProcedureStepSequence[0].ScheduledProcedureStepStartDate = today

    def answers(_event: Any) -> Iterator[tuple[int, Dataset | None]]:
        yield 0xFF00, item

    trail = WatchedTrail()
    entity = ApplicationEntity.model_validate(PEER)
    with served_worklist(answers) as peer:
        asked_of = partial(QuestionAudit(trail).asked, entity)
        Asker(settings, database, Looked(), peer, asked_of).ask()
    assert trail.events() == ["Query"], "the query is in the audit trail"
    assert b"XC" in trail.recorded[0].objects[0].query
    (kept,) = worklist.items(database, 10)
    assert (kept.source, kept.step.accession_number) == ("ris", "A1")
    Asker(settings, database, Looked(), Peer("ris", "RIS", "127.0.0.1", 1, "HEMIFACE")).ask()
    (asked,) = worklist.asked(database)
    assert asked.fault is not None
    assert "cannot be reached" in asked.fault
    assert worklist.has_items(database), "what it said before stays"
