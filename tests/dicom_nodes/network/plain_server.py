"""A peer that is a server of pynetdicom as it comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pynetdicom import AE, evt
from pynetdicom.association import Association


@contextmanager
def closed_sockets() -> Iterator[tuple[Any, Callable[[Any], Any]]]:
    """A handler for associations of pynetdicom, whose sockets are closed at the end.

    pynetdicom drops a socket without closing it when the peer has gone first.
    """
    opened: list[tuple[Association, Any]] = []

    def note(event: Any) -> None:
        opened.append((event.assoc, event.assoc.dul.socket.socket))

    try:
        yield evt.EVT_CONN_OPEN, note
    finally:
        for association, connection in opened:
            association.join(5)
            if connection is not None:
                connection.close()


@contextmanager
def plain_server(
    entity: AE, handlers: Sequence[tuple[Any, Callable[[Any], Any]]], port: int = 0
) -> Iterator[int]:
    """Listen as `entity`; gives the port."""
    with closed_sockets() as noted:
        server = entity.start_server(
            ("127.0.0.1", port), block=False, evt_handlers=[*handlers, noted]
        )
        assert server is not None
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()
