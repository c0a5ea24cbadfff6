"""The engine on its own database, with steps that only remember that they ran."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from processing.measurement import PermanentFault, TransientFault
from service.settings import (
    CompletionSettings,
    DeliverySettings,
    ProcedureStepSettings,
    Settings,
)
from service.workflow import engine
from service.workflow.delivery import DeliveryState
from service.workflow.engine import EngineClient
from tests.service.workflow.launched_engine import launched_engine, wait_for


@dataclass(slots=True)
class RememberingSteps:
    ran: list[tuple[str, str]] = field(default_factory=list)
    outcomes: list[dict[str, str]] = field(default_factory=list)
    faults: list[Exception] = field(default_factory=list)
    asked_by: str | None = None
    is_called_off: bool = False

    def complete(self, study_instance_uid: str) -> dict[str, Any]:
        self.ran.append(("complete", study_instance_uid))
        job = {"analysis": "a", "inputs": ["1"], "key": study_instance_uid}
        if self.asked_by is not None:
            job["asked_by"] = self.asked_by
        return {"jobs": [job], "urgent": study_instance_uid.startswith("urgent")}

    def read(self, analysis: str, inputs: Sequence[str], key: str) -> str:
        self.ran.append(("read", key))
        if self.faults:
            raise self.faults.pop(0)
        return "" if self.is_called_off else "reading"

    def measure(self, analysis: str, inputs: Sequence[str], key: str, reading_key: str) -> str:
        self.ran.append(("measure", key))
        time.sleep(0.3)
        return "2026-11-21T00:00:00+00:00"

    def report(self, study_instance_uid: str, key: str, made_at: str) -> bool:
        self.ran.append(("report", key))
        return True

    def destinations(self, study_instance_uid: str) -> list[str]:
        return ["PACS"]

    def tidy(self, key: str) -> None:
        self.ran.append(("tidy", key))

    def deliver(self, key: str, destination_name: str) -> dict[str, str]:
        self.ran.append(("deliver", key))
        if self.outcomes:
            return self.outcomes.pop(0)
        return {"state": DeliveryState.DELIVERED, "reason": ""}

    def confirm(self, key: str, destination_name: str) -> dict[str, str]:
        self.ran.append(("confirm", key))
        return {"state": DeliveryState.DELIVERED, "reason": "confirmed"}

    def perform_step(self, source: str, uid: str) -> dict[str, Any]:
        self.ran.append(("perform", uid))
        return {"state": DeliveryState.WAITING, "reason": "", "complete": []}

    def order_of(self, step: str) -> list[str]:
        return [key for name, key in self.ran if name == step]


@pytest.fixture
def steps() -> RememberingSteps:
    return RememberingSteps()


@pytest.fixture
def client(settings: Settings, steps: RememberingSteps) -> Iterator[EngineClient]:
    settings = settings.model_copy(
        update={
            "completion": CompletionSettings(quiet_seconds=1, maximum_seconds=3),
            "procedure_steps": ProcedureStepSettings(first_retry_seconds=60),
            "delivery": DeliverySettings(first_retry_seconds=0.2, longest_retry_seconds=0.4),
        }
    )
    with launched_engine(settings, steps) as opened:
        yield opened


def test_a_study_goes_its_whole_way_once(client: EngineClient, steps: RememberingSteps) -> None:
    client.look_at_study_in("study", 0.1)
    wait_for(lambda: steps.order_of("confirm") == ["study"])
    names = [name for name, _ in steps.ran]
    assert names == ["complete", "read", "measure", "report", "tidy", "deliver", "confirm"]
    client.look_at_study_in("study", 0.1)
    wait_for(lambda: len(steps.order_of("complete")) == 2)
    time.sleep(1)
    assert steps.order_of("measure") == ["study"], "the same inputs are measured once"


def test_what_was_called_off_is_not_measured_until_another_step_asks_for_it(
    client: EngineClient, steps: RememberingSteps
) -> None:
    steps.is_called_off = True
    client.look_at_study_in("study", 0.1)
    wait_for(lambda: [each.state for each in client.work_on("study")] == ["SUCCESS"])
    (work,) = client.work_on("study")
    assert work.reason is not None
    assert work.reason.startswith("called off")
    steps.is_called_off, steps.asked_by = False, "1.2.3.9"
    client.look_at_study_in("study", 0.1)
    wait_for(lambda: steps.order_of("confirm") == ["study"])
    assert steps.order_of("read") == ["study", "study"]
    assert steps.order_of("measure") == ["study"]


def test_a_step_that_was_called_off_is_looked_at_before_its_next_attempt(
    client: EngineClient, steps: RememberingSteps
) -> None:
    for _ in range(2):
        engine.perform_step("manager", "1.2.3")
    wait_for(lambda: steps.order_of("perform") == ["1.2.3"])
    for _ in range(2):
        engine.cancel_step("manager", "1.2.3")
    wait_for(lambda: steps.order_of("perform") == ["1.2.3", "1.2.3"])


@pytest.mark.slow
def test_a_further_image_moves_the_moment_until_the_hard_maximum(
    client: EngineClient, steps: RememberingSteps
) -> None:
    began = time.monotonic()
    while not steps.order_of("complete"):
        client.look_at_study_in("study", 1)
        time.sleep(0.2)
        assert time.monotonic() - began < 10
    assert time.monotonic() - began >= 3


def test_declared_inputs_bring_the_moment_forward(
    client: EngineClient, steps: RememberingSteps
) -> None:
    client.look_at_study_in("study", 60)
    waiting = client.waiting_for("study")
    assert waiting is not None
    assert waiting.not_before is not None
    client.look_at_study_in("study", 0.1)
    wait_for(lambda: steps.order_of("complete") == ["study"])
    wait_for(lambda: client.waiting_for("study") is None)


def test_an_urgent_study_overtakes_routine_ones(
    client: EngineClient, steps: RememberingSteps
) -> None:
    for number in range(5):
        client.look_at_study_in(f"routine-{number}", 0.1)
    wait_for(lambda: len(steps.order_of("measure")) == 1)
    client.look_at_study_in("urgent", 0.1)
    wait_for(lambda: len(steps.order_of("measure")) == 6)
    assert steps.order_of("measure").index("urgent") <= 3


def test_a_destination_that_is_away_is_tried_again_until_it_takes_the_result(
    client: EngineClient, steps: RememberingSteps
) -> None:
    away = {"state": DeliveryState.WAITING, "reason": "connection refused"}
    steps.outcomes = [away, away, away]
    client.look_at_study_in("study", 0.1)
    wait_for(lambda: steps.order_of("confirm") == ["study"])
    assert len(steps.order_of("deliver")) == 4

    def reasons() -> list[str | None]:
        return [each.reason for each in client.work_on("study") if each.name == "deliver"]

    wait_for(lambda: reasons() == ["waiting: connection refused"] * 3 + ["confirmed"])


def test_a_refused_result_is_parked_with_its_reason(
    client: EngineClient, steps: RememberingSteps
) -> None:
    steps.outcomes = [{"state": DeliveryState.PARKED, "reason": "SOP class not supported"}]
    client.look_at_study_in("study", 0.1)

    def parked() -> bool:
        return any(
            each.state == "ERROR" and "SOP class not supported" in (each.reason or "")
            for each in client.work_on("study")
        )

    wait_for(parked)
    assert steps.order_of("confirm") == []
    client.deliver_again("study", "PACS")
    wait_for(lambda: steps.order_of("confirm") == ["study"])


def test_a_transient_fault_is_tried_again_and_a_permanent_one_is_not(
    client: EngineClient, steps: RememberingSteps
) -> None:
    steps.faults = [TransientFault("the store did not answer")]
    client.look_at_study_in("transient", 0.1)
    wait_for(lambda: steps.order_of("confirm") == ["transient"])
    assert steps.order_of("read") == ["transient", "transient"]
    steps.faults = [PermanentFault("cannot be")]
    client.look_at_study_in("permanent", 0.1)
    wait_for(lambda: any(each.state == "ERROR" for each in client.work_on("permanent")))
    assert steps.order_of("read").count("permanent") == 1


def test_work_of_a_slot_that_is_gone_is_taken_over(
    client: EngineClient, steps: RememberingSteps
) -> None:
    client.look_at_study_in("study", 0.1)
    wait_for(lambda: steps.order_of("confirm") == ["study"])
    assert engine.sweep({"slot"}) == []
