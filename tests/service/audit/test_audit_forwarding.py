from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dicom_nodes.audit.syslog import Repository
from dicom_nodes.network.tls import ClientTLS
from processing.measurement import TransientFault
from service.audit.chain import Chain, Entry, log_files
from service.audit.forwarding import Forwarder
from tests.dicom_nodes.audit.repository import TLSRepository
from tests.dicom_nodes.network.certificates import Authority


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "audit"


class Recorder:
    def __init__(self, folder: Path, rotate_bytes: int = 3000) -> None:
        self._chain = Chain(folder, rotate_bytes)
        self.count = 0

    def record(self, count: int) -> None:
        at = datetime(2026, 11, 21, tzinfo=UTC)
        self._chain.append([Entry(at, f"event {self.count + number}") for number in range(count)])
        self.count += count


def forwarder(folder: Path, port: int, authority: Authority) -> Forwarder:
    tls = ClientTLS(authorities=authority.certificate)
    repository = Repository("127.0.0.1", port, tls=tls, timeout_seconds=3)
    return Forwarder(folder, repository, first_retry_seconds=0.05)


def texts(messages: list[bytes]) -> list[int]:
    return [int(re.findall(rb"event (\d+)$", each)[0]) for each in messages]


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.02)
    return condition()


def running(sending: Forwarder) -> Callable[[], None]:
    stopped = threading.Event()
    thread = threading.Thread(target=sending.run, args=(stopped,))
    thread.start()

    def stop() -> None:
        stopped.set()
        thread.join(10)

    return stop


def test_what_was_recorded_is_sent_once_and_in_order_across_files(
    folder: Path, authority: Authority
) -> None:
    recorder = Recorder(folder)
    recorder.record(150)
    recorder.record(150)
    assert len(log_files(folder)) > 1
    with TLSRepository(authority) as repository:
        stop = running(forwarder(folder, repository.port, authority))
        assert within(10, lambda: len(repository.messages) == 300)
        recorder.record(5)
        assert within(10, lambda: len(repository.messages) == 305)
        stop()
        # A restart does not send again what was sent.
        stop = running(forwarder(folder, repository.port, authority))
        recorder.record(1)
        assert within(10, lambda: len(repository.messages) == 306)
        stop()
        assert texts(repository.messages) == list(range(306))


def test_nothing_is_lost_while_the_repository_is_away(folder: Path, authority: Authority) -> None:
    recorder = Recorder(folder)
    first = TLSRepository(authority)
    stop = running(forwarder(folder, first.port, authority))
    recorder.record(10)
    assert within(10, lambda: len(first.messages) == 10)
    first.break_connections()
    first.close()
    for _ in range(20):
        recorder.record(10)
    time.sleep(0.3)
    with TLSRepository(authority, first.port) as second:
        # Some may come twice: what the first had taken, but was not yet noted as sent.
        assert within(20, lambda: set(texts(first.messages + second.messages)) == set(range(210)))
        stop()


def test_a_forwarder_that_was_killed_while_sending_sends_again(
    folder: Path, authority: Authority
) -> None:
    Recorder(folder).record(3)

    class Killed(Exception):
        pass

    sent: list[bytes] = []

    class Connection:
        def send(self, messages: list[bytes]) -> None:
            sent.extend(messages)
            raise Killed

        def close(self) -> None:
            return

    sending = forwarder(folder, 1, authority)
    sending.connect = lambda _: Connection()
    with pytest.raises(Killed):
        sending.send_next()
    with TLSRepository(authority) as repository:
        again = forwarder(folder, repository.port, authority)
        assert again.send_next() == 3
        assert within(5, lambda: len(repository.messages) == 3)
        again.disconnect()
    assert len(sent) == 3


def test_a_record_that_cannot_be_read_holds_up_no_other(folder: Path, authority: Authority) -> None:
    recorder = Recorder(folder, 10**6)
    recorder.record(2)
    (path,) = log_files(folder)
    first, second = path.read_bytes().splitlines(True)
    path.write_bytes(first + b"\xff\n" + second)
    with TLSRepository(authority) as repository:
        sending = forwarder(folder, repository.port, authority)
        assert sending.send_next() == 2
        assert within(5, lambda: texts(repository.messages) == [0, 1])
        sending.disconnect()


def test_half_a_record_waits_until_it_is_whole(folder: Path, authority: Authority) -> None:
    Recorder(folder, 10**6).record(1)
    (path,) = log_files(folder)
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    sending = forwarder(folder, 1, authority)
    assert sending.send_next() == 0
    path.write_bytes(whole)
    with pytest.raises(TransientFault):
        sending.send_next()
