"""DICOMweb tried against software of others, in both directions."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from dicomweb_client import DICOMwebClient
from pydicom import dcmread
from sqlalchemy import select

from dicom_nodes.web.qido_client import find_instances
from dicom_nodes.web.stow_client import store_files
from dicom_nodes.web.web_peer import WebPeer
from service.catalogue.database import Database
from service.catalogue.models import Instance, StowRequest
from service.catalogue.stored_bytes import StoredBytes
from service.demo_orthanc import OrthancServer
from service.settings import DeliverySettings, HttpSettings, Settings, WebDestination
from tests.dicom_nodes.network.instances import SERIES, STUDY, write_instance
from tests.peers import samples
from tests.peers.programs import required
from tests.peers.samples import written
from tests.service.dicomweb.conftest import MULTIPART, WatchedEngine, catalogue_all, multipart_body
from tests.service.dicomweb.serving import served
from tests.service.workflow.result_to_deliver import result_to_deliver

pytestmark = pytest.mark.peer


@dataclass(frozen=True, slots=True)
class Served:
    """A node's DICOMweb on a real port."""

    url: str
    settings: Settings
    database: Database
    stored: StoredBytes

    def catalogue(self) -> None:
        catalogue_all(self.settings, self.database, self.stored, WatchedEngine())

    def uids(self) -> set[str]:
        with self.database.sessions() as session:
            return set(session.scalars(select(Instance.sop_instance_uid)))


@pytest.fixture
def node(
    settings: Settings, database: Database, stored: StoredBytes, free_port: int
) -> Iterator[Served]:
    own = settings.model_copy(update={"http": HttpSettings(port=free_port)})
    with served(own) as url:
        yield Served(url, own, database, stored)


def ask_orthanc(orthanc: OrthancServer, method: str, path: str, order: object) -> httpx.Response:
    answer = httpx.request(
        method, f"{orthanc.client.url}{path}", json=order, timeout=60, trust_env=False
    )
    answer.raise_for_status()
    return answer


def test_orthanc_sends_a_study_by_stow_rs(
    node: Served, orthanc: OrthancServer, tmp_path: Path
) -> None:
    files = [write_instance(tmp_path, number) for number in range(1, 24)]
    for file in files:
        orthanc.client.upload(file)
    ask_orthanc(orthanc, "PUT", "/dicom-web/servers/node", {"Url": node.url})
    order = {"Resources": [orthanc.client.study(STUDY)], "Synchronous": True}
    ask_orthanc(orthanc, "POST", "/dicom-web/servers/node/stow", order)
    assert node.uids() == {f"{SERIES}.{number}" for number in range(1, 24)}
    with node.database.sessions() as session:
        assert len(session.scalars(select(StowRequest)).all()) == 1


def test_orthanc_finds_and_fetches_from_the_node(
    node: Served, orthanc: OrthancServer, tmp_path: Path
) -> None:
    files = [
        write_instance(tmp_path, 1),
        written(samples.photograph(STUDY, jpeg=True), tmp_path / "photograph.dcm"),
    ]
    assert all(each.accepted for each in store_files(WebPeer("node", node.url), files))
    node.catalogue()
    ask_orthanc(orthanc, "PUT", "/dicom-web/servers/node", {"Url": node.url})
    asked = {"Uri": "/studies", "Arguments": {"StudyInstanceUID": STUDY}}
    found = ask_orthanc(orthanc, "POST", "/dicom-web/servers/node/qido", asked).json()
    assert len(found) == 1
    wanted = {"Resources": [{"Study": STUDY}], "Synchronous": True}
    ask_orthanc(orthanc, "POST", "/dicom-web/servers/node/retrieve", wanted)
    assert len(orthanc.client.instances(STUDY)) == 2


def test_the_node_sends_to_orthanc_and_finds_it_there(
    orthanc: OrthancServer, tmp_path: Path
) -> None:
    peer = WebPeer("orthanc", f"{orthanc.client.url}/dicom-web")
    files = [write_instance(tmp_path, number) for number in (1, 2, 3)]
    assert [each.fault for each in store_files(peer, files)] == [None] * 3
    assert [each.fault for each in store_files(peer, files)] == [None] * 3  # once more
    uids = [f"{SERIES}.{number}" for number in (1, 2, 3)]
    assert find_instances(peer, STUDY, SERIES, [*uids, "1.2.3"]) == set(uids)
    assert find_instances(peer, "1.2.3", "1.2.3.4", uids) == frozenset()


def test_a_result_is_delivered_to_orthanc_and_confirmed_by_qido_rs(
    settings: Settings,
    database: Database,
    stored: StoredBytes,
    orthanc: OrthancServer,
    tmp_path: Path,
) -> None:
    desk = result_to_deliver(settings, database, stored, tmp_path, port=1)
    web = WebDestination(name="pacs", url=f"{orthanc.client.url}/dicom-web")
    delivery = DeliverySettings(web_destinations=(web,))
    desk.settings = desk.settings.model_copy(update={"delivery": delivery})
    assert desk.deliver() == "delivered"
    assert desk.confirm() == ("delivered", "QIDO-RS lists all 2 objects")
    assert desk.confirmation() == "QIDO-RS lists all 2 objects"
    assert len(orthanc.client.instances(STUDY)) == 2
    orthanc.stop()
    assert desk.confirm()[0] == "waiting"


def test_dicomweb_client_reads_what_it_stored(node: Served, tmp_path: Path) -> None:
    files = [
        write_instance(tmp_path, 1),
        written(samples.photograph(STUDY, jpeg=True), tmp_path / "photograph.dcm"),
    ]
    stored = [dcmread(file) for file in files]
    client = DICOMwebClient(node.url)
    client.store_instances(stored)
    node.catalogue()
    study = client.search_for_studies(search_filters={"StudyInstanceUID": STUDY})
    assert len(study) == 1
    assert len(client.search_for_series(STUDY)) == 2
    assert len(client.search_for_instances(limit=1, offset=1)) == 1
    names = client.search_for_studies(search_filters={"PatientID": stored[0].PatientID})
    assert names
    fetched = client.retrieve_study(STUDY)
    assert sorted(fetched, key=lambda each: each.SOPInstanceUID) == sorted(
        stored, key=lambda each: each.SOPInstanceUID
    )
    assert len(client.retrieve_study_metadata(STUDY)) == 2
    for each in stored:
        uids = (STUDY, each.SeriesInstanceUID, each.SOPInstanceUID)
        assert client.retrieve_instance(*uids) == each
        assert client.retrieve_instance_metadata(*uids)["00080018"]["Value"] == [uids[2]]
        assert client.retrieve_instance_rendered(*uids, media_types=("image/png",))
    (frame,) = client.retrieve_instance_frames(
        STUDY, stored[0].SeriesInstanceUID, stored[0].SOPInstanceUID, [1]
    )
    assert frame == stored[0].PixelData


def test_curl_stores_and_searches(node: Served, tmp_path: Path) -> None:
    required("/usr/bin/curl", "curl")
    body = tmp_path / "body"
    body.write_bytes(multipart_body([write_instance(tmp_path, 1)]))
    stored = curl("-H", f"Content-Type: {MULTIPART}", "-T", str(body), "-X", "POST",
                  f"{node.url}/studies")  # fmt: skip
    assert [each["00081155"]["Value"] for each in stored["00081199"]["Value"]] == [[f"{SERIES}.1"]]
    node.catalogue()
    (found,) = curl("-G", "--data-urlencode", "PatientName=Test^F*", f"{node.url}/studies")
    assert found["0020000D"]["Value"] == [STUDY]


def curl(*arguments: str) -> Any:
    done = subprocess.run(
        ["/usr/bin/curl", "-sS", "--noproxy", "*", *arguments],
        capture_output=True,
        check=True,
        timeout=60,
    )
    return json.loads(done.stdout)
