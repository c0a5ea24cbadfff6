from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from dicom_nodes.network.query import Level, Question
from processing.measurement import RejectedInput
from service.catalogue import queries
from service.catalogue.database import Database
from service.catalogue.queries import answers, instances_of, supported_keys
from service.catalogue.studies import Catalogued
from tests.service.catalogue.holdings import REPORT_CLASS, catalogue, hold, make_result
from tests.service.catalogue.test_studies import FACTS, receive

# Keys, and the studies of `hold_three` that match them.
MATCHES: list[tuple[dict[str, str], list[str]]] = [
    ({"StudyInstanceUID": ""}, ["1.2.1", "1.2.2", "1.2.3"]),
    ({"StudyInstanceUID": "1.2.2"}, ["1.2.2"]),
    ({"StudyInstanceUID": "1.2.2\\1.2.3\\9.9"}, ["1.2.2", "1.2.3"]),
    ({"PatientID": "P1"}, ["1.2.1", "1.2.3"]),
    ({"PatientID": "p1"}, []),
    ({"PatientID": "?2"}, ["1.2.2"]),
    ({"AccessionNumber": "A1"}, ["1.2.1"]),
    ({"AccessionNumber": "A*"}, ["1.2.1", "1.2.2"]),
    ({"AccessionNumber": "*[2]"}, ["1.2.2"]),
    ({"AccessionNumber": "%"}, []),
    ({"PatientName": "müller^anna"}, ["1.2.2"]),
    ({"PatientName": "MÜLLER^ANNA^^"}, ["1.2.2"]),
    ({"PatientName": "mül*"}, ["1.2.2"]),
    ({"PatientName": "王^小东"}, ["1.2.1", "1.2.3"]),
    ({"PatientName": "王*"}, ["1.2.1", "1.2.3"]),
    ({"PatientName": "*小东*"}, ["1.2.1", "1.2.3"]),
    ({"PatientName": "wang^xiaodong"}, ["1.2.3"]),
    ({"PatientName": "Wang^XiaoDong=王^小东"}, ["1.2.1", "1.2.3"]),
    ({"PatientName": "^"}, []),
    ({"PatientName": "*"}, ["1.2.1", "1.2.2", "1.2.3"]),
    ({"StudyDate": "20251231"}, ["1.2.2"]),
    ({"StudyDate": "2025.12.31"}, ["1.2.2"]),
    ({"StudyDate": "20251231-20261121"}, ["1.2.1", "1.2.2"]),
    ({"StudyDate": "20260101-"}, ["1.2.1"]),
    ({"StudyDate": "-20260101"}, ["1.2.2"]),
    ({"StudyTime": "1015"}, ["1.2.1"]),
    ({"StudyTime": "10-11"}, ["1.2.1"]),
    ({"StudyTime": "-0900"}, ["1.2.2"]),
    ({"StudyTime": "1016-"}, []),
    ({"ModalitiesInStudy": "MR"}, ["1.2.2", "1.2.3"]),
    ({"ModalitiesInStudy": "XC\\SR"}, ["1.2.1"]),
    ({"SOPClassesInStudy": "1.2.840"}, ["1.2.1", "1.2.2", "1.2.3"]),
    ({"SOPClassesInStudy": REPORT_CLASS}, []),
    ({"PatientID": "P1", "ModalitiesInStudy": "MR"}, ["1.2.3"]),
    ({"InstitutionName": "elsewhere"}, ["1.2.1", "1.2.2", "1.2.3"]),
]


def found(database: Database, level: Level, **keys: str) -> list[Any]:
    """Values of the unique key of the level, of all answers, sorted."""
    unique = level.unique_key
    question = Question(level, keys)
    return sorted(str(each[unique]) for each in answers(database, question))


@pytest.fixture
def held(database: Database) -> Database:
    hold_three(database)
    return database


def hold_three(database: Database) -> None:
    """Three studies of two patients."""
    hold(database, "1.1", study_time="101530", study_id="S1", series_number=3)
    hold(
        database,
        "1.2",
        study_instance_uid="1.2.2",
        series_instance_uid="1.2.2.1",
        patient_id="P2",
        patient_name="Müller^Anna",
        accession_number="A[2]",
        study_date="20251231",
        study_time="0900",
        modality="MR",
    )
    hold(
        database,
        "1.3",
        study_instance_uid="1.2.3",
        series_instance_uid="1.2.3.1",
        patient_name="Wang^XiaoDong=王^小东",
        accession_number="a1",
        study_date="",
        modality="MR",
    )


@pytest.mark.parametrize(("keys", "studies"), MATCHES)
def test_studies_are_matched_as_the_standard_says(
    held: Database, keys: dict[str, str], studies: list[str]
) -> None:
    assert found(held, Level.STUDY, **keys) == studies


@pytest.mark.parametrize(
    "keys",
    [
        {"StudyInstanceUID": "1.2.*"},
        {"StudyInstanceUID": "one"},
        {"StudyDate": "yesterday"},
        {"StudyDate": "2026-11-21"},
        {"StudyTime": "noon"},
        {"AccessionNumber": "x" * 2000},
        {"AccessionNumber": "\\".join("x" * 100)},
    ],
)
def test_a_value_that_cannot_be_used_is_refused_by_name(
    held: Database, keys: dict[str, str]
) -> None:
    (name,) = keys
    with pytest.raises(RejectedInput, match=name):
        found(held, Level.STUDY, **keys)


def test_what_is_asked_for_is_returned_at_each_level(held: Database) -> None:
    make_result(held)
    (patient,) = answers(
        held,
        Question(
            Level.PATIENT,
            {
                "PatientID": "P1",
                "PatientBirthDate": "",
                "NumberOfPatientRelatedStudies": "",
                "NumberOfPatientRelatedSeries": "",
                "NumberOfPatientRelatedInstances": "",
            },
        ),
    )
    assert patient == {
        "PatientID": "P1",
        "PatientBirthDate": "20000101",
        "NumberOfPatientRelatedStudies": 2,
        "NumberOfPatientRelatedSeries": 3,
        "NumberOfPatientRelatedInstances": 3,
    }
    (study,) = answers(
        held,
        Question(
            Level.STUDY,
            {
                "StudyInstanceUID": "1.2.1",
                "PatientName": "",
                "StudyTime": "",
                "StudyID": "",
                "ModalitiesInStudy": "",
                "SOPClassesInStudy": "",
                "NumberOfStudyRelatedSeries": "",
                "NumberOfStudyRelatedInstances": "",
                "InstitutionName": "",
            },
        ),
    )
    assert study == {
        "StudyInstanceUID": "1.2.1",
        "PatientName": "王^小东",
        "StudyTime": "101530",
        "StudyID": "S1",
        "ModalitiesInStudy": ("SR", "XC"),
        "SOPClassesInStudy": ("1.2.840", REPORT_CLASS),
        "NumberOfStudyRelatedSeries": 2,
        "NumberOfStudyRelatedInstances": 2,
    }
    series = list(
        answers(
            held,
            Question(
                Level.SERIES,
                {
                    "StudyInstanceUID": "1.2.1",
                    "Modality": "",
                    "SeriesNumber": "",
                    "NumberOfSeriesRelatedInstances": "",
                },
            ),
        )
    )
    assert [
        (each["Modality"], each["SeriesNumber"], each["NumberOfSeriesRelatedInstances"])
        for each in series
    ] == [("SR", 901, 1), ("XC", 3, 1)]


def test_instances_and_results_are_found_with_their_numbers(held: Database) -> None:
    make_result(held)
    keys = {"StudyInstanceUID": "1.2.1", "InstanceNumber": "", "Rows": "", "SOPClassUID": ""}
    found_images = list(answers(held, Question(Level.IMAGE, keys)))
    assert found_images == [
        {
            "StudyInstanceUID": "1.2.1",
            "SeriesInstanceUID": "1.2.1.1",
            "SOPInstanceUID": "1.1",
            "InstanceNumber": 1,
            "Rows": 480,
            "SOPClassUID": "1.2.840",
        },
        {
            "StudyInstanceUID": "1.2.1",
            "SeriesInstanceUID": "2.25.1.0",
            "SOPInstanceUID": "2.25.1",
            "InstanceNumber": 1,
            "Rows": "",
            "SOPClassUID": REPORT_CLASS,
        },
    ]
    assert found(held, Level.IMAGE, InstanceNumber="2") == []
    assert found(held, Level.IMAGE, Modality="SR") == ["2.25.1"]


def test_a_result_that_the_archive_sent_back_is_found_once(held: Database) -> None:
    report = make_result(held)
    facts = replace(FACTS, series_instance_uid=report.series_instance_uid, modality="SR")
    catalogue(held, Catalogued(receive(held, "2.25.1"), facts, {}, None, own=True))
    assert found(held, Level.IMAGE, StudyInstanceUID="1.2.1") == ["1.1", "2.25.1"]
    (study,) = answers(
        held,
        Question(Level.STUDY, {"StudyInstanceUID": "1.2.1", "NumberOfStudyRelatedInstances": ""}),
    )
    assert study["NumberOfStudyRelatedInstances"] == 2
    keys = {each.sop_instance_uid: each.key for each in instances_of(held, of_study("1.2.1"))}
    assert keys == {"1.1": "instances/1.1.dcm", "2.25.1": "results/2.25.1/report.dcm"}


def test_a_result_is_found_in_the_study_under_which_it_was_filed(held: Database) -> None:
    make_result(held, filed_under="1.2.2")
    assert found(held, Level.IMAGE, StudyInstanceUID="1.2.1") == ["1.1"]
    assert found(held, Level.IMAGE, StudyInstanceUID="1.2.2") == ["1.2", "2.25.1"]
    asked = {"NumberOfStudyRelatedInstances": "", "ModalitiesInStudy": "SR"}
    (study,) = answers(held, Question(Level.STUDY, asked))
    assert study["StudyInstanceUID"] == "1.2.2"
    assert study["NumberOfStudyRelatedInstances"] == 2
    assert found(held, Level.STUDY, SOPClassesInStudy=REPORT_CLASS) == ["1.2.2"]


def test_an_instance_that_cannot_be_used_is_not_found(held: Database) -> None:
    catalogue(
        held, Catalogued(receive(held, "1.9"), FACTS, {}, "The file is truncated.", own=False)
    )
    assert found(held, Level.IMAGE, StudyInstanceUID="1.2.1") == ["1.1"]
    assert [each.sop_instance_uid for each in instances_of(held, of_study("1.2.1"))] == ["1.1"]


def test_answers_come_in_pages_of_the_database_and_none_is_lost(
    held: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "_PAGE", 2)
    assert len(found(held, Level.STUDY)) == 3
    make_result(held)
    assert len(found(held, Level.IMAGE)) == 4
    every = Question(Level.IMAGE, {})
    uids = [each["SOPInstanceUID"] for each in answers(held, every)]
    parts = [
        each["SOPInstanceUID"]
        for offset in range(4)
        for each in answers(held, every, limit=1, offset=offset)
    ]
    assert parts == uids


def test_reading_does_not_wait_for_who_writes(held: Database) -> None:
    with held.engine.begin() as writing:
        writing.execute(sa.text("UPDATE studies SET description = 'being written'"))
        assert len(found(held, Level.STUDY)) == 3


def test_every_supported_key_can_be_asked_for_at_its_level(held: Database) -> None:
    make_result(held)
    for level in Level:
        keywords = supported_keys(level)
        for answer in answers(held, Question(level, dict.fromkeys(keywords, ""))):
            assert answer.keys() == keywords


def of_study(uid: str) -> Question:
    return Question(Level.STUDY, {"StudyInstanceUID": uid})
