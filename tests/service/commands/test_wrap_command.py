from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
import trimesh
from PIL import Image
from typer.testing import Result

from dicom_nodes.objects.header import read_header
from dicom_nodes.objects.photograph_reader import read_photographs
from dicom_nodes.objects.surface_reader import read_encapsulated_model
from processing.inputs import Expression, View
from processing.mesh_files import decode_mesh

Hemiface = Callable[..., Result]
NEW = ("--patient-id", "P-7", "--patient-name", "Wang^XiaoDong=王^小东")


@pytest.fixture
def face(tmp_path: Path, jpeg: bytes) -> Path:
    path = tmp_path / "face.jpg"
    path.write_bytes(jpeg)
    return path


def written(result: Result) -> list[Path]:
    assert result.exit_code == 0, result.stderr
    return [Path(each["path"]) for each in json.loads(result.stdout)["files"]]


def test_all_files_of_one_call_share_a_new_study_of_the_stated_patient(
    hemiface: Hemiface, tmp_path: Path, face: Path, ball: trimesh.Trimesh
) -> None:
    ball.export(tmp_path / "ball.stl")
    result = hemiface(
        "wrap", face, tmp_path / "ball.stl", "--out", tmp_path / "out", *NEW,
        "--units", "cm", "--birth-date", "1961-11-19", "--sex", "F", "--study-date", "20240229",
        "--accession-number", "A-9", "--study-description", "Before", "--json",
    )  # fmt: skip
    headers = [read_header(path) for path in written(result)]
    for header in headers:
        assert header.patient_id == "P-7"
        assert header.patient_name == "Wang^XiaoDong=王^小东"
        assert (header.birth_date, header.sex) == ("19611119", "F")
        assert (header.study_date, header.accession_number) == ("20240229", "A-9")
        assert header.study_description == "Before"
    assert len({header.study_instance_uid for header in headers}) == 1
    assert json.loads(result.stdout)["study_instance_uid"] == headers[0].study_instance_uid
    assert [header.modality for header in headers] == ["XC", "M3D"]


def test_into_an_existing_study_takes_patient_and_study_over(
    hemiface: Hemiface, tmp_path: Path, face: Path
) -> None:
    (first,) = written(hemiface("wrap", face, "--out", tmp_path / "first", *NEW, "--json"))
    result = hemiface(
        "wrap", face, "--out", tmp_path / "second", "--into", first, "--view", "left oblique",
        "--json",
    )  # fmt: skip
    (second,) = written(result)
    one, other = read_header(first), read_header(second)
    assert other.study_instance_uid == one.study_instance_uid
    assert other.patient_name == one.patient_name
    assert other.sop_instance_uid != one.sop_instance_uid


def test_a_second_call_makes_another_study(hemiface: Hemiface, tmp_path: Path, face: Path) -> None:
    uids = {
        json.loads(hemiface("wrap", face, "--out", tmp_path, *NEW, "--json").stdout)[
            "study_instance_uid"
        ]
        for _ in range(2)
    }
    assert len(uids) == 2


def test_view_expression_and_pixel_spacing_are_coded(
    hemiface: Hemiface, tmp_path: Path, face: Path
) -> None:
    result = hemiface(
        "wrap", face, "--out", tmp_path / "out", *NEW, "--view", "frontal",
        "--expression", "smile", "--pixel-spacing-mm", "0.25", "--json",
    )  # fmt: skip
    (photograph,) = read_photographs(written(result)[0])
    assert photograph.view is View.FRONTAL
    assert photograph.expression is Expression.SMILE
    assert photograph.pixel_spacing_mm == 0.25
    assert photograph.pixels.shape == (60, 80, 3)


@pytest.mark.parametrize("form", ["PNG", "TIFF", "HEIF"])
def test_other_pictures_are_wrapped_as_they_look(
    hemiface: Hemiface, tmp_path: Path, jpeg: bytes, form: str
) -> None:
    pillow_heif.register_heif_opener()
    with Image.open(io.BytesIO(jpeg)) as picture:
        pixels = np.asarray(picture.convert("RGB"))
        path = tmp_path / f"face.{ {'PNG': 'png', 'TIFF': 'tif', 'HEIF': 'heic'}[form] }"
        picture.save(path, form)
    result = hemiface("wrap", path, "--out", tmp_path / "out", *NEW, "--json")
    (photograph,) = read_photographs(written(result)[0])
    tolerance = 25 if form == "HEIF" else 0  # HEIC is lossy
    assert np.abs(photograph.pixels.astype(int) - pixels).max() <= tolerance


def test_a_mesh_without_a_stated_unit_is_refused_and_nothing_is_written(
    hemiface: Hemiface, tmp_path: Path, face: Path, ball: trimesh.Trimesh
) -> None:
    ball.export(tmp_path / "ball.obj")
    result = hemiface("wrap", face, tmp_path / "ball.obj", "--out", tmp_path / "out", *NEW)
    assert result.exit_code == 1
    assert "ball.obj" in result.stderr
    assert "--units" in result.stderr
    assert list((tmp_path / "out").iterdir()) == []


def test_stl_and_obj_in_a_named_unit_stay_as_they_are(
    hemiface: Hemiface, tmp_path: Path, ball: trimesh.Trimesh
) -> None:
    for suffix in ("stl", "obj"):
        path = tmp_path / f"ball.{suffix}"
        ball.export(path)
        result = hemiface("wrap", path, "--out", tmp_path / "out", *NEW, "--units=cm", "--json")
        model = read_encapsulated_model(written(result)[0])
        assert model.data == path.read_bytes()
        assert (model.media, model.unit) == (suffix, "cm")


@pytest.mark.parametrize("suffix", ["stl", "obj", "ply", "glb"])
def test_a_scale_of_its_own_is_applied_and_mm_are_stated(
    hemiface: Hemiface, tmp_path: Path, ball: trimesh.Trimesh, suffix: str
) -> None:
    ball.export(tmp_path / f"ball.{suffix}")
    result = hemiface(
        "wrap", tmp_path / f"ball.{suffix}", "--out", tmp_path / "out", *NEW,
        "--mm-per-unit", "12.5", "--json",
    )  # fmt: skip
    model = read_encapsulated_model(written(result)[0])
    assert model.unit == "mm"
    assert json.loads(result.stdout)["files"][0]["unit"] == "mm"
    surface = decode_mesh(model.data, model.media, source="ball", unit=model.unit)
    np.testing.assert_allclose(np.linalg.norm(surface.vertices_mm, axis=1), 7 * 12.5, rtol=1e-4)
    assert len(surface.triangles) == len(ball.faces)


def test_a_ply_with_colours_becomes_an_obj_that_keeps_them(
    hemiface: Hemiface, tmp_path: Path, ball: trimesh.Trimesh
) -> None:
    colours = np.random.default_rng(2).integers(0, 256, (len(ball.vertices), 3), np.uint8)
    trimesh.Trimesh(ball.vertices, ball.faces, vertex_colors=colours, process=False).export(
        tmp_path / "ball.ply"
    )
    result = hemiface(
        "wrap", tmp_path / "ball.ply", "--out", tmp_path / "out", *NEW, "--units=inch", "--json"
    )
    model = read_encapsulated_model(written(result)[0])
    surface = decode_mesh(model.data, model.media, source="ball", unit=model.unit)
    assert surface.colours is not None
    np.testing.assert_array_equal(surface.colours, colours)
    np.testing.assert_allclose(surface.vertices_mm, ball.vertices * 25.4, atol=1e-3)


def test_files_of_the_same_name_do_not_replace_one_another(
    hemiface: Hemiface, tmp_path: Path, jpeg: bytes
) -> None:
    for folder in ("monday", "tuesday"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "face.jpg").write_bytes(jpeg)
    result = hemiface(
        "wrap", tmp_path / "monday", tmp_path / "tuesday", "--out", tmp_path / "out", *NEW, "--json"
    )
    paths = written(result)
    assert len({read_header(path).sop_instance_uid for path in paths}) == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "--into"),
        (("--patient-id", "P"), "--patient-name"),
        ((*NEW, "--birth-date", "19610231"), "--birth-date"),
        ((*NEW, "--pixel-spacing-mm", "0"), "--pixel-spacing-mm"),
        (("--into", "any.dcm", "--patient-id", "P"), "--patient-id"),
        ((*NEW, "--units", "cm", "--mm-per-unit", "10"), "not both"),
    ],
)
def test_a_wrong_use_is_explained(
    hemiface: Hemiface, tmp_path: Path, face: Path, options: tuple[str, ...], said: str
) -> None:
    result = hemiface("wrap", face, "--out", tmp_path / "out", *options)
    assert result.exit_code == 2
    assert said in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("option", "value"), [("--patient-id", "P" * 65), ("--accession-number", "back\\slash")]
)
def test_a_value_that_dicom_does_not_allow_is_rejected_in_one_line(
    hemiface: Hemiface, tmp_path: Path, face: Path, option: str, value: str
) -> None:
    result = hemiface("wrap", face, "--out", tmp_path / "out", *NEW, option, value)
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1


def test_a_dicom_file_is_not_wrapped_again(hemiface: Hemiface, tmp_path: Path, face: Path) -> None:
    (first,) = written(hemiface("wrap", face, "--out", tmp_path / "out", *NEW, "--json"))
    result = hemiface("wrap", first, "--out", tmp_path / "again", *NEW)
    assert result.exit_code == 1
    assert "DICOM already" in result.stderr


def test_a_damaged_picture_is_named(hemiface: Hemiface, tmp_path: Path, face: Path) -> None:
    face.write_bytes(face.read_bytes()[:400])
    result = hemiface("wrap", face, "--out", tmp_path / "out", *NEW)
    assert result.exit_code == 1
    assert "face.jpg" in result.stderr
