from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from dicom_nodes.network.peer import Peer
from dicom_nodes.network.storage_scu import send_files
from dicom_nodes.network.tls import ClientTLS, ServerTLS, client_context, server_context
from dicom_nodes.network.verification_scu import echo
from processing.measurement import PermanentFault, TransientFault
from tests.dicom_nodes.network.certificates import Authority
from tests.dicom_nodes.network.instances import write_instance
from tests.dicom_nodes.network.listening import listening


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def server(authority: Authority) -> ServerTLS:
    return ServerTLS(*authority.issue("localhost"))


def peer_at(port: int, tls: ClientTLS | None) -> Peer:
    return Peer("node", "HEMIFACE", "127.0.0.1", port, "SENDER", tls, 2, 2, 2, 2)


def test_a_file_goes_over_tls(tmp_path: Path, authority: Authority, server: ServerTLS) -> None:
    file = write_instance(tmp_path / "files", 1, rows=700)
    with listening(tmp_path / "node", tls=server) as node:
        peer = peer_at(node.port, ClientTLS(authorities=authority.certificate))
        (outcome,) = send_files(peer, [file])
        assert outcome.accepted
        assert len(node.files()) == 1


def test_a_required_client_certificate_must_be_there_and_trusted(
    tmp_path: Path, authority: Authority, server: ServerTLS
) -> None:
    required = ServerTLS(server.certificate, server.private_key, authority.certificate, True)
    stranger = Authority(tmp_path, "stranger")
    with listening(tmp_path / "node", tls=required, acse_timeout_seconds=2) as node:
        echo(peer_at(node.port, ClientTLS(authority.certificate, *authority.issue("client"))))
        for client in (
            ClientTLS(authority.certificate),
            ClientTLS(authority.certificate, *stranger.issue("client")),
        ):
            with pytest.raises((TransientFault, PermanentFault)):
                echo(peer_at(node.port, client))


def test_an_optional_client_certificate_may_be_missing_but_not_wrong(
    tmp_path: Path, authority: Authority, server: ServerTLS
) -> None:
    optional = ServerTLS(server.certificate, server.private_key, authority.certificate)
    stranger = Authority(tmp_path, "stranger")
    with listening(tmp_path / "node", tls=optional, acse_timeout_seconds=2) as node:
        echo(peer_at(node.port, ClientTLS(authority.certificate)))
        with pytest.raises((TransientFault, PermanentFault)):
            echo(peer_at(node.port, ClientTLS(authority.certificate, *stranger.issue("client"))))


def test_a_peer_whose_certificate_is_not_trusted_is_a_permanent_fault(
    tmp_path: Path, server: ServerTLS
) -> None:
    stranger = Authority(tmp_path, "stranger")
    with (
        listening(tmp_path / "node", tls=server) as node,
        pytest.raises(PermanentFault, match="is not trusted"),
    ):
        echo(peer_at(node.port, ClientTLS(stranger.certificate)))


def test_a_certificate_for_another_name_is_not_trusted_unless_names_are_not_checked(
    tmp_path: Path, authority: Authority, server: ServerTLS
) -> None:
    with listening(tmp_path / "node", tls=server, address="127.0.0.2") as node:

        def peer(check_name: bool) -> Peer:
            tls = ClientTLS(authority.certificate, check_name=check_name)
            return Peer("node", "HEMIFACE", "127.0.0.2", node.port, "SENDER", tls)

        with pytest.raises(PermanentFault, match="is not trusted"):
            echo(peer(True))
        echo(peer(False))


def test_plain_tcp_on_a_tls_listener_is_refused(tmp_path: Path, server: ServerTLS) -> None:
    with (
        listening(tmp_path / "node", tls=server) as node,
        pytest.raises(TransientFault),
    ):
        echo(peer_at(node.port, None))


def test_tls_1_1_and_suites_without_forward_secrecy_are_off(
    authority: Authority, server: ServerTLS
) -> None:
    for context in (server_context(server), client_context(ClientTLS(authority.certificate))):
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2
        old = [each for each in context.get_ciphers() if each["protocol"] != "TLSv1.3"]
        assert old
        assert all("DHE" in each["name"] and "GCM" in each["name"] for each in old)


def test_a_missing_file_is_named(tmp_path: Path, server: ServerTLS) -> None:
    missing = tmp_path / "missing.pem"
    with pytest.raises(PermanentFault, match=r"certificate .*missing\.pem cannot be read"):
        server_context(ServerTLS(missing, server.private_key))
    with pytest.raises(PermanentFault, match=r"private key .*missing\.pem cannot be read"):
        server_context(ServerTLS(server.certificate, missing))
    with pytest.raises(PermanentFault, match=r"authorities .*missing\.pem cannot be read"):
        server_context(ServerTLS(server.certificate, server.private_key, missing))


def test_files_that_are_mixed_up_are_named(authority: Authority, server: ServerTLS) -> None:
    with pytest.raises(PermanentFault, match="holds no certificate"):
        server_context(ServerTLS(server.private_key, server.private_key))
    with pytest.raises(PermanentFault, match="holds no private key"):
        server_context(ServerTLS(server.certificate, server.certificate))
    _, other_key = authority.issue("other")
    with pytest.raises(PermanentFault, match="cannot be used together"):
        server_context(ServerTLS(server.certificate, other_key))
    with pytest.raises(PermanentFault, match="holds no usable certificates"):
        server_context(ServerTLS(server.certificate, server.private_key, server.private_key))


def test_an_encrypted_private_key_is_named(tmp_path: Path, server: ServerTLS) -> None:
    key = tmp_path / "encrypted.key"
    key.write_bytes(
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(PermanentFault, match=r"encrypted\.key is encrypted"):
        server_context(ServerTLS(server.certificate, key))


def test_required_client_certificates_need_authorities(server: ServerTLS) -> None:
    with pytest.raises(PermanentFault, match="no client_authorities are set"):
        server_context(
            ServerTLS(server.certificate, server.private_key, require_client_certificate=True)
        )
