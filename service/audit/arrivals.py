"""What was received, a record for each association and study (PS3.15, A.5.3.3 and A.5.3.7)."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Final

from dicom_nodes.audit.events import AuditedStudy, Node, transfer_began, transferred
from dicom_nodes.network.data_set_beginning import (
    PATIENT_ID,
    PATIENT_NAME,
    SPECIFIC_CHARACTER_SET,
    STUDY_INSTANCE_UID,
    uid_among,
)
from dicom_nodes.network.instance_store import Accept, Arrival, StoreStatus
from dicom_nodes.network.storage_scp import Ended
from dicom_nodes.objects.character_sets import declared_character_sets, display_text
from dicom_nodes.objects.header import inspect
from service.audit.trail import Trail

# Studies of one association that are counted at once; the count of the oldest is closed.
MOST_STUDIES: Final = 200


@dataclass(slots=True)
class _Counted:
    study: AuditedStudy
    instances: Counter[str] = field(default_factory=Counter)

    def audited(self) -> AuditedStudy:
        return replace(self.study, instances=dict(self.instances))


@dataclass(slots=True)
class ArrivalAudit:
    """Counts what each association brings, and records it when the association ends.

    The first instance of a study is recorded at once, as a transfer that begins:
    if the node is killed before the association ends, that is what remains.

    Parameters
    ----------
    trail : Trail
    """

    trail: Trail
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _open: dict[str, dict[str, _Counted]] = field(default_factory=dict)

    def around(self, accept: Accept) -> Accept:
        """`accept`, with what it accepts counted."""

        def accept_and_count(arrival: Arrival) -> StoreStatus:
            # `accept` may remove the file, of an instance that was there before.
            study = _study_of(arrival)
            status = accept(arrival)
            if status is StoreStatus.SUCCESS:
                self._count(arrival, study)
            return status

        return accept_and_count

    def ended(self, ended: Ended) -> None:
        """Record what an association, which has ended, has brought."""
        with self._lock:
            studies = self._open.pop(ended.association, {})
        sender = Node(ended.calling_ae_title, ended.peer_address)
        for each in studies.values():
            self.trail.record(transferred(sender, self.trail.node, each.audited()))

    def _count(self, arrival: Arrival, study: AuditedStudy) -> None:
        sender = Node(arrival.calling_ae_title, arrival.peer_address)
        if not arrival.association:
            alone = replace(study, instances={arrival.sop_class_uid: 1})
            self.trail.record(transferred(sender, self.trail.node, alone))
            return
        closed = None
        with self._lock:
            studies = self._open.setdefault(arrival.association, {})
            is_first = study.study_instance_uid not in studies
            if is_first:
                studies[study.study_instance_uid] = _Counted(study)
                if len(studies) > MOST_STUDIES:
                    closed = studies.pop(next(iter(studies)))
            studies[study.study_instance_uid].instances[arrival.sop_class_uid] += 1
        if is_first:
            self.trail.record(transfer_began(sender, self.trail.node, study))
        if closed is not None:
            self.trail.record(transferred(sender, self.trail.node, closed.audited()))


def _study_of(arrival: Arrival) -> AuditedStudy:
    """Study and patient, as the beginning of the data set, or else the file, names them."""
    named = arrival.beginning
    study = uid_among(named, STUDY_INSTANCE_UID)
    if study is not None:
        character_sets = declared_character_sets(named.get(SPECIFIC_CHARACTER_SET, b""))
        return AuditedStudy(
            study,
            display_text(named.get(PATIENT_ID, b""), character_sets),
            display_text(named.get(PATIENT_NAME, b""), character_sets, "PN"),
        )
    header, _ = inspect(arrival.path)
    if header is None:
        return AuditedStudy("")
    return AuditedStudy(header.study_instance_uid, header.patient_id, header.patient_name)
