"""What all documents of a result have in common: whose they are, and what they refer to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Final

from pydicom.dataset import Dataset
from pydicom.uid import UID

from dicom_nodes.objects.coded_entries import Code
from dicom_nodes.objects.file_structure import read_structure
from dicom_nodes.objects.foreign_values import foreign_values
from dicom_nodes.objects.header import InstanceHeader, header_of, is_valid_uid
from dicom_nodes.objects.report_context import (
    Context,
    NormalRanges,
    Source,
    frame_of,
    no_normal_range,
    patient_key,
)
from dicom_nodes.objects.sop_classes import KEY_OBJECT_SELECTION
from dicom_nodes.objects.study_context import (
    StudyIdentity,
    apply_identity,
    identity_of_structure,
    study_time_of,
)
from dicom_nodes.objects.written_object import (
    WrittenObject,
    add_creation,
    add_own_equipment,
    write_file,
)
from processing.measurement import Analysis, Mark, RejectedInput


@dataclass(frozen=True, slots=True)
class SourceObjects:
    """The sources of a result: whose study it is, and what it refers to."""

    identity: StudyIdentity
    headers: tuple[InstanceHeader, ...]


@dataclass(frozen=True, slots=True)
class WrittenPicture:
    """A picture of an analysis that was written, its size, and what is marked in it."""

    written: WrittenObject
    name: str
    rows: int
    columns: int
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True, slots=True)
class Parts:
    """The objects of a result that its documents refer to.

    Parameters
    ----------
    areas : mapping of str to WrittenObject
        The objects that hold the areas of the analysis.
    pictures : sequence of WrittenPicture
    companions : mapping of Code to WrittenObject
        Other documents, by what they are; of modality SR or KO.
    """

    areas: Mapping[str, WrittenObject] = field(default_factory=lambda: MappingProxyType({}))
    pictures: Sequence[WrittenPicture] = ()
    companions: Mapping[Code, WrittenObject] = field(default_factory=lambda: MappingProxyType({}))


NO_PARTS: Final = Parts()


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


def context_of(
    analysis: Analysis,
    found: SourceObjects,
    parts: Parts = NO_PARTS,
    normal_range_of: NormalRanges = no_normal_range,
) -> Context:
    """What the content of a document is written from."""
    first = found.headers[0]
    study = first.study_instance_uid
    return Context(
        analysis=analysis,
        sources=[_source(each) for each in found.headers],
        patient_key=patient_key(first.issuer_of_patient_id, first.patient_id, analysis.analysis),
        frame=frame_of(analysis, first.sop_instance_uid),
        areas={name: _part(each, study, "SEG") for name, each in parts.areas.items()},
        pictures=[picture_source(each, study) for each in parts.pictures],
        companions={
            code: _part(each, study, "KO" if each.sop_class_uid == KEY_OBJECT_SELECTION else "SR")
            for code, each in parts.companions.items()
        },
        normal_range_of=normal_range_of,
    )


def picture_source(picture: WrittenPicture, study_instance_uid: str) -> Source:
    """A picture of the result as its documents refer to it."""
    return _part(picture.written, study_instance_uid, "OT", picture.rows, picture.columns)


def finished_document(
    document: Dataset, identity: StudyIdentity, made_at: datetime, out: Path
) -> WrittenObject:
    """Put in equipment, times, patient and study, and write the file.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    moment = study_time_of(made_at, identity)
    add_creation(document, moment)
    add_own_equipment(document)
    for equipment in document.get("ContributingEquipmentSequence") or ():
        # highdicom names itself here, with the time of the clock.
        equipment.ContributionDateTime = moment.strftime("%Y%m%d%H%M%S")
    document.SeriesDate = document.ContentDate
    document.SeriesTime = document.ContentTime
    apply_identity(document, identity)
    with foreign_values():
        return write_file(document, out)


def _part(
    written: WrittenObject, study_instance_uid: str, modality: str, rows: int = 0, columns: int = 0
) -> Source:
    return Source(
        sop_class_uid=written.sop_class_uid,
        sop_instance_uid=written.sop_instance_uid,
        study_instance_uid=study_instance_uid,
        series_instance_uid=written.series_instance_uid,
        modality=modality,
        rows=rows,
        columns=columns,
    )


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
