"""Writes a picture of an analysis as a Secondary Capture, which every PACS shows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence

from dicom_nodes.objects.content_keyed_uids import content_uid
from dicom_nodes.objects.foreign_values import foreign_values
from dicom_nodes.objects.header import InstanceHeader
from dicom_nodes.objects.pixels import add_rgb_pixels
from dicom_nodes.objects.report_document import read_sources
from dicom_nodes.objects.sop_classes import SECONDARY_CAPTURE, STRUCTURED_REPORTS
from dicom_nodes.objects.study_context import (
    apply_identity,
    study_time_of,
)
from dicom_nodes.objects.written_object import (
    RESEARCH_USE,
    WrittenObject,
    add_creation,
    add_own_equipment,
    clean_text,
    write_file,
)
from processing.measurement import Analysis, Picture

PICTURE_SERIES_NUMBER: Final = 9102


def write_secondary_capture(
    picture: Picture,
    analysis: Analysis,
    sources: Sequence[Path],
    out: Path,
    *,
    key: str,
    made_at: datetime,
    number: int,
    series_number: int = PICTURE_SERIES_NUMBER,
) -> WrittenObject:
    """Write a picture; all pictures with one key are in one series.

    The same arguments make the same bytes.

    Parameters
    ----------
    picture : Picture
    analysis : Analysis
        What it shows.
    sources : sequence of Path
        The objects the analysis was made from; patient and study are of the first.
    out : Path
        The file to write.
    key : str
        From `content_key`; the UIDs follow from it and from `number`.
    made_at : datetime
    number : int
        Instance Number, from 1.
    series_number : int

    Returns
    -------
    WrittenObject

    Raises
    ------
    RejectedInput
        If no source can be referred to.
    ValueError
        If the picture is no (rows, columns, 3) uint8 array.
    OSError
        If the file cannot be written.
    """
    found = read_sources(sources)
    dataset = Dataset()
    dataset.SOPClassUID = SECONDARY_CAPTURE
    dataset.SOPInstanceUID = content_uid(key, f"picture-{number}")
    dataset.SeriesInstanceUID = content_uid(key, "picture-series")
    dataset.SeriesNumber = series_number
    dataset.InstanceNumber = number
    dataset.Modality = "OT"
    dataset.ConversionType = "WSD"
    dataset.ImageType = ["DERIVED", "SECONDARY"]
    dataset.BodyPartExamined = "FACE"
    dataset.PatientOrientation = None
    dataset.SeriesDescription = clean_text(f"hemiface {analysis.analysis} pictures", 64)
    dataset.ImageComments = clean_text(picture.caption, 1024, is_single_valued=False)
    dataset.DerivationDescription = clean_text(
        f"{analysis.analysis} {analysis.version}: {picture.name}. {RESEARCH_USE}",
        1024,
        is_single_valued=False,
    )
    dataset.SourceImageSequence = DicomSequence(
        [
            _reference(each)
            for each in found.headers
            if each.sop_class_uid not in STRUCTURED_REPORTS  # a reviewer's landmarks
        ]
    )
    dataset.BurnedInAnnotation = "NO"
    dataset.RecognizableVisualFeatures = "YES"
    dataset.ContentQualification = "RESEARCH"
    add_rgb_pixels(dataset, np.ascontiguousarray(picture.pixels))
    _add_capture_equipment(dataset)
    add_creation(dataset, study_time_of(made_at, found.identity))
    apply_identity(dataset, found.identity)
    with foreign_values():
        return write_file(dataset, out)


def _add_capture_equipment(dataset: Dataset) -> None:
    add_own_equipment(dataset)
    dataset.SecondaryCaptureDeviceManufacturer = dataset.Manufacturer
    dataset.SecondaryCaptureDeviceManufacturerModelName = dataset.ManufacturerModelName
    dataset.SecondaryCaptureDeviceSoftwareVersions = dataset.SoftwareVersions


def _reference(header: InstanceHeader) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = header.sop_class_uid
    item.ReferencedSOPInstanceUID = header.sop_instance_uid
    return item
