"""What an archive holds and brings by QIDO-RS and WADO-RS, and what may go wrong with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from dicom_nodes.network.archive_query import HeldInstance, HeldSeries, HeldStudy
from dicom_nodes.network.instance_store import Arrival, StoreStatus
from dicom_nodes.network.retrieve_scu import SubOperationsFailed, Wanted
from dicom_nodes.web.multipart import closing, part_header
from dicom_nodes.web.qido_client import WebArchiveQuery
from dicom_nodes.web.wado_client import fetch_instances
from dicom_nodes.web.web_peer import WebPeer
from processing.measurement import PermanentFault, RejectedInput, TransientFault
from service.demo_orthanc import free_ports
from tests.dicom_nodes.network.instances import SECONDARY_CAPTURE, SERIES, STUDY, write_instance
from tests.dicom_nodes.web.scripted_server import Asked, Scripted, answering

STATED = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=b'}


def as_json(answer: object) -> Scripted:
    return Scripted(200, json.dumps(answer).encode())


def study(uid: str, patient_id: str, name: object) -> dict[str, Any]:
    return {
        "0020000D": {"vr": "UI", "Value": [uid]},
        "00100020": {"vr": "LO", "Value": [patient_id]},
        "00100010": {"vr": "PN", "Value": [name]},
        "00100030": {"vr": "DA", "Value": ["19850203"]},
        "00080020": {"vr": "DA"},
    }


# --- QIDO-RS


def test_studies_are_listed_with_who_they_are_of() -> None:
    name = {"Alphabetic": "Wang^XiaoDong", "Ideographic": "王^小东"}
    with answering(as_json([study("1.2.3", "P1", name)])) as (url, asked):
        found = WebArchiveQuery(WebPeer("pacs", url)).studies_of_patient("P1")
    assert found == [HeldStudy("1.2.3", "", "P1", "", "Wang^XiaoDong=王^小东", "19850203")]
    assert "PatientID=P1" in asked[0].path
    assert "PatientBirthDate" in asked[0].path


def test_studies_of_other_patients_and_without_a_valid_uid_are_left_out() -> None:
    listed = [study("1.2.3", "P1", "no name"), study("1.2.4", "P10", {}), study("../", "P1", {})]
    with answering(as_json(listed)) as (url, _):
        (found,) = WebArchiveQuery(WebPeer("pacs", url)).studies_of_patient("P1")
    assert (found.study_instance_uid, found.patient_name) == ("1.2.3", "")


@pytest.mark.parametrize("patient_id", ["", "P*", "P?", "A\\B"])
def test_a_patient_id_that_matches_others_is_not_asked_for(patient_id: str) -> None:
    with answering(as_json([])) as (url, asked), pytest.raises(RejectedInput):
        WebArchiveQuery(WebPeer("pacs", url)).studies_of_patient(patient_id)
    assert asked == []


def test_series_and_instances_are_listed() -> None:
    series = {
        "0020000E": {"vr": "UI", "Value": ["1.2.3"]},
        "00080060": {"vr": "CS", "Value": ["XC"]},
    }
    instance = {
        "00080018": {"vr": "UI", "Value": ["1.2.3.4"]},
        "00080016": {"vr": "UI", "Value": [SECONDARY_CAPTURE]},
    }
    with answering(as_json([series]), as_json([instance])) as (url, asked):
        query = WebArchiveQuery(WebPeer("pacs", url))
        assert query.series_of_study("1.2") == [HeldSeries("1.2", "1.2.3", "XC")]
        found = query.instances_of_series("1.2", "1.2.3")
    assert found == [HeldInstance("1.2", "1.2.3", "1.2.3.4", SECONDARY_CAPTURE)]
    paths = [each.path.partition("?")[0] for each in asked]
    assert paths == [
        "/dicom-web/studies/1.2/series",
        "/dicom-web/studies/1.2/series/1.2.3/instances",
    ]


@pytest.mark.parametrize("body", [b"{", b'{"a": 1}', b"[" * 5000])
def test_nonsense_of_a_server_is_a_fault_of_its_own(body: bytes) -> None:
    with answering(Scripted(200, body)) as (url, _), pytest.raises(PermanentFault, match="pacs"):
        WebArchiveQuery(WebPeer("pacs", url)).series_of_study("1.2")


@pytest.mark.parametrize("status", [204, 404])
def test_a_server_that_holds_nothing_lists_nothing(status: int) -> None:
    with answering(Scripted(status)) as (url, _):
        assert WebArchiveQuery(WebPeer("pacs", url)).series_of_study("1.2") == []


# --- WADO-RS


class Shelf:
    """Takes instances as a node does, and notes what has come."""

    def __init__(self, folder: Path, status: StoreStatus = StoreStatus.SUCCESS) -> None:
        self.folder = folder
        self.status = status
        self.arrived: list[Arrival] = []

    def place(self) -> Path:
        return self.folder / f"{len(list(self.folder.iterdir()))}.arriving"

    def accept(self, arrival: Arrival) -> StoreStatus:
        self.arrived.append(arrival)
        return self.status


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    (tmp_path / "shelf").mkdir()
    return Shelf(tmp_path / "shelf")


def fetch(url: str, shelf: Shelf, *numbers: int, **changes: Any) -> None:
    uids = tuple(f"{SERIES}.{number}" for number in numbers or (1,))
    given: dict[str, Any] = {
        "room": lambda: True,
        "largest_answer_bytes": 1_000_000,
        **changes,
    }
    fetch_instances(
        WebPeer("pacs", url),
        Wanted(STUDY, SERIES, uids, frozenset()),
        shelf.accept,
        place=shelf.place,
        sent_as="ARCHIVE",
        own_ae_title="HEMIFACE",
        **given,
    )


def sent(file: Path, end: bytes | None = None) -> Scripted:
    part = part_header("b", {"Content-Type": "application/dicom"}, is_first=True)
    body = part + file.read_bytes()
    return Scripted(200, body + (closing("b") if end is None else end), STATED)


def test_each_instance_is_fetched_and_kept_as_it_is_stored(shelf: Shelf, tmp_path: Path) -> None:
    files = [write_instance(tmp_path, number) for number in (1, 2)]
    with answering(*map(sent, files)) as (url, asked):
        fetch(url, shelf, 1, 2)
    assert [dcmread(each.path) for each in shelf.arrived] == [dcmread(each) for each in files]
    assert {each.calling_ae_title for each in shelf.arrived} == {"ARCHIVE"}
    assert [each.path for each in asked] == [
        f"/dicom-web/studies/{STUDY}/series/{SERIES}/instances/{SERIES}.{number}"
        for number in (1, 2)
    ]
    assert "transfer-syntax=*" in asked[0].headers["accept"]


@pytest.mark.parametrize("status", [204, 404, 406, 410])
def test_what_the_server_does_not_have_is_left_out(
    shelf: Shelf, tmp_path: Path, status: int
) -> None:
    with answering(Scripted(status), sent(write_instance(tmp_path, 2))) as (url, _):
        fetch(url, shelf, 1, 2)
    assert [each.sop_instance_uid for each in shelf.arrived] == [f"{SERIES}.2"]


def test_one_that_cannot_be_sent_does_not_keep_back_the_others(
    shelf: Shelf, tmp_path: Path
) -> None:
    with (
        answering(Scripted(500), sent(write_instance(tmp_path, 2))) as (url, _),
        pytest.raises(SubOperationsFailed, match="500"),
    ):
        fetch(url, shelf, 1, 2)
    assert [each.sop_instance_uid for each in shelf.arrived] == [f"{SERIES}.2"]


def test_an_answer_that_breaks_off_is_tried_again(shelf: Shelf, tmp_path: Path) -> None:
    with (
        answering(sent(write_instance(tmp_path, 1), end=b"")) as (url, _),
        pytest.raises(TransientFault, match="breaks off"),
    ):
        fetch(url, shelf)
    assert shelf.arrived == []


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Scripted(401), "check token"),
        (Scripted(403), "check token"),
        (Scripted(400), "400"),
        (Scripted(200, b"{}", {"Content-Type": "application/json"}), "no multipart"),
    ],
)
def test_a_server_that_refuses_waits_for_a_person(
    shelf: Shelf, answer: Scripted, said: str
) -> None:
    with answering(answer) as (url, asked), pytest.raises(PermanentFault, match=said):
        fetch(url, shelf, 1, 2)
    assert len(asked) == 1


def test_an_answer_is_read_up_to_its_bound(shelf: Shelf, tmp_path: Path) -> None:
    with (
        answering(sent(write_instance(tmp_path, 1))) as (url, _),
        pytest.raises(PermanentFault, match="more than 100 bytes"),
    ):
        fetch(url, shelf, largest_answer_bytes=100)
    assert shelf.arrived == []
    assert list(shelf.folder.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "status"),
    [({"room": lambda: False}, StoreStatus.SUCCESS), ({}, StoreStatus.PROCESSING_FAILURE)],
)
def test_what_cannot_be_kept_now_is_fetched_again(
    shelf: Shelf, tmp_path: Path, changes: dict[str, Any], status: StoreStatus
) -> None:
    shelf.status = status
    with (
        answering(sent(write_instance(tmp_path, 1))) as (url, _),
        pytest.raises(TransientFault, match="could not be kept"),
    ):
        fetch(url, shelf, **changes)


def test_a_server_that_is_away_is_waited_for(shelf: Shelf) -> None:
    (port,) = free_ports(1)
    with pytest.raises(TransientFault, match="does not answer"):
        fetch(f"http://127.0.0.1:{port}", shelf)


def test_no_more_is_asked_of_a_server_that_is_away(shelf: Shelf, tmp_path: Path) -> None:
    asked: list[Asked]
    with answering(sent(write_instance(tmp_path, 1))) as (url, asked):
        pass
    with pytest.raises(TransientFault, match="does not answer"):
        fetch(url, shelf, 1, 2)
    assert asked == []
