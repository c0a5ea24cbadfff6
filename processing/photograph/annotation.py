"""The annotated picture: midline, landmarks and pairs on the face, beside its chimeras."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from processing.landmarks import FACE_OVAL, LANDMARKS
from processing.measurement import Measurement, Picture, Side
from processing.photograph.frame import FaceFrame
from processing.photograph.readings import HEADLINE_STRUCTURES

Colour = tuple[int, int, int]

_FACE_HEIGHT: Final = 1080
_FACE_WIDTH: Final = 1000
_LABELS_WIDTH: Final = 350
_CHIMERA_HEIGHT: Final = _FACE_HEIGHT // 2
_CHIMERA_WIDTH: Final = 500
_HEADER_HEIGHT: Final = 84
_FOOTER_HEIGHT: Final = 40
_ROOM_ROUND_THE_FACE: Final = 1.25

_PAPER: Final[Colour] = (24, 26, 30)
_INK: Final[Colour] = (240, 240, 240)
_MIDLINE_COLOUR: Final[Colour] = (255, 235, 60)
_POINT_COLOUR: Final[Colour] = (90, 230, 255)
_PAIR_COLOURS: Final[Sequence[Colour]] = (
    (86, 180, 233),
    (230, 159, 0),
    (0, 200, 140),
    (240, 110, 170),
    (180, 160, 255),
    (213, 120, 60),
)
_LABEL_STEP: Final = 96

_TITLES: Final = {
    "exocanthion": "Exocanthion",
    "endocanthion": "Endocanthion",
    "alare": "Alare",
    "cheilion": "Cheilion",
    "zygion": "Zygion",
    "gonion": "Gonion",
}


@dataclass(frozen=True, slots=True)
class _Upright:
    """The photograph turned so that the midline is vertical and in the middle."""

    picture: Image.Image
    points: NDArray[np.float64]


def annotated_picture(
    pixels: NDArray[np.uint8], frame: FaceFrame, measurements: Sequence[Measurement]
) -> Picture:
    """Draw what was measured, for a person who stands before the screen.

    Parameters
    ----------
    pixels : (rows, columns, 3) uint8 array
        The photograph.
    frame : FaceFrame
        Midline and landmarks.
    measurements : sequence of Measurement
        What is written into the picture.

    Returns
    -------
    Picture
        The face, upright, with midline, landmarks and pairs; beside it the two
        chimeric faces. 1850 x 1204 pixels.
    """
    face = _upright(pixels, frame, _FACE_WIDTH, _FACE_HEIGHT)
    width = _FACE_WIDTH + _LABELS_WIDTH + _CHIMERA_WIDTH
    height = _HEADER_HEIGHT + _FACE_HEIGHT + _FOOTER_HEIGHT
    sheet = Image.new("RGB", (width, height), _PAPER)
    chimera = _upright(pixels, frame, _CHIMERA_WIDTH, _CHIMERA_HEIGHT).picture
    for side, top in ((Side.LEFT, 0), (Side.RIGHT, _CHIMERA_HEIGHT)):
        sheet.paste(_chimera(chimera, side), (_FACE_WIDTH + _LABELS_WIDTH, _HEADER_HEIGHT + top))
    sheet.paste(face.picture, (0, _HEADER_HEIGHT))
    draw = ImageDraw.Draw(sheet)
    points = face.points + np.array([0, _HEADER_HEIGHT])
    _draw_face(draw, points)
    _draw_pairs(draw, points, measurements)
    _draw_words(draw, measurements, width, height)
    return Picture(
        name="photograph-symmetry",
        caption="Facial symmetry on the frontal photograph: midline, pairs of landmarks, and the "
        "faces made of two left and of two right halves",
        pixels=np.array(sheet, dtype=np.uint8),
    )


def _upright(pixels: NDArray[np.uint8], frame: FaceFrame, width: int, height: int) -> _Upright:
    oval = frame.seen[list(FACE_OVAL)]
    half_width = float(np.abs(oval[:, 0]).max())
    low, high = float(oval[:, 1].min()), float(oval[:, 1].max())
    per_px = _ROOM_ROUND_THE_FACE * max(2 * half_width / width, (high - low) / height)
    middle = (width - 1) / 2, (height - 1) / 2
    height_of_middle = (low + high) / 2

    # Column and row of the photograph for the sheet's pixel (column, row).
    across, down = per_px * frame.left, -per_px * frame.up
    start = frame.origin_px + height_of_middle * frame.up - middle[0] * across - middle[1] * down
    corners = np.array([start + c * across + r * down for c in (0, width) for r in (0, height)])
    first = np.maximum(np.floor(corners.min(axis=0)).astype(int) - 2, 0)
    last = np.ceil(corners.max(axis=0)).astype(int) + 3
    part = Image.fromarray(
        np.ascontiguousarray(pixels[first[1] : max(last[1], 0), first[0] : max(last[0], 0)])
    )
    reduced = max(1, int(per_px))
    part = part.reduce(reduced)
    across, down = across / reduced, down / reduced
    # Pillow's transform counts from the edge of the first pixel.
    start = (start + 0.5 - first) / reduced - (across + down) / 2
    picture = part.transform(
        (width, height),
        Image.Transform.AFFINE,
        (across[0], down[0], start[0], across[1], down[1], start[1]),
        resample=Image.Resampling.BICUBIC,
        fillcolor=_PAPER,
    )
    points = np.column_stack(
        [
            middle[0] + frame.seen[:, 0] / per_px,
            middle[1] - (frame.seen[:, 1] - height_of_middle) / per_px,
        ]
    )
    return _Upright(picture, points)


def _chimera(face: Image.Image, side: Side) -> Image.Image:
    """The face made of one of the patient's sides and its mirror image."""
    pixels = np.asarray(face)
    half = pixels.shape[1] // 2
    if side is Side.LEFT:
        kept = pixels[:, half:]
        return Image.fromarray(np.hstack([kept[:, ::-1], kept]))
    kept = pixels[:, :half]
    return Image.fromarray(np.hstack([kept, kept[:, ::-1]]))


def _draw_face(draw: ImageDraw.ImageDraw, points: NDArray[np.float64]) -> None:
    middle = _FACE_WIDTH / 2
    draw.line(
        [(middle, _HEADER_HEIGHT), (middle, _HEADER_HEIGHT + _FACE_HEIGHT)],
        fill=_MIDLINE_COLOUR,
        width=3,
    )
    contour = [_place(points[index]) for index in (*FACE_OVAL, FACE_OVAL[0])]
    draw.line(contour, fill=_INK, width=2)
    for index in LANDMARKS.values():
        _dot(draw, _place(points[index]), 4, _POINT_COLOUR)


def _draw_pairs(
    draw: ImageDraw.ImageDraw, points: NDArray[np.float64], measurements: Sequence[Measurement]
) -> None:
    """A line through each pair, and beside the face its ratio and distances."""
    heights = {
        structure: float(
            np.mean([points[LANDMARKS[f"{structure}_{side.value}"]][1] for side in Side])
        )
        for structure in HEADLINE_STRUCTURES
    }
    order = sorted(HEADLINE_STRUCTURES, key=lambda each: heights[each])
    tops = _spread([heights[each] - _LABEL_STEP / 2 for each in order])
    for structure, top in zip(order, tops, strict=True):
        colour = _PAIR_COLOURS[HEADLINE_STRUCTURES.index(structure)]
        right, left = (
            _place(points[LANDMARKS[f"{structure}_{side}"]]) for side in ("right", "left")
        )
        draw.line([right, left], fill=colour, width=4)
        for end in (right, left):
            _dot(draw, end, 7, colour)
        label = (_FACE_WIDTH + 24, top)
        draw.line([left, (_FACE_WIDTH + 8, top + 22)], fill=colour, width=1)
        ratio = _value(measurements, "pair_ratio", structure)
        draw.text(label, f"{_TITLES[structure]} {ratio:.3f}", fill=colour, font=_font(34))
        by_side = [
            f"{side.value[0].upper()} "
            f"{_value(measurements, 'midline_distance', structure, side):.1f}"
            for side in (Side.RIGHT, Side.LEFT)
        ]
        draw.text((label[0], top + 42), f"{'   '.join(by_side)} mm", fill=_INK, font=_font(26))


def _draw_words(
    draw: ImageDraw.ImageDraw, measurements: Sequence[Measurement], width: int, height: int
) -> None:
    headline = next(each for each in measurements if each.quantity == "symmetry_ratio")
    draw.text(
        (24, 14),
        f"Symmetry ratio {headline.value:.3f} ± {headline.uncertainty:.3f}",
        fill=_INK,
        font=_font(48),
    )
    yaw = _value(measurements, "yaw", "head")
    draw.text(
        (width - 24, 26),
        f"Head turned {abs(yaw):.1f}° to the patient's {'left' if yaw > 0 else 'right'}",
        fill=_INK,
        font=_font(30),
        anchor="ra",
    )
    bottom = _HEADER_HEIGHT + _FACE_HEIGHT
    for at, word in ((20, "RIGHT"), (_FACE_WIDTH - 20, "LEFT")):
        draw.text(
            (at, _HEADER_HEIGHT + 12),
            word,
            fill=_INK,
            font=_font(34),
            anchor="la" if at < _FACE_WIDTH / 2 else "ra",
            stroke_width=2,
            stroke_fill=_PAPER,
        )
    for side, top in ((Side.LEFT, 0), (Side.RIGHT, _CHIMERA_HEIGHT)):
        draw.text(
            (_FACE_WIDTH + _LABELS_WIDTH + 12, _HEADER_HEIGHT + top + 8),
            f"Two {side.value} halves",
            fill=_INK,
            font=_font(28),
            stroke_width=2,
            stroke_fill=_PAPER,
        )
    draw.text(
        (24, bottom + 6),
        "For research use only, not a medical device. Sides are the patient's. "
        "Ratio: min(L,R)/max(L,R) of the distances to the midline.",
        fill=_INK,
        font=_font(22),
    )


def _spread(tops: list[float]) -> list[float]:
    """Move labels apart so that they do not overlap, and keep them on the sheet."""
    placed: list[float] = []
    for top in tops:
        placed.append(max(top, placed[-1] + _LABEL_STEP) if placed else max(top, _HEADER_HEIGHT))
    beyond = placed[-1] + _LABEL_STEP - (_HEADER_HEIGHT + _FACE_HEIGHT)
    limit = placed[-1] - max(0.0, beyond)
    for index in range(len(placed) - 1, -1, -1):
        placed[index] = min(placed[index], limit)
        limit = placed[index] - _LABEL_STEP
    return placed


def _value(
    measurements: Sequence[Measurement], quantity: str, structure: str, side: Side | None = None
) -> float:
    return next(
        each.value
        for each in measurements
        if (each.quantity, each.structure, each.side) == (quantity, structure, side)
    )


def _place(point: NDArray[np.float64]) -> tuple[float, float]:
    return float(point[0]), float(point[1])


def _dot(draw: ImageDraw.ImageDraw, at: tuple[float, float], radius: float, colour: Colour) -> None:
    draw.ellipse(
        (at[0] - radius, at[1] - radius, at[0] + radius, at[1] + radius),
        fill=colour,
        outline=_PAPER,
    )


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
