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
from dicom_nodes.objects.header import InstanceHeader, inspect
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
            # Before `accept`, which may remove the file of an instance that was there before.
            header = None if STUDY_INSTANCE_UID in arrival.beginning else inspect(arrival.path)[0]
            status = accept(arrival)
            if status is StoreStatus.SUCCESS:
                self._count(arrival, header)
            return status

        return accept_and_count

    def ended(self, ended: Ended) -> None:
        """Record what an association, which has ended, has brought."""
        with self._lock:
            studies = self._open.pop(ended.association, {})
        sender = Node(ended.calling_ae_title, ended.peer_address)
        for each in studies.values():
            self.trail.record(transferred(sender, self.trail.node, each.audited()))

    def _count(self, arrival: Arrival, header: InstanceHeader | None) -> None:
        if not arrival.association:
            study = replace(_study_of(arrival, header), instances={arrival.sop_class_uid: 1})
            self.trail.record(transferred(_sender(arrival), self.trail.node, study))
            return
        study_instance_uid = _study_instance_uid(arrival, header)
        with self._lock:
            studies = self._open.setdefault(arrival.association, {})
            counted = studies.get(study_instance_uid)
            if counted is not None:
                # By far the most instances come here: whose they are is known already.
                counted.instances[arrival.sop_class_uid] += 1
                return
            first = _Counted(_study_of(arrival, header), Counter((arrival.sop_class_uid,)))
            studies[study_instance_uid] = first
            closed = studies.pop(next(iter(studies))) if len(studies) > MOST_STUDIES else None
        sender = _sender(arrival)
        self.trail.record(transfer_began(sender, self.trail.node, first.study))
        if closed is not None:
            self.trail.record(transferred(sender, self.trail.node, closed.audited()))


def _sender(arrival: Arrival) -> Node:
    return Node(arrival.calling_ae_title, arrival.peer_address)


def _study_instance_uid(arrival: Arrival, header: InstanceHeader | None) -> str:
    """As the beginning of the data set, or else the file, names it; empty where neither does."""
    named = uid_among(arrival.beginning, STUDY_INSTANCE_UID)
    if named is not None:
        return named
    return "" if header is None else header.study_instance_uid


def _study_of(arrival: Arrival, header: InstanceHeader | None) -> AuditedStudy:
    """Study and patient; see `_study_instance_uid`."""
    study_instance_uid = _study_instance_uid(arrival, header)
    if header is not None:
        return AuditedStudy(study_instance_uid, header.patient_id, header.patient_name)
    named = arrival.beginning
    if STUDY_INSTANCE_UID not in named:
        return AuditedStudy("")
    character_sets = declared_character_sets(named.get(SPECIFIC_CHARACTER_SET, b""))
    return AuditedStudy(
        study_instance_uid,
        display_text(named.get(PATIENT_ID, b""), character_sets),
        display_text(named.get(PATIENT_NAME, b""), character_sets, "PN"),
    )
