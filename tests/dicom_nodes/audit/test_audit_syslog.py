from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dicom_nodes.audit.syslog import Repository, Transport, connect, syslog_message
from dicom_nodes.network.tls import ClientTLS
from processing.measurement import PermanentFault, TransientFault
from tests.dicom_nodes.audit.repository import TLSRepository, UDPRepository
from tests.dicom_nodes.network.certificates import Authority

AT = datetime(2026, 11, 21, 12, 0, 0, 5000, UTC)
# RFC 5424, section 6: PRI VERSION TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA MSG
FORM = re.compile(
    rb"<(\d{1,3})>1 (\S+) ([\x21-\x7e]{1,255}) ([\x21-\x7e]{1,48}) ([\x21-\x7e]{1,128}) "
    rb"([\x21-\x7e]{1,32}) - \xef\xbb\xbf(.*)",
    re.DOTALL,
)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def message(text: str = "<AuditMessage/>") -> bytes:
    return syslog_message(text, at=AT, host="node", application="hemiface", process="7")


def over_tls(port: int, authority: Authority) -> Repository:
    return Repository(
        "127.0.0.1", port, tls=ClientTLS(authorities=authority.certificate), timeout_seconds=3
    )


def wait_for(repository: TLSRepository, number: int) -> None:
    until = time.monotonic() + 5
    while len(repository.messages) < number and time.monotonic() < until:
        time.sleep(0.01)


def test_a_message_has_the_form_of_rfc_5424() -> None:
    found = FORM.fullmatch(message("<AuditMessage>Ärztin</AuditMessage>"))
    assert found is not None
    priority, moment, host, application, process, message_id, text = found.groups()
    assert (priority, host, application, process) == (b"85", b"node", b"hemiface", b"7")
    assert moment == b"2026-11-21T12:00:00.005000Z"
    assert message_id == b"DICOM+RFC3881"
    assert text.decode() == "<AuditMessage>Ärztin</AuditMessage>"


def test_names_that_the_header_does_not_allow_are_replaced() -> None:
    found = FORM.fullmatch(
        syslog_message("x", at=AT, host="a b\nc", application="", process="é" * 200)
    )
    assert found is not None
    assert found.groups()[2:5] == (b"a_b_c", b"-", b"_" * 128)


def test_messages_go_over_tls_each_with_its_length(authority: Authority) -> None:
    with TLSRepository(authority) as repository:
        connection = connect(over_tls(repository.port, authority))
        sent = [message("1 <a>\n2"), message("ü" * 100_000), message("")]
        connection.send(sent[:2])
        connection.send(sent[2:])
        wait_for(repository, 3)
        connection.close()
        assert repository.messages == sent


def test_messages_go_by_udp_one_to_a_datagram() -> None:
    repository = UDPRepository()
    connection = connect(Repository("127.0.0.1", repository.port, Transport.UDP))
    connection.send([message("1"), message("2")])
    assert [repository.receive(), repository.receive()] == [message("1"), message("2")]
    connection.close()
    repository.close()


def test_a_repository_that_is_away_is_a_transient_fault(authority: Authority) -> None:
    with TLSRepository(authority) as repository:
        address = over_tls(repository.port, authority)
    with pytest.raises(TransientFault, match="cannot be reached"):
        connect(address)


def test_a_repository_that_hangs_up_is_noticed_before_more_is_sent(authority: Authority) -> None:
    with TLSRepository(authority) as repository:
        connection = connect(over_tls(repository.port, authority))
        connection.send([message()])
        wait_for(repository, 1)
        repository.break_connections()
        time.sleep(0.1)
        with pytest.raises(TransientFault, match="ended the connection"):
            connection.send([message()])
        connection.close()


def test_a_repository_that_is_not_trusted_is_a_permanent_fault(
    tmp_path: Path, authority: Authority
) -> None:
    stranger = Authority(tmp_path, "stranger")
    with (
        TLSRepository(stranger) as repository,
        pytest.raises(PermanentFault, match="is not trusted"),
    ):
        connect(over_tls(repository.port, authority))
