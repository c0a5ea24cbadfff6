"""Programs of other makers: where they are, and how DCMTK's are run."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from service.demo_orthanc import LOOPBACK, free_ports

# DCMTK leaves Nagle's algorithm on, and then waits 40 ms for each instance.
NO_DELAY = {"TCP_NODELAY": "1"}


def required(program: str, package: str) -> str:
    """The path `program` when it is there; else the test is skipped, or fails in CI.

    Full paths, because an environment with pynetdicom has a storescu of its own.
    """
    if Path(program).exists():
        return program
    missing = f"{program} is missing; type: sudo apt-get install {package}"
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)


def run(*command: str | Path, timeout_seconds: float = 60) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, with its output as text, whatever its status."""
    return subprocess.run(
        [str(each) for each in command],
        env={**os.environ, **NO_DELAY},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        text=True,
        errors="replace",
        timeout=timeout_seconds,
    )


def storescu(
    port: int,
    paths: Iterable[Path],
    *,
    called: str = "HEMIFACE",
    calling: str = "MODALITY",
    options: Sequence[str] = ("-xy", "-R"),
) -> subprocess.CompletedProcess[str]:
    """Send files and folders with DCMTK's storescu; the status is 0 when all were taken.

    The default options propose only what the files need, JPEG baseline included. A folder
    must hold nothing but DICOM files: storescu stops at the first other one.
    """
    program = required("/usr/bin/storescu", "dcmtk")
    return run(
        program, *options, "+sd", "+r", "-aet", calling, "-aec", called, LOOPBACK, str(port), *paths
    )


def echoscu(
    port: int, *, called: str = "HEMIFACE", calling: str = "MODALITY"
) -> subprocess.CompletedProcess[str]:
    """C-ECHO with DCMTK's echoscu; the status is 0 when it was answered."""
    program = required("/usr/bin/echoscu", "dcmtk")
    return run(program, "-aet", calling, "-aec", called, LOOPBACK, str(port))


def serving(
    command: Sequence[str | Path | int], port: int, ae_title: str
) -> subprocess.Popen[bytes]:
    """Start a program that listens, and return when it answers a C-ECHO."""
    process = subprocess.Popen(
        [str(each) for each in command],
        env={**os.environ, **NO_DELAY},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # some fork for each association
    )
    deadline = time.monotonic() + 60
    while echoscu(port, called=ae_title).returncode != 0:
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            process.wait()
            raise RuntimeError(f"{command[0]} does not listen on port {port}")
        time.sleep(0.02)
    return process


@dataclass(slots=True)
class StoreSCP:
    """A DCMTK storescp, an archive that only stores.

    Attributes
    ----------
    folder : Path
        Where it stores, one file an instance.
    """

    folder: Path
    port: int
    ae_title: str
    options: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and return when it listens."""
        program = required("/usr/bin/storescp", "dcmtk")
        self.folder.mkdir(parents=True, exist_ok=True)
        options = ("--fork", "+xa", "-pm", "-aet", self.ae_title, *self.options)
        self.process = serving(
            (program, *options, "-od", self.folder, self.port), self.port, self.ae_title
        )

    def stop(self) -> None:
        """End it; what it stored stays."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stored(self) -> list[Path]:
        """The files that it has stored, in the order of their names."""
        return sorted(self.folder.iterdir()) if self.folder.exists() else []


def new_storescp(folder: Path, ae_title: str = "ARCHIVE", options: Sequence[str] = ()) -> StoreSCP:
    """A storescp on a free port, not started yet."""
    return StoreSCP(folder, free_ports(1)[0], ae_title, tuple(options))


@dataclass(slots=True)
class QueryRetrieveSCP:
    """A DCMTK dcmqrscp, an archive that stores, answers queries and brings what it holds.

    Attributes
    ----------
    peers : dict
        AE title to port of whom it sends to by C-MOVE.
    """

    folder: Path
    dicom_port: int
    ae_title: str
    peers: dict[str, int]
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and return when it listens."""
        program = required("/usr/bin/dcmqrscp", "dcmtk")
        storage = self.folder / "storage"
        storage.mkdir(parents=True)
        configuration = self.folder / "dcmqrscp.cfg"
        hosts = [
            f"peer{number} = ({title}, {LOOPBACK}, {port})"
            for number, (title, port) in enumerate(self.peers.items())
        ]
        configuration.write_text(
            "\n".join(
                [
                    f"NetworkTCPPort = {self.dicom_port}",
                    "MaxPDUSize = 16384",
                    "MaxAssociations = 16",
                    *("HostTable BEGIN", *hosts, "HostTable END"),
                    *("VendorTable BEGIN", "VendorTable END"),
                    "AETable BEGIN",
                    f"{self.ae_title} {storage} RW (200, 1024mb) ANY",
                    *("AETable END", ""),
                ]
            )
        )
        self.process = serving((program, "-c", configuration), self.dicom_port, self.ae_title)

    def stop(self) -> None:
        """End it; what it stored stays."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def new_dcmqrscp(
    folder: Path, *, ae_title: str = "ARCHIVE", peers: dict[str, int] | None = None
) -> QueryRetrieveSCP:
    """A dcmqrscp on a free port, not started yet."""
    return QueryRetrieveSCP(folder, free_ports(1)[0], ae_title, peers or {})
