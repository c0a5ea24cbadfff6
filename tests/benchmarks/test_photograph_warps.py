from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest

from benchmarks.photographs.warped import (
    SMALLEST_JACOBIAN,
    BasePicture,
    Structure,
    Warp,
    smallest_jacobian,
    standard_warps,
    warped,
)
from processing.face_model import canonical_face, find_face_model
from processing.landmarks import LANDMARKS
from processing.measurement import Side

MM_PER_PX = 0.6
SIDE_PX = 400
MOVED_POINT = {
    Structure.COMMISSURE: "cheilion",
    Structure.BROW: "brow_peak",
    Structure.UPPER_LID: "palpebrale_superius",
    Structure.CHIN: "gnathion",
    Structure.CONTOUR: "gonion",
}


@pytest.fixture(scope="module")
def base() -> BasePicture:
    """MediaPipe's canonical face from the front, on a smooth picture that tells every place."""
    face = canonical_face(find_face_model(None, None))
    in_mm = np.zeros((478, 2))
    in_mm[:468] = 10 * face.vertices_cm[:, :2]
    for side in Side:
        corners = [LANDMARKS[f"{name}_{side.value}"] for name in ("exocanthion", "endocanthion")]
        iris = LANDMARKS[f"iris_centre_{side.value}"]
        in_mm[iris : iris + 5] = in_mm[corners].mean(axis=0)
    middle = (SIDE_PX - 1) / 2
    points = np.stack([middle + in_mm[:, 0] / MM_PER_PX, middle - in_mm[:, 1] / MM_PER_PX], axis=1)
    columns, rows = np.meshgrid(np.arange(SIDE_PX), np.arange(SIDE_PX))
    pixels = np.stack([columns, rows, (columns + rows) / 2], axis=-1) * 250 / SIDE_PX
    return BasePicture("canonical", pixels.round().astype(np.uint8), points, MM_PER_PX)


def point_of(warp: Warp) -> str:
    name = MOVED_POINT[warp.structure]
    return name if name in LANDMARKS else f"{name}_{warp.side.value}"


@pytest.mark.parametrize("warp", standard_warps(), ids=str)
def test_no_standard_warp_folds_a_face(base: BasePicture, warp: Warp) -> None:
    assert smallest_jacobian(base, warp) >= SMALLEST_JACOBIAN


@pytest.mark.parametrize("warp", standard_warps(), ids=str)
def test_the_structure_moves_as_far_as_was_asked(base: BasePicture, warp: Warp) -> None:
    outward = 1.0 if warp.side is Side.LEFT else -1.0
    moved = warped(base, warp).true_change_mm(point_of(warp))
    assert moved == pytest.approx([outward * warp.outward_mm, warp.upward_mm], abs=0.02)


@pytest.mark.parametrize("structure", list(Structure))
def test_the_other_side_and_the_pupils_stay(base: BasePicture, structure: Structure) -> None:
    warp = Warp(structure, Side.LEFT, outward_mm=2.0, upward_mm=-2.0)
    picture = warped(base, warp)
    stay = ["iris_centre_left", "iris_centre_right"]
    if structure is not Structure.CHIN:
        stay.append(f"{MOVED_POINT[structure]}_right")
    for name in stay:
        assert picture.true_change_mm(name) == pytest.approx([0, 0], abs=1e-9)


@pytest.mark.parametrize(
    "structure", [Structure.COMMISSURE, Structure.CHIN, Structure.CONTOUR], ids=str
)
def test_what_was_at_a_point_is_where_the_point_moved_to(
    base: BasePicture, structure: Structure
) -> None:
    picture = warped(base, Warp(structure, Side.RIGHT, outward_mm=4.0, upward_mm=-3.0))
    before = base.points_px[:468]
    after = picture.true_points_px()[:468]
    assert np.abs(after - before).max() > 5
    assert sampled(picture.pixels, after) == pytest.approx(sampled(base.pixels, before), abs=1.6)


def sampled(pixels: Any, points: Any) -> Any:
    place = points.astype(np.float32)[None]
    return cv2.remap(pixels.astype(np.float32), place[..., 0], place[..., 1], cv2.INTER_LINEAR)


def test_the_mirrored_warp_makes_the_mirrored_picture(base: BasePicture) -> None:
    symmetric = np.maximum(base.pixels, base.pixels[:, ::-1])
    base = replace(base, pixels=symmetric)
    left = warped(base, Warp(Structure.CONTOUR, Side.LEFT, outward_mm=-6.0)).pixels
    right = warped(base, Warp(Structure.CONTOUR, Side.RIGHT, outward_mm=-6.0)).pixels
    assert np.abs(left.astype(int) - right[:, ::-1]).max() <= 1
    assert np.abs(left.astype(int) - symmetric).max() > 3


def test_the_eye_stays_behind_a_lid_that_comes_down(base: BasePicture) -> None:
    picture = warped(base, Warp(Structure.UPPER_LID, Side.LEFT, upward_mm=-3.0))
    assert picture.true_change_mm("palpebrale_inferius_left") == pytest.approx([0, 0])
    low = base.point("palpebrale_inferius_left") + 2 * base.up
    column, row = low.round().astype(int)
    assert (picture.pixels[row, column] == base.pixels[row, column]).all()


def test_a_warp_that_would_fold_the_picture_is_refused(base: BasePicture) -> None:
    with pytest.raises(ValueError, match="fold the picture"):
        warped(base, Warp(Structure.UPPER_LID, Side.LEFT, upward_mm=-15.0))
