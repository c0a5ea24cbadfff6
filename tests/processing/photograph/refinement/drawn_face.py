"""A face drawn with known lids, irises, brows and mouth, and landmarks that do not know them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from processing.landmarks import LANDMARKS
from processing.photograph.refinement.patch import FacePatch

MM_PER_PX = 0.25
_FINER = 4
_WIDTH_MM, _HEIGHT_MM, _EYES_MM = 200.0, 250.0, 95.0
_PUPIL_MM = 31.5
_SKIN, _HAIR, _LINE = (214, 170, 146), (60, 45, 38), (96, 48, 44)
_WHITE, _IRIS, _LASHES = (236, 232, 228), (92, 66, 44), (70, 48, 42)


@dataclass(frozen=True)
class DrawnFace:
    """What of the patient's right side lies elsewhere than detected, in mm.

    The landmarks always say that the face is symmetric and at rest.
    """

    corner_mm: tuple[float, float] = (0.0, 0.0)
    brow_mm: float = 0.0
    upper_lid_mm: float = 0.0
    lower_lid_mm: float = 0.0
    iris_mm: tuple[float, float] = (0.0, 0.0)
    without: frozenset[str] = frozenset()
    noise: float = 1.5

    def patch(self, mirror: NDArray[np.int64]) -> FacePatch:
        pixels = self._pixels()
        return FacePatch(
            pixels=pixels,
            inside=np.ones(pixels.shape[:2], dtype=np.bool_),
            points_px=_points(mirror),
            mirror=mirror,
            picture_from_patch=np.eye(2, 3),
            mm_per_px=MM_PER_PX,
        )

    def _pixels(self) -> NDArray[np.uint8]:
        size = (round(_WIDTH_MM / MM_PER_PX) * _FINER, round(_HEIGHT_MM / MM_PER_PX) * _FINER)
        image = Image.new("RGB", size, _SKIN)
        pen = ImageDraw.Draw(image)
        still = DrawnFace()
        for sign, face in ((-1, self), (1, still)):
            if "eye" not in self.without:
                face._draw_eye(image, sign)
            if "brow" not in self.without:
                face._draw_brow(pen, sign)
            if "mouth" not in self.without:
                face._draw_mouth(pen, sign)
        reduced = image.resize((size[0] // _FINER, size[1] // _FINER), Image.Resampling.BOX)
        noise = np.random.default_rng(5).normal(0, self.noise, (*reduced.size[::-1], 3))
        return np.clip(np.asarray(reduced) + noise, 0, 255).astype(np.uint8)

    def _draw_eye(self, image: Image.Image, sign: int) -> None:
        x = np.linspace(-14, 14, 60)
        arch = 1 - (x / 14) ** 2
        upper = -4.0 * arch + self.upper_lid_mm * arch
        lower = 5.0 * arch + self.lower_lid_mm * arch
        outline = [*zip(x, upper, strict=True), *zip(x[::-1], lower[::-1], strict=True)]
        eye = Image.new("L", image.size, 0)
        ImageDraw.Draw(eye).polygon(_at(outline, sign * _PUPIL_MM), fill=255)
        inner = Image.new("RGB", image.size, _WHITE)
        across, down = self.iris_mm
        ((left, top), (right, bottom)) = _at(
            [(-5.855 - sign * across, down - 5.855), (5.855 - sign * across, down + 5.855)],
            sign * _PUPIL_MM,
        )
        ImageDraw.Draw(inner).ellipse((left, top, right, bottom), fill=_IRIS)
        image.paste(inner, mask=eye)
        margin = _at(list(zip(x, upper, strict=True)), sign * _PUPIL_MM)
        ImageDraw.Draw(image).line(margin, fill=_LASHES, width=round(0.6 / MM_PER_PX * _FINER))

    def _draw_brow(self, pen: ImageDraw.ImageDraw, sign: int) -> None:
        along = np.linspace(-16, 20, 40)
        top = -22 + 0.012 * (along - 6) ** 2 + self.brow_mm
        outline = [*zip(along, top, strict=True), *zip(along[::-1], top[::-1] + 6, strict=True)]
        pen.polygon(_at([(sign * x, y) for x, y in outline], sign * _PUPIL_MM), fill=_HAIR)

    def _draw_mouth(self, pen: ImageDraw.ImageDraw, sign: int) -> None:
        across, down = self.corner_mm
        part = np.linspace(0, 1, 40)
        line = [(sign * (25 + across) * each, 65 + down * each**2) for each in part]
        pen.line(_at(line, 0.0), fill=_LINE, width=round(1.2 / MM_PER_PX * _FINER))


def row_of(height_mm: float) -> float:
    """Row in the patch of a place so far below the pupils."""
    return (_EYES_MM + height_mm) / MM_PER_PX - 0.5


def column_of(across_mm: float) -> float:
    """Column in the patch of a place so far to the right of the midline of the picture."""
    return (_WIDTH_MM / 2 + across_mm) / MM_PER_PX - 0.5


def _at(places_mm: list[tuple[float, float]], centre_mm: float) -> list[tuple[float, float]]:
    per_mm = _FINER / MM_PER_PX
    return [
        (
            float((_WIDTH_MM / 2 + centre_mm + x) * per_mm - 0.5),
            float((_EYES_MM + y) * per_mm - 0.5),
        )
        for x, y in places_mm
    ]


def _points(mirror: NDArray[np.int64]) -> NDArray[np.float64]:
    points = np.tile([column_of(0.0), row_of(30.0)], (478, 1))
    places = {
        "iris_centre": (_PUPIL_MM, 0.0),
        "iris_nasal": (_PUPIL_MM - 5.855, 0.0),
        "iris_temporal": (_PUPIL_MM + 5.855, 0.0),
        "iris_superius": (_PUPIL_MM, -5.855),
        "iris_inferius": (_PUPIL_MM, 5.855),
        "exocanthion": (_PUPIL_MM + 14, 0.0),
        "endocanthion": (_PUPIL_MM - 14, 0.0),
        "palpebrale_superius": (_PUPIL_MM, -4.0),
        "palpebrale_inferius": (_PUPIL_MM, 5.0),
        "brow_medial": (_PUPIL_MM - 14, -18.0),
        "brow_peak": (_PUPIL_MM + 6, -22.5),
        "brow_lateral": (_PUPIL_MM + 18, -21.0),
        "cheilion": (25.0, 65.0),
    }
    indices = {LANDMARKS[f"{name}_right"]: place for name, place in places.items()}
    indices |= {63: (_PUPIL_MM + 12, -22.3), 66: (_PUPIL_MM - 4, -21.3)}
    for index, (outward, down) in indices.items():
        points[index] = column_of(-outward), row_of(down)
        points[mirror[index]] = column_of(outward), row_of(down)
    for index in (13, 14):
        points[index] = column_of(0.0), row_of(65.0)
    return points
