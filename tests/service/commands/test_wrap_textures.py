from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image
from typer.testing import Result

from dicom_nodes.objects.header import InstanceHeader, read_header
from dicom_nodes.objects.photograph_reader import read_photographs
from dicom_nodes.objects.surface_reader import read_encapsulated_model
from processing.inputs import Surface, Texture, View
from processing.mesh_encoding import encode_mtl, encode_obj
from processing.mesh_files import read_mesh_file
from service.input_files import texture_files_of
from service.surface_reading import read_surfaces
from tests.peers import validators
from tests.peers.programs import required, run
from tests.processing.mesh_files.glb_building import GlbBuilder

Hemiface = Callable[..., Result]
NEW = ("--patient-id", "P-7", "--patient-name", "Wang^XiaoDong=王^小东")
PICTURE = np.random.default_rng(3).integers(0, 256, (16, 12, 3), np.uint8)


def textured_surface() -> Surface:
    """A ball whose triangles lie anywhere in a picture."""
    ball = trimesh.creation.icosphere(subdivisions=2, radius=70.0)
    corners = np.random.default_rng(4).random((len(ball.faces), 3, 2))
    corners[1:60] = corners[0]  # places that several triangles share
    return Surface(
        np.asarray(ball.vertices),
        np.asarray(ball.faces, np.int32),
        "ball",
        texture=Texture(PICTURE, corners),
    )


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """An OBJ with its MTL and picture, in a folder of their own."""
    folder = tmp_path / "scan"
    folder.mkdir()
    (folder / "face.obj").write_bytes(encode_obj(textured_surface(), "the face.mtl"))
    (folder / "the face.mtl").write_bytes(encode_mtl("D:\\scans\\Colour 1.PNG"))
    Image.fromarray(PICTURE).save(folder / "colour 1.png")
    return folder / "face.obj"


@pytest.fixture
def glb(tmp_path: Path) -> Path:
    """A GLB with a texture: a square in metres."""
    builder = GlbBuilder()
    points = np.array([[0, 0, 0], [0.1, 0, 0], [0.1, 0.1, 0], [0, 0.1, 0]])
    stream = io.BytesIO()
    Image.fromarray(PICTURE).save(stream, "PNG")
    attributes = {
        "POSITION": builder.accessor(points, "f4"),
        "TEXCOORD_0": builder.accessor([[0, 1], [1, 1], [1, 0], [0, 0]], "f4"),
    }
    builder.content["meshes"] = [{"primitives": [{"attributes": attributes, "mode": 6}]}]
    builder.content["meshes"][0]["primitives"][0]["material"] = 0
    builder.content["images"] = [{"bufferView": builder.view(stream.getvalue())}]
    builder.content["textures"] = [{"source": 0}]
    used = {"baseColorTexture": {"index": 0}}
    builder.content["materials"] = [{"pbrMetallicRoughness": used}]
    path = tmp_path / "face.glb"
    path.write_bytes(builder.as_bytes())
    return path


def wrapped(result: Result) -> dict[str, Path]:
    """The objects by their SOP Instance UIDs."""
    assert result.exit_code == 0, result.stderr
    return {
        each["sop_instance_uid"]: Path(each["path"]) for each in json.loads(result.stdout)["files"]
    }


def assert_same(found: Surface, expected: Surface, atol_mm: float = 1e-6) -> None:
    np.testing.assert_allclose(found.vertices_mm, expected.vertices_mm, rtol=0, atol=atol_mm)
    np.testing.assert_array_equal(found.triangles, expected.triangles)
    assert found.texture is not None
    assert expected.texture is not None
    np.testing.assert_array_equal(found.texture.pixels, expected.texture.pixels)
    np.testing.assert_allclose(found.texture.corners, expected.texture.corners, atol=1e-7)


def test_an_obj_goes_with_its_library_and_picture_and_comes_back_the_same(
    hemiface: Hemiface, tmp_path: Path, scan: Path
) -> None:
    result = hemiface("wrap", scan, "--out", tmp_path / "out", *NEW, "--units=mm", "--json")
    paths = wrapped(result)
    assert [Path(each["source"]).name for each in json.loads(result.stdout)["files"]] == [
        "colour 1.png",
        "the face.mtl",
        "face.obj",
    ]
    (surface,) = read_surfaces(paths).surfaces
    assert_same(surface, textured_surface())
    headers = [read_header(path) for path in paths.values()]
    assert len({each.study_instance_uid for each in headers}) == 1
    library, model = list(paths.values())[1:]
    assert read_encapsulated_model(model).data == scan.read_bytes()
    assert read_encapsulated_model(library).data == scan.with_name("the face.mtl").read_bytes()


def test_a_real_scan_comes_back_the_same(
    hemiface: Hemiface, tmp_path: Path, shared_data: Path
) -> None:
    path = shared_data / "faces" / "lee-perry-smith" / "LeePerrySmith.obj"
    result = hemiface("wrap", path, "--out", tmp_path, *NEW, "--units=m", "--json")
    (surface,) = read_surfaces(wrapped(result)).surfaces
    assert_same(surface, read_mesh_file(path, "m"))


def test_the_texture_is_no_photograph_that_would_be_measured(
    hemiface: Hemiface, tmp_path: Path, scan: Path
) -> None:
    result = hemiface("wrap", scan, "--out", tmp_path / "out", *NEW, "--units=mm", "--json")
    (photograph,) = read_photographs(next(iter(wrapped(result).values())))
    assert photograph.view is View.OTHER


def test_a_whole_folder_wraps_every_file_once(
    hemiface: Hemiface, tmp_path: Path, scan: Path
) -> None:
    Image.fromarray(PICTURE[::-1]).save(scan.with_name("portrait.png"))
    result = hemiface("wrap", scan.parent, "--out", tmp_path / "out", *NEW, "--units=mm", "--json")
    headers = [read_header(path) for path in wrapped(result).values()]
    assert sorted(each.modality for each in headers) == ["M3D", "M3D", "XC", "XC"]
    assert {each.view for each in headers if each.modality == "XC"} == {None, View.OTHER}


def test_a_scale_of_its_own_keeps_the_texture(
    hemiface: Hemiface, tmp_path: Path, scan: Path
) -> None:
    result = hemiface("wrap", scan, "--out", tmp_path / "out", *NEW, "--mm-per-unit=2", "--json")
    (surface,) = read_surfaces(wrapped(result)).surfaces
    expected = read_mesh_file(scan, None, 2.0)
    assert surface.unit == "mm"
    assert_same(surface, expected)


def test_a_glb_becomes_an_obj_with_library_and_picture(
    hemiface: Hemiface, tmp_path: Path, glb: Path
) -> None:
    result = hemiface("wrap", glb, "--out", tmp_path / "out", *NEW, "--units=m", "--json")
    paths = wrapped(result)
    (surface,) = read_surfaces(paths).surfaces
    assert_same(surface, read_mesh_file(glb, "m"), atol_mm=1e-4)
    assert len({path.name for path in paths.values()}) == 3


def test_what_a_mesh_names_and_is_not_there_is_said(
    hemiface: Hemiface, tmp_path: Path, scan: Path
) -> None:
    scan.with_name("colour 1.png").unlink()
    options = (scan, "--out", tmp_path / "out", *NEW, "--units=mm")
    result = hemiface("wrap", *options)
    assert result.exit_code == 0
    assert "Colour 1.PNG, which is not beside it" in result.stderr
    files = json.loads(hemiface("wrap", *options, "--json").stdout)["files"]
    assert files[-1]["missing"] == ["D:\\scans\\Colour 1.PNG"]


def test_a_ply_whose_texture_is_missing_is_wrapped_without_and_it_is_said(
    hemiface: Hemiface, tmp_path: Path
) -> None:
    ball = trimesh.creation.icosphere(subdivisions=1, radius=70.0)
    data = ball.export(file_type="ply").replace(
        b"element vertex", b"comment TextureFile gone.png\nelement vertex", 1
    )
    (tmp_path / "ball.ply").write_bytes(data)
    result = hemiface(
        "wrap", tmp_path / "ball.ply", "--out", tmp_path / "out", *NEW, "--units=mm", "--json"
    )
    assert json.loads(result.stdout)["files"][0]["missing"] == ["gone.png"]
    (surface,) = read_surfaces(wrapped(result)).surfaces
    assert surface.texture is None


def test_a_picture_that_is_none_is_named_and_nothing_is_written(
    hemiface: Hemiface, tmp_path: Path, scan: Path
) -> None:
    scan.with_name("colour 1.png").write_bytes(b"no picture")
    result = hemiface("wrap", scan, "--out", tmp_path / "out", *NEW, "--units=mm")
    assert result.exit_code == 1
    assert "colour 1.png" in result.stderr
    assert list((tmp_path / "out").iterdir()) == []


def test_wrapping_again_makes_the_same_objects(
    hemiface: Hemiface, tmp_path: Path, scan: Path
) -> None:
    first = wrapped(hemiface("wrap", scan, "--out", tmp_path / "1", *NEW, "--units=mm", "--json"))
    into = next(iter(first.values()))
    again = [
        set(
            wrapped(
                hemiface(
                    "wrap", scan, "--out", tmp_path / name, "--into", into, "--units=mm", "--json"
                )
            )
        )
        for name in ("2", "3")
    ]
    assert again[0] == again[1]


def test_files_that_are_part_of_a_mesh_are_told_from_photographs(scan: Path) -> None:
    portrait = scan.with_name("portrait.png")
    shutil.copy(scan.with_name("colour 1.png"), portrait)
    files = sorted(scan.parent.iterdir())
    assert {each.name for each in texture_files_of(files)} == {"colour 1.png", "the face.mtl"}
    assert texture_files_of([portrait, scan.with_name("colour 1.png")]) == set()


@pytest.mark.peer
def test_validators_find_nothing_wrong_with_the_parts_of_a_scan(
    hemiface: Hemiface, tmp_path: Path, scan: Path
) -> None:
    result = hemiface("wrap", scan, "--out", tmp_path / "out", *NEW, "--units=mm", "--json")
    paths = list(wrapped(result).values())
    assert [read_header(each).sop_class_uid.rpartition(".1.1.")[2] for each in paths] == [
        "77.1.4",
        "104.5",
        "104.4",
    ]
    for path in paths:
        assert validators.dicom_validator(path) == []
    # Debian's dciodvfy does not know OBJ and MTL, but what is wrong between objects it does.
    assert validators.dciodvfy(paths[0]) == []
    assert validators.dcentvfy(paths) == []


@pytest.mark.peer
@pytest.mark.parametrize(
    ("options", "unit", "mm"),
    [
        ((), "um", 0.001),
        (("+mu", "UCUM", "mm", "millimeter"), "mm", 1.0),
        (("+mu", "UCUM", "cm", "centimeter"), "cm", 10.0),
        (("+mu", "UCUM", "m", "meter"), "m", 1000.0),
    ],
)
def test_what_dcmtk_wraps_is_read(
    tmp_path: Path, options: tuple[str, ...], unit: str, mm: float
) -> None:
    ball = trimesh.creation.icosphere(subdivisions=2, radius=70.0)
    ball.export(tmp_path / "ball.stl")
    out = tmp_path / "ball.dcm"
    program = required("/usr/bin/stl2dcm", "dcmtk")
    done = run(program, *options, tmp_path / "ball.stl", out)
    assert done.returncode == 0, done.stderr
    header: InstanceHeader = read_header(out)
    (surface,) = read_surfaces({header.sop_instance_uid: out}).surfaces
    assert (surface.unit, surface.unit_stated) == (unit, True)
    assert surface.frame == header.frame_of_reference_uid
    assert len(surface.vertices_mm) == len(ball.vertices)
    np.testing.assert_allclose(np.linalg.norm(surface.vertices_mm, axis=1), 70.0 * mm, rtol=1e-5)
