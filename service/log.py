"""Structured logs, without patient data: identifiers of studies only as short hashes."""

from __future__ import annotations

import logging
import sys
from typing import Final, Literal

import structlog

# What they say quotes values of a dataset or PDU, or characters of a page. Setting
# their levels would not last: pydicom sets its own when it is imported.
_QUOTING: Final = (
    "fpdf",
    "py.warnings",
    "pydicom",
    "pynetdicom._validators",
    "pynetdicom.dsutils",
    "pynetdicom.dul",
    "pynetdicom.fsm",
    "pynetdicom.pdu",
    "pynetdicom.pdu_items",
    "pynetdicom.pdu_primitives",
    "pynetdicom.utils",
)


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
        # Not the one of rich, if it is there: it shows local variables, patients' names among them.
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
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
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                # Also of what the libraries and the standard loggers tell.
                structlog.processors.format_exc_info,
                renderer,
            ],
        )
    )
    handler.addFilter(_quotes_nothing)
    # Python's own way to standard error is past the filter.
    logging.captureWarnings(capture=True)
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
    structlog.contextvars.bind_contextvars(part=part)


def _quotes_nothing(record: logging.LogRecord) -> bool:
    return not any(record.name == each or record.name.startswith(f"{each}.") for each in _QUOTING)
