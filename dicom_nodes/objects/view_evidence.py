"""What of a photograph's attributes tells its view, its expression and whether it is mirrored.

Codes count before words: View Code Sequence and Acquisition Context first, then the
code of ADA-1100 in Image Comments, then Patient Orientation and the side in Anatomic
Region Sequence, last the words of Image Comments and Series Description. Where
nothing says it, it is None and the picture decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeVar

from pydicom.dataset import Dataset

from dicom_nodes.objects.ada_views import ada_view
from dicom_nodes.objects.coded_entries import code_of
from dicom_nodes.objects.views import CODED_VIEWS, EXPRESSIONS, FUNCTIONAL_CONDITION, LEFT, RIGHT
from processing.inputs import Expression, View

_T = TypeVar("_T", View, Expression)

_FUNCTIONAL_CONDITIONS: Final = frozenset({FUNCTIONAL_CONDITION.value, "130324"})
_MOUTH: Final = "123851003"
_OBLIQUE: Final = frozenset({"260454004", "399182000"})  # 45 degree, oblique; side by modifier
_SIDED_OBLIQUE: Final = {"260424009": View.RIGHT_OBLIQUE, "260421001": View.LEFT_OBLIQUE}
_CLOSE_UP: Final = "789131009"
_OBLIQUE_MODIFIER: Final = "787612006"
_TONGUE_DEPRESSOR: Final = "39802000"
_OBSERVABLE_ENTITY: Final = "363787002"
_FACIAL_PALSY: Final = "193093009"
_CONDITIONS: Final[Mapping[str, Expression]] = {
    **{code.value: expression for expression, code in EXPRESSIONS.items()},
    "1336029003": Expression.REPOSE,  # lips closed
}
_EXPRESSION_MODIFIERS: Final[Mapping[str, Expression]] = {
    "789314008": Expression.REPOSE,  # lips relaxed
    "787607005": Expression.REPOSE,  # lips closed
    "787611004": Expression.OTHER,  # mandible postured forward
    "789130005": Expression.OTHER,  # mouth partially open
}
_MIRRORED_MODIFIERS: Final = frozenset({"789135000", "789134001"})
"""Of View Modifier: the picture of a mirror, not turned back."""
_FRONTAL_MIRRORED: Final = frozenset({("R", "F"), ("L", "H"), ("H", "R"), ("F", "L")})
"""Rows and columns of a picture in which the face's left and right are exchanged."""

_VIEW_WORDS: Final[Mapping[View, str]] = {
    View.FRONTAL: r"frontal|full[ -]face|en face|anterior view|正面",
    View.OTHER: r"profile|lateral|oblique|three[ -]quarter|45 ?(?:°|deg)|submental|vertex"
    r"|intra-?oral|textures? (?:of|maps?)|侧面|侧位|斜位|纹理",  # a texture is no view at all
}
_EXPRESSION_WORDS: Final[Mapping[Expression, str]] = {
    Expression.REPOSE: r"(?:in|at) (?:repose|rest)|(?:face|lips) relaxed|lips closed"
    r"|neutral expression|静态",
    Expression.SMILE: r"smil(?:e|es|ing)|微笑",
    Expression.EYES_SHUT: r"eyes? (?:shut|closed)|clos(?:e|ed|ing) (?:the )?eyes?|闭眼",
    Expression.BROWS_RAISED: r"(?:eye)?brows? (?:raised|elevated)|rais(?:e|ing) (?:the )?"
    r"(?:eye)?brows?|抬眉",
    Expression.OTHER: r"nerve weakness|mouth open|open mouth|pursed lips|pucker(?:ing)?|whistl"
    r"(?:e|ing)|grimace|示齿",
}


class Mirrored(Enum):
    """What the attributes say of left and right in the picture."""

    NO = "no"
    YES = "yes"
    CONTRADICTORY = "contradictory"


@dataclass(frozen=True, slots=True)
class Words:
    """Decoded texts of a photograph: Image Comments (0020,4000), Series Description (0008,103E)."""

    image_comments: str = ""
    series_description: str = ""


_NO_WORDS: Final = Words()


def read_view(dataset: Dataset, words: Words = _NO_WORDS) -> View | None:
    """The view of a photograph, or None where nothing tells it.

    Parameters
    ----------
    dataset : Dataset
        With whichever of View Code Sequence, View Modifier Code Sequence, Anatomic
        Region Sequence and Patient Orientation the source has.
    words : Words
    """
    if _MOUTH in _codes(dataset, "AnatomicRegionSequence"):
        return View.OTHER  # an intraoral picture may be coded as frontal, too
    sides = _region_modifiers(dataset)
    modifiers = _codes(dataset, "ViewModifierCodeSequence")
    if _CLOSE_UP in modifiers:
        return View.OTHER
    coded = next(iter(_codes(dataset, "ViewCodeSequence")), None)
    if coded is not None:
        return _view_of_code(coded, sides)
    if _OBLIQUE_MODIFIER in modifiers:
        return _oblique(sides)
    ada = ada_view(words.image_comments)
    if ada is not None:
        return ada[0]
    by_orientation = _view_of_orientation(_orientation(dataset))
    if by_orientation is not None:
        return by_orientation
    if {LEFT.value, RIGHT.value} & set(sides):
        return View.OTHER  # one side of the head, at an angle that is not said
    return _by_words(_VIEW_WORDS, words)


def read_expression(dataset: Dataset, words: Words = _NO_WORDS) -> Expression | None:
    """The expression of a photographed face, or None where nothing tells it."""
    if _TONGUE_DEPRESSOR in _codes(dataset, "DeviceSequence"):
        return Expression.OTHER
    contexts = list(_acquisition_context(dataset))
    for concept, value in contexts:
        if concept in _FUNCTIONAL_CONDITIONS:
            return _CONDITIONS.get(value, Expression.OTHER)
    for modifier in _codes(dataset, "ViewModifierCodeSequence"):
        if modifier in _EXPRESSION_MODIFIERS:
            return _EXPRESSION_MODIFIERS[modifier]
    if (_OBSERVABLE_ENTITY, _FACIAL_PALSY) in contexts:
        return Expression.OTHER  # ADA-1100 codes so the view that demonstrates the weakness
    ada = ada_view(words.image_comments)
    if ada is not None:
        return ada[1]
    return _by_words(_EXPRESSION_WORDS, words)


def read_mirrored(dataset: Dataset, view: View | None) -> Mirrored:
    """Whether left and right of the face are exchanged in the picture.

    `YES` only where View Modifier Code says so and no Patient Orientation
    contradicts it. A Patient Orientation alone that fits no face seen from the
    front may describe a mirrored picture or be wrong itself, which cannot be told
    apart: `CONTRADICTORY`. It means nothing for a view from the side.
    """
    if view not in (None, View.FRONTAL):
        return Mirrored.NO
    orientation = _orientation(dataset)
    by_orientation = orientation in _FRONTAL_MIRRORED
    by_code = bool(_MIRRORED_MODIFIERS & set(_codes(dataset, "ViewModifierCodeSequence")))
    if by_code and (by_orientation or orientation is None):
        return Mirrored.YES
    return Mirrored.CONTRADICTORY if by_code or by_orientation else Mirrored.NO


def _codes(dataset: Dataset, keyword: str) -> list[str]:
    return [value for each in dataset.get(keyword) or () if (value := code_of(each).value)]


def _region_modifiers(dataset: Dataset) -> list[str]:
    return [
        value
        for region in dataset.get("AnatomicRegionSequence") or ()
        for value in _codes(region, "AnatomicRegionModifierSequence")
    ]


def _acquisition_context(dataset: Dataset) -> Iterator[tuple[str, str]]:
    for item in dataset.get("AcquisitionContextSequence") or ():
        for concept in _codes(item, "ConceptNameCodeSequence"):
            for value in _codes(item, "ConceptCodeSequence"):
                yield concept, value


def _orientation(dataset: Dataset) -> tuple[str, str] | None:
    """Patient Orientation (0020,0020): where the rows and the columns of the picture point to."""
    orientation = dataset.get("PatientOrientation")
    if not orientation or isinstance(orientation, str) or len(orientation) != 2:
        return None
    row, column = str(orientation[0]), str(orientation[1])
    return (row, column) if row and column else None


def _view_of_code(code: str, sides: list[str]) -> View:
    if code in _OBLIQUE:
        return _oblique(sides)
    if code in _SIDED_OBLIQUE:
        return _SIDED_OBLIQUE[code]
    return next(
        (view for view, coded in CODED_VIEWS.items() if coded.code.value == code), View.OTHER
    )


def _oblique(sides: list[str]) -> View:
    by_side = {RIGHT.value: View.RIGHT_OBLIQUE, LEFT.value: View.LEFT_OBLIQUE}
    return next((by_side[side] for side in sides if side in by_side), View.OTHER)


def _view_of_orientation(orientation: tuple[str, str] | None) -> View | None:
    """View by the patient's direction that the rows of the picture point to (PS3.3 C.7.6.1.1.1).

    A frontal picture has the patient's left at its right edge; one that shows the
    right side has the face (anterior) there.
    """
    if orientation is None or not orientation[1].startswith("F"):
        return None
    views = {
        frozenset("L"): View.FRONTAL,
        frozenset("A"): View.RIGHT_PROFILE,
        frozenset("P"): View.LEFT_PROFILE,
        frozenset("LA"): View.RIGHT_OBLIQUE,
        frozenset("LP"): View.LEFT_OBLIQUE,
    }
    return views.get(frozenset(orientation[0]))


def _by_words(patterns: Mapping[_T, str], words: Words) -> _T | None:
    """What one of the texts names, and names alone: a series may describe several views."""
    for text in (words.image_comments, words.series_description):
        named = {meant for meant, pattern in patterns.items() if _names(pattern, text)}
        if named:
            return named.pop() if len(named) == 1 else None
    return None


def _names(pattern: str, text: str) -> bool:
    # A letter before or after makes another word; Chinese is written without spaces.
    return re.search(rf"(?<![A-Za-z])(?:{pattern})(?![A-Za-z])", text, re.IGNORECASE) is not None


def orientation_text(dataset: Dataset) -> str:
    r"""Patient Orientation as it is written, such as ``R\F``."""
    return "\\".join(_orientation(dataset) or ())
