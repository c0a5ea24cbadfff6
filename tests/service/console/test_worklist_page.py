"""The worklist as a page, as JSON and on the command line."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta

from typer.testing import CliRunner

from dicom_nodes.network.mpps_scp import PerformedStep, StepState
from service.catalogue import worklist
from service.catalogue.database import Database
from service.catalogue.orders import RecordedOrder, record_order_of_study
from service.catalogue.performed_steps import KeptSteps
from service.cli import app
from service.settings import Settings
from service.worklist.matching import By, Outcome
from tests.service.console.conftest import Browser
from tests.service.console.seeding import NOW, Seeder
from tests.service.worklist.test_matching import OTHER, STEP

HOSTILE = '<script>alert("x")</script>'


def schedule(database: Database) -> None:
    hostile = replace(OTHER, patient_name=HOSTILE, procedure_description=HOSTILE)
    worklist.record_answer(
        database, "ris", [STEP, hostile], ["scheduled step S9: Patient ID is missing"], date.min
    )


def put_under_order(database: Database, study: str, correction: str) -> None:
    record_order_of_study(
        database,
        study,
        RecordedOrder(
            key=f"{study} {correction}",
            outcome=Outcome.MATCHED,
            found_by=By.PATIENT_DATE_STATION,
            reason="order A1 has the same patient, date and station",
            correction=correction,
            step=STEP,
            decided_at=NOW,
        ),
    )


def discontinued(study: str) -> PerformedStep:
    return PerformedStep(
        sop_instance_uid="1.2.5",
        state=StepState.DISCONTINUED,
        study_instance_uids=(study,),
        patient_name=HOSTILE,
        station_ae_title="STUDIO1",
        reason="Incorrect worklist entry selected",
    )


def test_before_anything_is_asked_the_page_says_how_to_begin(browser: Browser) -> None:
    assert "[worklist.peer]" in browser.get("/worklist").text


def test_the_page_shows_what_is_scheduled_and_what_arrived(
    browser: Browser, seed: Seeder, database: Database
) -> None:
    schedule(database)
    study = seed.study("1.2.3")
    put_under_order(database, study, "copies")
    page = browser.get("/worklist").text
    assert "WANG, XIAODONG (王 小东)" in page
    assert "Face before operation" in page
    assert "2026-11-21" in page
    assert "STAT" in page
    assert study in page
    assert "left out: scheduled step S9: Patient ID is missing" in page
    assert HOSTILE not in page
    assert "&lt;script&gt;" in page


def test_a_worklist_that_cannot_be_asked_is_a_warning(browser: Browser, database: Database) -> None:
    worklist.record_fault(database, "ris", "ris (RIS at 127.0.0.1:1) cannot be reached")
    page = browser.get("/worklist").text
    assert 'class="warning"' in page
    assert "cannot be reached" in page
    assert "never answered" in page


def test_a_study_shows_its_order_and_what_its_modality_said(
    browser: Browser, seed: Seeder, database: Database
) -> None:
    study = seed.study("1.2.3")
    put_under_order(database, study, "copies")
    KeptSteps(database, timedelta(days=1)).create(discontinued(study), "STUDIO1")
    page = browser.get("/").text
    assert "order A1 has the same patient, date and station" in page
    assert "corrected copies and the results are in the order&#39;s study 1.2.99" in page
    assert "DISCONTINUED (Incorrect worklist entry selected); it starts nothing" in page
    found = browser.get(f"/api/studies/{study}").json()
    assert found["order"]["outcome"] == "matched"
    assert found["order"]["accession_number"] == "A1"
    assert found["performed_steps"][0]["state"] == "DISCONTINUED"


def test_an_order_that_is_not_certain_is_said_beside_the_state(
    browser: Browser, seed: Seeder, database: Database
) -> None:
    study = seed.study("1.2.3")
    order = RecordedOrder(
        "key", Outcome.AMBIGUOUS, None, "2 orders fit; none is taken", "none", None, NOW
    )
    record_order_of_study(database, study, order)
    page = browser.get("/").text
    assert '<p class="care">Order not taken (ambiguous): 2 orders fit; none is taken</p>' in page


def test_the_same_as_json_and_on_the_command_line(
    browser: Browser,
    seed: Seeder,
    database: Database,
    settings: Settings,
) -> None:
    schedule(database)
    study = seed.study("1.2.3")
    put_under_order(database, study, "results")
    KeptSteps(database, timedelta(days=1)).create(discontinued(study), "STUDIO1")
    from_page = browser.get("/api/worklist").json()
    environment = {"HEMIFACE_DATA_FOLDER": str(settings.data_folder)}
    ran = CliRunner().invoke(app, ["worklist", "--json"], env=environment)
    assert json.loads(ran.stdout) == from_page
    scheduled = {each["accession_number"]: each for each in from_page["scheduled"]}
    assert scheduled["A1"]["studies"] == [study]
    assert scheduled["A2"]["studies"] == []
    text = CliRunner().invoke(app, ["worklist"], env=environment | {"COLUMNS": "200"}).stdout
    assert "ris answered" in text
    assert "Face before operation" in text
    assert "not yet" in text
    assert "STUDIO1: DISCONTINUED" in text
