from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from dicom_nodes.objects import report_codes
from dicom_nodes.objects.coded_entries import Code, code_item
from dicom_nodes.objects.header import read_header
from dicom_nodes.objects.measurement_report import write_measurement_report
from dicom_nodes.objects.report_document import Parts
from dicom_nodes.objects.surface_edits import read_surface_edits
from dicom_nodes.objects.surface_segmentation import write_surface_segmentation
from processing.inputs import SurfaceEdits
from processing.measurement import Analysis, RejectedInput, SurfacePatch

KEY = "0" * 64
Change = Callable[[Dataset], None]


@pytest.fixture
def report(tmp_path: Path, model: Path, surface_analysis: Analysis, made_at: datetime) -> Path:
    """A report of hemiface on a scan, with an area."""
    header = read_header(model)
    patch = SurfacePatch(np.eye(3) * 10, np.array([[0, 1, 2]], np.int32))
    analysis = replace(
        surface_analysis,
        inputs=(header.sop_instance_uid,),
        frame=header.frame_of_reference_uid,
        areas={"affected-area": patch},
    )
    area = write_surface_segmentation(
        "affected-area", analysis, [model], tmp_path / "area.dcm", key=KEY, made_at=made_at
    )
    out = tmp_path / "report.dcm"
    areas = {"affected-area": area}
    write_measurement_report(analysis, [model], out, key=KEY, made_at=made_at, parts=Parts(areas))
    return out


def _groups(document: Dataset, kind: str) -> list[Dataset]:
    return [
        group
        for group in document.ContentSequence[-1].ContentSequence
        if any(f" {kind}" in str(each.get("TextValue")) for each in group.ContentSequence)
    ]


def _verified(report: Path, *changes: Change) -> Path:
    """The report as a reviewer's viewer stores it."""
    document = dcmread(report)
    document.SOPInstanceUID = document.file_meta.MediaStorageSOPInstanceUID = "1.2.826.0.1.99.1"
    document.VerificationFlag = "VERIFIED"
    document.VerifyingObserverSequence = [Dataset()]
    document.VerifyingObserverSequence[0].VerifyingObserverName = "Reviewer^Rita"
    for change in changes:
        change(document)
    out = report.with_name("edited.dcm")
    document.save_as(out)
    return out


def _moved(document: Dataset) -> None:
    for group in _groups(document, "landmark cheilion_left"):
        for each in group.ContentSequence:
            if each.ValueType == "SCOORD3D":
                each.GraphicData = [26.0, -4.0, 1.5]


def _without_algorithm(group: Dataset) -> None:
    group.ContentSequence = [
        each
        for each in group.ContentSequence
        if each.ConceptNameCodeSequence[0].CodeValue not in ("111001", "111003")
    ]


def _given_plane(document: Dataset) -> None:
    for group in _groups(document, "plane "):
        _without_algorithm(group)


def _edits(path: Path) -> SurfaceEdits:
    return read_surface_edits(path)


def test_moved_landmarks_are_read_with_the_scan_that_they_lie_on(report: Path, model: Path) -> None:
    edits = _edits(_verified(report, _moved))
    assert edits.surface == read_header(model).sop_instance_uid
    assert edits.source == "1.2.826.0.1.99.1"
    assert edits.landmarks_mm["cheilion_left"] == (26.0, -4.0, 1.5)
    assert edits.landmarks_mm["pronasale"] == (0.0, 0.0, 25.0)
    assert edits.made_at.startswith("20260304")


def test_plane_that_an_algorithm_found_is_no_reviewers(report: Path) -> None:
    assert _edits(_verified(report, _moved)).plane is None


def test_plane_of_a_group_without_algorithm_is_given(report: Path) -> None:
    plane = _edits(_verified(report, _given_plane)).plane
    assert plane is not None
    assert plane.normal == pytest.approx((0.99995, 0.01, 0.0), abs=1e-5)
    assert plane.offset_mm == pytest.approx(0.2, abs=1e-5)


def _polygon(points: list[float]) -> Change:
    def change(document: Dataset) -> None:
        for group in _groups(document, "plane "):
            _without_algorithm(group)
            group.ContentSequence = [
                each for each in group.ContentSequence if each.ValueType != "NUM"
            ]
            item = Dataset()
            item.RelationshipType = "CONTAINS"
            item.ValueType = "SCOORD3D"
            item.GraphicType = "POLYGON"
            item.GraphicData = points
            item.ReferencedFrameOfReferenceUID = "1.2"
            item.ConceptNameCodeSequence = [code_item(Code("111030", "DCM", "Image Region"))]
            group.ContentSequence.append(item)

    return change


def test_plane_may_be_drawn_as_a_polygon(report: Path) -> None:
    square = [3.0, 0, 0, 3.0, 80, 0, 3.0, 80, 60, 3.0, 0, 60, 3.0, 0, 0]
    plane = _edits(_verified(report, _polygon(square))).plane
    assert plane is not None
    assert np.abs(plane.normal) == pytest.approx((1, 0, 0), abs=1e-6)
    assert plane.offset_mm * plane.normal[0] == pytest.approx(3.0)


@pytest.mark.parametrize(
    "points",
    [
        [0.0, 0, 0, 1, 0, 0],
        [0.0, 0, 0, 10, 0, 0, 20, 0, 0],
        [0.0, 0, 0, 80, 0, 0, float("nan"), 80, 0],
    ],
)
def test_polygon_that_makes_no_plane_gives_none(report: Path, points: list[float]) -> None:
    assert _edits(_verified(report, _polygon(points), _moved)).plane is None


def test_own_report_is_nobodys_edit(report: Path) -> None:
    header = read_header(report)
    assert (header.edited_surfaces, header.is_own) == ((), True)
    with pytest.raises(RejectedInput, match="Person"):
        read_surface_edits(report)


def test_header_names_the_edited_scan_and_the_report_is_not_own(report: Path, model: Path) -> None:
    header = read_header(_verified(report, _moved))
    assert header.edited_surfaces == (read_header(model).sop_instance_uid,)
    assert not header.is_own


def _far(document: Dataset) -> None:
    for group in _groups(document, "landmark "):
        for each in group.ContentSequence:
            if each.ValueType == "SCOORD3D":
                each.GraphicData = [1e30, 0.0, 0.0]


def _short(document: Dataset) -> None:
    for group in _groups(document, "landmark "):
        for each in group.ContentSequence:
            if each.ValueType == "SCOORD3D":
                each.GraphicData = [1.0, 0.0]


def _skewed(document: Dataset) -> None:
    _given_plane(document)
    for group in _groups(document, "plane "):
        for each in group.ContentSequence:
            if each.ConceptNameCodeSequence[0].CodeValue == report_codes.PLANE_NORMAL[0].value:
                each.MeasuredValueSequence[0].NumericValue = "7"
                del each.MeasuredValueSequence[0].FloatingPointValue


@pytest.mark.parametrize("change", [_far, _short])
def test_points_that_lie_nowhere_are_no_landmarks(report: Path, change: Change) -> None:
    with pytest.raises(RejectedInput):
        read_surface_edits(_verified(report, change))


def test_normal_that_is_none_gives_no_plane(report: Path) -> None:
    assert _edits(_verified(report, _skewed)).plane is None


def test_photograph_report_edits_no_surface(report: Path, photograph: Path) -> None:
    def on_photograph(document: Dataset) -> None:
        reference = document.CurrentRequestedProcedureEvidenceSequence[0]
        header = read_header(photograph)
        for series in reference.ReferencedSeriesSequence:
            for each in series.ReferencedSOPSequence:
                each.ReferencedSOPClassUID = header.sop_class_uid
        for group in document.ContentSequence[-1].ContentSequence:
            for item in group.ContentSequence:
                if item.ValueType == "COMPOSITE":
                    item.ReferencedSOPSequence[0].ReferencedSOPClassUID = header.sop_class_uid

    with pytest.raises(RejectedInput):
        read_surface_edits(_verified(report, _moved, on_photograph))
