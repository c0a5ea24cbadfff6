"""Serving the console until the node stops."""

from __future__ import annotations

import socket
import ssl
import threading

import structlog
import uvicorn
from fastapi import FastAPI

from dicom_nodes.network.reloaded_tls import ReloadedTLS
from dicom_nodes.network.tls import ServerTLS
from processing.measurement import PermanentFault
from service.audit.arrivals import ArrivalAudit
from service.audit.trail import open_trail
from service.audit.views import ViewAudit, add_view_audit
from service.catalogue.database import for_reading, open_database
from service.catalogue.stored_bytes import open_stored_bytes
from service.console.application import Sources, build_application
from service.console.verification import add_verification
from service.dicomweb.application import add_dicomweb
from service.dicomweb.web_node import WebNode
from service.receive import reception_of
from service.settings import Settings
from service.workflow.engine import EngineClient

_LOOK_SECONDS = 0.2
_STOP_SECONDS = 5

log = structlog.get_logger()


def run_console(settings: Settings, slot: str, stopped: threading.Event) -> None:
    """Serve the page, the health checks, the metrics and DICOMweb until `stopped` is set.

    What comes by STOW-RS is kept by this slot as by a receiver's.

    Raises
    ------
    OSError
        If the port cannot be listened on.
    PermanentFault
        If the server ended by itself.
    """
    database = open_database(settings)
    engine = EngineClient(settings)
    sources = Sources(settings, for_reading(database), open_stored_bytes(settings), engine)
    application = build_application(sources)
    try:
        with (
            open_trail(settings) as trail,
            reception_of(settings, slot, database, sources.stored) as reception,
            _listening(settings) as listener,
        ):
            add_verification(application, settings, database, sources.stored, engine)
            add_dicomweb(
                application,
                WebNode(
                    settings,
                    sources.database,
                    sources.stored,
                    reception,
                    engine,
                    ArrivalAudit(trail),
                ),
            )
            add_view_audit(application, settings, ViewAudit(trail, sources.database))
            _serve(application, settings, listener, stopped)
    finally:
        engine.close()
        database.close()


def _listening(settings: Settings) -> socket.socket:
    address, port = settings.http.address, settings.http.port
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.create_server((address, port), family=family, backlog=64)


def _tls_context(settings: Settings) -> ssl.SSLContext | None:
    """The TLS of the HTTP port; None where no certificate is set."""
    tls = settings.http.tls
    if tls.certificate is None:
        return None
    if tls.private_key is None:
        raise PermanentFault("http.tls.certificate is set; set http.tls.private_key as well")
    return ReloadedTLS(ServerTLS(tls.certificate, tls.private_key)).lasting_context()


def _serve(
    application: FastAPI, settings: Settings, listener: socket.socket, stopped: threading.Event
) -> None:
    context = _tls_context(settings)
    server = uvicorn.Server(
        uvicorn.Config(
            application,
            ssl_context_factory=None if context is None else lambda _config, _default: context,
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=_STOP_SECONDS,
        )
    )
    # In a thread of its own, since uvicorn takes over the signals of the main thread.
    serving = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    serving.start()
    log.info("console is served", port=settings.http.port)
    while not stopped.wait(_LOOK_SECONDS):
        if not serving.is_alive():
            raise PermanentFault("the HTTP server ended by itself; its log says why")
    server.should_exit = True
    serving.join(2 * _STOP_SECONDS)
