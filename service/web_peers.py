"""From the settings to the DICOMweb servers that the node calls."""

from __future__ import annotations

from dicom_nodes.web.web_peer import WebPeer
from service.peers import client_tls_of
from service.settings import Settings, WebServer


def web_peer_of(server: WebServer) -> WebPeer:
    """A DICOMweb server of the settings as one to be called."""
    return WebPeer(
        name=server.name,
        url=server.url,
        token=server.token.get_secret_value() if server.token else None,
        user=server.user,
        password=server.password.get_secret_value() if server.password else None,
        tls=client_tls_of(server.tls),
    )


def web_destination(settings: Settings, name: str) -> WebPeer | None:
    """The DICOMweb destination of this name, or None."""
    for each in settings.delivery.web_destinations:
        if each.name == name:
            return web_peer_of(each)
    return None
