from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray

from processing.inputs import Expression
from processing.landmarks import FACE_OVAL, LANDMARKS
from processing.measurement import Side
from processing.photograph.annotation import pictures_of
from processing.photograph.definitions import SymmetryDefinition
from processing.photograph.frame import FaceInputs, face_frame
from processing.photograph.pose import Pose
from processing.photograph.readings import read_off
from processing.photograph.results import Measured, measurements_of
from processing.photograph.scale import Scale
from processing.photograph.uncertainty import InputUncertainties, effects_of
from processing.photograph.upright import PAPER, chimeric_face, upright_face
from tests.processing.photograph.synthetic_head import head_cm, photographed

Pixels = NDArray[np.uint8]

CERTAIN = InputUncertainties(np.zeros(478), np.zeros(478), np.zeros((1, 478)), 0.1, 0.1, 0.01)
MIDLINE_YELLOW = (255, 235, 60)


def _two_coloured(inputs: FaceInputs, side_px: int = 1100) -> Pixels:
    """Red on the patient's right of the midline, blue on the left."""
    frame = face_frame(inputs)
    columns, rows = np.meshgrid(np.arange(side_px), np.arange(side_px))
    on_the_left = (np.stack([columns, rows], axis=-1) - frame.origin_px) @ frame.left > 0
    pixels = np.zeros((side_px, side_px, 3), dtype=np.uint8)
    pixels[on_the_left, 2] = 200
    pixels[~on_the_left, 0] = 200
    return pixels


def _pictures(
    inputs: FaceInputs, pixels: Pixels, expression: Expression = Expression.REPOSE
) -> tuple[Pixels, Pixels]:
    read = partial(read_off, expression=expression)
    measured = Measured(
        readings=read(inputs),
        effects=effects_of(read, inputs, CERTAIN),
        midline=inputs.midline,
        pose=Pose(1, 1, 1, 1, 1, 1),
        scale=Scale(0.25, 0.01, "ruler"),
    )
    measurements = measurements_of(measured, SymmetryDefinition.LANDMARK_PAIRS)
    one, other = pictures_of(pixels, face_frame(inputs), measurements, "Smile")
    assert (one.name, other.name) == ("photograph-symmetry", "photograph-chimeras")
    return one.pixels, other.pixels


@pytest.mark.parametrize("roll", [0.0, 25.0, -120.0])
def test_the_face_stands_upright_with_its_midline_in_the_middle(roll: float) -> None:
    inputs = photographed(head_cm(), roll_deg=roll)
    face = upright_face(_two_coloured(inputs), face_frame(inputs), 200, 240)
    pixels = np.asarray(face.picture).astype(int)
    inside = pixels[60:180]
    assert (inside[:, :98, 0] > inside[:, :98, 2]).all()
    assert (inside[:, 102:, 2] > inside[:, 102:, 0]).all()
    names = ("trichion", "gnathion", "exocanthion_right", "exocanthion_left")
    top, chin, right, left = (face.points[LANDMARKS[name]] for name in names)
    assert top[0] == pytest.approx(chin[0]) == pytest.approx(99.5)
    assert top[1] < right[1] < chin[1]
    assert right[0] < left[0]


def test_the_whole_contour_is_in_the_picture() -> None:
    inputs = photographed(head_cm(), roll_deg=10)
    face = upright_face(_two_coloured(inputs), face_frame(inputs), 200, 240)
    contour = face.points[list(FACE_OVAL)]
    assert contour.min() > 0
    assert (contour < (200, 240)).all()


def test_landmarks_stay_on_what_they_mark_when_the_picture_is_reduced() -> None:
    inputs = photographed(head_cm(), roll_deg=8)
    pixels = np.zeros((1100, 1100, 3), dtype=np.uint8)
    column, row = inputs.points_px[LANDMARKS["cheilion_left"]].round().astype(int)
    pixels[row - 5 : row + 6, column - 5 : column + 6] = 255
    face = upright_face(pixels, face_frame(inputs), 200, 240)
    bright = np.asarray(face.picture)[..., 0].astype(float)
    bright[bright < 60] = 0
    rows, columns = np.indices(bright.shape)
    centre = (columns * bright).sum() / bright.sum(), (rows * bright).sum() / bright.sum()
    assert centre == pytest.approx(tuple(face.points[LANDMARKS["cheilion_left"]]), abs=0.3)


def test_beyond_the_photograph_there_is_paper() -> None:
    inputs = photographed(head_cm())
    cut = _two_coloured(inputs)[:700]
    face = upright_face(cut, face_frame(inputs), 200, 240)
    assert tuple(np.asarray(face.picture)[-1, 100]) == PAPER


def test_a_chimeric_face_is_one_side_twice() -> None:
    pixels = np.random.default_rng(1).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    for side, half in ((Side.LEFT, slice(4, 8)), (Side.RIGHT, slice(0, 4))):
        face = chimeric_face(pixels, side)
        np.testing.assert_array_equal(face, face[:, ::-1])
        np.testing.assert_array_equal(face[:, half], pixels[:, half])


def test_the_chimeric_faces_are_made_of_the_patients_right_and_left_halves() -> None:
    inputs = photographed(head_cm(), roll_deg=5)
    _, chimeras = _pictures(inputs, _two_coloured(inputs))
    middle = chimeras.shape[1] // 2
    right, left = chimeras[200:500, 10 : middle - 10], chimeras[200:500, middle + 10 : -10]
    away_from_midline = np.abs(np.arange(right.shape[1]) - right.shape[1] / 2) > 6
    assert (right[:, away_from_midline, 0] > 150).all()
    assert (left[:, away_from_midline, 2] > 150).all()


@pytest.mark.parametrize("side_px", [600, 1100])
def test_type_is_as_large_against_a_small_photograph_as_against_a_large_one(side_px: int) -> None:
    inputs = photographed(head_cm())
    annotated, chimeras = _pictures(inputs, _two_coloured(inputs, side_px))
    assert annotated.shape == (1200, 1380, 3)
    assert chimeras.shape == (812, 1260, 3)


def test_the_midline_is_drawn_through_the_middle_of_the_face() -> None:
    inputs = photographed(head_cm(), roll_deg=-7)
    annotated, _ = _pictures(inputs, _two_coloured(inputs))
    yellow = (annotated == MIDLINE_YELLOW).all(axis=-1)
    columns = np.flatnonzero(yellow.any(axis=0))
    assert columns.min() >= 440
    assert columns.max() <= 460
    assert yellow.any(axis=1).sum() > 800


@pytest.mark.parametrize(
    "expression", [Expression.SMILE, Expression.BROWS_RAISED, Expression.EYES_SHUT]
)
def test_a_movement_is_drawn_without_pairs(expression: Expression) -> None:
    inputs = photographed(head_cm())
    pixels = _two_coloured(inputs)
    annotated, _ = _pictures(inputs, pixels, expression)
    in_repose, _ = _pictures(inputs, pixels)
    panel = slice(910, 1370)
    written = [
        int((each[110:1140, panel] > 200).all(axis=-1).sum()) for each in (annotated, in_repose)
    ]
    assert 0 < written[0] < written[1] / 2
