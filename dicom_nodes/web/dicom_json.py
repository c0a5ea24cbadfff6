"""The DICOM JSON model (PS3.18, annex F): answers to searches, and metadata of instances.

Text is decoded here by the project's own tables, since pydicom 3.0.2 corrupts
ISO 2022 IR 58; what goes out is Unicode.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag
from pydicom.uid import DeflatedExplicitVRLittleEndian

from dicom_nodes.network.query import Answer
from dicom_nodes.objects.character_sets import as_ascii, declared_character_sets, decode_text
from dicom_nodes.objects.file_structure import (
    PIXEL_DATA,
    FileStructure,
    read_structure,
)
from dicom_nodes.objects.foreign_values import FOREIGN_VALUE_FAULTS, foreign_values
from dicom_nodes.objects.header import SPECIFIC_CHARACTER_SET

JsonItem = dict[str, dict[str, Any]]

_BULK_VRS: Final = frozenset(("OB", "OD", "OF", "OL", "OV", "OW", "UN"))
_TEXT_VRS: Final = frozenset(("LO", "LT", "PN", "SH", "ST", "UC", "UT"))
_NUMBER_VRS: Final = frozenset(("IS", "SL", "SS", "SV", "UL", "US", "UV"))
_SEVERAL_LINES: Final = frozenset(("LT", "ST", "UT"))
# A long sequence, of a scan or a multi-frame image, is read from the file for its metadata.
_LARGEST_SEQUENCE_BYTES: Final = 64 * 1024 * 1024
_LARGEST_INLINE_BYTES: Final = 1024
_UTF_8: Final = "ISO_IR 192"
_GROUPS: Final = ("Alphabetic", "Ideographic", "Phonetic")


def answer_as_json(answer: Answer) -> JsonItem:
    """An answer to a search; attributes whose value is not known are there without one."""
    item: JsonItem = {}
    for keyword, value in answer.items():
        tag = tag_for_keyword(keyword)
        if tag is not None:
            item[f"{tag:08X}"] = _element(dictionary_VR(tag), value)
    return dict(sorted(item.items()))


def _element(vr: str, value: str | int | tuple[str, ...]) -> dict[str, Any]:
    several = value if isinstance(value, tuple) else (value,)
    if isinstance(value, str) and vr not in _SEVERAL_LINES:
        several = tuple(value.split("\\"))
    values = [_value(vr, each) for each in several if each != ""]
    return {"vr": vr, "Value": values} if values else {"vr": vr}


def _value(vr: str, value: str | int) -> Any:
    if vr == "PN":
        groups = zip(_GROUPS, str(value).split("="), strict=False)
        return {name: text for name, text in groups if text}
    if vr in _NUMBER_VRS:
        try:
            return int(value)
        except ValueError:
            return str(value)
    return str(value)


def metadata_of(path: Path, bulk_data_uri: str) -> JsonItem:
    """The attributes of an instance without its bulk data (PS3.18, section 10.4.1.1.3).

    Binary values of the dataset itself are named by a Bulk Data URI; those inside
    sequences are left without a value when they are longer than a kilobyte, and
    so are values that cannot be read.

    Parameters
    ----------
    path : Path
        A Part 10 file.
    bulk_data_uri : str
        Before the tag of an attribute; relative to the address of the answer.

    Raises
    ------
    RejectedInput
        If it is no DICOM file.
    """
    structure = read_structure(path)
    dataset = _with_long_sequences(path, structure)
    sets = declared_character_sets(structure.value(SPECIFIC_CHARACTER_SET))
    item: JsonItem = {}
    with foreign_values():
        for tag, element in sorted(structure.elements.items()):
            name, vr = f"{tag:08X}", _vr_of(tag, element.VR)
            if tag & 0xFFFF == 0:
                continue
            if tag == PIXEL_DATA or (vr in _BULK_VRS and structure.lengths[tag]):
                item[name] = {"vr": vr, "BulkDataURI": f"{bulk_data_uri}/{name}"}
            else:
                item[name] = _attribute(dataset, tag, vr, sets)
    if SPECIFIC_CHARACTER_SET in structure.elements:
        item[f"{SPECIFIC_CHARACTER_SET:08X}"] = {"vr": "CS", "Value": [_UTF_8]}
    return item


def _with_long_sequences(path: Path, structure: FileStructure) -> Dataset:
    dataset = structure.dataset()
    # Its places are those in what was inflated, not in the file.
    if structure.transfer_syntax_uid == DeflatedExplicitVRLittleEndian:
        return dataset
    with path.open("rb") as file:
        for tag, element in structure.elements.items():
            length = structure.lengths[tag]
            is_long = element.value is None and _vr_of(tag, element.VR) == "SQ"
            if is_long and length <= _LARGEST_SEQUENCE_BYTES:
                file.seek(element.value_tell)
                kept = element._replace(value=file.read(length))
                dataset[BaseTag(tag)] = kept
    return dataset


def _vr_of(tag: int, stated: str | None) -> str:
    if stated is not None and stated != "UN":
        return stated
    try:
        return str(dictionary_VR(tag)).split(" ")[0]
    except KeyError:
        return "UN"


def _attribute(dataset: Dataset, tag: int, vr: str, sets: tuple[str, ...]) -> dict[str, Any]:
    try:
        element = _decoded(dataset, BaseTag(tag), sets)
        return _without_bulk(element.to_json_dict(_no_bulk, _LARGEST_INLINE_BYTES))
    except FOREIGN_VALUE_FAULTS:
        return {"vr": vr}


def _no_bulk(_element: DataElement) -> str:
    """Marks what `_without_bulk` takes out again: it has no address of its own."""
    return ""


def _without_bulk(element: dict[str, Any]) -> dict[str, Any]:
    if "BulkDataURI" in element:
        return {"vr": element["vr"]}
    if element.get("vr") == "SQ":
        items = element.get("Value", [])
        element["Value"] = [
            {tag: _without_bulk(each) for tag, each in item.items()} for item in items
        ]
    return element


def _decoded(dataset: Dataset, tag: BaseTag, sets: tuple[str, ...]) -> DataElement:
    """An element whose text, also that in its items, was decoded here."""
    raw = dataset.get_item(tag)
    if isinstance(raw, RawDataElement) and _vr_of(tag, raw.VR) in _TEXT_VRS:
        vr = _vr_of(tag, raw.VR)
        text = decode_text(raw.value or b"", sets, vr)
        if text is None:
            text = as_ascii((raw.value or b"").decode("latin-1"))
        dataset[tag] = DataElement(tag, vr, text.rstrip("\0 "))
    element = dataset[tag]
    if element.VR == "SQ":
        for item in element.value:
            own = item.get_item(SPECIFIC_CHARACTER_SET)
            stated = own.value if isinstance(own, RawDataElement) else None
            own_sets = declared_character_sets(stated) if stated else sets
            for each in list(item.keys()):
                _decoded(item, BaseTag(each), own_sets)
    return element
