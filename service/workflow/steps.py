"""The steps of a study's way. Each can be run again; each takes and gives identifiers only."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import structlog

from dicom_nodes.network.sent_query import SentQuery
from processing.measurement import (
    Analysis,
    Status,
    TransientFault,
    analysis_as_json,
    analysis_from_json,
    marks_from_json,
)
from service.analyses import analysis_named, instance_of
from service.catalogue import results, step_events, studies
from service.catalogue.database import Database
from service.catalogue.stored_bytes import StoredBytes
from service.instruments import COMPLETED
from service.receive import Reception
from service.settings import Settings
from service.workflow import (
    completion,
    confirming,
    delivering,
    fetching_priors,
    keys,
    procedure_steps,
    reporting_commitment,
)
from service.workflow.declarations import declaration_of
from service.workflow.delivery import Attempt, attempt_of
from service.workflow.measuring import ANALYSIS_FILE, MeasureTask, ReadTask, Task
from service.workflow.measuring_child import ChildDied, MeasuringChild
from service.workflow.performed_looking import performed_of_study
from service.workflow.result_objects import (
    ResultContent,
    areas_of,
    as_predecessor,
    pictures_of,
    report_of,
    write_result_objects,
)
from service.workflow.retrieving import Archive
from service.workflow.routing import destination_names
from service.worklist.assigning import assign
from service.worklist.filing import filed

# A second try tells an unlucky moment from an input that no process survives.
_TRIES_OF_A_TASK: Final = 2

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Steps:
    """The steps, with what they work on.

    `tell` is told of each attempt to deliver, and why it did not succeed if it did not;
    `tell_question` of each query for the studies of a patient.
    """

    settings: Settings
    database: Database
    stored: StoredBytes
    child: MeasuringChild
    reception: Reception
    tell: Callable[[Attempt, str], None] = lambda _attempt, _failure: None
    tell_question: Callable[[Archive, SentQuery], None] = lambda _archive, _sent: None

    def complete(self, study_instance_uid: str) -> dict[str, Any]:
        """Decide why the study is complete now, record it, and plan its analyses."""
        study = self._study(study_instance_uid)
        plan = completion.plan(
            study,
            self.settings,
            datetime.now(UTC),
            performed_of_study(self.database, study_instance_uid),
            declaration_of(self.database, self.settings, study_instance_uid),
            assign(self.database, self.settings, study),
        )
        is_new = results.record_completion(
            self.database, study_instance_uid, plan.inputs_key, plan.evidence, plan.detail
        )
        if is_new:
            COMPLETED.labels(evidence=plan.evidence).inc()
        return {
            "jobs": [asdict(job) | {"asked_by": self._asked_by(job)} for job in plan.jobs],
            "urgent": plan.urgent,
            "priors": fetching_priors.analyses_with_priors(self.settings, plan.jobs),
        }

    def fetch_priors(
        self, study_instance_uid: str, analyses: Sequence[str], attempt: int
    ) -> dict[str, str]:
        """Find and fetch earlier studies of the patient; gives the state and its reason."""
        fetching = fetching_priors.PriorFetching(
            self.settings, self.database, self.reception, self.tell_question
        )
        return fetching.fetch(study_instance_uid, analyses, attempt)

    def perform_step(self, source: str, uid: str) -> dict[str, Any]:
        """Do what is next for a Unified Procedure Step; see `StepPerformer.tend`."""
        performer = procedure_steps.StepPerformer(self.settings, self.database, self.reception)
        return performer.tend(source, uid)

    def ask_for_review(self, key: str) -> dict[str, str]:
        """Make the step in which a person reviews a result; gives a state and its reason."""
        return procedure_steps.ask_for_review(self.settings, self.database, key)

    def read(self, analysis: str, inputs: Sequence[str], key: str) -> str:
        """Read the inputs in the measuring child; gives the key of the reading.

        Empty when procedure steps asked for it, and all were called off.
        """
        if not step_events.begin(self.database, {instance_of(each) for each in inputs}):
            return ""
        return self._read(analysis, inputs, key)

    def measure(self, analysis: str, inputs: Sequence[str], key: str, reading_key: str) -> str:
        """Measure what was read; gives the moment at which it was done, in ISO 8601.

        What another version of the node has read, before it was upgraded, is read anew.
        """
        folder = f"work/{key}"
        if reading_key != keys.reading_key(key):
            self.stored.remove(reading_key)
            reading_key = self._read(analysis, inputs, key)
        if self.stored.exists(reading_key):
            failure = self._in_child(MeasureTask(analysis, reading_key, folder))
            if failure is not None:
                self._write_failure(analysis, inputs, key, failure)
        return datetime.now(UTC).isoformat(timespec="seconds")

    def report(self, study_instance_uid: str, key: str, made_at: str) -> bool:
        """Write the report and its pictures; False when a newer result has replaced this one."""
        if results.result_by_key(self.database, key) is not None:
            return True
        document = json.loads(self.stored.read(f"work/{key}/{ANALYSIS_FILE}"))
        areas = areas_of(document, self.stored)
        marks = marks_from_json(document.get("marks", ()))
        analysis = analysis_from_json(document)
        inputs = tuple(dict.fromkeys(map(instance_of, analysis.inputs)))
        former = self._former_result(study_instance_uid, analysis)
        if former is not None and set(former.inputs) > set(inputs):
            return False
        study = self._study(study_instance_uid)
        with filed(self.settings, self.database, self.stored, study, inputs, key) as order:
            content = ResultContent(
                analysis=replace(
                    analysis_from_json(order.renamed(document)), areas=areas, marks=marks
                ),
                pictures=pictures_of(document, self.stored),
                source_keys=[order.source_keys[uid] for uid in inputs],
                key=key,
                made_at=datetime.fromisoformat(made_at),
                predecessor=as_predecessor(former),
                language=self.settings.report.language,
            )
            objects = (*order.copies, *write_result_objects(content, self.stored))
        results.record_result(
            self.database,
            results.MadeResult(
                key=key,
                study_instance_uid=study_instance_uid,
                analysis=analysis.analysis,
                version=analysis.version,
                status=analysis.status,
                reason=analysis.reason,
                inputs=inputs,
                made_at=datetime.fromisoformat(made_at),
                predecessor_uid=report_of(former).sop_instance_uid if former else None,
                objects=objects,
                filed_under=order.study_instance_uid,
            ),
        )
        return True

    def destinations(self, study_instance_uid: str) -> list[str]:
        """Names of the destinations that get the results of this study."""
        senders = (
            each.calling_ae_title
            for each in self._study(study_instance_uid).instances
            if not each.prior
        )
        return destination_names(senders, self.settings.delivery)

    def tidy(self, key: str) -> None:
        """Remove the reading, which is large and can be made again."""
        self.stored.remove(keys.reading_key(key))

    def deliver(self, key: str, destination_name: str) -> dict[str, str]:
        """Send a result to a destination; gives the state and its reason."""
        attempt = self._attempt(key, destination_name)
        was_sent = attempt.sent() is not None
        outcome = delivering.deliver(attempt)
        if not was_sent:
            self.tell(attempt, outcome["reason"])
        return outcome

    def confirm(self, key: str, destination_name: str) -> dict[str, str]:
        """Ask the destination whether it holds the result; gives the state and its reason."""
        return confirming.confirm(self._attempt(key, destination_name))

    def report_commitment(self, number: int) -> dict[str, str]:
        """Report on a peer's request for storage commitment; gives the state and its reason."""
        return reporting_commitment.report_commitment(
            self.settings, self.database, self.stored, number
        )

    def _asked_by(self, job: completion.Job) -> str | None:
        """The procedure step that asks for what one before it had called off."""
        uids = {instance_of(each) for each in job.inputs}
        return step_events.newest_after_cancel(self.database, uids)

    def _in_child(self, task: Task) -> str | None:
        """Carry out a task; None, or why no process survived it."""
        reason = None
        for _ in range(_TRIES_OF_A_TASK):
            try:
                self.child.run(task)
            except ChildDied as death:
                reason = str(death)
            else:
                return None
        return reason

    def _read(self, analysis: str, inputs: Sequence[str], key: str) -> str:
        instances = studies.instance_keys(self.database, inputs)
        reading_key = keys.reading_key(key)
        failure = self._in_child(ReadTask(analysis, instances, reading_key))
        if failure is not None:
            self._write_failure(analysis, inputs, key, failure)
        return reading_key

    def _write_failure(self, analysis: str, inputs: Sequence[str], key: str, reason: str) -> None:
        entry = analysis_named(analysis)
        failed = Analysis(
            analysis=entry.name,
            version=entry.version,
            status=Status.FAILED,
            reason=f"The software failed on this input ({reason}). Please report it.",
            inputs=tuple(inputs),
        )
        document = analysis_as_json(failed) | {"captions": []}
        self.stored.write(f"work/{key}/{ANALYSIS_FILE}", json.dumps(document).encode())

    def _study(self, study_instance_uid: str) -> studies.KnownStudy:
        study = studies.known_study(self.database, study_instance_uid)
        if study is None:
            # It is told of before its rows are there; see `cataloguing.tell_and_record`.
            raise TransientFault(f"study {study_instance_uid} is not in the catalogue yet")
        return study

    def _former_result(
        self, study_instance_uid: str, analysis: Analysis
    ) -> results.MadeResult | None:
        former = [
            each
            for each in results.results_of_study(self.database, study_instance_uid)
            if each.analysis == analysis.analysis
        ]
        return former[-1] if former else None

    def _attempt(self, key: str, destination_name: str) -> Attempt:
        return attempt_of(self.settings, self.database, self.stored, key, destination_name)
