from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from PIL import Image
from typer.testing import CliRunner, Result

from dicom_nodes.objects.study_context import StudyIdentity
from dicom_nodes.objects.vl_photograph import write_vl_photograph
from processing.inputs import Expression, LandmarkEdits, SurfaceEdits, View
from processing.measurement import Analysis, Measurement, Status, analysis_as_json
from service import offline_measuring
from service.catalogue.stored_bytes import LocalBytes
from service.cli import app
from service.commands.analyze import exit_status
from service.display import quantity
from service.offline_measuring import sort_files
from service.phantom_study import PhantomStudy
from service.settings import Settings
from service.workflow.measuring import MeasureTask, ReadTask, Task
from service.workflow.measuring_child import ChildDied
from service.workflow.readings import Reading, reading_as_bytes, reading_from_bytes

UCUM = {"mm", "mm2", "mL", "deg", "1", "%", "{pixels}", "mm/{pixel}"}
Hemiface = Callable[..., Result]


@dataclass
class RealRun:
    result: Result
    document: dict[str, Any]
    folder: Path

    def analysis(self, name: str, status: str) -> dict[str, Any]:
        return next(
            each
            for each in self.document["analyses"]
            if each["analysis"] == name and each["status"] == status
        )


@pytest.fixture(scope="module")
def real_run(phantom_study: PhantomStudy, tmp_path_factory: pytest.TempPathFactory) -> RealRun:
    """A phantom's DICOM study, a picture without a face and the mesh of a cube."""
    folder = tmp_path_factory.mktemp("analyze")
    Image.fromarray(np.full((400, 300, 3), 127, np.uint8)).save(folder / "grey.png")
    trimesh.creation.box((100, 100, 100)).export(folder / "cube.stl")
    (folder / "notes.txt").write_text("not a picture")
    arguments = [
        str(phantom_study.files[0].parent),
        *(str(folder / name) for name in ("grey.png", "cube.stl", "notes.txt")),
        "--units=mm",
        f"--json={folder / 'out' / 'found.json'}",
    ]
    result = CliRunner().invoke(app, ["analyze", *arguments], catch_exceptions=False)
    document = json.loads((folder / "out" / "found.json").read_text())
    return RealRun(result, document, folder)


def test_the_json_has_every_key_of_the_contract_and_no_other(real_run: RealRun) -> None:
    assert set(real_run.document) == {"schema", "analyses"}
    assert real_run.document["schema"] == 1
    for analysis in real_run.document["analyses"]:
        assert set(analysis) == {
            "analysis", "version", "status", "reason", "inputs", "measurements", "planes",
            "landmarks", "frame", "quality", "pictures",
        }  # fmt: skip
        assert re.fullmatch(r"\d+\.\d+\.\d+", analysis["version"])
        assert (analysis["reason"] is None) == (analysis["status"] == "measured")
        assert analysis["inputs"]
        for each in analysis["measurements"]:
            assert set(each) == {
                "quantity", "structure", "region", "side", "value", "unit", "uncertainty",
                "method", "derived_from",
            }  # fmt: skip
            assert each["side"] in (None, "left", "right")
            assert each["unit"] in UCUM
            assert math.isfinite(each["value"])
            assert each["uncertainty"] > 0
        for each in analysis["quality"]:
            assert set(each) == {"check", "value", "unit", "limit", "passed"}
        for path in analysis["pictures"]:
            with Image.open(path) as picture:
                assert picture.format == "PNG"


def test_a_dicom_study_is_measured_with_the_truth_of_its_phantom(
    real_run: RealRun, phantom_study: PhantomStudy
) -> None:
    scan = real_run.analysis("surface-symmetry", "measured")
    volume = next(
        each
        for each in scan["measurements"]
        if each["quantity"] == "volume_discrepancy" and each["region"] is None
    )
    assert volume["value"] == pytest.approx(-8.0, rel=0.10)
    truth = phantom_study.phantom.truth.midsagittal_plane
    plane = scan["planes"]["midsagittal"]
    angle = np.degrees(np.arccos(min(1.0, float(np.dot(plane["normal"], truth.normal)))))
    assert angle < 0.3
    assert scan["frame"].startswith("2.25.")
    assert all(len(point) == 3 for point in scan["landmarks"].values())

    photograph = real_run.analysis("photograph-symmetry", "measured")
    ratio = next(e for e in photograph["measurements"] if e["quantity"] == "symmetry_ratio")
    assert 0.97 < ratio["value"] <= 1
    assert photograph["frame"] is None
    assert photograph["planes"] == {}
    assert all(len(point) == 2 for point in photograph["landmarks"].values())
    instances = json.loads(phantom_study.truth.read_text())["instances"]
    assert photograph["inputs"] == [instances["photograph"]]
    assert scan["inputs"] == [instances["surface"]]


def test_pictures_lie_beside_the_json_under_different_names(real_run: RealRun) -> None:
    paths = [Path(p) for each in real_run.document["analyses"] for p in each["pictures"]]
    assert len(paths) >= 2
    assert len(set(paths)) == len(paths)
    assert {path.parent for path in paths} == {real_run.folder / "out"}


def test_what_cannot_be_measured_is_refused_with_a_reason_and_exit_status_3(
    real_run: RealRun,
) -> None:
    assert real_run.result.exit_code == 3
    grey = real_run.analysis("photograph-symmetry", "refused")
    cube = real_run.analysis("surface-symmetry", "refused")
    assert grey["inputs"] == ["grey.png"]
    assert "face" in grey["reason"]
    assert cube["inputs"] == ["cube.stl"]
    assert cube["reason"]
    assert "notes.txt" in real_run.result.stderr


@dataclass
class ScriptedChild:
    """Stands in for the measuring child: each task ends as the test says."""

    settings: Settings
    analysis: Analysis | None = None
    tasks: list[Task] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)

    def run(self, task: Task) -> None:
        self.tasks.append(task)
        stored = LocalBytes(self.settings.data_folder)
        if isinstance(task, ReadTask):
            for key in task.instances.values():
                assert stored.read(key)[128:132] == b"DICM"
            stored.write(task.reading_key, reading_as_bytes(Reading((), {})))
            return
        assert isinstance(task, MeasureTask)
        self.readings.append(reading_from_bytes(stored.read(task.reading_key)))
        if self.analysis is None:
            raise ChildDied("the measuring process died on this input")
        document = analysis_as_json(self.analysis) | {"captions": []}
        stored.write(f"{task.folder}/analysis.json", json.dumps(document).encode())

    def stop(self) -> None:
        pass


MEASURED = Analysis(
    analysis="photograph-symmetry",
    version="1.0.0",
    status=Status.MEASURED,
    inputs=("a",),
    measurements=(Measurement("symmetry_ratio", 0.98, "1", 0.01, "by hand"),),
)


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch) -> list[ScriptedChild]:
    """The children that were started; the first analysis of a test is `MEASURED`."""
    started: list[ScriptedChild] = []

    def start(settings: Settings) -> ScriptedChild:
        started.append(ScriptedChild(settings, MEASURED))
        return started[-1]

    monkeypatch.setattr(offline_measuring, "MeasuringChild", start)
    return started


def picture(folder: Path, name: str = "face.png") -> Path:
    path = folder / name
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(path)
    return path


def instance(folder: Path, name: str, study_uid: str) -> Path:
    pixels = np.random.default_rng(len(name)).integers(0, 256, (16, 16, 3), np.uint8)
    identity = StudyIdentity(study_uid, patient_id="P", patient_name="A^B")
    return write_vl_photograph(pixels, identity, folder / name, made_at=datetime.now(UTC)).path


def test_json_on_standard_output_is_nothing_but_json(
    hemiface: Hemiface, child: list[ScriptedChild], tmp_path: Path
) -> None:
    result = hemiface("analyze", picture(tmp_path), "--json", "-")
    assert result.exit_code == 0
    analysis = json.loads(result.stdout)["analyses"][0]
    assert analysis["measurements"][0]["value"] == 0.98
    assert analysis["pictures"] == []
    assert not (tmp_path / "untouched").exists()  # the data folder of the settings


def test_without_json_a_table_for_a_person_is_printed(
    hemiface: Hemiface, child: list[ScriptedChild], tmp_path: Path
) -> None:
    result = hemiface("analyze", picture(tmp_path))
    assert "symmetry_ratio" in result.stdout
    assert quantity(0.98, 0.01, "1") in result.stdout


def test_an_input_that_no_process_survives_is_failed_with_exit_status_1(
    hemiface: Hemiface, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(offline_measuring, "MeasuringChild", ScriptedChild)
    result = hemiface("analyze", picture(tmp_path), "--json", "-")
    assert result.exit_code == 1
    analysis = json.loads(result.stdout)["analyses"][0]
    assert analysis["status"] == "failed"
    assert "died" in analysis["reason"]
    assert analysis["inputs"] == ["face.png"]


@pytest.mark.parametrize(
    ("statuses", "code"),
    [
        (["measured", "measured"], 0),
        (["measured", "refused"], 3),
        (["refused", "failed", "measured"], 1),
        ([], 3),
    ],
)
def test_the_worst_status_decides_the_exit_status(statuses: list[str], code: int) -> None:
    assert exit_status(statuses) == code


def test_a_damaged_picture_is_refused_and_not_an_error_of_the_command(
    hemiface: Hemiface, child: list[ScriptedChild], tmp_path: Path
) -> None:
    damaged = picture(tmp_path)
    damaged.write_bytes(damaged.read_bytes()[:50])
    hemiface("analyze", damaged, "--json", "-")
    (reading,) = child[0].readings
    assert reading.inputs == ()
    assert "face.png" in reading.rejected["face.png"]


def test_an_option_of_a_later_version_is_refused_in_one_line(
    hemiface: Hemiface, tmp_path: Path
) -> None:
    result = hemiface("analyze", picture(tmp_path), "--points", tmp_path / "points.json")
    assert result.exit_code == 1
    assert "--points" in result.stderr
    assert result.stderr.count("\n") == 1


def landmarks(folder: Path, **document: Any) -> Path:
    path = folder / "landmarks.json"
    path.write_text(json.dumps({"landmarks": {"nasion": [12.0, 7.5]}, **document}))
    return path


def test_landmarks_of_a_reviewer_are_measured_with_their_picture(
    hemiface: Hemiface, child: list[ScriptedChild], tmp_path: Path
) -> None:
    result = hemiface(
        "analyze", picture(tmp_path), "--landmarks", landmarks(tmp_path), "--json", "-"
    )
    assert result.exit_code == 0
    photograph, edits = child[0].readings[0].inputs
    assert isinstance(edits, LandmarkEdits)
    assert edits.is_of(photograph)
    assert edits.source == "landmarks.json"
    assert edits.landmarks_px == {"nasion": (12.0, 7.5)}


def test_landmarks_of_another_picture_are_refused(
    hemiface: Hemiface, child: list[ScriptedChild], tmp_path: Path
) -> None:
    edits = landmarks(tmp_path, image="other.png")
    result = hemiface("analyze", picture(tmp_path), "--landmarks", edits, "--json", "-")
    assert result.exit_code == 1
    assert "are for other.png" in result.stderr


def test_landmarks_for_two_pictures_are_refused(
    hemiface: Hemiface, child: list[ScriptedChild], tmp_path: Path
) -> None:
    two = picture(tmp_path, "one.png"), picture(tmp_path, "two.png")
    result = hemiface("analyze", *two, "--landmarks", landmarks(tmp_path))
    assert result.exit_code == 1
    assert "give the photograph alone" in result.stderr


def test_landmarks_that_cannot_be_read_are_refused_in_one_line(
    hemiface: Hemiface, tmp_path: Path
) -> None:
    result = hemiface("analyze", picture(tmp_path), "--landmarks", tmp_path / "missing.json")
    assert result.exit_code == 1
    assert "missing.json cannot be read" in result.stderr
    assert result.stderr.count("\n") == 1


def test_expression_of_a_plain_picture_chooses_the_analysis(
    hemiface: Hemiface, child: list[ScriptedChild], tmp_path: Path
) -> None:
    hemiface("analyze", picture(tmp_path), "--expression", "smile", "--json", "-")
    (task,) = child[0].tasks
    assert task.analysis == "photograph-smile"
    assert child[0].readings[0].inputs[0].expression is Expression.SMILE


def test_a_plain_picture_gets_the_calibration_of_the_site(
    hemiface: Hemiface,
    child: list[ScriptedChild],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calibration = [{"mm_per_pixel": 0.25, "uncertainty_mm_per_pixel": 0.01}]
    monkeypatch.setenv("HEMIFACE_PHOTOGRAPH__CALIBRATIONS", json.dumps(calibration))
    hemiface("analyze", picture(tmp_path), "--json", "-")
    assert child[0].readings[0].inputs[0].pixel_spacing_mm == 0.25


def test_a_photograph_that_no_analysis_wants_is_named_with_its_view(
    hemiface: Hemiface, tmp_path: Path
) -> None:
    pixels = np.zeros((16, 16, 3), np.uint8)
    identity = StudyIdentity("1.2.3", patient_id="P")
    write_vl_photograph(
        pixels,
        identity,
        tmp_path / "side.dcm",
        made_at=datetime.now(UTC),
        view=View.LEFT_PROFILE,
        expression=Expression.SMILE,
    )
    result = hemiface("analyze", tmp_path / "side.dcm", "--json", "-")
    assert result.exit_code == 3
    assert "modality XC, left profile, smile" in result.stderr


def test_units_and_a_number_of_mm_cannot_both_be_stated(hemiface: Hemiface, tmp_path: Path) -> None:
    result = hemiface("analyze", picture(tmp_path), "--units", "cm", "--mm-per-unit", "10")
    assert result.exit_code == 2


def test_the_stated_unit_scales_a_plain_mesh(
    hemiface: Hemiface, child: list[ScriptedChild], tmp_path: Path, ball: trimesh.Trimesh
) -> None:
    ball.export(tmp_path / "ball.ply")
    hemiface("analyze", tmp_path / "ball.ply", "--units", "inch", "--json", "-")
    (surface,) = child[0].readings[0].inputs
    assert np.abs(surface.vertices_mm).max() == pytest.approx(7 * 25.4, rel=1e-3)


def test_nothing_measurable_is_said_and_gives_exit_status_3(
    hemiface: Hemiface, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    result = hemiface("analyze", tmp_path / "notes.txt", "--json", "-")
    assert result.exit_code == 3
    assert json.loads(result.stdout)["analyses"] == []
    assert "notes.txt" in result.stderr


def test_a_missing_file_is_an_error_in_one_line(hemiface: Hemiface, tmp_path: Path) -> None:
    result = hemiface("analyze", tmp_path / "missing.jpg")
    assert result.exit_code == 1
    assert "missing.jpg does not exist" in result.stderr


def test_instances_are_grouped_by_study_and_plain_files_stand_alone(tmp_path: Path) -> None:
    paths = [
        instance(tmp_path, "first.dcm", "1.2.3"),
        instance(tmp_path, "second.dcm", "1.2.3"),
        instance(tmp_path, "other.dcm", "1.2.4"),
        picture(tmp_path, "one.png"),
        picture(tmp_path, "two.png"),
    ]
    groups = sort_files(paths).groups
    assert [sorted(group.instances.values()) for group in groups] == [
        sorted(paths[:2]), [paths[2]], [], [],
    ]  # fmt: skip
    assert [group.plain for group in groups[2:]] == paths[3:]


def test_a_truncated_instance_is_named_with_its_fault_beside_the_good_ones(
    child: list[ScriptedChild], hemiface: Hemiface, tmp_path: Path
) -> None:
    instance(tmp_path, "good.dcm", "1.2.3")
    cut = instance(tmp_path, "cut-off.dcm", "1.2.3")
    cut.write_bytes(cut.read_bytes()[:-100])
    hemiface("analyze", tmp_path, "--json", "-")
    (reading,) = child[0].readings
    assert list(reading.rejected) == ["cut-off.dcm"]
    assert len(child[0].tasks[0].instances) == 1


# --- what a reviewer placed on a scan


def scan(folder: Path, name: str = "face.stl") -> Path:
    path = folder / name
    trimesh.creation.icosphere(2, 80.0).export(path)
    return path


def written(path: Path, document: dict[str, Any]) -> Path:
    path.write_text(json.dumps(document))
    return path


def test_landmarks_plane_and_area_of_a_reviewer_are_measured_with_their_scan(
    hemiface: Hemiface, child: list[ScriptedChild], tmp_path: Path
) -> None:
    places = written(tmp_path / "edits.json", {"landmarks": {"nasion": [1.0, 2.0, 79.0]}})
    plane = written(tmp_path / "plane.json", {"normal": [1, 0, 0], "offset": 0.5})
    trimesh.Trimesh(np.eye(3) * 8, [[0, 1, 2]]).export(tmp_path / "area.stl")
    result = hemiface(
        *("analyze", scan(tmp_path), "--units", "cm", "--json", "-"),
        *("--landmarks", places, "--plane", plane, "--area", tmp_path / "area.stl"),
    )
    assert result.exit_code == 0, result.stderr
    surface, edits = child[0].readings[0].inputs
    assert isinstance(edits, SurfaceEdits)
    assert edits.is_of(surface)
    assert edits.source == "edits.json, plane.json, area.stl"
    assert edits.landmarks_mm == {"nasion": (1.0, 2.0, 79.0)}
    assert edits.plane is not None
    assert edits.plane.offset_mm == 0.5
    assert edits.area is not None
    assert edits.area.vertices_mm.max() == pytest.approx(80.0), "in the unit of the scan"


def test_landmarks_go_to_the_scan_or_the_photograph_by_their_places(
    hemiface: Hemiface, child: list[ScriptedChild], tmp_path: Path
) -> None:
    both = picture(tmp_path), scan(tmp_path)
    for place, number in (([1.0, 2.0, 79.0], 1), ([12.0, 7.5], 0)):
        child.clear()
        places = written(tmp_path / "edits.json", {"landmarks": {"nasion": place}})
        hemiface("analyze", *both, "--units=mm", "--landmarks", places, "--json", "-")
        inputs = [reading.inputs for reading in child[0].readings]
        assert [len(each) for each in inputs] == [1 + (number == 0), 1 + (number == 1)]


def test_edits_of_another_scan_are_refused(
    hemiface: Hemiface, child: list[ScriptedChild], tmp_path: Path
) -> None:
    document = {"normal": [1, 0, 0], "offset": 0.5, "surface": "other.stl"}
    plane = written(tmp_path / "plane.json", document)
    result = hemiface("analyze", scan(tmp_path), "--units=mm", "--plane", plane, "--json", "-")
    assert result.exit_code == 1
    assert "are for other.stl" in result.stderr


def test_a_plane_for_two_scans_or_for_a_picture_is_refused(
    hemiface: Hemiface, child: list[ScriptedChild], tmp_path: Path
) -> None:
    plane = written(tmp_path / "plane.json", {"normal": [1, 0, 0], "offset": 0.5})
    two = scan(tmp_path, "one.stl"), scan(tmp_path, "two.stl")
    for paths in (two, (picture(tmp_path),)):
        result = hemiface("analyze", *paths, "--plane", plane)
        assert result.exit_code == 1
        assert "give the scan alone" in result.stderr


def test_an_area_in_dicom_is_to_be_named_among_the_files(
    hemiface: Hemiface, child: list[ScriptedChild], tmp_path: Path
) -> None:
    area = instance(tmp_path, "area.dcm", "1.2.3")
    result = hemiface("analyze", scan(tmp_path), "--area", area)
    assert result.exit_code == 1
    assert "among the files to measure" in result.stderr


def test_materials_and_texture_of_a_mesh_are_no_inputs_of_their_own(tmp_path: Path) -> None:
    mesh, texture = tmp_path / "face.obj", picture(tmp_path, "skin.png")
    mesh.write_text("mtllib face.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    (tmp_path / "face.mtl").write_text("newmtl skin\nmap_Kd skin.png\n")
    found = sort_files([mesh, tmp_path / "face.mtl", texture, picture(tmp_path, "other.png")])
    assert [each.plain.name for each in found.groups if each.plain] == ["face.obj", "other.png"]
    assert found.unused == ()
