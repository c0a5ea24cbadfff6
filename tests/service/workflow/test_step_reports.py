"""Managers that report on their steps, and a node that looks once an hour by itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pytest
from pydicom.dataset import Dataset

from dicom_nodes.network.procedure_step_events import procedure_step_events
from service.catalogue import procedure_steps, step_events
from service.demo_orthanc import free_ports
from service.settings import ProcedureStepSettings, StepSource, WebStepSource
from service.step_reports import StepReports
from service.workflow.procedure_steps import StepPerformer
from service.workflow.step_looking import look_for_steps
from service.workflow.step_subscribing import keep_subscribed, pause_after_fault
from tests.dicom_nodes.network.listening import listening
from tests.dicom_nodes.network.step_manager import (
    Report,
    StepManager,
    report_event,
    serving_dimse,
    serving_web,
)
from tests.service.workflow.priors_at_hand import (
    STL,
    EarlierStudy,
    FetchingNode,
    fetching_node,
    write_study,
)
from tests.service.workflow.test_performing_steps import UID, schedule

AN_HOUR: Final = 3600.0
# A second where the machine has nothing else to do.
AT_ONCE_SECONDS: Final = 10.0


@dataclass(frozen=True)
class Work:
    """Performs at once, and only once, what the engine would put into its queue."""

    node: FetchingNode

    def perform_step(self, source: str, uid: str) -> None:
        if procedure_steps.kept_step(self.node.database, uid, source) is None:
            self._tend(source, uid)

    def cancel_step(self, source: str, uid: str) -> None:
        self._tend(source, uid)

    def _tend(self, source: str, uid: str) -> None:
        StepPerformer(self.node.settings, self.node.database, self.node.reception).tend(source, uid)


@dataclass(frozen=True)
class Site:
    """A manager, and a node that has subscribed to its reports."""

    manager: StepManager
    node: FetchingNode
    port: int

    def waits_for(self, condition: Callable[[], bool], seconds: float = AT_ONCE_SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"not within {seconds:g} s"
            time.sleep(0.02)


@pytest.fixture
def manager() -> StepManager:
    return StepManager()


@pytest.fixture
def study(tmp_path: Path) -> EarlierStudy:
    return write_study(tmp_path / "study", "20261120", kinds=((STL, "M3D"),))


@contextmanager
def site(
    folder: Path, manager: StepManager, *, by_web: bool, poll_seconds: float = AN_HOUR
) -> Iterator[Site]:
    stopped = threading.Event()
    with ExitStack() as stack:
        node = stack.enter_context(fetching_node(folder / "data"))
        (port,) = free_ports(1)
        chosen: Mapping[str, Any]
        if by_web:
            url = stack.enter_context(serving_web(manager))
            web = WebStepSource(name="manager", url=url, worklist_label="HEMIFACE", subscribe=True)
            chosen = {"web_sources": (web,)}
        else:
            peer = stack.enter_context(serving_dimse(manager, report_to=port))
            source = StepSource(
                name="manager",
                ae_title="MANAGER",
                address="127.0.0.1",
                port=peer.port,
                worklist_label="HEMIFACE",
                subscribe=True,
            )
            chosen = {"sources": (source,)}
        steps = ProcedureStepSettings(**chosen, poll_seconds=poll_seconds)
        settings = node.settings.model_copy(update={"procedure_steps": steps})
        node = replace(node, settings=settings)
        service = procedure_step_events(StepReports(settings, node.database).take_from_peer)
        stack.enter_context(listening(folder / "port", [service], port=port))
        looking = threading.Thread(
            target=look_for_steps, args=(settings, node.database, Work(node), stopped)
        )
        looking.start()
        threads = [looking, *keep_subscribed(settings, node.database, stopped)]
        try:
            yield Site(manager, node, port)
        finally:
            stopped.set()
            for thread in threads:
                thread.join(10)


@pytest.fixture(params=["UPS-RS", "DIMSE"])
def subscribed(
    request: pytest.FixtureRequest, tmp_path: Path, manager: StepManager
) -> Iterator[Site]:
    with site(tmp_path, manager, by_web=request.param == "UPS-RS") as opened:
        opened.waits_for(lambda: manager.subscribed == {"HEMIFACE": "HEMIFACE"}, 10)
        # The look that follows a subscription must not be what finds the step.
        opened.waits_for(lambda: bool(step_events.notices(opened.node.database)), 10)
        opened.waits_for(lambda: manager.asked.count("search") >= 2, 10)
        yield opened


def test_a_new_step_is_begun_at_once(subscribed: Site, study: EarlierStudy) -> None:
    schedule(subscribed.node, study)
    subscribed.waits_for(lambda: subscribed.manager.state(UID) == "IN PROGRESS")


def test_a_step_of_another_worklist_is_not_asked_for(subscribed: Site, study: EarlierStudy) -> None:
    asked = subscribed.manager.asked.count("search")
    schedule(subscribed.node, study, "OTHERS")
    time.sleep(1.5)
    assert subscribed.manager.asked.count("search") == asked


def test_a_cancel_is_followed_at_once(subscribed: Site, study: EarlierStudy) -> None:
    manager = subscribed.manager
    schedule(subscribed.node, study)
    subscribed.waits_for(lambda: _is_claimed(subscribed.node))
    manager.request_cancel(UID, "the wrong patient")
    subscribed.waits_for(lambda: manager.state(UID) == "CANCELED")
    (told,) = manager.steps[UID].ProcedureStepProgressInformationSequence
    assert told.ReasonForCancellation == "on request: the wrong patient"


def test_a_cancel_that_comes_too_late_is_not_followed(
    subscribed: Site, study: EarlierStudy
) -> None:
    manager, node = subscribed.manager, subscribed.node
    schedule(node, study)
    subscribed.waits_for(lambda: _is_claimed(node))
    assert step_events.begin(node.database, study.sop_instance_uids)
    manager.request_cancel(UID, "the wrong patient")
    subscribed.waits_for(lambda: _is_to_be_canceled(node))
    time.sleep(1)
    assert manager.state(UID) == "IN PROGRESS"


def test_a_manager_without_filtered_subscriptions_reports_on_all_steps(
    tmp_path: Path, manager: StepManager, study: EarlierStudy
) -> None:
    manager.filters_subscriptions = False
    for by_web in (True, False):
        with site(tmp_path / str(by_web), manager, by_web=by_web) as opened:
            opened.waits_for(lambda: manager.subscribed == {"HEMIFACE": None}, 10)
        manager.subscribed.clear()


@pytest.mark.parametrize("by_web", [True, False])
def test_without_reports_the_node_still_looks_by_itself(
    by_web: bool, tmp_path: Path, manager: StepManager, study: EarlierStudy
) -> None:
    manager.refuses_subscriptions = True
    with site(tmp_path, manager, by_web=by_web, poll_seconds=0.5) as opened:
        schedule(opened.node, study)
        opened.waits_for(lambda: manager.state(UID) == "IN PROGRESS", 5)
        assert manager.subscribed == {}


def test_pauses_grow_to_a_minute_and_begin_anew_after_a_channel_that_had_lasted() -> None:
    pauses = [0.0]
    for _ in range(8):
        pauses.append(pause_after_fault(pauses[-1], lasted_seconds=0.1))
    assert pauses == [0, 1, 2, 4, 8, 16, 32, 60, 60]
    assert pause_after_fault(60, lasted_seconds=3600) == 1


def test_a_channel_that_ended_is_opened_again_and_nothing_is_missed(
    tmp_path: Path, manager: StepManager, study: EarlierStudy
) -> None:
    with site(tmp_path, manager, by_web=True) as opened:
        opened.waits_for(lambda: len(manager.tellers) == 1, 10)
        manager.is_away = True
        opened.waits_for(lambda: manager.tellers == [], 10)
        manager.is_away = False
        # Nobody listens while it is made.
        schedule(opened.node, study)
        opened.waits_for(lambda: manager.state(UID) == "IN PROGRESS", 10)
        opened.waits_for(lambda: len(manager.tellers) == 1, 10)


def test_reports_of_strangers_and_those_that_make_no_sense_are_refused(
    tmp_path: Path, manager: StepManager
) -> None:
    waits = Dataset()
    waits.ProcedureStepState = "SCHEDULED"
    waits.InputReadinessState = "READY"
    with site(tmp_path, manager, by_web=False) as opened:
        opened.waits_for(lambda: step_events.notices(opened.node.database) == {"manager": 1})

        def answer(report: Report, calling: str = "MANAGER") -> int | None:
            return report_event(opened.port, "HEMIFACE", report, calling)

        assert answer(Report(UID, 1, waits), "STRANGER") == 0x0124
        assert answer(Report(UID, 9, waits)) == 0x0113
        assert answer(Report(UID, 5, waits)) == 0x0000, "a type that the node has no use for"
        assert step_events.notices(opened.node.database) == {"manager": 1}


def _is_claimed(node: FetchingNode) -> bool:
    kept = procedure_steps.kept_step(node.database, UID, "manager")
    return kept is not None and kept.claimed_at is not None


def _is_to_be_canceled(node: FetchingNode) -> bool:
    kept = procedure_steps.kept_step(node.database, UID, "manager")
    return kept is not None and kept.cancel_requested_at is not None
