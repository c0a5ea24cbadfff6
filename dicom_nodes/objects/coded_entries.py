"""Coded entries: code value, coding scheme and meaning (PS3.3 section 8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pydicom.dataset import Dataset

PRIVATE_SCHEME: Final = "99HEMIFACE"
PRIVATE_SCHEME_NAME: Final = "hemiface concepts"
PRIVATE_SCHEME_UID: Final = "2.25.221482005865700685530196615475844787466"


@dataclass(frozen=True, slots=True)
class Code:
    """A coded concept; two codes are the same when value and scheme are."""

    value: str
    scheme: str
    meaning: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Code) and (self.value, self.scheme) == (other.value, other.scheme)

    def __hash__(self) -> int:
        return hash((self.value, self.scheme))


def code_item(code: Code) -> Dataset:
    """An item of a code sequence."""
    item = Dataset()
    item.CodeValue = code.value
    item.CodingSchemeDesignator = code.scheme
    item.CodeMeaning = code.meaning
    return item


def code_of(item: Dataset) -> Code:
    """The code of an item; what is missing is empty."""
    return Code(
        str(item.get("CodeValue") or ""),
        str(item.get("CodingSchemeDesignator") or ""),
        str(item.get("CodeMeaning") or ""),
    )


def private_scheme_item() -> Dataset:
    """An item of Coding Scheme Identification Sequence (0008,0110) for the private scheme."""
    item = Dataset()
    item.CodingSchemeDesignator = PRIVATE_SCHEME
    item.CodingSchemeUID = PRIVATE_SCHEME_UID
    item.CodingSchemeName = PRIVATE_SCHEME_NAME
    item.CodingSchemeResponsibleOrganization = "hemiface"
    return item


def private_code(value: str, meaning: str) -> Code:
    """A concept of the private scheme; its value has at most 16 characters."""
    return Code(value, PRIVATE_SCHEME, meaning)
