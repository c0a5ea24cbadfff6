"""``hemiface serve``: starts the node, says when it is ready and where, and stops it."""

from __future__ import annotations

import signal
import sys
import threading
import time
from contextlib import ExitStack
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

if TYPE_CHECKING:
    from service.processes import Role
    from service.settings import Settings

_READY_SECONDS: Final = 90.0
_POLL_SECONDS: Final = 0.25
_PHANTOM: Final = "demo-phantom"


def command(
    role: Annotated[
        Literal["all", "receive", "work"],
        typer.Option(help="Run the whole node, or only one half of it."),
    ] = "all",
) -> None:
    """Start the node: it receives, measures, and sends the results back.

    Ctrl-C or SIGTERM stops it.
    """
    from service.audit.lifetime import audited_lifetime
    from service.data_folder_lock import only_one
    from service.log import configure_logging
    from service.ports import check_port_is_free, listening_ports
    from service.processes import Role, Supervisor, stop_on_signals
    from service.settings import load_settings

    settings = load_settings()
    configure_logging(settings.log_format, "supervisor")
    supervisor = Supervisor(settings, Role(role))
    with ExitStack() as held:
        for half in _halves(supervisor.role):
            held.enter_context(only_one(settings.data_folder, half))
        for address, port, setting in listening_ports(settings, supervisor.role):
            check_port_is_free(address, port, setting)
        stop_on_signals(supervisor.stopped, (signal.SIGTERM, signal.SIGINT))
        announcing = threading.Thread(
            target=_announce, args=(settings, supervisor.role, supervisor.stopped), daemon=True
        )
        announcing.start()
        with audited_lifetime(settings):
            supervisor.run()
    typer.echo("hemiface has stopped.")


def _halves(role: Role) -> tuple[str, ...]:
    return ("receive", "work") if role == "all" else (role.value,)


def _announce(settings: Settings, role: Role, stopped: threading.Event) -> None:
    """Say that the node is ready as soon as it is, or after a while what is missing."""
    if role == "work":
        slots = settings.work.slots
        typer.echo(f"hemiface {version('hemiface')} takes work in {slots} worker slot(s).")
        return
    reasons = _wait_until_ready(settings, stopped)
    if stopped.is_set():
        return
    if reasons:
        typer.echo(f"hemiface is not ready yet: {'; '.join(reasons)}", err=True)
        return
    typer.echo(welcome(settings, role, _program()))


def _wait_until_ready(settings: Settings, stopped: threading.Event) -> list[str]:
    """Why the node is not ready; empty as soon as it is."""
    import httpx

    from service.own_http import own_http_client, own_http_url

    url = f"{own_http_url(settings.http)}/readyz"
    reasons: list[str] = []
    deadline = time.monotonic() + _READY_SECONDS
    with own_http_client(settings.http, timeout_seconds=10) as client:
        while not stopped.wait(_POLL_SECONDS):
            try:
                answer: Any = client.get(url).json()
                reasons = list(answer["reasons"])
            except (httpx.TransportError, ValueError) as fault:
                reasons = [f"{url} does not answer ({fault})"]
            if not reasons or time.monotonic() > deadline:
                return reasons
    return reasons


def welcome(settings: Settings, role: Role, program: str) -> str:
    """Where the node listens, and three lines that push something to it."""
    from service.local_address import is_loopback, reachable_address
    from service.own_http import own_http_url

    dicom, http = settings.dicom, settings.http
    only_here = "   (reached from this machine only; set dicom.address to open it)"
    where = f"{dicom.ae_title} at {dicom.address}, port {dicom.port}"
    lines = [
        f"hemiface {version('hemiface')} is ready. For research use. Not a medical device.",
        "",
        f"  DICOM  {where}{only_here if is_loopback(dicom.address) else ''}",
    ]
    if dicom.tls.certificate is not None:
        lines.append(f"  TLS    {dicom.ae_title} at {dicom.address}, port {dicom.tls.port}")
    orders = settings.worklist.orders
    if orders.port is not None:
        lines.append(f"  HL7    orders at {orders.address}, port {orders.port}")
    lines += [
        f"  page   {own_http_url(http)}/",
        f"  web    {own_http_url(http)}/dicom-web",
        f"  data   {settings.data_folder.absolute()}",
    ]
    if role == "receive":
        lines.append("  Measuring is left to `hemiface serve --role work`.")
    return "\n".join(
        [
            *lines,
            "",
            "Push something to it from another terminal, and look at the page:",
            "",
            f"  {program} phantom {_PHANTOM}",
            f"  {program} send {_PHANTOM}",
            f"  storescu -R -xy +sd +sp '*.dcm' -aec {dicom.ae_title} "
            f"{reachable_address(dicom.address)} {dicom.port} {_PHANTOM}",
            "",
            "Ctrl-C stops it.",
        ]
    )


def _program() -> str:
    """How this program was called, so that the lines can be typed as they are."""
    called = sys.argv[0]
    return called if called.endswith("hemiface") else "hemiface"
