from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.ndimage import binary_dilation

from processing.measurement import Analysis
from processing.phantom.phantom import Phantom
from processing.rendering.heat_map import NOT_MEASURED
from processing.surface.pictures import PICTURE_WIDTH_PX
from processing.surface.shown import MOST_SHOWN_TRIANGLES

VIEWS = ("front", "left-oblique", "right-oblique", "left-profile", "right-profile")


def _face(analysis: Analysis, name: str) -> NDArray[np.int64]:
    """A picture without its legend."""
    (pixels,) = [each.pixels for each in analysis.pictures if each.name == name]
    return pixels[:, :PICTURE_WIDTH_PX].astype(np.int64)


def _blue_and_red(pixels: NDArray[np.int64]) -> tuple[int, int]:
    """How many pixels lie far below and far above zero."""
    excess = pixels[..., 2] - pixels[..., 0]
    return int((excess > 60).sum()), int((excess < -60).sum())


def test_there_is_a_heat_map_from_each_side_and_a_picture_of_the_plane(
    measured_phantom: Analysis,
) -> None:
    names = [each.name for each in measured_phantom.pictures]
    assert names == [*(f"heat-map-{view}" for view in VIEWS), "midsagittal-plane"]
    assert len({each.pixels.shape for each in measured_phantom.pictures}) == 1


def test_the_lacking_left_cheek_is_blue_on_the_patients_left(measured_phantom: Analysis) -> None:
    front = _face(measured_phantom, "heat-map-front")
    middle = PICTURE_WIDTH_PX // 2
    blue_on_the_right, red_on_the_right = _blue_and_red(front[:, middle:])
    blue_on_the_left, red_on_the_left = _blue_and_red(front[:, :middle])
    assert blue_on_the_right > 3000 > 50 * red_on_the_right
    assert red_on_the_left > 3000 > 50 * blue_on_the_left


@pytest.mark.parametrize("kind", ["oblique", "profile"])
def test_each_side_is_seen_from_its_own_side(measured_phantom: Analysis, kind: str) -> None:
    from_left = _blue_and_red(_face(measured_phantom, f"heat-map-left-{kind}"))
    from_right = _blue_and_red(_face(measured_phantom, f"heat-map-right-{kind}"))
    assert from_left[0] > 3000 > 3 * from_left[1]
    assert from_right[1] > 3000 > 3 * from_right[0]


def test_noses_point_outward_in_profile(measured_phantom: Analysis) -> None:
    """Seen from the patient's left, the face looks to the left of the picture."""
    for view, columns in (("left", slice(0, 200)), ("right", slice(-200, None))):
        pixels = _face(measured_phantom, f"heat-map-{view}-profile")
        drawn = (pixels < 250).any(axis=2)[60:]
        # The nose stands out alone; the back of the head is a long edge.
        outermost = drawn[:, columns].sum(axis=0)
        edge = outermost if view == "left" else outermost[::-1]
        assert 0 < edge[edge > 0][0] < 40


def test_plane_picture_tints_the_affected_side_more_than_its_mirror_image(
    measured_phantom: Analysis,
) -> None:
    pixels = _face(measured_phantom, "midsagittal-plane")
    yellow = (pixels[..., 0] - pixels[..., 2] > 120) & (pixels[..., 1] > 90)
    middle = PICTURE_WIDTH_PX // 2
    assert yellow[:, middle + 20 :].sum() > 5000 > 50 * yellow[:, : middle - 20].sum()


def test_model_is_the_scan_in_the_colours_of_the_heat_map(
    measured_phantom: Analysis, phantom: Phantom
) -> None:
    (model,) = measured_phantom.models
    assert len(model.patch.triangles) <= MOST_SHOWN_TRIANGLES
    assert len(model.colours) == len(model.patch.vertices_mm)
    scan = phantom.surface.vertices_mm
    assert (model.patch.vertices_mm.min(axis=0) >= scan.min(axis=0) - 1e-6).all()
    assert (model.patch.vertices_mm.max(axis=0) <= scan.max(axis=0) + 1e-6).all()
    assert model.axes is not None
    np.testing.assert_allclose(model.axes @ model.axes.T, np.eye(3), atol=1e-9)
    left = (model.patch.vertices_mm - model.patch.vertices_mm.mean(axis=0)) @ model.axes[0]
    excess = model.colours[:, 2].astype(int) - model.colours[:, 0]
    assert left[excess > 60].mean() > 30
    assert left[excess < -60].mean() < -30
    assert (model.colours == NOT_MEASURED).all(axis=1).any()


def _outline(analysis: Analysis, name: str) -> NDArray[np.bool_]:
    """What a mark of the heat map from the front encloses, as a mask of the picture."""
    (front,) = [each for each in analysis.pictures if each.name == "heat-map-front"]
    (mark,) = [each for each in front.marks if each.name == name]
    mask = Image.new("1", front.pixels.shape[1::-1])
    ImageDraw.Draw(mask).polygon(list(mark.points_px), fill=1)
    return np.asarray(mask)[:, :PICTURE_WIDTH_PX]


def test_the_outline_of_the_affected_area_encloses_what_is_blue(
    measured_phantom: Analysis,
) -> None:
    pixels = _face(measured_phantom, "heat-map-front")
    blue = pixels[..., 2] - pixels[..., 0] > 60
    inside = _outline(measured_phantom, "affected area")
    assert (blue & inside).sum() > 0.95 * blue.sum()
    assert inside.sum() < 3 * blue.sum()


def test_marks_show_measures_and_lie_on_the_drawn_face(measured_phantom: Analysis) -> None:
    (front,) = [each for each in measured_phantom.pictures if each.name == "heat-map-front"]
    on_paper = (_face(measured_phantom, "heat-map-front") < 250).any(axis=2)
    drawn = binary_dilation(on_paper, iterations=2)  # an outline may run along the silhouette
    names = [each.name for each in front.marks]
    assert {"face", "midline", "cheilion", "exocanthion", "chin"} <= set(names)
    assert len(set(names)) == len(names)
    for mark in front.marks:
        assert mark.shown(measured_phantom.measurements)
        columns, rows = np.array(mark.points_px).round().astype(int).T
        assert drawn[rows, columns].mean() > 0.95


def test_the_face_is_outlined_as_widely_as_it_is_coloured(measured_phantom: Analysis) -> None:
    pixels = _face(measured_phantom, "heat-map-front")
    coloured = np.ptp(pixels, axis=2) > 40
    inside = _outline(measured_phantom, "face")
    assert (coloured & inside).sum() > 0.95 * coloured.sum()
    assert 0.3 < inside.mean() < 0.7
