"""What the node asks archives and worklists about patients (PS3.15, A.5.3.10)."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from dicom_nodes.audit.events import SOURCE, Node, queried, queried_by_address
from dicom_nodes.network.sent_query import SentQuery
from service.audit.trail import Trail
from service.settings import ApplicationEntity, WebPriorSource


@dataclass(frozen=True, slots=True)
class QuestionAudit:
    """Records the node's own queries for studies and for scheduled procedures."""

    trail: Trail

    def asked(self, archive: ApplicationEntity | WebPriorSource, sent: SentQuery) -> None:
        """Record a query that the node sends to an archive or worklist now."""
        own = self.trail.node
        if isinstance(archive, WebPriorSource):
            address = urlsplit(archive.url).hostname or ""
            message = queried_by_address(
                own.takes_part(SOURCE, is_requestor=True),
                Node(archive.name, address, is_ae=False),
                sent.of,
            )
        else:
            message = queried(
                own,
                Node(archive.ae_title, archive.address),
                sent.of,
                sent.identifier,
                sent.transfer_syntax_uid,
            )
        self.trail.record(message)
