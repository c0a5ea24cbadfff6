"""A whole hemiface node as processes, to be started, killed and asked."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from dicom_nodes.network.storage_scu import Peer, send_files
from service.demo_orthanc import OrthancServer, free_ports
from tests.dicom_nodes.network.scripted_peer import A_ASSOCIATE_AC, A_RELEASE_RP, ECHO, connect

REPOSITORY = Path(__file__).resolve().parents[2]
AE_TITLE = "HEMIFACE"


def wait_until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait until the condition holds; fail with `what` when it does not."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.1)


@dataclass
class Node:
    """A node with a data folder of its own, on free ports."""

    data_folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    dicom_port: int = 0
    http_port: int = 0

    @classmethod
    def delivering_to(
        cls,
        folder: Path,
        pacs: OrthancServer | None,
        settings: Mapping[str, str] | None = None,
    ) -> Node:
        """A node whose results go to this PACS."""
        dicom_port, http_port = free_ports(2)
        delivery: dict[str, Any] = {"first_retry_seconds": 0.5, "longest_retry_seconds": 2}
        if pacs is not None:
            delivery["destinations"] = [
                {
                    "name": "pacs",
                    "ae_title": "ORTHANC",
                    "address": "127.0.0.1",
                    "port": pacs.dicom_port,
                }
            ]
            delivery["always_to"] = ["pacs"]
        environment = {
            "HEMIFACE_DATA_FOLDER": str(folder / "data"),
            "HEMIFACE_SETTINGS": str(folder / "none.toml"),
            "HEMIFACE_DICOM__PORT": str(dicom_port),
            "HEMIFACE_HTTP__PORT": str(http_port),
            "HEMIFACE_STORAGE__RESERVE_BYTES": "0",
            "HEMIFACE_COMPLETION__QUIET_SECONDS": "3",
            # One receiver is enough where throughput does not count, and starts sooner.
            "HEMIFACE_DICOM__PROCESSES": "1",
            "HEMIFACE_DELIVERY": json.dumps(delivery),
            **(settings or {}),
        }
        return cls(folder / "data", environment, None, dicom_port, http_port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    def start(self, extra: Mapping[str, str] | None = None) -> None:
        """Start all processes; returns before they are ready."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "service.cli", "serve"],
            env={**os.environ, **self.environment, **(extra or {})},
            cwd=REPOSITORY,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )

    def start_to_be_killed(self, points: Iterable[str], kill_at: Path) -> None:
        """Start all processes; one that comes to the point that `kill_at` names kills itself."""
        self.start(
            {
                "PYTHONPATH": str(Path(__file__).parent / "kill_at"),
                "HEMIFACE_TEST_KILL_POINTS": " ".join(points),
                "HEMIFACE_TEST_KILL_AT": str(kill_at),
            }
        )
        self.wait_until_listening()

    def wait_until_listening(self) -> None:
        wait_until(self._listens, 180, "the node listens")

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.dicom_port)) == 0

    def processes(self) -> list[psutil.Process]:
        """The supervisor and all below it."""
        if self.process is None or self.process.poll() is not None:
            return []
        try:
            supervisor = psutil.Process(self.process.pid)
            return [supervisor, *supervisor.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def process_of(self, part: str) -> psutil.Process:
        """The process of a part, waiting until there is one."""
        found: list[psutil.Process] = []

        def runs() -> bool:
            found[:] = [each for each in self.processes() if each.cmdline()[-1:] == [part]]
            return bool(found)

        wait_until(runs, 40, f"{part} runs")
        return found[0]

    def kill(self) -> None:
        """kill -9 of everything at once."""
        for each in self.processes():
            try:
                each.send_signal(signal.SIGKILL)
            except psutil.NoSuchProcess:
                continue
        if self.process is not None:
            self.process.wait()
        wait_until(lambda: not self._listens(), 30, "nobody listens any more")

    def stop(self) -> None:
        """SIGTERM, as an administrator would."""
        assert self.process is not None
        self.process.terminate()
        self.process.wait(40)

    def send(self, files: Iterable[Path]) -> set[Path]:
        """Send files as a modality would; gives those that were acknowledged with success."""
        peer = Peer(
            name="node",
            ae_title=AE_TITLE,
            address="127.0.0.1",
            port=self.dicom_port,
            own_ae_title="CAMERA",
        )
        ordered = list(files)
        outcomes = send_files(peer, ordered)
        return {file for file, outcome in zip(ordered, outcomes, strict=True) if outcome.accepted}

    def send_until_acknowledged(self, files: Iterable[Path], seconds: float = 60) -> None:
        """Send again and again what is not acknowledged yet, as a modality would."""
        remaining = set(files)
        deadline = time.monotonic() + seconds
        while remaining:
            remaining -= self.send(sorted(remaining))
            assert time.monotonic() < deadline, f"{len(remaining)} files are not acknowledged"
            if remaining:
                time.sleep(0.3)

    def echo_seconds(self) -> float:
        """How long an association with one C-ECHO takes; it must succeed at the first try."""
        began = time.monotonic()
        with connect(self.dicom_port, timeout=10) as peer:
            assert peer.associate(ECHO, calling="HONEST")[0] == A_ASSOCIATE_AC
            assert peer.echo() == 0x0000
            assert peer.release() == A_RELEASE_RP
        return time.monotonic() - began

    def state(self, study_instance_uid: str) -> dict[str, Any]:
        """What the node says of a study; nothing while it does not know it or does not answer."""
        nothing: dict[str, Any] = {"results": [], "instances": [], "work": [], "complete": []}
        try:
            answer = httpx.get(
                f"{self.url}/api/studies/{study_instance_uid}", trust_env=False, timeout=30
            )
        except httpx.TransportError:
            return nothing
        if answer.status_code == httpx.codes.NOT_FOUND:
            return nothing
        answer.raise_for_status()
        state: dict[str, Any] = answer.json()
        return state

    def deliveries(self, study_instance_uid: str) -> list[dict[str, Any]]:
        """How the deliveries of a study's results stand."""
        results = self.state(study_instance_uid)["results"]
        return [delivery for result in results for delivery in result["deliveries"]]
