"""Whether eyes and mouth are really seen, and whether it is a photograph at all.

MediaPipe reports a face on a skull, on a mask and through a hand: it fills in
what it expects. Here the picture itself is asked, at the places where the
detector says that eyes and mouth are, for what only an uncovered face shows: an
iris darker than what is beside it, two eyes that look alike in a mirror, the
dark line between the lips, shading without flat fills and drawn lines. The
limits were set on good and spoilt pictures; see
``docs/methods/photograph-symmetry.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.ndimage import map_coordinates

from processing.detected_face import DetectedFace
from processing.landmarks import FACE_OVAL, LANDMARKS
from processing.photograph.brightness import brightness_of
from processing.photograph.refinement.patch import FacePatch, face_patch

Grey = NDArray[np.float64]

# All in the patch of one eye at the left of it, from lateral to medial.
_UPPER_LID: Final = (33, 246, 161, 160, 159, 158, 157, 173, 133)
_LOWER_LID: Final = (33, 7, 163, 144, 145, 153, 154, 155, 133)
_CHEEK: Final = 205
_UPPER_INNER_LIP: Final = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
_LOWER_INNER_LIP: Final = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
_OUTER_AND_INNER_LIP: Final = (
    (37, 0, 267, 84, 17, 314, 39, 269, 91, 321),
    (82, 13, 312, 87, 14, 317, 81, 311, 178, 402),
)
_SKIN: Final = (205, 425, 50, 280, 187, 411, 164, 200, 199)
_EYE_POINTS: Final = (33, 133, 159, 145, 263, 362, 386, 374)
_MOUTH_POINTS: Final = (61, 291, 13, 14, 0, 17)

_PUPIL_DISTANCE_PX: Final = 120.0
_PUPIL_DISTANCE_MM: Final = 63.0
# Added to the brightness (0 to 255) that others are divided by, so that black is no infinity.
_DARK: Final = 10.0


@dataclass(frozen=True, slots=True)
class Visibility:
    """What the picture shows where eyes and mouth should be; of two eyes the worse.

    Parameters
    ----------
    eye_opening : float
        Height of the opening between the lids over its width.
    iris_contrast : float
        How much darker the iris is than the brighter part beside it, over the
        brightness of the skin.
    eye_likeness : float
        Correlation of one eye with the mirror image of the other.
    eye_shade : float
        Brightness of the skin under the eye over that of the cheek.
    eye_disagreement_mm, mouth_disagreement_mm : float
        Half of what the detections in the picture and its mirror image differ by.
    lip_line : float
        How much darker the line between the lips is than the lips, over the
        brightness of the skin.
    mouth_structure : float
        Standard deviation of the brightness about the mouth over that of the skin.
    lip_redness : float
        Logarithm of red over green of the lips less that of the skin.
    flat_fraction : float
        Part of the face without any change of brightness from pixel to pixel.
    edge_ratio : float
        The steepest hundredth of the changes over the middle one.
    """

    eye_opening: float
    iris_contrast: float
    eye_likeness: float
    eye_shade: float
    eye_disagreement_mm: float
    mouth_disagreement_mm: float
    lip_line: float
    mouth_structure: float
    lip_redness: float
    flat_fraction: float
    edge_ratio: float

    @property
    def eyes_are_seen(self) -> bool:
        """Whether neither eye is covered."""
        return (
            self.iris_contrast >= _LEAST_IRIS_CONTRAST
            and self.eye_likeness >= _LEAST_EYE_LIKENESS
            and self.eye_shade >= _LEAST_EYE_SHADE
            and self.eye_disagreement_mm <= _LARGEST_EYE_DISAGREEMENT_MM
        )

    @property
    def eyes_are_open(self) -> bool:
        """Whether the lids of both eyes stand apart."""
        return self.eye_opening >= _LEAST_EYE_OPENING

    @property
    def mouth_is_seen(self) -> bool:
        """Whether the mouth is not covered."""
        doubtful = self.lip_line < _CLEAR_LIP_LINE and self.lip_redness < _CLEAR_LIP_REDNESS
        largest = _LARGEST_DOUBTFUL_MM if doubtful else _LARGEST_MOUTH_DISAGREEMENT_MM
        return (
            self.lip_line >= _LEAST_LIP_LINE
            and self.mouth_structure >= _LEAST_MOUTH_STRUCTURE
            and self.mouth_disagreement_mm <= largest
        )

    @property
    def is_photograph(self) -> bool:
        """Whether it is shaded as a photograph is, and not filled and outlined."""
        return (
            self.flat_fraction <= _LARGEST_FLAT_FRACTION
            and self.edge_ratio <= _LARGEST_EDGE_RATIO
            and (self.flat_fraction <= _FLAT_OF_DRAWINGS or self.edge_ratio <= _EDGE_OF_DRAWINGS)
        )


_LEAST_IRIS_CONTRAST: Final = 0.10
_LEAST_EYE_LIKENESS: Final = 0.25
_LEAST_EYE_SHADE: Final = 0.45
_LARGEST_EYE_DISAGREEMENT_MM: Final = 0.8
_LEAST_EYE_OPENING: Final = 0.12
_LEAST_LIP_LINE: Final = 0.07
_LEAST_MOUTH_STRUCTURE: Final = 0.045
_LARGEST_MOUTH_DISAGREEMENT_MM: Final = 0.9
_CLEAR_LIP_LINE: Final = 0.35
_CLEAR_LIP_REDNESS: Final = 0.012
_LARGEST_DOUBTFUL_MM: Final = 0.5
_LARGEST_FLAT_FRACTION: Final = 0.40
_LARGEST_EDGE_RATIO: Final = 33.0
_FLAT_OF_DRAWINGS: Final = 0.18
_EDGE_OF_DRAWINGS: Final = 20.0


def visibility_of(
    pixels: NDArray[np.uint8], face: DetectedFace, mirror: NDArray[np.int64]
) -> Visibility:
    """Look at eyes and mouth of a detected face.

    Parameters
    ----------
    pixels : (rows, columns, 3) uint8 array
        sRGB.
    face : DetectedFace
        As found in `pixels`, by `FaceDetector.detect_symmetrised`.
    mirror : (478,) int64 array
        Left-right partner of each landmark.

    Raises
    ------
    ValueError
        If pupils or irises have no extent.
    """
    patch = face_patch(pixels, face, mirror, _PUPIL_DISTANCE_PX)
    grey: Grey = brightness_of(patch.pixels)
    right = _eye(patch, grey)
    left = _eye(patch.mirrored(), grey[:, ::-1])
    skin = (right.skin + left.skin) / 2 + _DARK
    structure, line = _mouth(patch, grey)
    flat, edges = _shading(patch, grey)
    pupils = face.points_px[LANDMARKS["iris_centre_left"]], face.points_px[468]
    mm_per_px = _PUPIL_DISTANCE_MM / float(np.hypot(*(pupils[0] - pupils[1])))
    return Visibility(
        eye_opening=min(right.opening, left.opening),
        iris_contrast=min(right.iris_contrast, left.iris_contrast),
        eye_likeness=_likeness(right.picture, left.picture),
        eye_shade=min(right.shade, left.shade),
        eye_disagreement_mm=float(face.spread_px[list(_EYE_POINTS)].mean()) * mm_per_px,
        mouth_disagreement_mm=float(face.spread_px[list(_MOUTH_POINTS)].mean()) * mm_per_px,
        lip_line=line / skin,
        mouth_structure=structure / skin,
        lip_redness=_lip_redness(patch),
        flat_fraction=flat,
        edge_ratio=edges,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Eye:
    opening: float
    iris_contrast: float
    skin: float
    shade: float
    picture: Grey


def _eye(patch: FacePatch, grey: Grey) -> _Eye:
    """The eye at the left of the patch."""
    points = patch.points_px
    lateral, medial = points[33], points[133]
    width = max(float(abs(medial[0] - lateral[0])), 1.0)
    columns = np.linspace(lateral[0] + 0.08 * width, medial[0] - 0.08 * width, 41)
    upper, lower = (_row_at(points, lid, columns) for lid in (_UPPER_LID, _LOWER_LID))
    parts = np.linspace(0.3, 0.75, 7)
    rows = upper[:, None] + (lower - upper)[:, None] * parts
    along = _sampled(grey, np.repeat(columns[:, None], 7, axis=1), rows).mean(axis=1)

    iris = points[LANDMARKS["iris_centre_right"]]
    radius = float(np.hypot(*(points[471] - points[469]))) / 2
    under = np.linspace(lateral[0], medial[0], 9)
    skin = float(np.median(_sampled(grey, under, np.full(9, points[145, 1] + 0.45 * width))))
    return _Eye(
        opening=float(points[145, 1] - points[159, 1]) / width,
        iris_contrast=_contrast(along, columns - iris[0], radius) / (skin + _DARK),
        skin=skin,
        shade=(skin + _DARK) / (_around(grey, points[_CHEEK]) + _DARK),
        picture=_block(grey, lateral, medial, (-0.35, 1.25), (-0.45, 0.45), (40, 24)),
    )


def _contrast(along: Grey, from_iris: NDArray[np.float64], radius: float) -> float:
    """Brightness beside the iris, of its brighter side, less that of the iris."""
    inside = np.abs(from_iris) < 0.6 * radius
    beside = [
        float(np.percentile(along[side], 70))
        for side in (from_iris < -1.05 * radius, from_iris > 1.05 * radius)
        if side.sum() > 1
    ]
    if not inside.any() or not beside:
        return 0.0
    return max(beside) - float(along[inside].mean())


def _mouth(patch: FacePatch, grey: Grey) -> tuple[float, float]:
    """Deviation of the brightness about the mouth, and the depth of the line between the lips."""
    right, left = patch.point("cheilion_right"), patch.point("cheilion_left")
    about = _block(grey, right, left, (-0.15, 1.15), (-0.35, 0.45), (60, 40))
    width = float(np.hypot(*(left - right)))
    columns = right[0] + (left[0] - right[0]) * np.linspace(0.22, 0.78, 9)
    upper, lower = (
        _row_at(patch.points_px, lip, columns) for lip in (_UPPER_INNER_LIP, _LOWER_INNER_LIP)
    )
    offsets = np.linspace(-0.2, 0.2, 41)
    rows = ((upper + lower) / 2)[:, None] + width * offsets
    across = _sampled(grey, np.repeat(columns[:, None], len(offsets), axis=1), rows)
    depths = [_depth_of_valley(each, np.abs(offsets) <= 0.1) for each in across]
    return float(about.std()), float(np.median(depths))


def _depth_of_valley(profile: Grey, where: NDArray[np.bool_]) -> float:
    lowest = int(np.argmin(np.where(where, profile, np.inf)))
    before, after = profile[: max(lowest - 2, 1)].max(), profile[lowest + 3 :].max()
    return float(min(before, after) - profile[lowest])


def _lip_redness(patch: FacePatch) -> float:
    outer, inner = (patch.points_px[list(each)] for each in _OUTER_AND_INNER_LIP)
    skin = patch.points_px[list(_SKIN)]
    return _redness(patch, (outer + inner) / 2) - _redness(patch, skin)


def _redness(patch: FacePatch, points: NDArray[np.float64]) -> float:
    """Logarithm of red over green, median of the means of nine pixels about each point."""
    rows, columns = patch.pixels.shape[:2]
    column = np.clip(points[:, 0].round().astype(int), 1, columns - 2)
    row = np.clip(points[:, 1].round().astype(int), 1, rows - 2)
    offsets = np.arange(-1, 2)
    around = patch.pixels[
        row[:, None, None] + offsets[:, None], column[:, None, None] + offsets
    ].mean(axis=(1, 2))
    return float(np.median(np.log((around[:, 0] + 8) / (around[:, 1] + 8))))


def _shading(patch: FacePatch, grey: Grey) -> tuple[float, float]:
    """Flat part of the face, and how its steepest changes compare with the middle one."""
    rows, columns = grey.shape
    inside = Image.new("L", (columns, rows))
    contour = [(float(column), float(row)) for column, row in patch.points_px[list(FACE_OVAL)]]
    ImageDraw.Draw(inside).polygon(contour, fill=1)
    within = np.asarray(inside, dtype=bool)[:-1, :-1]
    if not within.any():
        return 1.0, 0.0
    steps = np.hypot(np.diff(grey, axis=1)[:-1], np.diff(grey, axis=0)[:, :-1])[within]
    middle, steep = np.percentile(steps, (50, 99))
    return float((steps < 0.5).mean()), float(steep / (middle + 0.5))


def _likeness(one: Grey, other: Grey) -> float:
    """The best correlation of two pictures under shifts of a pixel or two."""
    still = other[1:-1, 2:-2] - other[1:-1, 2:-2].mean()
    rows, columns = one.shape
    best = -1.0
    for down in (-1, 0, 1):
        for across in (-2, -1, 0, 1, 2):
            moved = one[1 + down : rows - 1 + down, 2 + across : columns - 2 + across]
            moved = moved - moved.mean()
            both = float(np.sqrt((moved**2).sum() * (still**2).sum()))
            best = max(best, float((moved * still).sum()) / (both + 1e-6))
    return best


def _block(
    grey: Grey,
    start: NDArray[np.float64],
    end: NDArray[np.float64],
    along: tuple[float, float],
    down: tuple[float, float],
    size: tuple[int, int],
) -> Grey:
    """A rectangle of the patch in units of the distance from `start` to `end`."""
    axis = end - start
    below = np.array([-axis[1], axis[0]])
    u, v = np.meshgrid(np.linspace(*along, size[0]), np.linspace(*down, size[1]))
    where = start + u[..., None] * axis + v[..., None] * below
    return _sampled(grey, where[..., 0], where[..., 1])


def _row_at(
    points: NDArray[np.float64], curve: Sequence[int], columns: NDArray[np.float64]
) -> NDArray[np.float64]:
    on_curve = points[list(curve)]
    order = np.argsort(on_curve[:, 0])
    rows: NDArray[np.float64] = np.interp(columns, on_curve[order, 0], on_curve[order, 1])
    return rows


def _around(grey: Grey, point: NDArray[np.float64]) -> float:
    offsets = np.arange(-3.0, 4.0)
    column, row = np.meshgrid(point[0] + offsets, point[1] + offsets)
    return float(np.median(_sampled(grey, column, row)))


def _sampled(grey: Grey, columns: NDArray[np.float64], rows: NDArray[np.float64]) -> Grey:
    values: Grey = map_coordinates(grey, [rows, columns], order=1, mode="nearest")
    return values
