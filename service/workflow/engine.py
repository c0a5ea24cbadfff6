"""The workflow engine: the only module that knows DBOS.

These workflows make the way of a study:

- ``complete`` is debounced: it starts when a study has been quiet, or at once when
  all declared inputs are there, and starts an ``analyse`` for each planned job;
- ``analyse`` reads, measures and reports, and starts a ``deliver`` for each
  destination; its identifier is the content key, so the same work is done once;
- ``deliver`` sends and confirms. An attempt that must wait ends, and puts the next
  attempt into the queue with a delay: a PACS that is away for a day holds no thread;
- ``priors`` finds and fetches the patient's earlier studies, for the analyses that can
  use them, and ``commit`` reports to a peer on its request for storage commitment, both
  in the same way.
- ``perform`` claims a Unified Procedure Step and ends it, ``review`` makes one.

Work that was cut off by a crash is taken up again by the slot that had it, or by
the sweep of another one when that slot does not come back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, Protocol, TypeVar

from dbos import (
    DBOS,
    DBOSClient,
    DBOSConfig,
    DebouncerClient,
    EnqueueOptions,
    StepOptions,
    error,
)

from processing.measurement import PermanentFault, TransientFault
from service.catalogue.database import engine_url
from service.instruments import STEP_SECONDS, STEPS
from service.settings import DeliverySettings, PriorSettings, ProcedureStepSettings, Settings
from service.workflow.delivery import DeliveryState

# Changes only when the order or the meaning of steps changes: an engine takes up
# only work of its own version, and an update of the software must not strand any.
WORKFLOW_VERSION: Final = "1"
APPLICATION: Final = "hemiface"

_COMPLETION_QUEUE: Final = "completion"
_ANALYSIS_QUEUE: Final = "analysis"
_DELIVERY_QUEUE: Final = "delivery"
_RETRIEVAL_QUEUE: Final = "retrieval"
# How many pieces of work a slot does at once.
_QUEUES: Final = {
    _COMPLETION_QUEUE: 4,
    _ANALYSIS_QUEUE: 1,
    _DELIVERY_QUEUE: 4,
    _RETRIEVAL_QUEUE: 1,
}
_URGENT: Final = 1
_ROUTINE: Final = 10
_WORKFLOWS: Final = ("complete", "analyse", "deliver")
_ACTIVE: Final = ("DELAYED", "ENQUEUED", "PENDING")
_FAILED: Final = ("ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")
_POLLING_SECONDS: Final = 0.25
_STEP_TRIES: Final = 5

_T = TypeVar("_T")
_Patience = DeliverySettings | PriorSettings | ProcedureStepSettings


@dataclass(frozen=True, slots=True)
class WorkState:
    """How a piece of work stands, as the engine says.

    `arguments` are those of its workflow: the Study Instance UID of a `complete`
    or an `analyse`, the key of the result and the destination of a `deliver`.
    """

    identifier: str
    name: str
    state: str
    reason: str | None
    created_at: datetime
    updated_at: datetime
    not_before: datetime | None
    attempts_on: str | None
    arguments: tuple[Any, ...] = ()


class Steps(Protocol):
    """The steps that the workflows are made of; see `service.workflow.steps.Steps`."""

    def complete(self, study_instance_uid: str) -> dict[str, Any]:
        """Decide why the study is complete, and plan its analyses."""

    def fetch_priors(
        self, study_instance_uid: str, analyses: Sequence[str], attempt: int
    ) -> dict[str, str]:
        """Find and fetch earlier studies of the patient; gives a state and its reason."""

    def perform_step(self, source: str, uid: str) -> dict[str, Any]:
        """Do what is next for a step; gives a state, its reason, and the studies complete."""

    def ask_for_review(self, key: str) -> dict[str, str]:
        """Ask for the review of a result; gives a state and its reason."""

    def read(self, analysis: str, inputs: Sequence[str], key: str) -> str:
        """Read the inputs; gives the key of the reading, empty when nobody wants it any more."""

    def measure(self, analysis: str, inputs: Sequence[str], key: str, reading_key: str) -> str:
        """Measure what was read; gives the moment, in ISO 8601."""

    def report(self, study_instance_uid: str, key: str, made_at: str) -> bool:
        """Write the report; False when a newer result has replaced this one."""

    def destinations(self, study_instance_uid: str) -> list[str]:
        """Who gets the results."""

    def tidy(self, key: str) -> None:
        """Remove what is not needed any more."""

    def deliver(self, key: str, destination_name: str) -> dict[str, str]:
        """Send a result; gives a `DeliveryState` and its reason."""

    def confirm(self, key: str, destination_name: str) -> dict[str, str]:
        """Ask whether the destination holds the result; gives a state and its reason."""

    def report_commitment(self, number: int) -> dict[str, str]:
        """Report on a request for storage commitment; gives a state and its reason."""


def migrate_engine(settings: Settings) -> None:
    """Make or update the engine's tables."""
    DBOS.migrate(engine_url(settings))


def launch(settings: Settings, slot: str, steps: Steps) -> None:
    """Start taking work, as this slot; what the slot had begun before is taken up again.

    Threads of the engine run the work; `stop` ends them.
    """
    config: DBOSConfig = {
        "name": APPLICATION,
        "system_database_url": engine_url(settings),
        "application_version": WORKFLOW_VERSION,
        "executor_id": slot,
        "enable_otlp": False,
        "log_level": "WARNING",
        "run_migrations": False,
        "notification_listener_polling_interval_sec": _POLLING_SECONDS,
    }
    DBOS(config=config)
    _register_workflows(settings, steps)
    DBOS.launch()
    for name, at_once in _QUEUES.items():
        DBOS.register_queue(
            name,
            worker_concurrency=at_once,
            polling_interval_sec=_POLLING_SECONDS,
            on_conflict="always_update",
        )


def stop() -> None:
    """Stop taking work and let what runs finish, for a while."""
    DBOS.destroy(workflow_completion_timeout_sec=10)


def perform_step(source: str, uid: str) -> None:
    """Have a Unified Procedure Step performed; nothing happens when it already is."""
    _enqueue("perform", _DELIVERY_QUEUE, f"perform:{source}:{uid}:0", source, uid, 0)


def cancel_step(source: str, uid: str) -> None:
    """Have a step that was called off looked at now, whatever its next attempt waits for."""
    _enqueue("perform", _DELIVERY_QUEUE, f"perform:{source}:{uid}:cancel:0", source, uid, 0)


def sweep(living: set[str]) -> list[str]:
    """Put back into the queue what slots that are gone had begun; gives the identifiers."""
    abandoned = [
        each.workflow_id
        for each in DBOS.list_workflows(status="PENDING", load_input=False, load_output=False)
        if each.executor_id not in living
    ]
    for identifier in abandoned:
        DBOS.resume_workflow(identifier)
    return abandoned


def _register_workflows(settings: Settings, steps: Steps) -> None:
    @DBOS.workflow(name="complete")
    def complete(study_instance_uid: str) -> int:
        plan = _step("complete", steps.complete, study_instance_uid)
        for job in plan["jobs"]:
            _enqueue(
                "analyse",
                _ANALYSIS_QUEUE,
                _analysis_identifier(job),
                study_instance_uid,
                job["analysis"],
                list(job["inputs"]),
                job["key"],
                priority=_URGENT if plan["urgent"] else _ROUTINE,
            )
        # A plan that was recorded by an earlier version names none.
        if plan.get("priors"):
            _enqueue(
                "priors",
                _RETRIEVAL_QUEUE,
                f"priors:{study_instance_uid}:{'+'.join(plan['priors'])}:0",
                study_instance_uid,
                plan["priors"],
                0,
            )
        return len(plan["jobs"])

    @DBOS.workflow(name="priors")
    def priors(study_instance_uid: str, analyses: list[str], attempt: int) -> str:
        outcome = _step("priors", steps.fetch_priors, study_instance_uid, analyses, attempt)
        return _ended_or_later(
            settings.priors,
            outcome,
            "priors",
            attempt,
            lambda later: (study_instance_uid, analyses, later),
            queue=_RETRIEVAL_QUEUE,
        )

    @DBOS.workflow(name="analyse")
    def analyse(study_instance_uid: str, analysis: str, inputs: list[str], key: str) -> str:
        reading_key = _step("read", steps.read, analysis, inputs, key)
        if not reading_key:
            return "called off: the procedure step that asked for it was canceled"
        made_at = _step("measure", steps.measure, analysis, inputs, key, reading_key)
        is_reported = _step("report", steps.report, study_instance_uid, key, made_at)
        _step("tidy", steps.tidy, key)
        if not is_reported:
            return "replaced by a newer result"
        if settings.procedure_steps.review_source is not None:
            _enqueue("review", _DELIVERY_QUEUE, f"review:{key}:0", key, 0)
        destinations = _step("route", steps.destinations, study_instance_uid)
        for name in destinations:
            _enqueue("deliver", _DELIVERY_QUEUE, _delivery_identifier(key, name, 0), key, name, 0)
        return "reported" if destinations else "reported; no destination is set for this sender"

    @DBOS.workflow(name="deliver")
    def deliver(key: str, destination: str, attempt: int) -> str:
        outcome = _step("deliver", steps.deliver, key, destination)
        if outcome["state"] == DeliveryState.DELIVERED:
            outcome = _step("confirm", steps.confirm, key, destination)
        return _ended_or_later(
            settings.delivery, outcome, "deliver", attempt, lambda later: (key, destination, later)
        )

    @DBOS.workflow(name="perform")
    def perform(source: str, uid: str, attempt: int) -> str:
        outcome = _step("perform", steps.perform_step, source, uid)
        for study_instance_uid in outcome["complete"]:
            _enqueue(
                "complete",
                _COMPLETION_QUEUE,
                f"complete:{study_instance_uid}:{uid}",
                study_instance_uid,
            )
        return _ended_or_later(
            settings.procedure_steps,
            outcome,
            "perform",
            attempt,
            lambda later: (source, uid, later),
        )

    @DBOS.workflow(name="review")
    def review(key: str, attempt: int) -> str:
        outcome = _step("review", steps.ask_for_review, key)
        return _ended_or_later(
            settings.delivery, outcome, "review", attempt, lambda later: (key, later)
        )

    @DBOS.workflow(name="commit")
    def commit(number: int, attempt: int) -> str:
        outcome = _step("report commitment", steps.report_commitment, number)
        return _ended_or_later(
            settings.delivery, outcome, "commit", attempt, lambda later: (number, later)
        )


def _ended_or_later(
    patience: _Patience,
    outcome: dict[str, str],
    workflow: str,
    attempt: int,
    arguments: Callable[[int], tuple[Any, ...]],
    *,
    queue: str = _DELIVERY_QUEUE,
) -> str:
    """End an attempt of a workflow that calls a peer; one that waits is followed by another."""
    if outcome["state"] == DeliveryState.PARKED:
        raise PermanentFault(outcome["reason"])
    if outcome["state"] == DeliveryState.DELIVERED:
        return outcome["reason"]
    _enqueue(
        workflow,
        queue,
        _neighbour(str(DBOS.workflow_id), 1),
        *arguments(attempt + 1),
        delay_seconds=_wait_seconds(patience, attempt),
    )
    return f"waiting: {outcome['reason']}"


def _step(name: str, do: Callable[..., _T], *arguments: Any) -> _T:
    """Run a step: recorded once, tried again on a transient fault, timed and counted."""

    def timed() -> _T:
        began = time.monotonic()
        try:
            answer = do(*arguments)
        except (TransientFault, PermanentFault) as fault:
            STEPS.labels(step=name, outcome=type(fault).__name__).inc()
            raise
        STEPS.labels(step=name, outcome="done").inc()
        STEP_SECONDS.labels(step=name).observe(time.monotonic() - began)
        return answer

    options: StepOptions = {
        "name": name,
        "retries_allowed": True,
        "max_attempts": _STEP_TRIES,
        "interval_seconds": 1.0,
        "backoff_rate": 2.0,
        "should_retry": lambda fault: isinstance(fault, TransientFault),
    }
    return DBOS.run_step(options, timed)


def _enqueue(
    workflow: str,
    queue: str,
    identifier: str,
    *arguments: Any,
    priority: int = 0,
    delay_seconds: float = 0,
) -> None:
    options: EnqueueOptions = {
        "workflow_name": workflow,
        "queue_name": queue,
        "workflow_id": identifier,
        "app_version": WORKFLOW_VERSION,
    }
    if priority:
        options["priority"] = priority
    if delay_seconds:
        options["delay_seconds"] = delay_seconds
    DBOS.enqueue_workflow_with_options(options, *arguments)


def _analysis_identifier(job: dict[str, Any]) -> str:
    # Of what was called off the plain identifier is used up; earlier plans name no step.
    asked_by = job.get("asked_by")
    return f"analyse:{job['key']}" + (f":{asked_by}" if asked_by else "")


def _delivery_identifier(key: str, destination: str, attempt: int) -> str:
    return f"deliver:{key}:{destination}:{attempt}"


def _neighbour(identifier: str, step: int) -> str:
    """The identifier of a later or former attempt; a delivery begun anew counts on its own."""
    series, _, attempt = identifier.rpartition(":")
    return f"{series}:{int(attempt) + step}"


def _wait_seconds(patience: _Patience, attempt: int) -> float:
    # Beyond some 30 doublings the exponent only overflows.
    doubled: float = patience.first_retry_seconds * 2 ** min(attempt, 30)
    return min(doubled, patience.longest_retry_seconds)


class EngineClient:
    """Asks the engine, and hands it work, from a process that takes none itself."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client = DBOSClient(
            system_database_url=engine_url(settings), application_name=APPLICATION
        )
        options: EnqueueOptions = {
            "workflow_name": "complete",
            "queue_name": _COMPLETION_QUEUE,
            "app_version": WORKFLOW_VERSION,
        }
        self._debouncer = DebouncerClient(
            self._client,
            options,
            debounce_timeout_sec=settings.completion.maximum_seconds,
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.destroy()

    def look_at_study_in(self, study_instance_uid: str, seconds: float) -> None:
        """Have the study completed in so many seconds; a later call moves the moment.

        The moment never moves beyond the hard maximum since the first call.
        """
        self._debouncer.debounce(study_instance_uid, seconds, study_instance_uid)

    def analyse_again(
        self, study_instance_uid: str, analysis: str, inputs: Sequence[str], key: str
    ) -> str:
        """Run an analysis once more from its first step; gives the identifier of the work."""
        identifier = f"analyse:{key}:{datetime.now(UTC):%Y%m%dT%H%M%S.%f}"
        options: EnqueueOptions = {
            "workflow_name": "analyse",
            "queue_name": _ANALYSIS_QUEUE,
            "workflow_id": identifier,
            "app_version": WORKFLOW_VERSION,
            "priority": _URGENT,
        }
        self._client.enqueue(options, study_instance_uid, analysis, list(inputs), key)
        return identifier

    def deliver_again(self, key: str, destination: str) -> str:
        """Deliver a result once more; gives the identifier of the work."""
        moment = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}"
        identifier = f"deliver:{key}:{destination}:{moment}:0"
        options: EnqueueOptions = {
            "workflow_name": "deliver",
            "queue_name": _DELIVERY_QUEUE,
            "workflow_id": identifier,
            "app_version": WORKFLOW_VERSION,
        }
        self._client.enqueue(options, key, destination, 0)
        return identifier

    def report_commitment(self, number: int, received_at: datetime) -> None:
        """Report on a request for storage commitment; once for each time that it was made."""
        options: EnqueueOptions = {
            "workflow_name": "commit",
            "queue_name": _DELIVERY_QUEUE,
            "workflow_id": f"commit:{number}:{received_at:%Y%m%dT%H%M%S.%f}:0",
            "app_version": WORKFLOW_VERSION,
        }
        self._client.enqueue(options, number, 0)

    def waiting_for(self, study_instance_uid: str) -> WorkState | None:
        """The completion that is still to come for a study, or None."""
        found = self._client.list_workflows(
            name="complete", status=list(_ACTIVE), load_output=False
        )
        for each in found:
            if each.input is not None and each.input["args"][0] == study_instance_uid:
                return _work_state(each)
        return None

    def work_on(self, key: str) -> list[WorkState]:
        """All work on a result: its analysis and its deliveries, the oldest first."""
        found = [
            each
            for prefix in ("analyse", "deliver")
            for each in self._client.list_workflows(workflow_id_prefix=f"{prefix}:{key}")
        ]
        return sorted((_work_state(each) for each in found), key=lambda each: each.created_at)

    def retrieval_for(self, study_instance_uid: str) -> list[WorkState]:
        """The work on a study's priors, the oldest first."""
        found = self._client.list_workflows(workflow_id_prefix=f"priors:{study_instance_uid}:")
        return sorted((_work_state(each) for each in found), key=lambda each: each.created_at)

    def unfinished_work(self, failed_since: datetime) -> list[WorkState]:
        """Work that waits or runs, and work that failed since a moment, the oldest first.

        A delivery that waits says why its former attempt could not be done.
        """
        active = self._client.list_workflows(
            name=list(_WORKFLOWS), status=list(_ACTIVE), load_output=False
        )
        failed = self._client.list_workflows(
            name=list(_WORKFLOWS), status=list(_FAILED), start_time=failed_since.isoformat()
        )
        former = {
            each.workflow_id: _neighbour(each.workflow_id, -1)
            for each in active
            if each.name == "deliver" and not each.workflow_id.endswith(":0")
        }
        reasons = self._reasons(list(former.values()))
        found = [
            replace(work, reason=work.reason or reasons.get(former.get(work.identifier, "")))
            for work in map(_work_state, [*active, *failed])
        ]
        return sorted(found, key=lambda each: each.created_at)

    def _reasons(self, identifiers: list[str]) -> dict[str, str | None]:
        if not identifiers:
            return {}
        found = self._client.list_workflows(workflow_ids=identifiers, load_input=False)
        return {each.workflow_id: _work_state(each).reason for each in found}

    def queue_depths(self) -> dict[str, int]:
        """How many pieces of work wait or run, by queue."""
        depths = dict.fromkeys(_QUEUES, 0)
        for each in self._client.list_queued_workflows(load_input=False, load_output=False):
            if each.queue_name in depths:
                depths[each.queue_name] += 1
        return depths


def _work_state(status: Any) -> WorkState:
    reason = None
    if status.error is not None:
        reason = str(_cause(status.error))
    elif isinstance(status.output, str):
        reason = status.output
    return WorkState(
        identifier=status.workflow_id,
        name=status.name,
        state=status.status,
        reason=reason,
        created_at=_moment(status.created_at) or datetime.fromtimestamp(0, UTC),
        updated_at=_moment(status.updated_at) or datetime.fromtimestamp(0, UTC),
        not_before=_moment(status.delay_until_epoch_ms),
        attempts_on=status.executor_id,
        arguments=tuple(status.input["args"]) if status.input is not None else (),
    )


def _cause(fault: Exception) -> Exception:
    """What a step failed of, without the engine's words about how often it tried."""
    if isinstance(fault, error.DBOSMaxStepRetriesExceeded) and fault.errors:
        return fault.errors[-1]
    return fault


def _moment(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)
