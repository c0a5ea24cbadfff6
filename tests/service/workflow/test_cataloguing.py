from __future__ import annotations

from pathlib import Path

from service.workflow.cataloguing import FallsWhileReading


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
