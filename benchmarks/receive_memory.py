"""Whether the memory of a receiver stays flat over many associations and instances.

A receiver of a whole node is given associations one after another, most of them
for a C-ECHO, then instances by C-STORE; its resident memory is taken at equal
steps. It swings, as garbage is collected; flat means that the second half of the
steps reaches no higher than the first.

    python -m benchmarks.receive_memory [--associations 20000] [--instances 50000] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import psutil

REPOSITORY: Final = Path(__file__).resolve().parents[1]
LOOPBACK: Final = "127.0.0.1"
VERIFICATION: Final = "1.2.840.10008.1.1"
SECONDARY_CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"
EXPLICIT: Final = "1.2.840.10008.1.2.1"
STEPS: Final = 20
INSTANCES_PER_ASSOCIATION: Final = 100
_ASSOCIATE_AC: Final = 2
_P_DATA_TF: Final = 4


@dataclass(frozen=True, slots=True)
class Measured:
    """Resident memory in bytes, at the start and after each of `STEPS` equal steps."""

    what: str
    count: int
    seconds: float
    resident_bytes: tuple[int, ...]

    @property
    def late_growth_bytes(self) -> int:
        """By how much the second half of the steps reached higher than the first."""
        first, second = self.halves()
        return max(second) - max(first)

    def halves(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Resident memory in the first and in the second half of the steps."""
        middle = len(self.resident_bytes) // 2 + 1
        return self.resident_bytes[:middle], self.resident_bytes[middle:]


def main(arguments: list[str] | None = None) -> None:
    """Measure, and print or write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--associations", type=int, default=20_000)
    parser.add_argument("--instances", type=int, default=50_000)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, running_receiver(Path(folder)) as (pid, port):
        associations = _measured("associations", chosen.associations, pid, lambda _: echo(port))
        with closing(_Sender(port)) as sender:
            found = (associations, _measured("instances", chosen.instances, pid, sender.store))
    for each in found:
        first, second = ([round(size / 1e6) for size in half] for half in each.halves())
        print(
            f"{each.count} {each.what} in {each.seconds:.0f} s: {first[0]} MB at first, "
            f"at most {max(first)} MB in the first half and {max(second)} MB in the second, "
            f"{second[-1]} MB at the end"
        )
    if chosen.json is not None:
        chosen.json.write_text(
            json.dumps(
                [asdict(each) | {"late_growth_bytes": each.late_growth_bytes} for each in found]
            )
        )


@contextmanager
def running_receiver(folder: Path) -> Iterator[tuple[int, int]]:
    """The receiving half of a node; gives the process of its receiver, and the port."""
    port, http_port = _free_ports(2)
    environment = os.environ | {
        "HEMIFACE_DATA_FOLDER": str(folder / "data"),
        "HEMIFACE_SETTINGS": str(folder / "none.toml"),
        "HEMIFACE_DICOM__PORT": str(port),
        "HEMIFACE_HTTP__PORT": str(http_port),
        "HEMIFACE_DICOM__PROCESSES": "1",
        "HEMIFACE_DICOM__MAXIMUM_CONNECTIONS_PER_SECOND": "0",
        "HEMIFACE_STORAGE__RESERVE_BYTES": "0",
    }
    node = subprocess.Popen(
        [sys.executable, "-m", "service.cli", "serve", "--role", "receive"],
        cwd=REPOSITORY,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_until_listening(port)
        receiver = next(
            each
            for each in psutil.Process(node.pid).children(recursive=True)
            if each.cmdline()[-1:] == ["receiver-0"]
        )
        yield receiver.pid, port
    finally:
        node.send_signal(signal.SIGTERM)
        node.wait(60)


def _measured(what: str, count: int, pid: int, do: Callable[[int], None]) -> Measured:
    process = psutil.Process(pid)
    # What the first of its kind brings into memory for good is not growth.
    do(0)
    resident = [process.memory_info().rss]
    began = time.monotonic()
    for step in range(STEPS):
        for number in range(step * count // STEPS, (step + 1) * count // STEPS):
            do(number + 1)
        resident.append(process.memory_info().rss)
    return Measured(what, count, time.monotonic() - began, tuple(resident))


def echo(port: int) -> None:
    """An association with one C-ECHO."""
    with _Association(port, VERIFICATION) as association:
        association.send(_command(VERIFICATION, 0x0030, b"\x01\x01"), 3)
        association.expect(_P_DATA_TF)


class _Sender:
    """Stores small instances, a hundred on each association."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._association: _Association | None = None

    def store(self, number: int) -> None:
        if number % INSTANCES_PER_ASSOCIATION == 0:
            self.close()
        if self._association is None:
            self._association = _Association(self._port, SECONDARY_CAPTURE)
        uid = f"1.2.826.0.1.3680043.10.999.{os.getpid()}.{number}"
        self._association.send(
            _command(
                SECONDARY_CAPTURE,
                0x0001,
                b"\x00\x00",
                (0x0700, b"\0\0"),
                (0x1000, _padded(uid)),
            ),
            3,
        )
        self._association.send(_data_set(uid, number), 2)
        self._association.expect(_P_DATA_TF)

    def close(self) -> None:
        """Release the association that is open."""
        if self._association is not None:
            self._association.__exit__()
            self._association = None


class _Association:
    """An association for one abstract syntax, by hand so that the sender costs little."""

    def __init__(self, port: int, abstract_syntax: str) -> None:
        self._socket = socket.create_connection((LOOPBACK, port), 30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        context = struct.pack("Bxxx", 1) + _item(0x30, abstract_syntax.encode())
        context += _item(0x40, EXPLICIT.encode())
        content = struct.pack(">Hxx", 1) + b"HEMIFACE".ljust(16) + b"BENCH".ljust(16) + bytes(32)
        content += _item(0x10, b"1.2.840.10008.3.1.1.1") + _item(0x20, context)
        user = _item(0x51, struct.pack(">L", 16384)) + _item(0x52, b"1.2.3.4")
        self._socket.sendall(_pdu(1, content + _item(0x50, user)))
        self.expect(_ASSOCIATE_AC)

    def __enter__(self) -> _Association:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.sendall(_pdu(5, bytes(4)))
        self.expect(6)
        self._socket.close()

    def send(self, content: bytes, control: int) -> None:
        """A message in one fragment: 3 for a command set, 2 for a data set."""
        self._socket.sendall(
            _pdu(_P_DATA_TF, struct.pack(">LBB", len(content) + 2, 1, control) + content)
        )

    def expect(self, kind: int) -> None:
        """Read a PDU of this type."""
        header = self._exactly(6)
        self._exactly(int.from_bytes(header[2:], "big"))
        if header[0] != kind:
            raise RuntimeError(f"PDU of type {header[0]} where {kind} was due")

    def _exactly(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            received = self._socket.recv(length - len(data))
            if not received:
                raise RuntimeError("the node closed the connection")
            data += received
        return data


def _pdu(kind: int, content: bytes) -> bytes:
    return struct.pack(">BxL", kind, len(content)) + content


def _item(kind: int, content: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(content)) + content


def _padded(uid: str) -> bytes:
    return uid.encode() + b"\0" * (len(uid) % 2)


def _command(sop_class: str, field: int, data_set_type: bytes, *more: tuple[int, bytes]) -> bytes:
    elements = sorted(
        [
            (0x0002, _padded(sop_class)),
            (0x0100, struct.pack("<H", field)),
            (0x0110, b"\x01\x00"),
            (0x0800, data_set_type),
            *more,
        ]
    )
    body = b"".join(struct.pack("<HHL", 0, tag, len(value)) + value for tag, value in elements)
    return struct.pack("<HHLL", 0, 0, 4, len(body)) + body


def _data_set(uid: str, number: int) -> bytes:
    """A small instance; a study for each hundred."""
    study = f"1.2.826.0.1.3680043.10.998.{os.getpid()}.{number // INSTANCES_PER_ASSOCIATION}"
    values = (
        (0x0008, 0x0016, b"UI", _padded(SECONDARY_CAPTURE)),
        (0x0008, 0x0018, b"UI", _padded(uid)),
        (0x0008, 0x0060, b"CS", b"OT"),
        (0x0010, 0x0020, b"LO", b"BENCH "),
        (0x0020, 0x000D, b"UI", _padded(study)),
        (0x0020, 0x000E, b"UI", _padded(f"{study}.1")),
    )
    head = b"".join(
        struct.pack("<HH2sH", group, element, kind, len(value)) + value
        for group, element, kind, value in values
    )
    return head + struct.pack("<HH2sxxL", 0x7FE0, 0x0010, b"OB", 256) + bytes(256)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server((LOOPBACK, 0)) for _ in range(count)]
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _wait_until_listening(port: int, seconds: float = 90) -> None:
    until = time.monotonic() + seconds
    while True:
        with socket.socket() as probe:
            if probe.connect_ex((LOOPBACK, port)) == 0:
                return
        if time.monotonic() > until:
            raise RuntimeError(f"the node does not listen within {seconds:g} s")
        time.sleep(0.2)


if __name__ == "__main__":
    main()
