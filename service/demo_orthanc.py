"""An Orthanc of its own, started in a folder, asked over HTTP, and stopped.

`hemiface demo` shows the way of a study with it, and the tests use it as their
PACS. It takes its configuration from ``deploy/orthanc``, the one that a site is
given, with other ports and folders.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import SystemRandom
from types import TracebackType
from typing import Any, Final, Self

import httpx

from processing.measurement import PermanentFault, TransientFault

LOOPBACK: Final = "127.0.0.1"
SITE_FOLDER: Final = Path(__file__).resolve().parents[1] / "deploy" / "orthanc"

# Below those that Linux gives to clients (net.ipv4.ip_local_port_range).
_PORTS: Final = range(20_000, 32_768)
_START_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 20.0
_ANSWER_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Modality:
    """A DICOM peer as Orthanc knows it, under a symbolic name."""

    name: str
    ae_title: str
    port: int
    address: str = LOOPBACK


def free_ports(count: int) -> tuple[int, ...]:
    """TCP ports of the loopback interface that nobody listens on, all different.

    They are free when this returns, and no connection takes them: the system gives
    other ones to clients. Nothing else keeps them free.

    Raises
    ------
    TransientFault
        If there are not so many.
    """
    free: list[int] = []
    # Of the system's own randomness: a seed would give the same ports to two processes.
    for port in SystemRandom().sample(_PORTS, len(_PORTS)):
        if len(free) == count:
            return tuple(free)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
        free.append(port)
    raise TransientFault(f"there are no {count} free TCP ports; try again")


def orthanc_program() -> str:
    """Path of the Orthanc program.

    Raises
    ------
    PermanentFault
        If Orthanc is not installed.
    """
    # Debian puts it into a folder that is not on the PATH of an ordinary user.
    program = shutil.which("Orthanc", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        raise PermanentFault(
            "Orthanc is not installed; type: sudo apt-get install orthanc orthanc-dicomweb"
        )
    return program


class OrthancClient:
    """What this project asks of Orthanc's REST API.

    Orthanc's own identifiers (of a study, an instance, a job) are plain strings.
    Every method raises `TransientFault` when Orthanc does not answer, and
    `PermanentFault` when it refuses.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx.Client(base_url=url, timeout=_ANSWER_SECONDS, trust_env=False)

    def close(self) -> None:
        """Close the connections; the client cannot be used any more."""
        self._http.close()

    def is_ready(self) -> bool:
        """Whether Orthanc answers at all."""
        try:
            self._ask("GET", "/system")
        except TransientFault:
            return False
        return True

    def upload(self, content: Path | bytes) -> str:
        """Store one DICOM file over HTTP and return Orthanc's identifier of the instance."""
        data = content.read_bytes() if isinstance(content, Path) else content
        return str(self._ask("POST", "/instances", content=data).json()["ID"])

    def instances(self, study_instance_uid: str | None = None) -> tuple[str, ...]:
        """Identifiers of the instances of one study, or of all that Orthanc holds."""
        return self._find("Instance", study_instance_uid)

    def study(self, study_instance_uid: str) -> str | None:
        """Orthanc's identifier of a study, None when it does not hold the study."""
        return next(iter(self._find("Study", study_instance_uid)), None)

    def tags(self, instance: str) -> dict[str, Any]:
        """Data elements of an instance by their keyword, sequences as lists."""
        tags: dict[str, Any] = self._ask("GET", f"/instances/{instance}/simplified-tags").json()
        return tags

    def file(self, instance: str) -> bytes:
        """The DICOM file of an instance."""
        return self._ask("GET", f"/instances/{instance}/file").content

    def calling_ae_title(self, instance: str) -> str:
        """AE title that sent an instance by C-STORE, empty when it came another way."""
        known = self._ask("GET", f"/instances/{instance}/metadata").json()
        if "RemoteAET" not in known:
            return ""
        return self._ask("GET", f"/instances/{instance}/metadata/RemoteAET").text

    def delete_study(self, study_instance_uid: str) -> None:
        """Delete a study that Orthanc holds."""
        study = self.study(study_instance_uid)
        if study is None:
            raise PermanentFault(f"{self.url} holds no study {study_instance_uid}")
        self._ask("DELETE", f"/studies/{study}")

    def register(self, modality: Modality) -> None:
        """Make a DICOM peer known, until Orthanc stops."""
        peer = {"AET": modality.ae_title, "Host": modality.address, "Port": modality.port}
        self._ask("PUT", f"/modalities/{modality.name}", json=peer)

    def echo(self, modality: str) -> None:
        """C-ECHO to a peer."""
        self._ask("POST", f"/modalities/{modality}/echo", json={})

    def send(self, modality: str, resources: Iterable[str]) -> None:
        """C-STORE studies or instances to a peer, and wait until all are sent."""
        order = {"Resources": list(resources), "Synchronous": True}
        self._ask("POST", f"/modalities/{modality}/store", json=order)

    def _find(self, level: str, study_instance_uid: str | None) -> tuple[str, ...]:
        query = {"StudyInstanceUID": study_instance_uid} if study_instance_uid else {}
        found = self._ask("POST", "/tools/find", json={"Level": level, "Query": query}).json()
        return tuple(sorted(str(each) for each in found))

    def _ask(
        self, method: str, path: str, *, content: bytes | None = None, json: object = None
    ) -> httpx.Response:
        try:
            answer = self._http.request(method, path, content=content, json=json)
        except httpx.TransportError as fault:
            raise TransientFault(f"Orthanc at {self.url} does not answer: {fault}") from fault
        if answer.is_error:
            raise PermanentFault(
                f"Orthanc at {self.url} refuses {method} {path}: "
                f"{answer.status_code} {answer.text.strip()[:300]}"
            )
        return answer


class OrthancServer:
    """An Orthanc process that writes nowhere but into one folder.

    The folder keeps what was stored, so that `stop` and `start` make a PACS that
    was down for a while. As a context manager it starts and stops.

    Parameters
    ----------
    folder : Path
        Storage, configuration, temporary files and the log go there.
    modalities : iterable of Modality
        Peers it knows from the start.
    forward_to : Modality, optional
        The peer that ``hemiface.lua`` forwards each measurable instance to.
    ae_title : str
        Its own AE title.
    http_port, dicom_port : int, optional
        Free ports when not given.
    worklist : Path, optional
        A folder whose ``*.wl`` files it serves as a modality worklist.
    entries : mapping, optional
        Entries of its configuration that win over those made here.
    """

    def __init__(
        self,
        folder: Path,
        *,
        modalities: Iterable[Modality] = (),
        forward_to: Modality | None = None,
        ae_title: str = "ORTHANC",
        http_port: int | None = None,
        dicom_port: int | None = None,
        worklist: Path | None = None,
        entries: Mapping[str, Any] | None = None,
    ) -> None:
        free = free_ports(2)
        self.folder = folder.resolve()
        self.ae_title = ae_title
        self.http_port = http_port or free[0]
        self.dicom_port = dicom_port or free[1]
        self.log = self.folder / "orthanc.log"
        self.client = OrthancClient(f"http://{LOOPBACK}:{self.http_port}")
        self._modalities = tuple(modalities)
        self._forward_to = forward_to
        self._worklist = worklist
        self._entries = dict(entries or {})
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        self.client.close()

    def start(self) -> None:
        """Start the process and return when HTTP and DICOM both answer.

        Raises
        ------
        PermanentFault
            If Orthanc is not installed, or stops again at once.
        TransientFault
            If it does not answer in time.
        """
        if self._process is not None:
            return
        program = orthanc_program()
        (self.folder / "temporary").mkdir(parents=True, exist_ok=True)
        configuration = self.folder / "orthanc.json"
        configuration.write_text(json.dumps(self._configuration(), indent=2), encoding="utf-8")
        environment = {
            **os.environ,
            "TCP_NODELAY": "1",  # read by DCMTK; without it each instance waits 40 ms
            "TMPDIR": str(self.folder / "temporary"),
        }
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [program, str(configuration)],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the demo, which then stops Orthanc
            )
        try:
            self._wait_until_ready(self._process)
        except BaseException:  # also KeyboardInterrupt: no process may be left behind
            self.kill()
            raise

    def stop(self) -> None:
        """Stop it in good order; nothing happens when it does not run."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def _configuration(self) -> dict[str, Any]:
        site = SITE_FOLDER / "orthanc.json"
        try:
            configuration: dict[str, Any] = json.loads(site.read_text(encoding="utf-8"))
        except OSError as fault:
            raise PermanentFault(
                f"{site} cannot be read ({fault.strerror}): the demo runs from a checkout only"
            ) from fault
        peers = {each.name: each for each in self._modalities}
        scripts = []
        if self._forward_to is not None:
            # The script knows hemiface by the name that it has in the site's configuration.
            peers[next(iter(configuration["DicomModalities"]))] = self._forward_to
            scripts.append(str(SITE_FOLDER / "hemiface.lua"))
        return configuration | {
            "StorageDirectory": str(self.folder / "storage"),
            "IndexDirectory": str(self.folder / "storage"),
            "TemporaryDirectory": str(self.folder / "temporary"),
            "HttpPort": self.http_port,
            "DicomPort": self.dicom_port,
            "DicomAet": self.ae_title,
            "LuaScripts": scripts,
            "Worklists": {
                "Enable": self._worklist is not None,
                "Database": str(self._worklist or self.folder),
            },
            "DicomModalities": {
                name: {"AET": peer.ae_title, "Host": peer.address, "Port": peer.port}
                for name, peer in peers.items()
            },
            **self._entries,
        }

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if process.poll() is not None:
                last = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:]
                raise PermanentFault(
                    f"Orthanc stopped with status {process.returncode}: {' | '.join(last)}"
                )
            if self.client.is_ready() and _listens(self.dicom_port):
                return
            time.sleep(0.05)
        raise TransientFault(
            f"Orthanc did not answer within {_START_SECONDS:.0f} s; its log is {self.log}"
        )


def _listens(port: int) -> bool:
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1):
            return True
    except OSError:
        return False
