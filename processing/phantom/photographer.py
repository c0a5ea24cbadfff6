"""How the phantom is photographed: from the front, at 1.5 m, by a camera without distortion."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from processing.inputs import Expression, Photograph, View
from processing.phantom.head import Head
from processing.phantom.scanner import rotation
from processing.rendering.scene import Camera, OffscreenScene

# 1.5 m keeps the perspective of a portrait (Derakhshan et al. 2024: 60 inches).
DISTANCE_MM: Final = 1500.0
PIXEL_SPACING_MM: Final = 0.2
WIDTH_PX: Final = 1200
HEIGHT_PX: Final = 1600
BACKDROP: Final = (156, 176, 196)


def frontal_camera(head: Head, yaw_deg: float) -> Camera:
    """The camera, in the frame of the head, for a face turned by a yaw to the patient's left.

    It looks horizontally at the middle of the face; the plane through the
    pupils across the line of sight is 1.5 m away and has pixels of 0.2 mm.
    """
    pupil_plane = float(head.pupil_left_mm[2])
    aim = np.array([0.0, 0.0, pupil_plane])
    # To turn the face to the left is to walk round it to the right.
    toward_camera = rotation(yaw_deg, 0, 0).T @ [0.0, 0.0, DISTANCE_MM]
    half_height = HEIGHT_PX * PIXEL_SPACING_MM / 2
    position = aim + toward_camera
    return Camera(
        position_mm=(float(position[0]), float(position[1]), float(position[2])),
        target_mm=(0.0, 0.0, pupil_plane),
        up=(0.0, 1.0, 0.0),
        view_angle_deg=float(2 * np.degrees(np.arctan(half_height / DISTANCE_MM))),
        width_px=WIDTH_PX,
        height_px=HEIGHT_PX,
    )


def photographed(
    head: Head,
    vertices_mm: NDArray[np.float64],
    colours: NDArray[np.uint8],
    camera: Camera,
    source: str,
) -> Photograph:
    """Take the photograph.

    Parameters
    ----------
    head : Head
    vertices_mm : (n, 3) float64 array
        Vertices of ``head.fine``, hollowed or not.
    colours : (n, 3) uint8 array
    camera : Camera
    source : str
        Name of the photograph.
    """
    with OffscreenScene(vertices_mm, head.fine.triangles, colours, background=BACKDROP) as scene:
        pixels = scene.render(camera)
    return Photograph(
        pixels=pixels,
        source=source,
        pixel_spacing_mm=PIXEL_SPACING_MM,
        view=View.FRONTAL,
        expression=Expression.REPOSE,
    )
