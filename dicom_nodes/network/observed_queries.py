"""Telling somebody of each query and retrieval that peers ask the node for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from pynetdicom import evt
from pynetdicom.dimse_primitives import C_FIND, C_GET, C_MOVE

from dicom_nodes.network.node_service import Handler, NodeService
from dicom_nodes.network.pynetdicom_cures.conversing_association import (
    Conversation,
    ConversingAssociation,
)

_EVENTS: Final = (evt.EVT_C_FIND, evt.EVT_C_GET, evt.EVT_C_MOVE)
_REQUESTS: Final = (C_FIND, C_GET, C_MOVE)


@dataclass(frozen=True, slots=True)
class Asked:
    """A C-FIND, C-GET or C-MOVE request (PS3.4, annexes C and K).

    Parameters
    ----------
    calling_ae_title, peer_address : str
    sop_class_uid, transfer_syntax_uid : str
        Of its presentation context.
    identifier : bytes
        As it came over the network.
    """

    calling_ae_title: str
    peer_address: str
    sop_class_uid: str
    transfer_syntax_uid: str
    identifier: bytes


def observed(
    services: Sequence[NodeService], told: Callable[[Asked], None]
) -> tuple[NodeService, ...]:
    """The services, with `told` called before each query or retrieval is answered."""
    return tuple(
        replace(
            service,
            handlers={
                event: _observed_handler(handler, told) if event in _EVENTS else handler
                for event, handler in service.handlers.items()
            },
            conversations={
                request: _observed_conversation(conversation, told)
                if request in _REQUESTS
                else conversation
                for request, conversation in service.conversations.items()
            },
        )
        for service in services
    )


def _observed_handler(handler: Handler, told: Callable[[Asked], None]) -> Handler:
    def handle(event: Any) -> Any:
        told(_asked(event.assoc, event.context.context_id, event.request))
        return handler(event)

    return handle


def _observed_conversation(
    conversation: Conversation, told: Callable[[Asked], None]
) -> Conversation:
    def converse(association: ConversingAssociation, context_id: int, request: Any) -> None:
        told(_asked(association, context_id, request))
        conversation(association, context_id, request)

    return converse


def _asked(association: ConversingAssociation, context_id: int, request: Any) -> Asked:
    identifier = request.Identifier
    return Asked(
        association.calling_ae_title,
        association.peer_address,
        *association.accepted_syntaxes(context_id),
        b"" if identifier is None else identifier.getvalue(),
    )
