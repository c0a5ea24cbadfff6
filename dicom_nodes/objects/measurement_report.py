"""Writes an analysis as a Comprehensive 3D SR of TID 1500, in the study of its sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Final

from highdicom import sr
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import UID

from dicom_nodes.objects.coded_entries import private_scheme_item
from dicom_nodes.objects.content_keyed_uids import content_uid
from dicom_nodes.objects.file_structure import read_structure
from dicom_nodes.objects.foreign_values import foreign_values
from dicom_nodes.objects.header import InstanceHeader, header_of, is_valid_uid
from dicom_nodes.objects.report_content import (
    Context,
    Source,
    frame_of,
    measurement_report,
    patient_key,
)
from dicom_nodes.objects.study_context import (
    StudyIdentity,
    apply_identity,
    identity_of_structure,
    study_time_of,
)
from dicom_nodes.objects.written_object import (
    OWN_MANUFACTURER,
    RESEARCH_USE,
    WrittenObject,
    add_creation,
    add_own_equipment,
    clean_text,
    write_file,
)
from processing.measurement import Analysis, RejectedInput, Status

REPORT_SERIES_NUMBER: Final = 9101
_NO_AREAS: Final[Mapping[str, WrittenObject]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Predecessor:
    """The report that a new one replaces."""

    study_instance_uid: str
    series_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class SourceObjects:
    """The sources of a result: whose study it is, and what it refers to."""

    identity: StudyIdentity
    headers: tuple[InstanceHeader, ...]


def read_sources(paths: Sequence[Path]) -> SourceObjects:
    """Read what a result needs of its sources.

    Parameters
    ----------
    paths : sequence of Path
        Of the first, patient and study are taken. What is too damaged to be
        referred to is left out.

    Raises
    ------
    RejectedInput
        If none of them can be referred to.
    """
    identity: StudyIdentity | None = None
    headers: list[InstanceHeader] = []
    for path in paths:
        try:
            structure = read_structure(path)
            header = header_of(structure)
            if not _can_be_referred_to(header):
                continue
            identity = identity or identity_of_structure(structure)
        except RejectedInput:
            # Why it was rejected is in the analysis already; the result leaves it out.
            continue
        headers.append(header)
    if identity is None:
        raise RejectedInput(
            "None of the sources has valid UIDs and a known SOP class, so no result can refer "
            "to them. Correct the objects at their sender."
        )
    return SourceObjects(identity, tuple(headers))


def write_measurement_report(
    analysis: Analysis,
    sources: Sequence[Path],
    out: Path,
    *,
    key: str,
    made_at: datetime,
    predecessor: Predecessor | None = None,
    areas: Mapping[str, WrittenObject] = _NO_AREAS,
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
    areas : mapping of str to WrittenObject
        The objects that hold the areas of the analysis.
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
    first = found.headers[0]
    context = Context(
        analysis=analysis,
        sources=[_source(each) for each in found.headers],
        patient_key=patient_key(first.issuer_of_patient_id, first.patient_id, analysis.analysis),
        frame=frame_of(analysis, first.sop_instance_uid),
        areas={
            name: Source(
                sop_class_uid=each.sop_class_uid,
                sop_instance_uid=each.sop_instance_uid,
                study_instance_uid=first.study_instance_uid,
                series_instance_uid=each.series_instance_uid,
                modality="SEG",
                rows=0,
                columns=0,
            )
            for name, each in areas.items()
        },
    )
    report = sr.Comprehensive3DSR(
        evidence=[each.reference() for each in (*context.sources, *context.areas.values())],
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
    return _finish(report, found.identity, made_at, out)


def _finish(
    report: Dataset, identity: StudyIdentity, made_at: datetime, out: Path
) -> WrittenObject:
    moment = study_time_of(made_at, identity)
    add_creation(report, moment)
    add_own_equipment(report)
    for equipment in report.get("ContributingEquipmentSequence") or ():
        # highdicom names itself here, with the time of the clock.
        equipment.ContributionDateTime = moment.strftime("%Y%m%d%H%M%S")
    report.SeriesDate = report.ContentDate
    report.SeriesTime = report.ContentTime
    report.ContentQualification = "RESEARCH"
    report.CodingSchemeIdentificationSequence = DicomSequence([private_scheme_item()])
    report.CompletionFlagDescription = clean_text(RESEARCH_USE, 64)
    apply_identity(report, identity)
    with foreign_values():
        return write_file(report, out)


def _can_be_referred_to(header: InstanceHeader) -> bool:
    uids = (
        header.sop_class_uid,
        header.sop_instance_uid,
        header.study_instance_uid,
        header.series_instance_uid,
    )
    return all(map(is_valid_uid, uids)) and UID(header.sop_class_uid).type == "SOP Class"


def _source(header: InstanceHeader) -> Source:
    return Source(
        sop_class_uid=header.sop_class_uid,
        sop_instance_uid=header.sop_instance_uid,
        study_instance_uid=header.study_instance_uid,
        series_instance_uid=header.series_instance_uid,
        modality=header.modality,
        rows=header.rows,
        columns=header.columns,
    )


def _as_dataset(predecessor: Predecessor) -> Dataset:
    dataset = Dataset()
    dataset.StudyInstanceUID = predecessor.study_instance_uid
    dataset.SeriesInstanceUID = predecessor.series_instance_uid
    dataset.SOPClassUID = predecessor.sop_class_uid
    dataset.SOPInstanceUID = predecessor.sop_instance_uid
    return dataset
