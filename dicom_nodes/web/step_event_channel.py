"""The channel on which a UPS-RS server reports on steps (PS3.18, sections 8.10.4 and 8.10.5).

It is a WebSocket (RFC 6455) that the node opens; each text frame is an event report
in DICOM JSON, with the command elements of N-EVENT-REPORT (PS3.7, table 10.3-1).
"""

from __future__ import annotations

import json
import logging
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from pydicom.dataset import Dataset
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from dicom_nodes.network.tls import ClientTLS, client_context
from dicom_nodes.objects.foreign_values import FOREIGN_VALUE_FAULTS, foreign_values
from dicom_nodes.objects.procedure_step import StepEvent, step_event_of
from processing.measurement import RejectedInput, TransientFault

_OPEN_SECONDS: Final = 30.0
# A server that answers no ping for so long is gone.
_PING_SECONDS: Final = 20.0
_LARGEST_FRAME: Final = 1024 * 1024
_LOOK_SECONDS: Final = 0.5
_AFFECTED_INSTANCE: Final = "00001000"
# The second stands in the example of PS3.18, where the first is meant.
_EVENT_TYPES: Final = ("00001002", "00001001")

_LOGGER = logging.getLogger(__name__)


def step_events(
    url: str,
    *,
    token: str | None = None,
    authorities: Path | None = None,
    opened: Callable[[], None],
    is_stopped: Callable[[], bool],
) -> Iterator[StepEvent]:
    """The events of a channel as they come, until told to stop.

    Parameters
    ----------
    url : str
        ``ws://`` or ``wss://``.
    token : str, optional
        Sent as a bearer token (RFC 6750).
    authorities : Path, optional
        Authorities that the server's certificate is checked with (PEM); the system's
        otherwise.
    opened : callable
        Called once the channel is open: what happens from now on is reported.
    is_stopped : callable

    Raises
    ------
    TransientFault
        If the channel cannot be opened, or ends.
    """
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    try:
        with connect(
            url,
            ssl=_trust(url, authorities),
            additional_headers=headers,
            open_timeout=_OPEN_SECONDS,
            ping_interval=_PING_SECONDS,
            ping_timeout=_PING_SECONDS,
            close_timeout=1.0,
            max_size=_LARGEST_FRAME,
            proxy=None,
        ) as channel:
            opened()
            for frame in _frames(channel, is_stopped):
                event = _read(frame)
                if event is not None:
                    yield event
    except (WebSocketException, OSError) as fault:
        raise TransientFault(f"the channel {url} is closed: {fault}") from fault


def _frames(channel: ClientConnection, is_stopped: Callable[[], bool]) -> Iterator[str | bytes]:
    while not is_stopped():
        try:
            frame = channel.recv(timeout=_LOOK_SECONDS)
        except TimeoutError:
            continue
        yield frame


def _trust(url: str, authorities: Path | None) -> ssl.SSLContext | None:
    return client_context(ClientTLS(authorities=authorities)) if url.startswith("wss:") else None


def _read(frame: str | bytes) -> StepEvent | None:
    """The event of a frame; one that cannot be read is told in the log, and passed over."""
    try:
        return _event(frame)
    except RejectedInput as rejection:
        _LOGGER.warning("an event report is passed over: %s", rejection)
        return None


def _event(frame: str | bytes) -> StepEvent:
    try:
        told = json.loads(frame)
        item = told[0] if isinstance(told, list) else told
        uid = str(item[_AFFECTED_INSTANCE]["Value"][0])
        types = [item[each]["Value"][0] for each in _EVENT_TYPES if each in item]
        attributes = {tag: each for tag, each in item.items() if not tag.startswith("0000")}
        with foreign_values():
            return step_event_of(int(types[0]), uid, Dataset.from_json(attributes))
    except FOREIGN_VALUE_FAULTS as fault:
        raise RejectedInput("It is no valid DICOM JSON: correct it at the manager.") from fault
