"""From the settings to the peers that the node opens associations with."""

from __future__ import annotations

from dicom_nodes.network.peer import Peer
from dicom_nodes.network.tls import ClientTLS
from processing.measurement import PermanentFault
from service.local_address import reachable_address
from service.settings import ApplicationEntity, Destination, DestinationTLS, Settings


def client_tls_of(tls: DestinationTLS | None) -> ClientTLS | None:
    """How a peer is called by TLS; None for one that is called without."""
    if tls is None:
        return None
    return ClientTLS(
        authorities=tls.authorities,
        certificate=tls.certificate,
        private_key=tls.private_key,
        check_name=tls.check_name,
    )


def peer_of(entity: ApplicationEntity, own_ae_title: str) -> Peer:
    """An application entity as a peer that is called as `own_ae_title`."""
    return Peer(
        name=entity.name,
        ae_title=entity.ae_title,
        address=entity.address,
        port=entity.port,
        own_ae_title=own_ae_title,
        tls=client_tls_of(entity.tls),
    )


def application_entity(settings: Settings, ae_title: str) -> Peer | None:
    """The peer with this AE title, of `peers` or of the destinations; None where it is unknown."""
    for each in (*settings.peers, *settings.delivery.destinations):
        if each.ae_title.strip() == ae_title.strip():
            return peer_of(each, settings.dicom.ae_title)
    return None


def destination_named(settings: Settings, name: str) -> Destination:
    """The destination of this name.

    Raises
    ------
    PermanentFault
        If the settings name no such destination.
    """
    for each in settings.delivery.destinations:
        if each.name == name:
            return each
    known = ", ".join(repr(each.name) for each in settings.delivery.destinations) or "none"
    raise PermanentFault(
        f"there is no destination {name!r} in the settings (known: {known}); "
        "add it under [delivery]"
    )


def local_node(settings: Settings, own_ae_title: str) -> Peer:
    """The node of these settings, as a program on the same machine reaches it."""
    return Peer(
        name="the local node",
        ae_title=settings.dicom.ae_title,
        address=reachable_address(settings.dicom.address),
        port=settings.dicom.port,
        own_ae_title=own_ae_title,
    )
