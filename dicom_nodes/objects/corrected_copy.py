"""A copy of a received object that carries the identifiers of its order.

The received bytes never change. What the copy replaces stands in its Original
Attributes Sequence (0400,0561) with the reason COERCE (PS3.3, section C.12.1 and
C.12.1.1.9). A copy that goes into another study is an instance of its own beside
the received one, so it and its series have new UIDs; the former UIDs are among the
replaced values. Values that stay are not decoded: they are the bytes as received.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Final

from pydicom import dcmread
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID

from dicom_nodes.objects.character_sets import UTF_8, declared_character_sets, decode_text
from dicom_nodes.objects.file_structure import uid_text
from dicom_nodes.objects.foreign_dataset import undecoded
from dicom_nodes.objects.foreign_values import FOREIGN_VALUE_FAULTS, foreign_values
from dicom_nodes.objects.header import SPECIFIC_CHARACTER_SET
from dicom_nodes.objects.written_object import WrittenObject, clean_text
from processing.measurement import RejectedInput

_ORIGINAL_ATTRIBUTES: Final = 0x04000561
_REQUEST_ATTRIBUTES: Final = 0x00400275
_CODECS: Final = {UTF_8: "utf_8", "GB18030": "gb18030", "GBK": "gbk"}
_LONGEST: Final = {"AccessionNumber": 16, "StudyID": 16}
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class OrderIdentifiers:
    """What an order gives to the objects that belong to it.

    Parameters
    ----------
    study_instance_uid : str
        Of the study that the order names.
    values : mapping of str to str
        Keywords of top-level attributes to their values in Unicode, such as
        ``AccessionNumber``; an empty value replaces nothing.
    request : mapping of str to str
        What Request Attributes Sequence (0040,0275) says, where the object has none.
    """

    study_instance_uid: str
    values: Mapping[str, str]
    request: Mapping[str, str] = field(default_factory=lambda: _NOTHING)


@dataclass(frozen=True, slots=True)
class Modification:
    """Who changed what, and when (PS3.3, section C.12.1.1.9).

    Parameters
    ----------
    system : str
        The system that makes the copy.
    source : str
        Whom the values came from that are replaced.
    made_at : datetime
    uids : mapping of str to str
        Former to new UIDs of the study, its series and its instances, also where
        objects refer to each other; empty for a copy that stays the same instance.
    """

    system: str
    source: str
    made_at: datetime
    uids: Mapping[str, str] = field(default_factory=lambda: _NOTHING)


def write_corrected_copy(
    source: Path, out: Path, order: OrderIdentifiers, modification: Modification
) -> WrittenObject:
    """Write a copy of an object that carries the identifiers of its order.

    The same arguments make the same bytes.

    Parameters
    ----------
    source, out : Path
        The received object, and the file to write.
    order : OrderIdentifiers
    modification : Modification

    Returns
    -------
    WrittenObject

    Raises
    ------
    RejectedInput
        If the object is damaged, or its character set has no bytes for the accession
        number of the order.
    OSError
        If the file cannot be written.
    """
    try:
        with foreign_values():
            dataset = dcmread(source)
            replaced = _replaced(dataset, order)
            for tag, element in _with_new_uids(dataset, modification.uids).items():
                replaced.setdefault(tag, element)
            if _REQUEST_ATTRIBUTES not in dataset and (request := _request(dataset, order)):
                dataset.RequestAttributesSequence = [request]
            _add_original_attributes(dataset, replaced, modification)
            dataset.file_meta.MediaStorageSOPInstanceUID = UID(_uid(dataset, "SOPInstanceUID"))
            dataset.save_as(out, enforce_file_format=True)
    except FOREIGN_VALUE_FAULTS as fault:
        if isinstance(fault, OSError) and fault.filename:
            raise
        raise RejectedInput(f"it cannot be copied: {fault}") from fault
    return WrittenObject(
        path=out,
        sop_class_uid=_uid(dataset, "SOPClassUID"),
        sop_instance_uid=_uid(dataset, "SOPInstanceUID"),
        series_instance_uid=_uid(dataset, "SeriesInstanceUID"),
    )


def _replaced(dataset: Dataset, order: OrderIdentifiers) -> dict[int, RawDataElement]:
    """Put the values of the order in; gives the elements that they replaced."""
    sets = declared_character_sets(undecoded(dataset, SPECIFIC_CHARACTER_SET))
    replaced: dict[int, RawDataElement] = {}
    for keyword, text in order.values.items():
        tag = Tag(keyword)
        former = undecoded(dataset, tag)
        if not text or decode_text(former.rstrip(b"\0 "), sets, dictionary_VR(tag)) == text:
            continue
        value = _encoded(text, sets) if len(text) <= _LONGEST.get(keyword, 64) else None
        if value is None:
            if keyword == "AccessionNumber":
                raise RejectedInput(
                    "the accession number of the order cannot be written in the character set "
                    f"of the object ({', '.join(sets) or 'none'})"
                )
            continue
        if tag in dataset:
            replaced[tag] = _raw(tag, former)
        dataset[tag] = _raw(tag, value)
    return replaced


def _encoded(text: str, sets: tuple[str, ...]) -> bytes | None:
    """A text in the character set of an object; None where it has no bytes for it."""
    if any(each < " " for each in text) or "\\" in text:
        return None
    if text.isascii():
        return text.encode("ascii")
    codec = _CODECS.get(sets[0]) if len(sets) == 1 else None
    try:
        return text.encode(codec) if codec is not None else None
    except UnicodeEncodeError:
        return None


def _request(dataset: Dataset, order: OrderIdentifiers) -> Dataset | None:
    sets = declared_character_sets(undecoded(dataset, SPECIFIC_CHARACTER_SET))
    request = Dataset()
    for keyword, text in order.request.items():
        value = _encoded(text, sets)
        if value:
            request[Tag(keyword)] = _raw(Tag(keyword), value)
    _keep_bytes(request, dataset)
    return request if len(request) else None


def _with_new_uids(dataset: Dataset, uids: Mapping[str, str]) -> dict[int, RawDataElement]:
    """Rename UIDs at every level; gives the top-level elements that were replaced."""
    replaced: dict[int, RawDataElement] = {}
    if not uids:
        return replaced
    known = [each.encode("ascii") for each in uids]
    for tag, vr in _elements(dataset):
        if vr == "UI":
            former = undecoded(dataset, tag)
            named = [uid_text(each) for each in former.split(b"\\")]
            if any(each in uids for each in named):
                replaced[tag] = _raw(tag, former)
                renamed = "\\".join(uids.get(each, each) for each in named)
                dataset[tag] = _raw(tag, renamed.encode("ascii", "replace"))
        elif vr == "SQ" and tag != _ORIGINAL_ATTRIBUTES and _names_one_of(dataset, tag, known):
            for item in dataset[tag].value:
                _with_new_uids(item, uids)
    return {tag: element for tag, element in replaced.items() if tag in _UIDS_OF_AN_INSTANCE}


_UIDS_OF_AN_INSTANCE: Final = frozenset(
    int(Tag(each)) for each in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
)


def _elements(dataset: Dataset) -> Iterator[tuple[BaseTag, str | None]]:
    """Tag and value representation of each element, none of which is decoded."""
    for tag in list(dataset.keys()):
        vr = dataset.get_item(tag).VR
        if vr is None and not tag.is_private:
            try:
                vr = dictionary_VR(tag)
            except KeyError:
                continue
        yield tag, vr


def _names_one_of(dataset: Dataset, tag: BaseTag, uids: list[bytes]) -> bool:
    """Whether a sequence can name one of the UIDs; one that was decoded already may."""
    element = dataset.get_item(tag)
    if not isinstance(element, RawDataElement) or element.value is None:
        return True
    value = element.value
    return any(each in value for each in uids)


def _add_original_attributes(
    dataset: Dataset, replaced: Mapping[int, RawDataElement], modification: Modification
) -> None:
    former = Dataset()
    for tag, element in replaced.items():
        former[BaseTag(tag)] = element
    _keep_bytes(former, dataset)
    item = Dataset()
    item.SourceOfPreviousValues = clean_text(modification.source, 64)
    item.AttributeModificationDateTime = modification.made_at.strftime("%Y%m%d%H%M%S%z")
    item.ModifyingSystem = clean_text(modification.system, 64)
    item.ReasonForTheAttributeModification = "COERCE"
    item.ModifiedAttributesSequence = [former]
    earlier = (
        list(dataset[_ORIGINAL_ATTRIBUTES].value or ()) if (_ORIGINAL_ATTRIBUTES in dataset) else []
    )
    dataset.OriginalAttributesSequence = Sequence([*earlier, item])


def _keep_bytes(item: Dataset, dataset: Dataset) -> None:
    """Have pydicom write the undecoded elements of an item as they are."""
    implicit, little = dataset.original_encoding
    item.set_original_encoding(implicit, little, "iso8859")


def _uid(dataset: Dataset, keyword: str) -> str:
    tag = tag_for_keyword(keyword)
    assert tag is not None
    return uid_text(undecoded(dataset, tag))


def _raw(tag: int, value: bytes) -> RawDataElement:
    vr = dictionary_VR(tag)
    padding = b"\0" if vr == "UI" else b" "
    padded = value if len(value) % 2 == 0 else value + padding
    return RawDataElement(BaseTag(tag), vr, len(padded), padded, 0, False, True)
