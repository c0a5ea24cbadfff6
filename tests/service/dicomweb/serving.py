"""The console with its DICOMweb, served in a thread over real sockets."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from service.console.server import run_console
from service.own_http import own_http_client, own_http_url
from service.settings import Settings
from service.workflow.engine import migrate_engine


@contextmanager
def served(settings: Settings) -> Iterator[str]:
    """Serve until the end; gives the URL of DICOMweb."""
    migrate_engine(settings)
    stopped = threading.Event()
    serving = threading.Thread(target=run_console, args=(settings, "host-console-0", stopped))
    serving.start()
    try:
        _wait_until_alive(settings)
        yield f"{own_http_url(settings.http)}/dicom-web"
    finally:
        stopped.set()
        serving.join(20)


def _wait_until_alive(settings: Settings) -> None:
    deadline = time.monotonic() + 20
    with own_http_client(settings.http, timeout_seconds=5) as client:
        while True:
            try:
                client.get(f"{own_http_url(settings.http)}/healthz").raise_for_status()
            except httpx.TransportError:
                assert time.monotonic() < deadline, "it does not serve"
                time.sleep(0.05)
            else:
                return
