"""What of a worklist is kept, and for how long."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from service.catalogue import worklist
from service.catalogue.database import Database
from service.worklist.words import has_left
from tests.service.worklist.test_matching import OTHER, STEP

OLDEST = date(2026, 11, 1)


def test_only_what_is_new_or_changed_is_told(database: Database) -> None:
    assert worklist.record_answer(database, "ris", [STEP, OTHER], [], OLDEST) == [STEP, OTHER]
    changed = replace(OTHER, priority="ROUTINE")
    assert worklist.record_answer(database, "ris", [STEP, changed], [], OLDEST) == [changed]
    kept = worklist.items(database, 10)
    assert {each.step for each in kept} == {STEP, changed}


def test_what_is_past_goes(database: Database) -> None:
    past = replace(STEP, step_id="S0", start_date="20261031")
    worklist.record_answer(database, "ris", [past, STEP], [], OLDEST)
    assert [each.step for each in worklist.items(database, 10)] == [STEP]


def test_of_too_many_the_longest_unseen_go(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worklist, "MOST_ITEMS", 1)
    worklist.record_answer(database, "ris", [STEP], [], OLDEST)
    worklist.record_answer(database, "ris", [OTHER], [], OLDEST)
    assert [each.step for each in worklist.items(database, 10)] == [OTHER]


def test_candidates_are_found_by_study_accession_number_or_patient(database: Database) -> None:
    stranger = replace(STEP, study_instance_uid="1.9", patient_id="P9", accession_number="A9")
    worklist.record_answer(database, "ris", [STEP, OTHER, stranger], [], OLDEST)
    assert worklist.candidates(database, "1.9", [], []) == [stranger]
    assert worklist.candidates(database, "", ["A2"], []) == [OTHER]
    assert worklist.candidates(database, "", [""], ["P1"]) == [STEP, OTHER]


def test_a_worklist_that_cannot_be_asked_is_told_and_what_it_said_stays(
    database: Database,
) -> None:
    worklist.record_answer(database, "ris", [STEP], ["scheduled step S2: ..."], OLDEST)
    worklist.record_fault(database, "ris", "it cannot be reached")
    (asked,) = worklist.asked(database)
    assert asked.fault == "it cannot be reached"
    assert asked.answered_at is not None
    assert asked.rejected == ("scheduled step S2: ...",)
    assert worklist.has_items(database)
    worklist.record_answer(database, "ris", [], [], OLDEST)
    asked = worklist.asked(database)
    assert asked[0].fault is None
    (kept,) = worklist.items(database, 10)
    assert has_left(kept, asked)
    worklist.record_answer(database, "ris", [STEP], [], OLDEST)
    (kept,) = worklist.items(database, 10)
    assert not has_left(kept, worklist.asked(database))
