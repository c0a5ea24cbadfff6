"""A peer that is a server of pynetdicom as it comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pynetdicom import AE, evt
from pynetdicom.association import Association


@contextmanager
def plain_server(
    entity: AE, handlers: Sequence[tuple[Any, Callable[[Any], Any]]], port: int = 0
) -> Iterator[int]:
    """Listen as `entity`; gives the port.

    pynetdicom leaves a socket open whose peer has gone first; here it is closed.
    """
    opened: list[Association] = []
    noted = (evt.EVT_CONN_OPEN, lambda event: opened.append(event.assoc))
    server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=[*handlers, noted])
    assert server is not None
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        for association in opened:
            association.join(5)
            connection = association.dul.socket
            if connection is not None and connection.socket is not None:
                connection.socket.close()
