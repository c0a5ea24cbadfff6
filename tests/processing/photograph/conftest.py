from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import map_coordinates
from skimage import data

from processing.detected_face import DetectedFace
from processing.face_landmarks import FaceDetector
from processing.face_model import find_face_model
from processing.landmarks import LANDMARKS

Pixels = NDArray[np.uint8]

SIDE_PX = 640
EYE_ROW = 270


@pytest.fixture(scope="session")
def detector() -> Iterator[FaceDetector]:
    with FaceDetector(find_face_model(None, None)) as opened:
        yield opened


@pytest.fixture(scope="session")
def portrait() -> Pixels:
    """The head of NASA's portrait of Eileen Collins (public domain), 640 x 640."""
    head = Image.fromarray(data.astronaut()[10:266, 96:352])
    return np.asarray(head.resize((640, 640), Image.Resampling.BICUBIC))


@pytest.fixture(scope="session")
def portrait_face(detector: FaceDetector, portrait: Pixels) -> DetectedFace:
    (face,) = detector.detect_symmetrised(portrait)
    return face


@pytest.fixture(scope="session")
def symmetric_portrait(portrait: Pixels, portrait_face: DetectedFace) -> Pixels:
    """The portrait upright, its right half replaced by the mirror image of the left one."""
    left = portrait_face.points_px[LANDMARKS["iris_centre_left"]]
    right = portrait_face.points_px[LANDMARKS["iris_centre_right"]]
    across = (left - right) / np.hypot(*(left - right))
    down = np.array([-across[1], across[0]])
    per_px = 2.2 * portrait_face.size_px / SIDE_PX
    columns, rows = np.meshgrid(
        np.arange(SIDE_PX) - (SIDE_PX - 1) / 2, np.arange(SIDE_PX) - EYE_ROW
    )
    source = ((left + right) / 2)[:, None, None] + per_px * (
        across[:, None, None] * columns + down[:, None, None] * rows
    )
    upright = _sampled(portrait, source[0], source[1])
    half = upright[:, SIDE_PX // 2 :]
    return np.concatenate([half[:, ::-1], half], axis=1)


@pytest.fixture(scope="session")
def left_stretched(symmetric_portrait: Pixels, detector: FaceDetector) -> Callable[[float], Pixels]:
    """Makes a face whose left half below the eyes is wider by a factor."""
    (face,) = detector.detect_symmetrised(symmetric_portrait)
    begins = face.points_px[LANDMARKS["iris_inferius_left"], 1] + 10
    full = face.points_px[LANDMARKS["pronasale"], 1]

    def stretched(factor: float) -> Pixels:
        columns, rows = np.meshgrid(np.arange(SIDE_PX) - (SIDE_PX - 1) / 2, np.arange(SIDE_PX))
        part = np.clip((rows - begins) / (full - begins), 0, 1)
        local = 1 + (factor - 1) * part**2 * (3 - 2 * part)
        source = np.where(columns > 0, columns / local, columns) + (SIDE_PX - 1) / 2
        return _sampled(symmetric_portrait, source, rows)

    return stretched


def _sampled(pixels: Pixels, columns: NDArray[np.float64], rows: NDArray[np.float64]) -> Pixels:
    channels = [
        map_coordinates(pixels[..., each].astype(float), [rows, columns], order=1, mode="nearest")
        for each in range(3)
    ]
    return np.stack(channels, axis=-1).round().clip(0, 255).astype(np.uint8)
