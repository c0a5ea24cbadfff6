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

from dicom_nodes.objects.coded_entries import Code, code_item
from dicom_nodes.objects.display_report import write_display_report
from dicom_nodes.objects.measurement_report import Predecessor, write_measurement_report
from dicom_nodes.objects.report_reader import read_measurement_report
from dicom_nodes.objects.study_context import StudyIdentity
from dicom_nodes.objects.vl_photograph import write_vl_photograph
from dicom_nodes.objects.written_object import WrittenObject
from processing.inputs import Expression, View
from processing.measurement import Analysis, Side, Status, analysis_from_json
from service.analyses import ANALYSES, Instruments, measure_inputs
from service.input_files import MeshScale
from service.offline_measuring import measure_groups, sort_files
from service.photograph_entries import read_photographs_or_edits
from service.settings import PhotographSettings, Settings

pytestmark = pytest.mark.slow
MADE_AT = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
MOVED_PX = 6.0


def _photograph(path: Path) -> WrittenObject:
    face = Image.fromarray(data.astronaut()).crop((120, 0, 340, 260)).resize((880, 1040))
    return write_vl_photograph(
        np.asarray(face),
        StudyIdentity("1.2.3", patient_id="P", patient_name="A^B"),
        path,
        made_at=MADE_AT,
        view=View.FRONTAL,
        expression=Expression.REPOSE,
    )


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
    photograph = _photograph(study / "photograph.dcm")
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


def _mirrored(photograph: Path, out: Path) -> Path:
    """The photograph as a camera stores it that shows a mirror image, and says so."""
    stored = dcmread(photograph)
    stored.PixelData = np.ascontiguousarray(stored.pixel_array[:, ::-1]).tobytes()
    stored.ViewModifierCodeSequence = [code_item(Code("789135000", "SCT", "Mirrored"))]
    stored.PatientOrientation = ["R", "F"]
    stored.save_as(out)
    return out


def _drawn(display: Path) -> dict[str, list[tuple[float, float]]]:
    """The lines of a display report, by their names, in the coordinates of a data report."""
    groups = dcmread(display).ContentSequence[-1].ContentSequence
    lines = {}
    for group in groups:
        name = next(each.TextValue for each in group.ContentSequence if "TextValue" in each)
        (line,) = (each for each in group.ContentSequence if each.ValueType == "SCOORD")
        numbers = [float(each) - 0.5 for each in line.GraphicData]
        lines[name] = list(zip(numbers[::2], numbers[1::2], strict=True))
    return lines


def test_a_mirrored_photograph_is_reported_and_edited_in_its_stored_pixels(
    tmp_path: Path,
) -> None:
    as_taken = _photograph(tmp_path / "as_taken.dcm").path
    mirrored = _mirrored(as_taken, tmp_path / "mirrored.dcm")
    settings = Settings(photograph=PhotographSettings(yaw_limit_deg=30))
    entry, instruments = ANALYSES["photograph-symmetry"], Instruments(settings)

    def measured(*paths: Path) -> Analysis:
        read = [each for path in paths for each in read_photographs_or_edits(path, settings)]
        analysis = measure_inputs(entry, read, {}, instruments)
        assert analysis.status is Status.MEASURED, analysis.reason
        return analysis

    before, stored = measured(as_taken), measured(mirrored)
    assert stored.measurements == before.measurements
    report = write_measurement_report(
        stored, [mirrored], tmp_path / "report.dcm", key="1" * 64, made_at=MADE_AT
    ).path
    places = read_measurement_report(report).landmarks
    last = 880 - 1
    for name, (column, row) in before.landmarks.items():
        assert places[name] == pytest.approx((last - column, row), abs=1e-3)

    display = tmp_path / "display.dcm"
    write_display_report(stored, [mirrored], [], display, key="1" * 64, made_at=MADE_AT)
    (line,) = (each for name, each in _drawn(display).items() if name.endswith(" cheilion"))
    for end, side in zip(line, Side, strict=True):
        assert end == pytest.approx(places[f"cheilion_{side.value}"], abs=1e-3)

    original = write_measurement_report(
        before, [as_taken], tmp_path / "original.dcm", key="2" * 64, made_at=MADE_AT
    ).path
    _edited(original, tmp_path / "edited.dcm")
    _edited(report, tmp_path / "edited_mirrored.dcm")
    upright = measured(as_taken, tmp_path / "edited.dcm")
    turned = measured(mirrored, tmp_path / "edited_mirrored.dcm")
    instruments.close()
    assert [each.quantity for each in turned.measurements] == [
        each.quantity for each in upright.measurements
    ]
    for one, other in zip(turned.measurements, upright.measurements, strict=True):
        assert one.value == pytest.approx(other.value, abs=1e-3), one.quantity
    column, row = turned.landmarks["cheilion_left"]
    assert (column, row) == pytest.approx(
        (places["cheilion_left"][0], places["cheilion_left"][1] + MOVED_PX), abs=1e-3
    )
