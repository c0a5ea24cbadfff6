"""A manager of Unified Procedure Steps that keeps the state table of PS3.4, section CC.1.1.

It is asked by UPS-RS and by DIMSE, and refuses whatever the table does not allow. Whoever
subscribes is told of each change, by N-EVENT-REPORT or on a WebSocket.
"""

from __future__ import annotations

import asyncio
import json
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response, WebSocket, WebSocketDisconnect
from pydicom.dataset import Dataset
from pynetdicom import AE, build_role, evt

from dicom_nodes.network.peer import Peer
from service.demo_orthanc import free_ports
from tests.dicom_nodes.network.plain_server import closed_sockets, plain_server

PUSH = "1.2.840.10008.5.1.4.34.6.1"
PULL = "1.2.840.10008.5.1.4.34.6.3"
WATCH = "1.2.840.10008.5.1.4.34.6.2"
EVENT = "1.2.840.10008.5.1.4.34.6.4"
ALL_STEPS = "1.2.840.10008.5.1.4.34.5"
FILTERED_STEPS = "1.2.840.10008.5.1.4.34.5.1"


@dataclass(frozen=True)
class Report:
    """An event, as it is reported to a subscriber."""

    uid: str
    event_type: int
    attributes: Dataset


class Refused(Exception):
    """A request that the state table does not allow, with its DIMSE status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"0x{status:04X}")
        self.status = status


@dataclass
class StepManager:
    """The steps, and what was asked."""

    steps: dict[str, Dataset] = field(default_factory=dict)
    transactions: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    is_away: bool = False
    loses_answers: int = 0
    # Of each AE title that has subscribed: the worklist label, or none for all steps.
    subscribed: dict[str, str | None] = field(default_factory=dict)
    filters_subscriptions: bool = True
    refuses_subscriptions: bool = False
    tellers: list[Callable[[str, Report], None]] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def state(self, uid: str) -> str:
        return str(self.steps[uid].ProcedureStepState)

    def create(self, uid: str, step: Dataset) -> None:
        with self.lock:
            self.asked.append("create")
            if uid in self.steps:
                raise Refused(0x0111)
            if step.ProcedureStepState != "SCHEDULED":
                raise Refused(0xC309)
            if step.get("TransactionUID"):
                raise Refused(0x0106)
            for required in (
                "ScheduledProcedureStepPriority",
                "ProcedureStepLabel",
                "InputReadinessState",
            ):
                if not step.get(required):
                    raise Refused(0x0120)
            self.steps[uid] = step
            self._report_state(uid)

    def subscribe(self, instance_uid: str, ae_title: str, label: str | None) -> None:
        with self.lock:
            self.asked.append("subscribe")
            if self.refuses_subscriptions:
                raise Refused(0xC315)
            if instance_uid == FILTERED_STEPS and not self.filters_subscriptions:
                raise Refused(0xC307)
            assert instance_uid in (ALL_STEPS, FILTERED_STEPS)
            assert (label is not None) == (instance_uid == FILTERED_STEPS)
            self.subscribed[ae_title] = label

    def request_cancel(self, uid: str, reason: str) -> None:
        """PS3.4, section CC.2.2.3."""
        with self.lock:
            step = self._known(uid)
            state = str(step.ProcedureStepState)
            if state == "COMPLETED":
                raise Refused(0xC311)
            if state == "CANCELED":
                raise Refused(0xB304)
            if state == "SCHEDULED":
                for each in ("IN PROGRESS", "CANCELED"):
                    step.ProcedureStepState = each
                    self._report_state(uid)
                return
            attributes = Dataset()
            attributes.RequestingAE = "SURGEON"
            attributes.ReasonForCancellation = reason
            self._report(Report(uid, 2, attributes))

    def _report_state(self, uid: str) -> None:
        attributes = Dataset()
        attributes.ProcedureStepState = self.steps[uid].ProcedureStepState
        attributes.InputReadinessState = self.steps[uid].InputReadinessState
        self._report(Report(uid, 1, attributes))

    def _report(self, report: Report) -> None:
        label = self.steps[report.uid].get("WorklistLabel", "")
        for ae_title, wanted in self.subscribed.items():
            if wanted in (None, label):
                for tell in self.tellers:
                    tell(ae_title, report)

    def get(self, uid: str) -> Dataset:
        with self.lock:
            self.asked.append("get")
            return self._known(uid)

    def scheduled(self, label: str) -> list[tuple[str, Dataset]]:
        with self.lock:
            self.asked.append("search")
            return [
                (uid, step)
                for uid, step in self.steps.items()
                if step.ProcedureStepState == "SCHEDULED"
                and label in ("", step.get("WorklistLabel", ""))
            ]

    def change_state(self, uid: str, state: str, transaction: str) -> None:
        with self.lock:
            self.asked.append(f"state {state}")
            step = self._known(uid)
            present = str(step.ProcedureStepState)
            if state == "SCHEDULED":
                raise Refused(0xC303)
            if present == "SCHEDULED" and state != "IN PROGRESS":
                raise Refused(0xC310)
            if present == "IN PROGRESS" and state == "IN PROGRESS":
                raise Refused(0xC302)
            if present in ("COMPLETED", "CANCELED"):
                same = present == state and self.transactions[uid] == transaction
                warning = {"CANCELED": 0xB304, "COMPLETED": 0xB306}[present]
                raise Refused(warning if same else 0xC300)
            if present == "SCHEDULED":
                if not transaction:
                    raise Refused(0xC301)
                self.transactions[uid] = transaction
            elif self.transactions[uid] != transaction:
                raise Refused(0xC301)
            if state == "COMPLETED" and not self._is_performed(step):
                raise Refused(0xC304)
            if state == "CANCELED" and not self._is_explained(step):
                raise Refused(0xC304)
            step.ProcedureStepState = state
            self._report_state(uid)
            if state in ("COMPLETED", "CANCELED"):
                self.ended.append(uid)

    def update(self, uid: str, transaction: str, changes: Dataset) -> None:
        with self.lock:
            self.asked.append("update")
            step = self._known(uid)
            present = str(step.ProcedureStepState)
            if present in ("COMPLETED", "CANCELED"):
                raise Refused(0xC300)
            if present == "IN PROGRESS" and self.transactions[uid] != transaction:
                raise Refused(0xC301)
            if present == "SCHEDULED" and transaction:
                raise Refused(0xC310)
            for element in changes:
                if element.keyword == "ProcedureStepState":
                    raise Refused(0x0106)
                if element.keyword != "TransactionUID":
                    step[element.tag] = element

    def _known(self, uid: str) -> Dataset:
        if uid not in self.steps:
            raise Refused(0xC307)
        return self.steps[uid]

    @staticmethod
    def _is_performed(step: Dataset) -> bool:
        items = step.get("UnifiedProcedureStepPerformedProcedureSequence") or []
        return bool(items) and all(
            keyword in items[0]
            for keyword in (
                "PerformedStationNameCodeSequence",
                "PerformedWorkitemCodeSequence",
                "PerformedProcedureStepStartDateTime",
                "PerformedProcedureStepEndDateTime",
                "OutputInformationSequence",
            )
        )

    @staticmethod
    def _is_explained(step: Dataset) -> bool:
        items = step.get("ProcedureStepProgressInformationSequence") or []
        return bool(items) and all(
            keyword in items[0]
            for keyword in (
                "ProcedureStepCancellationDateTime",
                "ProcedureStepDiscontinuationReasonCodeSequence",
            )
        )


def _as_http(refused: Refused) -> Response:
    if refused.status == 0xC307:
        return Response(status_code=404)
    if refused.status >> 8 == 0xB3:
        return Response(status_code=200, headers={"Warning": "299 in this state already"})
    conflicts = (0x0111, 0xC300, 0xC301, 0xC302, 0xC303, 0xC304, 0xC310)
    return Response(status_code=409 if refused.status in conflicts else 400)


def _as_json(report: Report) -> dict[str, Any]:
    """As in PS3.18, section 11.14, with the command elements of PS3.7, table 10.3-1."""
    return {
        "00000002": {"vr": "UI", "Value": [PUSH]},
        "00000100": {"vr": "US", "Value": [256]},
        "00000110": {"vr": "US", "Value": [23]},
        "00001000": {"vr": "UI", "Value": [report.uid]},
        "00001002": {"vr": "US", "Value": [report.event_type]},
        **report.attributes.to_json_dict(),
    }


def web_application(steps: StepManager) -> FastAPI:
    """UPS-RS (PS3.18, chapter 11)."""
    application = FastAPI()

    @application.middleware("http")
    async def is_there(request: Request, answer: Any) -> Response:
        if steps.is_away:
            return Response(status_code=503)
        done: Response = await answer(request)
        if request.method != "GET" and steps.loses_answers:
            steps.loses_answers -= 1
            return Response(status_code=504)
        return done

    async def body(request: Request) -> Dataset:
        return Dataset.from_json(json.loads(await request.body())[0])

    def answer(items: list[Dataset]) -> Response:
        content = json.dumps([each.to_json_dict() for each in items])
        return Response(content, media_type="application/dicom+json")

    @application.exception_handler(Refused)
    async def refused(_request: Request, fault: Any) -> Response:
        return _as_http(fault)

    @application.get("/workitems")
    async def search(request: Request) -> Response:
        assert request.query_params["ProcedureStepState"] == "SCHEDULED"
        found = []
        for uid, step in steps.scheduled(request.query_params.get("WorklistLabel", "")):
            item = Dataset()
            item.SOPInstanceUID = uid
            item.ProcedureStepLabel = step.ProcedureStepLabel
            found.append(item)
        return answer(found)

    @application.post("/workitems")
    async def create(request: Request) -> Response:
        uid = request.query_params["workitem"]
        steps.create(uid, await body(request))
        return Response(status_code=201, headers={"Location": f"/workitems/{uid}"})

    @application.get("/workitems/{uid}")
    async def get(uid: str) -> Response:
        return answer([steps.get(uid)])

    @application.post("/workitems/{uid}")
    async def update(uid: str, request: Request) -> Response:
        steps.update(uid, request.query_params.get("transaction-uid", ""), await body(request))
        return Response(status_code=200)

    @application.post("/workitems/{uid}/subscribers/{ae_title}")
    async def subscribe(uid: str, ae_title: str, request: Request) -> Response:
        assert request.query_params["deletionlock"] == "false"
        name, _, label = request.query_params.get("filter", "").partition("=")
        assert name in ("", "WorklistLabel")
        steps.subscribe(uid, ae_title, label if name else None)
        return Response(status_code=201)

    @application.websocket("/subscribers/{ae_title}")
    async def channel(socket: WebSocket, ae_title: str) -> None:
        if steps.is_away:
            await socket.close()
            return
        await socket.accept()
        loop = asyncio.get_running_loop()
        waiting: asyncio.Queue[Report] = asyncio.Queue()

        def tell(receiver: str, report: Report) -> None:
            if receiver == ae_title:
                loop.call_soon_threadsafe(waiting.put_nowait, report)

        steps.tellers.append(tell)
        try:
            while not steps.is_away:
                try:
                    report = await asyncio.wait_for(waiting.get(), 0.1)
                except TimeoutError:
                    continue
                await socket.send_text(json.dumps(_as_json(report)))
            await socket.close()
        except WebSocketDisconnect:
            pass
        finally:
            steps.tellers.remove(tell)

    @application.put("/workitems/{uid}/state")
    async def state(uid: str, request: Request) -> Response:
        change = await body(request)
        steps.change_state(uid, change.ProcedureStepState, change.get("TransactionUID", ""))
        return Response(status_code=200)

    return application


@contextmanager
def serving_web(steps: StepManager, port: int | None = None) -> Iterator[str]:
    """The manager by UPS-RS; gives its URL."""
    port = port or free_ports(1)[0]
    server = uvicorn.Server(
        uvicorn.Config(
            web_application(steps),
            host="127.0.0.1",
            port=port,
            log_level="error",
            ws="websockets-sansio",
            timeout_graceful_shutdown=1,
        )
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(5)


@contextmanager
def serving_dimse(steps: StepManager, report_to: int | None = None) -> Iterator[Peer]:
    """The manager by DIMSE; gives the peer that it is.

    It reports to subscribers at the port `report_to`.
    """

    def guarded(do: Any) -> tuple[int, Dataset | None]:
        try:
            return 0x0000, do()
        except Refused as refused:
            return refused.status, None

    def find(event: Any) -> Iterator[tuple[int, Dataset | None]]:
        for uid, step in steps.scheduled(str(event.identifier.get("WorklistLabel", "") or "")):
            found = Dataset()
            found.SOPInstanceUID = uid
            found.ProcedureStepLabel = step.ProcedureStepLabel
            yield 0xFF00, found

    def action(event: Any) -> tuple[int, Dataset | None]:
        uid = str(event.request.RequestedSOPInstanceUID)
        asked = event.action_information
        if event.action_type == 3:
            assert event.context.abstract_syntax == WATCH
            assert asked.DeletionLock == "FALSE"
            label = asked.get("WorklistLabel")
            return guarded(lambda: steps.subscribe(uid, asked.ReceivingAE, label))
        assert event.action_type == 1
        transaction = str(asked.get("TransactionUID", ""))
        return guarded(lambda: steps.change_state(uid, asked.ProcedureStepState, transaction))

    def get(event: Any) -> tuple[int, Dataset | None]:
        return guarded(lambda: steps.get(str(event.request.RequestedSOPInstanceUID)))

    def put(event: Any) -> tuple[int, Dataset | None]:
        changes = event.modification_list
        transaction = str(changes.get("TransactionUID", ""))
        uid = str(event.request.RequestedSOPInstanceUID)
        return guarded(lambda: steps.update(uid, transaction, changes))

    def create(event: Any) -> tuple[int, Dataset | None]:
        uid = str(event.request.AffectedSOPInstanceUID)
        return guarded(lambda: steps.create(uid, event.attribute_list))

    entity = AE("MANAGER")
    for sop_class in (PUSH, PULL, WATCH):
        entity.add_supported_context(sop_class)
    waiting: queue.Queue[tuple[str, Report] | None] = queue.Queue()

    def tell(receiver: str, report: Report) -> None:
        waiting.put((receiver, report))

    steps.tellers.append(tell)
    reporter = threading.Thread(target=_send_reports, args=(waiting, report_to), daemon=True)
    reporter.start()
    handlers = [
        (evt.EVT_C_FIND, find),
        (evt.EVT_N_ACTION, action),
        (evt.EVT_N_GET, get),
        (evt.EVT_N_SET, put),
        (evt.EVT_N_CREATE, create),
    ]
    try:
        with plain_server(entity, handlers) as port:
            yield Peer("manager", "MANAGER", "127.0.0.1", port, "HEMIFACE")
    finally:
        steps.tellers.remove(tell)
        waiting.put(None)
        reporter.join(5)


def _send_reports(waiting: queue.Queue[tuple[str, Report] | None], port: int | None) -> None:
    while (told := waiting.get()) is not None:
        if port is not None:
            report_event(port, *told)


def report_event(
    port: int, receiver: str, report: Report, calling_ae_title: str = "MANAGER"
) -> int | None:
    """N-EVENT-REPORT over a new association; gives its status, None where nobody answers."""
    entity = AE(calling_ae_title)
    entity.add_requested_context(EVENT)
    with closed_sockets() as noted:
        association = entity.associate(
            "127.0.0.1",
            port,
            ae_title=receiver,
            ext_neg=[build_role(EVENT, scu_role=True, scp_role=True)],
            evt_handlers=[noted],
        )
        if not association.is_established:
            return None
        status, _ = association.send_n_event_report(
            report.attributes, report.event_type, PUSH, report.uid, meta_uid=EVENT
        )
        association.release()
    return status.Status if "Status" in status else None
