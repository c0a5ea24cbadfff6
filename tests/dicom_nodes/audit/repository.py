"""A scripted audit repository: syslog over TLS (RFC 5425) or UDP (RFC 5426)."""

from __future__ import annotations

import socket
import ssl
import threading
from types import TracebackType

from tests.dicom_nodes.network.certificates import Authority


class TLSRepository:
    """Takes frames until it is closed; `messages` are those that came whole."""

    def __init__(self, authority: Authority, port: int = 0) -> None:
        certificate, key = authority.issue("localhost")
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, key)
        self._listening = socket.create_server(("127.0.0.1", port))
        self._open: list[socket.socket] = []
        self.port: int = self._listening.getsockname()[1]
        self.messages: list[bytes] = []
        self.connections = 0
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def __enter__(self) -> TLSRepository:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for each in self._open:
            each.close()
        self._thread.join(5)

    def break_connections(self) -> None:
        for each in self._open:
            each.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._listening.accept()
                accepted.settimeout(20)
                connection = self._context.wrap_socket(accepted, server_side=True)
            except OSError:
                if self._listening.fileno() < 0:
                    return
                continue
            self.connections += 1
            self._open.append(connection)
            threading.Thread(target=self._take, args=(connection,), daemon=True).start()

    def _take(self, connection: ssl.SSLSocket) -> None:
        buffer = b""
        try:
            while data := connection.recv(65536):
                buffer += data
                while b" " in buffer:
                    length, _, rest = buffer.partition(b" ")
                    if len(rest) < int(length):
                        break
                    self.messages.append(rest[: int(length)])
                    buffer = rest[int(length) :]
        except OSError:
            return


class UDPRepository:
    """Takes datagrams."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(10)
        self.port: int = self._socket.getsockname()[1]

    def receive(self) -> bytes:
        return self._socket.recv(70_000)

    def close(self) -> None:
        self._socket.close()
