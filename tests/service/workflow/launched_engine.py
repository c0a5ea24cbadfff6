"""The real engine in the test's own process, on a database of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from service.settings import Settings
from service.workflow import engine
from service.workflow.engine import EngineClient
from tests.migrated import make_catalogue


@contextmanager
def launched_engine(settings: Settings, steps: Any) -> Iterator[EngineClient]:
    """An engine that does these steps, until the end of the context."""
    make_catalogue(settings)
    engine.migrate_engine(settings)
    engine.launch(settings, "slot", steps)
    client = EngineClient(settings)
    try:
        yield client
    finally:
        client.close()
        engine.stop()


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
