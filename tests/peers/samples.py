"""Small objects that are right, made without this project's own writers.

The tests of the validators plant an error into each; the tests of the peers send them.
"""

from __future__ import annotations

import io
from pathlib import Path

import highdicom as hd
import numpy as np
from highdicom import sr
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sr.codedict import codes
from pydicom.uid import (
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    VLPhotographicImageStorage,
    generate_uid,
)


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """An item of a code sequence."""
    item = Dataset()
    item.CodeValue = value
    item.CodingSchemeDesignator = scheme
    item.CodeMeaning = meaning
    return item


def photograph(study_uid: str | None = None, *, jpeg: bool = False) -> Dataset:
    """A VL Photographic Image of a grey gradient, in a study of its own unless one is named."""
    study_uid = study_uid or generate_uid()
    pixels = np.tile(np.arange(64, dtype=np.uint8)[:, None, None], (1, 48, 3))
    dataset = Dataset()
    dataset.SOPClassUID = VLPhotographicImageStorage
    dataset.SOPInstanceUID = generate_uid()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    dataset.StudyDate = dataset.ContentDate = dataset.AcquisitionDateTime = "20260102"
    dataset.StudyTime = dataset.ContentTime = "101112"
    dataset.AccessionNumber = "A1"
    dataset.Modality = "XC"
    dataset.Manufacturer = "sample"
    dataset.ReferringPhysicianName = ""
    dataset.AnatomicRegionSequence = [code("774007", "SCT", "Head and Neck")]
    dataset.PatientName = "Sample^Face"
    dataset.PatientID = "P1"
    dataset.PatientBirthDate = "19700101"
    dataset.PatientSex = "F"
    dataset.StudyInstanceUID = study_uid
    dataset.SeriesInstanceUID = generate_uid()
    dataset.StudyID = "1"
    dataset.SeriesNumber = dataset.InstanceNumber = 1
    dataset.PatientOrientation = ["L", "F"]
    dataset.ImageLaterality = "U"
    dataset.BurnedInAnnotation = "NO"
    dataset.LossyImageCompression = "00"
    dataset.AcquisitionContextSequence = []
    dataset.SamplesPerPixel = 3
    dataset.PhotometricInterpretation = "RGB"
    dataset.PlanarConfiguration = 0
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit = 7
    dataset.PixelRepresentation = 0
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.PixelData = pixels.tobytes()
    if jpeg:
        encoded = io.BytesIO()
        Image.fromarray(pixels).save(encoded, "JPEG")
        dataset.PhotometricInterpretation = "YBR_FULL_422"
        dataset.LossyImageCompression = "01"
        dataset.LossyImageCompressionRatio = f"{pixels.nbytes / len(encoded.getvalue()):.2f}"
        dataset.LossyImageCompressionMethod = "ISO_10918_1"
        dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
        dataset.PixelData = encapsulate([encoded.getvalue()])
        dataset["PixelData"].VR = "OB"
    return dataset


def measurement_report(image: Dataset) -> sr.Comprehensive3DSR:
    """A TID 1500 report with one distance measured on an image."""
    person = sr.PersonObserverIdentifyingAttributes(name="Sample^Reader")
    context = sr.ObservationContext(
        observer_person_context=sr.ObserverContext(
            observer_type=codes.DCM.Person, observer_identifying_attributes=person
        )
    )
    group = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(uid=generate_uid(), identifier="mouth"),
        source_images=[
            sr.SourceImageForMeasurementGroup.from_source_image(image),
        ],
        measurements=[
            sr.Measurement(
                name=codes.SCT.Length, value=51.5, unit=codes.UCUM.Millimeter,
            )
        ],
    )  # fmt: skip
    content = sr.MeasurementReport(
        observation_context=context,
        procedure_reported=codes.LN.CTUnspecifiedBodyRegion,
        imaging_measurements=[group],
        title=codes.DCM.ImagingMeasurementReport,
    )
    return sr.Comprehensive3DSR(
        evidence=[image],
        content=content,
        series_number=2,
        series_instance_uid=hd.UID(),
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer="sample",
        institution_name="sample",
        is_complete=True,
        is_verified=False,
    )


def written(dataset: Dataset, path: Path) -> Path:
    """Write a dataset as a DICOM file and return the path."""
    dataset.save_as(path, enforce_file_format=True)
    return path
