"""One part of the node, as a process: ``python -m service.part worker-0``.

Each function imports what its part needs and nothing else: a receiver that holds
MediaPipe in memory would cost as much as a worker.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from typing import Final

from service.lifetime import end_with_parent, slot_name
from service.log import configure_logging
from service.settings import Settings, load_settings


def main() -> None:
    """Run the part that the first argument names until its supervisor ends it."""
    name = sys.argv[1]
    settings = load_settings()
    configure_logging(settings.log_format, name)
    stopped = threading.Event()
    end_with_parent(stopped)
    kind = name.rpartition("-")[0]
    _PARTS[kind](settings, name, stopped)


def receive(settings: Settings, part: str, stopped: threading.Event) -> None:
    """Receive instances."""
    from service.receive import run_receiver

    run_receiver(settings, slot_name(part), stopped)


def catalogue(settings: Settings, part: str, stopped: threading.Event) -> None:
    """Read the headers of what has arrived."""
    from service.workflow.cataloguing import run_cataloguer

    run_cataloguer(settings, part, stopped)


def work(settings: Settings, part: str, stopped: threading.Event) -> None:
    """Measure, report and deliver."""
    from service.workflow.worker import run_worker

    run_worker(settings, slot_name(part), stopped)


def ask_worklist(settings: Settings, part: str, stopped: threading.Event) -> None:
    """Ask the worklist what is scheduled."""
    from service.worklist.asking import run_asker

    run_asker(settings, stopped)


def take_orders(settings: Settings, part: str, stopped: threading.Event) -> None:
    """Take orders by HL7."""
    from service.hl7_orders.taking import run_order_taker

    run_order_taker(settings, stopped)


def console(settings: Settings, part: str, stopped: threading.Event) -> None:
    """Serve the page, the health checks and the metrics."""
    from service.console.server import run_console

    run_console(settings, slot_name(part), stopped)


def audit(settings: Settings, part: str, stopped: threading.Event) -> None:
    """Send audit messages to their repository."""
    from service.audit.forwarding import run_forwarder

    run_forwarder(settings, stopped)


_PARTS: Final[Mapping[str, Callable[[Settings, str, threading.Event], None]]] = {
    "receiver": receive,
    "cataloguer": catalogue,
    "worker": work,
    "worklist": ask_worklist,
    "orders": take_orders,
    "console": console,
    "auditor": audit,
}

if __name__ == "__main__":
    main()
