"""The one version of pynetdicom that the cures were tried with, and its configuration."""

from __future__ import annotations

from typing import Final

import pynetdicom
from pynetdicom import _config

TRIED_VERSIONS: Final = ("3.0.4",)


def configure_pynetdicom() -> None:
    """Refuse a pynetdicom that was not tried, and stop it from formatting every message.

    Its default handlers build a text of each message, identifiers of patients
    included, whether or not somebody logs it. To do so it decodes each identifier,
    which for ISO 2022 IR 58 pydicom 3.0.2 does wrongly, once and for all.

    Raises
    ------
    RuntimeError
        If the installed version is none of `TRIED_VERSIONS`.
    """
    if pynetdicom.__version__ not in TRIED_VERSIONS:
        raise RuntimeError(
            f"pynetdicom {pynetdicom.__version__} is installed; the cures in {__package__} "
            f"were tried with {', '.join(TRIED_VERSIONS)} only. Install that version, or "
            "run the tests of this package with the new one and add it to TRIED_VERSIONS"
        )
    _config.LOG_HANDLER_LEVEL = "none"
    _config.LOG_REQUEST_IDENTIFIERS = False
    _config.LOG_RESPONSE_IDENTIFIERS = False
    _config.STORE_SEND_CHUNKED_DATASET = True
