"""Writes an area of a scan as a Surface Segmentation (PS3.3 A.57) in the frame of the scan."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence

from dicom_nodes.objects import codes, report_codes
from dicom_nodes.objects.coded_entries import code_item, private_scheme_item
from dicom_nodes.objects.content_keyed_uids import content_uid
from dicom_nodes.objects.foreign_values import foreign_values
from dicom_nodes.objects.header import InstanceHeader
from dicom_nodes.objects.report_context import frame_of, split_frame
from dicom_nodes.objects.report_document import read_sources
from dicom_nodes.objects.sop_classes import SURFACE_SEGMENTATION
from dicom_nodes.objects.study_context import apply_identity, study_time_of
from dicom_nodes.objects.written_object import (
    RESEARCH_USE,
    WrittenObject,
    add_creation,
    add_own_equipment,
    clean_text,
    write_file,
)
from processing.measurement import Analysis, SurfacePatch

AREA_SERIES_NUMBER: Final = 9103
# A warm yellow that neither end of a heat map has: L*, a* and b* in 16 bits (PS3.3 C.10.7.1.1).
_COLOUR_CIELAB: Final = (50_000, 36_000, 50_000)
_GREY: Final = 49_152


def write_surface_segmentation(
    name: str,
    analysis: Analysis,
    sources: Sequence[Path],
    out: Path,
    *,
    key: str,
    made_at: datetime,
    series_number: int = AREA_SERIES_NUMBER,
) -> WrittenObject:
    """Write one of the areas of an analysis.

    The same arguments make the same bytes.

    Parameters
    ----------
    name : str
        Of the area among `analysis.areas`; one of `codes.AREAS`.
    analysis : Analysis
        Its first input is the scan; the area is in its frame, in mm.
    sources : sequence of Path
        The objects the analysis was made from; patient and study are of the first.
    out : Path
        The file to write.
    key : str
        From `content_key`; the UIDs follow from it and from `name`.
    made_at : datetime
    series_number : int

    Returns
    -------
    WrittenObject

    Raises
    ------
    RejectedInput
        If no source can be referred to.
    PermanentFault
        If the area has no code.
    KeyError
        If the analysis has no such area.
    OSError
        If the file cannot be written.
    """
    found = read_sources(sources)
    scan = _scan(analysis, found.headers)
    concept = codes.area_concept(name)
    dataset = Dataset()
    dataset.SOPClassUID = SURFACE_SEGMENTATION
    dataset.SOPInstanceUID = content_uid(key, f"area-{name}")
    dataset.SeriesInstanceUID = content_uid(key, "area-series")
    dataset.SeriesNumber = series_number
    dataset.InstanceNumber = 1 + list(codes.AREAS).index(name)
    dataset.Modality = "SEG"
    dataset.BodyPartExamined = "FACE"
    dataset.SeriesDescription = clean_text(f"hemiface {analysis.analysis} areas", 64)
    dataset.FrameOfReferenceUID = frame_of(analysis, found.headers[0].sop_instance_uid)
    dataset.PositionReferenceIndicator = ""
    dataset.ContentLabel = concept.label
    dataset.ContentDescription = clean_text(f"{concept.type.meaning}. {RESEARCH_USE}", 64)
    dataset.ContentCreatorName = ""
    dataset.ContentQualification = "RESEARCH"
    dataset.SegmentSequence = DicomSequence([_segment(concept, analysis, scan)])
    dataset.NumberOfSurfaces = 1
    dataset.SurfaceSequence = DicomSequence([_surface(analysis.areas[name])])
    dataset.ReferencedSeriesSequence = DicomSequence([_series_reference(scan)])
    dataset.CodingSchemeIdentificationSequence = DicomSequence([private_scheme_item()])
    add_own_equipment(dataset)
    add_creation(dataset, study_time_of(made_at, found.identity))
    apply_identity(dataset, found.identity)
    with foreign_values():
        return write_file(dataset, out)


def _scan(analysis: Analysis, headers: Sequence[InstanceHeader]) -> InstanceHeader:
    """The source that was measured."""
    wanted = split_frame(analysis.inputs[0])[0] if analysis.inputs else ""
    return next((each for each in headers if each.sop_instance_uid == wanted), headers[0])


def _segment(concept: codes.AreaConcept, analysis: Analysis, scan: InstanceHeader) -> Dataset:
    segment = Dataset()
    segment.SegmentNumber = 1
    segment.SegmentLabel = clean_text(concept.type.meaning, 64)
    segment.SegmentAlgorithmType = "MANUAL" if concept.is_manual else "AUTOMATIC"
    segment.AnatomicRegionSequence = [code_item(codes.FACE)]
    segment.SegmentedPropertyCategoryCodeSequence = [code_item(report_codes.ABNORMAL_STRUCTURE)]
    segment.SegmentedPropertyTypeCodeSequence = [code_item(concept.type)]
    segment.SurfaceCount = 1
    reference = Dataset()
    reference.ReferencedSurfaceNumber = 1
    algorithm = Dataset()
    algorithm.AlgorithmFamilyCodeSequence = [code_item(concept.algorithm_family)]
    algorithm.AlgorithmName = clean_text(analysis.analysis, 64)
    algorithm.AlgorithmVersion = clean_text(analysis.version, 64)
    reference.SegmentSurfaceGenerationAlgorithmIdentificationSequence = [algorithm]
    reference.SegmentSurfaceSourceInstanceSequence = [_reference(scan)]
    segment.ReferencedSurfaceSequence = [reference]
    return segment


def _surface(patch: SurfacePatch) -> Dataset:
    """The mesh: an open sheet, its points in mm in the patient-oriented frame of the scan."""
    surface = Dataset()
    surface.SurfaceNumber = 1
    surface.SurfaceProcessing = "NO"
    surface.RecommendedDisplayGrayscaleValue = _GREY
    surface.RecommendedDisplayCIELabValue = list(_COLOUR_CIELAB)
    surface.RecommendedPresentationOpacity = 1.0
    surface.RecommendedPresentationType = "SURFACE"
    surface.FiniteVolume = "NO"
    surface.Manifold = "UNKNOWN"
    points = Dataset()
    points.NumberOfSurfacePoints = len(patch.vertices_mm)
    points.add_new("PointCoordinatesData", "OF", np.asarray(patch.vertices_mm, "<f4").tobytes())
    surface.SurfacePointsSequence = [points]
    surface.SurfacePointsNormalsSequence = []
    primitives = Dataset()
    primitives.LongVertexPointIndexList = None
    primitives.LongEdgePointIndexList = None
    indices = np.asarray(patch.triangles, "<u4") + 1  # counted from 1 (PS3.3 C.27.4.1)
    primitives.add_new("LongTrianglePointIndexList", "OL", indices.astype("<u4").tobytes())
    for keyword in ("TriangleStrip", "TriangleFan", "Line", "Facet"):
        setattr(primitives, f"{keyword}Sequence", [])
    surface.SurfaceMeshPrimitivesSequence = [primitives]
    return surface


def _series_reference(scan: InstanceHeader) -> Dataset:
    series = Dataset()
    series.SeriesInstanceUID = scan.series_instance_uid
    series.ReferencedInstanceSequence = [_reference(scan)]
    return series


def _reference(header: InstanceHeader) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = header.sop_class_uid
    item.ReferencedSOPInstanceUID = header.sop_instance_uid
    return item
