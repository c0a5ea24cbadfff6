from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset

from dicom_nodes.objects import codes
from dicom_nodes.objects.coded_entries import Code, code_item
from dicom_nodes.objects.header import read_header
from dicom_nodes.objects.landmark_edits import read_landmark_edits
from dicom_nodes.objects.measurement_report import write_measurement_report
from dicom_nodes.objects.report_content import PLACED_BY_REVIEWER
from dicom_nodes.objects.report_context import EDIT_DISTANCE
from dicom_nodes.objects.report_reader import read_measurement_report
from processing.inputs import LandmarkEdits, Photograph
from processing.measurement import Analysis, Measurement, RejectedInput, Side

KEY = "0" * 64
COMPREHENSIVE = "1.2.840.10008.5.1.4.1.1.88.33"
ENHANCED = "1.2.840.10008.5.1.4.1.1.88.22"
TRACKING = Code("112039", "DCM", "Tracking Identifier")
FINDING = Code("121071", "DCM", "Finding")
GROUP = Code("125007", "DCM", "Measurement Group")


@pytest.fixture
def report(
    tmp_path: Path, photograph: Path, photograph_analysis: Analysis, made_at: datetime
) -> Path:
    """A report of hemiface as it was sent to the PACS."""
    uid = read_header(photograph).sop_instance_uid
    analysis = replace(photograph_analysis, inputs=(uid,))
    out = tmp_path / "report.dcm"
    write_measurement_report(analysis, [photograph], out, key=KEY, made_at=made_at)
    return out


def _person() -> list[Dataset]:
    """A reviewer as TID 1002 and 1003 write one."""
    kind = Dataset()
    kind.RelationshipType = "HAS OBS CONTEXT"
    kind.ValueType = "CODE"
    kind.ConceptNameCodeSequence = [code_item(Code("121005", "DCM", "Observer Type"))]
    kind.ConceptCodeSequence = [code_item(Code("121006", "DCM", "Person"))]
    name = Dataset()
    name.RelationshipType = "HAS OBS CONTEXT"
    name.ValueType = "PNAME"
    name.ConceptNameCodeSequence = [code_item(Code("121008", "DCM", "Person Observer Name"))]
    name.PersonName = "Reviewer^Rita"
    return [kind, name]


def _groups(document: Dataset) -> list[Dataset]:
    measurements = next(
        each
        for each in document.ContentSequence
        if each.ConceptNameCodeSequence[0].CodeValue == "126010"
    )
    return list(measurements.ContentSequence)


def _child(item: Dataset, name: Code) -> Dataset:
    return next(
        each
        for each in item.ContentSequence
        if each.ConceptNameCodeSequence[0].CodeValue == name.value
    )


def _landmark_groups(document: Dataset) -> dict[str, Dataset]:
    found = {}
    for group in _groups(document):
        identifier = _child(group, TRACKING).TextValue
        if " landmark " in identifier:
            found[identifier.partition(" landmark ")[2]] = group
    return found


def _point_of(group: Dataset) -> Dataset:
    return next(each for each in group.ContentSequence if each.ValueType == "SCOORD")


def _resaved(report: Path, *, manufacturer: str = "Viewer", by_person: bool = True) -> Dataset:
    document = dcmread(report)
    document.SOPInstanceUID = document.file_meta.MediaStorageSOPInstanceUID = "1.2.826.0.1.99.1"
    document.Manufacturer = manufacturer
    document.ContentDate, document.ContentTime = "20260405", "101112"
    if by_person:
        document.ContentSequence = [*_person(), *document.ContentSequence]
    return document


def _saved(document: Dataset, report: Path) -> Path:
    out = report.with_name("edited.dcm")
    document.save_as(out)
    return out


def test_points_that_a_reviewer_moved_are_read(report: Path, photograph: Path) -> None:
    document = _resaved(report)
    _point_of(_landmark_groups(document)["cheilion_left"]).GraphicData = [31.5, 43.25]
    (edits,) = read_landmark_edits(_saved(document, report))
    assert edits.source == "1.2.826.0.1.99.1"
    assert edits.photograph == read_header(photograph).sop_instance_uid
    assert edits.made_at == "20260405101112"
    assert edits.landmarks_px == {
        "nasion": (24.0, 20.0),
        "cheilion_left": (31.0, 42.75),
        "cheilion_right": (18.0, 40.0),
    }


@pytest.mark.parametrize("sop_class", [COMPREHENSIVE, ENHANCED])
def test_other_structured_reports_are_read(report: Path, sop_class: str) -> None:
    document = _resaved(report)
    document.SOPClassUID = document.file_meta.MediaStorageSOPClassUID = sop_class
    assert len(read_landmark_edits(_saved(document, report))[0].landmarks_px) == 3


def test_a_verified_copy_is_a_reviewers(report: Path) -> None:
    document = _resaved(report, by_person=False)
    document.VerificationFlag = "VERIFIED"
    observer = Dataset()
    observer.VerifyingObserverName = "Reviewer^Rita"
    document.VerifyingObserverSequence = [observer]
    assert read_landmark_edits(_saved(document, report))


def test_header_names_the_edited_photograph_and_is_not_own(report: Path, photograph: Path) -> None:
    # A viewer may copy the manufacturer of the report that it edits.
    document = _resaved(report, manufacturer="hemiface")
    header = read_header(_saved(document, report))
    assert header.edited_photographs == (read_header(photograph).sop_instance_uid,)
    assert not header.is_own


def test_own_report_is_never_taken_for_edits(report: Path) -> None:
    header = read_header(report)
    assert header.is_own
    assert header.edited_photographs == ()
    with pytest.raises(RejectedInput, match="no named landmark that a person placed"):
        read_landmark_edits(report)


def test_report_of_another_device_is_not_taken_for_edits(report: Path) -> None:
    document = _resaved(report, by_person=False)
    path = _saved(document, report)
    assert read_header(path).edited_photographs == ()


def test_own_report_on_edits_is_not_taken_for_edits_and_names_them(
    report: Path, photograph: Path, photograph_analysis: Analysis, made_at: datetime
) -> None:
    edits = _saved(_resaved(report), report)
    uids = [read_header(each).sop_instance_uid for each in (photograph, edits)]
    moved = Measurement(
        EDIT_DISTANCE, 0.7, "mm", 0.1, "moved", side=Side.LEFT, structure="cheilion"
    )
    analysis = replace(
        photograph_analysis,
        inputs=tuple(uids),
        measurements=(*photograph_analysis.measurements, moved),
    )
    out = report.with_name("amended.dcm")
    write_measurement_report(analysis, [photograph, edits], out, key="1" * 64, made_at=made_at)
    header = read_header(out)
    assert header.is_own
    assert header.edited_photographs == ()
    document = dcmread(out)
    evidence = {
        item.ReferencedSOPInstanceUID
        for study in document.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }
    assert evidence == set(uids)
    groups = _landmark_groups(document)
    texts = {
        name: [each.get("TextValue") for each in group.ContentSequence]
        for name, group in groups.items()
    }
    assert PLACED_BY_REVIEWER in texts["cheilion_left"]
    assert "photograph-symmetry" in texts["cheilion_right"]  # the algorithm
    assert "photograph-symmetry" not in texts["cheilion_left"]
    assert read_measurement_report(out).landmarks == analysis.landmarks


@pytest.mark.parametrize("named_by", ["code", "label", "name of the point", "words"])
def test_points_are_named_as_viewers_name_them(report: Path, named_by: str) -> None:
    document = _resaved(report)
    group = _landmark_groups(document)["cheilion_left"]
    tracking = _child(group, TRACKING)
    tracking.TextValue = "Cornerstone3DTools@^0.1.0:Probe"
    if named_by == "label":
        tracking.TextValue = "left cheilion"
    if named_by != "code":
        _child(group, FINDING).ConceptCodeSequence = [
            code_item(Code("FREETEXT", "CORNERSTONEJS", "mark"))
        ]
    if named_by == "words":
        _child(group, FINDING).ConceptCodeSequence[0].CodeMeaning = "Cheilion, left"
    if named_by == "name of the point":
        _point_of(group).ConceptNameCodeSequence = [
            code_item(codes.LANDMARKS["cheilion"])  # the side is in the group
        ]
    (edits,) = read_landmark_edits(_saved(document, report))
    assert edits.landmarks_px["cheilion_left"] == (30.25, 40.5)


def test_points_without_a_known_name_are_left_out(report: Path) -> None:
    document = _resaved(report)
    for name, group in _landmark_groups(document).items():
        if name != "nasion":
            _child(group, TRACKING).TextValue = "a point"
            _child(group, FINDING).ConceptCodeSequence = [code_item(Code("1", "99X", "a naevus"))]
    (edits,) = read_landmark_edits(_saved(document, report))
    assert set(edits.landmarks_px) == {"nasion"}


def test_frame_of_the_photograph_is_kept(report: Path) -> None:
    document = _resaved(report)
    for group in _landmark_groups(document).values():
        _point_of(group).ContentSequence[0].ReferencedSOPSequence[0].ReferencedFrameNumber = 2
    (edits,) = read_landmark_edits(_saved(document, report))
    assert edits.photograph.endswith("#2")


def test_content_that_is_nested_too_deep_is_rejected(report: Path) -> None:
    document = _resaved(report)
    inner = Dataset()
    inner.ValueType = "CONTAINER"
    for _ in range(40):
        outer = Dataset()
        outer.ValueType = "CONTAINER"
        outer.ContentSequence = [inner]
        inner = outer
    document.ContentSequence.append(inner)
    path = _saved(document, report)
    with pytest.raises(RejectedInput):
        read_landmark_edits(path)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None
)
@given(st.data())
def test_damaged_bytes_never_cause_another_error(report: Path, data: st.DataObject) -> None:
    document = _resaved(report)
    path = _saved(document, report)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(132, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content))
    with suppress(RejectedInput):
        read_header(path)
    with suppress(RejectedInput):
        read_landmark_edits(path)


def test_a_picture_holds_no_landmarks(photograph: Path) -> None:
    with pytest.raises(RejectedInput):
        read_landmark_edits(photograph)


@pytest.mark.parametrize(
    ("edited", "source", "is_of"),
    [
        ("1.2", "1.2", True),
        ("1.2", "1.3", False),
        ("1.2#1", "1.2", True),
        ("1.2", "1.2#2", True),
        ("1.2#2", "1.2#2", True),
        ("1.2#1", "1.2#2", False),
    ],
)
def test_edits_belong_to_their_photograph(
    picture: object, edited: str, source: str, is_of: bool
) -> None:
    photograph = Photograph(pixels=picture, source=source)  # type: ignore[arg-type] # not looked at
    assert LandmarkEdits("s", edited, {}).is_of(photograph) is is_of
