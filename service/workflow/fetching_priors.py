"""Finding and fetching a patient's earlier studies: how a follow-up meets what was before.

A study's analyses declare what of earlier studies they can use. That, and no more, is
looked for in the archives of the settings, of the same patient beyond doubt, within the
limits, and fetched once. What is wanted is written down before it is asked for: so only
that is taken, and after a crash the rest is fetched and nothing twice.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from itertools import groupby
from typing import Final

import structlog

from dicom_nodes.network.archive_query import (
    ArchiveQuery,
    HeldInstance,
    HeldStudy,
    archive_query,
)
from dicom_nodes.network.retrieve_scu import (
    MOST_INSTANCES_A_REQUEST,
    SubOperationsFailed,
    Wanted,
    move_instances,
)
from dicom_nodes.network.sent_query import SentQuery
from dicom_nodes.web.qido_client import WebArchiveQuery
from processing.measurement import PermanentFault, RejectedInput, TransientFault
from service.analyses import ANALYSES
from service.analysis_entry import UsefulPriors
from service.catalogue import priors, studies
from service.catalogue.database import Database
from service.catalogue.priors import WantedPrior
from service.patient_identity import PatientIdentity, why_not_same_patient
from service.peers import peer_of
from service.prior_gate import PriorGate
from service.receive import Reception
from service.settings import PriorSettings, PriorSource, Settings, WebPriorSource
from service.web_peers import web_peer_of
from service.workflow.completion import Job
from service.workflow.delivery import DeliveryState
from service.workflow.retrieving import Archive, retrieve

# How many studies of one patient are looked into for something useful.
_MOST_STUDIES_ASKED: Final = 100

log = structlog.get_logger()


class Outcome(StrEnum):
    """What became of a prior that did not come."""

    NOT_BROUGHT = "the archive did not bring it"
    TOO_MUCH = "priors.maximum_bytes is reached"


def analyses_with_priors(settings: Settings, jobs: Iterable[Job]) -> list[str]:
    """The analyses of these jobs that can use earlier studies; none without a source."""
    if not settings.priors.all_sources:
        return []
    return sorted({job.analysis for job in jobs if ANALYSES[job.analysis].priors is not None})


@dataclass(frozen=True, slots=True)
class PriorFetching:
    """Finds and fetches the priors of a study.

    `tell` is told of each query for the studies of a patient before it is sent.
    """

    settings: Settings
    database: Database
    reception: Reception
    tell: Callable[[Archive, SentQuery], None] = lambda _archive, _sent: None

    def fetch(
        self, study_instance_uid: str, analyses: Sequence[str], attempt: int
    ) -> dict[str, str]:
        """Find and fetch what the analyses can use; gives a `DeliveryState` and its reason.

        An archive that is away is waited for, until the attempts are used up.
        """
        useful = [entry for name in analyses if (entry := ANALYSES[name].priors) is not None]
        waiting: list[str] = []
        failed: list[str] = []
        for source in self.settings.priors.all_sources:
            try:
                self._look_for(source, study_instance_uid, useful)
                self._bring(source, study_instance_uid, useful)
            except TransientFault as fault:
                waiting.append(str(fault))
                self._give_up_at_last(source, study_instance_uid, attempt, str(fault))
            except (PermanentFault, RejectedInput) as fault:
                failed.append(str(fault))
                log.warning("priors cannot be fetched", source=source.name, reason=str(fault))
                priors.settle_missing(self.database, study_instance_uid, source.name, str(fault))
        if waiting and not self._is_last(attempt):
            return {"state": DeliveryState.WAITING, "reason": "; ".join(waiting)}
        reasons = [*failed, *waiting]
        state = DeliveryState.PARKED if reasons else DeliveryState.DELIVERED
        return {"state": state, "reason": "; ".join([self._said(study_instance_uid), *reasons])}

    def _look_for(
        self, source: Archive, study_instance_uid: str, useful: Sequence[UsefulPriors]
    ) -> None:
        """Write down what a source holds of use."""
        study = studies.known_study(self.database, study_instance_uid)
        patient = priors.identity_of_study(self.database, study_instance_uid)
        if study is None or patient is None:
            raise PermanentFault(f"study {study_instance_uid} is not in the catalogue")
        known = priors.priors_of_study(self.database, study_instance_uid)
        limits = self.settings.priors
        chosen = {each.wanted.prior_study_instance_uid for each in known}
        room = limits.maximum_instances - len(known)
        with self._query_of(source) as query:
            self.tell(source, query.sent_for_patient(patient.patient_id))
            earlier = earlier_studies(
                query.studies_of_patient(patient.patient_id),
                patient,
                study_instance_uid,
                study.study_date,
                limits,
            )
            found = _useful_instances(
                query, earlier, useful, chosen, limits.maximum_studies - len(chosen)
            )
        seen = {each.wanted.sop_instance_uid for each in known}
        new = [each for each in found if each.sop_instance_uid not in seen][: max(room, 0)]
        priors.want(
            self.database,
            [
                WantedPrior(
                    study_instance_uid,
                    each.study_instance_uid,
                    each.series_instance_uid,
                    each.sop_instance_uid,
                    each.sop_class_uid,
                    source.name,
                )
                for each in new
            ],
        )

    def _bring(
        self, source: Archive, study_instance_uid: str, useful: Sequence[UsefulPriors]
    ) -> None:
        """Fetch what is written down and not here yet, series by series."""
        priors.settle_arrived(self.database, study_instance_uid)
        pending = [
            each
            for each in priors.pending(self.database, study_instance_uid)
            if each.source == source.name
        ]
        failed: SubOperationsFailed | None = None
        for some in _requests(pending):
            held = priors.bytes_of_priors(self.database, study_instance_uid)
            if held >= self.settings.priors.maximum_bytes:
                priors.settle_missing(
                    self.database, study_instance_uid, source.name, Outcome.TOO_MUCH
                )
                return
            try:
                self._bring_some(source, some, useful)
            except SubOperationsFailed as fault:
                # One series that cannot be sent shall not keep back the others.
                failed = fault
            priors.settle_arrived(self.database, study_instance_uid)
        if failed is not None:
            raise failed
        priors.settle_missing(self.database, study_instance_uid, source.name, Outcome.NOT_BROUGHT)

    def _bring_some(
        self, source: Archive, some: Sequence[WantedPrior], useful: Sequence[UsefulPriors]
    ) -> None:
        sop_classes = {each.sop_class_uid for each in some}
        if "" in sop_classes:
            sop_classes = sop_classes.union(*(each.sop_class_uids for each in useful)) - {""}
        wanted = Wanted(
            some[0].prior_study_instance_uid,
            some[0].series_instance_uid,
            tuple(each.sop_instance_uid for each in some),
            frozenset(sop_classes),
        )
        if isinstance(source, PriorSource) and source.retrieve == "C-MOVE":
            message_id = 1 + secrets.randbelow(0xFFFF)
            priors.note_move(self.database, some, message_id)
            move_instances(
                peer_of(source, self.settings.dicom.ae_title),
                wanted,
                destination=self.settings.dicom.ae_title,
                message_id=message_id,
            )
            return
        accept = PriorGate(self.settings, self.database, self.reception).accept_retrieved
        retrieve(source, wanted, accept, self.reception, self.settings)

    @contextmanager
    def _query_of(self, source: Archive) -> Iterator[ArchiveQuery | WebArchiveQuery]:
        if isinstance(source, WebPriorSource):
            yield WebArchiveQuery(web_peer_of(source))
            return
        with archive_query(peer_of(source, self.settings.dicom.ae_title)) as query:
            yield query

    def _is_last(self, attempt: int) -> bool:
        return attempt + 1 >= self.settings.priors.maximum_attempts

    def _give_up_at_last(
        self, source: Archive, study_instance_uid: str, attempt: int, reason: str
    ) -> None:
        if self._is_last(attempt):
            text = f"given up after {attempt + 1} attempts: {reason}"
            priors.settle_missing(self.database, study_instance_uid, source.name, text)

    def _said(self, study_instance_uid: str) -> str:
        known = priors.priors_of_study(self.database, study_instance_uid)
        here = [each for each in known if each.is_here]
        of_studies = len({each.wanted.prior_study_instance_uid for each in here})
        return f"{len(here)} of {len(known)} instances of {of_studies} earlier studies are here"


def earlier_studies(
    held: Iterable[HeldStudy],
    patient: PatientIdentity,
    study_instance_uid: str,
    study_date: str,
    limits: PriorSettings,
) -> list[HeldStudy]:
    """Those studies that are earlier ones of the patient, in the order of their worth.

    The newest comes first, then the oldest, which is often the one before an operation,
    then the others from new to old. A study without a date is no earlier one.

    Parameters
    ----------
    held : iterable of HeldStudy
        What an archive lists under the Patient ID.
    patient : PatientIdentity
    study_instance_uid, study_date : str
        Of the present study; today counts where its date is not known.
    limits : PriorSettings
    """
    until = _as_date(study_date) or datetime.now(UTC).date()
    since = until - timedelta(days=limits.maximum_age_days)
    earlier = []
    for each in held:
        taken_on = _as_date(each.study_date)
        if each.study_instance_uid == study_instance_uid or taken_on is None:
            continue
        if since <= taken_on <= until and _is_of(patient, each):
            earlier.append((taken_on, each.study_instance_uid, each))
    newest_first = [each for _, _, each in sorted(earlier, reverse=True)]
    return [*newest_first[:1], *newest_first[1:][-1:], *newest_first[1:-1]]


def _is_of(patient: PatientIdentity, study: HeldStudy) -> bool:
    listed = PatientIdentity(
        study.patient_id, study.issuer_of_patient_id, study.patient_name, study.birth_date
    )
    differs = why_not_same_patient(patient, listed)
    if differs is not None:
        log.warning("an archive lists a study that is left out", reason=differs)
    return differs is None


def _useful_instances(
    query: ArchiveQuery | WebArchiveQuery,
    earlier: Sequence[HeldStudy],
    useful: Sequence[UsefulPriors],
    chosen: set[str],
    most_new: int,
) -> list[HeldInstance]:
    """What of these studies is of use: of those chosen before, and of so many new ones."""
    found: list[HeldInstance] = []
    for study in earlier[:_MOST_STUDIES_ASKED]:
        is_new = study.study_instance_uid not in chosen
        if is_new and most_new <= 0:
            continue
        of_study = list(_useful_of_study(query, study.study_instance_uid, useful))
        found += of_study
        most_new -= bool(of_study) and is_new
    return found


def _useful_of_study(
    query: ArchiveQuery | WebArchiveQuery, study_instance_uid: str, useful: Sequence[UsefulPriors]
) -> Iterator[HeldInstance]:
    for series in query.series_of_study(study_instance_uid):
        sop_classes = frozenset[str]().union(
            *(each.sop_class_uids for each in useful if series.modality in each.modalities)
        )
        if not sop_classes:
            continue
        for each in query.instances_of_series(study_instance_uid, series.series_instance_uid):
            # Not every archive tells it; then the series' modality has to do.
            if not each.sop_class_uid or each.sop_class_uid in sop_classes:
                yield each


def _requests(pending: Sequence[WantedPrior]) -> Iterator[list[WantedPrior]]:
    """What is asked for together: of one series, and not too much."""
    for _, of_series in groupby(
        pending, key=lambda each: (each.prior_study_instance_uid, each.series_instance_uid)
    ):
        some = list(of_series)
        for start in range(0, len(some), MOST_INSTANCES_A_REQUEST):
            yield some[start : start + MOST_INSTANCES_A_REQUEST]


def _as_date(text: str) -> date | None:
    """A date of the form YYYYMMDD; None for anything else."""
    try:
        return date.fromisoformat(text) if len(text) == 8 else None
    except ValueError:
        return None
