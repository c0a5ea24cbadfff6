"""Photographs with a known asymmetry, made by smooth local warps of a face.

A warp is a field of displacements: what is at `p` in the base picture is at
`p + displacement(p)` in the warped one. It is flat where a structure lies,
so that the structure moves as a whole, and falls smoothly to zero around it.
Truth is the field at the place of the anatomical point *in the base picture*;
what is measured is compared as warped minus base, so that an asymmetry of the
base face cancels:

    base = base_picture("portrait", pixels, detector)
    for warp in standard_warps():
        picture = warped(base, warp)
        picture.pixels, picture.true_change_mm("cheilion_left")  # (to the left, up)

Directions are the patient's: `left` and `up` of the face, by its pupils.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.photographs.profiles import PROFILES
from benchmarks.photographs.profiles import Structure as Structure
from processing.face_landmarks import FaceDetector
from processing.landmarks import LANDMARKS
from processing.measurement import Side

Pixels = NDArray[np.uint8]
Points = NDArray[np.float64]

SMALLEST_JACOBIAN: Final = 0.15
# Horizontal corneal diameter of adults: Ruefer, Schroeder, Erb, Cornea 2005;24:259.
IRIS_DIAMETER_MM: Final = 11.71

# Halves 10 mm at 0.05 mm a pixel to under a hundredth of a pixel.
_BISECTIONS: Final = 15

_OPEN_EYE_MM: Final = 5.0
_LASHES_MM: Final = 0.5
_LID_MM: Final = 2.0
_LID_EDGE_MM: Final = 0.2
_FRACTION_BITS: Final = 4
_IRISES: Final = range(468, 478)
# MediaPipe's points on the lid margins from canthus to canthus.
_UPPER_MARGIN: Final = {
    Side.RIGHT: (33, 246, 161, 160, 159, 158, 157, 173, 133),
    Side.LEFT: (263, 466, 388, 387, 386, 385, 384, 398, 362),
}
_LOWER_MARGIN: Final = {
    Side.RIGHT: (33, 7, 163, 144, 145, 153, 154, 155, 133),
    Side.LEFT: (263, 249, 390, 373, 374, 380, 381, 382, 362),
}


@dataclass(frozen=True, slots=True)
class Warp:
    """Which structure of which side moves, and how far.

    Parameters
    ----------
    structure : Structure
    side : Side
        The patient's. Of the chin: whither it goes for a positive `outward_mm`.
    outward_mm : float
        Away from the midline.
    upward_mm : float
    """

    structure: Structure
    side: Side
    outward_mm: float = 0.0
    upward_mm: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class BasePicture:
    """A face of which warped pictures are made.

    Parameters
    ----------
    name : str
    pixels : (rows, columns, 3) uint8 array
    points_px : (478, 2) float64 array
        MediaPipe's points in it, detected or true.
    mm_per_px : float
        Defined as true for this picture; hand it on as its pixel spacing.
    """

    name: str
    pixels: Pixels = field(repr=False)
    points_px: Points = field(repr=False)
    mm_per_px: float

    @property
    def left(self) -> Points:
        """Unit vector in the picture toward the patient's left, (2,)."""
        across = self.point("iris_centre_left") - self.point("iris_centre_right")
        unit: Points = across / np.hypot(*across)
        return unit

    @property
    def up(self) -> Points:
        """Unit vector in the picture toward the top of the head, (2,)."""
        left = self.left
        return np.array([left[1], -left[0]])

    @property
    def origin_px(self) -> Points:
        """The middle between the pupils, (2,)."""
        middle: Points = (self.point("iris_centre_left") + self.point("iris_centre_right")) / 2
        return middle

    def point(self, name: str) -> Points:
        """A named landmark, (2,)."""
        where: Points = self.points_px[LANDMARKS[name]]
        return where

    def face_mm(self, points_px: Points) -> Points:
        """Points of the picture in the face's frame: mm to the left of and above the pupils."""
        away = (np.asarray(points_px, dtype=np.float64) - self.origin_px) * self.mm_per_px
        return np.stack([away @ self.left, away @ self.up], axis=-1)


@dataclass(frozen=True, slots=True, eq=False)
class WarpedPicture:
    """A warped picture, and the field that says what moved where."""

    base: BasePicture
    warp: Warp
    pixels: Pixels = field(repr=False)

    def true_points_px(self) -> Points:
        """The base picture's 478 points where they are now."""
        by = _displacement_px(self.base, self.warp, self.base.points_px)
        by[list(_unmoved(self.warp))] = 0
        moved: Points = self.base.points_px + by
        return moved

    def true_change_mm(self, landmark: str) -> Points:
        """How far a named landmark moved, (2,): toward the patient's left, and up."""
        index = LANDMARKS[landmark]
        by = (self.true_points_px() - self.base.points_px)[index] * self.base.mm_per_px
        return np.array([by @ self.base.left, by @ self.base.up])


def base_picture(
    name: str, pixels: Pixels, detector: FaceDetector, mm_per_px: float | None = None
) -> BasePicture:
    """A base picture with detected landmarks, scaled by its iris unless the scale is given.

    Raises
    ------
    ValueError
        If no face is found.
    """
    faces = detector.detect_symmetrised(pixels)
    if not faces:
        raise ValueError(f"{name}: no face was found")
    points = faces[0].points_px
    return BasePicture(
        name, pixels, points, mm_per_px or IRIS_DIAMETER_MM / _iris_diameter_px(points)
    )


def _iris_diameter_px(points_px: Points) -> float:
    """Horizontal, mean of both eyes."""
    ends = [
        points_px[LANDMARKS[f"iris_temporal_{side.value}"]]
        - points_px[LANDMARKS[f"iris_nasal_{side.value}"]]
        for side in Side
    ]
    return float(np.hypot(*np.transpose(ends)).mean())


def chimeric_pictures(
    base: BasePicture, detector: FaceDetector, largest_side_px: int = 1400
) -> tuple[BasePicture, BasePicture]:
    """The two exactly symmetric faces made of the left half and of the right half.

    The picture is turned upright about the midline through the pupils and the
    ridge of the nose, and one half is copied over the other.
    """
    names = ("glabella", "nasion", "subnasale", "labiale_superius", "gnathion")
    middle = base.face_mm(np.stack([base.point(name) for name in names]))[:, 0].mean() / 2
    origin = base.origin_px + middle / base.mm_per_px * base.left
    half_px, above_px, below_px = (round(mm / base.mm_per_px) for mm in (110.0, 105.0, 150.0))
    factor = min(1.0, largest_side_px / (above_px + below_px))
    columns, rows = np.meshgrid(
        np.arange(0.5, round(half_px * factor)) / factor,
        np.arange(round(-above_px * factor), round(below_px * factor)) / factor,
    )
    halves = []
    for sign in (1.0, -1.0):
        place = origin + columns[..., None] * sign * base.left - rows[..., None] * base.up
        half = cv2.remap(
            base.pixels,
            place[..., 0].astype(np.float32),
            place[..., 1].astype(np.float32),
            cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        )
        halves.append(np.ascontiguousarray(np.concatenate([half[:, ::-1], half], axis=1)))
    left, right = (
        base_picture(f"{base.name}, {side} half twice", np.asarray(pixels, np.uint8), detector)
        for side, pixels in zip(("left", "right"), halves, strict=True)
    )
    return left, right


def standard_warps() -> tuple[Warp, ...]:
    """Every structure moved by 1 to 10 mm, as far as a face allows; sides take turns."""
    moves: list[tuple[Structure, float, float]] = []
    for by in (1.0, 2.0, 4.0, 7.0, 10.0):
        moves += [
            (Structure.COMMISSURE, 0.0, -by),
            (Structure.CHIN, by, 0.0),
            (Structure.CONTOUR, -by, 0.0),
        ]
    moves += [(Structure.COMMISSURE, by, 0.0) for by in (2.0, 3.5, 5.0)]
    moves += [(Structure.CONTOUR, by, 0.0) for by in (3.0, 7.0)]
    moves += [(Structure.BROW, 0.0, by) for by in (-5.0, -4.0, -2.5, -1.5, 1.5, 3.0, 6.0)]
    moves += [(Structure.UPPER_LID, 0.0, -by) for by in (0.75, 1.5, 2.25, 3.0)]
    sides = {structure: cycle(Side) for structure in Structure}
    return tuple(
        Warp(structure, next(sides[structure]), outward, upward)
        for structure, outward, upward in moves
    )


def warped(base: BasePicture, warp: Warp) -> WarpedPicture:
    """Warp a picture.

    An upper lid slides over the eye, which is not distorted; everything else is
    deformed with its surroundings and the background.

    Raises
    ------
    ValueError
        If the warp would fold the picture, or nearly, or the eye is (nearly) shut.
    """
    if warp.structure is Structure.UPPER_LID and _fissure_mm(base, warp.side) < _OPEN_EYE_MM:
        raise ValueError(f"{base.name}: {warp} cannot be, the eye is shut")
    jacobian = smallest_jacobian(base, warp)
    if jacobian < SMALLEST_JACOBIAN:
        raise ValueError(f"{base.name}: {warp} would fold the picture (Jacobian {jacobian:.2f})")
    source = _inverse(base, warp)
    pixels = _sampled(base.pixels, source)
    if warp.structure is Structure.UPPER_LID:
        pixels = _with_eye_behind_lid(base, warp, source, pixels)
    if warp.structure is Structure.BROW:
        pixels = _with_skin_behind_lid(base, warp, pixels)
    return WarpedPicture(base, warp, pixels)


def _unmoved(warp: Warp) -> Sequence[int]:
    """Points that do not take part in the field of the skin."""
    if warp.structure is Structure.BROW:
        return (*_IRISES, *_UPPER_MARGIN[warp.side], *_LOWER_MARGIN[warp.side])
    if warp.structure is Structure.UPPER_LID:
        return (*_IRISES, *_LOWER_MARGIN[warp.side])
    return _IRISES


def _fissure_mm(base: BasePicture, side: Side) -> float:
    lids = [base.point(f"palpebrale_{each}_{side.value}") for each in ("superius", "inferius")]
    return float(base.face_mm(lids[0])[1] - base.face_mm(lids[1])[1])


def _displacement_px(base: BasePicture, warp: Warp, points_px: Points) -> Points:
    field_px: Points = _weight(base, warp, points_px)[..., None] * _full_displacement_px(base, warp)
    return field_px


def _full_displacement_px(base: BasePicture, warp: Warp) -> Points:
    by_mm = warp.outward_mm * _outward(warp.side) * base.left + warp.upward_mm * base.up
    by_px: Points = by_mm / base.mm_per_px
    return by_px


def _weight(base: BasePicture, warp: Warp, points_px: Points) -> Points:
    """How much of the warp's displacement each place of the base picture takes part in."""
    outward = np.array([_outward(warp.side), 1.0])
    places = base.face_mm(points_px) * outward

    def at(name: str) -> Points:
        of_side = f"{name}_{warp.side.value}"
        where: Points = base.face_mm(base.point(of_side if of_side in LANDMARKS else name))
        towards_side: Points = where * outward
        return towards_side

    weight: Points = PROFILES[warp.structure](places[..., 0], places[..., 1], at)
    return weight


def _outward(side: Side) -> float:
    return 1.0 if side is Side.LEFT else -1.0


def smallest_jacobian(base: BasePicture, warp: Warp, step_px: float = 1.0) -> float:
    """The smallest factor by which the warp changes an area; a fold has one below 0."""
    rows, columns = base.pixels.shape[:2]
    grid = np.stack(
        np.meshgrid(np.arange(0, columns, step_px), np.arange(0, rows, step_px)), axis=-1
    )
    moved = grid + _displacement_px(base, warp, grid)
    along_columns = np.diff(moved, axis=1)[:-1] / step_px
    along_rows = np.diff(moved, axis=0)[:, :-1] / step_px
    jacobian = (
        along_columns[..., 0] * along_rows[..., 1] - along_columns[..., 1] * along_rows[..., 0]
    )
    return float(jacobian.min())


def _inverse(base: BasePicture, warp: Warp) -> Points:
    """For each pixel of the warped picture its place in the base picture.

    All places move along one direction, so the place is ``q - s u`` with the one
    root of ``s = weight(q - s u)`` in 0..1, which is found by bisection.
    """
    rows, columns = base.pixels.shape[:2]
    source = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1).astype(np.float64)
    by_px = _full_displacement_px(base, warp)
    touched = _weight(base, warp, source) > 0
    reach = 2 * int(np.ceil(np.abs(by_px).max())) + 3
    touched = cv2.dilate(touched.astype(np.uint8), np.ones((reach, reach), np.uint8)) > 0
    wanted = source[touched]
    low, high = np.zeros(len(wanted)), np.ones(len(wanted))
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        above = middle > _weight(base, warp, wanted - middle[:, None] * by_px)
        high, low = np.where(above, middle, high), np.where(above, low, middle)
    source[touched] = wanted - ((low + high) / 2)[:, None] * by_px
    return source


def _sampled(pixels: Pixels, places_px: Points) -> Pixels:
    taken = cv2.remap(
        pixels,
        places_px[..., 0].astype(np.float32),
        places_px[..., 1].astype(np.float32),
        cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(taken, dtype=np.uint8)


def _with_eye_behind_lid(base: BasePicture, warp: Warp, source: Points, moved: Pixels) -> Pixels:
    """The lid slides over the eye: what was seen between the lids stays where it is."""
    # The lashes at the margin move with the lid.
    share = _eye_opening(base, warp.side, widened_mm=-_LASHES_MM)
    share = _sampled(share, source)
    return _mixed(share, base.pixels, moved)


def _with_skin_behind_lid(base: BasePicture, warp: Warp, moved: Pixels) -> Pixels:
    """Skin that comes down from the brow folds behind the lid; lid and eye stay."""
    return _mixed(_eye_opening(base, warp.side, widened_mm=_LID_MM), base.pixels, moved)


def _mixed(share: Pixels, inside: Pixels, outside: Pixels) -> Pixels:
    part = share[..., None].astype(np.float32) / 255
    mixed = part * inside.astype(np.float32) + (1 - part) * outside.astype(np.float32)
    return np.asarray(mixed.round(), dtype=np.uint8)


def _eye_opening(base: BasePicture, side: Side, widened_mm: float) -> Pixels:
    """255 between the lids, the upper margin taken higher by so much, with a soft edge."""
    margin = base.points_px[list(_UPPER_MARGIN[side])]
    lower = base.points_px[list(_LOWER_MARGIN[side])]
    margin = margin + widened_mm / base.mm_per_px * base.up
    if widened_mm > 0:
        lower = lower - widened_mm / base.mm_per_px * base.up
    outline = np.concatenate([margin, lower[::-1]])
    opening = np.zeros(base.pixels.shape[:2], dtype=np.uint8)
    whole = np.round(outline * (1 << _FRACTION_BITS)).astype(np.int32)
    cv2.fillPoly(opening, [whole], (255,), cv2.LINE_AA, _FRACTION_BITS)
    soft = cv2.GaussianBlur(opening, (0, 0), max(_LID_EDGE_MM / base.mm_per_px, 0.5))
    return np.asarray(soft, dtype=np.uint8)
