"""What the real engine says about work that waits, runs or has failed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from processing.measurement import PermanentFault, TransientFault
from service.settings import DeliverySettings, Settings
from service.workflow import engine
from service.workflow.delivery import DeliveryState
from service.workflow.engine import EngineClient, WorkState
from tests.service.workflow.launched_engine import launched_engine, wait_for

LONG_AGO = datetime.now(UTC) - timedelta(days=1)
AWAY = {"state": DeliveryState.WAITING, "reason": "connection refused"}
REFUSED = {"state": DeliveryState.PARKED, "reason": "SOP class not supported"}


@dataclass(slots=True)
class DeliveringSteps:
    """Steps of which only the delivery is told what to answer."""

    answers: list[dict[str, str]] = field(default_factory=list)
    fault_of_reading: Exception | None = None

    def complete(self, study_instance_uid: str) -> dict[str, Any]:
        return {"jobs": [], "urgent": False}

    def read(self, analysis: str, inputs: Sequence[str], key: str) -> str:
        assert self.fault_of_reading is not None
        raise self.fault_of_reading

    def measure(self, analysis: str, inputs: Sequence[str], key: str, reading_key: str) -> str:
        raise AssertionError("nothing is measured here")

    def report(self, study_instance_uid: str, key: str, made_at: str) -> bool:
        raise AssertionError("nothing is reported here")

    def destinations(self, study_instance_uid: str) -> list[str]:
        return []

    def tidy(self, key: str) -> None:
        return

    def deliver(self, key: str, destination_name: str) -> dict[str, str]:
        return self.answers.pop(0)

    def confirm(self, key: str, destination_name: str) -> dict[str, str]:
        return {"state": DeliveryState.DELIVERED, "reason": "confirmed"}


@pytest.fixture
def steps() -> DeliveringSteps:
    return DeliveringSteps()


@pytest.fixture
def client(settings: Settings, steps: DeliveringSteps) -> Iterator[EngineClient]:
    settings = settings.model_copy(
        update={"delivery": DeliverySettings(first_retry_seconds=0.2, longest_retry_seconds=30)}
    )
    with launched_engine(settings, steps) as opened:
        yield opened


def states(client: EngineClient) -> list[tuple[str, str, str | None]]:
    return [(each.name, each.state, each.reason) for each in client.unfinished_work(LONG_AGO)]


@pytest.mark.slow
def test_a_delivery_begun_anew_is_tried_as_often_as_the_first_one(
    client: EngineClient, steps: DeliveringSteps
) -> None:
    steps.answers = [AWAY, AWAY, REFUSED]
    client.deliver_again("key", "PACS")
    parked = ("deliver", "ERROR", "SOP class not supported")
    wait_for(lambda: states(client) == [parked])
    steps.answers = [AWAY, AWAY, {"state": DeliveryState.DELIVERED, "reason": ""}]
    client.deliver_again("key", "PACS")
    wait_for(lambda: not steps.answers)
    wait_for(lambda: client.work_on("key")[-1].reason == "confirmed")


def test_a_delivery_that_waits_says_why_and_until_when(
    client: EngineClient, steps: DeliveringSteps
) -> None:
    steps.answers = [AWAY] * 20
    client.deliver_again("key", "PACS")

    def waiting() -> WorkState | None:
        return next(
            (
                each
                for each in client.unfinished_work(LONG_AGO)
                if each.state == "DELAYED" and each.reason
            ),
            None,
        )

    wait_for(lambda: waiting() is not None)
    found = waiting()
    assert found is not None
    assert found.reason == "waiting: connection refused"
    assert found.not_before is not None
    assert found.arguments[:2] == ("key", "PACS")


@pytest.mark.slow
def test_failed_work_gives_the_last_cause_and_not_how_often_it_was_tried(
    client: EngineClient, steps: DeliveringSteps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_STEP_TRIES", 2)
    steps.fault_of_reading = TransientFault("the object store did not give work/key")
    client.analyse_again("1.2.3", "surface-symmetry", ["1.2.3.4"], "key")
    wait_for(
        lambda: states(client) == [("analyse", "ERROR", "the object store did not give work/key")]
    )
    steps.fault_of_reading = PermanentFault("the face model was not found")
    client.analyse_again("1.2.3", "surface-symmetry", ["1.2.3.4"], "key")
    wait_for(lambda: ("analyse", "ERROR", "the face model was not found") in states(client))
    assert client.unfinished_work(datetime.now(UTC) + timedelta(minutes=1)) == []


def test_a_completion_to_come_is_told_with_its_study_and_its_moment(client: EngineClient) -> None:
    client.look_at_study_in("1.2.3", 60)
    (found,) = client.unfinished_work(LONG_AGO)
    assert (found.name, found.state, found.arguments) == ("complete", "DELAYED", ("1.2.3",))
    assert found.not_before is not None
    assert found.not_before > datetime.now(UTC) + timedelta(seconds=30)
