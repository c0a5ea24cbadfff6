"""Which order a study belongs to, and which it is never put under."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_nodes.network.worklist_scu import ScheduledStep
from service.worklist.matching import ArrivedStudy, By, Match, Outcome, match, same_patient
from service.worklist.same_patient import PatientIdentity, differences
from tests.peers.worklists import SCHEDULED

PATIENT = PatientIdentity("P1", "", "Wang^XiaoDong=王^小东", "19800102", "M")
LOOSE = ArrivedStudy(
    study_instance_uid="1.2.1",
    patients=(PATIENT,),
    dates=("20261121",),
    stations=("STUDIO1", "CAMERA"),
    modalities=("XC",),
)
STEP = replace(SCHEDULED, patient_name="WANG^XIAODONG=王^小东")
OTHER = replace(STEP, study_instance_uid="1.2.98", accession_number="A2", procedure_id="R2")


def outcome(found: Match) -> tuple[Outcome, By | None]:
    return found.outcome, found.by


@pytest.mark.parametrize(
    ("study", "by"),
    [
        (replace(LOOSE, study_instance_uid="1.2.99"), By.STUDY_INSTANCE_UID),
        (replace(LOOSE, accession_numbers=("A1",)), By.ACCESSION_NUMBER),
        (replace(LOOSE, procedure_ids=("R1",), dates=()), By.REQUESTED_PROCEDURE),
        (LOOSE, By.PATIENT_DATE_STATION),
    ],
)
def test_what_identifies_an_order_is_tried_in_this_order(study: ArrivedStudy, by: By) -> None:
    found = match(study, [STEP])
    assert outcome(found) == (Outcome.MATCHED, by)
    assert found.step == STEP
    assert "order A1 (Face before operation)" in found.reason


def test_the_strongest_evidence_wins_over_a_weaker_one() -> None:
    study = replace(LOOSE, study_instance_uid=OTHER.study_instance_uid)
    assert match(study, [STEP, OTHER]).step == OTHER


def test_two_orders_of_one_patient_day_and_station_are_ambiguous() -> None:
    found = match(LOOSE, [STEP, OTHER])
    assert outcome(found) == (Outcome.AMBIGUOUS, By.PATIENT_DATE_STATION)
    assert found.step is None
    assert "2 orders" in found.reason
    assert "A1" in found.reason
    assert "A2" in found.reason
    assert "none is taken" in found.reason


def test_several_steps_of_one_order_are_one_order() -> None:
    other_step = replace(STEP, step_id="S0", modality="", station_name="STUDIO1")
    found = match(LOOSE, [other_step, STEP])
    assert outcome(found) == (Outcome.MATCHED, By.PATIENT_DATE_STATION)
    assert found.step == STEP, "the step of the study's own modality"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"patient_name": "Li^Hua=李^华"}, "the names differ"),
        ({"birth_date": "19800103"}, "the birth dates differ"),
        ({"sex": "F"}, "the sexes differ"),
        ({"patient_name": "", "birth_date": ""}, "neither a name nor a birth date"),
    ],
)
def test_the_order_of_another_patient_is_told_and_never_taken(
    changed: dict[str, str], said: str
) -> None:
    for study in (
        LOOSE,
        replace(LOOSE, accession_numbers=("A1",)),
        replace(LOOSE, study_instance_uid="1.2.99"),
    ):
        found = match(study, [replace(STEP, **changed)])
        assert found.outcome is Outcome.MISMATCH
        assert said in found.reason


def test_an_accession_number_of_another_patient_is_a_mismatch() -> None:
    study = replace(LOOSE, accession_numbers=("A1",))
    found = match(study, [replace(STEP, patient_id="P2")])
    assert outcome(found) == (Outcome.MISMATCH, By.ACCESSION_NUMBER)
    assert "the Patient IDs differ" in found.reason


def test_a_study_that_names_an_order_is_put_under_no_other() -> None:
    study = replace(LOOSE, accession_numbers=("A7",))
    found = match(study, [STEP])
    assert outcome(found) == (Outcome.NONE, None)
    assert "A7 is not on the worklist" in found.reason


def test_an_order_that_contradicts_the_study_is_a_mismatch() -> None:
    study = replace(LOOSE, study_instance_uid="1.2.99", accession_numbers=("A7",))
    found = match(study, [STEP])
    assert outcome(found) == (Outcome.MISMATCH, By.STUDY_INSTANCE_UID)
    assert "the study says accession number A7" in found.reason


@pytest.mark.parametrize(
    "study",
    [
        replace(LOOSE, dates=("20261120",)),
        replace(LOOSE, dates=("20261120", "20261121")),
        replace(LOOSE, stations=("STUDIO2",)),
        replace(LOOSE, modalities=("MR",)),
        replace(LOOSE, procedure_ids=("R7",)),
    ],
)
def test_patient_date_and_station_must_all_agree(study: ArrivedStudy) -> None:
    assert match(study, [STEP]).outcome is Outcome.NONE


def test_objects_of_two_patients_in_one_study_have_no_order() -> None:
    study = replace(LOOSE, patients=(PATIENT, replace(PATIENT, patient_id="P2")))
    found = match(study, [STEP])
    assert found.outcome is Outcome.MISMATCH
    assert "do not name the same patient" in found.reason


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Wang^XiaoDong", "WANG^XIAO DONG"),
        ("Wang^XiaoDong=王^小东", "Wang^XiaoDong"),
        ("=王^小东", "Wang^XiaoDong=王^小东"),
        ("\uff37ang^XiaoDong^^", "Wang^XiaoDong"),
    ],
)
def test_names_agree_whatever_their_case_width_and_groups(one: str, other: str) -> None:
    assert not differences(replace(PATIENT, name=one), replace(PATIENT, name=other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Wang^XiaoDong", "Wang^XiaoDang"),
        ("Wang^Xiao^Dong", "Wang^XiaoDong"),
        ("Wang^XiaoDong=王^小东", "Wang^XiaoDong=王^晓东"),
    ],
)
def test_names_that_differ_in_any_group_differ(one: str, other: str) -> None:
    assert differences(replace(PATIENT, name=one), replace(PATIENT, name=other)) == [
        "the names differ"
    ]


TEXT = st.sampled_from(["", "A", "B"])


@given(
    study=st.builds(
        ArrivedStudy,
        study_instance_uid=st.sampled_from(["1.1", "1.2"]),
        patients=st.lists(st.builds(PatientIdentity, TEXT, TEXT, TEXT, TEXT, TEXT)).map(tuple),
        accession_numbers=st.sampled_from([(), ("A",), ("B",), ("A", "B")]),
        procedure_ids=st.sampled_from([(), ("A",)]),
        dates=st.sampled_from([(), ("A",)]),
        stations=st.sampled_from([(), ("A",)]),
        modalities=st.sampled_from([(), ("A",)]),
    ),
    steps=st.lists(
        st.builds(ScheduledStep, st.sampled_from(["1.1", "1.2"]), *(TEXT for _ in range(17))),
        max_size=4,
    ),
)
def test_whatever_comes_only_an_order_of_the_same_patient_is_taken(
    study: ArrivedStudy, steps: list[ScheduledStep]
) -> None:
    found = match(study, steps)
    if found.outcome is not Outcome.MATCHED:
        assert found.reason
        return
    assert found.step is not None
    assert same_patient(study, found.step) == []
    assert all(each == found.step.accession_number for each in study.accession_numbers) or (
        found.step.accession_number == ""
    )
