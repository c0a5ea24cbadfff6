from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from service.cli import app

HEAVY = ("mediapipe", "vtkmodules", "dbos", "pydicom", "sqlalchemy", "fastapi", "rich.table")


def run(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env=environment)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_every_command_is_there_and_says_what_it_does() -> None:
    names = {each.name for each in app.registered_commands}
    nodes = {"serve", "demo", "doctor", "worklist", "conformance"}
    assert names == nodes | {"phantom", "wrap", "send", "analyze"}
    assert {each.name for each in app.registered_groups} == {"audit", "study"}
    for name in (*names, "study"):
        answer = run(str(name), "--help")
        assert answer.exit_code == 0
        assert "Usage" in answer.output


def test_the_command_line_is_read_without_loading_what_commands_need() -> None:
    said = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys, service.cli; print([each for each in {HEAVY} if each in sys.modules])",
        ],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.strip() == "[]"


def test_the_version_is_shown() -> None:
    assert run("--version").output.startswith("hemiface ")


def test_a_node_that_was_never_started_is_said_in_one_line() -> None:
    answer = run("study", "list", HEMIFACE_DATA_FOLDER="nothing-here")
    assert answer.exit_code == 1
    (line,) = answer.stderr.splitlines()
    assert line.startswith("hemiface: there is no catalogue in ")
    assert not Path("nothing-here").exists()


def test_debug_lets_the_fault_through() -> None:
    answer = run("--debug", "study", "list", HEMIFACE_DATA_FOLDER="nothing-here")
    assert type(answer.exception).__name__ == "PermanentFault"


def test_a_setting_that_cannot_be_used_is_named_in_one_line() -> None:
    answer = run("study", "list", HEMIFACE_DICOM__PORT="eleven")
    assert answer.exit_code == 1
    (line,) = answer.stderr.splitlines()
    assert "dicom.port" in line
    assert "'eleven'" in line


def test_a_settings_file_that_is_no_toml_is_named_in_one_line() -> None:
    Path("site.toml").write_text("[dicom\nport = 1")
    answer = run("study", "list", HEMIFACE_SETTINGS="site.toml")
    assert answer.exit_code == 1
    (line,) = answer.stderr.splitlines()
    assert line.startswith("hemiface: site.toml is no TOML file: ")


def test_a_database_that_is_away_is_said_in_one_line(free_port: int) -> None:
    url = f"postgresql://nobody@127.0.0.1:{free_port}/none"
    answer = run("study", "list", HEMIFACE_DATABASE__URL=url)
    assert answer.exit_code == 1
    (line,) = answer.stderr.splitlines()
    assert line.startswith("hemiface: the database cannot be opened")


def test_an_empty_catalogue_is_no_fault(tmp_path: Path) -> None:
    from service.catalogue.database import migrate
    from service.settings import Settings
    from service.workflow.engine import migrate_engine

    settings = Settings(data_folder=tmp_path / "data")
    migrate(settings)
    migrate_engine(settings)
    folder = str(settings.data_folder)
    answer = run("study", "list", HEMIFACE_DATA_FOLDER=folder)
    assert (answer.exit_code, answer.output) == (0, "No study has arrived yet.\n")
    listed = json.loads(run("study", "list", "--json", HEMIFACE_DATA_FOLDER=folder).output)
    assert listed == {"schema": 1, "studies": [], "unusable": []}
