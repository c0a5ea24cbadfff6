"""From the settings to the DICOMweb servers that the node calls."""

from __future__ import annotations

from dicom_nodes.network.tls import ClientTLS
from dicom_nodes.web.web_peer import WebPeer
from service.settings import Settings, WebServer


def web_peer_of(server: WebServer) -> WebPeer:
    """A DICOMweb server of the settings as one to be called."""
    tls = server.tls
    return WebPeer(
        name=server.name,
        url=server.url,
        token=server.token.get_secret_value() if server.token else None,
        user=server.user,
        password=server.password.get_secret_value() if server.password else None,
        tls=None
        if tls is None
        else ClientTLS(
            authorities=tls.authorities,
            certificate=tls.certificate,
            private_key=tls.private_key,
            check_name=tls.check_name,
        ),
    )


def web_destination(settings: Settings, name: str) -> WebPeer | None:
    """The DICOMweb destination of this name, or None."""
    for each in settings.delivery.web_destinations:
        if each.name == name:
            return web_peer_of(each)
    return None
