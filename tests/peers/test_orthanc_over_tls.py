"""Storage over TLS between the node and Orthanc, both ways, each with a certificate of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import dcmread

from dicom_nodes.network.peer import Peer
from dicom_nodes.network.storage_scu import send_files
from dicom_nodes.network.tls import ClientTLS, ServerTLS
from dicom_nodes.network.verification_scu import echo
from processing.measurement import PermanentFault, TransientFault
from service.demo_orthanc import LOOPBACK, OrthancServer
from tests.dicom_nodes.network.certificates import Authority
from tests.dicom_nodes.network.instances import STUDY, write_instance
from tests.dicom_nodes.network.listening import listening

pytestmark = pytest.mark.peer


def test_images_pass_both_ways_over_tls_and_not_without(
    start_orthanc: Callable[..., OrthancServer], tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    # Orthanc shows this certificate as a server and as a client.
    certificate, key = authority.issue("localhost", rsa_key=True)
    node_files = authority.issue("node", rsa_key=True)
    images = [write_instance(tmp_path / "images", number, rows=200) for number in (1, 2)]
    server = ServerTLS(*node_files, authority.certificate, require_client_certificate=True)
    with listening(tmp_path / "node", tls=server) as node:
        orthanc = start_orthanc(
            entries={
                "DicomTlsEnabled": True,
                "DicomTlsCertificate": str(certificate),
                "DicomTlsPrivateKey": str(key),
                "DicomTlsTrustedCertificates": str(authority.certificate),
                "DicomTlsRemoteCertificateRequired": True,
                "DicomModalities": {
                    "hemiface": {
                        "AET": "HEMIFACE",
                        "Host": LOOPBACK,
                        "Port": node.port,
                        "UseDicomTls": True,
                    }
                },
            }
        )
        tls = ClientTLS(authority.certificate, *node_files)
        peer = Peer("orthanc", "ORTHANC", LOOPBACK, orthanc.dicom_port, "HEMIFACE", tls)
        assert all(each.accepted for each in send_files(peer, images))
        study = orthanc.client.study(STUDY)
        assert study is not None
        orthanc.client.send("hemiface", [study])
        arrived = {dcmread(each).SOPInstanceUID for each in node.files()}
        assert arrived == {dcmread(each).SOPInstanceUID for each in images}
    in_the_clear = Peer("orthanc", "ORTHANC", LOOPBACK, orthanc.dicom_port, "HEMIFACE")
    with pytest.raises((TransientFault, PermanentFault)):
        echo(in_the_clear)
