from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.audit.chain import log_files, read_record
from service.audit.lifetime import audited_lifetime
from service.audit.trail import audit_folder
from service.cli import app
from service.processes import Role, part_names
from service.settings import (
    AuditRepository,
    AuditSettings,
    DatabaseSettings,
    DicomSettings,
    Settings,
)
from tests.dicom_nodes.audit.schema import event_of, valid


def messages(settings: Settings) -> list[str]:
    return [
        read_record(line).message
        for path in log_files(audit_folder(settings))
        for line in path.read_bytes().splitlines(True)
    ]


def events(settings: Settings) -> list[str]:
    return [event_of(valid(each)) for each in messages(settings)]


def test_start_and_stop_are_recorded(tmp_path: Path) -> None:
    settings = Settings(data_folder=tmp_path)
    with audited_lifetime(settings):
        pass
    assert events(settings) == ["Application Activity"] * 2
    start, stop = messages(settings)
    assert "Application Start" in start
    assert "Application Stop" in stop


def test_settings_that_changed_are_named_without_their_values(tmp_path: Path) -> None:
    secret = "postgresql+psycopg://hemiface:SECRET@db/hemiface"
    before = Settings(data_folder=tmp_path)
    after = Settings(
        data_folder=tmp_path,
        dicom=DicomSettings(port=4711),
        database=DatabaseSettings(url=secret),
    )
    for settings in (before, before, after, after):
        with audited_lifetime(settings):
            pass
    activity = ["Application Activity"]
    assert events(before) == [*activity * 5, "Security Alert", *activity * 3]
    alert = messages(before)[5]
    assert "Security Configuration" in alert
    assert "database.url, dicom.port" in alert
    folder = audit_folder(before)
    assert all(b"SECRET" not in each.read_bytes() for each in folder.iterdir() if each.is_file())


def test_a_repository_gets_a_part_that_sends_to_it() -> None:
    away = Settings()
    sending = Settings(audit=AuditSettings(repository=AuditRepository(address="10.0.0.1")))
    for role in Role:
        assert "auditor-0" not in part_names(away, role)
        assert "auditor-0" in part_names(sending, role)


@pytest.fixture
def logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEMIFACE_DATA_FOLDER", str(tmp_path))
    settings = Settings(data_folder=tmp_path)
    with audited_lifetime(settings):
        pass
    return log_files(audit_folder(settings))[0]


def test_the_command_says_that_the_log_is_whole(logged: Path) -> None:
    answer = CliRunner().invoke(app, ["audit", "verify"])
    assert answer.exit_code == 0
    assert "2 records are whole" in answer.output
    last = read_record(logged.read_bytes().splitlines(True)[-1])
    assert f"Last hash: {last.digest}" in answer.output


def test_the_command_says_where_the_log_is_broken(logged: Path) -> None:
    logged.write_bytes(logged.read_bytes().replace(b"Application Stop", b"Application Sto_"))
    answer = CliRunner().invoke(app, ["audit", "verify"])
    assert answer.exit_code == 1
    assert "audit-000001.jsonl, line 2 record 2 was changed" in answer.output
    found = json.loads(CliRunner().invoke(app, ["audit", "verify", "--json"]).output)
    assert (found["whole"], found["broken"]["line"]) == (False, 2)


def test_the_command_on_no_log_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEMIFACE_DATA_FOLDER", str(tmp_path))
    answer = CliRunner().invoke(app, ["audit", "verify"])
    assert (answer.exit_code, "There is no record" in answer.output) == (0, True)
