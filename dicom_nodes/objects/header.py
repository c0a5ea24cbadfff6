"""The header of an instance, read without its pixels and without trust."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from dicom_nodes.objects.character_sets import (
    as_ascii,
    declared_character_sets,
    decode_text,
    display_text,
    without_controls,
)
from dicom_nodes.objects.file_structure import FileStructure, read_structure, uid_text
from dicom_nodes.objects.foreign_dataset import ForeignDataset
from dicom_nodes.objects.foreign_values import FOREIGN_VALUE_FAULTS, foreign_values
from dicom_nodes.objects.instance_references import (
    UV_MAPPING,
    has_references,
    large_references,
    referenced_instances,
    segmented_properties,
)
from dicom_nodes.objects.landmark_edits import edits_of
from dicom_nodes.objects.surface_edits import surface_edits_of
from dicom_nodes.objects.view_evidence import Words, read_expression, read_view
from dicom_nodes.objects.written_object import OWN_MANUFACTURER
from processing.inputs import Expression, View
from processing.measurement import RejectedInput

SPECIFIC_CHARACTER_SET: Final = 0x00080005
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,11}", re.ASCII)
_UID: Final = re.compile(r"[0-9]+(\.[0-9]+)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class InstanceHeader:
    """What the catalogue wants to know of an instance.

    Texts are in Unicode, without padding and control characters, and empty where
    the object does not have them. `patient_name` is empty where its bytes cannot be
    decoded; other texts then show their bytes in ASCII escapes. UIDs are checked
    by `read_header` only. `source_ae_title` is that of the peer which sent it, as the
    file meta information says. `media_type` is that of an encapsulated document.
    `edited_photographs` are the UIDs of photographs on which a person placed landmarks
    in this report, `edited_surfaces` those of surface scans. `is_own` tells a result of
    hemiface, not an object that it wrapped and not a report of its own that a person
    edited. `referenced_instances` are the textures, libraries and scans that a surface scan
    refers to, `segmented_properties` the SNOMED CT codes of what a segmentation is of,
    `requested_procedure_ids` name the procedures that it was made for.
    `series_number` and `instance_number` are None where they are not known.
    """

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    study_instance_uid: str
    series_instance_uid: str
    patient_id: str
    issuer_of_patient_id: str
    patient_name: str
    birth_date: str
    sex: str
    accession_number: str
    study_date: str
    study_time: str
    study_id: str
    study_description: str
    modality: str
    series_description: str
    requested_procedure_priority: str
    manufacturer: str
    view: View | None
    expression: Expression | None
    station_name: str
    source_ae_title: str
    frame_of_reference_uid: str
    rows: int
    columns: int
    number_of_frames: int
    media_type: str
    edited_photographs: tuple[str, ...]
    edited_surfaces: tuple[str, ...]
    is_own: bool
    referenced_instances: tuple[str, ...] = ()
    segmented_properties: tuple[str, ...] = ()
    referring_physician: str = ""
    series_number: int | None = None
    instance_number: int | None = None
    requested_procedure_ids: tuple[str, ...] = ()


def is_valid_uid(text: str) -> bool:
    """Whether a text is a UID: at most 64 characters, numbers joined by dots (PS3.5 section 9).

    A component may begin with a zero, which the standard forbids and some writers do.
    """
    return len(text) <= 64 and _UID.fullmatch(text) is not None


def read_header(path: Path) -> InstanceHeader:
    """Read the header of a Part 10 file.

    Parameters
    ----------
    path : Path

    Returns
    -------
    InstanceHeader

    Raises
    ------
    RejectedInput
        If the file is not DICOM, is truncated, lacks a valid UID, or names another
        SOP class in its dataset than in its file meta information.
    """
    header, fault = inspect(path)
    if header is None or fault is not None:
        raise RejectedInput(fault or "It is not a DICOM file.")
    return header


def inspect(path: Path) -> tuple[InstanceHeader | None, str | None]:
    """Read as much of a header as there is, and say what is wrong with the object.

    Returns
    -------
    header : InstanceHeader or None
        None where nothing can be read. Its UIDs may be empty or invalid.
    fault : str or None
        Why `read_header` would refuse the object; None where it would not. A
        truncated file whose Study Instance UID is valid can so be shown in its
        study, with the reason.
    """
    try:
        structure = read_structure(path)
    except RejectedInput as rejection:
        return None, str(rejection)
    header = header_of(structure)
    if has_references(header.sop_class_uid) and _is_not_kept(structure, UV_MAPPING):
        also = dict.fromkeys((*header.referenced_instances, *large_references(path)))
        header = replace(header, referenced_instances=tuple(also))
    return header, structure.fault or _identification_fault(header, structure)


def header_of(structure: FileStructure) -> InstanceHeader:
    """The header of a file whose structure was read."""
    view, expression = _view_and_expression(structure)
    edited = tuple(dict.fromkeys(each.photograph.partition("#")[0] for each in edits_of(structure)))
    on_surface = surface_edits_of(structure)
    edited_surfaces = () if on_surface is None else (on_surface.surface,)
    manufacturer = _text(structure, 0x00080070)
    sop_class_uid = _uid(structure, 0x00080016)
    references, segmented = _references(structure, sop_class_uid)
    return InstanceHeader(
        sop_class_uid=sop_class_uid,
        sop_instance_uid=_uid(structure, 0x00080018),
        transfer_syntax_uid=structure.transfer_syntax_uid,
        study_instance_uid=_uid(structure, 0x0020000D),
        series_instance_uid=_uid(structure, 0x0020000E),
        patient_id=_text(structure, 0x00100020),
        issuer_of_patient_id=_text(structure, 0x00100021),
        patient_name=display_text(structure.value(0x00100010), character_sets(structure), "PN"),
        birth_date=_text(structure, 0x00100030),
        sex=_text(structure, 0x00100040),
        accession_number=_text(structure, 0x00080050),
        study_date=_text(structure, 0x00080020),
        study_time=_text(structure, 0x00080030),
        study_id=_text(structure, 0x00200010),
        study_description=_text(structure, 0x00081030),
        modality=_text(structure, 0x00080060),
        series_description=_text(structure, 0x0008103E),
        requested_procedure_priority=_text(structure, 0x00401003),
        manufacturer=manufacturer,
        view=view,
        expression=expression,
        station_name=_text(structure, 0x00081010),
        source_ae_title=uid_text(structure.file_meta.get(0x00020016, b"")).strip(),
        frame_of_reference_uid=_uid(structure, 0x00200052),
        rows=_unsigned_short(structure, 0x00280010),
        columns=_unsigned_short(structure, 0x00280011),
        number_of_frames=_number_of_frames(structure),
        media_type=_text(structure, 0x00420012),
        edited_photographs=edited,
        edited_surfaces=edited_surfaces,
        is_own=manufacturer == OWN_MANUFACTURER and not (edited or edited_surfaces),
        referenced_instances=references,
        segmented_properties=segmented,
        referring_physician=display_text(
            structure.value(0x00080090), character_sets(structure), "PN"
        ),
        series_number=_integer(structure, 0x00200011),
        instance_number=_integer(structure, 0x00200013),
        requested_procedure_ids=_requested_procedures(structure),
    )


def character_sets(structure: FileStructure) -> tuple[str, ...]:
    """The Specific Character Set of a file."""
    return declared_character_sets(structure.value(SPECIFIC_CHARACTER_SET))


def _identification_fault(header: InstanceHeader, structure: FileStructure) -> str | None:
    for name, value in (
        ("SOP Class UID (0008,0016)", header.sop_class_uid),
        ("SOP Instance UID (0008,0018)", header.sop_instance_uid),
        ("Study Instance UID (0020,000D)", header.study_instance_uid),
        ("Series Instance UID (0020,000E)", header.series_instance_uid),
    ):
        if not value:
            return f"{name} is missing. Correct the object at its sender."
        if not is_valid_uid(value):
            shown = as_ascii(without_controls(value))[:64]
            return f"{name} is no valid UID: '{shown}'. Correct the object at its sender."
    stated = uid_text(structure.file_meta.get(0x00020002, b""))
    if stated and stated != header.sop_class_uid:
        return (
            f"The dataset is of SOP class {header.sop_class_uid}, but the file meta "
            f"information says {as_ascii(without_controls(stated))[:64]}. "
            "Correct the object at its sender."
        )
    return None


def _uid(structure: FileStructure, tag: int) -> str:
    return uid_text(structure.value(tag))


def _text(structure: FileStructure, tag: int) -> str:
    value = structure.value(tag)
    if decode_text(value, character_sets(structure)) is None:
        return without_controls(value.decode("ascii", "backslashreplace")).strip()
    return display_text(value, character_sets(structure))


def _unsigned_short(structure: FileStructure, tag: int) -> int:
    element = structure.elements.get(tag)
    value = structure.value(tag)
    if element is None or len(value) != 2:
        return 0
    return int.from_bytes(value, "little" if element.is_little_endian else "big")


def _number_of_frames(structure: FileStructure) -> int:
    text = structure.value(0x00280008).decode("ascii", "replace").strip("\0 ")
    return max(1, int(text)) if text.isascii() and text.isdigit() and len(text) < 10 else 1


def _integer(structure: FileStructure, tag: int) -> int | None:
    """The value of an Integer String (PS3.5, section 6.2), if it is one."""
    text = structure.value(tag).decode("ascii", "replace").strip("\0 ")
    return int(text) if _INTEGER.fullmatch(text) and -(2**31) <= int(text) < 2**31 else None


def _is_not_kept(structure: FileStructure, tag: int) -> bool:
    element = structure.elements.get(tag)
    return element is not None and element.value is None


def _references(
    structure: FileStructure, sop_class_uid: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if not has_references(sop_class_uid):
        return (), ()
    dataset = structure.dataset()
    try:
        with foreign_values():
            return referenced_instances(dataset), segmented_properties(dataset)
    except FOREIGN_VALUE_FAULTS:
        # Without its references a scan is read without texture.
        return (), ()


def _requested_procedures(structure: FileStructure) -> tuple[str, ...]:
    """Requested Procedure IDs, at the top or in Request Attributes Sequence (0040,0275)."""
    dataset = ForeignDataset(structure.dataset(), character_sets(structure))
    try:
        found = [
            each.text("RequestedProcedureID")
            for each in (dataset, *dataset.items("RequestAttributesSequence"))
        ]
    except RejectedInput:
        # What cannot be read with certainty identifies no order.
        return ()
    return tuple(dict.fromkeys(filter(None, found)))


def _view_and_expression(structure: FileStructure) -> tuple[View | None, Expression | None]:
    dataset = structure.dataset()
    words = Words(_text(structure, 0x00204000), _text(structure, 0x0008103E))
    try:
        with foreign_values():
            view = read_view(dataset, words)
            return view, read_expression(dataset, words)
    except FOREIGN_VALUE_FAULTS:
        # A damaged sequence codes no view; the object itself may still be read.
        return None, None
