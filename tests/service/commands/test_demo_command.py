from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import psutil
import pytest
from typer.testing import Result

from processing.measurement import TransientFault
from service import demo_orthanc, demonstration
from service.demo_node import DemoNode, NodePorts
from service.demo_orthanc import OrthancClient
from service.phantom_study import PhantomStudy
from service.settings import Destination, Settings
from service.truth_comparison import Row
from tests.peers.programs import required

Hemiface = Callable[..., Result]
DESTINATION = Destination(name="orthanc", ae_title="ORTHANC", address="127.0.0.1", port=4242)


def test_a_folder_with_something_in_it_is_not_taken(hemiface: Hemiface, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "mine.txt").write_text("mine")
    result = hemiface("demo", "--keep", tmp_path / "kept")
    assert result.exit_code == 2
    assert "not empty" in result.stderr
    assert (tmp_path / "kept" / "mine.txt").read_text() == "mine"


def test_without_orthanc_one_line_says_what_to_install(
    hemiface: Hemiface, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_orthanc.shutil, "which", lambda *_args, **_names: None)
    result = hemiface("demo")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].startswith("hemiface: Orthanc is not installed")
    assert "apt-get install orthanc" in result.stderr


def test_the_settings_of_the_demos_node_are_those_of_its_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEMIFACE_DICOM__PORT", "104")
    model = tmp_path / 'a "quoted" folder' / "model.task"
    node = DemoNode(tmp_path, NodePorts(dicom=11113, http=8081), DESTINATION, model)
    environment = node.prepare()
    assert {name for name in environment if name.startswith("HEMIFACE_")} == {"HEMIFACE_SETTINGS"}
    for name in [each for each in os.environ if each.startswith("HEMIFACE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HEMIFACE_SETTINGS", environment["HEMIFACE_SETTINGS"])
    settings = Settings()
    assert tomllib.loads((tmp_path / "hemiface.toml").read_text())
    assert settings.dicom.port == 11113
    assert settings.http.port == 8081
    assert settings.face_model == model
    assert settings.data_folder == tmp_path / "data"
    assert settings.delivery.destinations == (DESTINATION,)


def test_a_missed_target_is_named_and_ends_with_exit_status_1(
    hemiface: Hemiface, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = (
        Row("one", "volume", -8.0, -7.95, 0.1, "mL", "within 10%", True),
        Row("one", "angle", 0.0, None, None, "deg", "within 0.3 deg", False),
        Row("one", "offset", 0.0, -0.25, None, "mm"),
    )
    monkeypatch.setattr("service.demonstration.demonstrate", lambda *_arguments: rows)
    result = hemiface("demo")
    assert result.exit_code == 1
    assert "1 of 2 targets are missed: angle (one)" in result.stdout
    assert "not measured" in result.stdout
    document = json.loads(hemiface("demo", "--json").stdout)
    assert [each["passed"] for each in document["rows"]] == [True, False, None]


class EmptyOrthanc:
    def instances(self, _study_instance_uid: str) -> tuple[str, ...]:
        return ()


class ForgetfulNode:
    def study_states(self, _uids: list[str]) -> list[Any]:
        return []

    def last_log_lines(self) -> str:
        return "the last line"


def test_when_nothing_moves_any_more_the_stage_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, phantom_study: PhantomStudy
) -> None:
    monkeypatch.setattr(demonstration, "_PATIENCE_SECONDS", 0.6)
    shown: list[str] = []
    with pytest.raises(TransientFault, match=r"not received yet.*the last line"):
        demonstration.wait_for_reports(
            cast(OrthancClient, EmptyOrthanc()),
            cast(DemoNode, ForgetfulNode()),
            [demonstration.Sought("symmetric", phantom_study)],
            tmp_path,
            demonstration.Screen(doing=shown.append, done=shown.append),
        )
    assert "symmetric: not received yet" in shown[0]


@pytest.mark.slow
@pytest.mark.peer
@pytest.mark.timeout(900)
def test_the_whole_way_meets_every_target_and_leaves_nothing_behind(tmp_path: Path) -> None:
    required("/usr/sbin/Orthanc", "orthanc")
    before = {process.pid for process in psutil.process_iter()}
    ended = subprocess.run(
        [sys.executable, "-c", "from service.cli import main; main()", "demo", "--json"],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=850,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    rows = json.loads(ended.stdout)["rows"]
    assert {row["phantom"] for row in rows} == {"deficit of the left cheek", "symmetric"}
    assert [row["passed"] for row in rows if row["target"]] == [True] * 4
    assert list(tmp_path.iterdir()) == []
    left = [
        process.info["cmdline"]
        for process in psutil.process_iter(["pid", "cmdline"])
        if process.info["pid"] not in before
        and str(tmp_path) in " ".join(process.info["cmdline"] or ())
    ]
    assert left == []
