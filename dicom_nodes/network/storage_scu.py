"""Storage Service Class as SCU (PS3.4, annex B): sends files as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pydicom.uid import UID
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext, build_context

from dicom_nodes.network.data_set_streams import CONVERTIBLE
from dicom_nodes.network.part10_header import is_valid_uid
from dicom_nodes.network.peer import MOST_CONTEXTS, ContextsRefused, Peer, association_with
from processing.measurement import PermanentFault, TransientFault

_MOST_NEEDS: Final = MOST_CONTEXTS // 2  # each may take a second context to fall back to
_DUPLICATE: Final = 0x0111
_WARNINGS: Final = frozenset((0x0001, 0x0107, 0x0116))
_MEANINGS: Final = {
    0x0105: "no such attribute",
    0x0106: "invalid attribute value",
    0x0110: "processing failure",
    0x0112: "no such SOP instance",
    0x0117: "invalid SOP Instance UID",
    0x0122: "SOP class not supported",
    0x0124: "not authorized",
    0x0210: "duplicate invocation",
    0x0211: "unrecognized operation",
    0x0212: "mistyped argument",
    0x0213: "resource limitation",
}
_TRANSIENT: Final = frozenset((0x0110, 0x0210, 0x0213))


class Fault(StrEnum):
    """Whether sending a file again may help."""

    TRANSIENT = "transient"
    PERMANENT = "permanent"


@dataclass(frozen=True, slots=True)
class SendOutcome:
    """What became of one file.

    Parameters
    ----------
    path : Path
    sop_instance_uid : str, optional
        None when the file is no DICOM file.
    status : int, optional
        Status of the C-STORE response; None when there was none.
    fault : Fault, optional
        None when the peer has accepted the instance, with or without a warning.
    reason : str
        Why it was not accepted, or the warning; empty otherwise.
    """

    path: Path
    sop_instance_uid: str | None
    status: int | None
    fault: Fault | None
    reason: str

    @property
    def accepted(self) -> bool:
        """Whether the peer has the instance now."""
        return self.fault is None


@dataclass(frozen=True, slots=True)
class MoveOriginator:
    """The C-MOVE request of which a C-STORE is a sub-operation (PS3.7, section 9.1.1.1)."""

    ae_title: str
    message_id: int


@dataclass(frozen=True, slots=True)
class _Need:
    """A SOP class in a transfer syntax, for which a context is needed."""

    sop_class_uid: str
    transfer_syntax_uid: str


@dataclass(frozen=True, slots=True)
class _File:
    index: int
    path: Path
    sop_instance_uid: str
    need: _Need


def send_files(
    peer: Peer,
    files: Sequence[Path],
    *,
    on_progress: Callable[[int, int], None] | None = None,
    on_outcome: Callable[[SendOutcome], None] | None = None,
    originator: MoveOriginator | None = None,
    proceed: Callable[[], bool] = lambda: True,
) -> tuple[SendOutcome, ...]:
    """Send DICOM files to a peer by C-STORE, over as few associations as needed.

    Data sets are sent as they are in the files. Only where the peer does not
    take an uncompressed file's transfer syntax is it written anew, from
    explicit to implicit VR or back.

    Parameters
    ----------
    peer : Peer
    files : sequence of Path
    on_progress : callable, optional
        Told how many of how many files are done.
    on_outcome : callable, optional
        Told of each outcome at once.
    originator : MoveOriginator, optional
        Of sub-operations of a C-MOVE.
    proceed : callable
        Asked before each file; when it says no, the rest is not sent.

    Returns
    -------
    tuple of SendOutcome
        One for each file that was sent or could not be, in their order. Faults of
        the association are in the outcomes of its files; nothing is raised for them.
    """
    outcomes: dict[int, SendOutcome] = {}

    def done(index: int, outcome: SendOutcome) -> None:
        outcomes[index] = outcome
        if on_progress is not None:
            on_progress(len(outcomes), len(files))
        if on_outcome is not None:
            on_outcome(outcome)

    readable: list[_File] = []
    for index, path in enumerate(files):
        try:
            readable.append(_read_need(index, path))
        except (PermanentFault, TransientFault) as fault:
            done(index, _failed(path, None, fault))
    for batch in _batches(readable):
        if proceed():
            _send_batch(peer, batch, done, originator, proceed)
    return tuple(outcomes[index] for index in sorted(outcomes))


def _read_need(index: int, path: Path) -> _File:
    try:
        meta = read_file_meta_info(path)
    except OSError as error:
        raise TransientFault(f"{path} cannot be read: {error.strerror or error}") from error
    except (InvalidDicomError, ValueError, KeyError, NotImplementedError) as error:
        raise PermanentFault(f"{path} is no DICOM file: {error}") from error
    sop_class = str(meta.get("MediaStorageSOPClassUID", ""))
    sop_instance = str(meta.get("MediaStorageSOPInstanceUID", ""))
    transfer_syntax = str(meta.get("TransferSyntaxUID", ""))
    if not all(is_valid_uid(each) for each in (sop_class, sop_instance, transfer_syntax)):
        raise PermanentFault(
            f"{path}: its file meta information lacks a valid SOP Class, SOP Instance or "
            "Transfer Syntax UID"
        )
    return _File(index, path, sop_instance, _Need(sop_class, transfer_syntax))


def _batches(files: Sequence[_File]) -> Iterator[list[_File]]:
    """Files by association, such that no association needs too many contexts."""
    needs = list(dict.fromkeys(each.need for each in files))
    for start in range(0, len(needs), _MOST_NEEDS):
        chosen = set(needs[start : start + _MOST_NEEDS])
        yield [each for each in files if each.need in chosen]


def _contexts(needs: Sequence[_Need]) -> list[PresentationContext]:
    """A context for each need, and one to fall back to, each with one transfer syntax."""
    wanted = dict.fromkeys((each.sop_class_uid, each.transfer_syntax_uid) for each in needs)
    for need in needs:
        other = CONVERTIBLE.get(UID(need.transfer_syntax_uid))
        if other is not None:
            wanted.setdefault((need.sop_class_uid, str(other)))
    return [build_context(*each) for each in wanted]


def _send_batch(
    peer: Peer,
    batch: Sequence[_File],
    done: Callable[[int, SendOutcome], None],
    originator: MoveOriginator | None,
    proceed: Callable[[], bool],
) -> None:
    remaining = list(batch)
    try:
        needs = list(dict.fromkeys(each.need for each in batch))
        with association_with(peer, _contexts(needs)) as association:
            while remaining and proceed():
                outcome = _send_file(peer, association, remaining[0], originator)
                done(remaining.pop(0).index, outcome)
    except ContextsRefused:
        for file in remaining:
            done(file.index, _failed(file.path, file.sop_instance_uid, _refused(peer, file.need)))
    except (TransientFault, PermanentFault) as fault:
        for file in remaining:
            done(file.index, _failed(file.path, file.sop_instance_uid, fault))


def _send_file(
    peer: Peer, association: Association, file: _File, originator: MoveOriginator | None
) -> SendOutcome:
    """Send one file.

    Raises
    ------
    TransientFault
        If the association is lost.
    """
    accepted = {
        str(each.transfer_syntax[0])
        for each in association.accepted_contexts
        if each.abstract_syntax == file.need.sop_class_uid
    }
    content: Path | Dataset = file.path
    if file.need.transfer_syntax_uid not in accepted:
        other = CONVERTIBLE.get(UID(file.need.transfer_syntax_uid))
        if other is None or str(other) not in accepted:
            fault = _refused(peer, file.need)
            return _failed(file.path, file.sop_instance_uid, fault)
        content = dcmread(file.path)
    try:
        response = association.send_c_store(
            content,
            originator_aet=originator.ae_title if originator else None,
            originator_id=originator.message_id if originator else None,
        )
    except (AttributeError, ValueError, OSError) as error:
        return SendOutcome(
            file.path, file.sop_instance_uid, None, Fault.PERMANENT, f"cannot be sent: {error}"
        )
    except RuntimeError as error:  # pynetdicom: the association is established no more
        raise TransientFault(f"{peer} ended the association") from error
    if "Status" not in response:
        raise TransientFault(
            f"{peer} ended the association, or did not answer a C-STORE within "
            f"{peer.dimse_timeout_seconds:g} s"
        )
    comment = str(response.get("ErrorComment", "") or "")
    fault_kind, reason = verdict(int(response.Status), comment)
    return SendOutcome(file.path, file.sop_instance_uid, int(response.Status), fault_kind, reason)


def is_warning(status: int) -> bool:
    """Whether a status says that an instance was stored, with a warning."""
    return status in _WARNINGS or status >> 12 == 0xB


def verdict(status: int, comment: str) -> tuple[Fault | None, str]:
    """What a status means (PS3.4, table B.2-1; PS3.7, annex C)."""
    said = "".join(each for each in comment if each.isprintable())[:64]
    text = f"0x{status:04X}" + (f", {said}" if said else "")
    if status == 0x0000:
        return None, ""
    if status == _DUPLICATE:
        return None, f"the peer had it already ({text})"
    if is_warning(status):
        return None, f"accepted with a warning ({text})"
    if status >> 8 == 0xA7:
        return Fault.TRANSIENT, f"the peer is out of resources ({text})"
    if status >> 8 == 0xA9:
        return Fault.PERMANENT, f"the peer says: data set does not match SOP class ({text})"
    if status >> 12 == 0xC:
        return Fault.PERMANENT, f"the peer cannot understand it ({text})"
    kind = Fault.TRANSIENT if status in _TRANSIENT else Fault.PERMANENT
    return kind, f"the peer says: {_MEANINGS.get(status, 'failure')} ({text})"


def _refused(peer: Peer, need: _Need) -> PermanentFault:
    return PermanentFault(
        f"{peer} does not accept {UID(need.sop_class_uid).name} "
        f"in {UID(need.transfer_syntax_uid).name}"
    )


def _failed(
    path: Path, sop_instance_uid: str | None, fault: TransientFault | PermanentFault
) -> SendOutcome:
    kind = Fault.TRANSIENT if isinstance(fault, TransientFault) else Fault.PERMANENT
    return SendOutcome(path, sop_instance_uid, None, kind, str(fault))
