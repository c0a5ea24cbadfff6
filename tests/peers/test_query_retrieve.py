"""What a node holds, found and fetched by DCMTK and Orthanc while there is no archive."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from dicom_nodes.network.storage_scp import Listener, start_listening
from dicom_nodes.objects.header import read_header
from service.catalogue import results, studies
from service.catalogue.database import Database, migrate, open_database
from service.catalogue.stored_bytes import StoredBytes, open_stored_bytes
from service.demo_orthanc import Modality, OrthancServer
from service.listening import listen_options
from service.offered_services import offered_services
from service.query_facts import instance_facts, made_facts
from service.receive import reception_of
from service.settings import ApplicationEntity, DicomSettings, Settings, StorageSettings
from service.workflow.cataloguing import facts_of
from tests.peers import samples
from tests.peers.programs import StoreSCP, required, run, storescu
from tests.peers.samples import written

pytestmark = pytest.mark.peer

REPORT_KEY = "results/sample/report.dcm"


@dataclass
class Archive:
    """A node that has received a study and made a report of it."""

    listener: Listener
    photograph: Dataset
    jpeg: Dataset
    report: Dataset

    @property
    def port(self) -> int:
        return self.listener.port

    @property
    def study(self) -> str:
        return str(self.photograph.StudyInstanceUID)

    @property
    def uids(self) -> set[str]:
        return {str(each.SOPInstanceUID) for each in (self.photograph, self.jpeg, self.report)}


@contextmanager
def archive(folder: Path, peers: tuple[ApplicationEntity, ...] = ()) -> Iterator[Archive]:
    settings = Settings(
        data_folder=folder / "data",
        dicom=DicomSettings(port=0),
        storage=StorageSettings(reserve_bytes=0),
        peers=peers,
    )
    migrate(settings)
    database, stored = open_database(settings), open_stored_bytes(settings)
    photograph = samples.photograph()
    jpeg = samples.photograph(photograph.StudyInstanceUID, jpeg=True)
    jpeg.SeriesInstanceUID = photograph.SeriesInstanceUID
    for each in (photograph, jpeg):
        each.PatientName = "Wang^XiaoDong=王^小东"
    with reception_of(settings, "receiver-0", database, stored) as reception:
        listener = start_listening(
            listen_options(settings)[0],
            reception.accept,
            place=reception.place,
            room=reception.has_room,
            services=offered_services(settings, database, stored),
        )
        sent = folder / "sent"
        sent.mkdir()
        for number, image in enumerate((photograph, jpeg)):
            written(image, sent / f"{number}.dcm")
        assert storescu(listener.port, [sent]).returncode == 0
        catalogue_all(database, stored)
        report = samples.measurement_report(photograph)
        keep_report(database, stored, report, folder)
        yield Archive(listener, photograph, jpeg, report)
        listener.stop()
    database.close()


def catalogue_all(database: Database, stored: StoredBytes) -> None:
    batch = []
    for each in studies.uncatalogued(database, 100):
        with stored.as_file(each.key) as path:
            header = read_header(path)
        batch.append(
            studies.Catalogued(each, facts_of(header), instance_facts(header), None, own=False)
        )
    studies.record(database, batch)


def keep_report(database: Database, stored: StoredBytes, report: Dataset, folder: Path) -> None:
    path = written(report, folder / "report.dcm")
    stored.write(REPORT_KEY, path.read_bytes())
    made = results.MadeObject(
        report.SOPInstanceUID,
        report.SOPClassUID,
        report.SeriesInstanceUID,
        "report",
        REPORT_KEY,
        made_facts(path),
    )
    results.record_result(
        database,
        results.MadeResult(
            key="sample",
            study_instance_uid=report.StudyInstanceUID,
            analysis="photograph-symmetry",
            version="1.0.0",
            status="measured",
            reason=None,
            inputs=(),
            made_at=datetime.now(UTC),
            predecessor_uid=None,
            objects=(made,),
        ),
    )


def scu(program: str, node: Archive, *arguments: str | Path) -> str:
    """Run DCMTK's findscu, movescu or getscu as VIEWER; gives its output."""
    path = required(f"/usr/bin/{program}", "dcmtk")
    done = run(
        path, "-v", "-S", "-aet", "VIEWER", "-aec", "HEMIFACE", "127.0.0.1", str(node.port),
        *arguments,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stderr + done.stdout


def keys(**values: str) -> list[str]:
    return [part for name, value in values.items() for part in ("-k", f"{name}={value}")]


def answers(folder: Path, node: Archive, **values: str) -> list[Dataset]:
    """What findscu got."""
    scu("findscu", node, "-X", "-od", folder, *keys(**values))
    return [dcmread(each, force=True) for each in sorted(folder.glob("rsp*.dcm"))]


def test_findscu_finds_the_study_by_a_chinese_name_with_its_numbers(tmp_path: Path) -> None:
    found = tmp_path / "found"
    found.mkdir()
    with archive(tmp_path) as node:
        (study,) = answers(
            found,
            node,
            SpecificCharacterSet="ISO_IR 192",
            QueryRetrieveLevel="STUDY",
            PatientName="*小东*",
            StudyDate="20260101-",
            StudyInstanceUID="",
            ModalitiesInStudy="",
            NumberOfStudyRelatedInstances="",
        )
    assert study.StudyInstanceUID == node.study
    assert str(study.PatientName) == "Wang^XiaoDong=王^小东"
    assert set(study.ModalitiesInStudy) == {"XC", "SR"}
    assert study.NumberOfStudyRelatedInstances == 3


def test_findscu_goes_down_to_the_report(tmp_path: Path) -> None:
    found = tmp_path / "found"
    with archive(tmp_path) as node:
        found.mkdir()
        (series,) = answers(
            found,
            node,
            QueryRetrieveLevel="SERIES",
            StudyInstanceUID=node.study,
            Modality="SR",
            SeriesInstanceUID="",
        )
        (image,) = answers(
            found,
            node,
            QueryRetrieveLevel="IMAGE",
            StudyInstanceUID=node.study,
            SeriesInstanceUID=series.SeriesInstanceUID,
            SOPInstanceUID="",
            SOPClassUID="",
        )
    assert image.SOPInstanceUID == node.report.SOPInstanceUID
    assert image.SOPClassUID == node.report.SOPClassUID


@pytest.mark.parametrize("preferred", ["+x=", "+xy"])
def test_getscu_fetches_images_and_report(tmp_path: Path, preferred: str) -> None:
    fetched = tmp_path / "fetched"
    fetched.mkdir()
    with archive(tmp_path) as node:
        scu(
            "getscu", node, preferred, "-od", fetched,
            *keys(QueryRetrieveLevel="STUDY", StudyInstanceUID=node.study),
        )  # fmt: skip
        files = {str(each.SOPInstanceUID): each for each in map(dcmread, fetched.iterdir())}
    assert files.keys() == node.uids
    photograph = files[node.photograph.SOPInstanceUID]
    assert photograph.PixelData == node.photograph.PixelData
    assert files[node.report.SOPInstanceUID].ContentSequence == node.report.ContentSequence


def test_movescu_has_a_study_sent_to_a_known_peer_as_it_is(
    tmp_path: Path, storescp: StoreSCP
) -> None:
    peer = ApplicationEntity(
        name="workstation", ae_title=storescp.ae_title, address="127.0.0.1", port=storescp.port
    )
    with archive(tmp_path, (peer,)) as node:
        scu(
            "movescu", node, "-aem", storescp.ae_title,
            *keys(QueryRetrieveLevel="STUDY", StudyInstanceUID=node.study),
        )  # fmt: skip
        moved = {str(each.SOPInstanceUID): each for each in map(dcmread, storescp.stored())}
    assert moved.keys() == node.uids
    jpeg = moved[node.jpeg.SOPInstanceUID]
    assert jpeg.file_meta.TransferSyntaxUID == node.jpeg.file_meta.TransferSyntaxUID
    assert jpeg.PixelData == node.jpeg.PixelData


def test_movescu_is_told_that_a_destination_is_unknown(tmp_path: Path) -> None:
    with archive(tmp_path) as node:
        program = required("/usr/bin/movescu", "dcmtk")
        done = run(
            program, "-v", "-S", "-aec", "HEMIFACE", "127.0.0.1", str(node.port), "-aem", "NOBODY",
            *keys(QueryRetrieveLevel="STUDY", StudyInstanceUID=node.study),
        )  # fmt: skip
    assert done.returncode != 0
    assert "MoveDestinationUnknown" in done.stderr + done.stdout


def test_orthanc_finds_a_study_and_fetches_it_by_c_move(
    tmp_path: Path, orthanc: OrthancServer
) -> None:
    peer = ApplicationEntity(
        name="orthanc", ae_title=orthanc.ae_title, address="127.0.0.1", port=orthanc.dicom_port
    )
    with archive(tmp_path, (peer,)) as node:
        orthanc.client.register(Modality("hemiface", "HEMIFACE", node.port))
        url = orthanc.client.url
        question = {"Level": "Study", "Query": {"PatientName": "*小东*", "StudyDate": "20260102"}}
        query = httpx.post(f"{url}/modalities/hemiface/query", json=question, timeout=30).json()
        found = httpx.get(f"{url}{query['Path']}/answers?expand&simplify", timeout=30).json()
        assert [each["StudyInstanceUID"] for each in found] == [node.study]
        assert found[0]["PatientName"] == "Wang^XiaoDong=王^小东"
        retrieved = httpx.post(
            f"{url}{query['Path']}/retrieve",
            json={"TargetAet": orthanc.ae_title, "Synchronous": True},
            timeout=60,
        )
        assert retrieved.status_code == 200, retrieved.text
        held = {orthanc.client.tags(each)["SOPInstanceUID"] for each in orthanc.client.instances()}
    assert held == node.uids
