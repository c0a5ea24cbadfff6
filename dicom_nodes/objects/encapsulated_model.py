"""Writes a mesh file as Encapsulated STL or Encapsulated OBJ (PS3.3 A.85.1, A.85.2)."""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path
from typing import Final

from pydicom.dataset import Dataset

from dicom_nodes.objects.coded_entries import code_item
from dicom_nodes.objects.codes import unit_code
from dicom_nodes.objects.content_keyed_uids import content_key, content_uid
from dicom_nodes.objects.foreign_values import foreign_values
from dicom_nodes.objects.header import is_valid_uid
from dicom_nodes.objects.sop_classes import ENCAPSULATED_MODELS
from dicom_nodes.objects.study_context import StudyIdentity, apply_identity, study_time_of
from dicom_nodes.objects.written_object import (
    WRAPPING_MANUFACTURER,
    WrittenObject,
    add_creation,
    add_wrapping,
    clean_text,
    software_version,
    write_file,
)
from processing.measurement import RejectedInput

LARGEST_DOCUMENT_BYTES: Final = 0xFFFFFFFE
_CLASSES: Final = {media: uid for uid, media in ENCAPSULATED_MODELS.items()}


def write_encapsulated_model(
    data: bytes,
    media: str,
    identity: StudyIdentity,
    out: Path,
    *,
    made_at: datetime,
    unit: str | None,
    frame: str | None = None,
    title: str = "Surface scan of the face",
    manufacturer: str = WRAPPING_MANUFACTURER,
    model_name: str = "unknown",
    serial_number: str = "unknown",
    series_number: int = 2,
    instance_number: int = 1,
) -> WrittenObject:
    """Wrap a mesh file as it is, in its own coordinates.

    Parameters
    ----------
    data : bytes
        An STL or OBJ file.
    media : str
        ``"stl"`` or ``"obj"``.
    identity : StudyIdentity
        New, or `identity_of` an object of an existing study.
    out : Path
        The file to write.
    made_at : datetime
        When it was wrapped.
    unit : str or None
        UCUM unit of the coordinates; None where it is not known.
    frame : str, optional
        Frame of Reference UID; one of its own where not given.
    title : str
    manufacturer, model_name, serial_number : str
        The scanner, where it is known.
    series_number, instance_number : int

    Returns
    -------
    WrittenObject
        The same file in the same study has the same UIDs.

    Raises
    ------
    RejectedInput
        If the file is empty or too large, or the frame is no UID.
    PermanentFault
        If the unit has no code.
    ValueError
        If `media` is another.
    OSError
        If the file cannot be written.
    """
    if media not in _CLASSES:
        raise ValueError(f"media is 'stl' or 'obj', not '{media}'")
    if not 0 < len(data) <= LARGEST_DOCUMENT_BYTES:
        raise RejectedInput(f"The {media.upper()} file has {len(data)} bytes.")
    if frame is not None and not is_valid_uid(frame):
        raise RejectedInput(f"Frame of Reference UID '{clean_text(frame, 64)}' is no valid UID.")
    digest = hashlib.sha256(data).hexdigest()
    described = f"{media} {unit} {frame} {instance_number}"
    wrapped = [digest, identity.study_instance_uid]
    key = content_key(wrapped, "wrap-model", software_version(), described)

    dataset = Dataset()
    dataset.SOPClassUID = _CLASSES[media]
    dataset.SOPInstanceUID = content_uid(key, "model")
    dataset.SeriesInstanceUID = content_uid(
        content_key([identity.study_instance_uid, digest], "wrap-model", str(series_number)),
        "model-series",
    )
    dataset.SeriesNumber = series_number
    dataset.SeriesDescription = clean_text(title, 64)
    dataset.InstanceNumber = instance_number
    dataset.Modality = "M3D"
    dataset.FrameOfReferenceUID = frame or content_uid(key, "frame")
    dataset.PositionReferenceIndicator = ""
    dataset.Manufacturer = clean_text(manufacturer, 64) or WRAPPING_MANUFACTURER
    dataset.ManufacturerModelName = clean_text(model_name, 64) or "unknown"
    dataset.DeviceSerialNumber = clean_text(serial_number, 64) or "unknown"
    dataset.SoftwareVersions = software_version()
    dataset.ImageLaterality = "B"
    dataset.AcquisitionDateTime = ""
    dataset.BurnedInAnnotation = "NO"
    dataset.RecognizableVisualFeatures = "YES"
    dataset.DocumentTitle = clean_text(title, 1024, is_single_valued=False)
    dataset.ConceptNameCodeSequence = []
    dataset.MIMETypeOfEncapsulatedDocument = f"model/{media}"
    dataset.EncapsulatedDocumentLength = len(data)
    dataset.MeasurementUnitsCodeSequence = [code_item(unit_code(unit or "1"))]
    dataset.ModelModification = "NO"
    dataset.ModelMirroring = "NO"
    padded = data if len(data) % 2 == 0 else data + b"\0"
    dataset.add_new("EncapsulatedDocument", "OB", padded)
    moment = study_time_of(made_at, identity)
    add_creation(dataset, moment)
    add_wrapping(dataset, moment)
    apply_identity(dataset, identity)
    with foreign_values():
        return write_file(dataset, out)
