"""Writes the pages of a result as Encapsulated PDF (PS3.3 A.45.1), in the study of its sources."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from pydicom.dataset import Dataset

from dicom_nodes.objects.coded_entries import Code, code_item
from dicom_nodes.objects.content_keyed_uids import content_uid
from dicom_nodes.objects.foreign_values import foreign_values
from dicom_nodes.objects.report_document import read_sources
from dicom_nodes.objects.sop_classes import ENCAPSULATED_PDF
from dicom_nodes.objects.study_context import apply_identity, study_time_of
from dicom_nodes.objects.written_object import (
    WrittenObject,
    add_creation,
    add_own_equipment,
    clean_text,
    write_file,
)
from processing.measurement import Analysis, RejectedInput

PDF_SERIES_NUMBER: Final = 9104
LARGEST_PDF_BYTES: Final = 0xFFFFFFFE
_TITLE: Final = Code("126000", "DCM", "Imaging Measurement Report")
_MAGIC: Final = b"%PDF-"


def write_encapsulated_pdf(
    pdf: bytes,
    analysis: Analysis,
    sources: Sequence[Path],
    out: Path,
    *,
    key: str,
    made_at: datetime,
    title: str,
    language: str,
    report: WrittenObject | None = None,
    shows_face: bool = True,
    series_number: int = PDF_SERIES_NUMBER,
) -> WrittenObject:
    """Write the pages of a result.

    The same arguments make the same bytes.

    Parameters
    ----------
    pdf : bytes
        The document; it shows the patient's name.
    analysis : Analysis
        What it is about.
    sources : sequence of Path
        The objects the analysis was made from; patient and study are of the first.
    out : Path
        The file to write.
    key : str
        From `content_key`; the UIDs follow from it and from the language.
    made_at : datetime
    title : str
        Document Title, in the language of the document.
    language : str
        RFC 5646 tag; other pages of the same result are another object.
    report : WrittenObject, optional
        The measurement report whose numbers it shows.
    shows_face : bool
        Whether the patient may be known by a picture in it.
    series_number : int

    Returns
    -------
    WrittenObject

    Raises
    ------
    RejectedInput
        If no source can be referred to, or the document is no PDF or too large.
    OSError
        If the file cannot be written.
    """
    if not pdf.startswith(_MAGIC) or len(pdf) > LARGEST_PDF_BYTES:
        raise RejectedInput(f"The pages of {analysis.analysis} are no PDF, or are too large.")
    found = read_sources(sources)
    dataset = Dataset()
    dataset.SOPClassUID = ENCAPSULATED_PDF
    dataset.SOPInstanceUID = content_uid(key, f"pages-{language}")
    dataset.SeriesInstanceUID = content_uid(key, f"pages-series-{language}")
    dataset.SeriesNumber = series_number
    dataset.SeriesDescription = clean_text(f"hemiface {analysis.analysis} pages", 64)
    dataset.InstanceNumber = 1
    dataset.Modality = "DOC"
    dataset.ConversionType = "WSD"
    dataset.AcquisitionDateTime = ""
    dataset.BurnedInAnnotation = "YES"
    dataset.RecognizableVisualFeatures = "YES" if shows_face else "NO"
    dataset.VerificationFlag = "UNVERIFIED"
    dataset.DocumentTitle = clean_text(title, 1024, is_single_valued=False)
    dataset.ConceptNameCodeSequence = [code_item(_TITLE)]
    dataset.SourceInstanceSequence = [
        _reference(each.sop_class_uid, each.sop_instance_uid)
        for each in (*found.headers, *((report,) if report is not None else ()))
    ]
    dataset.MIMETypeOfEncapsulatedDocument = "application/pdf"
    dataset.EncapsulatedDocumentLength = len(pdf)
    padded = pdf if len(pdf) % 2 == 0 else pdf + b"\0"
    dataset.add_new("EncapsulatedDocument", "OB", padded)
    add_own_equipment(dataset)
    add_creation(dataset, study_time_of(made_at, found.identity))
    apply_identity(dataset, found.identity)
    with foreign_values():
        return write_file(dataset, out)


def _reference(sop_class_uid: str, sop_instance_uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = sop_class_uid
    item.ReferencedSOPInstanceUID = sop_instance_uid
    return item
