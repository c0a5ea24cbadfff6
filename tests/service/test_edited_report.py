"""A reviewer's report comes back from the PACS, and the photograph is measured with it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset
from skimage import data

from dicom_nodes.objects.measurement_report import Predecessor, write_measurement_report
from dicom_nodes.objects.report_reader import read_measurement_report
from dicom_nodes.objects.study_context import StudyIdentity
from dicom_nodes.objects.vl_photograph import write_vl_photograph
from processing.inputs import Expression, View
from processing.measurement import Analysis, Status, analysis_from_json
from service.input_files import MeshScale
from service.offline_measuring import measure_groups, sort_files
from service.settings import Settings

pytestmark = pytest.mark.slow
MADE_AT = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
MOVED_PX = 6.0


def _measured(folder: Path) -> Analysis:
    groups = sort_files(sorted(folder.glob("*.dcm"))).groups
    (outcome,) = measure_groups(groups, Settings(data_folder=folder / "none"), MeshScale())
    return analysis_from_json(outcome.document)


def _edited(report: Path, out: Path) -> None:
    """Move the left corner of the mouth downward, as a viewer stores it."""
    document = dcmread(report)
    document.SOPInstanceUID = document.file_meta.MediaStorageSOPInstanceUID = "1.2.826.0.1.99.1"
    document.SeriesInstanceUID = "1.2.826.0.1.99"
    document.VerificationFlag = "VERIFIED"
    observer = Dataset()
    observer.VerifyingObserverName = "Reviewer^Rita"
    document.VerifyingObserverSequence = [observer]
    for group in document.ContentSequence[-1].ContentSequence:
        texts = [each.get("TextValue") for each in group.ContentSequence]
        if "photograph-symmetry landmark cheilion_left" in texts:
            for each in group.ContentSequence:
                if each.ValueType == "SCOORD":
                    column, row = each.GraphicData
                    each.GraphicData = [column, row + MOVED_PX]
    document.save_as(out)


def _value(analysis: Analysis, quantity: str) -> float:
    return next(each.value for each in analysis.measurements if each.quantity == quantity)


def test_landmarks_of_a_verified_report_replace_the_detected_ones(tmp_path: Path) -> None:
    study, elsewhere = tmp_path / "study", tmp_path / "elsewhere"
    study.mkdir()
    elsewhere.mkdir()
    face = Image.fromarray(data.astronaut()).crop((120, 0, 340, 260)).resize((880, 1040))
    photograph = write_vl_photograph(
        np.asarray(face),
        StudyIdentity("1.2.3", patient_id="P", patient_name="A^B"),
        study / "photograph.dcm",
        made_at=MADE_AT,
        view=View.FRONTAL,
        expression=Expression.REPOSE,
    )
    settings = {"HEMIFACE_PHOTOGRAPH__YAW_LIMIT_DEG": "30"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        before = _measured(study)
        assert before.status is Status.MEASURED, before.reason
        first = write_measurement_report(
            before, [photograph.path], elsewhere / "report.dcm", key="1" * 64, made_at=MADE_AT
        )
        _edited(first.path, study / "edited.dcm")
        after = _measured(study)
    assert after.status is Status.MEASURED, after.reason
    assert after.inputs == (photograph.sop_instance_uid, "1.2.826.0.1.99.1")
    moved = {name: abs(after.landmarks[name][1] - at[1]) for name, at in before.landmarks.items()}
    assert moved.pop("cheilion_left") == pytest.approx(MOVED_PX, abs=0.01)
    assert max(moved.values()) < 0.01
    assert _value(after, "commissure_height_difference") < _value(
        before, "commissure_height_difference"
    )
    edited = {
        (each.structure, each.side)
        for each in after.measurements
        if each.quantity == "landmark_edit_distance"
    }
    assert ("cheilion", "left") in edited
    second = write_measurement_report(
        after,
        [photograph.path, study / "edited.dcm"],
        elsewhere / "amended.dcm",
        key="2" * 64,
        made_at=MADE_AT,
        predecessor=Predecessor(
            "1.2.3", first.series_instance_uid, first.sop_class_uid, first.sop_instance_uid
        ),
    )
    assert read_measurement_report(second.path).status is Status.MEASURED
