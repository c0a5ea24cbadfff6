from __future__ import annotations

import pytest

from service.patient_identity import PatientIdentity, why_not_same_patient

PATIENT = PatientIdentity("P1", "HOSPITAL", "Wang^XiaoDong=王^小东", "19850203")


def identity(
    patient_id: str = "P1",
    issuer: str = "HOSPITAL",
    name: str = "Wang^XiaoDong",
    birth_date: str = "19850203",
) -> PatientIdentity:
    return PatientIdentity(patient_id, issuer, name, birth_date)


@pytest.mark.parametrize(
    "other",
    [
        identity(),
        identity(issuer=""),
        identity(name="WANG^XIAODONG^^^"),
        identity(name="=王^小东"),
        identity(name="Wang^XiaoDong", birth_date=""),
        identity(name=""),
        identity(name="Li^XiaoDong"),
    ],
    ids=[
        "the same",
        "no issuer",
        "case and padding",
        "ideographs only",
        "no birth date",
        "no name",
        "a family name that has changed",
    ],
)
def test_is_the_same_patient(other: PatientIdentity) -> None:
    assert why_not_same_patient(PATIENT, other) is None
    assert why_not_same_patient(other, PATIENT) is None


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (identity(patient_id="P2"), "Patient ID"),
        (identity(patient_id=""), "Patient ID"),
        (identity(issuer="OTHER"), "Issuer"),
        (identity(birth_date="19850204"), "Birth Date"),
        (identity(name="Wang^DaMing"), "Name"),
        (identity(name="Li^XiaoDong", birth_date=""), "Name"),
        (identity(name="", birth_date=""), "neither"),
    ],
    ids=[
        "another ID",
        "no ID",
        "another issuer",
        "born another day",
        "a twin",
        "another family name and no birth date",
        "nothing but an ID",
    ],
)
def test_a_doubt_is_a_no(other: PatientIdentity, reason: str) -> None:
    assert reason in (why_not_same_patient(PATIENT, other) or "")
    assert why_not_same_patient(other, PATIENT) is not None


def test_two_without_an_id_are_not_one_patient() -> None:
    nobody = identity(patient_id="")
    assert why_not_same_patient(nobody, nobody) is not None
