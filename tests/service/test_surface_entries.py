from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from pydantic import ValidationError
from pydicom import dcmread
from pydicom.dataset import Dataset

from dicom_nodes.objects.encapsulated_model import write_encapsulated_model
from dicom_nodes.objects.header import read_header
from dicom_nodes.objects.study_context import StudyIdentity
from processing.inputs import Surface, SurfaceEdits, Texture
from processing.measurement import (
    Analysis,
    ColouredModel,
    Measurement,
    Plane,
    Status,
    SurfacePatch,
)
from processing.mesh_encoding import encode_stl
from processing.surface.options import PlaneMethod, SurfaceOptions
from service.analyses import ANALYSES, Instruments, facts_for_analyses, measure_inputs
from service.analysis_entry import CandidateInput
from service.catalogue.stored_bytes import StoredBytes
from service.edited_inputs import with_edits
from service.settings import Settings, SurfaceSettings
from service.surface_entries import choices, read_surfaces_and_edits
from service.workflow import measuring
from service.workflow.patches import patch_as_bytes, patch_from_bytes
from service.workflow.readings import Reading, reading_as_bytes, reading_from_bytes

ENTRY = ANALYSES["surface-symmetry"]
IDENTITY = StudyIdentity("1.2.3", patient_id="P", patient_name="A^B")
MADE_AT = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
PATCH = SurfacePatch(np.eye(3), np.array([[0, 1, 2]], np.int32))


def _ball(radius_mm: float = 80.0) -> Surface:
    ball = trimesh.creation.icosphere(2, radius_mm)
    return Surface(np.asarray(ball.vertices), np.asarray(ball.faces, np.int32), "1.2")


def _cap() -> Surface:
    """The part of the ball in front."""
    ball = _ball()
    kept = ball.triangles[ball.vertices_mm[ball.triangles][:, :, 2].min(axis=1) > 60]
    return replace(ball, triangles=kept)


def _scan(folder: Path, name: str, surface: Surface, **facts: Any) -> Path:
    out = folder / name
    write_encapsulated_model(
        encode_stl(surface), "stl", IDENTITY, out, made_at=MADE_AT, unit="mm", **facts
    )
    return out


def _refer(path: Path, scan: Path) -> None:
    dataset, target = dcmread(path), read_header(scan)
    item = Dataset()
    item.ReferencedSOPClassUID = target.sop_class_uid
    item.ReferencedSOPInstanceUID = target.sop_instance_uid
    dataset.SourceInstanceSequence = [item]
    dataset.save_as(path)


def _read(*paths: Path) -> Any:
    return read_surfaces_and_edits(
        {read_header(path).sop_instance_uid: path for path in paths}, Settings()
    )


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    return _scan(tmp_path, "scan.dcm", _ball(), frame="1.2.840.99.1")


# --- areas


def test_mesh_that_refers_to_the_scan_is_its_area(tmp_path: Path, scan: Path) -> None:
    area = _scan(tmp_path, "area.dcm", _cap(), frame="1.2.840.99.1", instance_number=2)
    _refer(area, scan)
    read = _read(scan, area)
    surface, edits = read.inputs
    assert read.rejected == {}
    assert isinstance(edits, SurfaceEdits)
    assert edits.is_of(surface)
    assert edits.area is not None
    assert edits.area.vertices_mm[:, 2].min() > 55
    assert edits.made_at.startswith("20261121")


def test_area_in_another_frame_of_reference_is_rejected(tmp_path: Path, scan: Path) -> None:
    area = _scan(tmp_path, "area.dcm", _cap(), frame="1.2.840.99.2", instance_number=2)
    _refer(area, scan)
    read = _read(scan, area)
    assert [each.source for each in read.inputs] == [read_header(scan).sop_instance_uid]
    assert "Frame of Reference" in read.rejected[read_header(area).sop_instance_uid]


def test_mesh_as_large_as_the_scan_is_no_area(tmp_path: Path, scan: Path) -> None:
    whole = _scan(tmp_path, "whole.dcm", _ball(79.9), frame="1.2.840.99.1", instance_number=2)
    _refer(whole, scan)
    read = _read(scan, whole)
    assert "as large as the scan" in read.rejected[read_header(whole).sop_instance_uid]


def test_scans_that_refer_to_each_other_are_scans(tmp_path: Path, scan: Path) -> None:
    other = _scan(tmp_path, "other.dcm", _ball(70.0), instance_number=2)
    _refer(other, scan)
    _refer(scan, other)
    assert all(isinstance(each, Surface) for each in _read(scan, other).inputs)


def test_an_area_is_taken_with_its_scan_and_not_without(tmp_path: Path, scan: Path) -> None:
    area = _scan(tmp_path, "area.dcm", _cap(), instance_number=2)
    _refer(area, scan)
    candidates = [
        CandidateInput(h.sop_instance_uid, h.sop_class_uid, h.modality, facts_for_analyses(h))
        for h in map(read_header, (scan, area))
    ]
    assert ENTRY.inputs_among(candidates) == candidates


def test_what_amends_may_itself_be_amended() -> None:
    """A scan names its materials, and these name a picture."""
    scan, materials, picture, other = (
        CandidateInput(uid, kind, "M3D", {"references": list(references)})
        for uid, kind, references in (
            ("1", "scan", ("2",)),
            ("2", "materials", ("3",)),
            ("3", "picture", ()),
            ("4", "picture", ()),
        )
    )
    entry = replace(
        ENTRY,
        wants=lambda each: each.sop_class_uid == "scan",
        amends=lambda each, taken: any(
            each.sop_instance_uid in one.header["references"] for one in taken
        ),
    )
    assert entry.inputs_among([picture, other, materials, scan]) == [scan, materials, picture]
    assert entry.inputs_among([picture, other, materials]) == []


# --- edits


def _edits(source: str, made_at: str, **what: Any) -> SurfaceEdits:
    return SurfaceEdits(source, "1.2", made_at=made_at, **what)


def test_each_kind_of_edit_comes_from_the_latest_object_that_has_it() -> None:
    plane = Plane((1.0, 0.0, 0.0), 0.5)
    inputs = [
        _edits("1.9", "20260103", area=PATCH),
        _ball(),
        _edits("1.7", "20260101", landmarks_mm={"nasion": (1.0, 0.0, 0.0)}, plane=plane),
        _edits("1.8", "20260102", landmarks_mm={"nasion": (2.0, 0.0, 0.0)}),
        replace(_edits("1.6", "20260104", plane=Plane((0.0, 1.0, 0.0), 9.0)), surface="1.3"),
    ]
    (surface,) = with_edits(inputs)
    assert isinstance(surface, Surface)
    assert surface.edits is not None
    assert surface.edits.landmarks_mm == {"nasion": (2.0, 0.0, 0.0)}
    assert surface.edits.plane == plane
    assert surface.edits.area is PATCH


def test_report_on_the_scan_amends_it() -> None:
    scan = CandidateInput("1.2", "1.2.840.10008.5.1.4.1.1.104.3", "M3D", {})
    report = CandidateInput(
        "1.9", "1.2.840.10008.5.1.4.1.1.88.34", "SR", {"edited_surfaces": ["1.2"]}
    )
    other = CandidateInput(
        "1.8", "1.2.840.10008.5.1.4.1.1.88.34", "SR", {"edited_surfaces": ["1.3"]}
    )
    assert ENTRY.inputs_among([report, scan, other]) == [scan, report]


def test_the_edited_scan_is_the_result_and_the_edits_are_an_input() -> None:
    def measured(each: Surface, _instruments: Instruments) -> Analysis:
        asymmetry = Measurement("landmark_asymmetry", float(each.source[-1]), "mm", 0.1, "m")
        return Analysis("surface-symmetry", "1", Status.MEASURED, measurements=(asymmetry,))

    inputs = [replace(_ball(), source="1.1"), _ball(), _edits("9.9", "2026", area=PATCH)]
    entry = replace(ENTRY, measure=measured)
    found = measure_inputs(entry, inputs, {}, Instruments(Settings()))
    assert found.inputs == ("1.2", "1.1", "9.9")


def test_a_result_says_that_an_edit_could_not_be_read() -> None:
    entry = replace(ENTRY, measure=lambda *_: Analysis("surface-symmetry", "1", Status.MEASURED))
    found = measure_inputs(entry, [_ball()], {"9.9": "another frame"}, Instruments(Settings()))
    (check,) = found.quality
    assert (check.check, check.value, check.limit, check.passed) == ("inputs_read", 1, 2, False)
    assert found.inputs == ("1.2", "9.9")


# --- settings


def test_settings_name_what_there_is_to_choose() -> None:
    for method in PlaneMethod:
        SurfaceSettings(plane=method.value)
    assert SurfaceSettings().plane == SurfaceOptions().plane
    with pytest.raises(ValidationError):
        SurfaceSettings.model_validate({"plane": "any"})


def test_choices_are_empty_for_the_defaults() -> None:
    assert choices(Settings()) == ""
    assert "upper face" in choices(Settings(surface=SurfaceSettings(plane="upper face")))


# --- readings


def test_a_reading_is_kept_whole() -> None:
    texture = Texture(np.full((2, 3, 3), 7, np.uint8), np.full((320, 3, 2), 0.25))
    edits = _edits(
        "1.9",
        "2026",
        landmarks_mm={"nasion": (1.0, 2.0, 3.0)},
        plane=Plane((0.6, 0.8, 0.0), 3.0),
        area=PATCH,
    )
    surface = replace(_ball(), texture=texture, edits=edits, frame="1.4", unit="cm")
    again, edits_again = reading_from_bytes(
        reading_as_bytes(Reading((surface, edits), {"1.3": "bad"}))
    ).inputs
    assert isinstance(again, Surface)
    assert again.texture is not None
    np.testing.assert_array_equal(again.texture.pixels, texture.pixels)
    np.testing.assert_array_equal(again.texture.corners, texture.corners)
    for kept in (again.edits, edits_again):
        assert isinstance(kept, SurfaceEdits)
        assert kept.area is not None
        np.testing.assert_array_equal(kept.area.triangles, PATCH.triangles)
        assert replace(kept, area=None) == replace(edits, area=None)
    assert (again.frame, again.unit, again.unit_stated) == ("1.4", "cm", True)


def test_a_patch_is_kept_exactly() -> None:
    patch = SurfacePatch(np.random.default_rng(1).normal(size=(4, 3)), PATCH.triangles)
    again = patch_from_bytes(patch_as_bytes(patch))
    np.testing.assert_array_equal(again.vertices_mm, patch.vertices_mm)
    np.testing.assert_array_equal(again.triangles, patch.triangles)


# --- what the next step takes up


def test_models_and_areas_of_an_analysis_are_kept_for_the_next_step(
    stored: StoredBytes, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = ColouredModel("heat-map", "Turn me", PATCH, np.zeros((3, 3), np.uint8))
    found = Analysis(
        "surface-symmetry", "1", Status.MEASURED, areas={"affected-area": PATCH}, models=(model,)
    )
    monkeypatch.setattr(measuring, "measure_inputs", lambda *_: found)
    stored.write("work/k/reading.npz", reading_as_bytes(Reading((), {})))
    task = measuring.MeasureTask("surface-symmetry", "work/k/reading.npz", "work/k")
    measuring.carry_out(task, stored, Instruments(settings))
    document = json.loads(stored.read("work/k/analysis.json"))
    area = patch_from_bytes(stored.read(document["areas"]["affected-area"]))
    np.testing.assert_array_equal(area.vertices_mm, PATCH.vertices_mm)
    (kept,) = document["models"]
    assert (kept["name"], kept["caption"]) == ("heat-map", "Turn me")
    assert stored.read(kept["key"])[:4] == b"glTF"
