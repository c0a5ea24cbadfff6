"""Who may bring priors: nothing is taken as one that was not asked for.

An archive brings them over an association of the node's own (C-GET), or over one of its
own to the storage port (C-MOVE), where others push as well. An instance that names the
node as move originator, and for which no request is pending, is refused; so is one that
turns out to be another patient's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from dicom_nodes.network.instance_store import Arrival, StoreStatus
from dicom_nodes.objects.header import InstanceHeader, read_header
from processing.measurement import RejectedInput
from service.catalogue import priors
from service.catalogue.database import Database
from service.catalogue.priors import WantedPrior
from service.patient_identity import PatientIdentity, why_not_same_patient
from service.settings import Settings

if TYPE_CHECKING:
    from service.receive import Reception

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class PriorGate:
    """Tells priors from what is sent for its own sake, and hands both to the reception."""

    settings: Settings
    database: Database
    reception: Reception

    def accept(self, arrival: Arrival) -> StoreStatus:
        """Keep what has come to the storage port; see `Reception.accept`."""
        if not self._may_be_moved_here(arrival):
            return self.reception.accept(arrival)
        wanted = [
            each
            for each in priors.pending_for_instance(self.database, arrival.sop_instance_uid)
            if each.message_id is not None
            and arrival.move_originator_message_id in (None, each.message_id)
        ]
        if wanted:
            return self._accept_prior(arrival, wanted)
        if arrival.move_originator_ae_title == self._own_ae_title:
            return self._refuse(arrival, "it was not asked for, or no longer")
        return self.reception.accept(arrival)

    def accept_retrieved(self, arrival: Arrival) -> StoreStatus:
        """Keep what an archive brings over an association that the node opened."""
        wanted = priors.pending_for_instance(self.database, arrival.sop_instance_uid)
        if not wanted:
            return self._refuse(arrival, "it was not asked for, or no longer")
        return self._accept_prior(arrival, wanted)

    def _may_be_moved_here(self, arrival: Arrival) -> bool:
        """Whether it may be a sub-operation of a C-MOVE that the node asked for.

        The originator may be missing (PS3.7, table 9.1-1), and some archives name
        themselves.
        """
        originator = arrival.move_originator_ae_title
        if originator == self._own_ae_title:
            return True
        return originator in (None, arrival.calling_ae_title) and any(
            each.retrieve == "C-MOVE" and each.ae_title.strip() == arrival.calling_ae_title
            for each in self.settings.priors.sources
        )

    def _accept_prior(self, arrival: Arrival, wanted: Sequence[WantedPrior]) -> StoreStatus:
        try:
            header = read_header(arrival.path)
        except RejectedInput:
            self.reception.discard(arrival)
            raise
        reasons = {each: self._why_not(header, arrival, each) for each in wanted}
        for each, reason in reasons.items():
            if reason is not None:
                priors.settle_instance(
                    self.database, each.study_instance_uid, each.sop_instance_uid, reason
                )
        if None not in reasons.values():
            return self._refuse(arrival, next(filter(None, reasons.values())))
        return self.reception.accept(arrival, prior=True)

    def _why_not(self, header: InstanceHeader, arrival: Arrival, wanted: WantedPrior) -> str | None:
        if header.study_instance_uid != wanted.prior_study_instance_uid:
            return "it is of another study than the archive listed it in"
        patient = priors.identity_of_study(self.database, wanted.study_instance_uid)
        if patient is None:
            return "the study that it was wanted for is not in the catalogue any more"
        differs = why_not_same_patient(patient, identity_of(header))
        if differs is not None:
            return f"it is not of the same patient: {differs}"
        held = priors.bytes_of_priors(self.database, wanted.study_instance_uid)
        if held + arrival.size_bytes > self.settings.priors.maximum_bytes:
            return "priors.maximum_bytes is reached"
        return None

    def _refuse(self, arrival: Arrival, reason: str) -> StoreStatus:
        log.warning("an archive brought a prior that is refused", reason=reason)
        self.reception.discard(arrival)
        return StoreStatus.NOT_AUTHORIZED

    @property
    def _own_ae_title(self) -> str:
        return self.settings.dicom.ae_title.strip()


def identity_of(header: InstanceHeader) -> PatientIdentity:
    """The patient that an instance names."""
    return PatientIdentity(
        header.patient_id, header.issuer_of_patient_id, header.patient_name, header.birth_date
    )
