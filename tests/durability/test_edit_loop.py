"""A reviewer's edits come to a running node, and a new report replaces the old one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from dicom_nodes.objects.report_reader import read_measurement_report
from processing.measurement import Analysis, Status
from tests.durability.node import Node, wait_until
from tests.durability.studies import SentStudy, renewed, write_phantom

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

MOVED_PX = 6.0
MOVED_MM = 4.0


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    started = Node.delivering_to(tmp_path_factory.mktemp("node"), None)
    started.start()
    started.wait_until_listening()
    yield started
    started.kill()


@pytest.fixture(scope="module")
def study(node: Node, tmp_path_factory: pytest.TempPathFactory) -> SentStudy:
    """A photograph and a scan that the node has measured."""
    folder = tmp_path_factory.mktemp("study")
    sent = renewed(write_phantom(folder / "phantom"), folder / "sent")
    node.send_until_acknowledged(sent.files)
    wait_until(lambda: len(_results(node, sent)) == 2, 180, "both analyses are reported")
    return sent


def _results(node: Node, study: SentStudy, analysis: str | None = None) -> list[dict[str, Any]]:
    return [
        each
        for each in node.state(study.study_instance_uid)["results"]
        if analysis in (None, each["analysis"])
    ]


def _file(node: Node, result: dict[str, Any], role: str = "report") -> Path:
    return node.data_folder / "results" / result["key"] / f"{role}.dcm"


def _newest(node: Node, study: SentStudy, analysis: str) -> dict[str, Any]:
    return next(each for each in _results(node, study, analysis) if each["is_newest"])


def _answer_to(
    node: Node, study: SentStudy, analysis: str, edits: Path
) -> tuple[Analysis, Dataset]:
    """Send an object and wait for the report that counts it."""
    before = len(_results(node, study, analysis))
    node.send_until_acknowledged([edits])
    wait_until(
        lambda: len(_results(node, study, analysis)) > before, 120, "the analysis is repeated"
    )
    path = _file(node, _newest(node, study, analysis))
    return read_measurement_report(path), dcmread(path)


def _renamed(dataset: Dataset) -> None:
    """Another object, made by a viewer."""
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.SeriesInstanceUID = generate_uid()
    dataset.Manufacturer = "Viewer"


def _edited_report(report: Path, landmark: str, move: Callable[[Dataset], None], out: Path) -> Path:
    """The report with one point moved and a verifying observer, as a viewer stores it."""
    document = dcmread(report)
    _renamed(document)
    document.VerificationFlag = "VERIFIED"
    document.VerifyingObserverSequence = [Dataset()]
    document.VerifyingObserverSequence[0].VerifyingObserverName = "Reviewer^Rita"
    moved = 0
    for group in document.ContentSequence[-1].ContentSequence:
        texts = [str(each.get("TextValue")) for each in group.ContentSequence]
        if any(each.endswith(f" landmark {landmark}") for each in texts):
            for each in group.ContentSequence:
                if each.ValueType in ("SCOORD", "SCOORD3D"):
                    move(each)
                    moved += 1
    assert moved == 1
    document.save_as(out, enforce_file_format=True)
    return out


def _predecessors(report: Dataset) -> list[str]:
    return [
        str(reference.ReferencedSOPInstanceUID)
        for study in report.PredecessorDocumentsSequence
        for series in study.ReferencedSeriesSequence
        for reference in series.ReferencedSOPSequence
    ]


def _edit_distance(analysis: Analysis, structure: str, side: str) -> float:
    return next(
        each.value
        for each in analysis.measurements
        if each.quantity == "landmark_edit_distance"
        and (each.structure, str(each.side)) == (structure, side)
    )


def test_edited_landmarks_of_a_photograph_are_counted(
    node: Node, study: SentStudy, tmp_path: Path
) -> None:
    def lower(item: Dataset) -> None:
        column, row = item.GraphicData
        item.GraphicData = [column, row + MOVED_PX]

    first = _newest(node, study, "photograph-symmetry")
    before = read_measurement_report(_file(node, first))
    edits = _edited_report(_file(node, first), "cheilion_left", lower, tmp_path / "edits.dcm")
    after, report = _answer_to(node, study, "photograph-symmetry", edits)
    assert after.status is Status.MEASURED
    moved = after.landmarks["cheilion_left"][1] - before.landmarks["cheilion_left"][1]
    assert moved == pytest.approx(MOVED_PX, abs=0.01)
    assert _edit_distance(after, "cheilion", "left") > 0
    assert _predecessors(report) == [first["report_uid"]]
    assert str(dcmread(edits).SOPInstanceUID) in after.inputs


def test_edited_landmarks_of_a_scan_are_counted(
    node: Node, study: SentStudy, tmp_path: Path
) -> None:
    def lower(item: Dataset) -> None:
        x, y, z = item.GraphicData
        item.GraphicData = [x, y - MOVED_MM, z]

    first = _newest(node, study, "surface-symmetry")
    edits = _edited_report(_file(node, first), "cheilion_left", lower, tmp_path / "edits.dcm")
    after, report = _answer_to(node, study, "surface-symmetry", edits)
    assert after.status is Status.MEASURED, after.reason
    assert _edit_distance(after, "cheilion", "left") == pytest.approx(MOVED_MM, abs=1.5)
    assert _predecessors(report) == [first["report_uid"]]
    assert str(dcmread(edits).SOPInstanceUID) in after.inputs


def test_an_area_outlined_on_a_scan_is_measured(
    node: Node, study: SentStudy, tmp_path: Path
) -> None:
    first = _newest(node, study, "surface-symmetry")
    outlined = dcmread(_file(node, first, "area-affected-area"))
    _renamed(outlined)
    outlined.SegmentSequence[0].SegmentAlgorithmType = "MANUAL"
    outlined.save_as(tmp_path / "area.dcm", enforce_file_format=True)
    after, report = _answer_to(node, study, "surface-symmetry", tmp_path / "area.dcm")
    assert after.status is Status.MEASURED, after.reason
    volume = next(
        each
        for each in after.measurements
        if each.quantity == "volume_discrepancy" and each.region == "affected area, given"
    )
    assert volume.value == pytest.approx(-8.0, rel=0.1)
    assert _predecessors(report) == [first["report_uid"]]
    assert _file(
        node, _newest(node, study, "surface-symmetry"), "area-affected-area-given"
    ).exists()
