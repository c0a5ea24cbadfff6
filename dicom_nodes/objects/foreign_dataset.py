"""Reading a data set that came in a DIMSE message: no value is believed, none decoded twice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from dicom_nodes.objects.character_sets import (
    UTF_8,
    declared_character_sets,
    decode_text,
    display_text,
)
from dicom_nodes.objects.foreign_values import FOREIGN_VALUE_FAULTS, foreign_values
from processing.measurement import RejectedInput

# Person Name: three component groups of 64 characters (PS3.5, section 6.2).
LONGEST_TEXT: Final = 64
LONGEST_NAME: Final = 3 * 64 + 2
MOST_ITEMS: Final = 20_000
_SPECIFIC_CHARACTER_SET: Final = 0x00080005


@dataclass(frozen=True, slots=True)
class ForeignDataset:
    """A data set of a peer, or an item of one; `character_sets` are those of its texts."""

    dataset: Dataset
    character_sets: tuple[str, ...] = ()

    @classmethod
    def of(cls, dataset: Dataset, inherited: tuple[str, ...] = ()) -> ForeignDataset:
        """A data set with the Specific Character Set that it names, or the one around it."""
        own = undecoded(dataset, _SPECIFIC_CHARACTER_SET)
        return cls(dataset, declared_character_sets(own) if own else inherited)

    def has(self, keyword: str) -> bool:
        """Whether the attribute is there, with or without a value."""
        return _tag(keyword) in self.dataset

    def text(self, keyword: str) -> str:
        """The value of a text or UID in Unicode, without padding; empty where there is none.

        Raises
        ------
        RejectedInput
            If it is longer than the standard allows, or cannot be decoded: a part of a
            name or an identifier could be those of somebody else.
        """
        tag = _tag(keyword)
        vr = dictionary_VR(tag)
        value, sets = undecoded(self.dataset, tag), self.character_sets
        if tag in self.dataset and not isinstance(self.dataset.get_item(tag), RawDataElement):
            sets = (UTF_8,)  # somebody has decoded it already
        longest = LONGEST_NAME if vr == "PN" else LONGEST_TEXT
        # Four bytes are the longest character of any of the character sets.
        if len(value) > 4 * longest:
            raise RejectedInput(f"{keyword} is {len(value)} bytes long")
        if decode_text(value.rstrip(b"\0"), sets, vr) is None:
            raise RejectedInput(f"{keyword} is not in its Specific Character Set")
        text = display_text(value.rstrip(b"\0"), sets, vr)
        if len(text) > longest:
            raise RejectedInput(f"{keyword} has {len(text)} characters")
        return text

    def items(self, keyword: str) -> tuple[ForeignDataset, ...]:
        """The items of a sequence; none where it is absent.

        Raises
        ------
        RejectedInput
            If it is damaged, or has more than `MOST_ITEMS` items.
        """
        tag = _tag(keyword)
        if tag not in self.dataset:
            return ()
        try:
            with foreign_values():
                found = list(self.dataset[tag].value or ())
        except FOREIGN_VALUE_FAULTS as fault:
            raise RejectedInput(f"{keyword} is damaged") from fault
        if len(found) > MOST_ITEMS:
            raise RejectedInput(f"{keyword} has {len(found)} items, more than {MOST_ITEMS}")
        if not all(isinstance(each, Dataset) for each in found):
            raise RejectedInput(f"{keyword} is no sequence")
        return tuple(ForeignDataset.of(each, self.character_sets) for each in found)


def _tag(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    assert tag is not None, keyword
    return tag


def undecoded(dataset: Dataset, tag: int) -> bytes:
    """The bytes of a value; pydicom decodes the character set of an item as it reads it."""
    if tag not in dataset:
        return b""
    element = dataset.get_item(tag)
    if isinstance(element, RawDataElement):
        return element.value or b""
    value = element.value
    values = value if isinstance(value, MultiValue) else [value]
    return "\\".join("" if each is None else str(each) for each in values).encode("utf-8")
