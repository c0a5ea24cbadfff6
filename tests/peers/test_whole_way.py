"""The main job against a real PACS: pushed to Orthanc, forwarded, measured, back in Orthanc."""

from __future__ import annotations

import io
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from highdicom.sr import srread
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid

from dicom_nodes.objects.report_reader import read_measurement_report
from processing.measurement import Status
from service.demo_orthanc import Modality, OrthancServer, free_ports
from tests.durability.node import REPOSITORY, Node, wait_until
from tests.durability.studies import SentStudy, renewed, write_phantom
from tests.peers import validators
from tests.peers.programs import storescu

SR = "1.2.840.10008.5.1.4.1.1.88.34"
# The Lee Perry-Smith head has no unit and is 4 units high; a head of 240 mm is assumed.
LEE_PERRY_SMITH_MM_PER_UNIT = 60

pytestmark = [pytest.mark.slow, pytest.mark.peer, pytest.mark.timeout(900)]


@dataclass
class Hospital:
    """A PACS that forwards to a node, and a phantom to send."""

    pacs: OrthancServer
    node: Node
    phantom: Path

    def push(self, files: tuple[Path, ...]) -> None:
        sent = storescu(self.pacs.dicom_port, files, called="ORTHANC", calling="CAMERA")
        assert sent.returncode == 0, sent.stderr

    def objects(self, study_instance_uid: str) -> list[tuple[dict, bytes]]:
        """Tags and bytes of what the node made of a study, as the PACS holds it."""
        client = self.pacs.client
        return [
            (client.tags(each), client.file(each))
            for each in client.instances(study_instance_uid)
            if client.calling_ae_title(each) == "HEMIFACE"
        ]

    def reports(self, study_instance_uid: str) -> list[bytes]:
        return [
            data for tags, data in self.objects(study_instance_uid) if tags["SOPClassUID"] == SR
        ]

    def wait_for_reports(self, study_instance_uid: str, count: int) -> list[bytes]:
        wait_until(
            lambda: len(self.reports(study_instance_uid)) >= count,
            120,
            f"{count} reports of {study_instance_uid} are in the PACS",
        )
        return self.reports(study_instance_uid)


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    folder = tmp_path_factory.mktemp("hospital")
    dicom_port, http_port = free_ports(2)
    modality = Modality("hemiface", "HEMIFACE", dicom_port)
    pacs = OrthancServer(folder / "orthanc", modalities=[modality], forward_to=modality)
    pacs.start()
    node = Node.delivering_to(
        folder,
        pacs,
        {
            "HEMIFACE_DICOM__PORT": str(dicom_port),
            "HEMIFACE_HTTP__PORT": str(http_port),
            # The face in NASA's portrait is 91 pixels wide, less than a site should allow.
            "HEMIFACE_PHOTOGRAPH__SMALLEST_FACE_PIXELS": "80",
        },
    )
    node.dicom_port, node.http_port = dicom_port, http_port
    node.start()
    node.wait_until_listening()
    yield Hospital(pacs, node, write_phantom(folder / "phantom"))
    node.kill()
    pacs.kill()
    pacs.client.close()


@pytest.fixture(scope="module")
def measured(hospital: Hospital, tmp_path_factory: pytest.TempPathFactory) -> SentStudy:
    study = renewed(hospital.phantom, tmp_path_factory.mktemp("measured") / "study")
    hospital.push(study.files)
    hospital.wait_for_reports(study.study_instance_uid, 2)
    wait_until(
        lambda: len(hospital.objects(study.study_instance_uid)) >= 7, 60, "all pictures are there"
    )
    return study


def test_results_are_in_the_same_study_as_the_images(
    hospital: Hospital, measured: SentStudy
) -> None:
    found = hospital.objects(measured.study_instance_uid)
    assert {tags["StudyInstanceUID"] for tags, _ in found} == {measured.study_instance_uid}
    sources = [dcmread(each, stop_before_pixels=True) for each in measured.files]
    assert {tags["PatientID"] for tags, _ in found} == {sources[0].PatientID}
    assert sorted(tags["SOPClassUID"] for tags, _ in found).count(SR) == 2


def test_what_comes_back_is_the_truth(hospital: Hospital, measured: SentStudy) -> None:
    analyses = {
        each.analysis: each
        for data in hospital.reports(measured.study_instance_uid)
        for each in [read_measurement_report(io.BytesIO(data))]
    }
    volume = next(
        each
        for each in analyses["surface-symmetry"].measurements
        if each.quantity == "volume_discrepancy"
        and each.structure == "hemiface"
        and each.region is None
    )
    assert volume.value == pytest.approx(-8.0, rel=0.1)
    assert 0 < volume.uncertainty < 1
    assert analyses["photograph-symmetry"].status is Status.MEASURED


def test_no_validator_finds_an_error_in_what_is_written(
    hospital: Hospital, measured: SentStudy, tmp_path: Path
) -> None:
    files: list[Path] = list(measured.files)
    for number, (tags, data) in enumerate(hospital.objects(measured.study_instance_uid)):
        file = tmp_path / f"{number}.dcm"
        file.write_bytes(data)
        files.append(file)
        assert validators.dciodvfy(file) == []
        assert validators.dicom_validator(file) == []
        if tags["SOPClassUID"] == SR:
            assert validators.dsrdump(file) == []
            assert validators.dicom_sr_validator(file) == []
            assert srread(file).content is not None
    assert validators.dcentvfy(files) == []


def test_nothing_goes_round_in_circles(hospital: Hospital, measured: SentStudy) -> None:
    before = len(hospital.objects(measured.study_instance_uid))
    # A PACS may also send everything it holds to every node it knows.
    pacs_study = hospital.pacs.client.study(measured.study_instance_uid)
    assert pacs_study is not None
    hospital.pacs.client.send("hemiface", [pacs_study])
    time.sleep(8)
    assert len(hospital.objects(measured.study_instance_uid)) == before
    state = hospital.node.state(measured.study_instance_uid)
    assert len(state["results"]) == 2
    assert sum(each["own"] for each in state["instances"]) == before


def test_a_late_image_re_opens_the_study_and_the_new_report_names_its_predecessor(
    hospital: Hospital, tmp_path: Path
) -> None:
    study = renewed(hospital.phantom, tmp_path / "study")
    hospital.push(study.files)
    first = hospital.wait_for_reports(study.study_instance_uid, 2)
    late = dcmread(study.files[0])
    late.SOPInstanceUID = generate_uid()
    late.file_meta.MediaStorageSOPInstanceUID = late.SOPInstanceUID
    late.save_as(tmp_path / "late.dcm", enforce_file_format=True)
    hospital.push((tmp_path / "late.dcm",))
    reports = hospital.wait_for_reports(study.study_instance_uid, 3)
    known = {str(dcmread(io.BytesIO(each)).SOPInstanceUID) for each in first}
    (new,) = [
        dataset
        for each in reports
        for dataset in [dcmread(io.BytesIO(each))]
        if str(dataset.SOPInstanceUID) not in known
    ]
    named = new.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert str(named.ReferencedSOPInstanceUID) in known
    evidence = {
        str(item.ReferencedSOPInstanceUID)
        for each in new.CurrentRequestedProcedureEvidenceSequence
        for series in each.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }
    assert str(late.SOPInstanceUID) in evidence
    time.sleep(4)
    assert len(hospital.reports(study.study_instance_uid)) == 3, "the scan is not measured again"


def test_a_name_in_gb18030_is_the_same_in_the_result(hospital: Hospital, tmp_path: Path) -> None:
    study = renewed(hospital.phantom, tmp_path / "study")
    for file in study.files:
        dataset = dcmread(file)
        dataset.SpecificCharacterSet = "GB18030"
        dataset.PatientName = "Wang^XiaoDong=王^小东"
        dataset.save_as(file, enforce_file_format=True)
    hospital.push(study.files)
    for data in hospital.wait_for_reports(study.study_instance_uid, 2):
        assert dcmread(io.BytesIO(data)).PatientName == "Wang^XiaoDong=王^小东"
    names = {tags["PatientName"] for tags, _ in hospital.objects(study.study_instance_uid)}
    assert names == {"Wang^XiaoDong=王^小东"}


def wrap(file: Path, folder: Path, *options: str) -> tuple[Path, ...]:
    subprocess.run(
        [
            *(sys.executable, "-m", "service.cli", "wrap", str(file), "--out", str(folder)),
            *("--patient-id", "REAL", "--patient-name", "Real^Input", *options),
        ],
        cwd=REPOSITORY,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return tuple(sorted(folder.glob("*.dcm")))


def answer_to(hospital: Hospital, files: tuple[Path, ...]) -> tuple[Status, str | None]:
    dataset: Dataset = dcmread(files[0], stop_before_pixels=True)
    hospital.push(files)
    (data,) = hospital.wait_for_reports(str(dataset.StudyInstanceUID), 1)
    analysis = read_measurement_report(io.BytesIO(data))
    return analysis.status, analysis.reason


def test_nasas_portrait_comes_back_measured_or_refused_for_its_pose(
    hospital: Hospital, tmp_path: Path
) -> None:
    from skimage.data import astronaut

    Image.fromarray(np.asarray(astronaut())).save(tmp_path / "astronaut.png")
    files = wrap(tmp_path / "astronaut.png", tmp_path / "wrapped")
    status, reason = answer_to(hospital, files)
    assert status is Status.MEASURED or "pitch" in (reason or "") or "yaw" in (reason or "")


def test_a_real_scan_comes_back_measured(
    hospital: Hospital, shared_data: Path, tmp_path: Path
) -> None:
    scan = shared_data / "faces" / "lee-perry-smith" / "LeePerrySmith.obj"
    files = wrap(scan, tmp_path / "wrapped", "--mm-per-unit", str(LEE_PERRY_SMITH_MM_PER_UNIT))
    assert answer_to(hospital, files) == (Status.MEASURED, None)
