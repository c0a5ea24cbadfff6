"""A hundred times more studies make no query, list, match or completion slower."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, cast

import pytest

from dicom_nodes.network.query import Level, Question
from dicom_nodes.network.worklist_scu import ScheduledStep
from service.catalogue.database import Database, for_reading, migrate, open_database
from service.catalogue.orders import order_of_study
from service.catalogue.queries import answers, instances_of
from service.catalogue.stored_bytes import open_stored_bytes
from service.catalogue.studies import known_study
from service.catalogue.worklist import record_answer, studies_of
from service.console.application import Sources, build_application
from service.settings import Settings
from service.workflow.steps import Steps
from service.worklist.assigning import assign
from service.worklist.matching import Outcome
from tests.service.catalogue.many_studies import STUDIES_A_DAY, day_of, fill, name_of, study_uid
from tests.service.console.conftest import Browser
from tests.service.console.seeding import ToldEngine

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

FEW, MANY = 1_000, 100_000
REPEATS = 25
# Below this the clock and other processes say more than the catalogue does.
FLOOR_SECONDS = 0.002
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
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


@pytest.fixture(scope="module")
def ordered_catalogues(catalogues: tuple[Database, Database]) -> tuple[Database, Database]:
    """The same with a worklist, in which the first thousand studies stand."""
    for each in catalogues:
        steps = [_scheduled(number) for number in range(1, FEW + 1)]
        record_answer(each, "worklist", steps, [], date(2000, 1, 1))
    return catalogues


def _scheduled(number: int) -> ScheduledStep:
    return ScheduledStep(
        study_instance_uid=study_uid(number),
        step_id=f"S{number}",
        patient_id=f"P{number:06}",
        patient_name=name_of(number),
        accession_number=f"A{number:06}",
        modality="XC",
        start_date=day_of(number),
    )


def _facts_for_orders() -> dict[str, Any]:
    """What the headers of the picked study say of its order."""
    header = {
        "patient_id": f"P{PICKED:06}",
        "issuer": "",
        "name": name_of(PICKED),
        "birth_date": "",
        "sex": "",
        "accession_number": f"A{PICKED:06}",
        "date": day_of(PICKED),
        "station": "CAMERA",
        "procedures": [],
    }
    return {"order": header}


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


@pytest.mark.parametrize("path", ["/", "/api/studies", f"/api/studies/{study_uid(PICKED)}"])
def test_the_list_of_studies_comes_as_fast(
    catalogues: tuple[Database, Database], tmp_path: Path, path: str
) -> None:
    settings = Settings(data_folder=tmp_path)
    stored = open_stored_bytes(settings)

    def shown(database: Database) -> int:
        sources = Sources(settings, for_reading(database), stored, ToldEngine())
        return Browser(build_application(sources)).get(path).status_code

    few, many = (_least(partial(shown, database), 200) for database in catalogues)
    assert many <= 2 * max(few, FLOOR_SECONDS), f"{few * 1000:.2f} ms, {many * 1000:.2f} ms"


def test_the_order_of_a_study_is_found_as_fast(
    ordered_catalogues: tuple[Database, Database], tmp_path: Path
) -> None:
    settings = Settings(data_folder=tmp_path)

    def matched(database: Database) -> int:
        study = known_study(database, study_uid(PICKED))
        assert study is not None
        headers = {**study.instances[0].header, **_facts_for_orders()}
        arrived = replace(
            study, instances=tuple(replace(each, header=headers) for each in study.instances)
        )
        assert assign(database, settings, arrived) is not None
        order = order_of_study(database, study_uid(PICKED))
        return 1 if order is not None and order.outcome == Outcome.MATCHED else 0

    few, many = (_least(partial(matched, database), 1) for database in ordered_catalogues)
    assert many <= 2 * max(few, FLOOR_SECONDS), f"{few * 1000:.2f} ms, {many * 1000:.2f} ms"


def test_the_studies_of_new_orders_are_found_as_fast(
    ordered_catalogues: tuple[Database, Database],
) -> None:
    steps = [_scheduled(number) for number in range(1, FEW + 1)]

    def found(database: Database) -> int:
        return len(studies_of(database, steps, LONG_AGO))

    few, many = (_least(partial(found, database), FEW) for database in ordered_catalogues)
    assert many <= 2 * max(few, FLOOR_SECONDS), f"{few * 1000:.2f} ms, {many * 1000:.2f} ms"


def test_a_study_is_completed_as_fast(
    ordered_catalogues: tuple[Database, Database], tmp_path: Path
) -> None:
    settings = Settings(data_folder=tmp_path)

    def jobs(database: Database) -> int:
        # Nothing is measured or received here.
        steps = Steps(settings, database, open_stored_bytes(settings), *cast(Any, (None, None)))
        return len(steps.complete(study_uid(PICKED))["jobs"])

    few, many = (_least(partial(jobs, database), 1) for database in ordered_catalogues)
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
