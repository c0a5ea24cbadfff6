"""The listener over sockets: python-hl7's client, and peers that do not keep to MLLP."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path

import pytest
from hl7.client import MLLPClient
from pydantic import ValidationError

from dicom_nodes.network.reloaded_tls import ReloadedTLS
from dicom_nodes.network.tls import ServerTLS
from service.audit.trail import open_trail
from service.catalogue import worklist
from service.catalogue.database import Database
from service.hl7_orders.connections import END, START, Limits, Listener
from service.hl7_orders.message import read_message
from service.hl7_orders.taking import OrderTaker, listener_of
from service.ports import listening_ports
from service.processes import Role, part_names
from service.settings import OrderSettings, Settings, WorklistSettings
from tests.dicom_nodes.network.certificates import Authority
from tests.service.hl7_orders.hl7_samples import omi, orm
from tests.service.worklist.test_under_its_order import Looked

LIMITS = Limits(connections=3, message_bytes=2000, message_seconds=1.0, idle_seconds=30)


def echo(message: bytes, _address: str) -> bytes:
    return b"heard " + message


@contextmanager
def running(listener: Listener) -> Iterator[int]:
    stopped = threading.Event()
    thread = threading.Thread(target=listener.run, args=(stopped,))
    thread.start()
    try:
        yield listener.port
    finally:
        stopped.set()
        thread.join(10)
        assert not thread.is_alive()


@contextmanager
def listening(
    answer: Callable[[bytes, str], bytes] = echo, limits: Limits = LIMITS, **options: object
) -> Iterator[int]:
    listener = Listener("127.0.0.1", 0, answer, limits, **options)  # type: ignore[arg-type] # the tests' own
    with running(listener) as port:
        yield port


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def heard(peer: socket.socket, message: bytes) -> bool:
    peer.sendall(START + message + END)
    return peer.recv(100) == START + b"heard " + message + END


def is_closed(peer: socket.socket) -> bool:
    try:
        return peer.recv(100) == b""
    except ConnectionResetError:
        return True


def is_refused(context: ssl.SSLContext, plain: socket.socket) -> bool:
    """Whether TLS ends with an alert, which in TLS 1.3 comes after the client's handshake."""
    try:
        with context.wrap_socket(plain, server_hostname="127.0.0.1") as peer:
            return peer.recv(100) == b""
    except OSError:
        return True


def ended(peer: socket.socket) -> bool:
    """Send one byte more, and hear whether the connection is closed."""
    try:
        peer.sendall(b"x")
        return peer.recv(100) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


@pytest.fixture
def orders_port(settings: Settings, database: Database, free_port: int) -> Iterator[int]:
    chosen = OrderSettings(port=free_port)
    with open_trail(settings) as trail:
        taker = OrderTaker(settings, database, Looked(), trail)
        with running(listener_of(chosen, taker)) as port:
            yield port


def test_orders_of_python_hl7s_client_are_kept(orders_port: int, database: Database) -> None:
    with MLLPClient("127.0.0.1", orders_port) as client:
        for text in (omi(), orm("CA", control_id="M2"), orm(control_id="M3", zds="")):
            client.send_message(text)
    with MLLPClient("127.0.0.1", orders_port) as client:
        answer = client.send_message(omi(control_id="M4"))
    assert read_message(answer.strip(START + END)).first("MSA").text(2) == "M4"
    assert {each.step.step_id for each in worklist.items(database, 10)} == {"S1", "S2"}


def test_orders_of_mllp_send_are_kept(orders_port: int, database: Database, tmp_path: Path) -> None:
    file = tmp_path / "orders.hl7"
    file.write_bytes(b"".join(START + each.encode() + END for each in (omi(), orm("XX"))))
    program = Path(sys.executable).with_name("mllp_send")
    command = [str(program), "-p", str(orders_port), "-f", str(file), "127.0.0.1"]
    said = subprocess.run(command, check=True, capture_output=True, timeout=60).stdout
    assert (said.count(b"MSA|AA|M1"), said.count(b"MSA|AE|M1")) == (1, 1)
    assert len(worklist.items(database, 10)) == 2


def test_messages_come_in_pieces_and_several_at_once() -> None:
    with listening() as port, connected(port) as peer:
        for byte in START + b"one" + END:
            peer.sendall(bytes([byte]))
        assert peer.recv(100) == START + b"heard one" + END
        peer.sendall(START + b"two" + END + b"\r\n" + START + b"three" + END)
        expected = START + b"heard two" + END + START + b"heard three" + END
        received = b""
        while len(received) < len(expected):
            received += peer.recv(100)
        assert received == expected


@pytest.mark.parametrize(
    "sent",
    [b"GET / HTTP/1.1\r\n\r\n", START + b"x" * 2100, b"\x16\x03\x01", END, START + b"\x1c" * 2100],
)
def test_what_does_not_keep_to_mllp_is_closed(sent: bytes) -> None:
    with listening() as port:
        with connected(port) as peer:
            peer.sendall(sent)
            assert is_closed(peer)
        with connected(port) as peer:
            assert heard(peer, b"honest")


def test_a_message_that_does_not_end_is_closed_however_slowly_it_comes() -> None:
    with listening() as port, connected(port) as peer:
        began = time.monotonic()
        peer.sendall(START)
        peer.settimeout(0.05)
        while not ended(peer):
            assert time.monotonic() < began + 20
        assert time.monotonic() - began >= 1.0


def test_silence_between_messages_is_waited_for_until_it_is_too_long() -> None:
    limits = Limits(connections=3, message_bytes=2000, message_seconds=0.2, idle_seconds=2)
    with listening(limits=limits) as port, connected(port) as peer:
        assert heard(peer, b"one")
        time.sleep(0.8)
        assert heard(peer, b"two"), "longer than a message may take"
        assert is_closed(peer)


def test_silent_connections_give_way_to_an_honest_one() -> None:
    with listening() as port:
        silent = [connected(port) for _ in range(3)]
        # A thread each, which has begun to wait.
        time.sleep(0.5)
        with connected(port) as peer:
            assert heard(peer, b"honest")
            assert is_closed(silent[0]), "the one that was silent longest"
        for each in silent:
            each.close()


def test_while_all_connections_are_at_work_no_more_are_taken() -> None:
    at_work, may_end = threading.Semaphore(0), threading.Event()

    def slow(message: bytes, address: str) -> bytes:
        at_work.release()
        assert may_end.wait(20)
        return echo(message, address)

    with listening(slow) as port:
        peers = [connected(port) for _ in range(3)]
        for each in peers:
            each.sendall(START + b"x" + END)
        for _ in peers:
            assert at_work.acquire(timeout=20)
        with connected(port) as one_more:
            assert is_closed(one_more)
        # The node's own time is not the peers' fault.
        time.sleep(LIMITS.message_seconds + 1)
        may_end.set()
        for each in peers:
            assert each.recv(100) == START + b"heard x" + END
            each.close()


def test_only_addresses_that_may_order_are_taken() -> None:
    refused: list[str] = []
    allowed = (ip_network("10.0.0.0/8"),)
    with listening(allowed=allowed, refused=refused.append) as port, connected(port) as peer:
        assert is_closed(peer)
    assert refused == ["127.0.0.1"]


def test_over_tls_a_client_must_have_a_certificate_that_is_trusted(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, private_key = authority.issue("hemiface")
    tls = ReloadedTLS(
        ServerTLS(certificate, private_key, authority.certificate, require_client_certificate=True)
    )
    context = authority.client_context()
    with listening(tls=tls) as port:
        with connected(port) as plain:
            assert is_refused(context, plain), "no certificate of the client's own"
        context.load_cert_chain(*authority.issue("ris"))
        with (
            connected(port) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as peer,
        ):
            assert peer.version() in ("TLSv1.2", "TLSv1.3")
            assert heard(peer, b"honest")
        with connected(port) as silent:
            began = time.monotonic()
            assert is_closed(silent), "a handshake that does not come"
            assert time.monotonic() - began < 10


def test_nothing_listens_unless_a_port_is_set(settings: Settings) -> None:
    assert "orders-0" not in part_names(settings, Role.ALL)
    chosen = WorklistSettings.model_validate({"orders": {"port": 2575}})
    listening_for = settings.model_copy(update={"worklist": chosen})
    assert "orders-0" in part_names(listening_for, Role.ALL)
    assert "orders-0" in part_names(listening_for, Role.RECEIVE)
    assert "orders-0" not in part_names(listening_for, Role.WORK)
    port = ("127.0.0.1", 2575, "WORKLIST__ORDERS__PORT")
    assert port in listening_ports(listening_for, Role.ALL)


@pytest.mark.parametrize(
    ("chosen", "why"),
    [
        ({"port": 2575, "address": "0.0.0.0"}, "peer_addresses"),
        ({"peer_addresses": ["the RIS"]}, "IPv4"),
        ({"tls": {"certificate": "a.pem"}}, "private key"),
        ({"tls": {"client_authorities": "a.pem"}}, "certificate"),
    ],
)
def test_settings_that_would_let_anybody_order_are_refused(
    chosen: dict[str, object], why: str
) -> None:
    with pytest.raises(ValidationError, match=why):
        OrderSettings.model_validate(chosen)
    OrderSettings.model_validate(
        {"port": 2575, "address": "0.0.0.0", "peer_addresses": ["10.0.0.0/8"]}
    )
