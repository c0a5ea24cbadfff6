"""A display report draws measures on pictures; a selection points to them; the report to all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import highdicom
import numpy as np
import pytest
from pydicom import Dataset, dcmread

from dicom_nodes.objects.display_report import write_display_report
from dicom_nodes.objects.header import read_header
from dicom_nodes.objects.key_object_selection import write_key_object_selection
from dicom_nodes.objects.measurement_report import write_measurement_report
from dicom_nodes.objects.report_codes import DISPLAY_REPORT, KEY_PICTURES
from dicom_nodes.objects.report_document import Parts, WrittenPicture
from dicom_nodes.objects.report_reader import read_measurement_report
from dicom_nodes.objects.secondary_capture import write_secondary_capture
from processing.measurement import Analysis, Mark, Measurement, NormalRange, Picture

PAIR = Mark(
    "cheilion",
    ((30.25, 40.5), (18.0, 40.0)),
    "cheilion",
    ("pair_ratio", "midline_distance"),
)
FACE = Mark(
    "face", ((4.0, 4.0), (40.0, 4.0), (20.0, 60.0), (4.0, 4.0)), "face", ("symmetry_ratio",)
)


@pytest.fixture
def analysis(photograph: Path, photograph_analysis: Analysis) -> Analysis:
    uid = read_header(photograph).sop_instance_uid
    return replace(photograph_analysis, inputs=(uid,), marks=(PAIR,))


@pytest.fixture
def drawn(
    photograph: Path, analysis: Analysis, picture: np.ndarray, made_at: datetime
) -> WrittenPicture:
    """A picture of the analysis with the face outlined."""
    written = write_secondary_capture(
        Picture("front", "c", picture),
        analysis,
        [photograph],
        photograph.with_name("picture.dcm"),
        key="k",
        made_at=made_at,
        number=1,
    )
    return WrittenPicture(written, "front", *picture.shape[:2], (FACE,))


def _write(
    photograph: Path, analysis: Analysis, pictures: Iterable[WrittenPicture], made_at: datetime
) -> Path:
    out = photograph.with_name("display.dcm")
    written = write_display_report(
        analysis, [photograph], list(pictures), out, key="k", made_at=made_at
    )
    assert written is not None
    return out


def _groups(document: Dataset) -> list[Dataset]:
    (measurements,) = [
        each
        for each in document.ContentSequence
        if each.ConceptNameCodeSequence[0].CodeValue == "126010"
    ]
    return list(measurements.ContentSequence)


def test_every_group_has_a_region_of_an_image(
    photograph: Path, analysis: Analysis, drawn: WrittenPicture, made_at: datetime
) -> None:
    document = dcmread(_write(photograph, analysis, [drawn], made_at))
    groups = _groups(document)
    assert len(groups) == 2
    for group in groups:
        assert [each.ValueType for each in group.ContentSequence].count("SCOORD") == 1
    assert document.SOPClassUID.name == "Comprehensive SR Storage"


def test_marks_lie_on_their_own_image_with_their_measures(
    photograph: Path, analysis: Analysis, drawn: WrittenPicture, made_at: datetime
) -> None:
    report = highdicom.sr.srread(_write(photograph, analysis, [drawn], made_at))
    on_photograph, on_picture = report.content.get_planar_roi_measurement_groups()
    for group, image, mark in (
        (on_photograph, read_header(photograph).sop_instance_uid, PAIR),
        (on_picture, drawn.written.sop_instance_uid, FACE),
    ):
        reference = group.roi.ContentSequence[0].ReferencedSOPSequence[0]
        assert reference.ReferencedSOPInstanceUID == image
        assert np.allclose(group.roi.value, np.array(mark.points_px) + 0.5)
    names = [each.name.meaning for each in on_photograph.get_measurements()]
    assert names == ["Ratio of smaller to larger side", "Left to midline", "Right to midline"]
    assert [each.value for each in on_photograph.get_measurements()] == [0.9, 25.5, 23.5]
    assert [each.value for each in on_picture.get_measurements()] == [0.931]


def test_a_measure_of_one_side_in_a_group_of_both_says_its_side(
    photograph: Path, analysis: Analysis, made_at: datetime
) -> None:
    report = highdicom.sr.srread(_write(photograph, analysis, [], made_at))
    (group,) = report.content.get_planar_roi_measurement_groups()
    sides = [
        site.laterality.meaning for each in group.get_measurements() for site in each.finding_sites
    ]
    assert sides == ["Left", "Right"]


def test_groups_on_two_pictures_are_tracked_apart(
    photograph: Path, analysis: Analysis, drawn: WrittenPicture, made_at: datetime
) -> None:
    twice = replace(analysis, marks=(FACE,))
    report = highdicom.sr.srread(_write(photograph, twice, [drawn], made_at))
    groups = report.content.get_planar_roi_measurement_groups()
    assert len({str(each.tracking_uid) for each in groups}) == 2


def test_nothing_is_written_where_nothing_is_marked(
    photograph: Path, analysis: Analysis, drawn: WrittenPicture, made_at: datetime
) -> None:
    unmarked = replace(analysis, marks=())
    out = photograph.with_name("display.dcm")
    pictures = [replace(drawn, marks=())]
    arguments = {"key": "k", "made_at": made_at}
    assert write_display_report(unmarked, [photograph], pictures, out, **arguments) is None
    assert write_key_object_selection(unmarked, [photograph], [], out, **arguments) is None
    assert not out.exists()


def test_a_selection_lists_the_photograph_and_the_pictures(
    photograph: Path, analysis: Analysis, drawn: WrittenPicture, made_at: datetime
) -> None:
    out = photograph.with_name("key-objects.dcm")
    write_key_object_selection(analysis, [photograph], [drawn], out, key="k", made_at=made_at)
    document = dcmread(out)
    assert document.ConceptNameCodeSequence[0].CodeValue == "113000"
    selected = {
        each.ReferencedSOPSequence[0].ReferencedSOPInstanceUID
        for each in document.ContentSequence
        if each.ValueType == "IMAGE"
    }
    wanted = {read_header(photograph).sop_instance_uid, drawn.written.sop_instance_uid}
    assert selected == wanted
    assert _evidence(document) == wanted


def _evidence(document: Dataset) -> set[str]:
    return {
        str(each.ReferencedSOPInstanceUID)
        for study in document.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for each in series.ReferencedSOPSequence
    }


def _references(item: Dataset) -> set[str]:
    """Everything that the content tree below an item refers to."""
    found = {str(each.ReferencedSOPInstanceUID) for each in item.get("ReferencedSOPSequence") or ()}
    return found.union(*map(_references, item.get("ContentSequence") or ()))


def test_the_report_leads_to_every_other_object_of_the_result(
    photograph: Path, analysis: Analysis, drawn: WrittenPicture, made_at: datetime
) -> None:
    arguments = {"key": "k", "made_at": made_at}
    folder, pictures = photograph.parent, [drawn]
    display = write_display_report(
        analysis, [photograph], pictures, folder / "display.dcm", **arguments
    )
    keys = write_key_object_selection(
        analysis, [photograph], pictures, folder / "keys.dcm", **arguments
    )
    assert display is not None
    assert keys is not None
    out = folder / "report.dcm"
    parts = Parts(pictures=pictures, companions={DISPLAY_REPORT: display, KEY_PICTURES: keys})
    write_measurement_report(analysis, [photograph], out, parts=parts, **arguments)
    document = dcmread(out)
    wanted = {
        read_header(photograph).sop_instance_uid,
        *(each.sop_instance_uid for each in (drawn.written, display, keys)),
    }
    assert _references(document) == wanted
    assert _evidence(document) == wanted
    assert read_measurement_report(out).measurements == replace(analysis).measurements


def test_a_published_range_stands_beside_the_number(
    photograph: Path, analysis: Analysis, made_at: datetime
) -> None:
    def published(measured: Measurement) -> NormalRange | None:
        is_wanted = measured.quantity == "symmetry_ratio"
        return NormalRange(0.9, None, "1", "adults", "somebody") if is_wanted else None

    out = photograph.with_name("report.dcm")
    write_measurement_report(
        analysis, [photograph], out, key="k", made_at=made_at, normal_range_of=published
    )
    numbers = [
        each
        for group in _groups(dcmread(out))
        for each in group.ContentSequence
        if each.ValueType == "NUM"
    ]
    ranged = {
        number.ConceptNameCodeSequence[0].CodeValue: [
            each.ConceptNameCodeSequence[0].CodeValue for each in number.ContentSequence
        ]
        for number in numbers
        if any(
            each.ConceptNameCodeSequence[0].CodeValue in ("385524004", "371933006")
            for each in number.get("ContentSequence") or ()
        )
    }
    ((name, items),) = ranged.items()
    assert name == "SYMMETRY_RATIO"
    assert {"385524004", "121407", "121408"} <= set(items)
    assert "371933006" not in items
