"""A query as it goes over the network, for who records what the node asks others."""

from __future__ import annotations

from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom.association import Association
from pynetdicom.dsutils import encode


@dataclass(frozen=True, slots=True)
class SentQuery:
    """A query as it goes over the network.

    Parameters
    ----------
    of : str
        The SOP Class UID of a C-FIND; the address of a search by QIDO-RS.
    identifier : bytes
        Of a C-FIND, in `transfer_syntax_uid`.
    transfer_syntax_uid : str
    """

    of: str
    identifier: bytes = b""
    transfer_syntax_uid: str = ""


def as_sent(association: Association, keys: Dataset) -> SentQuery:
    """What a C-FIND with these keys sends over an association with one accepted context."""
    (context,) = association.accepted_contexts
    syntax = UID(context.transfer_syntax[0])
    identifier = encode(keys, syntax.is_implicit_VR, syntax.is_little_endian)
    return SentQuery(str(context.abstract_syntax), identifier or b"", str(syntax))
