"""What peers on the network did: questions they asked, associations that were rejected."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from dicom_nodes.audit.events import Alert, Node, alerted, queried
from dicom_nodes.network.observed_queries import Asked
from dicom_nodes.network.repetition import Repetition
from dicom_nodes.network.storage_scp import Rejected
from service.audit.trail import Trail

_REJECTION_SECONDS: Final = 60.0


@dataclass(slots=True)
class NetworkAudit:
    """Records questions, and rejections: of one address for one reason one a minute.

    A peer may be rejected thousands of times in a minute; the log says how often.
    """

    trail: Trail
    _rejections: Repetition = field(default_factory=lambda: Repetition(_REJECTION_SECONDS))

    def asked(self, asked: Asked) -> None:
        """Record a query or retrieval (A.5.3.10)."""
        self.trail.record(
            queried(
                Node(asked.calling_ae_title, asked.peer_address),
                self.trail.node,
                asked.sop_class_uid,
                asked.identifier,
                asked.transfer_syntax_uid,
            )
        )

    def rejected(self, rejected: Rejected) -> None:
        """Record a rejected association as a Security Alert (A.5.3.11)."""
        before = self._rejections.before((rejected.peer_address, rejected.why.text))
        if before is None:
            return
        more = f"; {before} more like it went before" if before else ""
        self.trail.record(
            alerted(
                Alert.NODE_AUTHENTICATION,
                self.trail.node.takes_part(is_requestor=True),
                Node(rejected.calling_ae_title, rejected.peer_address),
                f"association rejected: {rejected.why.text}{more}",
            )
        )
