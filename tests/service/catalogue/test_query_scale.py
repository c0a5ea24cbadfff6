"""A hundred times more studies do not make a query slower."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path

import pytest

from dicom_nodes.network.query import Level, Question
from service.catalogue.database import Database, migrate, open_database
from service.catalogue.queries import answers, instances_of
from service.settings import Settings
from tests.service.catalogue.many_studies import STUDIES_A_DAY, day_of, fill, name_of, study_uid

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

FEW, MANY = 1_000, 100_000
REPEATS = 25
# Below this the clock and other processes say more than the catalogue does.
FLOOR_SECONDS = 0.002
RETURNED = {
    "StudyInstanceUID": "",
    "PatientName": "",
    "StudyDate": "",
    "ModalitiesInStudy": "",
    "NumberOfStudyRelatedInstances": "",
}
PICKED = 640  # a study that both catalogues have
ALPHABETIC, IDEOGRAPHIC = name_of(PICKED).split("=")


@pytest.fixture(scope="module")
def catalogues(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Database, Database]]:
    folder = tmp_path_factory.mktemp("scale")
    opened = [_filled(folder / str(number), number) for number in (FEW, MANY)]
    yield opened[0], opened[1]
    for each in opened:
        each.close()


def _filled(folder: Path, number: int) -> Database:
    settings = Settings(data_folder=folder)
    migrate(settings)
    database = open_database(settings)
    fill(database, number)
    return database


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"StudyInstanceUID": study_uid(PICKED)}, 1),
        ({"PatientID": f"P{PICKED:06}"}, 1),
        ({"PatientID": f"P{PICKED:06}"[:-1] + "?"}, 10),
        ({"AccessionNumber": f"A{PICKED:06}"}, 1),
        ({"PatientName": ALPHABETIC.upper()}, 1),
        ({"PatientName": IDEOGRAPHIC}, 1),
        ({"PatientName": ALPHABETIC[:11] + "*"}, 10),
        ({"StudyDate": day_of(PICKED)}, STUDIES_A_DAY),
        ({"StudyDate": f"{day_of(PICKED)}-{day_of(PICKED + STUDIES_A_DAY)}"}, 2 * STUDIES_A_DAY),
        ({"StudyDate": day_of(PICKED), "ModalitiesInStudy": "SR"}, STUDIES_A_DAY),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else str(value),
)
def test_a_query_by_an_indexed_key_takes_at_most_twice_as_long(
    catalogues: tuple[Database, Database], keys: dict[str, str], expected: int
) -> None:
    question = Question(Level.STUDY, RETURNED | keys)
    few, many = (_seconds(database, question, expected) for database in catalogues)
    assert many <= 2 * max(few, FLOOR_SECONDS), f"{few * 1000:.2f} ms, {many * 1000:.2f} ms"


def test_the_latest_studies_come_as_fast(catalogues: tuple[Database, Database]) -> None:
    question = Question(Level.STUDY, RETURNED)
    few, many = (_seconds(database, question, 100, limit=100) for database in catalogues)
    assert many <= 2 * max(few, FLOOR_SECONDS), f"{few * 1000:.2f} ms, {many * 1000:.2f} ms"


def test_the_instances_of_a_study_are_found_as_fast(
    catalogues: tuple[Database, Database],
) -> None:
    question = Question(Level.STUDY, {"StudyInstanceUID": study_uid(PICKED)})

    def instances(database: Database) -> int:
        return len(list(instances_of(database, question)))

    few, many = (_least(partial(instances, database), 3) for database in catalogues)
    assert many <= 2 * max(few, FLOOR_SECONDS), f"{few * 1000:.2f} ms, {many * 1000:.2f} ms"


def test_a_hundred_thousand_answers_are_never_in_memory_at_once(
    catalogues: tuple[Database, Database],
) -> None:
    found = answers(catalogues[1], Question(Level.STUDY, RETURNED))
    next(found)
    tracemalloc.start()
    assert sum(1 for _ in islice(found, 20_000)) == 20_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10e6


def _seconds(
    database: Database, question: Question, expected: int, limit: int | None = None
) -> float:
    return _least(lambda: len(list(answers(database, question, limit=limit))), expected)


def _least(ask: Callable[[], int], expected: int) -> float:
    """The shortest of several times: what other processes do only adds to it."""
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        found = ask()
        times.append(time.perf_counter() - started)
        assert found == expected
    return min(times)
