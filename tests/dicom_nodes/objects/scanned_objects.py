"""Surface Scan objects as another maker writes them (Supplement 154), for the reader's tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

MESH = "1.2.840.10008.5.1.4.1.1.68.1"
POINT_CLOUD = "1.2.840.10008.5.1.4.1.1.68.2"
SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.5"
VL_PHOTOGRAPHIC = "1.2.840.10008.5.1.4.1.1.77.1.4"


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """An item of a code sequence."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def points_item(points: np.ndarray) -> Dataset:
    """An item of Surface Points Sequence."""
    item = Dataset()
    item.NumberOfSurfacePoints = len(points)
    item.PointCoordinatesData = np.asarray(points, "<f4").tobytes()
    return item


def normals_item(normals: np.ndarray) -> Dataset:
    """An item of Surface Points Normals Sequence."""
    item = Dataset()
    item.NumberOfVectors = len(normals)
    item.VectorDimensionality = 3
    item.VectorCoordinateData = np.asarray(normals, "<f4").tobytes()
    return item


def primitive(indices: Any) -> Dataset:
    """A strip, fan or facet; indices count from 0 here."""
    item = Dataset()
    item.LongPrimitivePointIndexList = (np.asarray(indices, "<u4") + 1).tobytes()
    return item


def surface_item(
    points: np.ndarray,
    triangles: Any = (),
    *,
    normals: np.ndarray | None = None,
    strips: Any = (),
    fans: Any = (),
    facets: Any = (),
    number: int = 1,
) -> Dataset:
    """An item of Surface Sequence; indices count from 0 here."""
    item = Dataset()
    item.SurfaceNumber = number
    item.SurfaceProcessing = "NO"
    item.RecommendedDisplayGrayscaleValue = 40000
    item.RecommendedDisplayCIELabValue = [40000, 36000, 36000]
    item.RecommendedPresentationOpacity = 1.0
    item.RecommendedPresentationType = "SURFACE"
    item.FiniteVolume = "NO"
    item.Manifold = "UNKNOWN"
    item.SurfacePointsSequence = [points_item(points)]
    item.SurfacePointsNormalsSequence = [] if normals is None else [normals_item(normals)]
    primitives = Dataset()
    primitives.LongVertexPointIndexList = b""
    primitives.LongEdgePointIndexList = b""
    indices = np.asarray(triangles, "<u4").reshape(-1)
    primitives.LongTrianglePointIndexList = (indices + 1).astype("<u4").tobytes()
    primitives.TriangleStripSequence = [primitive(each) for each in strips]
    primitives.TriangleFanSequence = [primitive(each) for each in fans]
    primitives.LineSequence = []
    primitives.FacetSequence = [primitive(each) for each in facets]
    item.SurfaceMeshPrimitivesSequence = [primitives]
    return item


def uv_mapping(across: Any, down: Any, texture: str) -> Dataset:
    """An item of UV Mapping Sequence."""
    item = Dataset()
    item.TextureLabel = "colour"
    item.UValueData = np.asarray(across, "<f4").tobytes()
    item.VValueData = np.asarray(down, "<f4").tobytes()
    reference = Dataset()
    reference.TypeOfInstances = "DICOM"
    reference.StudyInstanceUID = "1.2.3"
    reference.SeriesInstanceUID = "1.2.3.8"
    instance = Dataset()
    instance.ReferencedSOPClassUID = VL_PHOTOGRAPHIC
    instance.ReferencedSOPInstanceUID = texture
    reference.ReferencedSOPSequence = [instance]
    retrieval = Dataset()
    retrieval.RetrieveAETitle = "ARCHIVE"
    reference.DICOMRetrievalSequence = [retrieval]
    item.ReferencedTextureSequence = [reference]
    return item


def scan(sop_class: str = MESH, uid: str = "1.2.3.4.5") -> Dataset:
    """All of a Surface Scan object but its points."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, uid
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName, dataset.PatientID = "Doe^Jane", "P1"
    dataset.PatientBirthDate, dataset.PatientSex = "19800101", "F"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3", "1.2.3.7"
    dataset.StudyDate, dataset.StudyTime = "20260102", "101112"
    dataset.StudyID, dataset.AccessionNumber = "S1", "A1"
    dataset.ReferringPhysicianName = ""
    dataset.Modality = "OSS"
    dataset.SeriesNumber, dataset.InstanceNumber, dataset.AcquisitionNumber = 1, 1, 1
    dataset.BodyPartExamined = "FACE"
    dataset.ReferencedSurfaceDataSequence = []
    dataset.FrameOfReferenceUID = "1.2.3.99"
    dataset.PositionReferenceIndicator = ""
    dataset.Manufacturer, dataset.ManufacturerModelName = "Scanner maker", "Scanner"
    dataset.DeviceSerialNumber, dataset.SoftwareVersions = "7", "1"
    dataset.AcquisitionDateTime = "20260102101112"
    dataset.SurfaceScanAcquisitionTypeCodeSequence = [code("114204", "DCM", "Pattern Projection")]
    dataset.SurfaceScanModeCodeSequence = []
    dataset.ShotDurationTime = 0.5
    return dataset


def mesh_scan(*items: Dataset, sop_class: str = MESH) -> Dataset:
    """A Surface Scan Mesh of some surfaces."""
    dataset = scan(sop_class)
    dataset.NumberOfSurfaces = len(items)
    dataset.SurfaceSequence = list(items)
    return dataset


def cloud_scan(points: np.ndarray, normals: np.ndarray | None = None) -> Dataset:
    """A Surface Scan Point Cloud."""
    dataset = scan(POINT_CLOUD)
    dataset.SurfacePointsSequence = [points_item(points)]
    if normals is not None:
        dataset.SurfacePointsNormalsSequence = [normals_item(normals)]
    return dataset


def saved(dataset: Dataset, path: Path, transfer_syntax: str = ExplicitVRLittleEndian) -> Path:
    """Write it as a Part 10 file."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = transfer_syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.save_as(path, enforce_file_format=True)
    return path
