"""Answers to DIMSE-N requests and reports that a peer makes (PS3.7, annex C)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

from pydicom.dataset import Dataset

from processing.measurement import PermanentFault, RejectedInput, TransientFault

SUCCESS: Final = 0x0000
PROCESSING_FAILURE: Final = 0x0110
NO_SUCH_INSTANCE: Final = 0x0112
NO_SUCH_EVENT_TYPE: Final = 0x0113
INVALID_ARGUMENT: Final = 0x0115
NO_SUCH_ACTION: Final = 0x0123
NOT_AUTHORIZED: Final = 0x0124
OUT_OF_RESOURCES: Final = 0x0213
_LONGEST_COMMENT: Final = 64  # an LO value, PS3.5 table 6.2-1

_LOGGER = logging.getLogger(__name__)


def answered(service: str, calling: str, do: Callable[[], object]) -> Dataset:
    """Do what was asked, and give the status that says how that went.

    Parameters
    ----------
    service, calling : str
        What is asked for, and the AE title of who asks; stand in the log.
    do : callable
        Raises RejectedInput where the peer is wrong, PermanentFault where it may not
        ask that, TransientFault or OSError where it may try again.
    """
    try:
        do()
    except RejectedInput as error:
        return refused(service, calling, INVALID_ARGUMENT, str(error))
    except PermanentFault as fault:
        return refused(service, calling, NOT_AUTHORIZED, str(fault))
    except (TransientFault, OSError) as fault:
        return refused(service, calling, OUT_OF_RESOURCES, str(fault))
    status = Dataset()
    status.Status = SUCCESS
    return status


def refused(service: str, calling: str, number: int, reason: str) -> Dataset:
    """The status of a failure, with its reason."""
    _LOGGER.warning("%s with %r answered with 0x%04X: %s", service, calling, number, reason)
    status = Dataset()
    status.Status = number
    status.ErrorComment = reason[:_LONGEST_COMMENT]
    return status


def calling_ae_title(event: Any) -> str:
    """Who asks or reports; `event` is one of pynetdicom's.

    On an association that the node opened, the one who reports is the acceptor.
    """
    association = event.assoc
    side = association.requestor if association.is_acceptor else association.acceptor
    return str(side.ae_title or "").strip()
