from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import highdicom
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread

from dicom_nodes.objects import written_object
from dicom_nodes.objects.header import read_header
from dicom_nodes.objects.measurement_report import Predecessor, write_measurement_report
from dicom_nodes.objects.report_reader import read_measurement_report
from processing.measurement import (
    Analysis,
    Measurement,
    PermanentFault,
    QualityCheck,
    RejectedInput,
    Status,
)

SourceWriter = Callable[..., Path]


@pytest.fixture
def photograph_uid(photograph: Path) -> str:
    return read_header(photograph).sop_instance_uid


def test_report_of_a_photograph_is_read_back_equal(
    photograph: Path, photograph_uid: str, photograph_analysis: Analysis, made_at: datetime
) -> None:
    analysis = replace(photograph_analysis, inputs=(photograph_uid,))
    out = photograph.with_name("sr.dcm")
    write_measurement_report(analysis, [photograph], out, key="k", made_at=made_at)
    assert read_measurement_report(out) == analysis
    with out.open("rb") as file:
        assert read_measurement_report(file) == analysis


def test_report_of_a_surface_is_read_back_equal(
    model: Path, surface_analysis: Analysis, made_at: datetime
) -> None:
    analysis = replace(surface_analysis, inputs=(read_header(model).sop_instance_uid,))
    out = model.with_name("sr.dcm")
    write_measurement_report(analysis, [model], out, key="k", made_at=made_at)
    found = read_measurement_report(out)
    for name, point in analysis.landmarks.items():
        assert found.landmarks[name] == tuple(float(np.float32(each)) for each in point)
    assert replace(found, landmarks=analysis.landmarks) == analysis


def test_report_is_in_the_study_of_its_source_and_names_it_as_evidence(
    photograph: Path, photograph_uid: str, photograph_analysis: Analysis, made_at: datetime
) -> None:
    analysis = replace(photograph_analysis, inputs=(photograph_uid,))
    out = photograph.with_name("sr.dcm")
    written = write_measurement_report(analysis, [photograph], out, key="k", made_at=made_at)
    header, source = read_header(out), dcmread(photograph)
    assert header.is_own
    assert header.study_instance_uid == source.StudyInstanceUID
    assert header.series_instance_uid == written.series_instance_uid != source.SeriesInstanceUID
    report = highdicom.sr.srread(out)
    assert report.get_evidence(current_procedure_only=True) == [
        (
            source.StudyInstanceUID,
            source.SeriesInstanceUID,
            source.SOPInstanceUID,
            source.SOPClassUID,
        )
    ]
    assert (report.CompletionFlag, report.VerificationFlag) == ("COMPLETE", "UNVERIFIED")
    assert report.ContentQualification == "RESEARCH"
    assert "not a medical device" in str(report)
    assert report.CodingSchemeIdentificationSequence[0].CodingSchemeDesignator == "99HEMIFACE"


def test_highdicom_reads_measurements_with_unit_site_and_method(
    photograph: Path, photograph_uid: str, photograph_analysis: Analysis, made_at: datetime
) -> None:
    analysis = replace(photograph_analysis, inputs=(photograph_uid,))
    out = photograph.with_name("sr.dcm")
    write_measurement_report(analysis, [photograph], out, key="k", made_at=made_at)
    report = highdicom.sr.srread(out)
    groups = {
        each.tracking_identifier: each for each in report.content.get_image_measurement_groups()
    }
    group = groups["photograph-symmetry cheilion left"]
    (measurement,) = group.get_measurements()
    assert measurement.value == 25.5
    assert measurement.unit.value == "mm"
    assert measurement.method.meaning == "±"
    assert group.finding_sites[0].laterality.meaning == "Left"
    points = report.content.get_planar_roi_measurement_groups()
    assert len(points) == 3
    assert points[1].roi.value.tolist() == [[30.75, 41.0]]


@pytest.mark.parametrize("status", [Status.REFUSED, Status.FAILED])
def test_analysis_without_measurements_is_reported_with_its_reason(
    photograph: Path, made_at: datetime, status: Status
) -> None:
    reason = "No face was found. Take a frontal photograph with the whole face – 请重拍."
    analysis = Analysis("photograph-symmetry", "1", status, reason, inputs=("1.2",))
    out = photograph.with_name("sr.dcm")
    write_measurement_report(analysis, [photograph], out, key="k", made_at=made_at)
    assert read_measurement_report(out) == analysis
    assert dcmread(out).CompletionFlag == "PARTIAL"


def test_same_arguments_make_the_same_bytes_and_another_key_another_uid(
    photograph: Path, photograph_uid: str, photograph_analysis: Analysis, made_at: datetime
) -> None:
    analysis = replace(photograph_analysis, inputs=(photograph_uid,))
    one, two, three = (photograph.with_name(each) for each in "123")
    a = write_measurement_report(analysis, [photograph], one, key="k", made_at=made_at)
    b = write_measurement_report(analysis, [photograph], two, key="k", made_at=made_at)
    c = write_measurement_report(analysis, [photograph], three, key="l", made_at=made_at)
    assert one.read_bytes() == two.read_bytes()
    assert a.sop_instance_uid == b.sop_instance_uid != c.sop_instance_uid


def test_new_report_names_its_predecessor(photograph: Path, made_at: datetime) -> None:
    analysis = Analysis("photograph-symmetry", "1", Status.REFUSED, "no face")
    out = photograph.with_name("sr.dcm")
    predecessor = Predecessor("1.2", "1.2.3", "1.2.840.10008.5.1.4.1.1.88.34", "1.2.3.4")
    write_measurement_report(
        analysis, [photograph], out, key="k", made_at=made_at, predecessor=predecessor
    )
    (item,) = dcmread(out).PredecessorDocumentsSequence
    assert item.StudyInstanceUID == "1.2"
    series = item.ReferencedSeriesSequence[0]
    assert series.SeriesInstanceUID == "1.2.3"
    assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == "1.2.3.4"


def test_what_is_tracked_keeps_its_uid_over_time(
    write_source: SourceWriter, made_at: datetime
) -> None:
    analysis = Analysis("photograph-symmetry", "1", Status.REFUSED, "no face")

    def tracking(study: bytes, patient: bytes) -> str:
        source = write_source({0x0020000D: ("UI", study), 0x00100020: ("LO", patient)})
        out = source.with_name("sr.dcm")
        write_measurement_report(analysis, [source], out, key=str(study), made_at=made_at)
        report = highdicom.sr.srread(out)
        (group,) = report.content.get_image_measurement_groups()
        return str(group.tracking_uid)

    assert tracking(b"1.2", b"P1") == tracking(b"1.3", b"P1")
    assert tracking(b"1.2", b"P1") != tracking(b"1.2", b"P2")


def test_landmarks_of_a_frame_refer_to_that_frame(
    write_source: SourceWriter, photograph_analysis: Analysis, made_at: datetime
) -> None:
    multi_frame = b"1.2.840.10008.5.1.4.1.1.7.2"
    source = write_source(
        {0x00080016: ("UI", multi_frame), 0x00280008: ("IS", b"2"), 0x7FE00010: ("OB", bytes(8))},
        sop_class=multi_frame,
    )
    out = source.with_name("sr.dcm")
    analysis = replace(photograph_analysis, inputs=("1.2.3.4#2",))
    write_measurement_report(analysis, [source], out, key="k", made_at=made_at)
    groups = highdicom.sr.srread(out).content.get_planar_roi_measurement_groups()
    image = groups[0].roi.ContentSequence[0]
    assert image.ReferencedSOPSequence[0].ReferencedFrameNumber == 2
    assert read_measurement_report(out).inputs == ("1.2.3.4#2",)


def test_first_input_is_the_image_that_landmarks_lie_on(
    photograph: Path,
    photograph_uid: str,
    write_source: SourceWriter,
    photograph_analysis: Analysis,
    made_at: datetime,
) -> None:
    analysis = replace(photograph_analysis, inputs=(photograph_uid, "1.2.3.4"))
    out = photograph.with_name("sr.dcm")
    write_measurement_report(analysis, [write_source(), photograph], out, key="k", made_at=made_at)
    groups = highdicom.sr.srread(out).content.get_planar_roi_measurement_groups()
    image = groups[0].roi.ContentSequence[0]
    assert image.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == photograph_uid
    with pytest.raises(ValueError, match="lies on none of the sources"):
        write_measurement_report(
            replace(analysis, inputs=()),
            [write_source(), photograph],
            out,
            key="k",
            made_at=made_at,
        )


def test_damaged_source_is_left_out(
    photograph: Path, write_source: SourceWriter, made_at: datetime
) -> None:
    analysis = Analysis("photograph-symmetry", "1", Status.REFUSED, "damaged")
    without_uid = write_source({0x0020000D: None})
    no_dicom = photograph.with_name("no.dcm")
    no_dicom.write_bytes(b"x")
    out = photograph.with_name("sr.dcm")
    sources = [no_dicom, without_uid, photograph]
    write_measurement_report(analysis, sources, out, key="k", made_at=made_at)
    assert len(highdicom.sr.srread(out).get_evidence()) == 1
    with pytest.raises(RejectedInput, match="None of the sources"):
        write_measurement_report(analysis, sources[:2], out, key="k", made_at=made_at)


def test_truncated_source_still_gets_a_report(photograph: Path, made_at: datetime) -> None:
    photograph.write_bytes(photograph.read_bytes()[:-500])
    analysis = Analysis("photograph-symmetry", "1", Status.REFUSED, "The file is truncated.")
    out = photograph.with_name("sr.dcm")
    write_measurement_report(analysis, [photograph], out, key="k", made_at=made_at)
    assert read_header(out).patient_name == "Wang^XiaoDong=王^小东"


@pytest.mark.parametrize(
    ("change", "table"),
    [
        ({"quantity": "beauty"}, "QUANTITIES"),
        ({"structure": "horn"}, "STRUCTURES"),
        ({"region": "tail"}, "REGIONS"),
        ({"unit": "furlong"}, "UNITS"),
    ],
)
def test_unknown_name_is_an_error_that_says_what_to_add(
    photograph: Path, made_at: datetime, change: dict[str, str], table: str
) -> None:
    measurement = replace(Measurement("yaw", 1.0, "deg", 0.1, "m"), **change)
    analysis = Analysis("photograph-symmetry", "1", Status.MEASURED, measurements=(measurement,))
    with pytest.raises(PermanentFault, match=f"add it to {table}"):
        write_measurement_report(
            analysis, [photograph], photograph.with_name("sr.dcm"), key="k", made_at=made_at
        )
    assert not photograph.with_name("sr.dcm").exists()


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15, deadline=None
)
@given(text=st.text(max_size=200), value=st.floats(-1e300, 1e300))
def test_no_text_and_no_number_breaks_a_report(
    photograph: Path, made_at: datetime, text: str, value: float
) -> None:
    analysis = Analysis(
        "photograph-symmetry",
        text or "1",
        Status.FAILED,
        reason=text + "\\\x1b\0 \n" + text,
        inputs=(text,),
        measurements=(Measurement("yaw", value, "deg", abs(value), text, derived_from=(text,)),),
        quality=(QualityCheck(text, value, "1", 1.0, passed=True),),
    )
    out = photograph.with_name("sr.dcm")
    write_measurement_report(analysis, [photograph], out, key="k", made_at=made_at)
    found = read_measurement_report(out)
    assert found.measurements[0].value == value
    assert found.reason is not None
    assert not any(unicodedata.category(each) == "Cc" for each in found.reason)


def test_failed_write_leaves_nothing_behind(
    photograph: Path, made_at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(written_object.os, "fsync", fail)
    analysis = Analysis("photograph-symmetry", "1", Status.REFUSED, "no face")
    before = set(photograph.parent.iterdir())
    with pytest.raises(OSError, match="No space left"):
        write_measurement_report(
            analysis, [photograph], photograph.with_name("sr.dcm"), key="k", made_at=made_at
        )
    assert set(photograph.parent.iterdir()) == before


@pytest.mark.parametrize("name", ["photograph", "nothing"])
def test_what_is_no_report_is_rejected(photograph: Path, name: str, tmp_path: Path) -> None:
    (tmp_path / "nothing").write_bytes(b"nothing")
    path = photograph if name == "photograph" else tmp_path / "nothing"
    with pytest.raises(RejectedInput):
        read_measurement_report(path)
