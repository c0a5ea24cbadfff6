"""Writes an analysis as a Comprehensive 3D SR of TID 1500, in the study of its sources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from highdicom import sr
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence

from dicom_nodes.objects.coded_entries import private_scheme_item
from dicom_nodes.objects.content_keyed_uids import content_uid
from dicom_nodes.objects.report_content import measurement_report
from dicom_nodes.objects.report_context import NormalRanges, no_normal_range
from dicom_nodes.objects.report_document import (
    NO_PARTS,
    Parts,
    context_of,
    finished_document,
    read_sources,
)
from dicom_nodes.objects.written_object import (
    OWN_MANUFACTURER,
    RESEARCH_USE,
    WrittenObject,
    clean_text,
)
from processing.measurement import Analysis, Status

REPORT_SERIES_NUMBER: Final = 9101


@dataclass(frozen=True, slots=True)
class Predecessor:
    """The report that a new one replaces."""

    study_instance_uid: str
    series_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str


def write_measurement_report(
    analysis: Analysis,
    sources: Sequence[Path],
    out: Path,
    *,
    key: str,
    made_at: datetime,
    predecessor: Predecessor | None = None,
    parts: Parts = NO_PARTS,
    normal_range_of: NormalRanges = no_normal_range,
    series_number: int = REPORT_SERIES_NUMBER,
) -> WrittenObject:
    """Write the report of an analysis, measured or not.

    The same arguments make the same bytes.

    Parameters
    ----------
    analysis : Analysis
        Its first input is what landmarks lie on; ``uid#2`` is frame 2 of an image.
    sources : sequence of Path
        The objects it was made from. Patient and study are taken from the first.
    out : Path
        The file to write.
    key : str
        From `content_key`; the UIDs follow from it.
    made_at : datetime
        When the analysis was made.
    predecessor : Predecessor, optional
        The report that this one replaces.
    parts : Parts, optional
        The other objects of the result; the report refers to all of them.
    normal_range_of : callable, optional
        The published normal range of a measurement, None where there is none.
    series_number : int

    Returns
    -------
    WrittenObject

    Raises
    ------
    RejectedInput
        If no source can be referred to.
    PermanentFault
        If a name in the analysis has no code.
    ValueError
        If a landmark lies on none of the sources.
    OSError
        If the file cannot be written.
    """
    found = read_sources(sources)
    context = context_of(analysis, found, parts, normal_range_of)
    report = sr.Comprehensive3DSR(
        evidence=[each.reference() for each in context.evidence()],
        content=measurement_report(context),
        series_instance_uid=content_uid(key, "report-series"),
        series_number=series_number,
        sop_instance_uid=content_uid(key, "report"),
        instance_number=1,
        manufacturer=OWN_MANUFACTURER,
        is_complete=analysis.status is Status.MEASURED,
        previous_versions=[_as_dataset(predecessor)] if predecessor is not None else None,
        series_description=clean_text(f"hemiface {analysis.analysis} {analysis.version}", 64),
        specific_character_set="ISO_IR 192",
    )
    add_report_attributes(report)
    return finished_document(report, found.identity, made_at, out)


def add_report_attributes(report: Dataset) -> None:
    """Say that a report is for research, and what the private codes are."""
    report.ContentQualification = "RESEARCH"
    report.CodingSchemeIdentificationSequence = DicomSequence([private_scheme_item()])
    report.CompletionFlagDescription = clean_text(RESEARCH_USE, 64)


def _as_dataset(predecessor: Predecessor) -> Dataset:
    dataset = Dataset()
    dataset.StudyInstanceUID = predecessor.study_instance_uid
    dataset.SeriesInstanceUID = predecessor.series_instance_uid
    dataset.SOPClassUID = predecessor.sop_class_uid
    dataset.SOPInstanceUID = predecessor.sop_instance_uid
    return dataset
