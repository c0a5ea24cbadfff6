"""Writes a display report: the measurements that belong to a picture, each drawn on it.

Viewers draw a measurement where its group holds a region of an image, and some
show nothing at all of a report that has one group without (OHIF 3.13). So this
Comprehensive SR of TID 1500 holds planar groups (TID 1410) alone, beside the
report that holds every number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
from highdicom import sr
from pydicom.sr.codedict import codes as standard_codes

from dicom_nodes.objects import codes
from dicom_nodes.objects.coded_entries import Code
from dicom_nodes.objects.content_keyed_uids import content_uid
from dicom_nodes.objects.measurement_report import add_report_attributes
from dicom_nodes.objects.report_context import Context, Source
from dicom_nodes.objects.report_document import (
    Parts,
    WrittenPicture,
    context_of,
    finished_document,
    picture_source,
    read_sources,
)
from dicom_nodes.objects.report_items import (
    algorithm_item,
    as_coded,
    device_observer,
    measurement_item,
    site_of,
)
from dicom_nodes.objects.report_words import SCOORD_ORIGIN_SHIFT
from dicom_nodes.objects.written_object import OWN_MANUFACTURER, WrittenObject, clean_text
from processing.measurement import Analysis, Mark, Measurement

DISPLAY_SERIES_NUMBER: Final = 9105
_DISPLAY_TRACKING: Final = "display"


def write_display_report(
    analysis: Analysis,
    sources: Sequence[Path],
    pictures: Sequence[WrittenPicture],
    out: Path,
    *,
    key: str,
    made_at: datetime,
    series_number: int = DISPLAY_SERIES_NUMBER,
) -> WrittenObject | None:
    """Write the measurements that belong to the photograph or to a picture.

    The same arguments make the same bytes.

    Parameters
    ----------
    analysis : Analysis
        Its marks are drawn on the photograph that is its first input.
    sources : sequence of Path
        The objects it was made from. Patient and study are taken from the first.
    pictures : sequence of WrittenPicture
        The pictures of the analysis; their marks are drawn on them.
    out : Path
        The file to write.
    key : str
        From `content_key`; the UIDs follow from it.
    made_at : datetime
    series_number : int

    Returns
    -------
    WrittenObject or None
        None where nothing is marked.

    Raises
    ------
    RejectedInput
        If no source can be referred to.
    PermanentFault
        If a name in the analysis has no code.
    OSError
        If the file cannot be written.
    """
    found = read_sources(sources)
    context = context_of(analysis, found, Parts(pictures=pictures))
    groups: list[sr.PlanarROIMeasurementsAndQualitativeEvaluations] = []
    shown: list[Source] = []
    for image, frame, name, marks in _marked(context, pictures):
        groups += [_group(context, image, frame, name, mark) for mark in marks]
        shown.append(image)
    if not groups:
        return None
    report = sr.ComprehensiveSR(
        evidence=[each.reference() for each in dict.fromkeys((*shown, *context.images()))],
        content=sr.MeasurementReport(
            observation_context=device_observer(),
            procedure_reported=as_coded(codes.procedure_code(analysis.analysis)),
            imaging_measurements=groups,
            title=standard_codes.DCM.ImagingMeasurementReport,
            referenced_images=[each.reference() for each in context.images()],
        ),
        series_instance_uid=content_uid(key, "display-series"),
        series_number=series_number,
        sop_instance_uid=content_uid(key, "display"),
        instance_number=1,
        manufacturer=OWN_MANUFACTURER,
        is_complete=True,
        series_description=clean_text(f"hemiface {analysis.analysis} on pictures", 64),
        specific_character_set="ISO_IR 192",
    )
    add_report_attributes(report)
    return finished_document(report, found.identity, made_at, out)


def _marked(
    context: Context, pictures: Sequence[WrittenPicture]
) -> Iterator[tuple[Source, int | None, str, tuple[Mark, ...]]]:
    """Every image with marks: itself, its frame, its name, the marks."""
    photograph, frame = context.measured_image()
    if photograph is not None and context.analysis.marks:
        yield photograph, frame, "photograph", context.analysis.marks
    for each in pictures:
        if each.marks:
            study = context.sources[0].study_instance_uid
            yield picture_source(each, study), None, each.name, each.marks


def _group(
    context: Context, image: Source, frame: int | None, picture: str, mark: Mark
) -> sr.PlanarROIMeasurementsAndQualitativeEvaluations:
    """A mark and its measurements (TID 1410).

    The tracking identifier names the picture: a viewer joins groups of one identifier.
    """
    measurements = mark.shown(context.analysis.measurements)
    return sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=context.tracking(f"{_DISPLAY_TRACKING} {picture} {mark.name}"),
        referenced_region=_region(image, frame, mark),
        finding_sites=[site_of(mark)],
        algorithm_id=algorithm_item(context.analysis),
        measurements=[
            measurement_item(each, name=_name(each), with_site=each.side is not mark.side)
            for each in measurements
        ],
    )


def _name(measured: Measurement) -> Code | None:
    """A name that a viewer shows in full; None where the usual one is."""
    name = codes.displayed_name(measured)
    return name if name != codes.quantity_concept(measured.quantity).name else None


def _region(image: Source, frame: int | None, mark: Mark) -> sr.ImageRegion:
    is_point = len(mark.points_px) == 1
    return sr.ImageRegion(
        graphic_type=sr.GraphicTypeValues.POINT if is_point else sr.GraphicTypeValues.POLYLINE,
        graphic_data=np.array(mark.points_px, dtype=np.float64) + SCOORD_ORIGIN_SHIFT,
        source_image=sr.SourceImageForRegion(
            image.sop_class_uid,
            image.sop_instance_uid,
            referenced_frame_numbers=[frame] if frame is not None else None,
        ),
    )
