"""Writes a photograph as a VL Photographic Image (PS3.3 A.32.4)."""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit
from pydicom.valuerep import DSfloat

from dicom_nodes.objects.coded_entries import private_scheme_item
from dicom_nodes.objects.compressed_frames import StreamSize
from dicom_nodes.objects.content_keyed_uids import content_key, content_uid
from dicom_nodes.objects.foreign_values import foreign_values
from dicom_nodes.objects.picture_file import PictureFile, read_picture_file
from dicom_nodes.objects.pixels import add_pixel_description, add_rgb_pixels
from dicom_nodes.objects.sop_classes import VL_PHOTOGRAPHIC_IMAGE
from dicom_nodes.objects.study_context import StudyIdentity, apply_identity, study_time_of
from dicom_nodes.objects.views import write_view
from dicom_nodes.objects.written_object import (
    WRAPPING_MANUFACTURER,
    WrittenObject,
    add_creation,
    add_wrapping,
    clean_text,
    software_version,
    write_file,
)
from processing.inputs import Expression, View

PHOTOGRAPH_SERIES_NUMBER: Final = 1
TEXTURE_SERIES_NUMBER: Final = 3
_EXIF_NUMBERS: Final = {
    "ExposureTime": "ExposureTimeInSeconds",
    "FNumber": "FNumber",
    "FocalLength": "FocalLength",
}


def write_vl_photograph(
    picture: bytes | NDArray[np.uint8],
    identity: StudyIdentity,
    out: Path,
    *,
    made_at: datetime,
    view: View | None = None,
    expression: Expression | None = None,
    pixel_spacing_mm: float | None = None,
    series_number: int = PHOTOGRAPH_SERIES_NUMBER,
    instance_number: int = 1,
    series_description: str = "Photographs of the face",
) -> WrittenObject:
    """Wrap a photograph.

    A baseline JPEG that is upright keeps every coded coefficient and its ICC profile;
    its metadata segments, with the place where it was taken, are left out. Anything
    else is turned upright as its EXIF says, a mirroring camera's mirroring too, and
    stored in sRGB without compression, marked as lossy where it came from a lossy file.

    Parameters
    ----------
    picture : bytes or (rows, columns, 3) uint8 array
        A file (JPEG, PNG, TIFF, HEIC ...), or sRGB pixels.
    identity : StudyIdentity
        New, or `identity_of` an object of an existing study.
    out : Path
        The file to write.
    made_at : datetime
        When it was wrapped; the time it was taken is in the EXIF.
    view, expression : optional
        As known to who took it.
    pixel_spacing_mm : float, optional
        Size of a pixel at the face, where a scale was in the picture.
    series_number, instance_number : int
    series_description : str

    Returns
    -------
    WrittenObject
        The same picture in the same study has the same UIDs.

    Raises
    ------
    RejectedInput
        If the file is no picture, is damaged or too large.
    ValueError
        If the array is of another form.
    OSError
        If the file cannot be written.
    """
    if isinstance(picture, bytes):
        source = read_picture_file(picture)
        digest = hashlib.sha256(picture).hexdigest()
    else:
        source = PictureFile(pixels=np.ascontiguousarray(picture))
        digest = hashlib.sha256(repr(picture.shape).encode() + source.pixels.tobytes()).hexdigest()
    wrapped = [digest, identity.study_instance_uid]
    described = f"{view} {expression} {pixel_spacing_mm} {instance_number}"
    key = content_key(wrapped, "wrap-photograph", software_version(), described)

    dataset = Dataset()
    dataset.SOPClassUID = VL_PHOTOGRAPHIC_IMAGE
    dataset.SOPInstanceUID = content_uid(key, "photograph")
    dataset.SeriesInstanceUID = content_uid(
        content_key([identity.study_instance_uid], "wrap-photograph", str(series_number)),
        "photograph-series",
    )
    dataset.SeriesNumber = series_number
    dataset.InstanceNumber = instance_number
    dataset.SeriesDescription = clean_text(series_description, 64)
    dataset.Modality = "XC"
    dataset.BodyPartExamined = "FACE"
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    dataset.BurnedInAnnotation = "NO"
    dataset.RecognizableVisualFeatures = "YES"
    write_view(dataset, view, expression)
    if expression not in (None, Expression.REPOSE, Expression.SMILE):
        dataset.CodingSchemeIdentificationSequence = DicomSequence([private_scheme_item()])
    if pixel_spacing_mm is not None:
        dataset.PixelSpacing = [DSfloat(pixel_spacing_mm, auto_format=True)] * 2
    moment = study_time_of(made_at, identity)
    add_creation(dataset, moment)
    add_wrapping(dataset, moment)
    _add_camera(dataset, source.exif)
    syntax = _add_pixels(dataset, source)
    apply_identity(dataset, identity)
    with foreign_values():
        return write_file(dataset, out, syntax)


def _add_pixels(dataset: Dataset, source: PictureFile) -> str:
    """Add the pixels, and answer the transfer syntax they are in."""
    if source.lossy_method is None:
        dataset.LossyImageCompression = "00"
    else:
        dataset.LossyImageCompression = "01"
        dataset.LossyImageCompressionRatio = f"{max(source.lossy_ratio, 1.0):.2f}"
        dataset.LossyImageCompressionMethod = source.lossy_method
    if source.baseline_jpeg is None or source.stream is None:
        add_rgb_pixels(dataset, source.pixels)
        return str(ExplicitVRLittleEndian)
    stream = source.stream
    add_pixel_description(dataset, stream.rows, stream.columns, samples=stream.samples)
    dataset.PhotometricInterpretation = _photometric_interpretation(stream)
    if source.icc_profile is not None:
        dataset.ICCProfile = source.icc_profile
    dataset.add_new("PixelData", "OB", encapsulate([source.baseline_jpeg]))
    dataset["PixelData"].is_undefined_length = True
    return str(JPEGBaseline8Bit)


def _photometric_interpretation(stream: StreamSize) -> str:
    """What the components of a baseline JPEG are, as decoders guess it.

    The VL Image module (PS3.3 C.8.12.1) has no YBR_FULL, so a stream without
    subsampling is YBR_FULL_422 too; its own header tells the decoder.
    """
    if stream.samples == 1:
        return "MONOCHROME2"
    is_rgb = stream.adobe_transform == 0 or (
        stream.adobe_transform is None
        and not stream.is_jfif
        and stream.component_ids == (ord("R"), ord("G"), ord("B"))
    )
    return "RGB" if is_rgb else "YBR_FULL_422"


def _add_camera(dataset: Dataset, exif: Any) -> None:
    """The camera's words (VL Photographic Equipment and Acquisition modules)."""
    dataset.Manufacturer = _word(exif.get("Make")) or WRAPPING_MANUFACTURER
    if model := _word(exif.get("Model")):
        dataset.ManufacturerModelName = model
    for name, keyword in _EXIF_NUMBERS.items():
        number = _number(exif.get(name))
        if number is not None:
            setattr(dataset, keyword, DSfloat(number, auto_format=True))
    sensitivity = _number(exif.get("ISOSpeedRatings"))
    if sensitivity is not None and sensitivity == int(sensitivity) and sensitivity < 2**31:
        dataset.PhotographicSensitivity = str(int(sensitivity))
    taken = _word(exif.get("DateTimeOriginal"))
    try:
        moment = datetime.strptime(taken, "%Y:%m:%d %H:%M:%S")  # noqa: DTZ007 - EXIF has no zone
    except ValueError:
        return
    dataset.AcquisitionDateTime = moment.strftime("%Y%m%d%H%M%S")
    dataset.ContentDate = moment.strftime("%Y%m%d")
    dataset.ContentTime = moment.strftime("%H%M%S")


def _word(value: object) -> str:
    return clean_text(value, 64) if isinstance(value, str) else ""


def _number(value: Any) -> float | None:
    """A positive EXIF number; a hostile one may be no number or a fraction of zero."""
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return number if 0 < number < 1e9 else None
