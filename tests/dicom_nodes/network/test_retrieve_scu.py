from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import JPEGBaseline8Bit
from pynetdicom import AE, build_context, evt
from pynetdicom._globals import ALL_TRANSFER_SYNTAXES

from dicom_nodes.network.archive_query import HeldInstance, HeldSeries, archive_query
from dicom_nodes.network.instance_store import Arrival, StoreStatus
from dicom_nodes.network.peer import Peer
from dicom_nodes.network.query_scu import STUDY_ROOT_FIND
from dicom_nodes.network.retrieve_scu import (
    STUDY_ROOT_GET,
    STUDY_ROOT_MOVE,
    Wanted,
    get_instances,
    move_instances,
)
from dicom_nodes.network.storage_scu import send_files
from processing.measurement import PermanentFault, RejectedInput, TransientFault
from service.demo_orthanc import Modality, OrthancServer
from tests.dicom_nodes.network.instances import SECONDARY_CAPTURE, SERIES, STUDY, write_instance
from tests.dicom_nodes.network.listening import listening
from tests.dicom_nodes.network.plain_server import plain_server

WANTED = Wanted(STUDY, SERIES, (f"{SERIES}.1", f"{SERIES}.2"), frozenset((SECONDARY_CAPTURE,)))


class Kept:
    """What was brought, as the node would keep it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.arrivals: list[Arrival] = []
        self.refused: str | None = None

    def accept(self, arrival: Arrival) -> StoreStatus:
        if arrival.sop_instance_uid == self.refused:
            return StoreStatus.NOT_AUTHORIZED
        self.arrivals.append(arrival)
        return StoreStatus.SUCCESS

    def place(self) -> Path:
        return self.folder / uuid4().hex

    def get(self, peer: Peer, wanted: Wanted = WANTED, largest: int = 1_000_000) -> None:
        get_instances(
            peer,
            wanted,
            self.accept,
            place=self.place,
            room=lambda: True,
            largest_instance_bytes=largest,
        )


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    (tmp_path / "kept").mkdir()
    return Kept(tmp_path / "kept")


@contextmanager
def archive(
    handlers: dict[Any, Callable[[Any], Any]], sop_class: str, port: int = 0
) -> Iterator[Peer]:
    entity = AE("ARCHIVE")
    entity.add_supported_context(sop_class)
    entity.add_supported_context(
        SECONDARY_CAPTURE, ALL_TRANSFER_SYNTAXES, scu_role=True, scp_role=True
    )
    with plain_server(entity, list(handlers.items()), port) as listening:
        yield Peer("archive", "ARCHIVE", "127.0.0.1", listening, "HEMIFACE")


def giving(files: list[Path]) -> Callable[[Any], Iterator[Any]]:
    def give(event: Any) -> Iterator[Any]:
        yield len(files)
        for file in files:
            yield 0xFF00, dcmread(file)

    return give


def test_c_get_brings_the_bytes_of_each_instance(tmp_path: Path, kept: Kept) -> None:
    files = [write_instance(tmp_path / "sent", number) for number in (1, 2)]
    with archive({evt.EVT_C_GET: giving(files)}, STUDY_ROOT_GET) as peer:
        kept.get(peer)
    assert [each.sop_instance_uid for each in kept.arrivals] == list(WANTED.sop_instance_uids)
    assert {each.calling_ae_title for each in kept.arrivals} == {"ARCHIVE"}
    for file, arrival in zip(files, kept.arrivals, strict=True):
        assert dcmread(arrival.path).PixelData == dcmread(file).PixelData
        assert arrival.size_bytes == arrival.path.stat().st_size


def test_a_refused_instance_leaves_the_others(tmp_path: Path, kept: Kept) -> None:
    files = [write_instance(tmp_path / "sent", number) for number in (1, 2)]
    kept.refused = WANTED.sop_instance_uids[0]
    with archive({evt.EVT_C_GET: giving(files)}, STUDY_ROOT_GET) as peer:
        kept.get(peer)
    assert [each.sop_instance_uid for each in kept.arrivals] == [WANTED.sop_instance_uids[1]]


def test_an_instance_that_grows_past_the_bound_ends_the_association(
    tmp_path: Path, kept: Kept
) -> None:
    file = write_instance(tmp_path / "sent", 1, rows=1024)
    with (
        archive({evt.EVT_C_GET: giving([file])}, STUDY_ROOT_GET) as peer,
        pytest.raises(PermanentFault, match="C-MOVE"),
    ):
        kept.get(peer, largest=100_000)
    assert kept.arrivals == []


@pytest.mark.parametrize(("status", "fault"), [(0xA701, TransientFault), (0xA900, PermanentFault)])
def test_a_failed_c_get_is_told(kept: Kept, status: int, fault: type[Exception]) -> None:
    def fail(_event: Any) -> Iterator[Any]:
        yield 1
        yield status, None

    with (
        archive({evt.EVT_C_GET: fail}, STUDY_ROOT_GET) as peer,
        pytest.raises(fault, match=f"0x{status:04X}"),
    ):
        kept.get(peer)


def test_c_move_brings_the_message_id_with_each_instance(tmp_path: Path) -> None:
    file = write_instance(tmp_path / "sent", 1)
    with listening(tmp_path / "node") as node:

        def move(_event: Any) -> Iterator[Any]:
            yield "127.0.0.1", node.port, {"contexts": [build_context(SECONDARY_CAPTURE)]}
            yield 1
            yield 0xFF00, dcmread(file)

        with archive({evt.EVT_C_MOVE: move}, STUDY_ROOT_MOVE) as peer:
            move_instances(peer, WANTED, destination="HEMIFACE", message_id=321)
        (arrival,) = node.arrivals
    assert arrival.move_originator_message_id == 321


def test_a_destination_that_the_archive_does_not_know_is_told() -> None:
    def unknown(_event: Any) -> Iterator[Any]:
        yield None, None

    with (
        archive({evt.EVT_C_MOVE: unknown}, STUDY_ROOT_MOVE) as peer,
        pytest.raises(PermanentFault, match="make HEMIFACE and its port known"),
    ):
        move_instances(peer, WANTED, destination="HEMIFACE", message_id=1)


@pytest.mark.filterwarnings("ignore:Invalid value for VR")
def test_what_an_archive_lists_is_taken_as_far_as_it_is_valid() -> None:
    def answer(event: Any) -> Iterator[Any]:
        for uid in ("1.2.3", "../../etc", ""):
            found = Dataset()
            found.StudyInstanceUID = uid
            found.StudyDate = "20250102"
            found.PatientID = event.identifier.PatientID
            found.PatientName = "Wang^XiaoDong\x07"
            yield 0xFF00, found

    with (
        archive({evt.EVT_C_FIND: answer}, STUDY_ROOT_FIND) as peer,
        archive_query(peer) as query,
    ):
        (study,) = query.studies_of_patient("P1")
        for wild in ("", "P*", "P?", "A\\B"):
            with pytest.raises(RejectedInput, match="Patient ID"):
                query.studies_of_patient(wild)
    assert (study.study_instance_uid, study.patient_id) == ("1.2.3", "P1")
    assert "\x07" not in study.patient_name


@pytest.mark.peer
def test_orthanc_is_asked_and_brings_by_c_get_what_it_holds_byte_for_byte(
    start_orthanc: Callable[..., OrthancServer], tmp_path: Path, kept: Kept
) -> None:
    orthanc = start_orthanc(modalities=[Modality("hemiface", "HEMIFACE", 1)])
    files = [
        write_instance(tmp_path / "sent", 1),
        write_instance(tmp_path / "sent", 2, transfer_syntax=JPEGBaseline8Bit),
    ]
    peer = Peer("pacs", "ORTHANC", "127.0.0.1", orthanc.dicom_port, "HEMIFACE")
    assert all(each.accepted for each in send_files(peer, files))
    with archive_query(peer) as query:
        (study,) = query.studies_of_patient("TEST")
        assert (study.study_instance_uid, study.patient_name) == (STUDY, "Test^Face")
        assert query.series_of_study(STUDY) == [HeldSeries(STUDY, SERIES, "OT")]
        held = query.instances_of_series(STUDY, SERIES)
    assert sorted(held, key=lambda each: each.sop_instance_uid) == [
        HeldInstance(STUDY, SERIES, uid, SECONDARY_CAPTURE) for uid in WANTED.sop_instance_uids
    ]
    kept.get(peer)
    brought = {each.sop_instance_uid: each for each in kept.arrivals}
    for file in files:
        original = dcmread(file)
        arrival = brought[str(original.SOPInstanceUID)]
        assert arrival.transfer_syntax_uid == original.file_meta.TransferSyntaxUID
        assert dcmread(arrival.path).PixelData == original.PixelData


@pytest.mark.peer
def test_orthanc_sends_by_c_move_what_is_asked_for_and_says_who_asked(
    start_orthanc: Callable[..., OrthancServer], tmp_path: Path
) -> None:
    files = [write_instance(tmp_path / "sent", number) for number in (1, 2, 3)]
    with listening(tmp_path / "node") as node:
        orthanc = start_orthanc(modalities=[Modality("hemiface", "HEMIFACE", node.port)])
        peer = Peer("pacs", "ORTHANC", "127.0.0.1", orthanc.dicom_port, "HEMIFACE")
        assert all(each.accepted for each in send_files(peer, files))
        move_instances(peer, WANTED, destination="HEMIFACE", message_id=77)
        assert {each.sop_instance_uid for each in node.arrivals} == set(WANTED.sop_instance_uids)
        assert {each.move_originator_ae_title for each in node.arrivals} == {"HEMIFACE"}
        assert {each.move_originator_message_id for each in node.arrivals} == {77}
