"""C-GET and C-MOVE as SCP, asked by pynetdicom."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import config, dcmread
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit
from pynetdicom import AE, build_context, build_role, evt
from pynetdicom.association import Association

from dicom_nodes.network.node_service import NodeService
from dicom_nodes.network.peer import Peer
from dicom_nodes.network.permissions import PeerRule
from dicom_nodes.network.pynetdicom_cures.contexts import storage_contexts
from dicom_nodes.network.query import Question, RetrievedInstance
from dicom_nodes.network.retrieve_scp import RetrieveOptions, retrieve_service
from tests.dicom_nodes.network.instances import (
    SECONDARY_CAPTURE,
    SERIES,
    STUDY,
    write_instance,
)
from tests.dicom_nodes.network.listening import Node, listening
from tests.peers import samples
from tests.peers.samples import written

GET, MOVE = "1.2.840.10008.5.1.4.1.2.2.3", "1.2.840.10008.5.1.4.1.2.2.2"


@dataclass
class Holding:
    """Files that can be retrieved, and who may be named as destination."""

    files: Sequence[Path]
    destinations: dict[str, Peer] = field(default_factory=dict)
    questions: list[Question] = field(default_factory=list)
    sop_class: str = SECONDARY_CAPTURE

    def instances(self, question: Question) -> Iterator[RetrievedInstance]:
        self.questions.append(question)
        for path in self.files:
            uid = f"{SERIES}.{int(path.stem)}"
            yield RetrievedInstance(self.sop_class, uid, partial(nullcontext, path))

    @property
    def service(self) -> NodeService:
        return retrieve_service(RetrieveOptions(self.instances, self.destinations.get))


@dataclass
class Viewer:
    """Asks a node, and takes what it sends back on the same association."""

    node: Node
    syntaxes: Sequence[UID] = (ExplicitVRLittleEndian,)
    answer: int = 0
    received: list[evt.Event] = field(default_factory=list)
    on_store: Callable[[Association], None] = lambda _: None
    sop_class: str = SECONDARY_CAPTURE

    def take(self, event: evt.Event) -> int:
        self.received.append(event)
        self.on_store(event.assoc)
        return self.answer

    @contextmanager
    def associated(self) -> Iterator[Association]:
        entity = AE("VIEWER")
        entity.add_requested_context(GET)
        entity.add_requested_context(MOVE)
        for syntax in self.syntaxes:
            entity.add_requested_context(self.sop_class, syntax)
        association = entity.associate(
            "127.0.0.1",
            self.node.port,
            ext_neg=[build_role(self.sop_class, scp_role=True)],
            evt_handlers=[(evt.EVT_C_STORE, self.take)],
        )
        assert association.is_established
        yield association
        association.release()

    def get(self, identifier: Dataset | None = None) -> tuple[list[Dataset], Dataset, Any]:
        """Pending responses, the final one, and its identifier."""
        with self.associated() as association:
            *pending, (final, failed) = association.send_c_get(identifier or study(), GET)
        return [status for status, _ in pending], final, failed

    def move(self, destination: str) -> tuple[list[Dataset], Dataset, Any]:
        with self.associated() as association:
            *pending, (final, failed) = association.send_c_move(study(), destination, MOVE)
        return [status for status, _ in pending], final, failed


def study(**keys: Any) -> Dataset:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "STUDY"
    identifier.StudyInstanceUID = STUDY
    for keyword, value in keys.items():
        # A peer's keys need not be valid.
        vr = dictionary_VR(keyword)
        identifier[keyword] = DataElement(keyword, vr, value, validation_mode=config.IGNORE)
    return identifier


def counters(response: Dataset) -> tuple[int | None, int, int, int]:
    """Remaining, completed, failed and with a warning."""
    return (
        response.get("NumberOfRemainingSuboperations"),
        response.NumberOfCompletedSuboperations,
        response.NumberOfFailedSuboperations,
        response.NumberOfWarningSuboperations,
    )


def data_set_bytes(path: Path) -> bytes:
    """The encoded data set of a file, after its meta information."""
    whole = path.read_bytes()
    return whole[144 + int.from_bytes(whole[140:144], "little") :]


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return [write_instance(tmp_path / "held", number) for number in range(1, 4)]


def test_instances_come_back_byte_for_byte_on_the_same_association(
    tmp_path: Path, files: list[Path]
) -> None:
    files.append(write_instance(tmp_path / "held", 4, transfer_syntax=JPEGBaseline8Bit))
    holding = Holding(files)
    with listening(tmp_path / "node", [holding.service]) as node:
        viewer = Viewer(node, [ExplicitVRLittleEndian, JPEGBaseline8Bit])
        pending, final, _ = viewer.get()
    assert [counters(each) for each in pending] == [(3, 1, 0, 0), (2, 2, 0, 0), (1, 3, 0, 0)]
    assert (final.Status, counters(final)) == (0x0000, (None, 4, 0, 0))
    for event, path in zip(viewer.received, files, strict=True):
        assert event.request.DataSet.getvalue() == data_set_bytes(path)
    assert holding.questions[0].keys == {"StudyInstanceUID": STUDY}


def test_nothing_found_is_a_success_without_sub_operations(tmp_path: Path) -> None:
    with listening(tmp_path / "node", [Holding([]).service]) as node:
        pending, final, _ = Viewer(node).get()
    assert (pending, final.Status, counters(final)) == ([], 0x0000, (None, 0, 0, 0))


def test_an_uncompressed_file_is_written_anew_where_the_viewer_wants_implicit_vr(
    tmp_path: Path, files: list[Path]
) -> None:
    with listening(tmp_path / "node", [Holding(files).service]) as node:
        viewer = Viewer(node, [ImplicitVRLittleEndian])
        _, final, _ = viewer.get()
    assert (final.Status, counters(final)) == (0x0000, (None, 3, 0, 0))
    arrived, held = viewer.received[0].dataset, dcmread(files[0])
    assert arrived.keys() == held.keys()
    assert arrived.PatientName == held.PatientName
    assert arrived.PixelData == held.PixelData


def test_what_the_viewer_cannot_take_fails_alone_and_is_named(
    tmp_path: Path, files: list[Path]
) -> None:
    files.insert(1, write_instance(tmp_path / "held", 4, transfer_syntax=JPEGBaseline8Bit))
    files[2].unlink()
    with listening(tmp_path / "node", [Holding(files).service]) as node:
        _, final, failed = Viewer(node).get()
    assert (final.Status, counters(final)) == (0xB000, (None, 2, 2, 0))
    assert list(failed.FailedSOPInstanceUIDList) == [f"{SERIES}.4", f"{SERIES}.2"]
    assert "cannot be decoded" in final.ErrorComment


def test_a_compressed_picture_is_decoded_for_a_viewer_that_cannot(tmp_path: Path) -> None:
    picture = samples.photograph(jpeg=True)
    path = written(picture, tmp_path / "0001.dcm")
    with listening(
        tmp_path / "node", [Holding([path], sop_class=picture.SOPClassUID).service]
    ) as node:
        viewer = Viewer(node, [ExplicitVRLittleEndian], sop_class=picture.SOPClassUID)
        _, final, _ = viewer.get()
    assert (final.Status, counters(final)) == (0x0000, (None, 1, 0, 0))
    (event,) = viewer.received
    arrived = event.dataset
    assert arrived.SOPInstanceUID == picture.SOPInstanceUID
    assert arrived.PhotometricInterpretation == "RGB"
    assert arrived.LossyImageCompression == "01"
    truth = np.tile(np.arange(64, dtype=np.int16)[:, None, None], (1, 48, 3))
    pixels = np.frombuffer(arrived.PixelData, np.uint8).reshape(64, 48, 3)
    assert np.abs(pixels.astype(np.int16) - truth).max() <= 3


def test_of_several_transfer_syntaxes_in_a_context_an_uncompressed_one_is_chosen() -> None:
    proposed = build_context(
        SECONDARY_CAPTURE, [JPEGBaseline8Bit, "1.2.3.4", ExplicitVRLittleEndian]
    )
    (context,) = storage_contexts([proposed], lambda _: True, (), peer_may_be_scp=True)
    assert context.transfer_syntax[0] == ExplicitVRLittleEndian
    (context,) = storage_contexts([proposed], lambda _: True, ())
    assert context.transfer_syntax[0] == JPEGBaseline8Bit


def test_when_nothing_can_be_given_the_request_fails(tmp_path: Path, files: list[Path]) -> None:
    with listening(tmp_path / "node", [Holding(files).service]) as node:
        _, final, failed = Viewer(node, [JPEGBaseline8Bit]).get()
    assert (final.Status, counters(final)) == (0xA702, (None, 0, 3, 0))
    assert len(failed.FailedSOPInstanceUIDList) == 3


@pytest.mark.parametrize(
    ("answer", "status", "expected"),
    [(0xB000, 0xB000, (None, 0, 0, 3)), (0xA700, 0xA702, (None, 0, 3, 0))],
)
def test_warnings_and_failures_of_the_viewer_are_counted(
    tmp_path: Path, files: list[Path], answer: int, status: int, expected: tuple[int, ...]
) -> None:
    with listening(tmp_path / "node", [Holding(files).service]) as node:
        _, final, _ = Viewer(node, answer=answer).get()
    assert (final.Status, counters(final)) == (status, expected)


def test_a_viewer_that_does_not_offer_to_take_instances_gets_none(
    tmp_path: Path, files: list[Path]
) -> None:
    entity = AE("VIEWER")
    entity.add_requested_context(GET)
    entity.add_requested_context(SECONDARY_CAPTURE)
    with listening(tmp_path / "node", [Holding(files).service]) as node:
        association = entity.associate("127.0.0.1", node.port)
        *_, (final, _) = association.send_c_get(study(), GET)
        association.release()
    assert final.Status == 0xA702


@pytest.mark.parametrize(
    "identifier",
    [
        study(StudyInstanceUID=""),
        study(StudyInstanceUID="1.2.*"),
        study(QueryRetrieveLevel="SERIES", SeriesInstanceUID=""),
        study(QueryRetrieveLevel="IMAGE", SOPInstanceUID="1.2"),
    ],
    ids=["none", "wildcard", "no series", "no series above"],
)
def test_a_request_without_its_unique_keys_is_refused(
    tmp_path: Path, files: list[Path], identifier: Dataset
) -> None:
    with listening(tmp_path / "node", [Holding(files).service]) as node:
        _, final, _ = Viewer(node).get(identifier)
    assert final.Status == 0xA900


def test_a_cancel_ends_the_sub_operations(tmp_path: Path, files: list[Path]) -> None:
    def cancel(association: Association) -> None:
        if len(viewer.received) == 1:
            association.send_c_cancel(1, None, GET)

    with listening(tmp_path / "node", [Holding(files).service]) as node:
        viewer = Viewer(node, on_store=cancel)
        _, final, _ = viewer.get()
    assert (final.Status, counters(final)) == (0xFE00, (2, 1, 0, 0))


def test_who_may_only_retrieve_cannot_store(tmp_path: Path, files: list[Path]) -> None:
    rules = (PeerRule("VIEWER", ("retrieve",), ()),)
    with listening(tmp_path / "node", [Holding(files).service], peer_rules=rules) as node:
        viewer = Viewer(node)
        _, final, _ = viewer.get()
        entity = AE("VIEWER")
        entity.add_requested_context(GET)
        entity.add_requested_context(SECONDARY_CAPTURE)
        association = entity.associate("127.0.0.1", node.port)
        refused = association.send_c_store(dcmread(files[0]))
        association.release()
        assert node.files() == []
    assert final.Status == 0x0000
    assert refused.Status == 0x0124


def test_instances_are_moved_to_a_known_peer_with_who_asked_for_it(
    tmp_path: Path, files: list[Path]
) -> None:
    with listening(tmp_path / "archive", ae_title="ARCHIVE") as archive:
        holding = Holding(files, {"ARCHIVE": peer_at(archive.port)})
        with listening(tmp_path / "node", [holding.service]) as node:
            pending, final, _ = Viewer(node).move("ARCHIVE")
        assert [data_set_bytes(each) for each in archive.files()] == [
            data_set_bytes(held)
            for kept in archive.files()
            for held in files
            if dcmread(held).SOPInstanceUID == dcmread(kept).SOPInstanceUID
        ]
        assert len(archive.files()) == 3
    assert [counters(each) for each in pending] == [(2, 1, 0, 0), (1, 2, 0, 0)]
    assert (final.Status, counters(final)) == (0x0000, (None, 3, 0, 0))


def test_the_destination_is_told_who_moves(tmp_path: Path, files: list[Path]) -> None:
    originators: list[tuple[str, int]] = []

    def take(event: evt.Event) -> int:
        request = event.request
        originators.append(
            (
                str(request.MoveOriginatorApplicationEntityTitle).strip(),
                request.MoveOriginatorMessageID,
            )
        )
        return 0

    entity = AE("ARCHIVE")
    entity.add_supported_context(SECONDARY_CAPTURE)
    server = entity.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, take)]
    )
    holding = Holding(files[:1], {"ARCHIVE": peer_at(server.server_address[1])})
    with listening(tmp_path / "node", [holding.service]) as node:
        _, final, _ = Viewer(node).move("ARCHIVE")
    server.shutdown()
    assert final.Status == 0x0000
    assert originators == [("VIEWER", 1)]


def test_an_unknown_destination_is_refused(tmp_path: Path, files: list[Path]) -> None:
    with listening(tmp_path / "node", [Holding(files).service]) as node:
        _, final, _ = Viewer(node).move("STRANGER")
    assert final.Status == 0xA801
    assert "STRANGER" in final.ErrorComment


def test_a_destination_that_is_away_is_told_to_the_viewer(
    tmp_path: Path, files: list[Path]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    holding = Holding(files, {"ARCHIVE": peer_at(port)})
    with listening(tmp_path / "node", [holding.service]) as node:
        _, final, failed = Viewer(node).move("ARCHIVE")
    assert (final.Status, counters(final)) == (0xA702, (None, 0, 3, 0))
    assert "cannot be reached" in final.ErrorComment
    assert len(failed.FailedSOPInstanceUIDList) == 3


def peer_at(port: int) -> Peer:
    return Peer("the archive", "ARCHIVE", "127.0.0.1", port, "HEMIFACE")
