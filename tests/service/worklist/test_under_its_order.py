"""From a photograph without an order to results under the order, in the catalogue alone."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from pydicom import Dataset, dcmread

from dicom_nodes.network.query import Level, Question
from dicom_nodes.network.worklist_scu import ScheduledStep
from processing.measurement import Analysis, Status, analysis_as_json
from service.catalogue import arrivals, orders, results, worklist
from service.catalogue.database import Database
from service.catalogue.queries import answers, instances_of
from service.catalogue.stored_bytes import StoredBytes
from service.settings import Settings, WorklistSettings
from service.workflow.cataloguing import Cataloguer, FallsWhileReading
from service.workflow.measuring import ANALYSIS_FILE
from service.workflow.steps import Steps
from service.worklist.asking import look_again
from tests.peers.samples import photograph
from tests.peers.worklists import SCHEDULED

# The photograph's patient name is written otherwise, and its sex is another's.
STEP = replace(SCHEDULED, patient_name="WANG^XIAODONG=王^小东", sex="")


@dataclass
class Looked:
    """The engine, as far as it is asked to look at studies."""

    at: list[str] = field(default_factory=list)

    def look_at_study_in(self, study_instance_uid: str, seconds: float) -> None:
        self.at.append(study_instance_uid)


@dataclass
class Hospital:
    """A node without processes: what arrives is catalogued and reported by hand."""

    settings: Settings
    database: Database
    stored: StoredBytes
    folder: Path
    engine: Looked = field(default_factory=Looked)

    @property
    def steps(self) -> Steps:
        nothing = cast(Any, None)  # neither measuring nor fetching is part of this
        return Steps(self.settings, self.database, self.stored, nothing, nothing)

    def arrive(self, *datasets: Dataset) -> None:
        register = arrivals.Register(self.database)
        for dataset in datasets:
            file = io.BytesIO()
            dataset.save_as(file, enforce_file_format=True)
            key = f"instances/{dataset.SOPInstanceUID}.dcm"
            self.stored.write(key, file.getvalue())
            register.enter(
                [
                    arrivals.Received(
                        sop_instance_uid=str(dataset.SOPInstanceUID),
                        sop_class_uid=str(dataset.SOPClassUID),
                        transfer_syntax_uid=str(dataset.file_meta.TransferSyntaxUID),
                        key=key,
                        size_bytes=1,
                        dataset_offset=0,
                        received_at=datetime.now(UTC),
                        calling_ae_title="CAMERA",
                        peer_address="127.0.0.1",
                    )
                ]
            )
        register.close()
        falls = FallsWhileReading(self.folder / "reading")
        Cataloguer(
            self.settings, self.database, self.stored, cast(Any, self.engine), falls
        ).catalogue_next()

    def schedule(self, *steps: ScheduledStep) -> list[ScheduledStep]:
        return worklist.record_answer(self.database, "ris", steps, [], date(2026, 11, 1))

    def forget(self) -> None:
        """Have everything leave the worklist."""
        worklist.record_answer(self.database, "ris", [], [], date(2027, 1, 1))

    def report(self, study_instance_uid: str) -> results.MadeResult:
        """Complete and report, with an analysis that refuses whatever it gets."""
        planned = self.steps.complete(study_instance_uid)
        job = next(each for each in planned["jobs"] if each["analysis"] == "photograph-symmetry")
        analysis = Analysis(
            "photograph-symmetry", "1", Status.REFUSED, "no face", inputs=tuple(job["inputs"])
        )
        document = analysis_as_json(analysis) | {"captions": []}
        self.stored.write(f"work/{job['key']}/{ANALYSIS_FILE}", json.dumps(document).encode())
        assert self.steps.report(study_instance_uid, job["key"], "2026-11-21T09:00:00+00:00")
        made = results.result_by_key(self.database, job["key"])
        assert made is not None
        return made

    def objects(self, made: results.MadeResult) -> dict[str, Dataset]:
        return {each.role: dcmread(io.BytesIO(self.stored.read(each.key))) for each in made.objects}


def loose_photograph(**changed: str) -> Dataset:
    dataset = photograph()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientID = "P1"
    dataset.PatientName = "Wang^XiaoDong=王^小东"
    dataset.PatientBirthDate = "19800102"
    dataset.StudyDate = "20261121"
    dataset.StationName = "STUDIO1"
    dataset.AccessionNumber = ""
    dataset.Modality = "XC"
    for keyword, value in changed.items():
        setattr(dataset, keyword, value)
    return dataset


def hospital_with(
    settings: Settings, database: Database, stored: StoredBytes, folder: Path, choice: str
) -> Hospital:
    chosen = WorklistSettings.model_validate({"put_under_order": choice})
    return Hospital(settings.model_copy(update={"worklist": chosen}), database, stored, folder)


@pytest.fixture
def hospital(
    settings: Settings, database: Database, stored: StoredBytes, tmp_path: Path
) -> Hospital:
    return hospital_with(settings, database, stored, tmp_path, "copies")


def test_copies_and_results_go_into_the_orders_study(hospital: Hospital) -> None:
    image = loose_photograph()
    hospital.schedule(STEP)
    hospital.arrive(image)
    made = hospital.report(image.StudyInstanceUID)
    assert made.filed_under == "1.2.99"
    found = hospital.objects(made)
    assert set(found) >= {"copy-1", "report"}
    for each in found.values():
        assert each.StudyInstanceUID == "1.2.99"
        assert each.AccessionNumber == "A1"
        assert each.PatientID == "P1"
    copy, report = found["copy-1"], found["report"]
    assert copy.SOPInstanceUID != image.SOPInstanceUID
    assert copy.PixelData == image.PixelData
    (evidence,) = report.CurrentRequestedProcedureEvidenceSequence
    assert evidence.StudyInstanceUID == "1.2.99"
    (reference,) = evidence.ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert reference.ReferencedSOPInstanceUID == copy.SOPInstanceUID
    assert str(image.SOPInstanceUID) not in report.to_json()


def test_the_received_bytes_stay_as_they_are(hospital: Hospital) -> None:
    image = loose_photograph()
    hospital.schedule(STEP)
    hospital.arrive(image)
    key = f"instances/{image.SOPInstanceUID}.dcm"
    before = hospital.stored.read(key)
    hospital.report(image.StudyInstanceUID)
    assert hospital.stored.read(key) == before


def test_what_was_decided_is_kept_with_its_reason(hospital: Hospital) -> None:
    image = loose_photograph()
    hospital.schedule(STEP)
    hospital.arrive(image)
    assert hospital.steps.complete(image.StudyInstanceUID)["urgent"]
    order = orders.order_of_study(hospital.database, image.StudyInstanceUID)
    assert order is not None
    assert (order.outcome, order.correction) == ("matched", "copies")
    assert order.found_by == "patient, date and station"
    assert order.step == STEP
    of_orders = orders.studies_of_orders(hospital.database, ["1.2.99"])
    assert of_orders == {"1.2.99": [image.StudyInstanceUID]}


def test_all_that_arrived_is_copied_and_two_results_share_the_copies(hospital: Hospital) -> None:
    first = loose_photograph()
    second = loose_photograph(StudyInstanceUID=str(first.StudyInstanceUID))
    hospital.schedule(STEP)
    hospital.arrive(first)
    earlier = hospital.report(first.StudyInstanceUID)
    hospital.arrive(second)
    later = hospital.report(first.StudyInstanceUID)
    (copied,) = [each for each in earlier.objects if each.role.startswith("copy")]
    (added,) = [each for each in later.objects if each.role.startswith("copy")]
    assert added.sop_instance_uid != copied.sop_instance_uid
    predecessor = hospital.objects(later)["report"].PredecessorDocumentsSequence[0]
    assert predecessor.StudyInstanceUID == "1.2.99"


def test_copies_are_the_nodes_own_when_they_come_back(hospital: Hospital) -> None:
    image = loose_photograph()
    hospital.schedule(STEP)
    hospital.arrive(image)
    copy = hospital.objects(hospital.report(image.StudyInstanceUID))["copy-1"]
    hospital.engine.at.clear()
    hospital.arrive(copy)
    assert hospital.engine.at == []


def test_queries_find_copies_and_results_in_the_orders_study(hospital: Hospital) -> None:
    image = loose_photograph()
    hospital.schedule(STEP)
    hospital.arrive(image)
    made = hospital.report(image.StudyInstanceUID)
    question = Question(Level.STUDY, {"AccessionNumber": "A1"})
    (study,) = answers(hospital.database, question)
    assert study["StudyInstanceUID"] == "1.2.99"
    held = instances_of(hospital.database, Question(Level.STUDY, {"StudyInstanceUID": "1.2.99"}))
    assert {each.sop_instance_uid for each in held} == {
        each.sop_instance_uid for each in made.objects
    }
    received = Question(Level.STUDY, {"StudyInstanceUID": str(image.StudyInstanceUID)})
    assert [each.sop_instance_uid for each in instances_of(hospital.database, received)] == [
        image.SOPInstanceUID
    ]


def test_results_alone_stay_beside_the_photograph(
    settings: Settings, database: Database, stored: StoredBytes, tmp_path: Path
) -> None:
    hospital = hospital_with(settings, database, stored, tmp_path, "results")
    image = loose_photograph()
    hospital.schedule(STEP)
    hospital.arrive(image)
    made = hospital.report(image.StudyInstanceUID)
    assert made.filed_under is None
    found = hospital.objects(made)
    assert not any(role.startswith("copy") for role in found)
    assert found["report"].StudyInstanceUID == image.StudyInstanceUID
    assert found["report"].AccessionNumber == "A1"
    assert found["report"].PatientName == "Wang^XiaoDong=王^小东"
    assert hospital.stored.list(f"work/{made.key}") == [f"work/{made.key}/{ANALYSIS_FILE}"]


@pytest.mark.parametrize(
    ("choice", "step", "outcome"),
    [
        ("off", STEP, "matched"),
        ("copies", replace(STEP, patient_name="Li^Hua"), "mismatch"),
        ("copies", replace(STEP, start_date="20261122"), "no order"),
    ],
)
def test_without_a_certain_match_nothing_is_changed(
    settings: Settings,
    database: Database,
    stored: StoredBytes,
    tmp_path: Path,
    choice: str,
    step: ScheduledStep,
    outcome: str,
) -> None:
    hospital = hospital_with(settings, database, stored, tmp_path, choice)
    image = loose_photograph()
    hospital.schedule(step)
    hospital.arrive(image)
    made = hospital.report(image.StudyInstanceUID)
    report = hospital.objects(made)["report"]
    assert report.StudyInstanceUID == image.StudyInstanceUID
    assert report.AccessionNumber == ""
    order = orders.order_of_study(database, image.StudyInstanceUID)
    assert order is not None
    assert (order.outcome, order.correction) == (outcome, "none")


def test_a_study_with_an_accession_number_is_never_changed(hospital: Hospital) -> None:
    image = loose_photograph(AccessionNumber="A1")
    hospital.schedule(STEP)
    hospital.arrive(image)
    made = hospital.report(image.StudyInstanceUID)
    assert hospital.objects(made)["report"].StudyInstanceUID == image.StudyInstanceUID
    order = orders.order_of_study(hospital.database, image.StudyInstanceUID)
    assert order is not None
    assert (order.outcome, order.correction) == ("matched", "none")


def test_an_order_that_left_the_worklist_stays_the_studys_order(hospital: Hospital) -> None:
    image = loose_photograph()
    hospital.schedule(STEP)
    hospital.arrive(image)
    first = hospital.report(image.StudyInstanceUID)
    hospital.forget()
    assert hospital.report(image.StudyInstanceUID).key == first.key


def test_an_order_that_comes_late_has_the_study_looked_at_again(hospital: Hospital) -> None:
    image = loose_photograph()
    uid = str(image.StudyInstanceUID)
    hospital.arrive(image)
    engine = Looked()
    look = (hospital.settings, hospital.database, engine)
    assert look_again(*look, hospital.schedule(STEP)) == [], "it is not complete yet"
    hospital.forget()
    plain = hospital.report(uid)
    assert plain.filed_under is None
    assert look_again(*look, hospital.schedule(replace(STEP, patient_id="P7"))) == []
    assert look_again(*look, hospital.schedule(STEP)) == [uid]
    ordered = hospital.report(uid)
    assert ordered.key != plain.key
    assert ordered.filed_under == "1.2.99"
    assert ordered.predecessor_uid is not None
    assert look_again(*look, [STEP]) == [], "it is under its order already"
