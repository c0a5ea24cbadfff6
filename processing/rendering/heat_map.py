"""A surface coloured by a signed distance, from several sides, with a scale in millimetres."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw

from processing.measurement import Picture
from processing.rendering.camera import Camera
from processing.rendering.scene import OffscreenScene
from processing.rendering.sheet import INK, Sheet, begin_sheet, draw_swatch, font_of

NOT_MEASURED: Final = (150, 152, 156)

# Much light from everywhere: shadow must not be taken for the grey of the unmeasured.
AMBIENT: Final = 0.58

# Blue to red over a light grey, even in lightness to both sides (Moreland 2009,
# "Diverging Color Maps for Scientific Visualization"), so that neither sign looks stronger.
_STOPS: Final = (-1.0, -0.5, 0.0, 0.5, 1.0)
_STOP_COLOURS: Final = (
    (38, 70, 170),
    (116, 160, 235),
    (238, 238, 236),
    (240, 138, 108),
    (178, 16, 40),
)
_MOST_TICKS: Final = 11
_TICK_STEPS: Final = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)


@dataclass(frozen=True, slots=True)
class HeatMapView:
    """From where a surface is seen, and what stands around the picture.

    Parameters
    ----------
    name, caption : str
        Of the picture; the caption is not drawn.
    title : str
        One line, drawn above the surface.
    camera : Camera
        The picture is larger than the camera's, by the title and the scale.
    marks : tuple of str
        Patient's sides at the left and at the right edge, such as ``("R", "L")``;
        empty where an edge has none.
    """

    name: str
    caption: str
    title: str
    camera: Camera
    marks: tuple[str, str] = ("", "")


def diverging_colours(values_mm: ArrayLike, limit_mm: float) -> NDArray[np.uint8]:
    """Colours of signed values: blue below zero, light at zero, red above.

    Parameters
    ----------
    values_mm : (n,) array_like
        NaN becomes grey; beyond the limit the colour of the limit.
    limit_mm : float
        The value at either end of the scale.

    Returns
    -------
    (n, 3) uint8 array
        sRGB.

    Raises
    ------
    ValueError
        If the limit is not a positive number.
    """
    if not (np.isfinite(limit_mm) and limit_mm > 0):
        raise ValueError(f"the limit of a scale must be a positive number, not {limit_mm}")
    values = np.asarray(values_mm, dtype=np.float64)
    missing = np.isnan(values)
    position = np.clip(np.where(missing, 0.0, values) / limit_mm, -1, 1)
    table = np.asarray(_STOP_COLOURS, dtype=np.float64)
    channels = [np.interp(position, _STOPS, table[:, channel]) for channel in range(3)]
    colours = np.stack(channels, axis=-1).round().astype(np.uint8)
    colours[missing] = NOT_MEASURED
    return colours


def heat_map_pictures(
    scene: OffscreenScene,
    views: Sequence[HeatMapView],
    *,
    limit_mm: float,
    with_grey: bool,
    below: str = "lacks",
    above: str = "exceeds",
) -> tuple[Picture, ...]:
    """Draw a surface coloured by a signed distance from several sides, beside its scale.

    Parameters
    ----------
    scene : OffscreenScene
        The surface in `diverging_colours` on white; opened once, drawn from each side.
    views : sequence of HeatMapView
    limit_mm : float
        The value at either end of the scale. It does not follow the data, so
        that two pictures of one patient can be compared.
    with_grey : bool
        Whether something was not measured, which the legend then explains.
    below, above : str
        What a negative and a positive value mean, drawn at the ends of the scale.
    """
    return tuple(
        _picture(scene, view, limit_mm, with_grey=with_grey, ends=(below, above)) for view in views
    )


def _picture(
    scene: OffscreenScene,
    view: HeatMapView,
    limit_mm: float,
    *,
    with_grey: bool,
    ends: tuple[str, str],
) -> Picture:
    sheet = begin_sheet(scene.render(view.camera), view.title, view.marks)
    _draw_scale(sheet, limit_mm, ends=ends, with_grey=with_grey)
    return Picture(view.name, view.caption, np.asarray(sheet.image, dtype=np.uint8))


def _draw_scale(sheet: Sheet, limit_mm: float, *, ends: tuple[str, str], with_grey: bool) -> None:
    """Draw the coloured bar with its ticks and words into the sheet's margin.

    Its ends are pointed: a colour at the end also stands for what lies beyond.
    """
    pen, text_px = ImageDraw.Draw(sheet.image), sheet.text_px
    font = font_of(text_px)
    left = sheet.legend_left
    right = left + round(1.5 * text_px)
    top = sheet.legend_top + round(3.6 * text_px)
    bottom = sheet.image.height - round(7.6 * text_px)
    height = max(2, bottom - top)

    falling = np.linspace(limit_mm, -limit_mm, height)
    stripe = diverging_colours(falling, limit_mm)[:, None, :].repeat(right - left, axis=1)
    sheet.image.paste(Image.fromarray(stripe), (left, top))
    middle, point = (left + right) / 2, round(0.9 * text_px)
    first, last = (tuple(map(int, stripe[row, 0])) for row in (0, -1))
    pen.polygon([(left, top), (right, top), (middle, top - point)], first)
    pen.polygon([(left, bottom), (right, bottom), (middle, bottom + point)], last)
    outline = [
        (left, top), (middle, top - point), (right, top),
        (right, bottom), (middle, bottom + point), (left, bottom), (left, top),
    ]  # fmt: skip
    pen.line(outline, INK, max(1, text_px // 12))

    for value in _ticks(limit_mm):
        row = top + (limit_mm - value) / (2 * limit_mm) * height
        pen.line((right, row, right + text_px // 3, row), INK, max(1, text_px // 12))
        label = "0" if value == 0 else f"{value:+.3g}"
        pen.text((right + text_px // 2, row), label, INK, font, anchor="lm")

    below, above = ends
    pen.text((left, top - point - 0.4 * text_px), above, INK, font, anchor="ls")
    pen.text((left, bottom + point + 0.3 * text_px), below, INK, font, anchor="la")
    pen.text((left, bottom + point + 1.7 * text_px), "in mm", INK, font, anchor="la")
    if with_grey:
        row = bottom + point + round(3.3 * text_px)
        draw_swatch(sheet, row, NOT_MEASURED, "not\nmeasured")


def _ticks(limit_mm: float) -> NDArray[np.float64]:
    """Round values from end to end, at most eleven; the ends alone where none is round."""
    step = next(
        (each for each in _TICK_STEPS if 2 * limit_mm / each <= _MOST_TICKS - 1 + 1e-9), limit_mm
    )
    count = int(np.floor(limit_mm / step + 1e-9))
    ticks: NDArray[np.float64] = np.arange(-count, count + 1, dtype=np.float64) * step
    return ticks
