from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

from dicom_nodes.objects.header import InstanceHeader
from processing.inputs import Expression, View
from service.analyses import facts_for_analyses
from service.workflow.cataloguing import FallsWhileReading, tell_and_record


def test_an_instance_that_ends_the_program_each_time_is_given_up(tmp_path: Path) -> None:
    note = tmp_path / "cataloguer-0.reading"
    for _ in range(3):
        falls = FallsWhileReading(note)
        assert not falls.are_too_many(7)
        falls.begin(7)
    assert FallsWhileReading(note).are_too_many(7)
    assert not FallsWhileReading(note).are_too_many(8)


def test_a_restart_between_instances_counts_against_none(tmp_path: Path) -> None:
    note = tmp_path / "cataloguer-0.reading"
    for _ in range(5):
        falls = FallsWhileReading(note)
        falls.begin(7)
        falls.end()
    assert not FallsWhileReading(note).are_too_many(7)


def test_falls_at_different_instances_do_not_add_up(tmp_path: Path) -> None:
    note = tmp_path / "cataloguer-0.reading"
    for row in (7, 8, 7, 8, 7, 8):
        FallsWhileReading(note).begin(row)
    assert not FallsWhileReading(note).are_too_many(8)


def test_a_note_that_was_cut_short_is_no_note(tmp_path: Path) -> None:
    note = tmp_path / "cataloguer-0.reading"
    note.write_text("")
    assert not FallsWhileReading(note).are_too_many(7)


def _header(**changed: Any) -> InstanceHeader:
    plain = {each.name: "" for each in fields(InstanceHeader)}
    facts = {"view": None, "expression": None, "edited_photographs": (), "is_own": False}
    return InstanceHeader(**{**plain, **facts, **changed})


def test_facts_of_a_photograph_are_its_view_and_its_expression() -> None:
    header = _header(view=View.FRONTAL, expression=Expression.SMILE)
    facts = facts_for_analyses(header)
    assert (facts["view"], facts["expression"]) == ("frontal", "smile")
    assert json.loads(json.dumps(facts)) == facts


def test_facts_of_a_reviewers_report_are_the_photographs_it_edits() -> None:
    facts = facts_for_analyses(_header(edited_photographs=("1.2", "1.3")))
    assert facts["edited_photographs"] == ["1.2", "1.3"]


class Told:
    """An engine and a clock: to tell the engine takes 2 s, to record 3 s."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.events: list[str] = []

    def look_at_study_in(self, study_instance_uid: str, seconds: float) -> None:
        self.events.append(f"{study_instance_uid} in {seconds:g} s")
        self.seconds += 2

    def record(self) -> None:
        self.events.append("recorded")
        self.seconds += 3

    def clock(self) -> float:
        return self.seconds


def test_the_engine_is_told_before_the_rows_are_there() -> None:
    told = Told()
    tell_and_record(told, {"1.2": 30, "1.3": 900}, told.record, told.clock)
    assert told.events == ["1.2 in 30 s", "1.3 in 900 s", "recorded"]


def test_a_study_that_was_looked_at_before_its_rows_were_there_is_looked_at_again() -> None:
    told = Told()
    tell_and_record(told, {"1.2": 6, "1.3": 6, "1.4": 1}, told.record, told.clock)
    # The rows were there after 9, 7 and 5 s.
    assert told.events[3:] == ["recorded", "1.2 in 6 s", "1.3 in 6 s", "1.4 in 1 s"]
    told = Told()
    tell_and_record(told, {"1.2": 8, "1.3": 4}, told.record, told.clock)
    assert told.events[2:] == ["recorded", "1.3 in 4 s"]
