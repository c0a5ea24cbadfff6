"""The node as a set of processes, and the supervisor that keeps them alive.

Each part is a process of its own, so that none takes another with it: receivers
(several on one port), the cataloguer, the worker slots and the console. A part
that dies is started again. A part whose supervisor dies ends itself.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

import psutil
import structlog

from service.catalogue.database import migrate
from service.lifetime import STOP_SECONDS
from service.settings import Settings
from service.workflow.engine import migrate_engine

_FIRST_RESTART_SECONDS: Final = 0.5
_LONGEST_RESTART_SECONDS: Final = 10.0
# A part that ran this long was well; its next fall starts the count anew.
_WELL_AFTER_SECONDS: Final = 30.0

log = structlog.get_logger()


class Role(StrEnum):
    """Which half of the node runs here."""

    ALL = "all"
    RECEIVE = "receive"
    WORK = "work"


@dataclass(slots=True)
class Part:
    """A process of the node."""

    name: str
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    falls: int = 0
    start_after: float = 0.0


@dataclass(slots=True)
class Supervisor:
    """Starts the parts, starts them again when they fall, and stops them together."""

    settings: Settings
    role: Role
    stopped: threading.Event = field(default_factory=threading.Event)
    parts: list[Part] = field(default_factory=list)

    def run(self) -> None:
        """Keep the parts running until `stopped` is set."""
        prepare(self.settings)
        self.parts = [Part(name) for name in part_names(self.settings, self.role)]
        try:
            while not self.stopped.is_set():
                for part in self.parts:
                    self._look_after(part)
                self.stopped.wait(0.1)
        finally:
            self._stop_all()

    def _look_after(self, part: Part) -> None:
        now = time.monotonic()
        if part.process is not None:
            code = part.process.poll()
            if code is None:
                return
            part.process = None
            if now - part.started_at > _WELL_AFTER_SECONDS:
                part.falls = 0
            wait = min(_FIRST_RESTART_SECONDS * 2**part.falls, _LONGEST_RESTART_SECONDS)
            part.falls = min(part.falls + 1, 16)
            part.start_after = now + wait
            log.error("a part ended and is started again", fallen=part.name, code=code, wait=wait)
        if now >= part.start_after:
            part.process = _start(part.name)
            part.started_at = now

    def _stop_all(self) -> None:
        running = [part.process for part in self.parts if part.process is not None]
        for process in running:
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        for process in running:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def part_names(settings: Settings, role: Role) -> list[str]:
    """The parts that make up a role on this machine."""
    receive = [f"receiver-{number}" for number in range(settings.dicom.processes)]
    work = ["cataloguer-0", *(f"worker-{number}" for number in range(settings.work.slots))]
    audit = ["auditor-0"] if settings.audit.enabled and settings.audit.repository else []
    if settings.worklist.peer is not None:
        work.append("worklist-0")
    if settings.worklist.orders.port is not None:
        receive.append("orders-0")
    return {
        Role.ALL: [*receive, *work, "console-0", *audit],
        Role.RECEIVE: [*receive, "console-0", *audit],
        Role.WORK: [*work, *audit],
    }[role]


def prepare(settings: Settings) -> None:
    """Make the folders, bring the databases to the present schema, empty what is left over."""
    migrate(settings)
    migrate_engine(settings)
    metrics = metrics_folder(settings)
    metrics.mkdir(parents=True, exist_ok=True)
    for counts in metrics.glob("*_*.db"):
        # The other half of the node may run on this folder and be counting.
        if not psutil.pid_exists(int(counts.stem.rpartition("_")[2])):
            counts.unlink()
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(metrics)


def metrics_folder(settings: Settings) -> Path:
    """Where the parts keep their counters."""
    return settings.data_folder.absolute() / "metrics"


def _start(name: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "service.part", name],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )


def stop_on_signals(stopped: threading.Event, numbers: Iterable[signal.Signals]) -> None:
    """Set `stopped` when one of the signals comes."""
    for number in numbers:
        signal.signal(number, lambda _number, _frame: stopped.set())
