"""The Orthanc and the DCMTK that other tests rely on do what those tests take for granted."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from processing.measurement import PermanentFault, TransientFault
from service.demo_orthanc import Modality, OrthancServer, free_ports
from tests.peers import samples
from tests.peers.programs import StoreSCP, echoscu, storescu
from tests.peers.samples import written

pytestmark = pytest.mark.peer


def wait_until(condition: Callable[[], object], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.05)


def stored_uids(storescp: StoreSCP) -> list[str]:
    """SOP Instance UIDs, from names such as ``VLp.1.2.3``: a file may not be complete yet."""
    return [each.name.split(".", 1)[1] for each in storescp.stored()]


def test_what_is_uploaded_comes_back_byte_for_byte(orthanc: OrthancServer, tmp_path: Path) -> None:
    image = samples.photograph(jpeg=True)
    path = written(image, tmp_path / "image.dcm")
    instance = orthanc.client.upload(path)
    assert orthanc.client.file(instance) == path.read_bytes()
    assert orthanc.client.instances(image.StudyInstanceUID) == (instance,)
    assert orthanc.client.tags(instance)["StudyInstanceUID"] == image.StudyInstanceUID
    assert orthanc.client.calling_ae_title(instance) == ""


def test_instances_are_told_apart_by_study(orthanc: OrthancServer, tmp_path: Path) -> None:
    first, second = samples.photograph(), samples.photograph()
    for image in (first, second):
        orthanc.client.upload(written(image, tmp_path / "image.dcm"))
    assert len(orthanc.client.instances()) == 2
    assert len(orthanc.client.instances(first.StudyInstanceUID)) == 1
    assert orthanc.client.study(second.StudyInstanceUID) is not None
    assert orthanc.client.study("1.2.3") is None


def test_a_deleted_study_is_gone(orthanc: OrthancServer, tmp_path: Path) -> None:
    image = samples.photograph()
    orthanc.client.upload(written(image, tmp_path / "image.dcm"))
    orthanc.client.delete_study(image.StudyInstanceUID)
    assert orthanc.client.instances() == ()
    with pytest.raises(PermanentFault, match="holds no study"):
        orthanc.client.delete_study(image.StudyInstanceUID)


def test_storescu_reaches_orthanc_which_knows_the_sender(
    orthanc: OrthancServer, tmp_path: Path
) -> None:
    folder = tmp_path / "study"
    folder.mkdir()
    study = samples.photograph().StudyInstanceUID
    for number, jpeg in enumerate((False, True)):
        written(samples.photograph(study, jpeg=jpeg), folder / f"{number}.dcm")
    done = storescu(orthanc.dicom_port, [folder], called="ORTHANC", calling="CAMERA")
    assert done.returncode == 0, done.stderr
    instances = orthanc.client.instances(study)
    assert len(instances) == 2
    assert {orthanc.client.calling_ae_title(each) for each in instances} == {"CAMERA"}


def test_storescu_to_a_port_where_nobody_listens_has_a_status(
    free_port: int, tmp_path: Path
) -> None:
    path = written(samples.photograph(), tmp_path / "image.dcm")
    assert storescu(free_port, [path]).returncode != 0
    assert echoscu(free_port).returncode != 0


def test_orthanc_sends_a_study_to_a_peer(
    orthanc: OrthancServer, storescp: StoreSCP, tmp_path: Path
) -> None:
    image = samples.photograph()
    orthanc.client.upload(written(image, tmp_path / "image.dcm"))
    orthanc.client.register(Modality("archive", "ARCHIVE", storescp.port))
    orthanc.client.echo("archive")
    study = orthanc.client.study(image.StudyInstanceUID)
    assert study is not None
    orthanc.client.send("archive", [study])
    assert stored_uids(storescp) == [image.SOPInstanceUID]


def test_orthanc_says_when_a_peer_is_unknown_or_away(
    orthanc: OrthancServer, free_port: int
) -> None:
    with pytest.raises(PermanentFault, match="nobody"):
        orthanc.client.echo("nobody")
    orthanc.client.register(Modality("away", "AWAY", free_port))
    with pytest.raises(PermanentFault, match="500"):
        orthanc.client.echo("away")


@pytest.mark.slow
def test_a_pacs_that_was_down_still_holds_its_studies(
    orthanc: OrthancServer, tmp_path: Path
) -> None:
    image = samples.photograph()
    orthanc.client.upload(written(image, tmp_path / "image.dcm"))
    ports = (orthanc.http_port, orthanc.dicom_port)
    orthanc.stop()
    with pytest.raises(TransientFault, match="does not answer"):
        orthanc.client.instances()
    assert echoscu(orthanc.dicom_port, called="ORTHANC").returncode != 0
    orthanc.start()
    assert (orthanc.http_port, orthanc.dicom_port) == ports
    assert len(orthanc.client.instances(image.StudyInstanceUID)) == 1
    assert echoscu(orthanc.dicom_port, called="ORTHANC").returncode == 0


def test_the_site_script_forwards_what_is_measured_and_nothing_else(
    start_orthanc: Callable[..., OrthancServer],
    start_storescp: Callable[..., StoreSCP],
    tmp_path: Path,
) -> None:
    hemiface = start_storescp(ae_title="HEMIFACE")
    server = start_orthanc(forward_to=Modality("hemiface", "HEMIFACE", hemiface.port))
    image = samples.photograph()
    report = samples.measurement_report(image)
    server.client.upload(written(report, tmp_path / "report.dcm"))
    server.client.upload(written(image, tmp_path / "image.dcm"))
    wait_until(hemiface.stored)
    assert stored_uids(hemiface) == [image.SOPInstanceUID]


def test_the_site_script_does_not_send_back_what_came_from_hemiface(
    start_orthanc: Callable[..., OrthancServer],
    start_storescp: Callable[..., StoreSCP],
    tmp_path: Path,
) -> None:
    hemiface = start_storescp(ae_title="HEMIFACE")
    server = start_orthanc(forward_to=Modality("hemiface", "HEMIFACE", hemiface.port))
    result, image = samples.photograph(), samples.photograph()
    path = written(result, tmp_path / "result.dcm")
    assert storescu(server.dicom_port, [path], calling="HEMIFACE").returncode == 0
    # The script sees the instances in their order, so the first is dealt with when the second is.
    path = written(image, tmp_path / "image.dcm")
    assert storescu(server.dicom_port, [path], calling="CAMERA").returncode == 0
    wait_until(hemiface.stored)
    assert stored_uids(hemiface) == [image.SOPInstanceUID]


def test_orthanc_writes_only_into_its_folder(
    start_orthanc: Callable[..., OrthancServer], tmp_path: Path
) -> None:
    server = start_orthanc()
    configuration = json.loads((server.folder / "orthanc.json").read_text())
    written_to = {
        Path(configuration[each]).parent
        for each in ("StorageDirectory", "IndexDirectory", "TemporaryDirectory")
    }
    assert written_to == {server.folder}
    assert [each.name for each in tmp_path.iterdir()] == [server.folder.name]


def test_orthanc_that_cannot_start_says_why_and_leaves_no_process(
    start_orthanc: Callable[..., OrthancServer], tmp_path: Path
) -> None:
    running = start_orthanc()
    second = OrthancServer(tmp_path / "second", dicom_port=running.dicom_port)
    with pytest.raises(PermanentFault, match="Orthanc stopped with status"):
        second.start()
    second.client.close()


def test_free_ports_are_all_different() -> None:
    assert len(set(free_ports(50))) == 50
