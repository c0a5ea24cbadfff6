"""What comes of a proposal: what the node would accept, without an association."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from pynetdicom import AllStoragePresentationContexts, sop_class
from pynetdicom._globals import ALL_TRANSFER_SYNTAXES
from pynetdicom.presentation import build_context

from dicom_nodes.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dicom_nodes.network.node_service import NodeService
from dicom_nodes.network.storage_scp import ListenOptions, is_storage_sop_class, supported_contexts
from dicom_nodes.objects.dictionary_names import name_of_uid

KNOWN_TRANSFER_SYNTAXES: Final = tuple(str(each) for each in ALL_TRANSFER_SYNTAXES)
_ANYBODY: Final = "ANYBODY"


@dataclass(frozen=True, slots=True)
class Accepted:
    """A context that the node would accept.

    Parameters
    ----------
    sop_class_uid : str
    transfer_syntaxes : tuple of str
        In the order of preference.
    peer_may_be_scp : bool
        Whether the peer may propose to be the SCP of it (PS3.7, annex D.3.3.4).
    """

    sop_class_uid: str
    transfer_syntaxes: tuple[str, ...]
    peer_may_be_scp: bool


@dataclass(frozen=True, slots=True)
class Implementation:
    """How the implementation calls itself on associations (PS3.7, annex D.3.3.2)."""

    class_uid: str
    version_name: str


def known_storage_classes() -> dict[str, str]:
    """UID and name of the storage SOP classes that the node knows, by name; it takes others too."""
    keywords = {value: name for name, value in vars(sop_class).items() if isinstance(value, str)}
    known = [str(each.abstract_syntax) for each in AllStoragePresentationContexts]
    names = {uid: _name_of(uid, keywords[uid]) for uid in known if is_storage_sop_class(uid)}
    return dict(sorted(names.items(), key=lambda each: each[1]))


def _name_of(uid: str, keyword: str) -> str:
    """The name of a class; made from its keyword where pydicom's dictionary is older."""
    name = name_of_uid(uid)
    return re.sub("(?<=[a-z])(?=[A-Z])", " ", keyword) if name == uid else name


def accepted_of(
    options: ListenOptions, services: Sequence[NodeService], sop_class_uids: Iterable[str]
) -> tuple[Accepted, ...]:
    """What the node accepts when a peer proposes classes in all transfer syntaxes.

    Parameters
    ----------
    options : ListenOptions
    services : sequence of NodeService
        What is offered beside storage.
    sop_class_uids : iterable of str
        The abstract syntaxes of one association.
    """
    proposed = [build_context(each, list(KNOWN_TRANSFER_SYNTAXES)) for each in sop_class_uids]
    return tuple(
        Accepted(
            str(each.abstract_syntax),
            tuple(str(syntax) for syntax in each.transfer_syntax),
            peer_may_be_scp=bool(each.scp_role),
        )
        for each in supported_contexts(options, services, proposed, _ANYBODY)
    )


def implementation() -> Implementation:
    """Implementation Class UID and Implementation Version Name of all associations."""
    return Implementation(IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME)
