from __future__ import annotations

import logging
import shutil
import socket
from pathlib import Path

import pytest
from cryptography import x509

from dicom_nodes.network.reloaded_tls import ReloadedTLS
from dicom_nodes.network.tls import ServerTLS
from processing.measurement import PermanentFault
from tests.dicom_nodes.network.certificates import Authority
from tests.dicom_nodes.network.listening import Node, listening


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def server(tmp_path: Path, authority: Authority) -> ServerTLS:
    tls = ServerTLS(tmp_path / "node.pem", tmp_path / "node.key")
    install(authority, tls)
    return tls


def install(authority: Authority, tls: ServerTLS) -> int:
    """Put a new certificate and key in place; gives its serial number."""
    certificate, key = authority.issue("localhost")
    # As certbot does: a new file under the old name.
    shutil.move(key, tls.private_key)
    shutil.move(certificate, tls.certificate)
    return x509.load_pem_x509_certificate(tls.certificate.read_bytes()).serial_number


def shown_serial(node: Node, authority: Authority) -> int:
    with (
        socket.create_connection(("127.0.0.1", node.port), 5) as raw,
        authority.client_context().wrap_socket(raw, server_hostname="localhost") as peer,
    ):
        shown = peer.getpeercert(binary_form=True)
        assert shown
        return x509.load_der_x509_certificate(shown).serial_number


def test_a_new_certificate_is_shown_at_the_next_handshake(
    tmp_path: Path, authority: Authority, server: ServerTLS
) -> None:
    with listening(tmp_path / "node", tls=server) as node:
        first = shown_serial(node, authority)
        second = install(authority, server)
        assert first != second
        assert shown_serial(node, authority) == second


def test_a_broken_new_certificate_keeps_the_old_one_and_says_so_once(
    tmp_path: Path, authority: Authority, server: ServerTLS, caplog: pytest.LogCaptureFixture
) -> None:
    with listening(tmp_path / "node", tls=server) as node:
        first = shown_serial(node, authority)
        server.certificate.write_bytes(b"half a file")
        with caplog.at_level(logging.ERROR):
            assert [shown_serial(node, authority) for _ in range(3)] == [first] * 3
        said = [each for each in caplog.messages if "stays in use" in each]
        assert len(said) == 1
        assert "node.pem holds no certificate" in said[0]
        second = install(authority, server)
        assert shown_serial(node, authority) == second


def test_a_certificate_whose_key_comes_later_is_taken_when_the_key_is_there(
    authority: Authority, server: ServerTLS
) -> None:
    reloaded = ReloadedTLS(server)
    before = reloaded.context()
    certificate, key = authority.issue("localhost")
    shutil.move(certificate, server.certificate)
    assert reloaded.context() is before
    shutil.move(key, server.private_key)
    after = reloaded.context()
    assert after is not before
    assert reloaded.context() is after


def test_a_file_that_is_missing_at_the_start_is_named(server: ServerTLS) -> None:
    server.private_key.unlink()
    with pytest.raises(PermanentFault, match=r"node\.key cannot be read"):
        ReloadedTLS(server)


def test_a_file_that_vanishes_keeps_the_old_context(server: ServerTLS) -> None:
    reloaded = ReloadedTLS(server)
    before = reloaded.context()
    server.certificate.unlink()
    assert reloaded.context() is before
