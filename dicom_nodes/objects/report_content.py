"""The content tree of a measurement report: TID 1500 with groups of TID 1501 and 1410."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeAlias

import numpy as np
from highdicom import sr
from pydicom.sr.codedict import codes as standard_codes

from dicom_nodes.objects import codes, report_codes
from dicom_nodes.objects.coded_entries import Code
from dicom_nodes.objects.report_context import Context
from dicom_nodes.objects.report_items import (
    algorithm_item,
    as_coded,
    composite_item,
    device_observer,
    finding_site,
    image_item,
    measurement_item,
    site_of,
    text_item,
)
from dicom_nodes.objects.report_words import (
    ANALYSIS_TRACKING,
    LANDMARK_TRACKING,
    PLANE_TRACKING,
    QUALITY_TRACKING,
    SCOORD_ORIGIN_SHIFT,
)
from dicom_nodes.objects.written_object import (
    RESEARCH_USE,
    clean_text,
)
from processing.measurement import Analysis, Measurement, Plane, QualityCheck, Side, Status

PLACED_BY_REVIEWER: Final = "Placed by a reviewer."

Group: TypeAlias = (
    sr.MeasurementsAndQualitativeEvaluations | sr.PlanarROIMeasurementsAndQualitativeEvaluations
)


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
    return sr.MeasurementReport(
        observation_context=device_observer(),
        procedure_reported=as_coded(codes.procedure_code(analysis.analysis)),
        imaging_measurements=groups,
        title=standard_codes.DCM.ImagingMeasurementReport,
        referenced_images=[each.reference() for each in context.images()],
    )


def _analysis_group(context: Context) -> Group:
    """The group that says how the analysis ended; a refused one has no other."""
    analysis = context.analysis
    group = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=context.tracking(ANALYSIS_TRACKING),
        finding_sites=[finding_site(codes.FACE, None)],
        algorithm_id=algorithm_item(analysis),
        qualitative_evaluations=[
            sr.QualitativeEvaluation(as_coded(name), as_coded(value))
            for name, value in _findings(analysis)
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
            content.append(composite_item(report_codes.SOURCE_OF_MEASUREMENT, each))
    if analysis.reason:
        content.append(text_item(report_codes.ANALYSIS_REASON, analysis.reason))
    for picture in context.pictures:
        content.append(image_item(report_codes.ILLUSTRATION, picture))
    for name, each in context.companions.items():
        content.append(composite_item(name, each))
    for source in analysis.inputs:
        content.append(text_item(report_codes.ANALYSIS_INPUT, source))
    content.append(text_item(report_codes.COMMENT, RESEARCH_USE))
    return group


def _findings(analysis: Analysis) -> Iterator[tuple[Code, Code]]:
    """What is told in codes: how it ended, whether all checks passed, and what is affected."""
    yield report_codes.ANALYSIS_STATUS, codes.STATUSES[analysis.status]
    if analysis.quality:
        passed = all(each.passed for each in analysis.quality)
        yield report_codes.CHECKS_PASSED, report_codes.YES if passed else report_codes.NO
    plane = analysis.planes.get("midsagittal")
    if plane is None or analysis.status is not Status.MEASURED:
        return
    yield (
        report_codes.AFFECTED_AREA,
        report_codes.PRESENT if analysis.areas else report_codes.ABSENT,
    )
    for area in analysis.areas.values():
        heights = area.vertices_mm @ np.array(plane.normal) - plane.offset_mm
        side = Side.LEFT if float(np.mean(heights)) > 0 else Side.RIGHT
        yield report_codes.AFFECTED_SIDE, codes.SIDES[side]


def _measurement_groups(context: Context) -> list[Group]:
    """One group for each site: structure, region and side."""
    by_site: dict[tuple[str | None, str | None, Side | None], list[Measurement]] = {}
    for each in context.analysis.measurements:
        by_site.setdefault((each.structure, each.region, each.side), []).append(each)
    groups: list[Group] = []
    for (structure, region, side), measurements in by_site.items():
        names = (structure or "unspecified", region, side.value if side is not None else None)
        group = sr.MeasurementsAndQualitativeEvaluations(
            tracking_identifier=context.tracking(" ".join(each for each in names if each)),
            finding_sites=[site_of(measurements[0])],
            algorithm_id=algorithm_item(context.analysis),
            measurements=[
                measurement_item(each, normal=context.normal_range_of(each))
                for each in measurements
            ],
        )
        area = context.area_of(region)
        if area is not None:
            group[0].ContentSequence.append(composite_item(report_codes.SURFACE_OF_AREA, area))
        groups.append(group)
    return groups


def _plane_group(context: Context, name: str, plane: Plane) -> Group:
    numbers = zip(report_codes.PLANE_NORMAL, plane.normal, strict=True)
    measurements = [
        sr.Measurement(as_coded(concept), float(value), as_coded(codes.unit_code("1")))
        for concept, value in numbers
    ]
    offset = sr.Measurement(
        as_coded(report_codes.PLANE_OFFSET), float(plane.offset_mm), as_coded(codes.unit_code("mm"))
    )
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=context.tracking(PLANE_TRACKING + name),
        finding_type=as_coded(codes.plane_code(name)),
        finding_sites=[finding_site(codes.FACE, None)],
        algorithm_id=algorithm_item(context.analysis),
        measurements=[*measurements, offset],
    )


def _landmark_group(context: Context, name: str, at: tuple[float, ...]) -> Group:
    """A named point; one that a reviewer placed says so, and names no algorithm."""
    code, side = codes.landmark_site(name)
    is_edited = (code, side) in context.edited_landmarks()
    group = sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=context.tracking(LANDMARK_TRACKING + name),
        referenced_region=_point(context, name, at),
        finding_type=as_coded(code),
        finding_category=as_coded(report_codes.ANATOMICAL_POINT),
        finding_sites=[finding_site(codes.FACE, side)],
        algorithm_id=None if is_edited else algorithm_item(context.analysis),
    )
    if is_edited:
        group[0].ContentSequence.append(text_item(report_codes.COMMENT, PLACED_BY_REVIEWER))
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
    unit = as_coded(codes.unit_code(check.unit))
    passed = report_codes.YES if check.passed else report_codes.NO
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=context.tracking(QUALITY_TRACKING + clean_text(check.check, 64)),
        finding_type=as_coded(report_codes.QUALITY_CHECK),
        algorithm_id=algorithm_item(context.analysis),
        measurements=[
            sr.Measurement(as_coded(report_codes.QUALITY_VALUE), float(check.value), unit),
            sr.Measurement(as_coded(report_codes.QUALITY_LIMIT), float(check.limit), unit),
        ],
        qualitative_evaluations=[
            sr.QualitativeEvaluation(as_coded(report_codes.QUALITY_PASSED), as_coded(passed))
        ],
    )
