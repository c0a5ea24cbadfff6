"""From the settings to how the node listens."""

from __future__ import annotations

from dataclasses import replace

from dicom_nodes.network.permissions import PeerRule
from dicom_nodes.network.storage_scp import ListenOptions
from dicom_nodes.network.tls import ServerTLS
from processing.measurement import PermanentFault
from service.settings import DicomSettings, Settings


def listen_options(settings: Settings) -> list[ListenOptions]:
    """How a receiver listens: in the clear, and over TLS where a certificate is set.

    Raises
    ------
    PermanentFault
        If a certificate is set without its private key.
    """
    dicom = settings.dicom
    clear = ListenOptions(
        ae_title=dicom.ae_title,
        address=dicom.address,
        port=dicom.port,
        require_called_ae_title=dicom.require_called_ae_title,
        calling_ae_titles=_calling_ae_titles(dicom),
        peer_addresses=dicom.peer_addresses,
        sop_classes=dicom.sop_classes,
        transfer_syntaxes=dicom.transfer_syntaxes,
        maximum_associations=dicom.maximum_associations,
        maximum_associations_per_peer=dicom.maximum_associations_per_peer,
        maximum_connections_per_second=dicom.maximum_connections_per_second,
        slowest_bytes_per_second=dicom.slowest_bytes_per_second,
        maximum_pdu_bytes=dicom.maximum_pdu_bytes,
        acse_timeout_seconds=dicom.acse_timeout_seconds,
        network_timeout_seconds=dicom.network_timeout_seconds,
        peer_rules=tuple(
            PeerRule(each.ae_title, each.services, each.certificates) for each in dicom.permissions
        ),
    )
    if dicom.tls.certificate is None:
        return [clear]
    if dicom.tls.private_key is None:
        raise PermanentFault("dicom.tls.certificate is set; set dicom.tls.private_key as well")
    tls = ServerTLS(
        certificate=dicom.tls.certificate,
        private_key=dicom.tls.private_key,
        client_authorities=dicom.tls.client_authorities,
        require_client_certificate=dicom.tls.require_client_certificate,
    )
    return [clear, replace(clear, port=dicom.tls.port, tls=tls)]


def _calling_ae_titles(dicom: DicomSettings) -> tuple[str, ...]:
    """Accepted calling AE titles; with `only_permitted_peers` no others than are named.

    Raises
    ------
    PermanentFault
        If only permitted peers may call and none is named.
    """
    if not dicom.only_permitted_peers:
        return dicom.calling_ae_titles
    named = (*dicom.calling_ae_titles, *(each.ae_title for each in dicom.permissions))
    if not named:
        raise PermanentFault(
            "dicom.only_permitted_peers is set and nobody is named under "
            "[[dicom.permissions]]; name the peers that may call"
        )
    return named
