"""The face found on a scan: rendered, seen by MediaPipe, and cast back onto the surface."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processing.face_landmarks import DetectedFace, FaceDetector
from processing.landmarks import LANDMARKS
from processing.measurement import RejectedInput
from processing.rendering.camera import Camera
from processing.rendering.scene import OffscreenScene
from processing.surface.frame import REFERENCE_LANDMARKS_MM, FaceFrame, fitted_frame
from processing.surface.mesh import Mesh, reversed_winding

PICTURE_PX: Final = 512
FRONTALISING_PASSES: Final = 3
# Of the reference face: how badly the landmarks of a face may fit it. A hollow
# face seen from behind, or a face seen in something else, fits worse.
FIT_LIMIT_MM: Final = 9.0
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

_VIEW_DISTANCE_MM: Final = 650.0
_VIEW_ANGLE_DEG: Final = 26.0
_VIEW_CENTRE_MM: Final = np.array([0.0, -6.0, 40.0])
_AGREEMENT_YAWS_DEG: Final = (-8.0, 8.0)
_OPEN_SHELL: Final = 0.15
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
class FoundFace:
    """Where the face is on a scan.

    Parameters
    ----------
    mesh : Mesh
        The mesh, its outside toward the viewer of the face.
    landmarks_mm : mapping of str to (3,) array
        In the frame of the scan.
    spread_mm : mapping of str to float
        Standard deviation of each landmark over the views, per axis.
    frame : FaceFrame
        From the landmarks alone.
    fit_mm : float
        Root mean square distance to the reference face, at its size.
    agreement_mm : float
        Root mean square distance of the landmarks between views.
    """

    mesh: Mesh = field(repr=False)
    landmarks_mm: Mapping[str, NDArray[np.float64]] = field(repr=False)
    spread_mm: Mapping[str, float] = field(repr=False)
    frame: FaceFrame
    fit_mm: float
    agreement_mm: float


@dataclass(frozen=True, slots=True)
class _View:
    landmarks_mm: dict[str, NDArray[np.float64]]
    frame: FaceFrame
    fit_mm: float


def find_face(mesh: Mesh, detector: FaceDetector, source: str) -> FoundFace:
    """Find the face on a scan in any pose and place its landmarks on the surface.

    The scan is looked at along its mean normal, then along the axes of its file;
    the view whose landmarks fit the reference face best is turned frontal three
    times. Each picture is also mirrored and the answers averaged (by the
    detector). Two more views, turned a little, tell how far the landmarks
    depend on the view.

    Parameters
    ----------
    mesh : Mesh
    detector : FaceDetector
    source : str
        Named in the messages.

    Raises
    ------
    RejectedInput
        If no view shows a face, or what is seen does not have a face's shape.
    """
    for colours in (None,) if mesh.colours is None else (mesh.colours, None):
        with OffscreenScene(mesh.vertices_mm, mesh.triangles, colours) as scene:
            start = _searched(scene, mesh, detector)
            if start is None:
                continue
            frontal = start
            for _ in range(FRONTALISING_PASSES):
                camera = _face_camera(frontal.frame, 0.0)
                seen = _look(scene, camera, mesh, detector.detect_symmetrised)
                if seen is None:
                    break
                frontal = seen
            turned = [
                seen
                for yaw in _AGREEMENT_YAWS_DEG
                if (
                    seen := _look(
                        scene, _face_camera(frontal.frame, yaw), mesh, detector.detect_symmetrised
                    )
                )
            ]
        return _summary(mesh, frontal, turned, source)
    raise RejectedInput(
        f"{source}: no face was found on the surface from any side; the scan must show the whole "
        "face from the front, with eyes, nose and mouth"
    )


def _summary(mesh: Mesh, frontal: _View, turned: list[_View], source: str) -> FoundFace:
    if frontal.fit_mm > FIT_LIMIT_MM:
        raise RejectedInput(
            f"{source}: what was found on the surface does not have the shape of a face "
            f"(landmarks {frontal.fit_mm:.1f} mm off, limit {FIT_LIMIT_MM:g} mm)"
        )
    if len(turned) < len(_AGREEMENT_YAWS_DEG):
        raise RejectedInput(
            f"{source}: the face is lost when the view turns by {_AGREEMENT_YAWS_DEG[1]:g} "
            "degrees; the scan must show the whole face"
        )
    spread = {}
    squares = []
    for name, place in frontal.landmarks_mm.items():
        others = np.array([view.landmarks_mm.get(name, np.full(3, np.nan)) for view in turned])
        square = np.sum((others - place) ** 2, axis=1)
        if np.isfinite(square).all():
            spread[name] = float(np.sqrt(square.mean() / 3))
            squares.append(square.mean())
    landmarks = {name: frontal.landmarks_mm[name] for name in spread}
    missing = sorted(set(REFERENCE_LANDMARKS_MM) - set(landmarks))
    if missing:
        raise RejectedInput(
            f"{source}: not found on the surface: {', '.join(missing)}; the scan must show the "
            "whole face"
        )
    return FoundFace(
        mesh=_seen_from_outside(mesh, landmarks, frontal.frame),
        landmarks_mm=landmarks,
        spread_mm=spread,
        frame=frontal.frame,
        fit_mm=frontal.fit_mm,
        # The median: a point beside an edge jumps, and says nothing of the others.
        agreement_mm=float(np.sqrt(np.median(squares))),
    )


def _seen_from_outside(
    mesh: Mesh, landmarks_mm: Mapping[str, NDArray[np.float64]], frame: FaceFrame
) -> Mesh:
    middle = np.mean(list(landmarks_mm.values()), axis=0)
    near = np.linalg.norm(mesh.vertices_mm - middle, axis=1) < 60.0 * frame.scale
    facing = (mesh.normals[near] @ frame.axes[2]) * mesh.areas_mm2[near]
    return mesh if facing.sum() >= 0 else reversed_winding(mesh)


def _searched(scene: OffscreenScene, mesh: Mesh, detector: FaceDetector) -> _View | None:
    centre = np.average(mesh.vertices_mm, axis=0, weights=mesh.areas_mm2)
    radius = float(np.percentile(np.linalg.norm(mesh.vertices_mm - centre, axis=1), 98))
    best: _View | None = None
    for direction in _directions(mesh):
        for up in _ups(direction):
            camera = _whole_camera(centre, radius, direction, up)
            view = _look(scene, camera, mesh, detector.detect)
            if view is not None and (best is None or view.fit_mm < best.fit_mm):
                best = view
        if best is not None and best.fit_mm <= SURE_FIT_MM:
            return best
    return best if best is not None and best.fit_mm <= FIT_LIMIT_MM else None


def _directions(mesh: Mesh) -> Iterator[NDArray[np.float64]]:
    """Directions from which the face may be seen, the likeliest first."""
    mean = np.average(mesh.normals, axis=0, weights=mesh.areas_mm2)
    length = float(np.linalg.norm(mean))
    if length > _OPEN_SHELL:
        yield mean / length
    yield from (np.array(axis) for axis in _AXES)
    if length > _OPEN_SHELL:
        yield -mean / length
    yield from (np.array(corner) / np.sqrt(3.0) for corner in product((1.0, -1.0), repeat=3))


def _ups(direction: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
    helper = np.eye(3)[np.argmin(np.abs(direction))]
    first = helper - (helper @ direction) * direction
    first = first / np.linalg.norm(first)
    second = np.cross(direction, first)
    yield from (first, -first, second, -second)


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


def _whole_camera(
    centre: NDArray[np.float64],
    radius: float,
    direction: NDArray[np.float64],
    up: NDArray[np.float64],
) -> Camera:
    distance = 5.0 * radius
    angle = float(np.degrees(2 * np.arcsin(1.1 * radius / distance)))
    return _camera(centre + distance * direction, centre, up, angle)


def _face_camera(frame: FaceFrame, yaw_deg: float) -> Camera:
    target = frame.to_scan(frame.scale * _VIEW_CENTRE_MM[None])[0]
    yaw = np.radians(yaw_deg)
    direction = np.array([np.sin(yaw), 0.0, np.cos(yaw)]) @ frame.axes
    return _camera(
        target + _VIEW_DISTANCE_MM * frame.scale * direction,
        target,
        frame.axes[1],
        _VIEW_ANGLE_DEG,
    )


def _look(
    scene: OffscreenScene,
    camera: Camera,
    mesh: Mesh,
    detect: Callable[[NDArray[np.uint8]], tuple[DetectedFace, ...]],
) -> _View | None:
    """One picture, and its best face with landmarks on the surface."""
    views = []
    for face in detect(scene.render(camera)):
        points = face.points_px[list(SURFACE_LANDMARKS.values())]
        places = dict(zip(SURFACE_LANDMARKS, scene.pick(camera, points), strict=True))
        met = {name: place for name, place in places.items() if np.isfinite(place).all()}
        frame, fit = fitted_frame(met)
        if np.isfinite(fit):
            rays = dict(zip(SURFACE_LANDMARKS, camera.ray_directions(points), strict=True))
            origin = np.asarray(camera.position_mm)
            views.append(_View(_settled(met, rays, origin, mesh, frame), frame, fit))
    return min(views, key=lambda view: view.fit_mm, default=None)


def _settled(
    met: Mapping[str, NDArray[np.float64]],
    rays: Mapping[str, NDArray[np.float64]],
    origin: NDArray[np.float64],
    mesh: Mesh,
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
            apart = np.linalg.norm(mesh.vertices_mm - passing, axis=1)
            nearest = int(np.argmin(apart))
            if apart[nearest] < _EDGE_MM * frame.scale:
                settled[name] = mesh.vertices_mm[nearest]
    return settled
