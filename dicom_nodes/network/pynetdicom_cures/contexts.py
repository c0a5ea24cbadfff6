"""Cure 4: presentation contexts chosen from what is proposed, JPEG included."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final

from pydicom.uid import UID
from pynetdicom._globals import ALL_TRANSFER_SYNTAXES
from pynetdicom.presentation import PresentationContext

_UNCOMPRESSED: Final = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2")


def storage_contexts(
    proposed: Sequence[PresentationContext],
    is_accepted_sop_class: Callable[[str], bool],
    transfer_syntaxes: Collection[str],
    *,
    peer_may_be_scp: bool = False,
) -> list[PresentationContext]:
    """The contexts to support for one association: what is proposed and may be accepted.

    Parameters
    ----------
    proposed : sequence of PresentationContext
        What the peer proposes.
    is_accepted_sop_class : callable
        Whether an abstract syntax is accepted for storage.
    transfer_syntaxes : collection of str
        Accepted transfer syntaxes; when empty every known one is, and an
        unknown one where nothing else is proposed.
    peer_may_be_scp : bool
        Whether a peer may propose to take instances, as it does for C-GET
        (PS3.7, annex D.3.3.4). Of several transfer syntaxes in one context an
        uncompressed one is then chosen, in which every instance can be given.
    """
    accepted: dict[str, list[str]] = {}
    for context in proposed:
        if context.abstract_syntax is None or not is_accepted_sop_class(context.abstract_syntax):
            continue
        offered = [str(each) for each in context.transfer_syntax]
        wanted = transfer_syntaxes or ALL_TRANSFER_SYNTAXES
        chosen = [each for each in offered if each in wanted]
        if not chosen and not transfer_syntaxes:
            chosen = offered
        syntaxes = accepted.setdefault(str(context.abstract_syntax), [])
        syntaxes.extend(each for each in chosen if each not in syntaxes)
    supported = []
    for abstract_syntax, syntaxes in accepted.items():
        context = PresentationContext()
        context.abstract_syntax = UID(abstract_syntax)
        if peer_may_be_scp:
            syntaxes.sort(key=lambda each: each not in _UNCOMPRESSED)
        context.transfer_syntax = [UID(each) for each in syntaxes]
        if peer_may_be_scp:
            context.scu_role = context.scp_role = True
        supported.append(context)
    return supported
