from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from dicom_nodes.network.permissions import PeerRule
from processing.measurement import PermanentFault
from service.listening import listen_options
from service.settings import DicomSettings, PeerPermission, Settings, TLSSettings


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


def test_only_permitted_peers_may_call_when_that_is_set(tmp_path: Path) -> None:
    dicom = DicomSettings(
        calling_ae_titles=("CAMERA",),
        only_permitted_peers=True,
        permissions=(PeerPermission(ae_title="PACS", services=("store",)),),
    )
    (clear,) = listen_options(Settings(data_folder=tmp_path, dicom=dicom))
    assert clear.calling_ae_titles == ("CAMERA", "PACS")
    assert clear.peer_rules == (PeerRule("PACS", ("store",)),)


def test_only_permitted_peers_without_any_is_an_error_that_says_what_to_name(
    tmp_path: Path,
) -> None:
    dicom = DicomSettings(only_permitted_peers=True)
    with pytest.raises(PermanentFault, match=r"name the peers that may call"):
        listen_options(Settings(data_folder=tmp_path, dicom=dicom))


def test_a_permission_that_cannot_hold_is_an_error_of_the_settings() -> None:
    camera = PeerPermission(ae_title="CAMERA", certificates=("cn:camera",))
    with pytest.raises(ValidationError, match=r"set tls\.client_authorities"):
        DicomSettings(permissions=(camera,))
    with pytest.raises(ValidationError, match=r"name CAMERA more than once"):
        DicomSettings(permissions=(PeerPermission(ae_title="CAMERA"),) * 2)
    with pytest.raises(ValidationError, match=r"names no certificate"):
        PeerPermission(ae_title="CAMERA", certificates=("camera",))
