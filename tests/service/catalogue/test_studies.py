from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from service.catalogue import arrivals, results, studies
from service.catalogue.database import Database
from service.catalogue.studies import Catalogued, StudyFacts

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
FACTS = StudyFacts(
    study_instance_uid="1.2.1",
    series_instance_uid="1.2.1.1",
    patient_id="P1",
    issuer="",
    patient_name="王^小东",
    birth_date="20000101",
    sex="O",
    accession_number="A1",
    study_date="20261121",
    study_description="Face",
    priority="",
    modality="XC",
    series_description="frontal",
)


def receive(database: Database, uid: str, at: datetime = NOW) -> studies.Uncatalogued:
    row = (uid, "1.2.840", "1.2", f"instances/{uid}.dcm", 10, 4, at, "CAM", "::1")
    with closing(arrivals.Register(database)) as register:
        register.enter([arrivals.Received(*row)])
    return next(
        each for each in studies.uncatalogued(database, 100) if each.sop_instance_uid == uid
    )


def catalogued(
    instance: studies.Uncatalogued,
    facts: StudyFacts | None = FACTS,
    reason: str | None = None,
    own: bool = False,
) -> Catalogued:
    return Catalogued(instance, facts, {"view": "frontal"}, reason, own)


def test_a_catalogued_instance_is_found_under_its_study(database: Database) -> None:
    studies.record(database, [catalogued(receive(database, "1.1"))])
    study = studies.known_study(database, "1.2.1")
    assert study is not None
    assert study.patient_name == "王^小东"
    assert [each.sop_instance_uid for each in study.instances] == ["1.1"]
    assert study.instances[0].header == {"view": "frontal"}
    assert studies.uncatalogued(database, 10) == []


def test_recording_the_same_header_twice_changes_nothing(database: Database) -> None:
    one = catalogued(receive(database, "1.1"))
    studies.record(database, [one])
    before = studies.known_study(database, "1.2.1")
    studies.record(database, [one])
    assert studies.known_study(database, "1.2.1") == before


def test_arrivals_move_the_last_arrival_but_own_objects_that_come_back_do_not(
    database: Database,
) -> None:
    studies.record(database, [catalogued(receive(database, "1.1"))])
    later = NOW + timedelta(minutes=1)
    studies.record(database, [catalogued(receive(database, "1.2", later))])
    own = receive(database, "1.3", NOW + timedelta(minutes=5))
    studies.record(database, [catalogued(own, own=True)])
    study = studies.known_study(database, "1.2.1")
    assert study is not None
    assert (study.first_arrival, study.last_arrival) == (NOW, later)


def test_a_priority_that_comes_with_a_later_instance_is_taken_over(database: Database) -> None:
    studies.record(database, [catalogued(receive(database, "1.1"))])
    urgent = replace(FACTS, priority="STAT")
    studies.record(database, [catalogued(receive(database, "1.2"), urgent)])
    study = studies.known_study(database, "1.2.1")
    assert study is not None
    assert study.priority == "STAT"


def test_the_same_patient_id_of_two_issuers_is_two_patients(database: Database) -> None:
    other = replace(
        FACTS,
        issuer="B",
        study_instance_uid="1.2.2",
        series_instance_uid="1.2.2.1",
        patient_name="Other",
    )
    studies.record(
        database,
        [catalogued(receive(database, "1.1")), catalogued(receive(database, "1.2"), other)],
    )
    names = [
        study.patient_name
        for uid in ("1.2.1", "1.2.2")
        if (study := studies.known_study(database, uid)) is not None
    ]
    assert names == ["王^小东", "Other"]


def test_what_names_no_study_is_listed_with_its_reason(database: Database) -> None:
    studies.record(database, [catalogued(receive(database, "1.1"), None, "not a DICOM file")])
    (unusable,) = studies.unusable(database, 10)
    assert unusable.reason == "not a DICOM file"
    assert studies.latest_studies(database, 10) == []


def test_studies_are_listed_by_their_latest_arrival(database: Database) -> None:
    for number in (1, 2, 3):
        facts = replace(
            FACTS, study_instance_uid=f"1.2.{number}", series_instance_uid=f"1.2.{number}.1"
        )
        at = NOW + timedelta(minutes=(number * 7) % 5)
        studies.record(database, [catalogued(receive(database, f"1.{number}", at), facts)])
    assert studies.latest_studies(database, 2) == ["1.2.2", "1.2.1"]


def made(key: str, inputs: tuple[str, ...]) -> results.MadeResult:
    report = results.MadeObject(f"2.25.{key}", "1.2.840", "2.25.7", "report", f"results/{key}.dcm")
    return results.MadeResult(
        key, "1.2.1", "surface-symmetry", "1", "measured", None, inputs, NOW, None, (report,)
    )


@pytest.fixture
def with_study(database: Database) -> Database:
    studies.record(database, [catalogued(receive(database, "1.1"))])
    return database


def test_a_result_is_recorded_once(with_study: Database) -> None:
    assert results.record_result(with_study, made("1", ("1.1",)))
    assert not results.record_result(with_study, made("1", ("1.1",)))
    assert results.results_of_study(with_study, "1.2.1") == [made("1", ("1.1",))]
    assert results.result_by_key(with_study, "2") is None
    assert results.are_own(with_study, ["2.25.1", "1.1"]) == {"2.25.1"}


def test_a_completion_is_recorded_once_for_each_set_of_inputs(with_study: Database) -> None:
    said = [
        results.record_completion(with_study, "1.2.1", key, "quiet time", "nothing came for 30 s")
        for key in ("a", "a", "b")
    ]
    assert said == [True, False, True]
    assert len(results.completions(with_study, "1.2.1")) == 2


def test_a_delivery_is_recorded_once_and_then_confirmed(with_study: Database) -> None:
    results.record_result(with_study, made("1", ("1.1",)))
    for _ in range(2):
        results.record_delivery(with_study, "1", "PACS")
    results.record_confirmation(with_study, "1", "PACS", "C-FIND lists all 1 objects")
    (sent,) = results.deliveries_of_study(with_study, "1.2.1")
    assert (sent.destination, sent.confirmation) == ("PACS", "C-FIND lists all 1 objects")


def test_a_slot_that_is_silent_is_not_living(database: Database) -> None:
    results.beat(database, "one")
    results.beat(database, "one")
    assert results.living_slots(database, timedelta(seconds=60)) == {"one"}
    assert results.living_slots(database, timedelta(seconds=-1)) == set()
