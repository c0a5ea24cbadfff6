"""From wlmscpfs's worklist and a photograph without an order to results under it in Orthanc."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom import Dataset, dcmread

from service.demo_orthanc import OrthancServer
from tests.durability.node import Node, wait_until
from tests.durability.studies import SentStudy, renewed, write_phantom
from tests.peers import validators
from tests.peers.programs import storescu
from tests.peers.worklists import (
    SCHEDULED,
    WorklistServer,
    new_wlmscpfs,
    worklist_dataset,
    write_worklist,
)

SR = "1.2.840.10008.5.1.4.1.1.88.34"
TODAY = date.today().strftime("%Y%m%d")  # noqa: DTZ011 - a worklist's days are local ones
STEP = replace(
    SCHEDULED,
    study_instance_uid="1.2.826.0.1.3680043.8.498.99",
    referring_physician_name="Li^Ming=李^明",
    procedure_description="术前面部照相",
    start_date=TODAY,
)
OF_ANOTHER = replace(
    STEP,
    study_instance_uid="1.2.826.0.1.3680043.8.498.98",
    step_id="S2",
    patient_id="P2",
    accession_number="A2",
)

pytestmark = [pytest.mark.slow, pytest.mark.peer, pytest.mark.timeout(900)]


@dataclass
class Hospital:
    """A worklist, an archive and a node between them."""

    pacs: OrthancServer
    ris: WorklistServer
    node: Node
    phantom: Path

    def push(self, study: SentStudy) -> None:
        sent = storescu(self.node.dicom_port, study.files, calling="CAMERA")
        assert sent.returncode == 0, sent.stderr

    def held(self, study_instance_uid: str) -> list[Dataset]:
        return [
            dcmread(io.BytesIO(self.pacs.client.file(each)))
            for each in self.pacs.client.instances(study_instance_uid)
        ]

    def worklist(self) -> dict[str, Any]:
        answer = httpx.get(f"{self.node.url}/api/worklist", trust_env=False, timeout=30)
        found: dict[str, Any] = answer.json()
        return found


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    folder = tmp_path_factory.mktemp("hospital")
    items = (worklist_dataset(STEP, "GB18030"), worklist_dataset(OF_ANOTHER, "GB18030"))
    write_worklist(folder / "ris" / "RIS", *items)
    ris = new_wlmscpfs(folder / "ris")
    ris.start()
    pacs = OrthancServer(folder / "orthanc")
    pacs.start()
    peer = {"name": "ris", "ae_title": "RIS", "address": "127.0.0.1", "port": ris.port}
    chosen = {"peer": peer, "every_seconds": 5, "put_under_order": "copies"}
    node = Node.delivering_to(folder, pacs, {"HEMIFACE_WORKLIST": json.dumps(chosen)})
    node.start()
    try:
        node.wait_until_listening()
        yield Hospital(pacs, ris, node, write_phantom(folder / "phantom"))
    finally:
        node.kill()
        ris.stop()
        pacs.kill()
        pacs.client.close()


def loose_photograph(phantom: Path, folder: Path, **changed: str) -> SentStudy:
    """The phantom's photograph as a camera would send it: of its patient, without an order."""
    study = renewed(phantom, folder)
    files = []
    for file in study.files:
        dataset = dcmread(file)
        if dataset.Modality != "XC":
            continue
        # dcentvfy compares bytes, and results are in ISO_IR 192.
        dataset.SpecificCharacterSet = "ISO_IR 192"
        dataset.PatientID = "P1"
        dataset.PatientName = "WANG^XIAODONG=王^小东"
        dataset.PatientBirthDate = "19800102"
        dataset.PatientSex = "M"
        dataset.StudyDate = TODAY
        dataset.StationName = "STUDIO1"
        dataset.AccessionNumber = ""
        for keyword, value in changed.items():
            setattr(dataset, keyword, value)
        dataset.save_as(file, enforce_file_format=True)
        files.append(file)
    return replace(study, files=tuple(files))


def test_a_photograph_without_an_order_comes_back_under_its_order(
    hospital: Hospital, tmp_path: Path
) -> None:
    wait_until(
        lambda: len(hospital.worklist()["scheduled"]) == 2, 60, "the worklist has been asked"
    )
    study = loose_photograph(hospital.phantom, tmp_path / "study")
    hospital.push(study)
    order = STEP.study_instance_uid

    def has_arrived() -> bool:
        held = {each.SOPClassUID for each in hospital.held(order)}
        return SR in held and "1.2.840.10008.5.1.4.1.1.77.1.4" in held

    wait_until(has_arrived, 240, "copy and report are in the order's study")
    held = hospital.held(order)
    for each in held:
        assert each.AccessionNumber == "A1"
        assert each.PatientName == "Wang^XiaoDong=王^小东"
        assert each.PatientID == "P1"
    (copy,) = [each for each in held if "OriginalAttributesSequence" in each]
    source = dcmread(study.files[0])
    (change,) = copy.OriginalAttributesSequence
    assert change.ReasonForTheAttributeModification == "COERCE"
    assert change.SourceOfPreviousValues == "CAMERA"
    (former,) = change.ModifiedAttributesSequence
    assert former.SOPInstanceUID == source.SOPInstanceUID
    assert former.StudyInstanceUID == source.StudyInstanceUID
    assert former.PatientName == "WANG^XIAODONG=王^小东"
    assert copy.PixelData == source.PixelData
    assert hospital.held(study.study_instance_uid) == []
    state = hospital.node.state(study.study_instance_uid)
    assert state["order"]["correction"] == "copies"
    assert state["order"]["by"] == "patient, date and station"
    scheduled = {each["accession_number"]: each for each in hospital.worklist()["scheduled"]}
    assert scheduled["A1"]["studies"] == [study.study_instance_uid]
    files = []
    for number, each in enumerate(held):
        file = tmp_path / f"{number}.dcm"
        each.save_as(file)
        files.append(file)
        assert validators.dciodvfy(file) == []
    assert validators.dcentvfy(files) == []


def test_a_photograph_of_another_patient_with_the_same_id_stays_where_it_is(
    hospital: Hospital, tmp_path: Path
) -> None:
    study = loose_photograph(
        hospital.phantom, tmp_path / "study", PatientID="P2", PatientName="Li^Hua=李^华"
    )
    hospital.push(study)
    uid = study.study_instance_uid
    wait_until(lambda: bool(hospital.held(uid)), 240, "the report is beside the photograph")
    assert {each.AccessionNumber for each in hospital.held(uid)} == {""}
    order = hospital.node.state(uid)["order"]
    assert (order["outcome"], order["correction"]) == ("mismatch", "none")
    assert "the names differ" in order["reason"]
    assert hospital.held(OF_ANOTHER.study_instance_uid) == []
