from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pynetdicom import evt

from dicom_nodes.network.admission import WRONG_CERTIFICATE
from dicom_nodes.network.node_service import NodeService
from dicom_nodes.network.peer import Peer
from dicom_nodes.network.permissions import PeerRule, certificate_fits, is_service_allowed
from dicom_nodes.network.storage_scp import Rejected
from dicom_nodes.network.tls import ClientTLS, ServerTLS
from dicom_nodes.network.verification_scu import echo
from processing.measurement import PermanentFault
from tests.dicom_nodes.network.certificates import Authority
from tests.dicom_nodes.network.listening import listening
from tests.dicom_nodes.network.scripted_peer import (
    A_ASSOCIATE_AC,
    A_ASSOCIATE_RJ,
    EXPLICIT,
    IMPLICIT,
    MR_IMAGE,
    VERIFICATION,
    connect,
)

FIND_STUDY = "1.2.840.10008.5.1.4.1.2.2.1"
QUERY = NodeService("query", (FIND_STUDY,), {evt.EVT_C_FIND: lambda event: iter(())})
ACCEPTED, ABSTRACT_SYNTAX_NOT_SUPPORTED = 0, 3


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def der(certificate: Path) -> bytes:
    return x509.load_pem_x509_certificate(certificate.read_bytes()).public_bytes(Encoding.DER)


def test_a_certificate_is_known_by_fingerprint_name_address_and_common_name(
    authority: Authority,
) -> None:
    certificate = der(authority.issue("camera.example.org")[0])
    digest = hashlib.sha256(certificate).hexdigest()
    colons = ":".join(digest[start : start + 2] for start in range(0, 64, 2)).upper()
    for wanted in (
        f"sha256:{digest}",
        f"sha256:{colons}",
        "dns:Camera.example.org",
        "ip:127.0.0.1",
        "cn:camera.example.org",
    ):
        assert certificate_fits((wanted,), certificate), wanted
        assert certificate_fits(("dns:other", wanted), certificate)
    for wanted in (f"sha256:{'0' * 64}", "dns:example.org", "ip:127.0.0.2", "cn:camera"):
        assert not certificate_fits((wanted,), certificate), wanted


def test_no_certificate_fits_no_binding() -> None:
    assert not certificate_fits(("cn:camera",), None)


def test_bytes_that_are_no_certificate_fit_nothing() -> None:
    assert not certificate_fits(("cn:camera",), b"no certificate")


@pytest.mark.parametrize(
    "wrong", ["camera", "dns:", "sha256:12ab", "email:a@b", "sha256:" + "x" * 64]
)
def test_a_certificate_that_cannot_be_compared_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"certificate|fingerprint"):
        PeerRule("CAMERA", None, (wrong,))


def test_an_ae_title_without_a_rule_may_do_all_and_echo_is_always_allowed() -> None:
    rules = (PeerRule("CAMERA", ("store",)), PeerRule("PACS"))
    assert is_service_allowed(rules, "CAMERA ", "store")
    assert not is_service_allowed(rules, "CAMERA", "query")
    assert is_service_allowed(rules, "CAMERA", "echo")
    assert is_service_allowed(rules, "PACS", "query")
    assert is_service_allowed(rules, "OTHER", "query")


def results(port: int, calling: str) -> list[int]:
    """How the contexts for C-ECHO, C-STORE and C-FIND are answered (PS3.8, table 9-18)."""
    with connect(port) as peer:
        kind, content = peer.associate(
            (VERIFICATION, [IMPLICIT]),
            (MR_IMAGE, [EXPLICIT]),
            (FIND_STUDY, [IMPLICIT]),
            calling=calling,
        )
        assert kind == A_ASSOCIATE_AC
        found, position = {}, 68
        while position < len(content):
            length = int.from_bytes(content[position + 2 : position + 4], "big")
            if content[position] == 0x21:
                found[content[position + 4]] = content[position + 6]
            position += 4 + length
        return [found[context_id] for context_id in (1, 3, 5)]


def test_contexts_of_services_that_a_peer_may_not_use_are_refused_one_by_one(
    tmp_path: Path,
) -> None:
    rules = (PeerRule("CAMERA", ("store",)), PeerRule("VIEWER", ("query",)), PeerRule("PROBE", ()))
    refused = ABSTRACT_SYNTAX_NOT_SUPPORTED
    with listening(tmp_path, services=(QUERY,), peer_rules=rules) as node:
        assert results(node.port, "CAMERA") == [ACCEPTED, ACCEPTED, refused]
        assert results(node.port, "VIEWER") == [ACCEPTED, refused, ACCEPTED]
        assert results(node.port, "PROBE") == [ACCEPTED, refused, refused]
        assert results(node.port, "ANYBODY") == [ACCEPTED, ACCEPTED, ACCEPTED]


def test_an_ae_title_is_believed_only_with_its_certificate(
    tmp_path: Path, authority: Authority
) -> None:
    server = ServerTLS(*authority.issue("localhost"), authority.certificate)
    rules = (PeerRule("CAMERA", None, ("dns:camera.example.org",)),)
    rejected: list[Rejected] = []

    def call(ae_title: str, certificate: str | None) -> None:
        shown = authority.issue(certificate) if certificate else (None, None)
        tls = ClientTLS(authority.certificate, *shown)
        echo(Peer("node", "HEMIFACE", "127.0.0.1", node.port, ae_title, tls, 5, 5, 5, 5))

    with listening(
        tmp_path / "node", rejected=rejected.append, tls=server, peer_rules=rules
    ) as node:
        call("CAMERA", "camera.example.org")
        call("PACS", None)
        assert not rejected
        for certificate in ("other.example.org", None):
            with pytest.raises(PermanentFault, match=r"(?i)calling AE title not recogni"):
                call("CAMERA", certificate)
    assert [each.why for each in rejected] == [WRONG_CERTIFICATE] * 2
    assert {each.calling_ae_title for each in rejected} == {"CAMERA"}


def test_an_ae_title_that_is_bound_is_not_believed_in_the_clear(tmp_path: Path) -> None:
    rules = (PeerRule("CAMERA", None, ("cn:camera",)),)
    with listening(tmp_path, peer_rules=rules) as node, connect(node.port) as peer:
        kind, content = peer.associate((VERIFICATION, [IMPLICIT]), calling="CAMERA")
        # Rejected permanent, by the service user, calling AE title not recognized.
        assert (kind, tuple(content[1:])) == (A_ASSOCIATE_RJ, (1, 1, 3))
