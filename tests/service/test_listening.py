from __future__ import annotations

from pathlib import Path

import pytest

from processing.measurement import PermanentFault
from service.listening import listen_options
from service.settings import DicomSettings, Settings, TLSSettings


def test_without_a_certificate_the_node_listens_in_the_clear_only(tmp_path: Path) -> None:
    settings = Settings(data_folder=tmp_path, dicom=DicomSettings(port=104))
    (clear,) = listen_options(settings)
    assert (clear.port, clear.tls) == (104, None)


def test_with_a_certificate_it_listens_over_tls_too_with_the_same_rules(tmp_path: Path) -> None:
    tls = TLSSettings(
        certificate=tmp_path / "node.pem",
        private_key=tmp_path / "node.key",
        client_authorities=tmp_path / "authorities.pem",
        require_client_certificate=True,
    )
    dicom = DicomSettings(calling_ae_titles=("CAMERA",), tls=tls)
    clear, secure = listen_options(Settings(data_folder=tmp_path, dicom=dicom))
    assert (clear.tls, secure.port) == (None, 2762)
    assert secure.tls is not None
    assert secure.tls.require_client_certificate
    assert secure.calling_ae_titles == clear.calling_ae_titles == ("CAMERA",)


def test_a_certificate_without_its_key_is_an_error_that_says_what_to_set(tmp_path: Path) -> None:
    dicom = DicomSettings(tls=TLSSettings(certificate=tmp_path / "node.pem"))
    with pytest.raises(PermanentFault, match=r"set dicom\.tls\.private_key"):
        listen_options(Settings(data_folder=tmp_path, dicom=dicom))
