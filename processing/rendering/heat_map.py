"""A surface coloured by a signed distance, with a scale in millimetres."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont

from processing.measurement import Picture
from processing.rendering.camera import Camera
from processing.rendering.scene import OffscreenScene

PAPER: Final = (255, 255, 255)
INK: Final = (32, 36, 42)
NOT_MEASURED: Final = (128, 128, 128)

# Much light from everywhere: shadow must not be taken for the grey of the unmeasured.
_AMBIENT: Final = 0.58

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
_TICKS: Final = 9


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


def heat_map_picture(
    vertices_mm: ArrayLike,
    triangles: ArrayLike,
    values_mm: ArrayLike,
    *,
    limit_mm: float,
    camera: Camera,
    title: str,
    caption: str,
    name: str = "heat-map",
    below: str = "lacks",
    above: str = "exceeds",
) -> Picture:
    """Draw a surface coloured by a signed distance, beside its scale.

    Parameters
    ----------
    vertices_mm : (n, 3) array_like
    triangles : (m, 3) array_like of int
    values_mm : (n,) array_like
        One value for each vertex; NaN where there is none (drawn grey).
    limit_mm : float
        The value at either end of the scale. It does not follow the data, so
        that two pictures of one patient can be compared.
    camera : Camera
        How the surface is seen. The picture is larger than the camera's by the
        title above and the scale on the right.
    title : str
        One line, drawn above the surface; cut where the picture ends.
    caption : str
        Caption of the picture, not drawn.
    name : str
        Name of the picture.
    below, above : str
        What a negative and a positive value mean, drawn at the ends of the scale.

    Raises
    ------
    ValueError
        If an array has the wrong shape or the limit is not positive.
    """
    values = np.asarray(values_mm, dtype=np.float64)
    count = len(np.asarray(vertices_mm))
    if values.shape != (count,):
        raise ValueError(f"values have shape {values.shape}; ({count},) is needed")
    colours = diverging_colours(values, limit_mm)
    with OffscreenScene(
        vertices_mm, triangles, colours, background=PAPER, ambient=_AMBIENT
    ) as scene:
        face = scene.render(camera)

    text_px = max(12, round(camera.height_px / 36))
    margin = text_px
    title_height = round(2.6 * text_px)
    scale_width = round(8.5 * text_px)
    size = (camera.width_px + scale_width, camera.height_px + title_height)
    sheet = Image.new("RGB", size, PAPER)
    sheet.paste(Image.fromarray(face), (0, title_height))
    pen = ImageDraw.Draw(sheet)
    pen.text(
        (margin, title_height / 2), title, INK, ImageFont.load_default(1.35 * text_px), anchor="lm"
    )
    _draw_scale(
        sheet,
        (camera.width_px, title_height, *size),
        limit_mm=limit_mm,
        text_px=text_px,
        ends=(below, above),
        with_grey=bool(np.isnan(values).any()),
    )
    return Picture(name=name, caption=caption, pixels=np.asarray(sheet, dtype=np.uint8))


def _draw_scale(
    sheet: Image.Image,
    box: tuple[int, int, int, int],
    *,
    limit_mm: float,
    text_px: int,
    ends: tuple[str, str],
    with_grey: bool,
) -> None:
    """Draw the coloured bar with its ticks and words into `box` (left, top, right, bottom)."""
    left, top, _, bottom = box
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(text_px)
    bar_left = left + text_px // 2
    bar_right = bar_left + round(1.6 * text_px)
    bar_top = top + 3 * text_px
    bar_bottom = bottom - round(6.5 * text_px)
    bar_height = max(2, bar_bottom - bar_top)

    falling = np.linspace(limit_mm, -limit_mm, bar_height)
    stripe = diverging_colours(falling, limit_mm)[:, None, :].repeat(bar_right - bar_left, axis=1)
    sheet.paste(Image.fromarray(stripe), (bar_left, bar_top))
    pen.rectangle((bar_left, bar_top, bar_right, bar_bottom), outline=INK)

    for value in np.linspace(-limit_mm, limit_mm, _TICKS):
        height = bar_top + (limit_mm - value) / (2 * limit_mm) * bar_height
        pen.line((bar_right, height, bar_right + text_px // 3, height), fill=INK)
        label = "0" if value == 0 else f"{value:+.3g}"
        pen.text((bar_right + text_px // 2, height), label, INK, font, anchor="lm")

    below, above = ends
    pen.text((bar_left, bar_top - 0.5 * text_px), above, INK, font, anchor="ls")
    pen.text((bar_left, bar_bottom + 0.5 * text_px), below, INK, font, anchor="la")
    pen.text((bar_left, bar_bottom + 2 * text_px), "in mm", INK, font, anchor="la")
    if with_grey:
        grey_top = bar_bottom + round(3.7 * text_px)
        grey_left = bar_left
        pen.rectangle(
            (grey_left, grey_top, grey_left + text_px, grey_top + text_px), NOT_MEASURED, INK
        )
        pen.multiline_text(
            (grey_left + 1.4 * text_px, grey_top - 0.1 * text_px), "not\nmeasured", INK, font
        )
