from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from processing.face_landmarks import FaceDetector
from processing.face_model import find_face_model
from processing.landmarks import FACE_OVAL, LANDMARKS

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def detector() -> Iterator[FaceDetector]:
    with FaceDetector(find_face_model(None, None)) as opened:
        yield opened


@pytest.fixture(scope="module")
def portrait() -> Pixels:
    pixels: Pixels = data.astronaut()
    return pixels


def test_one_face_is_found_with_its_left_on_the_right_of_the_picture(
    detector: FaceDetector, portrait: Pixels
) -> None:
    (face,) = detector.detect(portrait)
    left = face.points_px[LANDMARKS["exocanthion_left"]]
    right = face.points_px[LANDMARKS["exocanthion_right"]]
    assert left[0] > right[0] + 30
    assert np.isnan(face.spread_px).all()


def test_named_landmarks_stand_in_anatomical_order(
    detector: FaceDetector, portrait: Pixels
) -> None:
    (face,) = detector.detect_symmetrised(portrait)
    downward = [
        "trichion",
        "glabella",
        "nasion",
        "pronasale",
        "subnasale",
        "labiale_superius",
        "stomion",
        "labiale_inferius",
        "gnathion",
    ]
    rows = [face.points_px[LANDMARKS[name], 1] for name in downward]
    assert rows == sorted(rows)
    outward = ["iris_nasal", "iris_centre", "iris_temporal", "exocanthion", "zygion"]
    columns = [face.points_px[LANDMARKS[f"{name}_left"], 0] for name in outward]
    assert columns == sorted(columns)


def test_mirroring_the_picture_mirrors_the_answer(detector: FaceDetector, portrait: Pixels) -> None:
    (face,) = detector.detect_symmetrised(portrait)
    (mirrored,) = detector.detect_symmetrised(portrait[:, ::-1])
    expected = face.points_px[detector.mirror] * [-1, 1] + [portrait.shape[1] - 1, 0]
    np.testing.assert_allclose(mirrored.points_px, expected, atol=1e-6)
    np.testing.assert_allclose(mirrored.depth_px, face.depth_px[detector.mirror], atol=1e-6)
    np.testing.assert_allclose(mirrored.spread_px, face.spread_px[detector.mirror], atol=1e-6)
    assert mirrored.yaw_deg == pytest.approx(-face.yaw_deg, abs=1e-6)
    assert mirrored.pitch_deg == pytest.approx(face.pitch_deg, abs=1e-6)
    assert mirrored.roll_deg == pytest.approx(-face.roll_deg, abs=1e-6)


def test_a_small_face_in_a_large_picture_is_found_as_well_as_alone(
    detector: FaceDetector, portrait: Pixels
) -> None:
    wall = np.full((1200, 1600, 3), 150, dtype=np.uint8)
    wall[400:912, 1050:1562] = portrait
    (alone,) = detector.detect_symmetrised(portrait)
    (face,) = detector.detect_symmetrised(wall)
    moved = face.points_px - [1050, 400]
    assert np.abs(moved - alone.points_px).max() < 0.02 * alone.size_px


def test_two_faces_are_both_found(detector: FaceDetector, portrait: Pixels) -> None:
    smaller = np.asarray(Image.fromarray(portrait).resize((384, 384)))
    both = np.full((512, 896, 3), 90, dtype=np.uint8)
    both[:, :512] = portrait
    both[64:448, 512:] = smaller
    first, second = detector.detect_symmetrised(both)
    assert first.centre_px[0] < 512 < second.centre_px[0]
    assert first.size_px > second.size_px


def test_no_face_is_found_where_there_is_none(detector: FaceDetector) -> None:
    random = np.random.default_rng(0)
    noise = random.integers(0, 255, (1200, 900, 3), dtype=np.uint8)
    assert detector.detect(noise) == ()
    assert detector.detect_symmetrised(np.zeros((1, 1, 3), dtype=np.uint8)) == ()


def test_roll_is_positive_when_the_head_leans_to_the_patients_left(
    detector: FaceDetector, portrait: Pixels
) -> None:
    (upright,) = detector.detect_symmetrised(portrait)
    # Pillow turns counter-clockwise: the top of the head goes to the picture's left.
    turned = np.asarray(Image.fromarray(portrait).rotate(10, Image.Resampling.BICUBIC))
    (leaning,) = detector.detect_symmetrised(turned)
    assert leaning.roll_deg - upright.roll_deg == pytest.approx(-10, abs=1)


def test_a_face_that_looks_down_has_negative_pitch(
    detector: FaceDetector, portrait: Pixels
) -> None:
    (face,) = detector.detect_symmetrised(portrait)
    assert -15 < face.pitch_deg < -3


def test_the_contour_encloses_the_named_landmarks(detector: FaceDetector, portrait: Pixels) -> None:
    (face,) = detector.detect(portrait)
    low, high = face.points_px[list(FACE_OVAL)].min(0), face.points_px[list(FACE_OVAL)].max(0)
    named = face.points_px[list(LANDMARKS.values())]
    assert (named >= low).all()
    assert (named <= high).all()


def test_what_is_no_picture_is_refused(detector: FaceDetector) -> None:
    with pytest.raises(ValueError, match=r"rows, columns, 3"):
        detector.detect(np.zeros((10, 10), dtype=np.uint8))
    with pytest.raises(ValueError, match="float64"):
        detector.detect_symmetrised(np.zeros((10, 10, 3)))  # type: ignore[arg-type]  # on purpose


def test_a_detector_that_could_not_see_a_second_face_is_not_made() -> None:
    with pytest.raises(ValueError, match="second face"):
        FaceDetector(find_face_model(None, None), most_faces=1)


@pytest.mark.slow
def test_a_process_that_forgets_to_close_the_detector_ends_quietly() -> None:
    program = (
        "from skimage.data import astronaut\n"
        "from processing.face_landmarks import FaceDetector\n"
        "from processing.face_model import find_face_model\n"
        "detector = FaceDetector(find_face_model(None, None))\n"
        "print(len(detector.detect(astronaut())))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "1\n", "")
