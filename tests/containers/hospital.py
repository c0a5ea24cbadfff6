"""Orthanc and hemiface as two containers, started by compose on ports that are free."""

from __future__ import annotations

import io
import json
import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from pydicom import Dataset, dcmread

from service.demo_orthanc import LOOPBACK, SITE_FOLDER, OrthancClient, free_ports
from tests.durability.node import REPOSITORY, Node, wait_until
from tests.peers.programs import storescu

# As deploy/test-container names what it builds.
IMAGE, OFFLINE_IMAGE, ORTHANC_IMAGE = (
    "hemiface:test",
    "hemiface:test-offline",
    "hemiface-orthanc:test",
)

COMPREHENSIVE_3D_SR = "1.2.840.10008.5.1.4.1.1.88.34"
_COMPOSE_FILE = REPOSITORY / "deploy" / "compose.yaml"
# A machine that does much else starts and measures in minutes what takes seconds alone.
PATIENCE_SECONDS = 400


def docker(*arguments: str, timeout_seconds: float = 120) -> str:
    """Run a docker command to its end and return what it printed."""
    return _output([*_program("HEMIFACE_DOCKER"), *arguments], timeout_seconds)


def _program(variable: str) -> list[str]:
    """The command that deploy/test-container names in the environment."""
    program = os.environ.get(variable)
    if program is None:
        pytest.fail("the images are built by deploy/test-container; type: make test-container")
    return program.split()


def _output(command: list[str], timeout_seconds: float) -> str:
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        text=True,
        timeout=timeout_seconds,
    )
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout.strip()


@dataclass(slots=True)
class ContainerHospital:
    """The two containers, and what the tests ask of them.

    Attributes
    ----------
    node : Node
        Asks the node in the container; starts no process.
    """

    override: Path
    project: str
    orthanc_dicom_port: int
    client: OrthancClient
    node: Node

    def start(self) -> None:
        """Start both from the images that are there, and return when both answer."""
        self._compose("up", "--detach", "--no-build")
        for service in ("orthanc", "hemiface"):
            wait_until(
                lambda service=service: self._is_running(service) and self._answers(service),
                PATIENCE_SECONDS,
                f"{service} answers",
            )

    def stop(self) -> None:
        """End both and remove what they stored."""
        self._compose("down", "--volumes", "--timeout", "5")
        self.client.close()

    def container(self, service: str) -> str:
        """Identifier of a service's container."""
        return self._compose("ps", "--quiet", service)

    def inside(self, service: str, *command: str) -> str:
        """Run a command in a container, as its user, and return what it printed."""
        return docker("exec", self.container(service), *command)

    def logs(self, service: str) -> str:
        """The last lines that a container has written."""
        return self._compose("logs", "--no-color", "--tail", "60", service)

    def push(self, files: Iterable[Path]) -> None:
        """Send files to Orthanc as a modality."""
        sent = storescu(self.orthanc_dicom_port, files, called="ORTHANC", calling="CAMERA")
        assert sent.returncode == 0, sent.stderr

    def node_is_ready(self) -> bool:
        """Whether the node takes images, as it says itself."""
        try:
            return httpx.get(f"{self.node.url}/readyz", trust_env=False, timeout=20).is_success
        except httpx.TransportError:
            return False

    def arrived(self, study_instance_uid: str) -> set[str]:
        """SOP Instance UIDs that the node has of a study, without its own results."""
        instances = self.node.state(study_instance_uid)["instances"]
        return {each["sop_instance_uid"] for each in instances if not each["own"]}

    def results(self, study_instance_uid: str) -> list[Dataset]:
        """What the node made of a study, as Orthanc holds it."""
        return [
            dcmread(io.BytesIO(self.client.file(each)))
            for each in self.client.instances(study_instance_uid)
            if self.client.calling_ae_title(each) == "HEMIFACE"
        ]

    def reports(self, study_instance_uid: str) -> list[Dataset]:
        """The measurement reports among the results."""
        return [
            each
            for each in self.results(study_instance_uid)
            if each.SOPClassUID == COMPREHENSIVE_3D_SR
        ]

    def wait_until_confirmed(self, study_instance_uid: str) -> None:
        """Wait until Orthanc has committed itself to the results of both analyses."""

        def confirmed() -> bool:
            found = self.node.deliveries(study_instance_uid)
            return len(found) == 2 and all(each["state"] == "confirmed" for each in found)

        try:
            wait_until(
                confirmed, PATIENCE_SECONDS, f"both results of {study_instance_uid} are confirmed"
            )
        except AssertionError as missing:
            state = json.dumps(self.node.state(study_instance_uid), indent=1)
            missing.add_note(f"{state[-6000:]}\n{self.logs('hemiface')}")
            raise

    def _is_running(self, service: str) -> bool:
        state = docker("inspect", "--format", "{{.State.Status}}", self.container(service))
        assert state in {"created", "running"}, f"{service} is {state}: {self.logs(service)}"
        return state == "running"

    def _answers(self, service: str) -> bool:
        return self.client.is_ready() if service == "orthanc" else self.node_is_ready()

    def _compose(self, *arguments: str) -> str:
        files = ["-f", str(_COMPOSE_FILE), "-f", str(self.override)]
        command = [*_program("HEMIFACE_COMPOSE"), "-p", self.project, *files, *arguments]
        return _output(command, 240)


def new_hospital(folder: Path) -> ContainerHospital:
    """The site's compose file with other ports, not started yet."""
    orthanc_dicom, orthanc_http, dicom, http = free_ports(4)
    configuration = json.loads((SITE_FOLDER / "orthanc.json").read_text(encoding="utf-8"))
    configuration |= {"DicomPort": orthanc_dicom, "HttpPort": orthanc_http}
    configuration["DicomModalities"]["hemiface"]["Port"] = dicom
    (folder / "orthanc.json").write_text(json.dumps(configuration, indent=2), encoding="utf-8")
    destination = {
        "name": "orthanc",
        "ae_title": "ORTHANC",
        "address": LOOPBACK,
        "port": orthanc_dicom,
    }
    delivery = {
        "destinations": [destination],
        "always_to": ["orthanc"],
        "first_retry_seconds": 0.5,
        "longest_retry_seconds": 2,
    }
    override = {
        "services": {
            "orthanc": {
                "image": ORTHANC_IMAGE,
                "volumes": [f"{folder}/orthanc.json:/etc/orthanc/orthanc.json:ro"],
            },
            "hemiface": {
                "image": IMAGE,
                "environment": {
                    "HEMIFACE_DICOM__PORT": str(dicom),
                    "HEMIFACE_HTTP__PORT": str(http),
                    "HEMIFACE_DICOM__PROCESSES": "1",
                    "HEMIFACE_STORAGE__RESERVE_BYTES": "0",
                    "HEMIFACE_COMPLETION__QUIET_SECONDS": "3",
                    "HEMIFACE_DELIVERY": json.dumps(delivery),
                },
            },
        }
    }
    # JSON is YAML as well.
    (folder / "override.yaml").write_text(json.dumps(override, indent=2), encoding="utf-8")
    return ContainerHospital(
        override=folder / "override.yaml",
        project=f"hemiface-test-{dicom}",
        orthanc_dicom_port=orthanc_dicom,
        client=OrthancClient(f"http://{LOOPBACK}:{orthanc_http}"),
        node=Node(folder, {}, None, dicom, http),
    )
