"""DICOM files for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEGBaseline8Bit

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
STUDY, SERIES = "1.2.276.0.99.1", "1.2.276.0.99.1.1"


def write_instance(
    folder: Path,
    number: int,
    *,
    transfer_syntax: UID = ExplicitVRLittleEndian,
    sop_class: str = SECONDARY_CAPTURE,
    rows: int = 64,
) -> Path:
    """A small secondary capture; its SOP Instance UID ends with `number`."""
    folder.mkdir(parents=True, exist_ok=True)
    instance = Dataset()
    instance.SOPClassUID = sop_class
    instance.SOPInstanceUID = f"{SERIES}.{number}"
    instance.StudyInstanceUID = STUDY
    instance.SeriesInstanceUID = SERIES
    instance.PatientID = "TEST"
    instance.PatientName = "Test^Face"
    instance.Modality = "OT"
    instance.ConversionType = "WSD"
    instance.Rows = instance.Columns = rows
    instance.SamplesPerPixel = 1
    instance.PhotometricInterpretation = "MONOCHROME2"
    instance.BitsAllocated = instance.BitsStored = 8
    instance.HighBit = 7
    instance.PixelRepresentation = 0
    pixels = np.random.default_rng(number).integers(0, 255, rows * rows, np.uint8).tobytes()
    if transfer_syntax == JPEGBaseline8Bit:
        # Enough for those that carry it: start and end of a JPEG, no picture.
        instance.PixelData = encapsulate([b"\xff\xd8" + pixels[:500] + b"\xff\xd9"])
        instance["PixelData"].is_undefined_length = True
    else:
        instance.PixelData = pixels
    instance["PixelData"].VR = "OB"
    instance.file_meta = FileMetaDataset()
    instance.file_meta.TransferSyntaxUID = transfer_syntax
    path = folder / f"{number:04}.dcm"
    instance.save_as(path, enforce_file_format=True)
    return path
