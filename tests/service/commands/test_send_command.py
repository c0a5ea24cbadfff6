from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from typer.testing import Result

from dicom_nodes.objects.study_context import StudyIdentity
from dicom_nodes.objects.vl_photograph import write_vl_photograph
from tests.peers.programs import StoreSCP

Hemiface = Callable[..., Result]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Three instances, one of them in a folder below, and two files that are no DICOM."""
    folder = tmp_path / "study"
    (folder / "below").mkdir(parents=True)
    for number, name in enumerate(("one.dcm", "two.dcm", "below/three.dcm")):
        write_vl_photograph(
            np.full((16, 16, 3), 40 * number, np.uint8),
            StudyIdentity("1.2.3", patient_id="P", patient_name="A^B"),
            folder / name,
            made_at=datetime.now(UTC),
        )
    (folder / "truth.json").write_text("{}")
    (folder / ".hidden.dcm").write_bytes(bytes(128) + b"DICM")
    return folder


def to(peer: StoreSCP) -> tuple[str, ...]:
    return ("--aet", peer.ae_title, "--host", "127.0.0.1", "--port", str(peer.port))


@pytest.mark.peer
def test_a_folder_is_sent_with_what_is_below_it_and_without_what_is_no_dicom(
    hemiface: Hemiface, study: Path, storescp: StoreSCP
) -> None:
    result = hemiface("send", study, *to(storescp))
    assert result.exit_code == 0, result.stderr
    assert "3 of 3 accepted" in result.stdout
    assert len(storescp.stored()) == 3
    assert "truth.json" in result.stderr


@pytest.mark.peer
def test_json_says_what_became_of_each_file(
    hemiface: Hemiface, study: Path, storescp: StoreSCP
) -> None:
    broken = study / "broken.dcm"
    broken.write_bytes(bytes(128) + b"DICM" + b"nonsense")
    result = hemiface("send", study, *to(storescp), "--json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert document["accepted"] == 3
    assert document["not_dicom"] == ["truth.json"]
    by_name = {Path(each["path"]).name: each for each in document["files"]}
    assert by_name["one.dcm"]["accepted"]
    assert by_name["one.dcm"]["status"] == 0
    assert not by_name["broken.dcm"]["accepted"]
    assert by_name["broken.dcm"]["reason"]


@pytest.mark.peer
def test_a_destination_is_found_by_its_name_in_the_settings(
    hemiface: Hemiface, study: Path, storescp: StoreSCP, monkeypatch: pytest.MonkeyPatch
) -> None:
    destination = {
        "name": "archive",
        "ae_title": storescp.ae_title,
        "address": "127.0.0.1",
        "port": storescp.port,
    }
    monkeypatch.setenv("HEMIFACE_DELIVERY__DESTINATIONS", json.dumps([destination]))
    assert hemiface("send", study, "--to", "archive").exit_code == 0
    assert len(storescp.stored()) == 3


def test_without_a_peer_the_node_of_the_settings_is_called(
    hemiface: Hemiface, study: Path, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEMIFACE_DICOM__PORT", str(free_port))
    monkeypatch.setenv("HEMIFACE_DICOM__ADDRESS", "0.0.0.0")
    result = hemiface("send", study)
    assert result.exit_code == 1
    assert "0 of 3 accepted" in result.stdout
    assert f"HEMIFACE at 127.0.0.1:{free_port}" in result.stderr


def test_the_reason_is_said_once_for_all_files_that_it_is_of(
    hemiface: Hemiface, study: Path, free_port: int
) -> None:
    result = hemiface("send", study, "--aet", "X", "--host", "127.0.0.1", "--port", free_port)
    assert result.stderr.count("not accepted:") == 1
    assert "one.dcm" in result.stderr


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--to", "nowhere"), 1, "'nowhere'"),
        (("--to", "nowhere", "--aet", "X"), 2, "--to"),
        (("--aet", "X", "--host", "127.0.0.1"), 2, "--port"),
        (("--aet", "X" * 17, "--host", "127.0.0.1", "--port", "104"), 2, "--aet"),
        (("--calling-ae", " "), 2, "--calling-ae"),
    ],
)
def test_a_wrong_peer_is_explained(
    hemiface: Hemiface, study: Path, options: tuple[str, ...], code: int, said: str
) -> None:
    result = hemiface("send", study, *options)
    assert result.exit_code == code
    assert said in result.stderr


def test_a_folder_without_dicom_is_an_error_in_one_line(hemiface: Hemiface, tmp_path: Path) -> None:
    (tmp_path / "truth.json").write_text("{}")
    result = hemiface("send", tmp_path)
    assert result.exit_code == 1
    assert "no DICOM file" in result.stderr
