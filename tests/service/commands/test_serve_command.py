from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from dicom_nodes.network.verification_scu import echo
from processing.measurement import PermanentFault
from service.commands.serve import welcome
from service.data_folder_lock import is_held, only_one
from service.demo_orthanc import free_ports
from service.peers import local_node
from service.ports import check_port_is_free, listening_ports
from service.processes import Role
from service.settings import DicomSettings, HttpSettings, Settings, TLSSettings

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    dicom_port, http_port = free_ports(2)
    return Settings(
        data_folder=tmp_path / "data",
        dicom=DicomSettings(port=dicom_port, processes=1),
        http=HttpSettings(port=http_port),
    )


@pytest.fixture
def listening() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def environment(settings: Settings) -> dict[str, str]:
    return {
        **os.environ,
        "HEMIFACE_SETTINGS": str(settings.data_folder.parent / "none.toml"),
        "HEMIFACE_DATA_FOLDER": str(settings.data_folder),
        "HEMIFACE_DICOM__PORT": str(settings.dicom.port),
        "HEMIFACE_DICOM__PROCESSES": "1",
        "HEMIFACE_HTTP__PORT": str(settings.http.port),
        "HEMIFACE_STORAGE__RESERVE_BYTES": "0",
    }


def serve(settings: Settings, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "service.cli", "serve", *options],
        env=environment(settings),
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_one_data_folder_is_held_once_for_each_half(tmp_path: Path) -> None:
    with only_one(tmp_path, "receive"):
        assert is_held(tmp_path, "receive")
        assert not is_held(tmp_path, "work")
        with (
            only_one(tmp_path, "work"),
            pytest.raises(PermanentFault, match=str(os.getpid())),
            only_one(tmp_path, "receive"),
        ):
            pass
    assert not is_held(tmp_path, "receive")


def test_a_port_in_use_is_named_with_the_setting_that_changes_it(listening: int) -> None:
    with pytest.raises(PermanentFault, match=f"port {listening} .* HEMIFACE_HTTP__PORT"):
        check_port_is_free("127.0.0.1", listening, "HTTP__PORT")


def test_an_address_of_another_machine_is_refused(free_port: int) -> None:
    with pytest.raises(PermanentFault, match="HEMIFACE_DICOM__ADDRESS"):
        check_port_is_free("192.0.2.1", free_port, "DICOM__PORT")
    check_port_is_free("127.0.0.1", free_port, "DICOM__PORT")


def test_the_tls_port_is_listened_on_only_with_a_certificate(settings: Settings) -> None:
    assert len(listening_ports(settings, Role.ALL)) == 2
    assert listening_ports(settings, Role.WORK) == []
    dicom = settings.dicom.model_copy(update={"tls": TLSSettings(certificate=Path("c.pem"))})
    secure = settings.model_copy(update={"dicom": dicom})
    assert (dicom.address, 2762, "DICOM__TLS__PORT") in listening_ports(secure, Role.RECEIVE)


def test_the_welcome_gives_three_lines_to_type(settings: Settings) -> None:
    text = welcome(settings, Role.ALL, ".venv/bin/hemiface")
    assert "  .venv/bin/hemiface phantom demo-phantom" in text
    assert "  .venv/bin/hemiface send demo-phantom" in text
    assert f"-aec HEMIFACE 127.0.0.1 {settings.dicom.port} demo-phantom" in text
    assert f"http://127.0.0.1:{settings.http.port}/" in text
    assert "from this machine only" in text
    open_to_all = settings.dicom.model_copy(update={"address": "0.0.0.0"})
    opened = welcome(settings.model_copy(update={"dicom": open_to_all}), Role.ALL, "hemiface")
    assert "from this machine only" not in opened
    assert f"-aec HEMIFACE 127.0.0.1 {settings.dicom.port}" in opened


@pytest.mark.slow
def test_a_port_in_use_ends_serve_with_one_line(settings: Settings, listening: int) -> None:
    busy = settings.model_copy(update={"http": HttpSettings(port=listening)})
    process = serve(busy)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert output == ""
    (line,) = errors.splitlines()
    assert line.startswith(f"hemiface: port {listening} on 127.0.0.1 is in use")


@pytest.mark.slow
def test_the_node_receives_says_so_refuses_a_second_and_stops_cleanly(settings: Settings) -> None:
    process = serve(settings, "--role", "receive")
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert "is ready" in first
        echo(local_node(settings, "TEST"))
        base = f"http://127.0.0.1:{settings.http.port}"
        with httpx.Client(trust_env=False, base_url=base) as client:
            assert client.get("/readyz").json()["ready"]
            assert "hemiface_queue_depth" in client.get("/metrics").text
            assert "No study has arrived yet" in client.get("/").text
        second = serve(settings)
        _, errors = second.communicate(timeout=60)
        assert second.returncode == 1
        (line,) = errors.splitlines()
        assert f"(process {process.pid})" in line
    finally:
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert output.endswith("hemiface has stopped.\n")
    assert "Traceback" not in errors
    deadline = time.monotonic() + 5
    with socket.socket() as probe:
        while probe.connect_ex(("127.0.0.1", settings.dicom.port)) == 0:
            assert time.monotonic() < deadline
