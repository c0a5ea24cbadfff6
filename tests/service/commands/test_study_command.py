from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from typer.testing import CliRunner, Result

from dicom_nodes.objects.content_keyed_uids import content_key
from service.analyses import analysis_named
from service.catalogue.database import Database, for_reading
from service.catalogue.stored_bytes import StoredBytes
from service.cli import app
from service.commands import study
from service.settings import DeliverySettings, Destination, Settings
from service.workflow.engine import EngineClient
from tests.service.console.seeding import Seeder, ToldEngine, every_state, work


@dataclass(slots=True)
class OrderedEngine(ToldEngine):
    """Takes down what it is asked to do."""

    asked: list[tuple[str, ...]] = field(default_factory=list)

    def analyse_again(self, uid: str, analysis: str, inputs: Any, key: str) -> str:
        self.asked.append(("analyse", uid, analysis, *inputs))
        return f"analyse:{key}:again"

    def deliver_again(self, key: str, destination: str) -> str:
        self.asked.append(("deliver", key, destination))
        return f"deliver:{key}:again"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    back = Destination(name="PACS", ae_title="CAMERA", address="127.0.0.1", port=104)
    return settings.model_copy(update={"delivery": DeliverySettings(destinations=(back,))})


@pytest.fixture
def engine() -> OrderedEngine:
    return OrderedEngine()


@pytest.fixture
def seed(
    database: Database,
    stored: StoredBytes,
    settings: Settings,
    engine: OrderedEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> Seeder:
    @contextmanager
    def open_node() -> Iterator[study.Node]:
        yield study.Node(settings, for_reading(database), cast(EngineClient, engine))

    monkeypatch.setattr(study, "_open_node", open_node)
    return Seeder(database, stored)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["study", *arguments], env={"COLUMNS": "300"})


def test_the_list_shows_every_study_with_its_state(seed: Seeder, engine: OrderedEngine) -> None:
    of = every_state(seed, engine)
    answer = run("list")
    assert answer.exit_code == 0
    for uid in of.values():
        assert uid in answer.output
    assert "Collins, Eileen Marie Col." in answer.output
    assert "came a second time with other bytes" in answer.output
    document = json.loads(run("list", "--limit", "3", "--json").output)
    assert [each["state"] for each in document["studies"]] == ["receiving", "waiting", "measuring"]


def test_a_hostile_name_neither_colours_nor_clears_the_terminal(seed: Seeder) -> None:
    seed.study("1.2.3", name="\x1b[2J[red]Evil[/red]\x07", description="\x9b31m")
    for command in (["list"], ["show", "1.2.3"], ["why-not", "1.2.3"]):
        output = run(*command).output
        assert not set(output) & {"\x1b", "\x07", "\x9b"}
    assert "[red]Evil[/red]" in run("list").output


def test_show_tells_inputs_evidence_results_and_deliveries(
    seed: Seeder, engine: OrderedEngine
) -> None:
    of = every_state(seed, engine)
    output = run("show", of["done both"]).output
    for words in (
        "1 × XC frontal, 1 × XC left profile, 1 × M3D",
        "by quiet time: nothing came for 30 s",
        "surface-symmetry 1.0.0: measured",
        "MAIN PACS has it since",
        "C-FIND lists all 2 objects",
        "sent to TRIAL",
        "−8.12",
    ):
        assert words in output, words
    document = json.loads(run("show", of["done both"], "--json").output)
    assert document["schema"] == 1
    assert len(document["instances"]) == 3
    assert {each["analysis"] for each in document["results"]} == {
        "photograph-symmetry",
        "surface-symmetry",
    }


def test_a_uid_may_be_given_by_its_beginning_when_that_is_of_one_study(seed: Seeder) -> None:
    for uid in ("1.2.30", "1.2.31", "1.2.3"):
        seed.study(uid)
    assert "1.2.30" in run("show", "1.2.30").output
    assert run("show", "1.2.3").exit_code == 0
    many = run("show", "1.2")
    assert many.exit_code == 1
    assert "more than one study begins with 1.2: 1.2.3, 1.2.30, 1.2.31" in many.output
    none = run("why-not", "9.9")
    assert none.exit_code == 1
    assert "no study begins with '9.9'" in none.output
    assert run("show", "%").exit_code == 1


def test_why_not_says_in_plain_words_what_is_missing(seed: Seeder, engine: OrderedEngine) -> None:
    of = every_state(seed, engine)
    for name, words in {
        "receiving": "still being received",
        "waiting": "waits for a free worker",
        "measuring": "being measured now",
        "retrying": "Connection refused; tried again",
        "nothing": "What is here: 3 × MR",
        "unusable": "2 of its objects cannot be used: Pixel Data (7FE0,0010) ends",
        "refused": "photograph-symmetry refused: The head is turned by 9.4 degrees",
        "failed": "surface-symmetry failed",
        "parked": "delivery to MAIN PACS is parked: 0x0122",
        "kept here": "no destination is set for HEMIFACE_SEND",
        "done": "Nothing is missing",
    }.items():
        answer = run("why-not", of[name])
        assert answer.exit_code == 0
        assert words in answer.output, name
    for entry in ("photograph-symmetry", "surface-symmetry"):
        assert f"{entry}: {analysis_named(entry).declared}" in run("why-not", of["nothing"]).output


def test_run_again_measures_what_has_no_result(seed: Seeder, engine: OrderedEngine) -> None:
    seed.study("1.2.3", {"uid": "1.2.3.1"})
    answer = run("re-run", "1.2.3", "--json")
    assert engine.asked == [("analyse", "1.2.3", "photograph-symmetry", "1.2.3.1")]
    assert json.loads(answer.output)["begun"][0].endswith(":again")
    other = run("re-run", "1.2.3", "--analysis", "surface-symmetry")
    assert other.exit_code == 1
    assert "there is nothing in this study for surface-symmetry" in other.output


def test_run_again_sends_what_has_a_result_but_did_not_arrive(
    seed: Seeder, engine: OrderedEngine
) -> None:
    seed.study("1.2.3", {"uid": "1.2.3.1"})
    entry = analysis_named("photograph-symmetry")
    key = content_key(["1.2.3.1"], entry.name, entry.version)
    seed.result("1.2.3", key, analysis=entry.name)
    engine.work = [work("deliver", "ERROR", key, "OLD PACS", 0, reason="refused")]
    answer = run("re-run", "1.2.3")
    assert engine.asked == [("deliver", key, "PACS"), ("deliver", key, "OLD PACS")]
    assert "would make the same report" in answer.output
    engine.asked.clear()
    engine.work = []
    seed.delivered(key, "PACS")
    run("re-run", "1.2.3")
    assert engine.asked == []


def test_run_again_sends_a_verified_report_that_did_not_arrive(
    seed: Seeder, engine: OrderedEngine
) -> None:
    seed.study("1.2.3", {"uid": "1.2.3.1"})
    entry = analysis_named("photograph-symmetry")
    key = content_key(["1.2.3.1"], entry.name, entry.version)
    seed.result("1.2.3", key, analysis=entry.name)
    report = json.loads(run("show", "1.2.3", "--json").output)["results"][0]["report_uid"]
    seed.result("1.2.3", "verified", analysis=entry.name, predecessor_uid=report)
    seed.delivered(key, "PACS")
    run("re-run", "1.2.3")
    assert engine.asked == [("deliver", "verified", "PACS")]
