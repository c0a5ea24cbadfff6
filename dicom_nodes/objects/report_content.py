"""The content tree of a measurement report: TID 1500 with groups of TID 1501 and 1410."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, TypeAlias

import numpy as np
from highdicom import sr
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes as standard_codes
from pydicom.sr.coding import Code as PydicomCode

from dicom_nodes.objects import codes
from dicom_nodes.objects.coded_entries import Code, private_code
from dicom_nodes.objects.content_keyed_uids import content_key, content_uid
from dicom_nodes.objects.report_words import (
    ANALYSIS_TRACKING,
    LANDMARK_TRACKING,
    PLANE_TRACKING,
    QUALITY_TRACKING,
    SCOORD_ORIGIN_SHIFT,
)
from dicom_nodes.objects.sop_classes import PHOTOGRAPHS
from dicom_nodes.objects.written_object import (
    DEVICE_UID,
    OWN_MANUFACTURER,
    RESEARCH_USE,
    clean_text,
)
from processing.measurement import Analysis, Measurement, Plane, QualityCheck, Side

EDIT_DISTANCE: Final = "landmark_edit_distance"
"""The quantity that every landmark which a reviewer placed has."""

PLACED_BY_REVIEWER: Final = "Placed by a reviewer."

_REGION_OF_AREA: Final = {
    "affected-area": "affected area",
    "affected-area-given": "affected area, given",
}
_LONGEST_MEANING: Final = 64
_LONGEST_TEXT: Final = 10_000

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

Group: TypeAlias = (
    sr.MeasurementsAndQualitativeEvaluations | sr.PlanarROIMeasurementsAndQualitativeEvaluations
)


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


@dataclass(frozen=True, slots=True)
class Context:
    """What the groups of a report share; `areas` are objects that hold areas, by their names."""

    analysis: Analysis
    sources: Sequence[Source]
    patient_key: str
    frame: str
    areas: Mapping[str, Source] = field(default_factory=lambda: MappingProxyType({}))

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


def measurement_report(context: Context) -> sr.MeasurementReport:
    """The whole content tree (TID 1500).

    Raises
    ------
    PermanentFault
        If a quantity, structure, region, unit, landmark or plane has no code.
    """
    analysis = context.analysis
    groups: list[Group] = [_analysis_group(context)]
    groups += _measurement_groups(context)
    groups += [_plane_group(context, name, each) for name, each in analysis.planes.items()]
    groups += [_landmark_group(context, name, at) for name, at in analysis.landmarks.items()]
    groups += [_quality_group(context, each) for each in analysis.quality]
    device = sr.DeviceObserverIdentifyingAttributes(
        uid=DEVICE_UID,
        name="hemiface",
        manufacturer_name=OWN_MANUFACTURER,
        model_name="hemiface",
    )
    return sr.MeasurementReport(
        observation_context=sr.ObservationContext(
            observer_device_context=sr.ObserverContext(
                observer_type=standard_codes.DCM.Device, observer_identifying_attributes=device
            )
        ),
        procedure_reported=_coded(codes.procedure_code(analysis.analysis)),
        imaging_measurements=groups,
        title=standard_codes.DCM.ImagingMeasurementReport,
        referenced_images=_library(context.sources),
    )


def _library(sources: Iterable[Source]) -> list[Dataset]:
    return [each.reference() for each in sources if each.is_image]


def _analysis_group(context: Context) -> Group:
    """The group that says how the analysis ended; a refused one has no other."""
    analysis = context.analysis
    group = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=context.tracking(ANALYSIS_TRACKING),
        finding_sites=[_site(codes.FACE, None)],
        algorithm_id=_algorithm(analysis),
        qualitative_evaluations=[
            sr.QualitativeEvaluation(
                _coded(codes.ANALYSIS_STATUS), _coded(codes.STATUSES[analysis.status])
            )
        ],
        source_images=[
            sr.SourceImageForMeasurementGroup(each.sop_class_uid, each.sop_instance_uid)
            for each in context.sources
            if each.is_image
        ],
    )
    content = group[0].ContentSequence
    for each in context.sources:
        if not each.is_image:
            content.append(_composite(codes.SOURCE_OF_MEASUREMENT, each))
    if analysis.reason:
        content.append(_text(codes.ANALYSIS_REASON, analysis.reason))
    for source in analysis.inputs:
        content.append(_text(codes.ANALYSIS_INPUT, source))
    content.append(_text(codes.COMMENT, RESEARCH_USE))
    return group


def _measurement_groups(context: Context) -> list[Group]:
    """One group for each site: structure, region and side."""
    by_site: dict[tuple[str | None, str | None, Side | None], list[Measurement]] = {}
    for each in context.analysis.measurements:
        by_site.setdefault((each.structure, each.region, each.side), []).append(each)
    groups: list[Group] = []
    for (structure, region, side), measurements in by_site.items():
        code = codes.structure_code(structure) if structure is not None else codes.UNSPECIFIED_SITE
        names = (structure or "unspecified", region, side.value if side is not None else None)
        group = sr.MeasurementsAndQualitativeEvaluations(
            tracking_identifier=context.tracking(" ".join(each for each in names if each)),
            finding_sites=[_site(code, side, region)],
            algorithm_id=_algorithm(context.analysis),
            measurements=[_measurement(each) for each in measurements],
        )
        area = context.area_of(region)
        if area is not None:
            group[0].ContentSequence.append(_composite(codes.SURFACE_OF_AREA, area))
        groups.append(group)
    return groups


def _composite(name: Code, source: Source) -> sr.CompositeContentItem:
    return sr.CompositeContentItem(
        name=_coded(name),
        referenced_sop_class_uid=source.sop_class_uid,
        referenced_sop_instance_uid=source.sop_instance_uid,
        relationship_type=sr.RelationshipTypeValues.CONTAINS,
    )


def _measurement(measured: Measurement) -> sr.Measurement:
    concept = codes.quantity_concept(measured.quantity)
    unit = codes.unit_code(measured.unit)
    method = clean_text(measured.method, _LONGEST_TEXT, is_single_valued=False)
    measurement = sr.Measurement(
        name=_coded(concept.name),
        value=float(measured.value),
        unit=_coded(unit),
        derivation=_coded(concept.derivation) if concept.derivation is not None else None,
        method=_method_code(method) if method else None,
        properties=_uncertainty(measured.uncertainty, unit),
    )
    content = measurement[0].ContentSequence
    if len(method) > _LONGEST_MEANING:
        content.append(_text(codes.METHOD_TEXT, method, sr.RelationshipTypeValues.HAS_PROPERTIES))
    for each in measured.derived_from:
        content.append(_text(codes.DERIVED_FROM, each, sr.RelationshipTypeValues.INFERRED_FROM))
    return measurement


def _uncertainty(uncertainty: float, unit: Code) -> sr.MeasurementProperties:
    """The measurement uncertainty of TID 310 row 5 (CID 225), symmetric.

    It is the standard's own concept for it; a standard deviation (TID 311) would be
    one of a population of reference. It carries the standard uncertainty, coverage
    factor 1, in the unit of the measurement. highdicom's own arguments write upper
    and lower uncertainty without unit, so the item is made here.
    """
    properties = sr.MeasurementProperties()
    properties.append(
        sr.NumContentItem(
            name=_coded(codes.UNCERTAINTY),
            value=float(uncertainty),
            unit=_coded(unit),
            relationship_type=sr.RelationshipTypeValues.HAS_PROPERTIES,
        )
    )
    return properties


def _plane_group(context: Context, name: str, plane: Plane) -> Group:
    numbers = zip(codes.PLANE_NORMAL, plane.normal, strict=True)
    measurements = [
        sr.Measurement(_coded(concept), float(value), _coded(codes.unit_code("1")))
        for concept, value in numbers
    ]
    offset = sr.Measurement(
        _coded(codes.PLANE_OFFSET), float(plane.offset_mm), _coded(codes.unit_code("mm"))
    )
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=context.tracking(PLANE_TRACKING + name),
        finding_type=_coded(codes.plane_code(name)),
        finding_sites=[_site(codes.FACE, None)],
        algorithm_id=_algorithm(context.analysis),
        measurements=[*measurements, offset],
    )


def _landmark_group(context: Context, name: str, at: tuple[float, ...]) -> Group:
    """A named point; one that a reviewer placed says so, and names no algorithm."""
    code, side = codes.landmark_site(name)
    is_edited = (code, side) in context.edited_landmarks()
    group = sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=context.tracking(LANDMARK_TRACKING + name),
        referenced_region=_point(context, name, at),
        finding_type=_coded(code),
        finding_category=_coded(codes.ANATOMICAL_POINT),
        finding_sites=[_site(codes.FACE, side)],
        algorithm_id=None if is_edited else _algorithm(context.analysis),
    )
    if is_edited:
        group[0].ContentSequence.append(_text(codes.COMMENT, PLACED_BY_REVIEWER))
    return group


def _point(context: Context, name: str, at: tuple[float, ...]) -> sr.ImageRegion | sr.ImageRegion3D:
    if len(at) == 3:
        return sr.ImageRegion3D(
            graphic_type=sr.GraphicTypeValues3D.POINT,
            graphic_data=np.array([at], dtype=np.float64),
            frame_of_reference_uid=context.frame,
        )
    image, frame = context.measured_image()
    if image is None:
        raise ValueError(
            f"landmark {name} lies on none of the sources; the first input must be one of them"
        )
    return sr.ImageRegion(
        graphic_type=sr.GraphicTypeValues.POINT,
        graphic_data=np.array([at], dtype=np.float64) + SCOORD_ORIGIN_SHIFT,
        source_image=sr.SourceImageForRegion(
            image.sop_class_uid,
            image.sop_instance_uid,
            referenced_frame_numbers=[frame] if frame is not None else None,
        ),
    )


def _quality_group(context: Context, check: QualityCheck) -> Group:
    unit = _coded(codes.unit_code(check.unit))
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=context.tracking(QUALITY_TRACKING + clean_text(check.check, 64)),
        finding_type=_coded(codes.QUALITY_CHECK),
        algorithm_id=_algorithm(context.analysis),
        measurements=[
            sr.Measurement(_coded(codes.QUALITY_VALUE), float(check.value), unit),
            sr.Measurement(_coded(codes.QUALITY_LIMIT), float(check.limit), unit),
        ],
        qualitative_evaluations=[
            sr.QualitativeEvaluation(
                _coded(codes.QUALITY_PASSED), _coded(codes.YES if check.passed else codes.NO)
            )
        ],
    )


def _algorithm(analysis: Analysis) -> sr.AlgorithmIdentification:
    return sr.AlgorithmIdentification(
        name=clean_text(analysis.analysis, _LONGEST_TEXT),
        version=clean_text(analysis.version, _LONGEST_TEXT),
    )


def _site(code: Code, side: Side | None, region: str | None = None) -> sr.FindingSite:
    return sr.FindingSite(
        anatomic_location=_coded(code),
        laterality=_coded(codes.SIDES[side]) if side is not None else None,
        topographical_modifier=(_coded(codes.region_code(region)) if region is not None else None),
    )


def _method_code(method: str) -> PydicomCode:
    """A private code for a method: its value follows from the whole text."""
    digest = hashlib.sha256(method.encode()).hexdigest()
    return _coded(private_code(f"M_{digest[:12]}", clean_text(method, _LONGEST_MEANING)))


def _text(
    name: Code,
    text: str,
    relationship: sr.RelationshipTypeValues = sr.RelationshipTypeValues.CONTAINS,
) -> sr.TextContentItem:
    return sr.TextContentItem(
        name=_coded(name),
        value=clean_text(text, _LONGEST_TEXT, is_single_valued=False) or "-",
        relationship_type=relationship,
    )


def _coded(code: Code) -> PydicomCode:
    return PydicomCode(code.value, code.scheme, code.meaning)
