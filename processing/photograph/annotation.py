"""The pictures of an analysis: what was measured on the face, and its two chimeric faces.

A viewer shows a whole picture in a part of a screen, so type is large against
the picture: the smallest is 1/38 of its height. Lines carry a dark rim, so that
they stand out from any skin and background.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from processing.landmarks import FACE_OVAL, LANDMARKS
from processing.measurement import Measurement, Picture, Side
from processing.photograph.frame import FaceFrame
from processing.photograph.readings import AREA_REGIONS, PAIR_STRUCTURES
from processing.photograph.upright import PAPER, UprightFace, chimeric_face, upright_face

Colour = tuple[int, int, int]
Place = tuple[float, float]

_FACE_WIDTH: Final = 900
_FACE_HEIGHT: Final = 1040
_PANEL_WIDTH: Final = 480
_HEADER_HEIGHT: Final = 104
_FOOTER_HEIGHT: Final = 56
# Seven tenths of the annotated face.
_CHIMERA_WIDTH: Final = 630
_CHIMERA_HEIGHT: Final = 728
_CAPTION_HEIGHT: Final = 84
_MARGIN: Final = 24

_HEADLINE_TYPE: Final = 68
_LARGE_TYPE: Final = 46
_TYPE: Final = 36
_SMALL_TYPE: Final = 32

_INK: Final[Colour] = (245, 245, 245)
_RIM: Final[Colour] = (0, 0, 0)
_MIDLINE_COLOUR: Final[Colour] = (255, 235, 60)
_POINT_COLOUR: Final[Colour] = (90, 230, 255)
_PAIR_COLOURS: Final[Sequence[Colour]] = (
    (86, 180, 233),
    (255, 175, 40),
    (60, 225, 150),
    (255, 130, 190),
    (195, 175, 255),
    (240, 140, 90),
)
_SHOWN_TURN_DEG: Final = 0.05
_LABEL_STEP: Final = 100
_LINE_STEP: Final = 46
_CONTOUR: Final = (*FACE_OVAL, FACE_OVAL[0])


def pictures_of(
    pixels: NDArray[np.uint8], frame: FaceFrame, measurements: Sequence[Measurement], title: str
) -> tuple[Picture, Picture]:
    """Draw what was measured, for a person who stands before the screen.

    Parameters
    ----------
    pixels : (rows, columns, 3) uint8 array
        The photograph.
    frame : FaceFrame
        Midline and landmarks.
    measurements : sequence of Measurement
        What is written into the picture.
    title : str
        What stands over the picture where there is no symmetry ratio.

    Returns
    -------
    tuple of Picture
        The face, upright, with midline, landmarks, contour and pairs (1380 x 1200
        pixels), and the faces made of two right and of two left halves (1260 x
        812 pixels).
    """
    face = upright_face(pixels, frame, _FACE_WIDTH, _FACE_HEIGHT)
    return _annotated(face, measurements, title), _chimeras(face)


def _annotated(face: UprightFace, measurements: Sequence[Measurement], title: str) -> Picture:
    width, height = _FACE_WIDTH + _PANEL_WIDTH, _HEADER_HEIGHT + _FACE_HEIGHT + _FOOTER_HEIGHT
    sheet = Image.new("RGB", (width, height), PAPER)
    sheet.paste(face.picture, (0, _HEADER_HEIGHT))
    draw = ImageDraw.Draw(sheet)
    points = face.points + np.array([0, _HEADER_HEIGHT])
    values = {
        (each.quantity, each.structure, each.region, each.side): each for each in measurements
    }
    _draw_face(draw, points)
    _draw_panel(draw, points, values)
    _draw_header(draw, values, title, width)
    _draw_sides(draw, _HEADER_HEIGHT + _FACE_HEIGHT / 2, 0, _FACE_WIDTH)
    draw.text(
        (_MARGIN, height - _FOOTER_HEIGHT + 10),
        "For research use only, not a medical device. Ratio: smaller / larger. ± standard "
        "uncertainty.",
        fill=_INK,
        font=_font(_SMALL_TYPE),
    )
    return Picture(
        name="photograph-symmetry",
        caption="Facial symmetry on the frontal photograph: midline, landmarks, contour and the "
        "pairs that were compared; sides are the patient's",
        pixels=np.array(sheet, dtype=np.uint8),
    )


def _chimeras(face: UprightFace) -> Picture:
    size = (_CHIMERA_WIDTH, _CHIMERA_HEIGHT)
    upright = np.asarray(face.picture.resize(size, Image.Resampling.BILINEAR))
    sheet = Image.new("RGB", (2 * _CHIMERA_WIDTH, _CHIMERA_HEIGHT + _CAPTION_HEIGHT), PAPER)
    draw = ImageDraw.Draw(sheet)
    for column, side in ((0, Side.RIGHT), (_CHIMERA_WIDTH, Side.LEFT)):
        sheet.paste(Image.fromarray(chimeric_face(upright, side)), (column, 0))
        draw.text(
            (column + _CHIMERA_WIDTH / 2, _CHIMERA_HEIGHT + _CAPTION_HEIGHT / 2),
            f"Two {side.value} halves",
            fill=_INK,
            font=_font(_LARGE_TYPE),
            anchor="mm",
        )
    middle = (_CHIMERA_WIDTH, 0, _CHIMERA_WIDTH, _CHIMERA_HEIGHT + _CAPTION_HEIGHT)
    draw.line(middle, fill=PAPER, width=6)
    return Picture(
        name="photograph-chimeras",
        caption="Chimeric faces: two right halves and two left halves of the patient's face",
        pixels=np.array(sheet, dtype=np.uint8),
    )


_Values = Mapping[tuple[str, str | None, str | None, Side | None], Measurement]


def _draw_face(draw: ImageDraw.ImageDraw, points: NDArray[np.float64]) -> None:
    middle = (_FACE_WIDTH - 1) / 2
    _line(draw, [_place(points[index]) for index in _CONTOUR], _INK, 3)
    top, bottom = _HEADER_HEIGHT, _HEADER_HEIGHT + _FACE_HEIGHT
    _line(draw, [(middle, top), (middle, bottom)], _MIDLINE_COLOUR, 4)
    for index in LANDMARKS.values():
        _dot(draw, _place(points[index]), 5, _POINT_COLOUR)


def _draw_panel(draw: ImageDraw.ImageDraw, points: NDArray[np.float64], values: _Values) -> None:
    """Pairs with their ratios, joined to the face; below them what has no pair of points."""
    lines = [each for each in (*_areas(values), *_differences(values)) if each]
    room = (
        _HEADER_HEIGHT + 8,
        _HEADER_HEIGHT + _FACE_HEIGHT - _LINE_STEP * len(lines) - 8,
    )
    compared = [each for each in PAIR_STRUCTURES if ("pair_ratio", each, None, None) in values]
    heights = {each: _height_of(points, each) for each in compared}
    compared.sort(key=lambda each: heights[each])
    tops = _spread([heights[each] - _LABEL_STEP / 2 for each in compared], room)
    for structure, top in zip(compared, tops, strict=True):
        colour = _PAIR_COLOURS[PAIR_STRUCTURES.index(structure)]
        right, left = (
            _place(points[LANDMARKS[f"{structure}_{side}"]]) for side in ("right", "left")
        )
        label = (_FACE_WIDTH + _MARGIN, top)
        _line(draw, [left, (_FACE_WIDTH + 6, top + 28)], colour, 2)
        _line(draw, [right, left], colour, 5)
        for end in (right, left):
            _dot(draw, end, 9, colour)
        ratio = values["pair_ratio", structure, None, None].value
        draw.text(label, structure.capitalize(), fill=colour, font=_font(_LARGE_TYPE))
        draw.text(
            (_FACE_WIDTH + _PANEL_WIDTH - _MARGIN, top),
            f"{ratio:.3f}",
            fill=colour,
            font=_font(_LARGE_TYPE),
            anchor="ra",
        )
        distances = "   ".join(
            f"{side.value[0].upper()} {values['midline_distance', structure, None, side].value:.1f}"
            for side in (Side.RIGHT, Side.LEFT)
        )
        draw.text((label[0], top + 52), f"{distances} mm", fill=_INK, font=_font(_TYPE))
    for row, line in enumerate(lines):
        at = (_FACE_WIDTH + _MARGIN, room[1] + 8 + _LINE_STEP * row)
        draw.text(at, line, fill=_INK, font=_font(_TYPE))


def _height_of(points: NDArray[np.float64], structure: str) -> float:
    return float(np.mean([points[LANDMARKS[f"{structure}_{side.value}"], 1] for side in Side]))


def _areas(values: _Values) -> Iterable[str]:
    areas = {
        region: values["area_ratio", "hemiface", region, None].value
        for region in AREA_REGIONS
        if ("area_ratio", "hemiface", region, None) in values
    }
    if areas:
        yield f"Area {areas['whole']:.3f}"
        yield "  thirds " + "  ".join(f"{areas[each]:.2f}" for each in AREA_REGIONS[1:])


_COMPARED: Final = (
    ("Brow", "brow_height_difference", "brow", "higher"),
    ("Fissure", "palpebral_fissure_height_difference", "eye", "wider"),
    ("Mouth", "commissure_height_difference", "cheilion", "higher"),
    ("Excursion", "commissure_excursion_difference", "cheilion", "more"),
)


def _differences(values: _Values) -> Iterable[str]:
    for title, quantity, structure, more in _COMPARED:
        found = values.get((quantity, structure, None, None))
        if found is not None:
            side = "L" if found.value > 0 else "R"
            yield f"{title} {side} {abs(found.value):.1f} mm {more}"
    chin = values.get(("chin_deviation", "gnathion", None, None))
    if chin is not None:
        yield f"Chin {abs(chin.value):.1f} mm to {'L' if chin.value > 0 else 'R'}"


def _draw_header(draw: ImageDraw.ImageDraw, values: _Values, title: str, width: int) -> None:
    yaw = values["yaw", "head", None, None].value
    turned = f"Head turned {abs(yaw):.1f}° to {'L' if yaw > 0 else 'R'}"
    remarks = [turned if abs(yaw) >= _SHOWN_TURN_DEG else "Head not turned"]
    headline = values.get(("symmetry_ratio", "face", None, None))
    if headline is not None:
        title = f"Symmetry {headline.value:.3f} ± {headline.uncertainty:.3f}"
        remarks.insert(0, headline.method.partition(":")[0].replace("_", " "))
    draw.text((_MARGIN, 14), title, fill=_INK, font=_font(_HEADLINE_TYPE))
    for row, remark in enumerate(remarks):
        at = (width - _MARGIN, 12 + 42 * row)
        draw.text(at, remark, fill=_INK, font=_font(_TYPE), anchor="ra")


def _draw_sides(draw: ImageDraw.ImageDraw, row: float, first: float, last: float) -> None:
    """The patient's sides, at the edges of the photograph."""
    for column, word, anchor in ((first + 14, "R", "lm"), (last - 14, "L", "rm")):
        draw.text(
            (column, row),
            word,
            fill=_INK,
            font=_font(2 * _LARGE_TYPE),
            anchor=anchor,
            stroke_width=6,
            stroke_fill=_RIM,
        )


def _spread(tops: list[float], room: tuple[float, float]) -> list[float]:
    """Move labels apart so that they do not overlap, and keep them within the room."""
    placed: list[float] = []
    for top in tops:
        placed.append(max(top, placed[-1] + _LABEL_STEP) if placed else max(top, room[0]))
    limit = room[1] - _LABEL_STEP
    for index in range(len(placed) - 1, -1, -1):
        placed[index] = min(placed[index], limit)
        limit = placed[index] - _LABEL_STEP
    return placed


def _place(point: NDArray[np.float64]) -> Place:
    return float(point[0]), float(point[1])


def _line(draw: ImageDraw.ImageDraw, places: list[Place], colour: Colour, width: int) -> None:
    draw.line(places, fill=_RIM, width=width + 4, joint="curve")
    draw.line(places, fill=colour, width=width, joint="curve")


def _dot(draw: ImageDraw.ImageDraw, at: Place, radius: float, colour: Colour) -> None:
    draw.ellipse(
        (at[0] - radius, at[1] - radius, at[0] + radius, at[1] + radius),
        fill=colour,
        outline=_RIM,
        width=2,
    )


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
