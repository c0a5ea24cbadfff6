"""The DICOM objects of a result: which there are, and under which keys they are stored.

A further kind of object is one line in `_written`.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
from PIL import Image

from dicom_nodes.objects.display_report import write_display_report
from dicom_nodes.objects.key_object_selection import write_key_object_selection
from dicom_nodes.objects.measurement_report import Predecessor, write_measurement_report
from dicom_nodes.objects.report_codes import DISPLAY_REPORT, KEY_PICTURES
from dicom_nodes.objects.report_document import Parts, WrittenPicture
from dicom_nodes.objects.secondary_capture import write_secondary_capture
from dicom_nodes.objects.surface_segmentation import write_surface_segmentation
from dicom_nodes.objects.written_object import WrittenObject
from processing.measurement import Analysis, Picture, SurfacePatch, marks_from_json
from processing.normal_ranges import normal_range_of
from service.catalogue.results import MadeObject, MadeResult
from service.catalogue.stored_bytes import StoredBytes
from service.query_facts import made_facts
from service.result_pages.words import Language
from service.workflow.patches import patch_from_bytes
from service.workflow.result_pdf import write_result_pdf

REPORT_ROLE: Final = "report"
PAGES_ROLE: Final = "pages"


@dataclass(frozen=True, slots=True)
class ResultContent:
    """What a result is made of.

    Parameters
    ----------
    analysis : Analysis
        With its areas; without the pixels of its pictures.
    pictures : iterable of Picture
        Read once; all of one result are held at a time.
    source_keys : sequence of str
        Where the objects are stored that it was made from; patient and study are
        those of the first.
    key : str
        Of the result; all UIDs follow from it.
    made_at : datetime
    predecessor : Predecessor, optional
        The report that the new one replaces.
    language : ``"en"`` or ``"zh"``
        Of the pages for people.
    """

    analysis: Analysis
    pictures: Iterable[Picture]
    source_keys: Sequence[str]
    key: str
    made_at: datetime
    predecessor: Predecessor | None
    language: Language = "en"


def write_result_objects(content: ResultContent, stored: StoredBytes) -> tuple[MadeObject, ...]:
    """Write every object of a result into the stored bytes; doing it again does the same.

    Raises
    ------
    RejectedInput
        If no source can be referred to.
    PermanentFault
        If a name in the analysis has no code.
    """
    made: list[MadeObject] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        sources = [stack.enter_context(stored.as_file(each)) for each in content.source_keys]
        for role, written in _written(content, sources, folder).items():
            stored_key = f"results/{content.key}/{role}.dcm"
            stored.write(stored_key, written.path.read_bytes())
            made.append(
                MadeObject(
                    written.sop_instance_uid,
                    written.sop_class_uid,
                    written.series_instance_uid,
                    role,
                    stored_key,
                    made_facts(written.path),
                )
            )
    return tuple(made)


def pictures_of(document: Mapping[str, Any], stored: StoredBytes) -> Iterator[Picture]:
    """The pictures that the measuring child stored, one at a time."""
    for key, text in zip(document["pictures"], document["captions"], strict=True):
        with Image.open(io.BytesIO(stored.read(key))) as image:
            pixels = np.asarray(image.convert("RGB"))
        marks = marks_from_json(text.get("marks", ()))
        yield Picture(text["name"], text["caption"], pixels, marks)


def areas_of(document: Mapping[str, Any], stored: StoredBytes) -> dict[str, SurfacePatch]:
    """The areas that the measuring child stored."""
    keys: dict[str, str] = document.get("areas", {})
    return {name: patch_from_bytes(stored.read(key)) for name, key in keys.items()}


def report_of(result: MadeResult) -> MadeObject:
    """The report of a result."""
    return next(each for each in result.objects if each.role == REPORT_ROLE)


def as_predecessor(former: MadeResult | None) -> Predecessor | None:
    """The report of a former result, as the new one names it."""
    if former is None:
        return None
    report = report_of(former)
    return Predecessor(
        study_instance_uid=former.study_of_objects,
        series_instance_uid=report.series_instance_uid,
        sop_class_uid=report.sop_class_uid,
        sop_instance_uid=report.sop_instance_uid,
    )


def _written(
    content: ResultContent, sources: Sequence[Path], folder: Path
) -> dict[str, WrittenObject]:
    """The files of all objects by their roles; the report is the first that is sent."""
    analysis, key, made_at = content.analysis, content.key, content.made_at
    areas = _areas(content, sources, folder)
    drawn = tuple(content.pictures)
    pictures = _pictures(content, drawn, sources, folder)
    display = write_display_report(
        analysis, sources, pictures, folder / "display.dcm", key=key, made_at=made_at
    )
    key_objects = write_key_object_selection(
        analysis, sources, pictures, folder / "key-objects.dcm", key=key, made_at=made_at
    )
    companions = {DISPLAY_REPORT: display, KEY_PICTURES: key_objects}
    report = write_measurement_report(
        analysis,
        sources,
        folder / "report.dcm",
        key=key,
        made_at=made_at,
        predecessor=content.predecessor,
        normal_range_of=normal_range_of,
        parts=Parts(areas, pictures, {code: each for code, each in companions.items() if each}),
    )
    pages = write_result_pdf(
        analysis,
        drawn,
        sources,
        folder / "pages.dcm",
        key=key,
        made_at=made_at,
        language=content.language,
        report=report,
    )
    objects = {
        REPORT_ROLE: report,
        "display": display,
        "key-objects": key_objects,
        PAGES_ROLE: pages,
        **{f"area-{name}": each for name, each in areas.items()},
        **{f"picture-{number}": each.written for number, each in enumerate(pictures, start=1)},
    }
    return {role: each for role, each in objects.items() if each is not None}


def _areas(
    content: ResultContent, sources: Sequence[Path], folder: Path
) -> dict[str, WrittenObject]:
    return {
        name: write_surface_segmentation(
            name,
            content.analysis,
            sources,
            folder / f"{name}.dcm",
            key=content.key,
            made_at=content.made_at,
        )
        for name in content.analysis.areas
    }


def _pictures(
    content: ResultContent, drawn: Sequence[Picture], sources: Sequence[Path], folder: Path
) -> list[WrittenPicture]:
    written: list[WrittenPicture] = []
    for number, picture in enumerate(drawn, start=1):
        capture = write_secondary_capture(
            picture,
            content.analysis,
            sources,
            folder / f"picture-{number}.dcm",
            key=content.key,
            made_at=content.made_at,
            number=number,
        )
        rows, columns = picture.pixels.shape[:2]
        written.append(WrittenPicture(capture, picture.name, rows, columns, picture.marks))
    return written
