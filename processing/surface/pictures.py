"""Pictures and models of a measured surface: heat maps, and the midsagittal plane on the face."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import ImageDraw

from processing.measurement import ColouredModel, Measurement, Picture, SurfacePatch
from processing.rendering.camera import Camera
from processing.rendering.heat_map import (
    AMBIENT,
    HeatMapView,
    heat_map_pictures,
)
from processing.rendering.scene import OffscreenScene
from processing.rendering.sheet import PAPER, begin_sheet, draw_swatch, title_height_px
from processing.surface.frame import FaceFrame
from processing.surface.marks import marks_in, midline_mm
from processing.surface.regions import AffectedArea
from processing.surface.results import Measured
from processing.surface.shown import (
    AREA_COLOUR,
    HEAT_MAP_LIMIT_MM,
    MIRRORED_COLOUR,
    ShownSurface,
)

PICTURE_WIDTH_PX: Final = 640
PICTURE_HEIGHT_PX: Final = 720

# Name, yaw of the camera to the patient's left, words, patient's sides at the edges.
_VIEWS: Final = (
    ("front", 0.0, "from the front", ("R", "L")),
    ("left-oblique", 45.0, "left oblique", ("R", "L")),
    ("right-oblique", -45.0, "right oblique", ("R", "L")),
    ("left-profile", 90.0, "left profile", ("", "L")),
    ("right-profile", -90.0, "right profile", ("R", "")),
)
_DISTANCE_MM: Final = 900.0
_ANGLE_DEG: Final = 15.5
_CENTRE_MM: Final = np.array([0.0, -6.0, 20.0])
_PROFILE_CENTRE_MM: Final = np.array([0.0, -6.0, -5.0])
_PLANE_COLOUR: Final = (214, 40, 30)
_LANDMARK_COLOUR: Final = (24, 80, 200)
_DOT_PX: Final = 5
_LINE_PX: Final = 2


def symmetry_pictures(
    shown: ShownSurface,
    measured: Measured,
    measurements: Sequence[Measurement],
    area: AffectedArea | None,
) -> tuple[Picture, ...]:
    """Heat maps from five sides, and the plane with the landmarks.

    Parameters
    ----------
    shown : ShownSurface
    measured : Measured
    measurements : sequence of Measurement
        Where they lie is marked on the heat map from the front.
    area : AffectedArea or None
    """
    frame = measured.maps.frame
    views = [
        HeatMapView(
            f"heat-map-{name}",
            f"Signed distance of each hemiface to the mirrored other one, {words}; scale "
            f"fixed at {HEAT_MAP_LIMIT_MM:g} mm",
            f"Distance to the mirrored other side: {words}",
            _camera(frame, yaw),
            marks,
        )
        for name, yaw, words, marks in _VIEWS
    ]
    with _scene(shown, shown.heat) as scene:
        maps = heat_map_pictures(scene, views, limit_mm=HEAT_MAP_LIMIT_MM, with_grey=shown.has_grey)
    camera = _camera(frame, 0.0)
    below_title_px = title_height_px(PICTURE_HEIGHT_PX)
    marks = marks_in(camera, below_title_px, shown, measured, measurements, area)
    front = replace(maps[0], marks=marks)
    with _scene(shown, shown.skin) as scene:
        face = scene.render(camera)
    return (front, *maps[1:], _plane_picture(face, camera, measured, with_area=area is not None))


def symmetry_models(shown: ShownSurface, measured: Measured) -> tuple[ColouredModel, ...]:
    """The heat map as a surface that can be turned in a browser; colours mean distance alone."""
    caption = (
        "Signed distance of each hemiface to the mirrored other one: blue "
        f"-{HEAT_MAP_LIMIT_MM:g} mm, white 0, red +{HEAT_MAP_LIMIT_MM:g} mm, grey not measured"
    )
    patch = SurfacePatch(shown.vertices_mm, shown.triangles)
    return (ColouredModel("heat-map", caption, patch, shown.heat, axes=measured.maps.frame.axes),)


def _scene(shown: ShownSurface, colours: NDArray[np.uint8]) -> OffscreenScene:
    return OffscreenScene(
        shown.vertices_mm, shown.triangles, colours, background=PAPER, ambient=AMBIENT
    )


def _camera(frame: FaceFrame, yaw_deg: float) -> Camera:
    yaw = np.radians(yaw_deg)
    centre = _CENTRE_MM + (_PROFILE_CENTRE_MM - _CENTRE_MM) * abs(np.sin(yaw))
    target = frame.to_scan(frame.scale * centre[None])[0]
    direction = np.array([np.sin(yaw), 0.0, np.cos(yaw)]) @ frame.axes
    position = target + _DISTANCE_MM * frame.scale * direction
    return Camera(
        (float(position[0]), float(position[1]), float(position[2])),
        (float(target[0]), float(target[1]), float(target[2])),
        (float(frame.axes[1][0]), float(frame.axes[1][1]), float(frame.axes[1][2])),
        _ANGLE_DEG,
        PICTURE_WIDTH_PX,
        PICTURE_HEIGHT_PX,
    )


def _plane_picture(
    face: NDArray[np.uint8], camera: Camera, measured: Measured, *, with_area: bool
) -> Picture:
    sheet = begin_sheet(face, "Midsagittal plane and landmarks", ("R", "L"))
    pen = ImageDraw.Draw(sheet.image)
    below_title = np.array([0.0, sheet.legend_top])
    crossings = midline_mm(measured)
    ends = camera.project(crossings).reshape(-1, 2, 2) + below_title
    _draw_lines(pen, ends, _PLANE_COLOUR)
    places = np.array(list(measured.landmarks_mm.values()))
    _draw_dots(pen, camera.project(places) + below_title, _DOT_PX, _LANDMARK_COLOUR, PAPER)
    row = sheet.legend_top + 4 * sheet.text_px
    draw_swatch(sheet, row, _PLANE_COLOUR, "mid-\nsagittal\nplane")
    draw_swatch(sheet, row + 4 * sheet.text_px, _LANDMARK_COLOUR, "landmark", is_dot=True)
    if with_area:
        draw_swatch(sheet, row + 6 * sheet.text_px, AREA_COLOUR, "affected\narea")
        draw_swatch(sheet, row + 9 * sheet.text_px, MIRRORED_COLOUR, "its mirror\nimage")
    return Picture(
        name="midsagittal-plane",
        caption="Midsagittal plane (red), landmarks (blue), and the affected area "
        "(yellow) with its mirror image (pale yellow) where there is one, from the front",
        pixels=np.asarray(sheet.image, np.uint8),
    )


def _draw_lines(
    pen: ImageDraw.ImageDraw, ends: NDArray[np.float64], colour: tuple[int, int, int]
) -> None:
    """Draw segments, (k, 2, 2) in pixels, with round ends so that they join."""
    there = ends[np.isfinite(ends).all(axis=(1, 2))]
    for first, last in there:
        pen.line((*first, *last), colour, 2 * _LINE_PX)
    _draw_dots(pen, there.reshape(-1, 2), _LINE_PX - 0.5, colour)


def _draw_dots(
    pen: ImageDraw.ImageDraw,
    places: NDArray[np.float64],
    radius: float,
    colour: tuple[int, int, int],
    rim: tuple[int, int, int] | None = None,
) -> None:
    for column, row in places[np.isfinite(places).all(axis=1)]:
        box = (column - radius, row - radius, column + radius, row + radius)
        pen.ellipse(box, colour, rim)
