from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread

from dicom_nodes.objects.encapsulated_model import NamedReference, write_encapsulated_model
from dicom_nodes.objects.header import read_header
from dicom_nodes.objects.study_context import StudyIdentity
from dicom_nodes.objects.vl_photograph import write_vl_photograph
from dicom_nodes.objects.written_object import WrittenObject
from processing.inputs import View
from service.analysis_entry import CandidateInput
from service.surface_reading import completes_surface, read_surfaces, wants_surface
from tests.dicom_nodes.objects.scanned_objects import (
    SEGMENTATION,
    cloud_scan,
    mesh_scan,
    saved,
    surface_item,
    uv_mapping,
)

OBJ = (
    b"mtllib my face.mtl\nv 0 0 0\nv 1 0 0\nv 1 1 0\nvt 0 0\nvt 1 0\nvt 1 1\nusemtl skin\n"
    b"f 1/1 2/2 3/3\n"
)
MTL = b"newmtl skin\nmap_Kd Face.JPG\n"
PICTURE = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
MADE_AT = datetime(2026, 3, 4, 5, 6, 7)  # noqa: DTZ001 - the wall-clock time of a site
POINTS = np.array([[0, 0, 0], [10, 0, 0], [10, 10, 0], [0, 10, 0]], float)
TRIANGLES = [[0, 1, 2], [0, 2, 3]]


class Study:
    """Objects of one study, as a folder holds them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.paths: dict[str, Path] = {}
        self.identity = StudyIdentity("1.2.3", "P1", "Doe^Jane", study_date="20260102")

    def _kept(self, written: WrittenObject) -> WrittenObject:
        self.paths[written.sop_instance_uid] = written.path
        return written

    def picture(self) -> WrittenObject:
        out = self.folder / "picture.dcm"
        return self._kept(
            write_vl_photograph(PICTURE, self.identity, out, made_at=MADE_AT, view=View.OTHER)
        )

    def document(self, data: bytes, media: str, **options: Any) -> WrittenObject:
        out = self.folder / f"{media}-{len(self.paths)}.dcm"
        facts = {"made_at": MADE_AT, "unit": "cm"} | options
        return self._kept(write_encapsulated_model(data, media, self.identity, out, **facts))

    def added(self, dataset: Any, name: str) -> Path:
        path = saved(dataset, self.folder / name)
        self.paths[str(dataset.SOPInstanceUID)] = path
        return path

    def candidates(self) -> dict[str, CandidateInput]:
        found = {}
        for uid, path in self.paths.items():
            header = read_header(path)
            facts = {
                "references": list(header.referenced_instances),
                "segmented": list(header.segmented_properties),
            }
            found[uid] = CandidateInput(uid, header.sop_class_uid, header.modality, facts)
        return found


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study(tmp_path)


@pytest.fixture
def textured(study: Study) -> Study:
    """An OBJ that names its MTL, which names its picture."""
    picture = study.picture()
    library = study.document(MTL, "mtl", references=[NamedReference("Face.JPG", picture)])
    study.document(OBJ, "obj", references=[NamedReference("my face.mtl", library)], frame="1.2.9")
    return study


def test_an_obj_gets_its_texture_through_its_library(textured: Study) -> None:
    found = read_surfaces(textured.paths)
    assert found.rejected == {}
    (surface,) = found.surfaces
    assert surface.texture is not None
    np.testing.assert_array_equal(surface.texture.pixels, PICTURE)
    assert surface.texture.corners.tolist() == [[[0, 0], [1, 0], [1, 1]]]
    np.testing.assert_allclose(surface.vertices_mm[2], [10, 10, 0])
    assert (surface.unit, surface.frame) == ("cm", "1.2.9")


def test_library_and_picture_are_taken_in_by_their_references(textured: Study) -> None:
    picture, library, model = textured.candidates().values()
    assert [wants_surface(each) for each in (picture, library, model)] == [False, False, True]
    assert completes_surface(library, [model])
    assert completes_surface(picture, [model, library])
    assert not completes_surface(picture, [model])
    assert not completes_surface(library, [])


@pytest.mark.parametrize("missing", [0, 1])
def test_without_its_picture_or_library_an_obj_has_no_texture(
    textured: Study, missing: int
) -> None:
    del textured.paths[list(textured.paths)[missing]]
    (surface,) = read_surfaces(textured.paths).surfaces
    assert surface.texture is None
    assert len(surface.triangles) == 1


def test_a_damaged_picture_leaves_the_surface_without_texture(textured: Study) -> None:
    path = next(iter(textured.paths.values()))
    path.write_bytes(path.read_bytes()[:600])
    found = read_surfaces(textured.paths)
    assert found.surfaces[0].texture is None
    assert "picture" not in found.surfaces[0].source


def test_references_without_names_join_the_only_library_and_picture(textured: Study) -> None:
    for path in textured.paths.values():
        dataset = dcmread(path)
        for keyword in ("ReferencedInstanceSequence", "ReferencedImageSequence"):
            for item in dataset.get(keyword, ()):
                del item.RelativeURIReferenceWithinEncapsulatedDocument
        dataset.save_as(path)
    assert read_surfaces(textured.paths).surfaces[0].texture is not None


def test_parts_alone_are_rejected_with_the_reason(textured: Study) -> None:
    paths = dict(list(textured.paths.items())[:2])
    found = read_surfaces(paths)
    assert found.surfaces == ()
    assert set(found.rejected) == set(paths)
    assert all("part of a surface scan" in reason for reason in found.rejected.values())


def test_one_wrong_surface_does_not_keep_the_others_from_being_read(textured: Study) -> None:
    wrong = textured.document(b"not a mesh", "stl")
    found = read_surfaces(textured.paths)
    assert len(found.surfaces) == 1
    assert set(found.rejected) == {wrong.sop_instance_uid}


def test_a_scan_mesh_gets_the_texture_that_it_maps(study: Study) -> None:
    picture = study.picture()
    dataset = mesh_scan(surface_item(POINTS, TRIANGLES))
    dataset.UVMappingSequence = [uv_mapping([0, 1, 1, 0], [1, 1, 0, 0], picture.sop_instance_uid)]
    study.added(dataset, "mesh.dcm")
    candidates = study.candidates()
    mesh = candidates["1.2.3.4.5"]
    assert wants_surface(mesh)
    assert completes_surface(candidates[picture.sop_instance_uid], [mesh])
    (surface,) = read_surfaces(study.paths).surfaces
    assert surface.texture is not None
    np.testing.assert_array_equal(surface.texture.pixels, PICTURE)
    assert surface.texture.corners[0].tolist() == [[0, 0], [1, 0], [1, 1]]


def test_a_point_cloud_is_joined_by_triangles(study: Study) -> None:
    ball = trimesh.creation.icosphere(subdivisions=5, radius=80.0)
    front = ball.vertices[ball.vertices[:, 2] > 20]
    study.added(cloud_scan(front, front / 80.0), "cloud.dcm")
    (surface,) = read_surfaces(study.paths).surfaces
    corners = surface.vertices_mm[surface.triangles]
    twice_area = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert (np.einsum("ij,ij->i", twice_area, corners.mean(axis=1)) > 0).all()
    area = np.linalg.norm(twice_area, axis=1).sum() / 2
    assert area == pytest.approx(2 * np.pi * 80.0 * (80.0 - front[:, 2].min()), rel=0.03)


def test_a_point_cloud_that_is_too_small_is_rejected_and_named(study: Study) -> None:
    study.added(cloud_scan(POINTS), "cloud.dcm")
    assert "1.2.3.4.5: " in read_surfaces(study.paths).rejected["1.2.3.4.5"]


def test_only_a_segmentation_of_a_face_is_a_scan(study: Study) -> None:
    facts = {"references": ["1.9"], "segmented": ["56052001"]}
    nerve = CandidateInput("1.1", SEGMENTATION, "SEG", facts)
    face = CandidateInput("1.2", SEGMENTATION, "SEG", facts | {"segmented": ["89545001"]})
    scan = CandidateInput("1.9", "1.2.840.10008.5.1.4.1.1.104.3", "M3D", {})
    assert wants_surface(face)
    assert not wants_surface(nerve)
    # What was outlined on a scan belongs to it, whatever it shows.
    assert completes_surface(nerve, [scan])
    assert not completes_surface(nerve, [face])


@settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    which=st.integers(0, 2),
    place=st.floats(0, 1),
    junk=st.binary(min_size=1, max_size=8),
    cut=st.one_of(st.just(1.0), st.floats(0.2, 1)),
)
def test_damaged_objects_are_surfaces_or_rejected_and_nothing_else(
    textured: Study, which: int, place: float, junk: bytes, cut: float
) -> None:
    path = list(textured.paths.values())[which]
    content = path.read_bytes()
    at = int(place * len(content))
    spoilt = content[:at] + junk + content[at + len(junk) :]
    path.write_bytes(spoilt[: int(cut * len(spoilt))])
    try:
        found = read_surfaces(textured.paths)
    finally:
        path.write_bytes(content)
    assert len(found.surfaces) <= 1
    assert found.surfaces or found.rejected
