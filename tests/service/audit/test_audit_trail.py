from __future__ import annotations

import errno
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from dicom_nodes.audit.events import AuditedStudy, Node, accessed
from dicom_nodes.audit.messages import AuditMessage, AuditSource, Participant
from service.audit import trail as trail_module
from service.audit.chain import Chain, Entry, Head, log_files, read_record, verify
from service.audit.trail import NoTrail, Trail, audit_folder, open_trail
from service.settings import AuditSettings, Settings
from tests.dicom_nodes.audit.schema import valid

NODE = Node("HEMIFACE")


def event(number: int = 0) -> AuditMessage:
    viewer = Participant("surgeon", is_requestor=True)
    return accessed(viewer, AuditedStudy(f"1.2.{number}"))


def recorded(folder: Path) -> list[str]:
    return [
        read_record(line).message
        for path in log_files(folder)
        for line in path.read_bytes().splitlines(True)
    ]


def test_what_was_recorded_is_in_the_log_in_its_order(tmp_path: Path) -> None:
    settings = Settings(data_folder=tmp_path, audit=AuditSettings(enterprise_site="Hospital"))
    with open_trail(settings) as trail:
        for number in range(300):
            trail.record(event(number))
    messages = recorded(audit_folder(settings))
    assert len(messages) == 300
    for number in (0, 150, 299):
        message = valid(messages[number])
        assert f'ParticipantObjectID="1.2.{number}"' in messages[number]
        source = message.find("AuditSourceIdentification")
        assert source is not None
        assert source.get("AuditEnterpriseSiteID") == "Hospital"
    assert verify(audit_folder(settings)).broken is None


def test_events_of_many_threads_are_all_there(tmp_path: Path) -> None:
    with Trail(Chain(tmp_path, 10**6), AuditSource("node"), NODE) as trail:
        threads = [
            threading.Thread(target=lambda: [trail.record(event()) for _ in range(50)])
            for _ in range(4)
        ]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    assert len(recorded(tmp_path)) == 200


class FullDisk(Chain):
    """Fails so many times."""

    def __init__(self, folder: Path, failures: int) -> None:
        super().__init__(folder, 10**6)
        self.failures = failures

    def append(self, entries: Sequence[Entry]) -> Head:
        if self.failures:
            self.failures -= 1
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().append(entries)


def test_a_log_that_cannot_be_written_is_tried_again_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trail_module, "_RETRY_SECONDS", 0.01)
    trail = Trail(FullDisk(tmp_path, 3), AuditSource("node"), NODE)
    for number in range(5):
        trail.record(event(number))
    deadline = threading.Event()
    for _ in range(200):
        if len(recorded(tmp_path)) == 5:
            break
        deadline.wait(0.02)
    trail.close()
    assert len(recorded(tmp_path)) == 5


def test_a_log_that_stays_unwritable_does_not_keep_the_node_from_stopping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trail_module, "_RETRY_SECONDS", 0.01)
    trail = Trail(FullDisk(tmp_path, 10**9), AuditSource("node"), NODE)
    trail.record(event())
    trail.close()
    assert recorded(tmp_path) == []


def test_without_auditing_there_is_no_log(tmp_path: Path) -> None:
    settings = Settings(data_folder=tmp_path, audit=AuditSettings(enabled=False))
    with open_trail(settings) as trail:
        assert isinstance(trail, NoTrail)
        trail.record(event())
    assert not audit_folder(settings).exists()
