from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from processing.face_landmarks import FaceDetector
from processing.inputs import Surface, Texture
from processing.measurement import RejectedInput
from processing.phantom.phantom import Phantom
from processing.surface.frame import REFERENCE_LANDMARKS_MM
from processing.surface.landmarks import EDITED_UNCERTAINTY_MM, FoundFace, find_face
from processing.surface.mesh import Mesh, clean, make_mesh

Places = Mapping[str, NDArray[np.float64]]


@pytest.fixture(scope="module")
def scan(phantom: Phantom) -> Mesh:
    """Without colours, as STL files are."""
    return clean(replace(phantom.surface, colours=None))[0]


@pytest.fixture(scope="module")
def found(scan: Mesh, detector: FaceDetector) -> FoundFace:
    return find_face(scan, detector, "phantom")


def _apart_mm(one: Places, other: Places) -> NDArray[np.float64]:
    assert set(one) == set(other)
    return np.array([np.linalg.norm(one[name] - other[name]) for name in one])


def _moved(mesh: Mesh, matrix: NDArray[np.float64], shift: NDArray[np.float64]) -> Mesh:
    triangles = mesh.triangles if np.linalg.det(matrix) > 0 else mesh.triangles[:, ::-1]
    return make_mesh(mesh.vertices_mm @ matrix.T + shift, triangles, mesh.colours, mesh.texture)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_same_landmarks_are_found_in_any_pose(
    scan: Mesh, found: FoundFace, detector: FaceDetector, seed: int
) -> None:
    turn = Rotation.random(random_state=seed).as_matrix()
    shift = np.array([120.0, -900.0, 40.0])
    other = find_face(_moved(scan, turn, shift), detector, "turned")
    back = {name: (place - shift) @ turn for name, place in other.landmarks_mm.items()}
    apart = _apart_mm(found.landmarks_mm, back)
    assert np.sqrt((apart**2).mean()) < 0.4
    between = Rotation.from_matrix(other.frame.axes @ turn @ found.frame.axes.T)
    assert np.degrees(between.magnitude()) < 0.3


def test_a_mirrored_scan_has_mirrored_landmarks_with_the_sides_exchanged(
    scan: Mesh, found: FoundFace, detector: FaceDetector
) -> None:
    flip = np.diag([-1.0, 1.0, 1.0])
    other = find_face(_moved(scan, flip, np.zeros(3)), detector, "mirrored")
    swapped = {
        name.replace("_left", "_?").replace("_right", "_left").replace("_?", "_right"): place @ flip
        for name, place in other.landmarks_mm.items()
    }
    assert np.sqrt((_apart_mm(found.landmarks_mm, swapped) ** 2).mean()) < 0.4


@pytest.mark.parametrize("unit", [0.001, 25.4])
def test_the_unit_of_the_scan_does_not_matter(
    scan: Mesh, found: FoundFace, detector: FaceDetector, unit: float
) -> None:
    other = find_face(_moved(scan, unit * np.eye(3), np.zeros(3)), detector, "other unit")
    assert other.frame.scale == pytest.approx(unit * found.frame.scale, rel=0.005)
    back = {name: place / unit for name, place in other.landmarks_mm.items()}
    assert np.sqrt((_apart_mm(found.landmarks_mm, back) ** 2).mean()) < 0.4


def test_a_scan_inside_out_is_turned(scan: Mesh, found: FoundFace, detector: FaceDetector) -> None:
    other = find_face(make_mesh(scan.vertices_mm, scan.triangles[:, ::-1]), detector, "inside out")
    middle = np.linalg.norm(scan.vertices_mm - found.frame.origin_mm, axis=1).argmin()
    assert other.mesh.normals[middle] @ found.mesh.normals[middle] > 0.9


def test_landmarks_lie_on_the_surface(found: FoundFace) -> None:
    for place in found.landmarks_mm.values():
        assert np.linalg.norm(found.mesh.vertices_mm - place, axis=1).min() < 1.5


def test_spread_and_agreement_are_those_of_a_face_that_is_seen_well(found: FoundFace) -> None:
    assert set(found.spread_mm) == set(found.landmarks_mm)
    assert 0 < np.median(list(found.spread_mm.values())) < 1.0
    assert 0 < found.agreement_mm < 1.5
    assert found.fit_mm < 5.0
    assert found.detected
    assert found.edited == frozenset()


def _textured(phantom: Phantom, scan: Mesh) -> Mesh:
    """The phantom's colours as a texture: a stripe of pixels for each vertex's colour."""
    colours = phantom.surface.colours
    assert colours is not None
    painted, _ = clean(phantom.surface)
    assert painted.colours is not None
    side = int(np.ceil(np.sqrt(len(painted.colours))))
    pixels = np.zeros((side * side, 3), np.uint8)
    pixels[: len(painted.colours)] = painted.colours
    row, column = np.divmod(np.arange(len(painted.colours)), side)
    place = np.stack([(column + 0.5) / side, 1 - (row + 0.5) / side], axis=1)
    # Each triangle wears the colour of its first corner.
    corners = np.repeat(place[painted.triangles[:, :1]], 3, axis=1)
    return replace(
        scan,
        vertices_mm=painted.vertices_mm,
        triangles=painted.triangles,
        normals=painted.normals,
        areas_mm2=painted.areas_mm2,
        border=painted.border,
        texture=Texture(pixels.reshape(side, side, 3), corners),
    )


def test_a_texture_shows_what_colours_of_vertices_show(
    phantom: Phantom, scan: Mesh, detector: FaceDetector
) -> None:
    coloured = find_face(clean(phantom.surface)[0], detector, "coloured")
    textured = find_face(_textured(phantom, scan), detector, "textured")
    apart = _apart_mm(coloured.landmarks_mm, textured.landmarks_mm)
    # A triangle of the texture wears the colour of one corner only.
    assert np.sqrt((apart**2).mean()) < 2.0
    assert textured.paint_disagreement_mm == pytest.approx(coloured.paint_disagreement_mm, abs=1.5)


def test_one_colour_everywhere_is_none(
    scan: Mesh, found: FoundFace, detector: FaceDetector
) -> None:
    black = np.zeros((len(scan.vertices_mm), 3), np.uint8)
    other = find_face(replace(scan, colours=black), detector, "black")
    assert other.paint_disagreement_mm is None
    np.testing.assert_allclose(_apart_mm(found.landmarks_mm, other.landmarks_mm), 0.0, atol=0.05)


@pytest.mark.slow
def test_colours_of_nothing_do_not_hide_the_shape(
    scan: Mesh, found: FoundFace, detector: FaceDetector
) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (len(scan.vertices_mm), 3), dtype=np.uint8)
    other = find_face(replace(scan, colours=noise), detector, "painted with noise")
    assert np.sqrt((_apart_mm(found.landmarks_mm, other.landmarks_mm) ** 2).mean()) < 4.0


def test_a_landmark_of_a_reviewer_counts_instead_of_the_found_one(
    scan: Mesh, found: FoundFace, detector: FaceDetector
) -> None:
    place = scan.vertices_mm[
        np.linalg.norm(
            scan.vertices_mm - found.landmarks_mm["cheilion_left"] - (3.0, 0.0, 0.0), axis=1
        ).argmin()
    ]
    x, y, z = (float(each) for each in place)
    edited = find_face(scan, detector, "phantom", edited={"cheilion_left": (x, y, z)})
    np.testing.assert_array_equal(edited.landmarks_mm["cheilion_left"], place)
    assert edited.spread_mm["cheilion_left"] == EDITED_UNCERTAINTY_MM
    assert edited.edited == {"cheilion_left"}
    assert edited.moved_mm == {
        "cheilion_left": pytest.approx(
            np.linalg.norm(place - found.landmarks_mm["cheilion_left"]), abs=0.05
        )
    }
    others = set(found.landmarks_mm) - {"cheilion_left"}
    for name in others:
        np.testing.assert_allclose(edited.landmarks_mm[name], found.landmarks_mm[name], atol=0.05)


def _given(face: FoundFace, names: list[str]) -> dict[str, tuple[float, float, float]]:
    return {
        name: (float(face.landmarks_mm[name][0]), float(face.landmarks_mm[name][1]),
               float(face.landmarks_mm[name][2]))
        for name in names
    }  # fmt: skip


class _Blind:
    """A detector that sees no face."""

    def detect(self, pixels: NDArray[np.uint8]) -> tuple[()]:
        return ()

    detect_symmetrised = detect

    def detect_at(
        self, pixels: NDArray[np.uint8], middle_px: NDArray[np.float64], size_px: float
    ) -> None:
        return None


def test_enough_landmarks_of_a_reviewer_need_no_detector(scan: Mesh, found: FoundFace) -> None:
    given = _given(found, list(REFERENCE_LANDMARKS_MM)[:12])
    face = find_face(scan, _Blind(), "unseen", edited=given)  # type: ignore[arg-type]  # in its place
    assert not face.detected
    assert set(face.landmarks_mm) == set(given)
    np.testing.assert_allclose(face.frame.axes, found.frame.axes, atol=0.05)
    assert face.frame.scale == pytest.approx(found.frame.scale, rel=0.05)


def test_few_landmarks_of_a_reviewer_do_not_make_a_face(scan: Mesh, found: FoundFace) -> None:
    given = _given(found, list(REFERENCE_LANDMARKS_MM)[:9])
    with pytest.raises(RejectedInput, match="no face was found"):
        find_face(scan, _Blind(), "unseen", edited=given)  # type: ignore[arg-type]  # in its place


def test_landmarks_of_a_reviewer_with_exchanged_names_are_rejected(
    scan: Mesh, found: FoundFace
) -> None:
    names = list(REFERENCE_LANDMARKS_MM)
    places = list(_given(found, names).values())
    wrong = dict(zip(names, places[7:] + places[:7], strict=True))
    with pytest.raises(RejectedInput, match="names and sides"):
        find_face(scan, _Blind(), "unseen", edited=wrong)  # type: ignore[arg-type]  # in its place


@pytest.mark.parametrize(
    ("place", "said"),
    [((4000.0, 0.0, 0.0), "off the surface"), ((np.nan, 0.0, 0.0), "no point in space")],
)
def test_a_landmark_that_is_nowhere_on_the_surface_is_rejected(
    scan: Mesh, detector: FaceDetector, place: tuple[float, float, float], said: str
) -> None:
    with pytest.raises(RejectedInput, match=said):
        find_face(scan, detector, "phantom", edited={"nasion": place})


def test_a_shape_without_a_face_is_rejected(detector: FaceDetector) -> None:
    index = np.arange(60 * 60).reshape(60, 60)
    x, y = np.meshgrid(np.linspace(-80, 80, 60), np.linspace(-80, 80, 60))
    a, b, c, d = (index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1])
    triangles = np.concatenate(
        [np.stack([each.ravel() for each in corners], axis=1) for corners in ((a, b, c), (a, c, d))]
    )
    dome = np.stack([x, y, np.sqrt(40_000 - x**2 - y**2)], axis=-1).reshape(-1, 3)
    mesh, _ = clean(Surface(dome, triangles.astype(np.int32), "dome"))
    with pytest.raises(RejectedInput, match="dome: no face was found"):
        find_face(mesh, detector, "dome")
