"""A hemiface node of its own, started in a folder, watched, and stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from dicom_nodes.network.peer import Peer
from dicom_nodes.network.verification_scu import echo
from processing.measurement import PermanentFault, TransientFault
from service.catalogue.database import Database, open_present_database
from service.settings import DatabaseSettings, Destination, Settings, StorageSettings
from service.study_state import StudyState, states_of
from service.workflow.engine import EngineClient

# The AE title that Orthanc's script takes results from; see deploy/orthanc/hemiface.lua.
AE_TITLE: Final = "HEMIFACE"
_LOOPBACK: Final = "127.0.0.1"
_START_SECONDS: Final = 120.0
_STOP_SECONDS: Final = 40.0
_RESERVE_BYTES: Final = 100_000_000
_QUIET_SECONDS: Final = 5
_LAST_LINES: Final = 5


@dataclass(frozen=True, slots=True)
class NodePorts:
    """Where the node listens on the loopback interface."""

    dicom: int
    http: int


class DemoNode:
    """``hemiface serve`` in a process, with settings and data in one folder only.

    As a context manager it starts and stops.

    Parameters
    ----------
    folder : Path
        Gets ``hemiface.toml``, ``data`` and ``node.log``.
    ports : NodePorts
    destination : Destination
        Gets the results of what it has sent.
    face_model : Path
        ``face_landmarker.task``.
    """

    def __init__(
        self, folder: Path, ports: NodePorts, destination: Destination, face_model: Path
    ) -> None:
        self.folder = folder.resolve()
        self.log = self.folder / "node.log"
        self.data_folder = self.folder / "data"
        self.peer = Peer("the demo's node", AE_TITLE, _LOOPBACK, ports.dicom, "HEMIFACE_DEMO")
        self._ports = ports
        self._destination = destination
        self._face_model = face_model
        self._process: subprocess.Popen[bytes] | None = None
        self._database: Database | None = None
        self._engine: EngineClient | None = None

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

    def prepare(self) -> dict[str, str]:
        """Write the node's settings; gives the environment in which only these count."""
        self.folder.mkdir(parents=True, exist_ok=True)
        settings_file = self.folder / "hemiface.toml"
        settings_file.write_text(_as_toml(self._settings()), encoding="utf-8")
        others = {
            name: value for name, value in os.environ.items() if not name.startswith("HEMIFACE_")
        }
        return others | {"HEMIFACE_SETTINGS": str(settings_file)}

    def start(self) -> None:
        """Start the node and return when it answers a C-ECHO.

        Raises
        ------
        PermanentFault
            If it stops again at once.
        TransientFault
            If it does not answer in time.
        """
        environment = self.prepare()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", "from service.cli import main; main()", "serve"],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the demo, which then stops the node
            )
        try:
            self._wait_until_it_answers(self._process)
        except BaseException:  # also KeyboardInterrupt: no process may be left behind
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the node with all its parts; nothing happens when it does not run."""
        if self._engine is not None:
            self._engine.close()
        if self._database is not None:
            self._database.close()
        self._engine = self._database = None
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()  # its parts see the end of their supervisor, and end
            process.wait()

    def study_states(self, study_instance_uids: Sequence[str]) -> list[StudyState]:
        """How studies stand that the node knows; it must have been started."""
        # Only what says where the databases are: settings of the user's own node
        # must not lead to other ones.
        if self._database is None or self._engine is None:
            settings = Settings(
                data_folder=self.data_folder, database=DatabaseSettings(), storage=StorageSettings()
            )
            self._database = open_present_database(settings)
            self._engine = EngineClient(settings)
        return states_of(self._database, self._engine, study_instance_uids)

    def last_log_lines(self) -> str:
        """The end of what the node has logged, in one line."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return " | ".join(lines[-_LAST_LINES:])

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            if process.poll() is not None:
                raise PermanentFault(
                    f"the node stopped with status {process.returncode}: {self.last_log_lines()}"
                )
            try:
                echo(self.peer)
            except TransientFault as fault:
                if time.monotonic() > deadline:
                    raise TransientFault(
                        f"the node did not answer within {_START_SECONDS:.0f} s ({fault})"
                    ) from fault
                time.sleep(0.2)
            else:
                return

    def _settings(self) -> dict[str, Any]:
        return {
            "data_folder": str(self.data_folder),
            "face_model": str(self._face_model),
            "dicom": {
                "ae_title": AE_TITLE,
                "address": _LOOPBACK,
                "port": self._ports.dicom,
                "processes": 1,
            },
            "http": {"address": _LOOPBACK, "port": self._ports.http},
            "storage": {"reserve_bytes": _RESERVE_BYTES},
            "completion": {"quiet_seconds": _QUIET_SECONDS},
            "delivery": {
                "first_retry_seconds": 1,
                "destinations": [self._destination.model_dump(mode="json", exclude_none=True)],
            },
        }


def _as_toml(settings: Mapping[str, Any]) -> str:
    """Settings as TOML; JSON's strings and numbers are TOML's as well."""
    plain = {name: each for name, each in settings.items() if not isinstance(each, dict)}
    lines = [f"{name} = {_toml_value(each)}" for name, each in plain.items()]
    for table, content in settings.items():
        if table not in plain:
            lines += ["", f"[{table}]"]
            lines += [f"{name} = {_toml_value(each)}" for name, each in content.items()]
    return "\n".join([*lines, ""])


def _toml_value(value: Any) -> str:
    if isinstance(value, dict):
        pairs = ", ".join(f"{name} = {_toml_value(each)}" for name, each in value.items())
        return f"{{{pairs}}}"
    if isinstance(value, list):
        return f"[{', '.join(_toml_value(each) for each in value)}]"
    return json.dumps(value, ensure_ascii=True)
