"""Cure 12: connections on which nothing has come yet, watched without a thread for each."""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Accepted:
    """A connection that was accepted, by whom it was opened, and when (`time.monotonic`)."""

    connection: socket.socket
    peer: tuple[Any, ...]
    at: float

    @property
    def address(self) -> str:
        """IP address of the peer."""
        return str(self.peer[0])

    @property
    def waited_seconds(self) -> float:
        """How long ago it was accepted."""
        return time.monotonic() - self.at


class UnheardConnections:
    """Watches a listening socket, and the connections of which nothing has come yet.

    For one thread. Such a connection costs a file descriptor, and neither a thread
    nor an association.

    Parameters
    ----------
    listening : socket.socket
    timeout_seconds : float
        A connection that says nothing for so long is given up.
    """

    def __init__(self, listening: socket.socket, timeout_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds
        self._selector = selectors.DefaultSelector()
        self._selector.register(listening, selectors.EVENT_READ)
        # In the order in which they came, which is that in which they are given up.
        self._waiting: dict[socket.socket, Accepted] = {}

    def add(self, accepted: Accepted) -> None:
        """Watch a connection."""
        self._selector.register(accepted.connection, selectors.EVENT_READ, accepted)
        self._waiting[accepted.connection] = accepted

    def wait(self, seconds: float) -> tuple[bool, list[Accepted]]:
        """Wait for something to happen, at most so long.

        Returns
        -------
        tuple
            Whether there is a connection to accept, and the connections of which
            something has come, be it their end; these are watched no longer.
        """
        is_opened = False
        heard = []
        for key, _ in self._selector.select(seconds):
            if key.data is None:
                is_opened = True
            else:
                self._forget(key.data)
                heard.append(key.data)
        return is_opened, heard

    def given_up(self) -> Iterator[Accepted]:
        """Those that said nothing for too long; they are watched no longer."""
        while self._waiting:
            first = next(iter(self._waiting.values()))
            if first.waited_seconds < self._timeout_seconds:
                return
            self._forget(first)
            yield first

    def close(self) -> None:
        """Close all that is watched but the listening socket."""
        for each in self._waiting.values():
            each.connection.close()
        self._selector.close()

    def _forget(self, accepted: Accepted) -> None:
        self._selector.unregister(accepted.connection)
        del self._waiting[accepted.connection]


def has_gone(connection: socket.socket) -> bool:
    """Whether the peer has closed or reset a connection without having said anything."""
    try:
        return not connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True
