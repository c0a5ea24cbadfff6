"""Bad input: each gets a clear reason on its study, the bytes are kept, the node goes on."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit, generate_uid

from tests.durability.node import Node, wait_until
from tests.durability.studies import renewed, write_phantom

VL_PHOTOGRAPH = "1.2.840.10008.5.1.4.1.1.77.1.4"
ENCAPSULATED_STL = "1.2.840.10008.5.1.4.1.1.104.3"
MR = "1.2.840.10008.5.1.4.1.1.4"

pytestmark = [pytest.mark.slow, pytest.mark.peer, pytest.mark.timeout(300)]


def base(sop_class_uid: str, modality: str) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID = sop_class_uid
    dataset.SOPInstanceUID = generate_uid()
    dataset.StudyInstanceUID = generate_uid()
    dataset.SeriesInstanceUID = generate_uid()
    dataset.PatientID, dataset.PatientName, dataset.Modality = "BAD", "Bad^Input", modality
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = sop_class_uid
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset


def photograph(pixels: np.ndarray) -> Dataset:
    dataset = base(VL_PHOTOGRAPH, "XC")
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 3, "RGB"
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation, dataset.PlanarConfiguration = 7, 0, 0
    data = pixels.tobytes()
    dataset.PixelData = data + b"\0" * (len(data) % 2)
    return dataset


def scan(stl: bytes) -> Dataset:
    dataset = base(ENCAPSULATED_STL, "M3D")
    unit = Dataset()
    unit.CodeValue, unit.CodingSchemeDesignator, unit.CodeMeaning = "mm", "UCUM", "millimeter"
    dataset.MeasurementUnitsCodeSequence = Sequence([unit])
    dataset.FrameOfReferenceUID = generate_uid()
    dataset.MIMETypeOfEncapsulatedDocument = "model/stl"
    dataset.EncapsulatedDocument = stl + b"\0" * (len(stl) % 2)
    dataset.EncapsulatedDocumentLength = len(stl)
    return dataset


def binary_stl(triangles: np.ndarray, claimed: int | None = None) -> bytes:
    head = b"\0" * 80 + struct.pack("<I", len(triangles) if claimed is None else claimed)
    body = b"".join(struct.pack("<12fH", 0, 0, 0, *triangle.ravel(), 0) for triangle in triangles)
    return head + body


def cube(size_mm: float) -> np.ndarray:
    corners = np.array(np.meshgrid([0, 1], [0, 1], [0, 1])).reshape(3, -1).T * size_mm
    faces = [
        (0, 1, 3), (0, 3, 2), (4, 6, 7), (4, 7, 5), (0, 4, 5), (0, 5, 1),
        (2, 3, 7), (2, 7, 6), (0, 2, 6), (0, 6, 4), (1, 5, 7), (1, 7, 3),
    ]  # fmt: skip
    return corners[np.array(faces)]


def giant_jpeg() -> Dataset:
    """A JPEG stream whose frame header claims 60,000 x 60,000 pixels."""
    dataset = base(VL_PHOTOGRAPH, "XC")
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.Rows = dataset.Columns = 60000
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 3, "YBR_FULL_422"
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation, dataset.PlanarConfiguration = 7, 0, 0
    frame = b"\xff\xd8\xff\xc0" + struct.pack(">HBHHB", 17, 8, 60000, 60000, 3)
    frame += bytes((1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1)) + b"\xff\xd9"
    dataset.PixelData = encapsulate([frame])
    dataset["PixelData"].is_undefined_length = True
    return dataset


def faces(count: int) -> Dataset:
    from skimage.data import astronaut

    return photograph(np.ascontiguousarray(np.hstack([astronaut()[:300, 100:400]] * count)))


def grey() -> Dataset:
    return photograph(np.full((600, 500, 3), 128, np.uint8))


CASES = {
    "no face": (grey, "face"),
    "two faces": (lambda: faces(2), "faces"),
    "1 x 1": (lambda: photograph(np.zeros((1, 1, 3), np.uint8)), "1"),
    "60,000 x 60,000": (giant_jpeg, "60000"),
    "a cube": (lambda: scan(binary_stl(cube(120))), "face"),
    "4 billion triangles": (lambda: scan(binary_stl(cube(120), 4_000_000_000)), "4000000000"),
    "a photograph that is an STL": (lambda: _as(scan(binary_stl(cube(9))), VL_PHOTOGRAPH), ""),
    "an STL that is a text": (lambda: scan(b"no mesh at all" * 20), ""),
}


def _as(dataset: Dataset, sop_class_uid: str) -> Dataset:
    dataset.SOPClassUID = sop_class_uid
    dataset.file_meta.MediaStorageSOPClassUID = sop_class_uid
    return dataset


def reasons(state: dict) -> list[str]:
    of_results = [each["reason"] for each in state["results"] if each["reason"]]
    return of_results + [each["reason"] for each in state["instances"] if each["reason"]]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    running = Node.delivering_to(tmp_path_factory.mktemp("node"), None)
    running.start()
    running.wait_until_listening()
    yield running
    running.kill()


@pytest.mark.parametrize("case", CASES)
def test_bad_input_gets_a_reason_and_is_kept(case: str, node: Node, tmp_path: Path) -> None:
    make, word = CASES[case]
    dataset = make()
    file = tmp_path / "bad.dcm"
    dataset.save_as(file, enforce_file_format=True)
    node.send_until_acknowledged([file])
    wait_until(
        lambda: bool(reasons(node.state(dataset.StudyInstanceUID))), 60, f"a reason for {case}"
    )
    (reason,) = set(reasons(node.state(dataset.StudyInstanceUID)))
    assert word in reason
    assert "Traceback" not in reason
    assert_kept(node, file)


def test_a_truncated_file_gets_a_reason_on_its_study(node: Node, tmp_path: Path) -> None:
    dataset = photograph(np.zeros((400, 400, 3), np.uint8))
    whole, cut = tmp_path / "whole.dcm", tmp_path / "cut.dcm"
    dataset.save_as(whole, enforce_file_format=True)
    cut.write_bytes(whole.read_bytes()[:-200_000])
    node.send_until_acknowledged([cut])
    wait_until(lambda: bool(reasons(node.state(dataset.StudyInstanceUID))), 60, "a reason")
    (reason,) = reasons(node.state(dataset.StudyInstanceUID))
    assert "end" in reason or "truncated" in reason
    assert_kept(node, cut)


def test_the_node_goes_on_measuring_after_all_that(node: Node, tmp_path: Path) -> None:
    study = renewed(write_phantom(tmp_path / "phantom"), tmp_path / "study")
    node.send_until_acknowledged(study.files)

    def measured() -> bool:
        found = node.state(study.study_instance_uid)["results"]
        return len(found) == 2 and all(each["status"] == "measured" for each in found)

    wait_until(measured, 120, "a good study is measured")


def assert_kept(node: Node, file: Path) -> None:
    tail = file.read_bytes()[-64:]
    kept = list((node.data_folder / "instances").rglob("*.dcm"))
    assert any(each.read_bytes().endswith(tail) for each in kept)
