"""Structured logs, without patient data: identifiers of studies only as short hashes."""

from __future__ import annotations

import logging
import sys
from typing import Literal

import structlog


def configure_logging(form: Literal["console", "json"], part: str) -> None:
    """Send structured logs, and those of the libraries, to standard error.

    Parameters
    ----------
    form : {'console', 'json'}
        For a person, or for a collector.
    part : str
        Which part of the node speaks, for example ``"receiver-0"``.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            *shared,
            structlog.processors.format_exc_info,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    # These speak of every request or PDU, partly with patient data in it.
    for name in (
        "alembic",
        "dbos",
        "fontTools",
        "highdicom",
        "httpcore",
        "httpx",
        "pynetdicom",
        "uvicorn",
    ):
        logging.getLogger(name).setLevel(logging.WARNING)
    # Their warnings quote values of the dataset, and characters of a page.
    for name in ("fpdf", "pydicom"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    structlog.contextvars.bind_contextvars(part=part)
