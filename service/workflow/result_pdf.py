"""The pages of a result as one of its DICOM objects."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from dicom_nodes.objects.encapsulated_pdf import write_encapsulated_pdf
from dicom_nodes.objects.header import InstanceHeader
from dicom_nodes.objects.report_document import read_sources
from dicom_nodes.objects.study_context import study_time_of
from dicom_nodes.objects.written_object import WrittenObject, software_version
from processing.measurement import Analysis, Picture
from processing.normal_ranges import normal_range_of
from service.display import person_name
from service.result_pages.page_content import Subject
from service.result_pages.pages import result_pages
from service.result_pages.words import Language, named, words_of


def write_result_pdf(
    analysis: Analysis,
    pictures: Sequence[Picture],
    sources: Sequence[Path],
    out: Path,
    *,
    key: str,
    made_at: datetime,
    language: Language,
    report: WrittenObject,
) -> WrittenObject:
    """Draw the pages of a result and write them; the same arguments make the same bytes.

    Raises
    ------
    RejectedInput
        If no source can be referred to.
    PermanentFault
        If the font is not installed.
    OSError
        If the file cannot be written.
    """
    found = read_sources(sources)
    pdf = result_pages(
        analysis,
        pictures,
        subject_of(found.headers[0]),
        study_time_of(made_at, found.identity),
        language=language,
        software=software_version(),
        normal_range_of=normal_range_of,
    )
    return write_encapsulated_pdf(
        pdf,
        analysis,
        sources,
        out,
        key=key,
        made_at=made_at,
        title=named(words_of(language).analyses, analysis.analysis),
        language=language,
        report=report,
        shows_face=bool(pictures),
    )


def subject_of(header: InstanceHeader) -> Subject:
    """Whose result it is, as the header of a source says."""
    return Subject(
        name=person_name(header.patient_name),
        patient_id=header.patient_id,
        birth_date=header.birth_date,
        sex=header.sex,
        study_date=header.study_date,
        accession_number=header.accession_number,
    )
