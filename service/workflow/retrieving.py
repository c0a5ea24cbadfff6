"""Retrieving instances from an archive of the settings, by C-GET or WADO-RS."""

from __future__ import annotations

from typing import Final, TypeAlias

from dicom_nodes.network.instance_store import Accept
from dicom_nodes.network.retrieve_scu import Wanted, get_instances
from dicom_nodes.web.wado_client import fetch_instances
from service.peers import peer_of
from service.receive import Reception
from service.settings import PriorSource, Settings, WebPriorSource
from service.web_peers import web_peer_of

Archive: TypeAlias = PriorSource | WebPriorSource

# By C-GET an instance is in memory until it is complete.
_LARGEST_INSTANCE_BYTES: Final = 512_000_000


def retrieve(
    archive: Archive, wanted: Wanted, accept: Accept, reception: Reception, settings: Settings
) -> None:
    """Have an archive bring instances over a connection that the node opens.

    Raises
    ------
    TransientFault, PermanentFault
        As `get_instances` and `fetch_instances`.
    """
    if isinstance(archive, WebPriorSource):
        fetch_instances(
            web_peer_of(archive),
            wanted,
            accept,
            place=reception.place,
            room=reception.has_room,
            sent_as=archive.ae_title,
            own_ae_title=settings.dicom.ae_title,
            largest_answer_bytes=settings.priors.maximum_bytes,
        )
        return
    get_instances(
        peer_of(archive, settings.dicom.ae_title),
        wanted,
        accept,
        place=reception.place,
        room=reception.has_room,
        largest_instance_bytes=_LARGEST_INSTANCE_BYTES,
    )
