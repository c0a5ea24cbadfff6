"""Looking at a surface from many sides until a face is seen from the front."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processing.detected_face import DetectedFace
from processing.face_landmarks import FaceDetector
from processing.landmarks import LANDMARKS
from processing.rendering.camera import Camera
from processing.rendering.scene import OffscreenScene
from processing.surface.frame import REFERENCE_LANDMARKS_MM, FaceFrame, fitted_frame
from processing.surface.mesh import Mesh
from processing.surface.reduced_mesh import clustered

PICTURE_PX: Final = 512
# Of the reference face: how badly the landmarks of a face may fit it. A hollow
# face seen from behind, or a face seen in something else, fits worse.
FIT_LIMIT_MM: Final = 8.0
# A face seen roughly from the front fits at least so well; the search ends there.
SURE_FIT_MM: Final = 6.0

_NOT_ON_SURFACE: Final = frozenset(
    {"trichion", "gnathion"}
    | {name for name in LANDMARKS if name.startswith("iris_")}
    | {
        f"{name}_{side}"
        for name, side in product(("frontotemporale", "zygion", "gonion"), ("left", "right"))
    }
)
SURFACE_LANDMARKS: Final[Mapping[str, int]] = {
    **{name: index for name, index in LANDMARKS.items() if name not in _NOT_ON_SURFACE},
    "pogonion": 199,
}
"""Index among MediaPipe's 478 of each landmark that is placed on a surface.

Those on the silhouette of a frontal view are left out, because their rays graze the
surface, and those of the irises, which have no shape.
"""

# Pictures are taken of the surface at this size, whatever its unit and place.
_RADIUS: Final = 150.0
_SEEN_VERTICES: Final = 30_000
_VIEW_DISTANCE_MM: Final = 650.0
_VIEW_ANGLE_DEG: Final = 26.0
_VIEW_CENTRE_MM: Final = np.array([0.0, -6.0, 40.0])
# Height of the reference face's 478 points in such a view.
_FACE_SIZE_PX: Final = 300.0
# A crop of this many face sizes is what the detector looks at; here it is the whole picture.
_CROP_FACE_SIZES: Final = 2.1
_FRONTALISING_PASSES: Final = 5
_FRONTAL_DEG: Final = 0.3
_LAST_VIEWS_DEG: Final = ((0.0, 0.0), (-8.0, 0.0), (8.0, 0.0))
_OPEN_SHELL: Final = 0.15
# Some exporters write one colour everywhere.
_LEAST_PAINT: Final = 2.0
_PAINT_EVERY: Final = 37
# z forward and y up is the commonest export, z up and -y forward (LPS) the next.
_AXES: Final = (
    (0.0, 0.0, 1.0),
    (0.0, -1.0, 0.0),
    (0.0, 1.0, 0.0),
    (0.0, 0.0, -1.0),
    (1.0, 0.0, 0.0),
    (-1.0, 0.0, 0.0),
)
# Of the reference face: nothing of a face is so far back, so far from where it belongs,
# or so far from the edge of the hole it fell through.
_LEAST_DEPTH_MM: Final = 0.0
_DISPLACED_MM: Final = 30.0
_EDGE_MM: Final = 8.0


@dataclass(frozen=True, slots=True)
class View:
    """A face as one picture shows it.

    Parameters
    ----------
    landmarks_mm : mapping of str to (3,) array
        On the surface that was looked at, in the frame of the scan.
    frame : FaceFrame
        From the landmarks alone.
    fit_mm : float
        Root mean square distance to the reference face, at its size.
    """

    landmarks_mm: Mapping[str, NDArray[np.float64]] = field(repr=False)
    frame: FaceFrame
    fit_mm: float


@dataclass(frozen=True, slots=True)
class SeenFace:
    """A face as the last pictures show it.

    Parameters
    ----------
    views : tuple of View
        From the front first, then turned; fewer than three when it was lost on the way.
    painted : bool
        Whether the scan's colours were drawn.
    paint_disagreement_mm : float, optional
        Root mean square distance of the landmarks with and without the colours,
        at the size of the reference face; None where only one could be seen.
    """

    views: tuple[View, ...] = field(repr=False)
    painted: bool
    paint_disagreement_mm: float | None

    @property
    def complete(self) -> bool:
        """Whether every picture showed the face."""
        return len(self.views) == len(_LAST_VIEWS_DEG)


def look_at(mesh: Mesh, detector: FaceDetector, paint_limit_mm: float) -> SeenFace | None:
    """Find the face on a surface and look at it from the front.

    The surface is looked at along its mean normal, then along the axes of its
    file, each picture in four rolls; the view whose landmarks fit the reference
    face best is turned frontal until it stays. Where the scan has colours the
    face is looked at with and without them, and the pictures with colours count
    unless they contradict the shape.

    Parameters
    ----------
    mesh : Mesh
        Looked at with 30,000 vertices if it has more.
    detector : FaceDetector
    paint_limit_mm : float
        Colours that move the landmarks further are not believed.

    Returns
    -------
    SeenFace, optional
        None where no picture shows a face.
    """
    looker = _Looker(mesh, detector)
    with ExitStack() as opened:
        shape = opened.enter_context(looker.scene(painted=False))
        painted = opened.enter_context(looker.scene(painted=True)) if looker.has_paint else None
        best = painted or shape
        start = looker.searched(best)
        if start is None and painted is not None:
            best = shape
            start = looker.searched(best)
        if start is None:
            return None
        frontal = looker.frontalised(best, start)
        disagreement = None
        if painted is not None and best is painted:
            plain = looker.look(shape, face_camera(frontal.frame, 0.0, 0.0))
            if plain is not None:
                disagreement = _apart_mm(frontal, plain)
                if disagreement > paint_limit_mm:
                    best = shape
                    frontal = looker.frontalised(shape, plain)
        views = [
            seen
            for yaw, pitch in _LAST_VIEWS_DEG
            if (seen := looker.look(best, face_camera(frontal.frame, yaw, pitch))) is not None
        ]
        return SeenFace(
            tuple(looker.in_scan(each) for each in views), best is painted, disagreement
        )


def _apart_mm(one: View, other: View) -> float:
    squares = [
        ((place - other.landmarks_mm[name]) ** 2).sum()
        for name, place in one.landmarks_mm.items()
        if name in other.landmarks_mm
    ]
    return float(np.sqrt(np.mean(squares))) / one.frame.scale


class _Looker:
    """A surface at a size and place of its own, and who looks at it."""

    def __init__(self, mesh: Mesh, detector: FaceDetector) -> None:
        self._detector = detector
        fewer = clustered(mesh, _SEEN_VERTICES)
        self._mesh = fewer
        self._centre = np.average(fewer.vertices_mm, axis=0, weights=fewer.areas_mm2)
        away = np.linalg.norm(fewer.vertices_mm - self._centre, axis=1)
        self._mm_per_unit = float(np.percentile(away, 98)) / _RADIUS
        self._vertices = (fewer.vertices_mm - self._centre) / self._mm_per_unit

    @property
    def has_paint(self) -> bool:
        """Whether the scan has colours that show anything."""
        paint = self._mesh.colours
        if self._mesh.texture is not None:
            paint = self._mesh.texture.pixels.reshape(-1, 3)[::_PAINT_EVERY]
        return paint is not None and float(paint.std(axis=0).max()) > _LEAST_PAINT

    def scene(self, *, painted: bool) -> OffscreenScene:
        return OffscreenScene(
            self._vertices,
            self._mesh.triangles,
            self._mesh.colours if painted else None,
            texture=self._mesh.texture if painted else None,
            normals=self._mesh.normals,
            multisamples=0,
        )

    def in_scan(self, view: View) -> View:
        """A view in the frame of the scan instead of the looker's own."""
        landmarks = {
            name: place * self._mm_per_unit + self._centre
            for name, place in view.landmarks_mm.items()
        }
        frame = FaceFrame(
            view.frame.axes,
            view.frame.origin_mm * self._mm_per_unit + self._centre,
            view.frame.scale * self._mm_per_unit,
        )
        return View(landmarks, frame, view.fit_mm)

    def searched(self, scene: OffscreenScene) -> View | None:
        """The face wherever it is; first by quick looks, then by thorough ones."""
        for thorough in (False, True):
            best: View | None = None
            for direction in self._directions():
                best = _better(best, self._rolled(scene, direction, thorough=thorough))
                if best is not None and best.fit_mm <= SURE_FIT_MM:
                    return best
            if best is not None and best.fit_mm <= FIT_LIMIT_MM:
                return best
        return None

    def frontalised(self, scene: OffscreenScene, start: View) -> View:
        """The view turned frontal until it stays as it is."""
        frontal = start
        for _ in range(_FRONTALISING_PASSES):
            seen = self.look(scene, face_camera(frontal.frame, 0.0, 0.0))
            if seen is None:
                break
            turned = _angle_deg(seen.frame, frontal.frame)
            frontal = seen
            if turned < _FRONTAL_DEG:
                break
        return frontal

    def look(self, scene: OffscreenScene, camera: Camera) -> View | None:
        """One picture of a face whose place is known."""
        middle = np.array([(camera.width_px - 1) / 2, (camera.height_px - 1) / 2])
        picture = scene.render(camera)
        face = self._detector.detect_at(picture, middle, _FACE_SIZE_PX)
        if face is None:
            # A close look may miss what a search finds.
            found = self._detector.detect_symmetrised(picture)
            face = found[0] if found else None
        return None if face is None else self._placed(scene, camera, face.points_px)

    def _rolled(
        self, scene: OffscreenScene, direction: NDArray[np.float64], *, thorough: bool
    ) -> View | None:
        """The best face of one picture, which is shown to the detector in four rolls."""
        camera = _whole_camera(direction)
        picture = scene.render(camera)
        best: View | None = None
        for quarters in range(4):
            pixels = np.ascontiguousarray(np.rot90(picture, quarters))
            for face in self._detected(pixels, thorough=thorough):
                points = _unrolled(face.points_px, quarters)
                best = _better(best, self._placed(scene, camera, points))
            if best is not None and best.fit_mm <= SURE_FIT_MM:
                break
        return best

    def _detected(self, pixels: NDArray[np.uint8], *, thorough: bool) -> tuple[DetectedFace, ...]:
        if thorough:
            return self._detector.detect(pixels)
        middle = np.full(2, (PICTURE_PX - 1) / 2)
        face = self._detector.detect_at(pixels, middle, PICTURE_PX / _CROP_FACE_SIZES)
        return () if face is None else (face,)

    def _placed(
        self, scene: OffscreenScene, camera: Camera, points_px: NDArray[np.float64]
    ) -> View | None:
        """Landmarks in a picture cast back onto the surface."""
        points = points_px[list(SURFACE_LANDMARKS.values())]
        places = dict(zip(SURFACE_LANDMARKS, scene.pick(camera, points), strict=True))
        met = {name: place for name, place in places.items() if np.isfinite(place).all()}
        frame, fit = fitted_frame(met)
        if not np.isfinite(fit):
            return None
        rays = dict(zip(SURFACE_LANDMARKS, camera.ray_directions(points), strict=True))
        origin = np.asarray(camera.position_mm)
        return View(_settled(met, rays, origin, self._vertices, frame), frame, fit)

    def _directions(self) -> Iterator[NDArray[np.float64]]:
        """Directions from which the face may be seen, the likeliest first."""
        mean = np.average(self._mesh.normals, axis=0, weights=self._mesh.areas_mm2)
        length = float(np.linalg.norm(mean))
        if length > _OPEN_SHELL:
            yield mean / length
        yield from (np.array(axis) for axis in _AXES)
        if length > _OPEN_SHELL:
            yield -mean / length
        yield from (np.array(corner) / np.sqrt(3.0) for corner in product((1.0, -1.0), repeat=3))


def _better(one: View | None, other: View | None) -> View | None:
    if one is None or other is None:
        return one or other
    return one if one.fit_mm <= other.fit_mm else other


def _angle_deg(one: FaceFrame, other: FaceFrame) -> float:
    cosine = (np.trace(one.axes @ other.axes.T) - 1) / 2
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def _unrolled(points_px: NDArray[np.float64], quarters: int) -> NDArray[np.float64]:
    """Points of a picture turned by `np.rot90`, in the picture before."""
    for _ in range(quarters):
        points_px = np.stack([PICTURE_PX - 1 - points_px[:, 1], points_px[:, 0]], axis=1)
    return points_px


def _camera(
    position: NDArray[np.float64],
    target: NDArray[np.float64],
    up: NDArray[np.float64],
    angle_deg: float,
) -> Camera:
    return Camera(
        (float(position[0]), float(position[1]), float(position[2])),
        (float(target[0]), float(target[1]), float(target[2])),
        (float(up[0]), float(up[1]), float(up[2])),
        angle_deg,
        PICTURE_PX,
        PICTURE_PX,
    )


def _whole_camera(direction: NDArray[np.float64]) -> Camera:
    distance = 5.0 * _RADIUS
    angle = float(np.degrees(2 * np.arcsin(1.1 * _RADIUS / distance)))
    across = np.eye(3)[np.argmin(np.abs(direction))]
    return _camera(distance * direction, np.zeros(3), across, angle)


def face_camera(frame: FaceFrame, yaw_deg: float, pitch_deg: float) -> Camera:
    """The camera that sees a face from the front, or turned a little.

    Parameters
    ----------
    frame : FaceFrame
    yaw_deg, pitch_deg : float
        How far the camera stands toward the patient's left, and above.
    """
    target = frame.to_scan(frame.scale * _VIEW_CENTRE_MM[None])[0]
    yaw, pitch = np.radians((yaw_deg, pitch_deg))
    level = np.array([np.sin(yaw), 0.0, np.cos(yaw)])
    direction = (np.cos(pitch) * level + np.sin(pitch) * np.array([0.0, 1.0, 0.0])) @ frame.axes
    return _camera(
        target + _VIEW_DISTANCE_MM * frame.scale * direction,
        target,
        frame.axes[1],
        _VIEW_ANGLE_DEG,
    )


def _settled(
    met: Mapping[str, NDArray[np.float64]],
    rays: Mapping[str, NDArray[np.float64]],
    origin: NDArray[np.float64],
    vertices: NDArray[np.float64],
    frame: FaceFrame,
) -> dict[str, NDArray[np.float64]]:
    """Landmarks on the face; those whose ray slipped through a hole are put on its edge.

    The edge is the vertex nearest to where the ray passes the reference face.
    """
    settled = {}
    for name, ray in rays.items():
        place = met.get(name)
        local = None if place is None else frame.to_face(place[None])[0] / frame.scale
        expected = REFERENCE_LANDMARKS_MM.get(name)
        if (
            place is not None
            and local is not None
            and local[2] > _LEAST_DEPTH_MM
            and (expected is None or np.linalg.norm(local - expected) < _DISPLACED_MM)
        ):
            settled[name] = place
        elif expected is not None:
            target = frame.to_scan(frame.scale * np.array([expected]))[0]
            passing = origin + ((target - origin) @ ray) * ray
            apart = np.linalg.norm(vertices - passing, axis=1)
            nearest = int(np.argmin(apart))
            if apart[nearest] < _EDGE_MM * frame.scale:
                settled[name] = vertices[nearest]
    return settled
