from __future__ import annotations

import shutil
import socket
import threading
from html.parser import HTMLParser

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.catalogue import results
from service.catalogue.database import Database
from service.catalogue.stored_bytes import StoredBytes
from service.console import health
from service.console.server import run_console
from service.processes import metrics_folder
from service.settings import DicomSettings, HttpSettings, Settings, StorageSettings
from service.workflow.engine import migrate_engine
from tests.service.console.conftest import Browser
from tests.service.console.seeding import Seeder, ToldEngine, every_state, work

HOSTILE = '<script>alert("x")</script>^<img src=x onerror=alert(1)>'


class Tags(HTMLParser):
    """Which tags and attributes a page really has."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: str) -> Tags:
    tags = Tags()
    tags.feed(page)
    return tags


def test_the_page_shows_studies_results_and_deliveries(
    browser: Browser, seed: Seeder, engine: ToldEngine
) -> None:
    every_state(seed, engine)
    page = read(browser.get("/").text)
    for words in (
        "Collins, Eileen Marie Col.",
        "volume discrepancy left −8.12 ± 0.41 mL".replace(" ± ", "\xa0±\xa0").replace(
            " mL", "\xa0mL"
        ),
        "MAIN PACS: confirmed",
        "quiet time: nothing came for 30 s",
        "came a second time with other bytes",
        "no Study Instance UID (0020,000D)",
        "For research use. Not a medical device.",
    ):
        assert words in page.text, words


def test_a_hostile_string_in_any_place_stays_text(
    browser: Browser, seed: Seeder, engine: ToldEngine
) -> None:
    uid = seed.study(
        "1.2.3",
        {"sender": "<b>PACS</b>", "modality": "<i>", "view": "<u>"},
        {"sender": "<b>PACS</b>", "reason": HOSTILE},
        name=HOSTILE,
        patient_id=HOSTILE,
        description=HOSTILE,
    )
    seed.result(uid, "k", status="refused", reason=HOSTILE)
    seed.delivered("k", "<b>PACS</b>", HOSTILE)
    engine.work = [work("analyse", "ERROR", uid, HOSTILE, [], "other", reason=HOSTILE)]
    seed.study("1.2.4", {"in_study": False, "uid": "1.9", "reason": HOSTILE})
    page = read(browser.get("/").text)
    tags = [tag for tag, _ in page.seen]
    assert tags.count("script") == 1
    assert not {"img", "b", "i", "u"} & set(tags)
    assert all(not name.startswith("on") for _, attributes in page.seen for name in attributes)
    assert '<script>alert("x")</script>' in page.text


def test_the_page_loads_nothing_from_elsewhere_and_says_so_to_the_browser(
    browser: Browser,
) -> None:
    answer = browser.get("/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["cache-control"] == "no-store"
    for _, attributes in read(answer.text).seen:
        for name in ("src", "href"):
            assert (attributes.get(name) or "/").startswith("/")
    for path in ("/static/console.css", "/static/console.js", "/static/icon.svg"):
        assert browser.get(path).status_code == 200


def test_a_name_that_somebody_else_gave_to_this_machine_is_not_served(
    browser: Browser,
) -> None:
    assert browser.get("/", headers={"Host": "evil.example:8080"}).status_code == 421
    assert browser.get("/api/studies", headers={"Host": "evil.example"}).status_code == 421
    for host in ("localhost:8080", "127.0.0.1:8080", "[::1]:8080"):
        assert browser.get("/healthz", headers={"Host": host}).status_code == 200


def test_the_api_gives_the_same_studies_as_json(
    browser: Browser, seed: Seeder, engine: ToldEngine
) -> None:
    of = every_state(seed, engine)
    listed = browser.get("/api/studies").json()
    assert len(listed["studies"]) == 14
    assert len(listed["unusable"]) == 2
    first = browser.get("/api/studies?limit=3").json()["studies"]
    assert [each["study_instance_uid"] for each in first] == [
        each["study_instance_uid"] for each in listed["studies"][:3]
    ]
    one = browser.get(f"/api/studies/{of['done both']}").json()
    assert one["state"] == "done"
    assert len(one["instances"]) == 3
    scan = next(each for each in one["results"] if each["analysis"] == "surface-symmetry")
    assert scan["measurements"][0]["value"] == -8.12
    assert [each["state"] for each in scan["deliveries"]] == ["confirmed", "sent"]
    assert browser.get("/api/studies/1.2.3.4.5").status_code == 404
    assert browser.get("/api/studies?limit=0").status_code == 422


def test_readiness_names_every_reason(
    browser: Browser,
    database: Database,
    stored: StoredBytes,
    monkeypatch: pytest.MonkeyPatch,
    free_port: int,
    settings: Settings,
) -> None:
    away = settings.model_copy(update={"dicom": DicomSettings(port=free_port)})
    full = away.model_copy(update={"storage": StorageSettings(reserve_bytes=10**18)})
    found = health.health_of(full, database, stored)
    assert len(found.reasons) == 2
    assert "the DICOM port does not answer" in found.reasons[0]
    assert "the disk is full" in found.reasons[1]
    assert found.warnings == ("no worker is running: images are kept, but not measured",)
    results.beat(database, "host-worker-0")
    monkeypatch.setattr(health, "echo", lambda peer: None)
    answer = browser.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"ready": True, "reasons": [], "warnings": [], "workers": 1}


def test_a_node_that_is_not_ready_answers_503(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "_dicom_fault", lambda settings: "the DICOM port does not answer")
    answer = browser.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["reasons"] == ["the DICOM port does not answer"]
    assert browser.get("/healthz").json() == {"status": "alive"}


def test_metrics_hold_gauges_of_the_present_moment(
    browser: Browser, seed: Seeder, settings: Settings
) -> None:
    metrics_folder(settings).mkdir(parents=True)
    seed.study("1.2.3", {}, {})
    samples = {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(browser.get("/metrics").text)
        for sample in family.samples
    }
    assert samples["hemiface_queue_depth", ("analysis",)] == 2
    assert samples["hemiface_studies", ()] == 1
    assert samples["hemiface_instances", ()] == 2
    assert samples["hemiface_free_bytes", ()] > 0


def test_a_database_that_is_away_gives_503_and_not_a_traceback(
    browser: Browser, database: Database, settings: Settings
) -> None:
    database.close()
    shutil.rmtree(settings.data_folder)
    answer = browser.get("/")
    assert answer.status_code == 503
    assert answer.text == "the database does not answer; try again"


def test_the_console_serves_until_it_is_stopped(
    settings: Settings, database: Database, free_port: int
) -> None:
    migrate_engine(settings)
    own = settings.model_copy(update={"http": HttpSettings(port=free_port)})
    stopped = threading.Event()
    serving = threading.Thread(target=run_console, args=(own, "host-console-0", stopped))
    serving.start()
    try:
        transport = httpx.HTTPTransport(retries=5)
        with httpx.Client(transport=transport, trust_env=False) as client:
            answer = client.get(f"http://127.0.0.1:{free_port}/healthz")
        assert answer.status_code == 200
    finally:
        stopped.set()
        serving.join(20)
    assert not serving.is_alive()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", free_port)) != 0
