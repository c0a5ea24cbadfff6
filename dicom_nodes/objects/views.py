"""Views and expressions of a photograph: their codes in DICOM, and how they are written.

Codes by DENT-OIP and CP-1570 (CID 4062 views, TID 3465 orthognathic functional
conditions). `view_evidence` reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pydicom.dataset import Dataset

from dicom_nodes.objects.coded_entries import Code, code_item, private_code
from processing.inputs import Expression, View

RIGHT: Final = Code("24028007", "SCT", "Right")
LEFT: Final = Code("7771000", "SCT", "Left")
HEAD_AND_NECK: Final = Code("774007", "SCT", "Head and Neck")
FACE: Final = Code("89545001", "SCT", "Face")
OBLIQUE: Final = Code("260454004", "SCT", "45 degree")
FUNCTIONAL_CONDITION: Final = Code("130325", "DCM", "Orthognathic Functional Conditions")

EXPRESSIONS: Final[Mapping[Expression, Code]] = {
    Expression.REPOSE: Code("1336028006", "SCT", "Upper and lower lips in relaxed position"),
    Expression.SMILE: Code("225583004", "SCT", "Smiles"),
    Expression.EYES_SHUT: private_code("EYES_SHUT", "Eyes shut"),
    Expression.BROWS_RAISED: private_code("BROWS_RAISED", "Brows raised"),
    Expression.OTHER: private_code("OTHER_EXPRESSION", "Other expression"),
}


@dataclass(frozen=True, slots=True)
class CodedView:
    """How a view is written."""

    code: Code
    modifier: Code | None
    patient_orientation: tuple[str, str]


CODED_VIEWS: Final[Mapping[View, CodedView]] = {
    View.FRONTAL: CodedView(Code("399033003", "SCT", "frontal"), None, ("L", "F")),
    View.RIGHT_PROFILE: CodedView(Code("399198007", "SCT", "right lateral"), RIGHT, ("A", "F")),
    View.LEFT_PROFILE: CodedView(Code("399173006", "SCT", "left lateral"), LEFT, ("P", "F")),
    View.RIGHT_OBLIQUE: CodedView(OBLIQUE, RIGHT, ("LA", "F")),
    View.LEFT_OBLIQUE: CodedView(OBLIQUE, LEFT, ("LP", "F")),
}

VIEW_CODES: Final = (
    HEAD_AND_NECK,
    FACE,
    FUNCTIONAL_CONDITION,
    *EXPRESSIONS.values(),
    *(each.code for each in CODED_VIEWS.values()),
    *(each.modifier for each in CODED_VIEWS.values() if each.modifier is not None),
)
"""All that a photograph is coded by."""


def write_view(dataset: Dataset, view: View | None, expression: Expression | None) -> None:
    """Add anatomy, view and expression to a photograph of a face."""
    coded = CODED_VIEWS.get(view) if view is not None else None
    region = code_item(HEAD_AND_NECK)
    if coded is not None and coded.modifier is not None:
        region.AnatomicRegionModifierSequence = [code_item(coded.modifier)]
    dataset.AnatomicRegionSequence = [region]
    dataset.PrimaryAnatomicStructureSequence = [code_item(FACE)]
    dataset.ImageLaterality = "U"
    if coded is not None:
        dataset.ViewCodeSequence = [code_item(coded.code)]
        dataset.PatientOrientation = list(coded.patient_orientation)
    else:
        dataset.PatientOrientation = None
    dataset.AcquisitionContextSequence = []
    if expression is not None:
        item = Dataset()
        item.ValueType = "CODE"
        item.ConceptNameCodeSequence = [code_item(FUNCTIONAL_CONDITION)]
        item.ConceptCodeSequence = [code_item(EXPRESSIONS[expression])]
        dataset.AcquisitionContextSequence = [item]
