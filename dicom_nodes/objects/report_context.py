"""What the groups of a report share: its analysis, its sources, and what is tracked."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, TypeAlias

from highdicom import sr
from pydicom.dataset import Dataset

from dicom_nodes.objects import codes
from dicom_nodes.objects.coded_entries import Code
from dicom_nodes.objects.content_keyed_uids import content_key, content_uid
from dicom_nodes.objects.sop_classes import PHOTOGRAPHS
from processing.measurement import Analysis, Measurement, NormalRange, Side

EDIT_DISTANCE: Final = "landmark_edit_distance"
"""The quantity that every landmark which a reviewer placed has."""

_REGION_OF_AREA: Final = {
    "affected-area": "affected area",
    "affected-area-given": "affected area, given",
}
_EMPTY_IDENTITY: Final = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
)
"""What highdicom copies from evidence; the real identity is put in afterwards."""


@dataclass(frozen=True, slots=True)
class Source:
    """An object that an analysis was made from, as far as a report names it."""

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    modality: str
    rows: int
    columns: int

    @property
    def is_image(self) -> bool:
        """Whether it is a photograph with pixels."""
        return self.sop_class_uid in PHOTOGRAPHS and self.rows > 0 and self.columns > 0

    def reference(self) -> Dataset:
        """The attributes by which highdicom lists it as evidence and in the image library."""
        reference = Dataset()
        reference.SOPClassUID = self.sop_class_uid
        reference.SOPInstanceUID = self.sop_instance_uid
        reference.StudyInstanceUID = self.study_instance_uid
        reference.SeriesInstanceUID = self.series_instance_uid
        reference.Modality = self.modality
        reference.Rows = self.rows
        reference.Columns = self.columns
        for keyword in _EMPTY_IDENTITY:
            setattr(reference, keyword, "")
        return reference


NormalRanges: TypeAlias = Callable[[Measurement], NormalRange | None]


def no_normal_range(measured: Measurement) -> None:
    """Nothing was published about any measurement."""


@dataclass(frozen=True, slots=True)
class Context:
    """What the groups of a report share.

    Parameters
    ----------
    analysis : Analysis
    sources : sequence of Source
        The objects that it was made from.
    patient_key : str
        From `patient_key`; tracking UIDs follow from it.
    frame : str
        Frame of Reference UID of 3D points.
    areas : mapping of str to Source
        The objects that hold areas, by their names.
    pictures : sequence of Source
        The pictures of the analysis, as images.
    companions : mapping of Code to Source
        Other objects of the same result, by what they are.
    normal_range_of : callable
        The published normal range of a measurement, None where there is none.
    """

    analysis: Analysis
    sources: Sequence[Source]
    patient_key: str
    frame: str
    areas: Mapping[str, Source] = field(default_factory=lambda: MappingProxyType({}))
    pictures: Sequence[Source] = ()
    companions: Mapping[Code, Source] = field(default_factory=lambda: MappingProxyType({}))
    normal_range_of: NormalRanges = no_normal_range

    def images(self) -> list[Source]:
        """The images that were measured, for the image library.

        The pictures of the analysis are none of them: TID 1602 codes how an image was
        acquired (CID 29), which no picture of an analysis was.
        """
        return [each for each in self.sources if each.is_image]

    def evidence(self) -> list[Source]:
        """Every object that a report refers to."""
        return [*self.sources, *self.areas.values(), *self.pictures, *self.companions.values()]

    def tracking(self, identifier: str) -> sr.TrackingIdentifier:
        """A tracking identifier whose UID is the same for this patient at every time."""
        return sr.TrackingIdentifier(
            uid=content_uid(self.patient_key, identifier),
            identifier=f"{self.analysis.analysis} {identifier}",
        )

    def edited_landmarks(self) -> frozenset[tuple[Code, Side | None]]:
        """Structure and side of the landmarks that a reviewer placed."""
        return frozenset(
            (codes.structure_code(each.structure), each.side)
            for each in self.analysis.measurements
            if each.quantity == EDIT_DISTANCE and each.structure is not None
        )

    def area_of(self, region: str | None) -> Source | None:
        """The object that holds the area which a region is named after."""
        for name, source in self.areas.items():
            area = _REGION_OF_AREA[name]
            if region in (area, f"{area}, levelled"):
                return source
        return None

    def measured_image(self) -> tuple[Source | None, int | None]:
        """The image that landmarks lie on, and its frame where it has several."""
        uid, frame = split_frame(self.analysis.inputs[0]) if self.analysis.inputs else ("", None)
        for each in self.sources:
            if each.sop_instance_uid == uid:
                return each, frame
        images = [each for each in self.sources if each.is_image]
        return (images[0] if len(images) == 1 else None), frame


def frame_of(analysis: Analysis, scan_uid: str) -> str:
    """Frame of Reference UID of 3D points: that of the scan, or one that follows from its UID."""
    return analysis.frame or content_uid(scan_uid, "frame")


def split_frame(source: str) -> tuple[str, int | None]:
    """A photograph's source as SOP Instance UID and frame number (``1.2.3#2`` is frame 2)."""
    uid, mark, frame = source.partition("#")
    return uid, int(frame) if mark and frame.isascii() and frame.isdigit() else None


def patient_key(issuer: str, patient_id: str, analysis: str) -> str:
    """Key of what is tracked in one patient over time."""
    digest = hashlib.sha256(f"{issuer}\0{patient_id}".encode()).hexdigest()
    return content_key([digest], analysis, "tracking")
