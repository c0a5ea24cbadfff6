"""Fixtures that any test may use: free ports, the real peers, and the shared data."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from service.demo_orthanc import OrthancServer, free_ports
from tests.peers.programs import StoreSCP, new_storescp, required

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes() -> None:
    """One thread of linear algebra in each worker: two workers would fight for two cores."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


@pytest.fixture
def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on."""
    return free_ports(1)[0]


@pytest.fixture
def start_orthanc(tmp_path: Path) -> Iterator[Callable[..., OrthancServer]]:
    """Start an Orthanc: ``start_orthanc(forward_to=Modality(...))``; see `OrthancServer`."""
    started: list[OrthancServer] = []

    def start(**options: Any) -> OrthancServer:
        required("/usr/sbin/Orthanc", "orthanc")
        required("/usr/share/orthanc/plugins/libOrthancDicomWeb.so", "orthanc-dicomweb")
        server = OrthancServer(tmp_path / f"orthanc-{len(started)}", **options)
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.kill()  # a stop in good order takes three seconds, and nothing is kept
        server.client.close()


@pytest.fixture
def orthanc(start_orthanc: Callable[..., OrthancServer]) -> OrthancServer:
    """A running Orthanc that knows no peers and forwards nothing."""
    return start_orthanc()


@pytest.fixture
def start_storescp(tmp_path: Path) -> Iterator[Callable[..., StoreSCP]]:
    """Start a DCMTK storescp: ``start_storescp(ae_title="ARCHIVE", options=())``."""
    started: list[StoreSCP] = []

    def start(**options: Any) -> StoreSCP:
        server = new_storescp(tmp_path / f"storescp-{len(started)}", **options)
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def storescp(start_storescp: Callable[..., StoreSCP]) -> StoreSCP:
    """A running DCMTK storescp called ARCHIVE."""
    return start_storescp()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real faces that lies beside the repository, where there is one."""
    named = os.environ.get("HEMIFACE_DATA")
    folder = Path(named) if named else REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"real faces are not here: {folder} is no folder; HEMIFACE_DATA names another")
    return folder
