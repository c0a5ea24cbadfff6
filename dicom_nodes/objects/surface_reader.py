"""Reads Encapsulated STL, OBJ and MTL: the file inside, its unit, frame and references."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final
from urllib.parse import unquote

from pydicom import dcmread
from pydicom.dataset import Dataset

from dicom_nodes.objects.coded_entries import code_of
from dicom_nodes.objects.foreign_values import FOREIGN_VALUE_FAULTS, foreign_values
from dicom_nodes.objects.header import is_valid_uid, read_header
from dicom_nodes.objects.sop_classes import (
    ENCAPSULATED_MODELS,
    ENCAPSULATED_MTL,
    PHOTOGRAPHS,
)
from processing.measurement import RejectedInput

LARGEST_MODEL_BYTES: Final = 1 << 30
MOST_REFERENCES: Final = 200

# Beside damage, a length that was written as an infinite number.
_FAULTS: Final = (*FOREIGN_VALUE_FAULTS, ArithmeticError)

_MEDIA: Final = {**ENCAPSULATED_MODELS, ENCAPSULATED_MTL: "mtl"}
# UCUM codes of length as some write them: the case-insensitive form (UCUM section 3).
_CAPITAL_UNITS: Final = {
    "UM": "um",
    "MM": "mm",
    "CM": "cm",
    "M": "m",
    "[IN_I]": "[in_i]",
    "[FT_I]": "[ft_i]",
}


@dataclass(frozen=True, slots=True)
class EncapsulatedModel:
    """A mesh, or the library of its materials, taken out of its DICOM object.

    Parameters
    ----------
    data : bytes
        The file, without padding where the object states its length.
    media : str
        ``"stl"``, ``"obj"`` or ``"mtl"``.
    unit : str, optional
        UCUM code of Measurement Units Code Sequence; None where none is stated.
    frame : str, optional
        Frame of Reference UID.
    source : str
        SOP Instance UID.
    libraries, pictures : mapping of str to str
        SOP Instance UIDs of the MTL objects and of the images that the file refers to,
        by the name that it calls them (PS3.3 C.24.2.4); ``""`` stands for every name
        where an object gives none.
    """

    data: bytes = field(repr=False)
    media: str
    unit: str | None
    frame: str | None
    source: str
    libraries: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    pictures: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


def read_encapsulated_model(path: Path) -> EncapsulatedModel:
    """Read an Encapsulated STL, OBJ or MTL object; what is inside is decoded elsewhere.

    Raises
    ------
    RejectedInput
        If it is another object, is damaged, holds nothing or more than
        `LARGEST_MODEL_BYTES`, or its unit is no UCUM unit.
    """
    header = read_header(path)
    media = _MEDIA.get(header.sop_class_uid)
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
            references = list(_references(dataset))
    except _FAULTS as error:
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
        libraries={name: uid for sop, uid, name in references if sop == ENCAPSULATED_MTL},
        pictures={name: uid for sop, uid, name in references if sop in PHOTOGRAPHS},
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
    return _CAPITAL_UNITS.get(code.value, code.value)


def _references(dataset: Dataset) -> Iterator[tuple[str, str, str]]:
    """SOP class, SOP instance and name of what the document refers to."""
    for keyword in ("ReferencedInstanceSequence", "ReferencedImageSequence"):
        for item in list(dataset.get(keyword) or ())[:MOST_REFERENCES]:
            uid = str(item.get("ReferencedSOPInstanceUID") or "")
            name = str(item.get("RelativeURIReferenceWithinEncapsulatedDocument") or "")
            if uid:
                yield str(item.get("ReferencedSOPClassUID") or ""), uid, unquote(name)
