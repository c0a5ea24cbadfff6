"""Views and expressions of a photograph: their codes in DICOM, in both directions.

Codes by DENT-OIP and CP-1570 (CID 4062 views, TID 3465 orthognathic functional
conditions); Image Comments as ADA-1100 writers fill them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from pydicom.dataset import Dataset

from dicom_nodes.objects.coded_entries import Code, code_item, code_of
from processing.inputs import Expression, View

RIGHT: Final = Code("24028007", "SCT", "Right")
LEFT: Final = Code("7771000", "SCT", "Left")
HEAD_AND_NECK: Final = Code("774007", "SCT", "Head and Neck")
FACE: Final = Code("89545001", "SCT", "Face")
OBLIQUE: Final = Code("260454004", "SCT", "45 degree")
FUNCTIONAL_CONDITION: Final = Code("130325", "DCM", "Orthognathic Functional Conditions")

_OPEN_MOUTH: Final = Code("262016004", "SCT", "Open mouth")
_EXPRESSIONS: Final[Mapping[Expression, Code]] = {
    Expression.REPOSE: Code("1336028006", "SCT", "Upper and lower lips in relaxed position"),
    Expression.SMILE: Code("225583004", "SCT", "Smiles"),
    Expression.EYES_SHUT: Code("EYES_SHUT", "99HEMIFACE", "Eyes shut"),
    Expression.BROWS_RAISED: Code("BROWS_RAISED", "99HEMIFACE", "Brows raised"),
    Expression.OTHER: Code("OTHER_EXPRESSION", "99HEMIFACE", "Other expression"),
}
_LIPS_CLOSED: Final = "1336029003"


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
        item.ConceptCodeSequence = [code_item(_EXPRESSIONS[expression])]
        dataset.AcquisitionContextSequence = [item]


def read_view(dataset: Dataset, image_comments: str = "") -> View | None:
    """The view of a photograph, from the first of its coded view, orientation and comments.

    Parameters
    ----------
    dataset : Dataset
        With whichever of View Code Sequence, Anatomic Region Sequence and
        Patient Orientation the source has.
    image_comments : str
        Decoded Image Comments (0020,4000).
    """
    modifier = _first_code(
        item
        for region in dataset.get("AnatomicRegionSequence") or ()
        for item in region.get("AnatomicRegionModifierSequence") or ()
    )
    coded = _first_code(dataset.get("ViewCodeSequence") or ())
    if coded is not None:
        return _view_of_code(coded, modifier)
    orientation = dataset.get("PatientOrientation")
    if orientation and len(orientation) == 2:
        view = _view_of_orientation(str(orientation[0]), str(orientation[1]))
        if view is not None:
            return view
    return _view_of_comments(image_comments)


def read_expression(dataset: Dataset, image_comments: str = "") -> Expression | None:
    """The expression of a photographed face, where the source codes or names it."""
    by_code = {each.value: expression for expression, each in _EXPRESSIONS.items()}
    by_code |= {_LIPS_CLOSED: Expression.REPOSE, _OPEN_MOUTH.value: Expression.OTHER}
    for item in dataset.get("AcquisitionContextSequence") or ():
        concept = _first_code(item.get("ConceptNameCodeSequence") or ())
        value = _first_code(item.get("ConceptCodeSequence") or ())
        if concept == FUNCTIONAL_CONDITION.value and value is not None:
            return by_code.get(value, Expression.OTHER)
    comments = image_comments.lower()
    for words, expression in (
        ("smile", Expression.SMILE),
        ("lips relaxed", Expression.REPOSE),
        ("lips closed", Expression.REPOSE),
        ("eyes shut", Expression.EYES_SHUT),
        ("nerve weakness", Expression.OTHER),
    ):
        if words in comments:
            return expression
    return None


def _first_code(items: Iterable[Dataset]) -> str | None:
    return next((value for each in items if (value := code_of(each).value)), None)


def _view_of_code(code: str, modifier: str | None) -> View:
    if code == OBLIQUE.value:
        sides = {RIGHT.value: View.RIGHT_OBLIQUE, LEFT.value: View.LEFT_OBLIQUE}
        return sides.get(modifier or "", View.OTHER)
    for view, coded in CODED_VIEWS.items():
        if coded.code.value == code:
            return view
    return View.OTHER


def _view_of_orientation(row: str, column: str) -> View | None:
    """View by the patient's direction that the rows of the picture point to (PS3.3 C.7.6.1.1.1).

    A frontal picture has the patient's left at its right edge; one that shows the
    right side has the face (anterior) there.
    """
    if not column.startswith("F"):
        return None
    directions = frozenset(row)
    views = {
        frozenset("L"): View.FRONTAL,
        frozenset("A"): View.RIGHT_PROFILE,
        frozenset("P"): View.LEFT_PROFILE,
        frozenset("LA"): View.RIGHT_OBLIQUE,
        frozenset("LP"): View.LEFT_OBLIQUE,
    }
    return views.get(directions)


def _view_of_comments(comments: str) -> View | None:
    """View by the name that ADA-1100 gives it, such as ``EV19^Full Face - Full Smile``."""
    found = re.match(r"\s*EV\d\d\s*\^\s*(.*)", comments)
    if found is None:
        return None
    name = found.group(1).lower()
    oblique = "45" in name or "oblique" in name or "three-quarter" in name
    if "right" in name.split("(")[0]:
        return View.RIGHT_OBLIQUE if oblique else View.RIGHT_PROFILE
    if "left" in name.split("(")[0]:
        return View.LEFT_OBLIQUE if oblique else View.LEFT_PROFILE
    return View.FRONTAL if "full face" in name else View.OTHER
