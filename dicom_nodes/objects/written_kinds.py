"""The kinds of objects that hemiface writes, with their SOP classes and series."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit

from dicom_nodes.objects.display_report import DISPLAY_SERIES_NUMBER
from dicom_nodes.objects.encapsulated_model import MODEL_SERIES_NUMBER
from dicom_nodes.objects.encapsulated_pdf import PDF_SERIES_NUMBER
from dicom_nodes.objects.key_object_selection import KEY_OBJECT_SERIES_NUMBER
from dicom_nodes.objects.measurement_report import REPORT_SERIES_NUMBER
from dicom_nodes.objects.secondary_capture import PICTURE_SERIES_NUMBER
from dicom_nodes.objects.sop_classes import (
    COMPREHENSIVE_3D_SR,
    COMPREHENSIVE_SR,
    ENCAPSULATED_MTL,
    ENCAPSULATED_OBJ,
    ENCAPSULATED_PDF,
    ENCAPSULATED_STL,
    KEY_OBJECT_SELECTION,
    SECONDARY_CAPTURE,
    SURFACE_SEGMENTATION,
    VL_PHOTOGRAPHIC_IMAGE,
)
from dicom_nodes.objects.surface_segmentation import AREA_SERIES_NUMBER
from dicom_nodes.objects.vl_photograph import PHOTOGRAPH_SERIES_NUMBER, TEXTURE_SERIES_NUMBER

_PLAIN: Final = (str(ExplicitVRLittleEndian),)
_PLAIN_OR_JPEG: Final = (*_PLAIN, str(JPEGBaseline8Bit))


@dataclass(frozen=True, slots=True)
class WrittenKind:
    """A kind of object: its SOP class, the number of its series, and how it is encoded."""

    name: str
    sop_class_uid: str
    series_number: int
    transfer_syntaxes: tuple[str, ...] = _PLAIN


WRITTEN_KINDS: Final = (
    WrittenKind("report of an analysis", COMPREHENSIVE_3D_SR, REPORT_SERIES_NUMBER),
    WrittenKind("picture of an analysis", SECONDARY_CAPTURE, PICTURE_SERIES_NUMBER),
    WrittenKind("area of a scan", SURFACE_SEGMENTATION, AREA_SERIES_NUMBER),
    WrittenKind("pages of an analysis for people", ENCAPSULATED_PDF, PDF_SERIES_NUMBER),
    WrittenKind("display report of an analysis", COMPREHENSIVE_SR, DISPLAY_SERIES_NUMBER),
    WrittenKind(
        "selection of the pictures of an analysis", KEY_OBJECT_SELECTION, KEY_OBJECT_SERIES_NUMBER
    ),
    WrittenKind(
        "wrapped photograph", VL_PHOTOGRAPHIC_IMAGE, PHOTOGRAPH_SERIES_NUMBER, _PLAIN_OR_JPEG
    ),
    WrittenKind("wrapped mesh", ENCAPSULATED_STL, MODEL_SERIES_NUMBER),
    WrittenKind("wrapped mesh", ENCAPSULATED_OBJ, MODEL_SERIES_NUMBER),
    WrittenKind("materials of a wrapped mesh", ENCAPSULATED_MTL, MODEL_SERIES_NUMBER),
    WrittenKind(
        "texture of a wrapped mesh", VL_PHOTOGRAPHIC_IMAGE, TEXTURE_SERIES_NUMBER, _PLAIN_OR_JPEG
    ),
)
