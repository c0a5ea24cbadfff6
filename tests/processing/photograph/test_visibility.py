from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from processing.detected_face import DetectedFace
from processing.face_landmarks import FaceDetector
from processing.face_model import find_face_model
from processing.phantom.phantom import PhantomSpec, make_phantom
from processing.photograph.visibility import Visibility, visibility_of

Pixels = NDArray[np.uint8]
TIMES = 3


@pytest.fixture(scope="module")
def enlarged(portrait: Pixels) -> Image.Image:
    rows, columns = portrait.shape[:2]
    return Image.fromarray(portrait).resize((TIMES * columns, TIMES * rows))


@pytest.fixture(scope="module")
def face(detector: FaceDetector, enlarged: Image.Image) -> DetectedFace:
    (found,) = detector.detect_symmetrised(np.asarray(enlarged))
    return found


class Painter:
    """Paints over a face in units of the distance between the pupils."""

    def __init__(self, picture: Image.Image, face: DetectedFace) -> None:
        self.picture = picture.copy()
        right, left = face.points_px[468], face.points_px[473]
        self.unit = float(np.hypot(*(left - right)))
        self.across = (left - right) / self.unit
        self.middle = (left + right) / 2
        mouth = (face.points_px[61] + face.points_px[291]) / 2 - self.middle
        self.mouth = float(mouth @ [-self.across[1], self.across[0]]) / self.unit

    def at(self, x: float, y: float) -> tuple[float, float]:
        down = np.array([-self.across[1], self.across[0]])
        column, row = self.middle + self.unit * (x * self.across + y * down)
        return float(column), float(row)

    def bar(
        self, left: float, top: float, right: float, bottom: float, colour: tuple[int, int, int]
    ) -> Pixels:
        corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
        ImageDraw.Draw(self.picture).polygon([self.at(*each) for each in corners], fill=colour)
        return np.asarray(self.picture)


@pytest.fixture
def painter(enlarged: Image.Image, face: DetectedFace) -> Painter:
    return Painter(enlarged, face)


def _seen(detector: FaceDetector, pixels: Pixels) -> Visibility | None:
    found = detector.detect_symmetrised(pixels)
    return visibility_of(pixels, found[0], detector.mirror) if found else None


def _passes(seen: Visibility | None) -> bool:
    return seen is not None and (
        seen.eyes_are_seen and seen.eyes_are_open and seen.mouth_is_seen and seen.is_photograph
    )


@pytest.mark.parametrize("change", ["none", "grey", "dark", "bright", "blurred", "noisy"])
def test_an_uncovered_face_passes_in_any_light(
    detector: FaceDetector, enlarged: Image.Image, change: str
) -> None:
    picture = {
        "none": lambda each: each,
        "grey": lambda each: each.convert("L").convert("RGB"),
        "dark": lambda each: each.point(lambda value: value * 0.4),
        "bright": lambda each: each.point(lambda value: min(255, value * 1.25)),
        "blurred": lambda each: each.filter(ImageFilter.GaussianBlur(2)),
        "noisy": lambda each: Image.fromarray(
            np.clip(
                np.asarray(each) + np.random.default_rng(0).normal(0, 8, (each.height, 1, 1)),
                0,
                255,
            ).astype(np.uint8)
        ),
    }[change](enlarged)
    assert _passes(_seen(detector, np.asarray(picture)))


def test_the_phantom_passes(detector: FaceDetector, face_model_file: Path) -> None:
    phantom = make_phantom(PhantomSpec(deficit_ml=8.0, noise_mm=0.0), face_model_file)
    assert _passes(_seen(detector, phantom.photograph.pixels))


@pytest.fixture(scope="module")
def face_model_file() -> Path:
    return find_face_model(None, None)


@pytest.mark.parametrize("colour", [(10, 10, 10), (245, 245, 245), (190, 140, 115)])
def test_a_bar_over_both_eyes_hides_them(
    detector: FaceDetector, painter: Painter, colour: tuple[int, int, int]
) -> None:
    seen = _seen(detector, painter.bar(-0.95, -0.3, 0.95, 0.3, colour))
    assert seen is None or not (seen.eyes_are_seen and seen.eyes_are_open)


def test_a_patch_over_one_eye_hides_it(detector: FaceDetector, painter: Painter) -> None:
    seen = _seen(detector, painter.bar(0.1, -0.35, 0.95, 0.3, (30, 28, 28)))
    assert seen is None or not seen.eyes_are_seen
    assert seen is None or seen.mouth_is_seen


def test_dark_glasses_hide_the_eyes(detector: FaceDetector, painter: Painter) -> None:
    draw = ImageDraw.Draw(painter.picture)
    turns = np.linspace(0, 2 * np.pi, 40)
    for middle in (-0.5, 0.5):
        rim = [
            painter.at(middle + 0.42 * np.cos(turn), 0.05 + 0.32 * np.sin(turn)) for turn in turns
        ]
        draw.polygon(rim, fill=(18, 18, 20))
    seen = _seen(detector, np.asarray(painter.picture))
    assert seen is None or not seen.eyes_are_seen


@pytest.mark.parametrize("colour", [(120, 170, 205), (25, 25, 28), (235, 235, 232)])
def test_a_mask_hides_the_mouth_and_not_the_eyes(
    detector: FaceDetector, painter: Painter, colour: tuple[int, int, int]
) -> None:
    masked = painter.bar(-0.9, painter.mouth - 0.6, 0.9, painter.mouth + 0.7, colour)
    seen = _seen(detector, masked)
    assert seen is None or (not seen.mouth_is_seen and seen.eyes_are_open)


def test_a_hand_hides_the_mouth(detector: FaceDetector, painter: Painter) -> None:
    draw = ImageDraw.Draw(painter.picture)
    for finger in range(4):
        row = painter.mouth - 0.33 + 0.22 * finger
        ends = [painter.at(-0.75, row + 0.05), painter.at(0.8, row)]
        draw.line(ends, fill=(115, 85, 70), width=round(0.22 * painter.unit))
        draw.line(ends, fill=(190, 142, 118), width=round(0.19 * painter.unit))
    seen = _seen(detector, np.asarray(painter.picture.filter(ImageFilter.GaussianBlur(1))))
    assert seen is None or not seen.mouth_is_seen


def test_painted_lids_are_shut_eyes(
    detector: FaceDetector, enlarged: Image.Image, face: DetectedFace
) -> None:
    picture = enlarged.copy()
    draw = ImageDraw.Draw(picture)
    for upper, lower in (
        ((33, 246, 161, 160, 159, 158, 157, 173, 133), (33, 7, 163, 144, 145, 153, 154, 155, 133)),
        (
            (263, 466, 388, 387, 386, 385, 384, 398, 362),
            (263, 249, 390, 373, 374, 380, 381, 382, 362),
        ),
    ):
        margins = [tuple(each) for each in face.points_px[[*upper, *lower[::-1]]].tolist()]
        draw.polygon(margins, fill=(205, 160, 135))
        draw.line(margins[len(upper) :], fill=(95, 65, 55), width=4)
    seen = _seen(detector, np.asarray(picture.filter(ImageFilter.GaussianBlur(1))))
    assert seen is None or not (seen.eyes_are_open and seen.eyes_are_seen)


def _skull(bone: tuple[int, int, int], background: tuple[int, int, int]) -> Image.Image:
    picture = Image.new("RGB", (900, 900), background)
    draw = ImageDraw.Draw(picture)
    draw.ellipse([198, 90, 702, 630], fill=bone, outline=0, width=5)
    draw.polygon([(324, 540), (576, 540), (549, 756), (351, 756)], fill=bone, outline=0)
    for middle in (355, 545):
        draw.ellipse([middle - 74, 328, middle + 74, 464], fill=(20, 15, 10))
    draw.polygon([(450, 450), (414, 540), (486, 540)], fill=(20, 15, 10))
    for tooth in range(8):
        left = 360 + 22.5 * tooth
        draw.rectangle([left, 612, left + 20, 666], fill=bone, outline=0)
    draw.line([(351, 639), (549, 639)], fill=0, width=5)
    return picture


def _shaded(picture: Image.Image, blur_px: float = 4) -> Pixels:
    row, column = np.mgrid[: picture.height, : picture.width] / picture.width
    light = 1 - 0.5 * np.clip(np.hypot((column - 0.45) / 0.35, (row - 0.4) / 0.5), 0, 1.3)
    lit = (np.asarray(picture) * light[..., None]).clip(0, 255).astype(np.uint8)
    return np.asarray(Image.fromarray(lit).filter(ImageFilter.GaussianBlur(blur_px)))


@pytest.mark.parametrize("bone", [(255, 255, 255), (235, 225, 200), (200, 190, 160)])
@pytest.mark.parametrize("shaded", [False, True])
def test_a_drawing_of_a_skull_never_passes(
    detector: FaceDetector, bone: tuple[int, int, int], shaded: bool
) -> None:
    picture = _skull(bone, (40, 40, 60))
    pixels = _shaded(picture) if shaded else np.asarray(picture)
    assert not _passes(_seen(detector, pixels))


@pytest.mark.parametrize("shaded", [False, True])
def test_a_cartoon_never_passes(detector: FaceDetector, shaded: bool) -> None:
    picture = Image.new("RGB", (900, 900), (255, 255, 255))
    draw = ImageDraw.Draw(picture)
    draw.ellipse([180, 54, 720, 486], fill=(60, 40, 30))
    draw.ellipse([216, 144, 684, 756], fill=(245, 205, 175), outline=0, width=4)
    for middle in (351, 549):
        draw.ellipse([middle - 63, 360, middle + 63, 432], fill=(255, 255, 255), outline=0, width=4)
        draw.ellipse([middle - 32, 364, middle + 32, 428], fill=(70, 110, 160))
        draw.ellipse([middle - 14, 382, middle + 14, 410], fill=0)
    draw.line([(450, 414), (423, 540), (468, 549)], fill=(120, 70, 50), width=5)
    draw.ellipse([369, 612, 531, 666], fill=(200, 90, 90), outline=(120, 40, 40), width=3)
    draw.line([(369, 639), (531, 639)], fill=(90, 20, 20), width=4)
    pixels = _shaded(picture, blur_px=2) if shaded else np.asarray(picture)
    assert not _passes(_seen(detector, pixels))


def test_line_art_of_a_face_is_no_photograph(detector: FaceDetector, enlarged: Image.Image) -> None:
    lines = enlarged.convert("L").filter(ImageFilter.GaussianBlur(1)).filter(ImageFilter.CONTOUR)
    drawn = lines.point(lambda value: 0 if value < 240 else 255).convert("RGB")
    assert not _passes(_seen(detector, np.asarray(drawn)))


def test_both_sides_are_judged_alike(
    detector: FaceDetector, enlarged: Image.Image, face: DetectedFace
) -> None:
    pixels = np.asarray(enlarged)
    mirrored = np.ascontiguousarray(pixels[:, ::-1])
    (other,) = detector.detect_symmetrised(mirrored)
    seen = visibility_of(pixels, face, detector.mirror)
    again = visibility_of(mirrored, other, detector.mirror)
    assert again.iris_contrast == pytest.approx(seen.iris_contrast, abs=0.02)
    assert again.eye_opening == pytest.approx(seen.eye_opening, abs=0.01)
    assert again.eye_likeness == pytest.approx(seen.eye_likeness, abs=0.02)


def test_pupils_at_one_place_are_no_face(face: DetectedFace, enlarged: Image.Image) -> None:
    points = face.points_px.copy()
    points[473] = points[468]
    with pytest.raises(ValueError, match="no face"):
        visibility_of(
            np.asarray(enlarged), replace(face, points_px=points), np.arange(478, dtype=np.int64)
        )
