from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt

from dicom_nodes.network.peer import Peer
from dicom_nodes.network.query_scu import STUDY_ROOT_FIND, find_instances
from processing.measurement import PermanentFault, TransientFault
from tests.dicom_nodes.network.listening import listening
from tests.dicom_nodes.network.plain_server import plain_server

HELD = {"1.1": ("1.1.1", "1.1.2"), "1.2": ("1.2.1",)}  # instances by series, of study "1"


@contextmanager
def archive(status: int = 0x0000) -> Iterator[Peer]:
    """An archive that answers C-FIND for study "1", one level after the other."""

    def answer(event: Any) -> Iterator[tuple[int, Dataset | None]]:
        keys = event.identifier
        if status:
            yield status, None
            return
        values: list[str] = []
        keyword = "SeriesInstanceUID"
        if keys.StudyInstanceUID == "1" and keys.QueryRetrieveLevel == "SERIES":
            values = list(HELD)
        elif keys.StudyInstanceUID == "1" and keys.QueryRetrieveLevel == "IMAGE":
            keyword = "SOPInstanceUID"
            values = list(HELD.get(keys.SeriesInstanceUID, ()))
        for value in values:
            found = Dataset()
            setattr(found, keyword, value)
            yield 0xFF00, found

    entity = AE("ARCHIVE")
    entity.add_supported_context(STUDY_ROOT_FIND)
    with plain_server(entity, [(evt.EVT_C_FIND, answer)]) as port:
        yield Peer("archive", "ARCHIVE", "127.0.0.1", port, "HEMIFACE")


def test_only_the_wanted_instances_that_are_there_are_found() -> None:
    with archive() as peer:
        assert find_instances(peer, "1", "1.1", ["1.1.1", "1.1.9"]) == {"1.1.1"}
        assert find_instances(peer, "1", "1.1", ["1.2.1"]) == frozenset()


def test_without_a_series_the_whole_study_is_searched() -> None:
    with archive() as peer:
        wanted = ["1.1.2", "1.2.1", "1.3.1"]
        assert find_instances(peer, "1", None, wanted) == {"1.1.2", "1.2.1"}
        assert find_instances(peer, "2", None, wanted) == frozenset()


@pytest.mark.parametrize(("status", "fault"), [(0xA700, TransientFault), (0xC001, PermanentFault)])
def test_a_failure_is_no_empty_answer(status: int, fault: type[Exception]) -> None:
    with archive(status) as peer, pytest.raises(fault, match=f"0x{status:04X}"):
        find_instances(peer, "1", "1.1", ["1.1.1"])


def test_a_peer_that_offers_no_query_says_nothing_about_what_it_holds(tmp_path: Path) -> None:
    with listening(tmp_path) as node:
        peer = Peer("node", "HEMIFACE", "127.0.0.1", node.port, "SENDER")
        assert find_instances(peer, "1", "1.1", ["1.1.1"]) is None
