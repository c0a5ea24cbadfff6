"""Pictures of a measured surface: heat maps, and the midsagittal plane on the face."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from processing.measurement import Picture
from processing.rendering.camera import Camera
from processing.rendering.heat_map import heat_map_picture
from processing.rendering.scene import OffscreenScene
from processing.surface.frame import FaceFrame
from processing.surface.radial import looked_up
from processing.surface.regions import AffectedArea
from processing.surface.results import Measured

HEAT_MAP_LIMIT_MM: Final = 5.0
PICTURE_PX: Final = 640

_VIEWS: Final = (
    ("front", 0.0, "front"),
    ("left-oblique", 45.0, "patient's left, oblique"),
    ("right-oblique", -45.0, "patient's right, oblique"),
)
_DISTANCE_MM: Final = 900.0
_ANGLE_DEG: Final = 15.5
_CENTRE_MM: Final = np.array([0.0, -6.0, 20.0])
_PLANE_COLOUR: Final = (230, 60, 40)
_LANDMARK_COLOUR: Final = (30, 90, 200)
_AREA_COLOUR: Final = (240, 190, 60)
_DOT_PX: Final = 2


def symmetry_pictures(
    measured: Measured, distances_mm: NDArray[np.float64], area: AffectedArea | None
) -> tuple[Picture, ...]:
    """Heat maps from the front and both obliques, and the plane with the landmarks.

    Parameters
    ----------
    measured : Measured
    distances_mm : (n,) float64 array
        Of each vertex to the mirrored other side; NaN is drawn grey.
    area : AffectedArea or None
        Tinted on the picture of the plane.
    """
    mesh, frame = measured.mesh, measured.maps.frame
    maps = tuple(
        heat_map_picture(
            mesh.vertices_mm,
            mesh.triangles,
            distances_mm,
            limit_mm=HEAT_MAP_LIMIT_MM,
            camera=_camera(frame, yaw),
            title=f"Distance to the mirrored other side, {view}",
            caption=f"Signed distance of each hemiface to the mirrored other one, {view}",
            name=f"heat-map-{name}",
        )
        for name, yaw, view in _VIEWS
    )
    return (*maps, _plane_picture(measured, area))


def _camera(frame: FaceFrame, yaw_deg: float) -> Camera:
    yaw = np.radians(yaw_deg)
    target = frame.to_scan(frame.scale * _CENTRE_MM[None])[0]
    direction = np.array([np.sin(yaw), 0.0, np.cos(yaw)]) @ frame.axes
    position = target + _DISTANCE_MM * frame.scale * direction
    return Camera(
        (float(position[0]), float(position[1]), float(position[2])),
        (float(target[0]), float(target[1]), float(target[2])),
        (float(frame.axes[1][0]), float(frame.axes[1][1]), float(frame.axes[1][2])),
        _ANGLE_DEG,
        PICTURE_PX,
        PICTURE_PX,
    )


def _plane_picture(measured: Measured, area: AffectedArea | None) -> Picture:
    mesh, frame = measured.mesh, measured.maps.frame
    colours = np.full((len(mesh.vertices_mm), 3), (224, 184, 160), np.uint8)
    if area is not None:
        colours[looked_up(area.mask, mesh, frame)] = _AREA_COLOUR
    camera = _camera(frame, 0.0)
    with OffscreenScene(mesh.vertices_mm, mesh.triangles, colours) as scene:
        sheet = Image.fromarray(scene.render(camera))
    pen = ImageDraw.Draw(sheet)
    _draw_dots(pen, camera.project(_midline(measured)), 1, _PLANE_COLOUR)
    places = np.array(list(measured.landmarks_mm.values()))
    _draw_dots(pen, camera.project(places), _DOT_PX, _LANDMARK_COLOUR)
    return Picture(
        name="midsagittal-plane",
        caption="Midsagittal plane (red), landmarks (blue), and, if found, the affected area and "
        "its mirror image (yellow), from the front",
        pixels=np.asarray(sheet, np.uint8),
    )


def _midline(measured: Measured) -> NDArray[np.float64]:
    """Where the edges of the measured face cross the midsagittal plane, (k, 3)."""
    mesh, plane = measured.mesh, measured.plane
    triangles = mesh.triangles[measured.in_face[mesh.triangles].all(axis=1)]
    start = triangles.ravel()
    end = triangles[:, [1, 2, 0]].ravel()
    height = mesh.vertices_mm @ plane.normal - plane.offset_mm
    crossing = (height[start] > 0) & (height[end] <= 0)
    start, end = start[crossing], end[crossing]
    part = (height[start] / (height[start] - height[end]))[:, None]
    points: NDArray[np.float64] = (
        mesh.vertices_mm[start] * (1 - part) + mesh.vertices_mm[end] * part
    )
    return points


def _draw_dots(
    pen: ImageDraw.ImageDraw,
    places: NDArray[np.float64],
    radius: int,
    colour: tuple[int, int, int],
) -> None:
    for column, row in places[np.isfinite(places).all(axis=1)]:
        pen.ellipse((column - radius, row - radius, column + radius, row + radius), colour)
