"""Query/Retrieve Service Class as SCU (PS3.4, annex C): asks what a peer holds."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from pydicom.dataset import Dataset
from pynetdicom.association import Association
from pynetdicom.presentation import build_context

from dicom_nodes.network.peer import ContextsRefused, Peer, association_with
from processing.measurement import PermanentFault, TransientFault

STUDY_ROOT_FIND: Final = "1.2.840.10008.5.1.4.1.2.2.1"
MOST_ANSWERS: Final = 100_000
_PENDING: Final = (0xFF00, 0xFF01)


def find_instances(
    peer: Peer,
    study_uid: str,
    series_uid: str | None,
    sop_instance_uids: Collection[str],
) -> frozenset[str] | None:
    """Which of the instances a peer holds, by Study Root C-FIND.

    All instances of the series are asked for and the wanted ones picked out,
    since not every archive matches lists of UIDs.

    Parameters
    ----------
    peer : Peer
    study_uid : str
    series_uid : str, optional
        The series of the instances; all series of the study when None.
    sop_instance_uids : collection of str

    Returns
    -------
    frozenset of str, or None
        Those of `sop_instance_uids` that the peer holds; None when it offers no
        C-FIND.

    Raises
    ------
    TransientFault, PermanentFault
        If the peer cannot be asked or answers with a failure.
    """
    wanted = frozenset(sop_instance_uids)
    found: set[str] = set()
    try:
        with association_with(peer, [build_context(STUDY_ROOT_FIND)]) as association:
            if series_uid is not None:
                all_series = {series_uid}
            else:
                keys = query_keys("SERIES", StudyInstanceUID=study_uid, SeriesInstanceUID="")
                all_series = _find(peer, association, keys, "SeriesInstanceUID")
            for series in sorted(all_series):
                keys = query_keys(
                    "IMAGE", StudyInstanceUID=study_uid, SeriesInstanceUID=series, SOPInstanceUID=""
                )
                found |= _find(peer, association, keys, "SOPInstanceUID") & wanted
    except ContextsRefused:
        return None
    return frozenset(found)


def query_keys(level: str, **values: str) -> Dataset:
    """The identifier of a query: its level, and keyword and value of each key.

    A key with an empty value is asked for and matches anything (PS3.4, section C.2.2.2.3).
    """
    keys = Dataset()
    if not all(value.isascii() for value in values.values()):
        keys.SpecificCharacterSet = "ISO_IR 192"
    keys.QueryRetrieveLevel = level
    for keyword, value in values.items():
        setattr(keys, keyword, value)
    return keys


def _find(peer: Peer, association: Association, keys: Dataset, keyword: str) -> set[str]:
    """Values of one attribute in all answers to a C-FIND."""
    return {
        str(identifier[keyword].value)
        for identifier in find_identifiers(peer, association, keys)
        if keyword in identifier
    }


def find_identifiers(peer: Peer, association: Association, keys: Dataset) -> Iterator[Dataset]:
    """All answers to a Study Root C-FIND, over an association that has its context.

    Raises
    ------
    TransientFault, PermanentFault
        If the peer answers with a failure, with too much, or not at all.
    """
    answers = 0
    for status, identifier in association.send_c_find(keys, STUDY_ROOT_FIND):
        if "Status" not in status:
            raise TransientFault(
                f"{peer} ended the association, or did not answer the C-FIND; "
                f"does it allow {peer.own_ae_title} to query?"
            )
        if status.Status in _PENDING:
            answers += 1
            if identifier is not None:
                yield identifier
            if answers > MOST_ANSWERS:
                raise PermanentFault(f"{peer} answers a C-FIND with more than {MOST_ANSWERS}")
        elif status.Status != 0x0000:
            text = f"{peer} answered the C-FIND with 0x{status.Status:04X}"
            if status.Status >> 8 == 0xA7:
                raise TransientFault(f"{text}, out of resources")
            raise PermanentFault(text)
