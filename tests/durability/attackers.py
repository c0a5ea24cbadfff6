"""Peers that mean harm: ``python -m tests.durability.attackers NAME PORT SECONDS``."""

from __future__ import annotations

import itertools
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable

from tests.dicom_nodes.network.scripted_peer import (
    A_ABORT,
    EXPLICIT,
    IMPLICIT,
    MR_IMAGE,
    P_DATA_TF,
    VERIFICATION,
    Connection,
    associate_rq,
    connect_from,
    data_set,
    fragment,
    pdu,
    store_command,
)

ECHO = (VERIFICATION, [IMPLICIT])
STORAGE = (MR_IMAGE, [EXPLICIT])
ADDRESSES = tuple(f"127.0.0.{number}" for number in range(2, 6))
PROBES = 10_000
# SO_LINGER of no seconds: closing resets the connection.
_RESET = struct.pack("ii", 1, 0)


def silent_connections(port: int, until: float) -> int:
    """Hundreds of connections that say nothing, opened again when the node closes them."""
    return _in_threads(port, until, 40, lambda connection: _wait_for_the_end(connection, until))


def silent_associations(port: int, until: float) -> int:
    """More associations than the node takes at once, on which nothing follows."""

    def attack(connection: Connection) -> None:
        connection.associate(ECHO)
        _wait_for_the_end(connection, until)

    return _in_threads(port, until, 20, attack)


def slow_requests(port: int, until: float) -> int:
    """Association requests of which a byte comes in a second."""
    request = associate_rq([ECHO])
    return _in_threads(port, until, 20, lambda connection: _trickle(connection, request, until))


def slow_messages(port: int, until: float) -> int:
    """C-STORE requests and their data sets, a byte a second, on associations that stand."""
    message = pdu(P_DATA_TF, fragment(1, 3, store_command(MR_IMAGE, "1.2.3")))
    message += pdu(P_DATA_TF, fragment(1, 2, data_set("1.2.3", size=5000)))

    def attack(connection: Connection) -> None:
        connection.associate(STORAGE)
        _trickle(connection, message, until)

    return _in_threads(port, until, 20, attack)


def port_probes(port: int, until: float) -> int:
    """Ten thousand connections that are closed as soon as they stand, half of them reset."""
    done = 0
    for number in range(PROBES):
        with socket.socket() as probe:
            if number % 2:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            probe.bind((ADDRESSES[number % len(ADDRESSES)], 0))
            probe.connect(("127.0.0.1", port))
            done += 1
    return done


def aborted_associations(port: int, until: float) -> int:
    """Associations that are aborted as soon as they stand, or before."""
    numbers = itertools.count()

    def attack(connection: Connection) -> None:
        connection.send(associate_rq([ECHO, STORAGE]))
        if next(numbers) % 2:
            connection.receive()
        connection.send(pdu(A_ABORT, bytes(4)))

    return _in_threads(port, until, 2, attack)


ATTACKS: dict[str, Callable[[int, float], int]] = {
    each.__name__: each
    for each in (
        silent_connections,
        silent_associations,
        slow_requests,
        slow_messages,
        port_probes,
        aborted_associations,
    )
}


def _in_threads(
    port: int, until: float, threads_each: int, attack: Callable[[Connection], None]
) -> int:
    """Attack again and again, in so many threads for each address; gives how often."""
    counts: list[int] = []

    def again(address: str) -> None:
        count = 0
        while time.monotonic() < until:
            try:
                with connect_from(address, port, timeout=1) as connection:
                    attack(connection)
                count += 1
            except OSError:
                time.sleep(0.01)
        counts.append(count)

    threads = [
        threading.Thread(target=again, args=(address,))
        for address in ADDRESSES
        for _ in range(threads_each)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return sum(counts)


def _wait_for_the_end(connection: Connection, until: float) -> None:
    while time.monotonic() < until:
        try:
            if not connection.socket.recv(100):
                return
        except TimeoutError:
            continue


def _trickle(connection: Connection, message: bytes, until: float) -> None:
    for byte in message:
        if time.monotonic() > until:
            return
        connection.send(bytes((byte,)))
        time.sleep(1)


if __name__ == "__main__":
    print(ATTACKS[sys.argv[1]](int(sys.argv[2]), time.monotonic() + float(sys.argv[3])))
