"""Photographs of heads whose every point is known: ICT-FaceKit heads, rendered.

    model = read_head_model(shared_data() / "faces" / "ict")
    picture = rendered(model, HeadSpec(identity=3, yaw_deg=2.0))
    picture.pixels, picture.points_px["cheilion_left"], picture.points_mm["cheilion_left"]

A head without expressions and warps is symmetric (to 0.01 mm); with them it
departs from that by what `points_mm`, in the head's own frame, says. The camera
stands 1.5 m in front of the eyes; a pixel is `mm_per_px` at the irises.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.photographs.ict_head import VERTICES, Array, HeadModel
from benchmarks.photographs.ict_head import read_head_model as read_head_model
from benchmarks.photographs.painting import Appearance, iris_centre_mm, painted
from benchmarks.photographs.warped import Warp
from processing.measurement import Side
from processing.rendering.camera import Camera
from processing.rendering.scene import OffscreenScene

DISTANCE_MM: Final = 1500.0
_WIDTH_MM: Final = 260.0
_HEIGHT_MM: Final = 320.0
_EYES_ABOVE_MIDDLE_MM: Final = 32.0
_BACKGROUND: Final = (168, 178, 190)
_LENS_BLUR_PX: Final = 0.55
_SENSOR_NOISE: Final = 1.6


def shared_data() -> Path:
    """Where the data for development lie: $HEMIFACE_DATA, else beside the repository."""
    stated = os.environ.get("HEMIFACE_DATA")
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    return Path(stated) if stated else beside


@dataclass(frozen=True, slots=True)
class HeadSpec:
    """Which head, and how it is photographed.

    Parameters
    ----------
    identity : int, optional
        Seed of a random head; None is the mean head.
    yaw_deg, pitch_deg, roll_deg : float
        + when turned to the patient's left, turned upward, leaning to the
        patient's left.
    expressions : tuple of (name, weight)
        ICT-FaceKit's, for example ``("mouthSmile_L", 0.5)``.
    warps : tuple of Warp
        Known displacements of one side.
    appearance : Appearance
    mm_per_px : float
        At the irises.
    looks_into_camera : bool
        Else straight ahead of the head.
    """

    identity: int | None = None
    yaw_deg: float = 0.0
    pitch_deg: float = 0.0
    roll_deg: float = 0.0
    expressions: tuple[tuple[str, float], ...] = ()
    warps: tuple[Warp, ...] = ()
    appearance: Appearance = field(default_factory=Appearance)
    mm_per_px: float = 0.25
    looks_into_camera: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class RenderedPicture:
    """A rendered photograph with its truth.

    Parameters
    ----------
    spec : HeadSpec
    pixels : (rows, columns, 3) uint8 array
        sRGB.
    points_px : mapping of str to (2,) float64 array
        Anatomical points in the picture, by the names of
        `processing.landmarks` (irises, lids, nose, lips, canthi, brows, contour).
    points_mm : mapping of str to (3,) float64 array
        The same in the head's own frame: x to the left of the midsagittal
        plane, y up, z forward.
    camera : Camera
        In the frame in which the turned head stands.
    rotation : (3, 3) float64 array
        From the head's own frame, about the middle between the irises, to the camera's.
    """

    spec: HeadSpec
    pixels: NDArray[np.uint8] = field(repr=False)
    points_px: Mapping[str, Array] = field(repr=False)
    points_mm: Mapping[str, Array] = field(repr=False)
    camera: Camera
    rotation: Array = field(repr=False)

    @property
    def mm_per_px(self) -> float:
        """At the irises."""
        return self.spec.mm_per_px


def rendered(model: HeadModel, spec: HeadSpec) -> RenderedPicture:
    """Render a head.

    The picture has a little blur and noise of its own, the same for the same spec.
    """
    shape = model.identity(spec.identity)
    for name, weight in spec.expressions:
        shape = shape + weight * model.expression_mm[name]
    for warp in spec.warps:
        shape = model.warped(shape, warp)
    fine: Array = model.refine @ shape
    rotation = rotation_of(spec.yaw_deg, spec.pitch_deg, spec.roll_deg)
    straight = np.array([0.0, 0.0, 1.0])
    gaze = rotation.T @ straight if spec.looks_into_camera else straight
    irises = {side: iris_centre_mm(model, side, fine, gaze) for side in Side}
    colours = painted(model, fine, spec.appearance, irises, rotation)
    points_mm = _points(model, fine)
    points_mm |= {f"iris_centre_{side.value}": irises[side] for side in Side}
    # The head is turned about the middle between its eyeballs.
    eyes = fine[[*model.eyes[Side.LEFT], *model.eyes[Side.RIGHT]]].mean(axis=0)
    eyes[2] = (irises[Side.LEFT][2] + irises[Side.RIGHT][2]) / 2
    turned = (fine - eyes) @ rotation.T
    camera = _camera(spec.mm_per_px)
    with OffscreenScene(
        turned, model.triangles, colours, background=_BACKGROUND, shaded=False
    ) as scene:
        pixels = scene.render(camera)
    names = list(points_mm)
    places = camera.project((np.stack([points_mm[name] for name in names]) - eyes) @ rotation.T)
    return RenderedPicture(
        spec=spec,
        pixels=_photographed(pixels, spec),
        points_px=MappingProxyType(dict(zip(names, places, strict=True))),
        points_mm=MappingProxyType(points_mm),
        camera=camera,
        rotation=rotation,
    )


def rotation_of(yaw_deg: float, pitch_deg: float, roll_deg: float) -> Array:
    """Ry(yaw) Rx(-pitch) Rz(-roll), the convention of `processing.face_landmarks`."""
    yaw, pitch, roll = np.radians([yaw_deg, -pitch_deg, -roll_deg])
    about_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    about_x = np.array(
        [[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]]
    )
    about_z = np.array(
        [[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]]
    )
    whole: Array = about_y @ about_x @ about_z
    return whole


def _points(model: HeadModel, fine: Array) -> dict[str, Array]:
    points = {}
    for name in VERTICES:
        points[name] = fine[model.vertex(name)]
        if name.endswith("_right"):
            partner = name.removesuffix("_right") + "_left"
            points[partner] = fine[model.vertex(partner)]
    return points


def _camera(mm_per_px: float) -> Camera:
    height = round(_HEIGHT_MM / mm_per_px)
    return Camera(
        position_mm=(0.0, -_EYES_ABOVE_MIDDLE_MM, DISTANCE_MM),
        target_mm=(0.0, -_EYES_ABOVE_MIDDLE_MM, 0.0),
        up=(0.0, 1.0, 0.0),
        view_angle_deg=float(2 * np.degrees(np.arctan(height * mm_per_px / 2 / DISTANCE_MM))),
        width_px=round(_WIDTH_MM / mm_per_px),
        height_px=height,
    )


def _photographed(pixels: NDArray[np.uint8], spec: HeadSpec) -> NDArray[np.uint8]:
    """With the blur of a lens and the noise of a sensor."""
    rng = np.random.default_rng([spec.appearance.seed, spec.identity or 0, 3])
    blurred = cv2.GaussianBlur(pixels.astype(np.float32), (0, 0), _LENS_BLUR_PX)
    taken = blurred + _SENSOR_NOISE * rng.standard_normal(blurred.shape, dtype=np.float32)
    return np.asarray(np.clip(taken, 0, 255).round(), dtype=np.uint8)
