from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from processing.face_model import find_face_model
from processing.measurement import PermanentFault, TransientFault
from service import checks
from service.catalogue.database import migrate
from service.checks import Outcome, Verdict
from service.cli import app
from service.commands import doctor
from service.settings import DeliverySettings, Destination, Settings, StorageSettings

PACS = Destination(name="PACS", ae_title="PACS", address="127.0.0.1", port=104)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_folder=tmp_path / "data", storage=StorageSettings(reserve_bytes=0))


def run(monkeypatch: pytest.MonkeyPatch, outcomes: list[Outcome], *options: str) -> tuple[int, str]:
    found = [(f"check {number}", lambda each=each: each) for number, each in enumerate(outcomes)]
    monkeypatch.setattr(checks, "every_check", lambda settings: iter(found))
    answer = CliRunner().invoke(app, ["doctor", *options])
    return answer.exit_code, answer.stdout


def test_the_exit_status_tells_whether_something_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    good = Outcome(Verdict.OK, "fine")
    note = Outcome(Verdict.NOTE, "none is set", "add one")
    wrong = Outcome(Verdict.WRONG, "the disk is full", "free some space")
    assert run(monkeypatch, [good, note])[0] == 0
    code, output = run(monkeypatch, [good, wrong])
    assert code == 1
    assert "the disk is full" in output
    assert "→ free some space" in output
    code, output = run(monkeypatch, [note, wrong], "--json")
    document = json.loads(output)
    assert code == 1
    assert document["healthy"] is False
    assert document["checks"][1]["advice"] == "free some space"


def test_a_fresh_machine_gets_notes_and_no_files(settings: Settings) -> None:
    assert checks.data_folder(settings).verdict is Verdict.OK
    assert checks.database(settings).verdict is Verdict.NOTE
    assert checks.destinations_named(settings).verdict is Verdict.NOTE
    assert not settings.data_folder.exists()


def test_the_database_is_compared_with_the_schema_of_this_version(settings: Settings) -> None:
    migrate(settings)
    assert checks.database(settings).verdict is Verdict.OK


def test_less_room_than_the_reserve_is_wrong(settings: Settings) -> None:
    assert checks.disk(settings).verdict is Verdict.OK
    greedy = settings.model_copy(update={"storage": StorageSettings(reserve_bytes=10**18)})
    assert checks.disk(greedy).verdict is Verdict.WRONG


def test_a_data_folder_that_cannot_be_made_is_wrong(tmp_path: Path) -> None:
    found = checks.data_folder(Settings(data_folder=Path("/proc/hemiface")))
    assert found.verdict is Verdict.WRONG
    assert "HEMIFACE_DATA_FOLDER" in (found.advice or "")


def test_another_file_than_the_face_model_is_wrong(settings: Settings) -> None:
    model = settings.data_folder / "models" / "face_landmarker.task"
    model.parent.mkdir(parents=True)
    model.write_bytes(b"something else")
    found = checks.face_model(settings)
    assert found.verdict is Verdict.WRONG
    assert "--fetch-model" in (found.advice or "")
    assert checks.mediapipe(settings).verdict is Verdict.NOTE


def test_mediapipe_opens_in_a_child(settings: Settings) -> None:
    assert checks.mediapipe(settings) == Outcome(Verdict.OK, "the face detector opens")


def test_the_model_is_fetched_into_the_data_folder_only_when_asked(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(into: Path) -> Path:
        into.mkdir(parents=True)
        return Path(shutil.copy(find_face_model(None, None), into))

    monkeypatch.setattr("processing.face_model.download_face_model", download)
    monkeypatch.setenv("HEMIFACE_DATA_FOLDER", str(settings.data_folder))
    good = [Outcome(Verdict.OK, "fine")]
    assert run(monkeypatch, good)[0] == 0
    assert not (settings.data_folder / "models").exists()
    assert run(monkeypatch, good, "--fetch-model")[0] == 0
    assert (settings.data_folder / "models" / "face_landmarker.task").is_file()
    assert doctor.command.__doc__


@pytest.mark.parametrize(
    ("fault", "advice"),
    [
        (TransientFault("PACS cannot be reached: Connection refused"), "firewall"),
        (PermanentFault("PACS rejected the association"), "HEMIFACE"),
    ],
)
def test_a_destination_that_does_not_answer_is_wrong_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, fault: Exception, advice: str
) -> None:
    def fail(peer: object) -> None:
        raise fault

    monkeypatch.setattr(checks, "echo", fail)
    found = checks.answers(PACS, "HEMIFACE")
    assert found.verdict is Verdict.WRONG
    assert found.finding == str(fault)
    assert advice in (found.advice or "")


def test_a_result_sent_to_a_destination_that_is_not_there_is_wrong(settings: Settings) -> None:
    delivery = DeliverySettings(destinations=(PACS,), always_to=("PACS", "TRIAL"))
    found = checks.destinations_named(settings.model_copy(update={"delivery": delivery}))
    assert found.verdict is Verdict.WRONG
    assert "TRIAL" in found.finding
    assert [name for name, _ in checks.every_check(settings)] == [
        "settings",
        "data folder",
        "disk",
        "database",
        "port 11112",
        "port 8080",
        "face model",
        "MediaPipe",
        "rendering",
        "destinations",
    ]
