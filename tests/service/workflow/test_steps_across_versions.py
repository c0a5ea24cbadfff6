"""Work that began before the node was upgraded goes on after it."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, cast

from processing.inputs import LandmarkEdits, Photograph, Surface, SurfaceEdits
from service.catalogue.database import Database
from service.catalogue.stored_bytes import StoredBytes
from service.settings import Settings
from service.workflow import keys
from service.workflow.measuring import MeasureTask, ReadTask, Task
from service.workflow.readings import Reading, reading_as_bytes
from service.workflow.steps import Steps

OLD_KEY = "work/k/reading.npz"


@dataclass
class RecordingChild:
    """Reads nothing, and remembers what it was asked to do."""

    stored: StoredBytes
    tasks: list[Task] = field(default_factory=list)

    def run(self, task: Task) -> None:
        self.tasks.append(task)
        if isinstance(task, ReadTask):
            self.stored.write(task.reading_key, reading_as_bytes(Reading((), {})))


def steps_of(settings: Settings, database: Database, child: RecordingChild) -> Steps:
    return Steps(settings, database, child.stored, cast(Any, child), cast(Any, None))


def test_a_reading_of_an_older_version_is_made_anew(
    settings: Settings, database: Database, stored: StoredBytes
) -> None:
    child = RecordingChild(stored)
    stored.write(OLD_KEY, b"in a form that nobody knows any more")
    steps_of(settings, database, child).measure("photograph-symmetry", [], "k", OLD_KEY)
    assert child.tasks == [
        ReadTask("photograph-symmetry", {}, keys.reading_key("k")),
        MeasureTask("photograph-symmetry", keys.reading_key("k"), "work/k"),
    ]
    assert not stored.exists(OLD_KEY)


def test_a_reading_of_this_version_is_measured_as_it_is(
    settings: Settings, database: Database, stored: StoredBytes
) -> None:
    child = RecordingChild(stored)
    steps = steps_of(settings, database, child)
    key = steps.read("photograph-symmetry", [], "k")
    steps.measure("photograph-symmetry", [], "k", key)
    assert [type(each) for each in child.tasks] == [ReadTask, MeasureTask]
    steps.tidy("k")
    assert not stored.exists(key)


def test_the_format_of_readings_has_a_new_number_when_inputs_have_other_fields() -> None:
    """Where this fails: give `keys.READING_FORMAT` another number, and write both down here."""
    held = {
        each.__name__: len(fields(each))
        for each in (Photograph, LandmarkEdits, Surface, SurfaceEdits)
    }
    expected = {"Photograph": 9, "LandmarkEdits": 4, "Surface": 9, "SurfaceEdits": 6}
    assert (keys.READING_FORMAT, held) == (2, expected)
