"""A Structured Report by a person: its content items, and which landmark each point is.

A reviewer opens a report of hemiface in a viewer, moves points and stores it as a new
object; or places named points. Both come back as TID 1500. What tells them from a
report that a device made is the person: an observer of type Person (TID 1002, 1003),
or a verifying observer. hemiface's own reports name only the device, and the verified
versions that it writes are known by their UID, so none of them is ever taken for a
reviewer's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from pydicom.dataset import Dataset

from dicom_nodes.objects import codes, report_codes
from dicom_nodes.objects.coded_entries import Code, code_of
from dicom_nodes.objects.file_structure import SOP_CLASS_UID, FileStructure, uid_text
from dicom_nodes.objects.report_words import LANDMARK_TRACKING
from dicom_nodes.objects.sop_classes import STRUCTURED_REPORTS
from dicom_nodes.objects.verification import is_own_verified_version
from processing.measurement import Side

MOST_CONTENT_ITEMS: Final = 50_000
DEEPEST_CONTENT: Final = 16

TRACKING_IDENTIFIER: Final = Code("112039", "DCM", "Tracking Identifier")
ALGORITHM_NAME: Final = Code("111001", "DCM", "Algorithm Name")
_MEASUREMENT_GROUP: Final = Code("125007", "DCM", "Measurement Group")
_SOP_INSTANCE_UID: Final = 0x00080018
_FINDING: Final = Code("121071", "DCM", "Finding")
_SHORT_LABEL: Final = Code("125309", "DCM", "Short Label")
_OBSERVER_TYPE: Final = Code("121005", "DCM", "Observer Type")
_PERSON: Final = Code("121006", "DCM", "Person")


@dataclass(frozen=True, slots=True)
class ReviewedReport:
    """What a person reported.

    Parameters
    ----------
    document : Dataset
    source : str
        Its SOP Instance UID.
    items : tuple
        Each content item with the measurement group that it belongs to.
    """

    document: Dataset = field(repr=False)
    source: str
    items: tuple[tuple[Dataset, Dataset | None], ...] = field(repr=False)

    @property
    def made_at(self) -> str:
        """When, as digits that sort by time."""
        document = self.document
        return f"{document.get('ContentDate') or ''}{document.get('ContentTime') or ''}"


def reviewed_report(structure: FileStructure) -> ReviewedReport | None:
    """The report in a file whose structure was read; None where no person made it.

    Raises
    ------
    ValueError
        If its content tree is too large or too deep. What pydicom raises over
        foreign values goes through.
    """
    if uid_text(structure.value(SOP_CLASS_UID)) not in STRUCTURED_REPORTS:
        return None
    document = structure.dataset()
    items = tuple(islice(_walk(document, None, 0), MOST_CONTENT_ITEMS + 1))
    if len(items) > MOST_CONTENT_ITEMS:
        raise ValueError("the content tree is too large")
    if not _is_by_person(document, items):
        return None
    return ReviewedReport(document, uid_text(structure.value(_SOP_INSTANCE_UID)), items)


def _walk(
    item: Dataset, group: Dataset | None, depth: int
) -> Iterator[tuple[Dataset, Dataset | None]]:
    """Every content item below this one, with the measurement group that it belongs to."""
    if depth > DEEPEST_CONTENT:
        raise ValueError("the content tree is too deep")
    for each in item.get("ContentSequence") or ():
        own = each if name_of(each) == _MEASUREMENT_GROUP else group
        yield each, own
        yield from _walk(each, own, depth + 1)


def _is_by_person(document: Dataset, items: tuple[tuple[Dataset, Dataset | None], ...]) -> bool:
    if is_own_verified_version(document):
        return False  # the person confirmed what is measured, and placed nothing
    if document.get("VerificationFlag") == "VERIFIED" and document.get("VerifyingObserverSequence"):
        return True
    return any(name_of(item) == _OBSERVER_TYPE and _PERSON in values_of(item) for item, _ in items)


def landmark_of(item: Dataset, group: Dataset | None) -> str | None:
    """The name of a point: by our tracking identifier, by a code and its side, by a label."""
    inside = list(group.get("ContentSequence") or ()) if group is not None else []
    texts = [
        str(each.get("TextValue") or "")
        for each in inside
        if name_of(each) in (TRACKING_IDENTIFIER, _SHORT_LABEL)
    ]
    for text in texts:
        _, mark, name = text.rpartition(LANDMARK_TRACKING)
        if mark and _is_landmark(name):
            return name
    named = [
        (code, _side(each))
        for each in inside
        if name_of(each) in (_FINDING, report_codes.FINDING_SITE)
        for code in values_of(each)
    ]
    side = next((side for _, side in named if side is not None), None)
    codes_of_point = [code for code, _ in named] + [name_of(item)]
    for code in codes_of_point:
        structure = codes.name_of(code, codes.LANDMARKS)
        if structure is not None:
            return structure if side is None else f"{structure}_{side.value}"
    labels = [*texts, *(code.meaning for code in codes_of_point)]
    return next(filter(None, map(_labelled, labels)), None)


def _side(item: Dataset) -> Side | None:
    for each in item.get("ContentSequence") or ():
        if name_of(each) == report_codes.LATERALITY:
            for code in values_of(each):
                return codes.name_of(code, codes.SIDES)
    return None


def _labelled(label: str) -> str | None:
    """The landmark that a person's words name, such as ``Left cheilion``."""
    words = re.findall(r"[a-z]+", label.lower())
    sides = [word for word in words if word in ("left", "right")]
    name = "_".join([*(word for word in words if word not in sides), *sides])
    return name if _is_landmark(name) else None


def _is_landmark(name: str) -> bool:
    for side in Side:
        name = name.removesuffix(f"_{side.value}")
    return name in codes.LANDMARKS


def name_of(item: Dataset) -> Code:
    """The concept that a content item is of."""
    return next(iter(_codes(item, "ConceptNameCodeSequence")), Code("", "", ""))


def values_of(item: Dataset) -> list[Code]:
    """The coded values of a content item."""
    return _codes(item, "ConceptCodeSequence")


def _codes(item: Dataset, keyword: str) -> list[Code]:
    return [code_of(each) for each in item.get(keyword) or ()]
