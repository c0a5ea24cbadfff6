"""A service class that the node offers as SCP beside storage, on the same port."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pydicom.uid import UID
from pynetdicom import evt
from pynetdicom.presentation import PresentationContext

from dicom_nodes.network.pynetdicom_cures.conversing_association import Conversation

# pynetdicom gives each intervention event its own kind of answer; see `pynetdicom.evt`.
Handler = Callable[[Any], Any]

# What commands and identifiers are encoded in; compressed ones would have to be inflated.
_TRANSFER_SYNTAXES: Final = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2")


@dataclass(frozen=True, slots=True)
class NodeService:
    """What a service class needs to be offered.

    Parameters
    ----------
    name : str
        By which the settings allow it to peers.
    sop_classes : tuple of str
        Abstract syntaxes that peers propose for it.
    handlers : mapping
        pynetdicom's intervention events, and what answers them. Called in the
        thread of the association, by many associations at once.
    conversations : mapping
        Kinds of requests (classes of `pynetdicom.dimse_primitives`), and what
        answers them without pynetdicom's service classes: it sends all responses
        itself, and may ask the peer in between. Called as handlers are.
    peer_may_be_scp : bool
        Whether a peer may open the association in order to report to the node,
        which then is the SCU (PS3.7, annex D.3.3.4).
    is_user : bool
        Whether the node is only the SCU, to which peers report as SCP.
    stores_on_same_association : frozenset of str
        Those of `sop_classes` for which the node sends instances to the requestor on
        the association that this opened; a peer that proposes one of them may
        propose to be the SCP of storage.
    """

    name: str
    sop_classes: tuple[str, ...]
    handlers: Mapping[evt.InterventionEvent, Handler] = field(default_factory=dict)
    conversations: Mapping[type, Conversation] = field(default_factory=dict)
    peer_may_be_scp: bool = False
    is_user: bool = False
    stores_on_same_association: frozenset[str] = frozenset()


def service_contexts(
    services: Sequence[NodeService], proposed: Sequence[PresentationContext]
) -> list[PresentationContext]:
    """The contexts to support for one association, of those that are proposed.

    Parameters
    ----------
    services : sequence of NodeService
        The services that the peer may use.
    proposed : sequence of PresentationContext
    """
    wanted = {str(each.abstract_syntax) for each in proposed}
    return [
        _context(sop_class, service.peer_may_be_scp)
        for service in services
        for sop_class in service.sop_classes
        if sop_class in wanted
    ]


def dispatched(
    services: Sequence[NodeService],
) -> dict[evt.InterventionEvent, Handler]:
    """One handler for each event, which hands it to the service of its presentation context.

    Several services share a DIMSE message, and pynetdicom knows one handler for it.
    """
    by_event: dict[evt.InterventionEvent, dict[str, Handler]] = {}
    for service in services:
        for event, handler in service.handlers.items():
            handlers = by_event.setdefault(event, {})
            handlers |= dict.fromkeys(service.sop_classes, handler)
    return {event: _chosen(handlers) for event, handlers in by_event.items()}


def conversations_by_context(
    services: Sequence[NodeService],
) -> dict[tuple[str, type], Conversation]:
    """The conversations of all services, by abstract syntax and kind of request."""
    return {
        (sop_class, request): conversation
        for service in services
        for sop_class in service.sop_classes
        for request, conversation in service.conversations.items()
    }


def _chosen(handlers: Mapping[str, Handler]) -> Handler:
    def handle(event: Any) -> Any:
        return handlers[str(event.context.abstract_syntax)](event)

    return handle


def _context(sop_class: str, peer_may_be_scp: bool) -> PresentationContext:
    context = PresentationContext()
    context.abstract_syntax = UID(sop_class)
    context.transfer_syntax = [UID(each) for each in _TRANSFER_SYNTAXES]
    if peer_may_be_scp:
        context.scu_role = context.scp_role = True
    return context
