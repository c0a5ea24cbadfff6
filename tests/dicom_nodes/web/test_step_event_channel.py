"""Whatever a server may send on the channel of event reports."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from websockets.sync.server import ServerConnection, serve

from dicom_nodes.objects.procedure_step import EventType, StepEvent
from dicom_nodes.web.step_event_channel import step_events
from processing.measurement import TransientFault

WAITS = {
    "00001000": {"vr": "UI", "Value": ["1.2.3.1"]},
    "00001002": {"vr": "US", "Value": [1]},
    "00741000": {"vr": "CS", "Value": ["SCHEDULED"]},
}
WAITING = StepEvent("1.2.3.1", EventType.STATE, "SCHEDULED")
CANCEL = {
    "00001000": {"vr": "UI", "Value": ["1.2.3.1"]},
    "00001002": {"vr": "US", "Value": [2]},
    "00741236": {"vr": "AE", "Value": ["SURGEON"]},
    "00741238": {"vr": "LT", "Value": ["wrong side"]},
    "0074100E": {
        "vr": "SQ",
        "Value": [
            {
                "00080100": {"vr": "SH", "Value": ["110513"]},
                "00080102": {"vr": "SH", "Value": ["DCM"]},
                "00080104": {"vr": "LO", "Value": ["Discontinued for unspecified reason"]},
            }
        ],
    },
}


@contextmanager
def server_that_sends(*frames: str | bytes) -> Iterator[tuple[str, list[str]]]:
    """Sends these, and closes; gives its URL and the tokens that it was shown."""
    tokens: list[str] = []

    def talk(connection: ServerConnection) -> None:
        assert connection.request is not None
        tokens.append(connection.request.headers.get("Authorization", ""))
        for frame in frames:
            connection.send(frame)

    with serve(talk, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}/subscribers/HEMIFACE", tokens
        finally:
            server.shutdown()
            thread.join(5)


def received(url: str, token: str | None = None) -> list[StepEvent]:
    """The events until the channel ends, which is a passing fault."""
    events: list[StepEvent] = []
    channel = step_events(url, token=token, opened=lambda: None, is_stopped=lambda: False)
    try:
        for event in channel:
            events.append(event)  # noqa: PERF402 - those before the fault count
    except TransientFault:
        return events
    raise AssertionError("the channel ended without a fault")


def test_events_are_read_with_reason_and_code_and_the_token_is_shown() -> None:
    code = ("110513", "DCM", "Discontinued for unspecified reason")
    with server_that_sends(json.dumps(WAITS), json.dumps([CANCEL])) as (url, tokens):
        assert received(url, "secret") == [
            WAITING,
            StepEvent("1.2.3.1", EventType.CANCEL_REQUESTED, "", "wrong side", code),
        ]
    assert tokens == ["Bearer secret"]


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "null",
        "[]",
        "7",
        "{",
        "[" * 100_000,
        b"\xff\xfe",
        json.dumps({**WAITS, "00001000": {"vr": "UI", "Value": ["../../etc"]}}),
        json.dumps({**WAITS, "00001002": {"vr": "US", "Value": [77]}}),
        json.dumps({**WAITS, "00001002": {"vr": "US", "Value": ["x"]}}),
        json.dumps({**WAITS, "00001002": {"vr": "US"}}),
        json.dumps({**CANCEL, "0074100E": {"vr": "SQ", "Value": 3}}),
    ],
)
def test_a_frame_that_makes_no_sense_is_passed_over(frame: str | bytes) -> None:
    with server_that_sends(frame, json.dumps(WAITS)) as (url, _):
        assert received(url) == [WAITING]


def test_a_frame_that_is_too_large_ends_the_channel() -> None:
    with server_that_sends(" " * 2_000_000, json.dumps(WAITS)) as (url, _):
        assert received(url) == []


def test_a_server_that_is_away_is_a_passing_fault() -> None:
    with server_that_sends() as (url, _):
        pass
    assert received(url) == []
