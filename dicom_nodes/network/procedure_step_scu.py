"""Unified Procedure Step Service Class as SCU (PS3.4, annex CC), over DIMSE."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from pydicom.dataset import Dataset
from pynetdicom.association import Association
from pynetdicom.presentation import build_context

from dicom_nodes.network.peer import Peer, association_with
from dicom_nodes.network.procedure_step_source import StepConflict
from dicom_nodes.objects.header import is_valid_uid
from dicom_nodes.objects.procedure_step import (
    ALL_STEPS,
    FILTERED_STEPS,
    PROCEDURE_STEP_PULL,
    PROCEDURE_STEP_PUSH,
    PROCEDURE_STEP_WATCH,
    ProcedureStep,
    procedure_step_of,
    step_keys,
    subscription,
)
from processing.measurement import PermanentFault, TransientFault

_MOST_STEPS: Final = 1000
_CHANGE_STATE: Final = 1
_SUBSCRIBE: Final = 3
_PENDING: Final = (0xFF00, 0xFF01)
_SUCCESS: Final = 0x0000
_DUPLICATE: Final = 0x0111
_NOT_MANAGED: Final = 0xC307
# Created or set with modifications, or in the requested state already.
_WARNINGS: Final = frozenset((0xB300, 0xB301, 0xB304, 0xB306, 0x0001, 0x0116))
# Not to be updated any more, wrong transaction, in progress, not scheduled anew, final
# state requirements not met, not in progress yet, completed (PS3.4, tables CC.2.1-3 and CC.2.6-3).
_CONFLICTS: Final = frozenset(
    (0xC300, 0xC301, 0xC302, 0xC303, 0xC304, 0xC310, 0xC311, 0xC312, 0xC313)
)
_TRANSIENT: Final = frozenset((0x0110, 0x0210, 0x0213))


@dataclass(frozen=True, slots=True)
class DimseStepSource:
    """A peer that manages steps; see `ProcedureStepSource`."""

    peer: Peer

    def scheduled(self, worklist_label: str | None) -> list[str]:
        """C-FIND (PS3.4, section CC.2.8) for the steps that wait."""
        found: list[str] = []
        with self._association(PROCEDURE_STEP_PULL) as association:
            keys = step_keys(worklist_label)
            keys.SOPInstanceUID = ""
            for status, identifier in association.send_c_find(keys, PROCEDURE_STEP_PULL):
                code = self._code(status, "C-FIND")
                if code not in _PENDING:
                    self._check(code, "C-FIND")
                elif identifier is not None and len(found) < _MOST_STEPS:
                    found.append(str(identifier.get("SOPInstanceUID", "")))
        return [uid for uid in dict.fromkeys(found) if is_valid_uid(uid)]

    def get(self, uid: str) -> ProcedureStep:
        """N-GET (PS3.4, section CC.2.7)."""
        with self._association(PROCEDURE_STEP_PULL) as association:
            status, attributes = association.send_n_get(
                [], PROCEDURE_STEP_PUSH, uid, meta_uid=PROCEDURE_STEP_PULL
            )
        self._check(self._code(status, "N-GET"), "N-GET")
        return procedure_step_of(attributes or Dataset(), uid)

    def change_state(self, uid: str, change: Dataset) -> None:
        """N-ACTION Change UPS State (PS3.4, section CC.2.1)."""
        with self._association(PROCEDURE_STEP_PULL) as association:
            status, _ = association.send_n_action(
                change, _CHANGE_STATE, PROCEDURE_STEP_PUSH, uid, meta_uid=PROCEDURE_STEP_PULL
            )
        self._check(self._code(status, "N-ACTION"), "N-ACTION")

    def update(self, uid: str, transaction_uid: str, changes: Dataset) -> None:
        """N-SET (PS3.4, section CC.2.6)."""
        changes.TransactionUID = transaction_uid
        with self._association(PROCEDURE_STEP_PULL) as association:
            status, _ = association.send_n_set(
                changes, PROCEDURE_STEP_PUSH, uid, meta_uid=PROCEDURE_STEP_PULL
            )
        self._check(self._code(status, "N-SET"), "N-SET")

    def create(self, uid: str, step: Dataset) -> None:
        """N-CREATE (PS3.4, section CC.2.5)."""
        attributes = Dataset()
        attributes.update(step)
        del attributes.SOPClassUID, attributes.SOPInstanceUID
        with self._association(PROCEDURE_STEP_PUSH) as association:
            status, _ = association.send_n_create(attributes, PROCEDURE_STEP_PUSH, uid)
        code = self._code(status, "N-CREATE")
        if code != _DUPLICATE:
            self._check(code, "N-CREATE")

    def subscribe(self, receiving_ae_title: str, worklist_label: str) -> None:
        """N-ACTION Subscribe to Receive UPS Event Reports (PS3.4, section CC.2.3).

        To the steps of a worklist, or to all where the manager has no filtered
        subscription. May be done again.
        """
        asked = subscription(receiving_ae_title, worklist_label)
        with self._association(PROCEDURE_STEP_WATCH) as association:
            code = self._subscribe(association, asked, FILTERED_STEPS)
            if code == _NOT_MANAGED:
                del asked.WorklistLabel
                code = self._subscribe(association, asked, ALL_STEPS)
        self._check(code, "N-ACTION")

    def _subscribe(self, association: Association, asked: Dataset, instance_uid: str) -> int:
        status, _ = association.send_n_action(
            asked, _SUBSCRIBE, PROCEDURE_STEP_PUSH, instance_uid, meta_uid=PROCEDURE_STEP_WATCH
        )
        return self._code(status, "N-ACTION")

    @contextmanager
    def _association(self, sop_class_uid: str) -> Iterator[Association]:
        with association_with(self.peer, [build_context(sop_class_uid)]) as association:
            yield association

    def _code(self, status: Dataset, service: str) -> int:
        if "Status" not in status:
            raise TransientFault(f"{self.peer} ended the association, or did not answer {service}")
        return int(status.Status)

    def _check(self, code: int, service: str) -> None:
        if code == _SUCCESS or code in _WARNINGS:
            return
        text = f"{self.peer} answered the {service} with 0x{code:04X}"
        if code in _CONFLICTS:
            raise StepConflict(text)
        if code in _TRANSIENT or code >> 8 == 0xA7:
            raise TransientFault(text)
        raise PermanentFault(text)
