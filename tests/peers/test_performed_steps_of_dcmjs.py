"""Performed procedure steps that a modality of another maker sends: dcmjs-dimse."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dicom_nodes.network.mpps_scp import StepState, performed_step_service
from dicom_nodes.network.storage_scp import Listener, start_listening
from service.catalogue.database import Database
from service.catalogue.performed_steps import KeptSteps, steps_of_studies
from service.settings import Settings
from tests.dicom_nodes.network.listening import Node
from tests.migrated import empty_catalogue
from tests.peers.programs import required

PACKAGE = "dcmjs-dimse@0.3.3"
NODE = "/usr/bin/node"
SCRIPT = Path(__file__).with_name("performed_step_scu.js")
STUDY = "1.2.3"

pytestmark = [pytest.mark.slow, pytest.mark.peer]


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with dcmjs-dimse in it."""
    required(NODE, "nodejs")
    npm = required("/usr/bin/npm", "npm")
    folder = tmp_path_factory.mktemp("dcmjs")
    command = (npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", PACKAGE)
    installed = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)
    if installed.returncode != 0:
        missing = f"npm cannot bring {PACKAGE}: {installed.stderr[-300:]}"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    return folder / "node_modules"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with empty_catalogue(Settings(data_folder=tmp_path / "data")) as opened:
        yield opened


@pytest.fixture
def node(tmp_path: Path, database: Database) -> Iterator[Listener]:
    keeping = Node(tmp_path)
    listener = start_listening(
        keeping.options(),
        keeping.accept,
        place=keeping.place,
        room=keeping.room,
        services=[performed_step_service(KeptSteps(database, timedelta(days=90)))],
    )
    yield listener
    listener.stop(grace_seconds=0.2)


def tell(packages: Path, port: int, step: str, state: str, *instances: str) -> list[dict[str, Any]]:
    told = subprocess.run(
        (NODE, str(SCRIPT), str(port), STUDY, step, state, *instances),
        env={**os.environ, "NODE_PATH": str(packages)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert told.returncode == 0, told.stderr
    return [json.loads(each) for each in told.stdout.splitlines() if each.startswith("{")]


def test_a_step_is_created_ended_and_then_closed_for_good(
    packages: Path, node: Listener, database: Database
) -> None:
    created, ended, again = tell(packages, node.port, "1.2.4.1", "COMPLETED", "1.5", "1.6")
    assert (created["status"], ended["status"], again["status"]) == (0, 0, 0x0110)
    assert "may no longer be updated" in again["comment"]
    (kept,) = steps_of_studies(database, [STUDY])[STUDY]
    assert kept.step.state is StepState.COMPLETED
    assert kept.step.patient_name == "Wang^XiaoDong=王^小东"
    assert kept.step.instances == ("1.5", "1.6")
    assert tell(packages, node.port, "1.2.4.1", "COMPLETED")[0]["status"] == 0x0111


def test_a_discontinued_step_is_kept(packages: Path, node: Listener, database: Database) -> None:
    tell(packages, node.port, "1.2.4.2", "DISCONTINUED", "1.5")
    (kept,) = steps_of_studies(database, [STUDY])[STUDY]
    assert kept.step.state is StepState.DISCONTINUED
