"""Writes a mesh file as Encapsulated STL, OBJ or MTL (PS3.3 A.85.1 to A.85.3)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final
from urllib.parse import quote

from pydicom.dataset import Dataset

from dicom_nodes.objects.coded_entries import code_item
from dicom_nodes.objects.codes import unit_code
from dicom_nodes.objects.content_keyed_uids import content_key, content_uid
from dicom_nodes.objects.foreign_values import foreign_values
from dicom_nodes.objects.header import is_valid_uid
from dicom_nodes.objects.sop_classes import ENCAPSULATED_MODELS, ENCAPSULATED_MTL, PHOTOGRAPHS
from dicom_nodes.objects.srgb_profile import srgb_profile
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

MODEL_SERIES_NUMBER: Final = 2
LARGEST_DOCUMENT_BYTES: Final = 0xFFFFFFFE
_CLASSES: Final = {media: uid for uid, media in ENCAPSULATED_MODELS.items()} | {
    "mtl": ENCAPSULATED_MTL
}


@dataclass(frozen=True, slots=True)
class NamedReference:
    """An object that stands for a file which the document names so."""

    name: str
    written: WrittenObject


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
    series_number: int = MODEL_SERIES_NUMBER,
    instance_number: int = 1,
    references: Sequence[NamedReference] = (),
) -> WrittenObject:
    """Wrap a mesh file as it is, in its own coordinates.

    Parameters
    ----------
    data : bytes
        An STL, OBJ or MTL file.
    media : str
        ``"stl"``, ``"obj"`` or ``"mtl"``.
    identity : StudyIdentity
        New, or `identity_of` an object of an existing study.
    out : Path
        The file to write.
    made_at : datetime
        When it was wrapped.
    unit : str or None
        UCUM unit of the coordinates; None where it is not known.
    frame : str, optional
        Frame of Reference UID; one of its own where not given. An MTL has none.
    title : str
    manufacturer, model_name, serial_number : str
        The scanner, where it is known.
    series_number, instance_number : int
    references : sequence of NamedReference
        The MTL of an OBJ, the pictures of an MTL; in the same study.

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
        raise ValueError(f"media is 'stl', 'obj' or 'mtl', not '{media}'")
    if not 0 < len(data) <= LARGEST_DOCUMENT_BYTES:
        raise RejectedInput(f"The {media.upper()} file has {len(data)} bytes.")
    if frame is not None and not is_valid_uid(frame):
        raise RejectedInput(f"Frame of Reference UID '{clean_text(frame, 64)}' is no valid UID.")
    digest = hashlib.sha256(data).hexdigest()
    named = [(each.name, each.written.sop_instance_uid) for each in references]
    described = f"{media} {unit} {frame} {instance_number} {named if named else ''}".strip()
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
    if media != "mtl":
        dataset.FrameOfReferenceUID = frame or content_uid(key, "frame")
        dataset.PositionReferenceIndicator = ""
    dataset.Manufacturer = clean_text(manufacturer, 64) or WRAPPING_MANUFACTURER
    dataset.ManufacturerModelName = clean_text(model_name, 64) or "unknown"
    dataset.DeviceSerialNumber = clean_text(serial_number, 64) or "unknown"
    dataset.SoftwareVersions = software_version()
    dataset.MeasurementUnitsCodeSequence = [code_item(unit_code(unit or "1"))]
    dataset.ModelModification = "NO"
    dataset.ModelMirroring = "NO"
    if media != "stl":  # which has no colours
        dataset.ICCProfile = srgb_profile()
    _add_document(dataset, data, media, title)
    _add_references(dataset, references)
    moment = study_time_of(made_at, identity)
    add_creation(dataset, moment)
    add_wrapping(dataset, moment)
    apply_identity(dataset, identity)
    with foreign_values():
        return write_file(dataset, out)


def _add_document(dataset: Dataset, data: bytes, media: str, title: str) -> None:
    """The Encapsulated Document module (PS3.3 C.24.2) without its references."""
    dataset.ImageLaterality = "B"
    dataset.AcquisitionDateTime = ""
    dataset.BurnedInAnnotation = "NO"
    dataset.RecognizableVisualFeatures = "NO" if media == "mtl" else "YES"
    dataset.DocumentTitle = clean_text(title, 1024, is_single_valued=False)
    dataset.ConceptNameCodeSequence = []
    dataset.MIMETypeOfEncapsulatedDocument = f"model/{media}"
    dataset.EncapsulatedDocumentLength = len(data)
    padded = data if len(data) % 2 == 0 else data + b"\0"
    dataset.add_new("EncapsulatedDocument", "OB", padded)


def _add_references(dataset: Dataset, references: Sequence[NamedReference]) -> None:
    """What the document names (PS3.3 C.24.2.4), and in which series it is (C.12.2)."""
    series: dict[str, list[Dataset]] = {}
    for each in references:
        is_image = each.written.sop_class_uid in PHOTOGRAPHS
        keyword = "ReferencedImageSequence" if is_image else "ReferencedInstanceSequence"
        item = _reference(each.written)
        item.RelativeURIReferenceWithinEncapsulatedDocument = quote(each.name)
        setattr(dataset, keyword, [*dataset.get(keyword, ()), item])
        instances = series.setdefault(each.written.series_instance_uid, [])
        instances.append(_reference(each.written))
    if series:
        dataset.ReferencedSeriesSequence = [_series(*each) for each in series.items()]


def _reference(written: WrittenObject) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = written.sop_class_uid
    item.ReferencedSOPInstanceUID = written.sop_instance_uid
    return item


def _series(series_instance_uid: str, instances: Sequence[Dataset]) -> Dataset:
    item = Dataset()
    item.SeriesInstanceUID = series_instance_uid
    item.ReferencedInstanceSequence = list(instances)
    return item
