"""Reads Encapsulated STL and Encapsulated OBJ: the file inside, its unit and its frame."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydicom import dcmread
from pydicom.dataset import Dataset

from dicom_nodes.objects.coded_entries import code_of
from dicom_nodes.objects.foreign_values import FOREIGN_VALUE_FAULTS, foreign_values
from dicom_nodes.objects.header import is_valid_uid, read_header
from dicom_nodes.objects.sop_classes import ENCAPSULATED_MODELS
from processing.measurement import RejectedInput

LARGEST_MODEL_BYTES: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class EncapsulatedModel:
    """A mesh as a file, taken out of its DICOM object.

    Parameters
    ----------
    data : bytes
        The file, without padding where the object states its length.
    media : str
        ``"stl"`` or ``"obj"``.
    unit : str, optional
        UCUM code of Measurement Units Code Sequence; None where none is stated.
    frame : str, optional
        Frame of Reference UID.
    source : str
        SOP Instance UID.
    """

    data: bytes = field(repr=False)
    media: str
    unit: str | None
    frame: str | None
    source: str


def read_encapsulated_model(path: Path) -> EncapsulatedModel:
    """Read an Encapsulated STL or OBJ object; the mesh itself is decoded elsewhere.

    Raises
    ------
    RejectedInput
        If it is another object, is damaged, holds nothing or more than
        `LARGEST_MODEL_BYTES`, or its unit is no UCUM unit.
    """
    header = read_header(path)
    media = ENCAPSULATED_MODELS.get(header.sop_class_uid)
    if media is None:
        raise RejectedInput(
            f"SOP class {header.sop_class_uid} is no surface scan that is read; send an "
            "Encapsulated STL or Encapsulated OBJ."
        )
    if path.stat().st_size > LARGEST_MODEL_BYTES:
        raise RejectedInput(
            f"The object is larger than {LARGEST_MODEL_BYTES} bytes. Send a coarser mesh."
        )
    try:
        with foreign_values():
            dataset = dcmread(path)
            data = _document(dataset)
            unit = _unit(dataset)
    except FOREIGN_VALUE_FAULTS as error:
        raise RejectedInput(
            f"The encapsulated model cannot be read ({error}). Send the object again."
        ) from error
    frame = header.frame_of_reference_uid
    return EncapsulatedModel(
        data=data,
        media=media,
        unit=unit,
        frame=frame if is_valid_uid(frame) else None,
        source=header.sop_instance_uid,
    )


def _document(dataset: Dataset) -> bytes:
    data = dataset.get("EncapsulatedDocument")
    if not isinstance(data, bytes) or not data:
        raise RejectedInput("Encapsulated Document (0042,0011) is missing or empty.")
    length = dataset.get("EncapsulatedDocumentLength")
    if length is None:
        return data
    if not 0 < int(length) <= len(data):
        raise RejectedInput(
            f"Encapsulated Document Length (0042,0015) is {int(length)}, but there are "
            f"{len(data)} bytes. Send the object again."
        )
    return data[: int(length)]


def _unit(dataset: Dataset) -> str | None:
    """The unit of length; the code of no unit says that the scale is not known."""
    items = dataset.get("MeasurementUnitsCodeSequence")
    if not items:
        return None
    code = code_of(items[0])
    if code.value in ("", "1"):
        return None
    if code.scheme != "UCUM":
        raise RejectedInput(
            f"Measurement Units Code Sequence (0040,08EA) is in the scheme '{code.scheme}' and "
            "not in UCUM. Correct the object at its sender."
        )
    return code.value
