"""The child process in which MediaPipe and VTK live, and its replacement.

MediaPipe leaks and rarely crashes, VTK takes its process with it when a library
is missing, and a hostile file may do either. The child is replaced when it has
grown, when it took too long and when it died; the worker lives on.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Final

import psutil
import structlog

from processing.measurement import PermanentFault, TransientFault
from service.analyses import Instruments, load_what_measures
from service.catalogue.stored_bytes import open_stored_bytes
from service.settings import Settings
from service.workflow.measuring import Task, carry_out

_DONE: Final = ""

log = structlog.get_logger()


class ChildDied(Exception):
    """The measuring process ended before it answered."""


@dataclass(slots=True)
class MeasuringChild:
    """Runs tasks in a child process, one at a time, and replaces the child when needed."""

    settings: Settings
    _process: BaseProcess | None = None
    _connection: Connection | None = None
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock)

    def run(self, task: Task) -> None:
        """Carry out a task in the child.

        Raises
        ------
        ChildDied
            If the child died or was stopped because it took too long.
        TransientFault, PermanentFault
            As the task raised them.
        """
        with self._one_at_a_time:
            connection = self._ready()
            try:
                connection.send(task)
                if not connection.poll(self.settings.work.measuring_timeout_seconds):
                    self._replace("took too long")
                    raise ChildDied(
                        "measuring took longer than "
                        f"{self.settings.work.measuring_timeout_seconds:g} s and was stopped"
                    )
                answer = connection.recv()
            except (EOFError, OSError) as fault:
                self._replace("died")
                raise ChildDied("the measuring process died on this input") from fault
            if isinstance(answer, Exception):
                raise answer
            self._replace_if_grown()

    def warm_up(self) -> None:
        """Start the child before there is work: it takes seconds to load what measures."""
        with self._one_at_a_time:
            self._ready()

    def stop(self) -> None:
        """End the child."""
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            self._process.kill()
            self._process.join()
        self._process = self._connection = None

    @property
    def pid(self) -> int | None:
        """Process identifier of the present child."""
        return self._process.pid if self._process is not None else None

    def _ready(self) -> Connection:
        if self._process is not None and not self._process.is_alive():
            self._replace("was gone")
        if self._connection is None:
            context = multiprocessing.get_context("spawn")
            here, there = context.Pipe()
            self._process = context.Process(
                target=_serve, args=(there, self.settings), name="measuring", daemon=True
            )
            self._process.start()
            there.close()
            self._connection = here
        return self._connection

    def _replace(self, why: str) -> None:
        log.warning("measuring process is replaced", why=why, process=self.pid)
        self.stop()

    def _replace_if_grown(self) -> None:
        if self._process is None or self._process.pid is None:
            return
        held = psutil.Process(self._process.pid).memory_info().rss
        if held > self.settings.work.child_memory_limit_bytes:
            self._replace(f"holds {held // 1_000_000} MB")


def _serve(connection: Connection, settings: Settings) -> None:
    """The child's loop: a task comes, an empty string or a fault goes back."""
    # The worker decides when its child ends, also when the terminal sends Ctrl-C.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
    stored = open_stored_bytes(settings)
    instruments = Instruments(settings)
    load_what_measures()
    while True:
        try:
            task = connection.recv()
        except EOFError:
            break
        try:
            carry_out(task, stored, instruments)
        except (TransientFault, PermanentFault) as fault:
            answer: Exception | str = fault
        else:
            answer = _DONE
        try:
            connection.send(answer)
        except BrokenPipeError:
            # The worker is gone; whoever takes over measures again.
            break
    instruments.close()
