from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from dicom_nodes.objects.header import read_header
from dicom_nodes.objects.measurement_report import write_measurement_report
from dicom_nodes.objects.report_document import Parts
from dicom_nodes.objects.report_reader import read_measurement_report
from dicom_nodes.objects.surface_segmentation import write_surface_segmentation
from processing.measurement import Analysis, Measurement, PermanentFault, SurfacePatch

PATCH = SurfacePatch(
    np.array([[0.5, -1.25, 2.0], [10.0, 0.0, 0.0], [0.0, 10.0, 0.0], [9.0, 9.0, 1.0]]),
    np.array([[0, 1, 2], [2, 1, 3]], np.int32),
)


@pytest.fixture
def analysis(surface_analysis: Analysis, model: Path) -> Analysis:
    volume = Measurement(
        "volume_discrepancy", -7.0, "mL", 0.3, "m", structure="hemiface", region="affected area"
    )
    return replace(
        surface_analysis,
        inputs=(read_header(model).sop_instance_uid,),
        frame=read_header(model).frame_of_reference_uid,
        areas={"affected-area": PATCH},
        measurements=(*surface_analysis.measurements, volume),
    )


def test_an_area_that_comes_back_is_known_as_our_own_and_no_reviewers(
    analysis: Analysis, model: Path, tmp_path: Path, made_at: datetime
) -> None:
    written = write_surface_segmentation(
        "affected-area", analysis, [model], tmp_path / "area.dcm", key="k", made_at=made_at
    )
    assert read_header(written.path).is_own


def test_area_is_a_mesh_in_the_frame_of_the_scan(
    analysis: Analysis, model: Path, tmp_path: Path, made_at: datetime
) -> None:
    written = write_surface_segmentation(
        "affected-area", analysis, [model], tmp_path / "area.dcm", key="k", made_at=made_at
    )
    area, scan = dcmread(written.path), dcmread(model)
    assert area.FrameOfReferenceUID == scan.FrameOfReferenceUID
    assert area.StudyInstanceUID == scan.StudyInstanceUID
    surface = area.SurfaceSequence[0]
    points = np.frombuffer(surface.SurfacePointsSequence[0].PointCoordinatesData, "<f4")
    np.testing.assert_array_equal(points.reshape(-1, 3), PATCH.vertices_mm)
    triangles = surface.SurfaceMeshPrimitivesSequence[0].LongTrianglePointIndexList
    np.testing.assert_array_equal(
        np.frombuffer(triangles, "<u4").reshape(-1, 3), PATCH.triangles + 1
    )
    source = area.ReferencedSeriesSequence[0].ReferencedInstanceSequence[0]
    assert source.ReferencedSOPInstanceUID == scan.SOPInstanceUID


@pytest.mark.parametrize(
    ("name", "algorithm"), [("affected-area", "AUTOMATIC"), ("affected-area-given", "MANUAL")]
)
def test_area_says_who_found_it(
    analysis: Analysis, model: Path, tmp_path: Path, made_at: datetime, name: str, algorithm: str
) -> None:
    outlined = replace(analysis, areas={name: PATCH})
    written = write_surface_segmentation(
        name, outlined, [model], tmp_path / "area.dcm", key="k", made_at=made_at
    )
    assert dcmread(written.path).SegmentSequence[0].SegmentAlgorithmType == algorithm


def test_same_arguments_make_the_same_bytes(
    analysis: Analysis, model: Path, tmp_path: Path, made_at: datetime
) -> None:
    first, again = (
        write_surface_segmentation(
            "affected-area", analysis, [model], tmp_path / name, key="k", made_at=made_at
        )
        for name in ("first.dcm", "again.dcm")
    )
    assert first.path.read_bytes() == again.path.read_bytes()


def test_an_area_without_a_code_is_refused(
    analysis: Analysis, model: Path, tmp_path: Path, made_at: datetime
) -> None:
    other = replace(analysis, areas={"beard": PATCH})
    with pytest.raises(PermanentFault, match="beard"):
        write_surface_segmentation(
            "beard", other, [model], tmp_path / "area.dcm", key="k", made_at=made_at
        )


def test_report_refers_to_the_area_at_its_measures_and_lists_it_as_evidence(
    analysis: Analysis, model: Path, tmp_path: Path, made_at: datetime
) -> None:
    area = write_surface_segmentation(
        "affected-area", analysis, [model], tmp_path / "area.dcm", key="k", made_at=made_at
    )
    report = write_measurement_report(
        analysis,
        [model],
        tmp_path / "report.dcm",
        key="k",
        made_at=made_at,
        parts=Parts(areas={"affected-area": area}),
    )
    document = dcmread(report.path)
    evidence = {
        item.ReferencedSOPInstanceUID
        for series in document.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }
    assert area.sop_instance_uid in evidence
    holders = [
        group
        for group in document.ContentSequence[-1].ContentSequence
        for item in group.ContentSequence
        if item.ValueType == "COMPOSITE"
        and item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == area.sop_instance_uid
    ]
    (holder,) = holders
    assert "affected area" in str(holder.ContentSequence[0].TextValue)
    assert read_measurement_report(report.path).measurements == analysis.measurements
