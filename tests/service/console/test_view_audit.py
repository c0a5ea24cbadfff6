from __future__ import annotations

import base64

import pytest

from dicom_nodes.network.repetition import Repetition
from service.audit.views import ViewAudit, add_view_audit
from service.catalogue import results
from service.catalogue.database import Database, for_reading
from service.settings import AuditSettings, DicomwebClient, DicomwebSettings, Settings
from tests.dicom_nodes.audit.schema import object_ids
from tests.service.audit.watched_trail import WatchedTrail
from tests.service.console.conftest import Browser
from tests.service.console.seeding import Seeder, ToldEngine, every_state

ACCESSED, QUERY = "DICOM Instances Accessed", "Query"


@pytest.fixture
def trail() -> WatchedTrail:
    return WatchedTrail()


@pytest.fixture
def seconds() -> list[float]:
    return [0.0]


@pytest.fixture
def audited(
    browser: Browser,
    settings: Settings,
    database: Database,
    trail: WatchedTrail,
    seconds: list[float],
) -> Browser:
    chosen = settings.model_copy(
        update={
            "audit": AuditSettings(user_header="X-Remote-User"),
            "dicomweb": DicomwebSettings(clients=(DicomwebClient(name="viewer", token="x" * 40),)),
        }
    )
    audit = ViewAudit(trail, for_reading(database), Repetition(600, lambda: seconds[0]))
    add_view_audit(browser.application, chosen, audit)
    return browser


def test_a_study_that_is_looked_at_is_recorded_with_its_patient(
    audited: Browser, seed: Seeder, engine: ToldEngine, trail: WatchedTrail
) -> None:
    study = every_state(seed, engine)["done"]
    audited.get(f"/api/studies/{study}", {"X-Remote-User": "surgeon"})
    assert trail.events() == [ACCESSED]
    (message,) = trail.messages()
    viewer = message.find("ActiveParticipant")
    assert viewer is not None
    assert (viewer.get("UserID"), viewer.get("UserIsRequestor")) == ("surgeon", "true")
    assert object_ids(message)[0] == study
    assert object_ids(message)[1]


def test_a_result_is_recorded_as_its_study(
    audited: Browser, seed: Seeder, engine: ToldEngine, trail: WatchedTrail, database: Database
) -> None:
    study = every_state(seed, engine)["done"]
    key = results.results_of_study(database, study)[0].key
    assert audited.get(f"/results/{key}").status_code == 200
    (message,) = trail.messages()
    assert object_ids(message)[0] == study


def test_lists_are_queries_with_what_was_asked(audited: Browser, trail: WatchedTrail) -> None:
    audited.get("/")
    audited.get("/api/studies?limit=7")
    assert trail.events() == [QUERY, QUERY]
    asked = [each.findtext(".//ParticipantObjectQuery", "") for each in trail.messages()]
    assert [base64.b64decode(each) for each in asked] == [b"/", b"/api/studies?limit=7"]


def test_the_same_view_is_recorded_once_in_ten_minutes_for_each_user(
    audited: Browser, trail: WatchedTrail, seconds: list[float]
) -> None:
    for _ in range(5):
        audited.get("/", {"X-Remote-User": "surgeon"})
    audited.get("/", {"X-Remote-User": "nurse"})
    audited.get("/", {"Authorization": f"Bearer {'x' * 40}"})
    seconds[0] = 601
    audited.get("/", {"X-Remote-User": "surgeon"})
    users = [each.find("ActiveParticipant") for each in trail.messages()]
    assert [each is not None and each.get("UserID") for each in users] == [
        "surgeon",
        "nurse",
        "viewer",
        "surgeon",
    ]


def test_what_holds_no_patient_data_or_was_not_shown_is_no_record(
    audited: Browser, trail: WatchedTrail
) -> None:
    for path in ("/healthz", "/metrics", "/api/studies/1.2.3", "/results/none", "/nowhere"):
        audited.get(path)
    assert trail.events() == []


def test_an_address_that_is_a_study_of_nobody_stays_text(
    audited: Browser, trail: WatchedTrail
) -> None:
    audited.get("/api/studies/%3Cscript%3E")
    audited.get("/api/studies?limit=5&x=%00%3C/AuditMessage%3E")
    assert trail.events() == [QUERY]
