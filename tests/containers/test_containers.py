"""The main job between two containers: modality, Orthanc, hemiface, the reports in Orthanc."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import httpx
import psutil
import pytest
from pydicom import Dataset

from dicom_nodes.network.peer import Peer
from dicom_nodes.network.worklist_scu import ScheduledStep, WorklistQuery, find_scheduled
from dicom_nodes.objects.report_reader import read_measurement_report
from processing.measurement import Analysis, Status
from service.demo_orthanc import LOOPBACK
from tests.containers.hospital import (
    IMAGE,
    OFFLINE_IMAGE,
    ContainerHospital,
    docker,
    new_hospital,
)
from tests.durability.node import wait_until
from tests.durability.studies import SentStudy, renewed, write_phantom
from tests.peers.programs import storescu
from tests.peers.worklists import worklist_dataset, write_worklist

pytestmark = [pytest.mark.container, pytest.mark.timeout(900)]

# Long enough for a result that was sent twice to be there twice.
SETTLING_SECONDS = 4


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ContainerHospital]:
    both = new_hospital(tmp_path_factory.mktemp("hospital"))
    try:
        both.start()
        yield both
    finally:
        both.stop()


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_phantom(tmp_path_factory.mktemp("phantom") / "study")


@pytest.fixture
def study(phantom: Path, tmp_path: Path) -> SentStudy:
    return renewed(phantom, tmp_path / "study")


def read_back(report: Dataset) -> Analysis:
    stream = io.BytesIO()
    report.save_as(stream, enforce_file_format=True)
    stream.seek(0)
    return read_measurement_report(stream)


def evidence(report: Dataset) -> set[str]:
    return {
        str(item.ReferencedSOPInstanceUID)
        for each in report.CurrentRequestedProcedureEvidenceSequence
        for series in each.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }


def check_reports(hospital: ContainerHospital, study: SentStudy) -> None:
    """One report of each analysis, with the phantom's truth, made from what was sent."""
    reports = hospital.reports(study.study_instance_uid)
    found = {each.analysis: each for each in map(read_back, reports)}
    assert sorted(found) == ["photograph-symmetry", "surface-symmetry"]
    assert len(reports) == 2, "a result is there twice"
    assert {each.status for each in found.values()} == {Status.MEASURED}
    (volume,) = [
        each
        for each in found["surface-symmetry"].measurements
        if each.quantity == "volume_discrepancy"
        and each.structure == "hemiface"
        and each.region is None
    ]
    assert volume.value == pytest.approx(-8.0, rel=0.1)
    assert 0 < volume.uncertainty < 1
    (ratio,) = [
        each
        for each in found["photograph-symmetry"].measurements
        if each.quantity == "symmetry_ratio"
    ]
    assert 0.5 < ratio.value <= 1
    # Each report stands on one of the two that were sent, and names the pictures made of it.
    sent = set(study.sop_instance_uids)
    made = {str(each.SOPInstanceUID) for each in hospital.results(study.study_instance_uid)}
    assert {uid for each in reports for uid in evidence(each)} & sent == sent
    for each in reports:
        assert evidence(each) <= sent | made
        assert each.PatientID == f"PHANTOM-{study.study_instance_uid[-8:]}"


def test_the_main_job_passes_between_the_containers(
    hospital: ContainerHospital, study: SentStudy
) -> None:
    hospital.push(study.files)
    hospital.wait_until_confirmed(study.study_instance_uid)
    check_reports(hospital, study)


def test_what_is_pushed_to_hemiface_itself_comes_back_too(
    hospital: ContainerHospital, study: SentStudy
) -> None:
    sent = storescu(hospital.node.dicom_port, study.files, calling="CAMERA")
    assert sent.returncode == 0, sent.stderr
    hospital.wait_until_confirmed(study.study_instance_uid)
    check_reports(hospital, study)


def test_orthanc_restarted_in_the_middle_gets_every_result_once(
    hospital: ContainerHospital, study: SentStudy
) -> None:
    hospital.push(study.files)
    wait_until(
        lambda: hospital.arrived(study.study_instance_uid) == set(study.sop_instance_uids),
        120,
        "both instances are forwarded",
    )
    docker("restart", "--time", "5", hospital.container("orthanc"))
    wait_until(hospital.client.is_ready, 60, "Orthanc is back")
    hospital.wait_until_confirmed(study.study_instance_uid)
    time.sleep(SETTLING_SECONDS)
    check_reports(hospital, study)


@pytest.mark.parametrize("moment", ["measuring", "delivering"])
def test_hemiface_killed_in_the_middle_loses_nothing(
    hospital: ContainerHospital, study: SentStudy, moment: str
) -> None:
    hospital.push(study.files)
    wait_until(
        lambda: hospital.arrived(study.study_instance_uid) == set(study.sop_instance_uids),
        120,
        "both instances are forwarded",
    )
    if moment == "delivering":
        wait_until(
            lambda: hospital.results(study.study_instance_uid) != [], 120, "a result is on its way"
        )
    else:
        assert hospital.results(study.study_instance_uid) == []
    docker("kill", hospital.container("hemiface"))
    docker("start", hospital.container("hemiface"))
    wait_until(hospital.node_is_ready, 120, "hemiface is back")
    assert hospital.arrived(study.study_instance_uid) == set(study.sop_instance_uids)
    hospital.wait_until_confirmed(study.study_instance_uid)
    time.sleep(SETTLING_SECONDS)
    check_reports(hospital, study)


def test_orthanc_offers_dicomweb_and_a_worklist(
    hospital: ContainerHospital, study: SentStudy, tmp_path: Path
) -> None:
    hospital.push(study.files)
    found = httpx.get(
        f"{hospital.client.url}/dicom-web/studies",
        params={"StudyInstanceUID": study.study_instance_uid},
        trust_env=False,
    ).json()
    assert [each["0020000D"]["Value"] for each in found] == [[study.study_instance_uid]]
    step = ScheduledStep(
        study_instance_uid="1.2.99",
        step_id="S1",
        patient_id="P1",
        patient_name="Wang^XiaoDong=王^小东",
        modality="XC",
        start_date="20261121",
    )
    write_worklist(tmp_path / "worklist", worklist_dataset(step))
    docker(
        "cp",
        f"{tmp_path}/worklist/.",
        f"{hospital.container('orthanc')}:/var/lib/orthanc/worklists",
    )
    peer = Peer(
        name="ris",
        ae_title="ORTHANC",
        address=LOOPBACK,
        port=hospital.orthanc_dicom_port,
        own_ae_title="HEMIFACE",
    )
    day = date(2026, 11, 21)
    (answer,) = find_scheduled(peer, WorklistQuery(day, day, modalities=("XC",))).steps
    assert (answer.step_id, answer.patient_name) == (step.step_id, step.patient_name)


def test_hemiface_listens_on_the_loopback_interface_alone(hospital: ContainerHospital) -> None:
    ports = {hospital.node.dicom_port, hospital.node.http_port}
    listening = {
        (each.laddr.ip, each.laddr.port)
        for each in psutil.net_connections("tcp")
        if each.status == psutil.CONN_LISTEN and each.laddr.port in ports
    }
    assert listening == {(LOOPBACK, port) for port in ports}


@pytest.mark.parametrize("service", ["orthanc", "hemiface"])
def test_a_container_is_healthy_and_runs_as_a_user_without_rights(
    hospital: ContainerHospital, service: str
) -> None:
    assert hospital.inside(service, "id", "-u") != "0"
    wait_until(
        lambda: (
            docker("inspect", "--format", "{{.State.Health.Status}}", hospital.container(service))
            == "healthy"
        ),
        90,
        f"{service} is healthy",
    )


def test_the_image_made_from_wheels_holds_the_same_packages_and_works_without_a_network() -> None:
    def packages(image: str) -> str:
        return docker("run", "--rm", "--network", "none", image, "pip", "freeze")

    assert packages(OFFLINE_IMAGE) == packages(IMAGE)
    # Opens the face model in MediaPipe, and draws off screen.
    docker("run", "--rm", "--network", "none", OFFLINE_IMAGE, "hemiface", "doctor")
