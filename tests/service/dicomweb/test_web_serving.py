from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from cryptography import x509
from dicomweb_client import DICOMwebClient
from pydicom import dcmread

from service.catalogue.database import Database
from service.dicomweb.addresses import DICOM_JSON
from service.own_http import own_http_client
from service.settings import (
    DicomwebClient,
    DicomwebSettings,
    HttpSettings,
    HttpTLSSettings,
    Settings,
)
from tests.dicom_nodes.network.certificates import Authority
from tests.dicom_nodes.network.instances import SERIES, write_instance
from tests.service.dicomweb.conftest import MULTIPART, multipart_body
from tests.service.dicomweb.serving import served

TOKEN = "a-token-of-the-camera"


def test_dicomweb_client_stores_with_its_token(
    settings: Settings, database: Database, free_port: int, tmp_path: Path
) -> None:
    client = DicomwebClient(name="camera", token=TOKEN)
    own = settings.model_copy(
        update={
            "http": HttpSettings(port=free_port),
            "dicomweb": DicomwebSettings(clients=(client,)),
        }
    )
    files = [write_instance(tmp_path, number) for number in (1, 2)]
    with served(own) as url:
        camera = DICOMwebClient(url, headers={"Authorization": f"Bearer {TOKEN}"})
        answer = camera.store_instances([dcmread(file) for file in files])
        stranger = DICOMwebClient(url)
        with pytest.raises(Exception, match="401"):
            stranger.store_instances([dcmread(files[0])])
    assert [each.ReferencedSOPInstanceUID for each in answer.ReferencedSOPSequence] == [
        f"{SERIES}.1",
        f"{SERIES}.2",
    ]
    assert "FailedSOPSequence" not in answer


def test_http_over_tls_by_the_same_profile_as_dicom(
    settings: Settings, database: Database, free_port: int, tmp_path: Path
) -> None:
    certificate, key = Authority(tmp_path, "site").issue("node")
    tls = HttpTLSSettings(certificate=certificate, private_key=key)
    own = settings.model_copy(update={"http": HttpSettings(port=free_port, tls=tls)})
    body = multipart_body([write_instance(tmp_path, 1)])
    with served(own) as url, own_http_client(own.http, timeout_seconds=10) as client:
        assert url.startswith("https:")
        answer = client.post(f"{url}/studies", content=body, headers={"Content-Type": MULTIPART})
        assert answer.status_code == 200
        with pytest.raises(httpx.TransportError):
            httpx.get(url.replace("https", "http"), trust_env=False)


def shown_serial(port: int, authority: Authority, name: str | None) -> int:
    """Serial number of the certificate that is shown; without a name none is asked for."""
    context = authority.client_context()
    context.check_hostname = name is not None
    with (
        socket.create_connection(("127.0.0.1", port), 5) as raw,
        context.wrap_socket(raw, server_hostname=name) as peer,
    ):
        shown = peer.getpeercert(binary_form=True)
        assert shown
        return x509.load_der_x509_certificate(shown).serial_number


@pytest.mark.parametrize("name", ["localhost", None])
def test_a_new_certificate_is_shown_without_a_restart(
    settings: Settings, database: Database, free_port: int, tmp_path: Path, name: str | None
) -> None:
    authority = Authority(tmp_path, "site")
    certificate, key = authority.issue("localhost")
    tls = HttpTLSSettings(certificate=certificate, private_key=key)
    own = settings.model_copy(update={"http": HttpSettings(port=free_port, tls=tls)})
    with served(own) as url:
        first = shown_serial(free_port, authority, name)
        kept = certificate.read_bytes()
        certificate.write_bytes(b"half a file")
        assert shown_serial(free_port, authority, name) == first
        certificate.write_bytes(kept)
        for new, old in zip(authority.issue("localhost"), (certificate, key), strict=True):
            shutil.move(new, old)
        assert shown_serial(free_port, authority, name) != first
        with httpx.Client(verify=authority.client_context(), trust_env=False) as client:
            assert client.get(f"{url}/studies").status_code == 200


def test_a_large_instance_takes_no_memory_of_its_size(
    settings: Settings, database: Database, free_port: int, tmp_path: Path
) -> None:
    own = settings.model_copy(update={"http": HttpSettings(port=free_port)})
    file = write_instance(tmp_path, 1).read_bytes()
    length = 300 * 1024 * 1024
    pixels = file.rindex(b"\xe0\x7f\x10\x00OB")
    head = file[: pixels + 8] + length.to_bytes(4, "little")
    body = multipart_body([head])
    split = body.rindex(head) + len(head)
    zeros = bytes(1 << 20)
    while_arriving: list[int] = []

    def pieces() -> Iterator[bytes]:
        yield body[:split]
        for _ in range(length // len(zeros)):
            yield zeros
        # All but the end has been taken by now: what is held of it would show.
        while_arriving.append(psutil.Process().memory_info().rss)
        yield body[split:]

    with served(own) as url:
        before = psutil.Process().memory_info().rss
        answer = httpx.post(
            f"{url}/studies",
            content=pieces(),
            headers={"Content-Type": MULTIPART, "Accept": DICOM_JSON},
            timeout=120,
            trust_env=False,
        )
    assert answer.status_code == 200
    assert while_arriving[0] - before < 60 * 1024 * 1024
