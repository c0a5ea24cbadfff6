"""A peer on a raw socket that does what a script says, right or wrong.

Its PDUs are put together by hand from PS3.8, section 9.3, so that they do not
depend on the code they test.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable

A_ASSOCIATE_RQ, A_ASSOCIATE_AC, A_ASSOCIATE_RJ = 1, 2, 3
P_DATA_TF, A_RELEASE_RQ, A_RELEASE_RP, A_ABORT = 4, 5, 6, 7

VERIFICATION = "1.2.840.10008.1.1"
MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
JPEG = "1.2.840.10008.1.2.4.50"
# Presentation contexts to propose.
STORAGE = (MR_IMAGE, [EXPLICIT])
ECHO = (VERIFICATION, [IMPLICIT])


def item(kind: int, content: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(content)) + content


def pdu(kind: int, content: bytes) -> bytes:
    return struct.pack(">BxL", kind, len(content)) + content


def associate_rq(
    contexts: list[tuple[str, list[str]]],
    calling: str = "SCRIPT",
    called: str = "HEMIFACE",
    maximum_length: int = 16384,
) -> bytes:
    content = struct.pack(">Hxx", 1) + called.ljust(16).encode() + calling.ljust(16).encode()
    content += bytes(32) + item(0x10, b"1.2.840.10008.3.1.1.1")
    for index, (abstract, transfers) in enumerate(contexts):
        content += item(
            0x20,
            struct.pack("Bxxx", 2 * index + 1)
            + item(0x30, abstract.encode())
            + b"".join(item(0x40, each.encode()) for each in transfers),
        )
    user = item(0x51, struct.pack(">L", maximum_length)) + item(0x52, b"1.2.3.4")
    return pdu(A_ASSOCIATE_RQ, content + item(0x50, user))


def associate_ac(transfer_syntax: str = IMPLICIT, maximum_length: int = 16384) -> bytes:
    """Accepts the first context in `transfer_syntax`."""
    content = struct.pack(">Hxx", 1) + bytes(64) + item(0x10, b"1.2.840.10008.3.1.1.1")
    content += item(0x21, struct.pack("BxBx", 1, 0) + item(0x40, transfer_syntax.encode()))
    user = item(0x51, struct.pack(">L", maximum_length)) + item(0x52, b"1.2.3.4")
    return pdu(A_ASSOCIATE_AC, content + item(0x50, user))


def element(number: int, value: bytes) -> bytes:
    return struct.pack("<HHL", 0, number, len(value)) + value


def uid_value(uid: str) -> bytes:
    return uid.encode() + b"\0" * (len(uid) % 2)


def command_set(*elements: tuple[int, bytes]) -> bytes:
    body = b"".join(element(number, value) for number, value in sorted(elements))
    return element(0, struct.pack("<L", len(body))) + body


def store_command(sop_class: str, sop_instance: str, message_id: int = 1) -> bytes:
    return command_set(
        (0x0002, uid_value(sop_class)),
        (0x0100, b"\x01\x00"),
        (0x0110, struct.pack("<H", message_id)),
        (0x0700, b"\0\0"),
        (0x0800, b"\x01\x00"),
        (0x1000, uid_value(sop_instance)),
    )


def echo_command(message_id: int = 1) -> bytes:
    return command_set(
        (0x0002, uid_value(VERIFICATION)),
        (0x0100, b"\x30\x00"),
        (0x0110, struct.pack("<H", message_id)),
        (0x0800, b"\x01\x01"),
    )


def echo_response(message_id: int) -> bytes:
    return command_set(
        (0x0002, uid_value(VERIFICATION)),
        (0x0100, b"\x30\x80"),
        (0x0120, struct.pack("<H", message_id)),
        (0x0800, b"\x01\x01"),
        (0x0900, b"\0\0"),
    )


def fragment(context_id: int, control: int, content: bytes) -> bytes:
    return struct.pack(">LBB", len(content) + 2, context_id, control) + content


def data_set(
    sop_instance: str, sop_class: str = MR_IMAGE, size: int = 100, explicit: bool = True
) -> bytes:
    """SOP Class UID, SOP Instance UID and pixels."""

    def plain(group: int, number: int, representation: bytes, value: bytes) -> bytes:
        if explicit:
            return struct.pack("<HH2sH", group, number, representation, len(value)) + value
        return struct.pack("<HHL", group, number, len(value)) + value

    head = plain(8, 0x16, b"UI", uid_value(sop_class))
    head += plain(8, 0x18, b"UI", uid_value(sop_instance))
    tag = struct.pack("<HH", 0x7FE0, 0x0010)
    pixels = struct.pack("<L", size) + bytes(index % 251 for index in range(size))
    return head + tag + (b"OW\0\0" if explicit else b"") + pixels


def elements_of(command: bytes) -> dict[int, bytes]:
    found, position = {}, 0
    while position < len(command):
        _, number, length = struct.unpack_from("<HHL", command, position)
        found[number] = command[position + 8 : position + 8 + length]
        position += 8 + length
    return found


class Connection:
    """One end of a connection that speaks in PDUs."""

    def __init__(self, connected: socket.socket, timeout: float = 10) -> None:
        self.socket = connected
        self.socket.settimeout(timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def receive(self) -> tuple[int, bytes]:
        """Type and content of the next PDU; (0, b"") when the connection has ended."""
        header = self._exactly(6)
        if len(header) < 6:
            return 0, b""
        kind, length = struct.unpack(">BxL", header)
        return kind, self._exactly(length)

    def ended(self) -> bool:
        """Whether nothing but the end, or an abort and the end, is there."""
        kind, _ = self.receive()
        return kind in (0, A_ABORT)

    def associate(
        self, *contexts: tuple[str, list[str]], **options: str | int
    ) -> tuple[int, bytes]:
        self.send(associate_rq(list(contexts), **options))  # type: ignore[arg-type]  # of many types
        return self.receive()

    def store(self, sop_class: str, sop_instance: str, content: bytes, *, piece: int = 8000) -> int:
        """C-STORE on context 1; returns the status."""
        self.send(pdu(P_DATA_TF, fragment(1, 3, store_command(sop_class, sop_instance))))
        for start in range(0, len(content), piece):
            last = 2 if start + piece >= len(content) else 0
            self.send(pdu(P_DATA_TF, fragment(1, last, content[start : start + piece])))
        return self.store_status()

    def store_status(self) -> int:
        kind, content = self.receive()
        assert kind == P_DATA_TF, f"PDU type {kind}"
        return int(struct.unpack("<H", elements_of(content[6:])[0x0900])[0])

    def echo(self) -> int:
        """C-ECHO on context 1; returns the status."""
        self.send(pdu(P_DATA_TF, fragment(1, 3, echo_command())))
        return self.store_status()

    def release(self) -> int:
        self.send(pdu(A_RELEASE_RQ, bytes(4)))
        return self.receive()[0]

    def _exactly(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            try:
                got = self.socket.recv(length - len(data))
            except ConnectionResetError:
                got = b""
            if not got:
                break
            data += got
        return data


def connect(port: int, timeout: float = 10) -> Connection:
    return Connection(socket.create_connection(("127.0.0.1", port), timeout), timeout)


def connect_from(address: str, port: int, timeout: float = 10) -> Connection:
    """A connection from another address of the loopback network."""
    return Connection(
        socket.create_connection(("127.0.0.1", port), timeout, source_address=(address, 0)), timeout
    )


class ScriptedAcceptor:
    """Listens, and runs a script on the first connection."""

    def __init__(self, script: Callable[[Connection], None]) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._script = script
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> ScriptedAcceptor:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.close()
        self._thread.join(10)

    def _run(self) -> None:
        try:
            accepted, _ = self._listening.accept()
            with Connection(accepted) as connection:
                self._script(connection)
        except OSError:
            return  # the test is over
