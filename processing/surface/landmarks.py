"""The face found on a scan, with its landmarks on the surface."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processing.face_landmarks import FaceDetector
from processing.measurement import RejectedInput
from processing.rendering.scene import OffscreenScene
from processing.surface.face_views import FIT_LIMIT_MM, SURFACE_LANDMARKS, SeenFace, View, look_at
from processing.surface.frame import (
    LEAST_LANDMARKS,
    REFERENCE_LANDMARKS_MM,
    FaceFrame,
    fitted_frame,
)
from processing.surface.mesh import Mesh, reversed_winding
from processing.surface.mesh_topology import compacted, touching

EDITED_UNCERTAINTY_MM: Final = 0.5
# Of the reference face: colours that move the landmarks further do not lie where the shape is.
PAINT_LIMIT_MM: Final = 6.0
# A reviewer's landmark further from the surface was placed on another one.
_EDITED_OFF_MM: Final = 10.0
# Half of it is how far before and behind a landmark the full surface is looked for.
_DROP_MM: Final = 12.0
_DROP_REACH_MM: Final = 3.0


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
        Standard deviation of each landmark over the views, per axis; of those
        a reviewer placed 0.5 mm.
    frame : FaceFrame
        From the landmarks alone.
    fit_mm : float
        Root mean square distance to the reference face, at its size.
    agreement_mm : float
        Root mean square distance of the landmarks between views.
    edited : frozenset of str
        Landmarks that a reviewer placed.
    moved_mm : mapping of str to float
        How far a reviewer's landmark lies from where it was found; without those
        that were not found.
    detected : bool
        False when a reviewer placed the landmarks of a face that was not seen.
    paint_disagreement_mm : float, optional
        How far the scan's colours move the landmarks, root mean square, at the
        size of the reference face; None without colours.
    """

    mesh: Mesh = field(repr=False)
    landmarks_mm: Mapping[str, NDArray[np.float64]] = field(repr=False)
    spread_mm: Mapping[str, float] = field(repr=False)
    frame: FaceFrame
    fit_mm: float
    agreement_mm: float
    edited: frozenset[str] = frozenset()
    moved_mm: Mapping[str, float] = field(default_factory=dict, repr=False)
    detected: bool = True
    paint_disagreement_mm: float | None = None


def find_face(
    mesh: Mesh,
    detector: FaceDetector,
    source: str,
    edited: Mapping[str, tuple[float, float, float]] | None = None,
) -> FoundFace:
    """Find the face on a scan in any pose and place its landmarks on the surface.

    See `look_at` for how. The landmarks are the means of the last three views,
    from the front and turned by 8 degrees to both sides; how far they depend on
    the view is their spread. Each picture is also mirrored and the answers
    averaged (by the detector).

    Parameters
    ----------
    mesh : Mesh
    detector : FaceDetector
    source : str
        Named in the messages.
    edited : mapping of str to (x, y, z), optional
        Landmarks that a reviewer placed, in the frame of the scan, mm. They
        count instead of found ones; ten of the reference face are enough where
        none is found.

    Raises
    ------
    RejectedInput
        If no view shows a face, or what is seen does not have a face's shape,
        or a landmark of a reviewer lies off the surface.
    """
    placed = {name: np.array(place, np.float64) for name, place in (edited or {}).items()}
    for name, place in placed.items():
        if place.shape != (3,) or not np.isfinite(place).all():
            raise RejectedInput(f"{source}: the edited landmark {name} is no point in space")
    seen = look_at(mesh, detector, PAINT_LIMIT_MM)
    enough = len(set(placed) & set(REFERENCE_LANDMARKS_MM)) >= LEAST_LANDMARKS
    reason = _reason(seen, source)
    if reason is None and seen is not None:
        found = _summary(mesh, seen)
        missing = sorted(set(REFERENCE_LANDMARKS_MM) - set(found.landmarks_mm) - set(placed))
        if missing:
            reason = (
                f"{source}: not found on the surface: {', '.join(missing)}; the scan must show "
                "the whole face"
            )
        else:
            return _with_edits(found, placed, source) if placed else found
    if enough:
        return _from_edits(mesh, placed, source)
    raise RejectedInput(str(reason))


def _reason(seen: SeenFace | None, source: str) -> str | None:
    """Why what was seen is no face that can be measured, or None."""
    if seen is None or not seen.views:
        return (
            f"{source}: no face was found on the surface from any side; the scan must show the "
            "whole face from the front, with eyes, nose and mouth"
        )
    if seen.views[0].fit_mm > FIT_LIMIT_MM:
        return (
            f"{source}: what was found on the surface does not have the shape of a face "
            f"(landmarks {seen.views[0].fit_mm:.1f} mm off, limit {FIT_LIMIT_MM:g} mm)"
        )
    if not seen.complete:
        return (
            f"{source}: the face is lost when the view turns a little; the scan must show the "
            "whole face"
        )
    return None


def _summary(mesh: Mesh, seen: SeenFace) -> FoundFace:
    names = [name for name in SURFACE_LANDMARKS if all(name in v.landmarks_mm for v in seen.views)]
    places = np.array([[view.landmarks_mm[name] for name in names] for view in seen.views])
    mean = places.mean(axis=0)
    squares = ((places - mean) ** 2).sum(axis=2).sum(axis=0) / (len(places) - 1)
    frame, _ = fitted_frame(dict(zip(names, mean, strict=True)))
    outside = _seen_from_outside(mesh, mean.mean(axis=0), frame)
    landmarks = dict(zip(names, _dropped(outside, mean, frame), strict=True))
    frame, fit = fitted_frame(landmarks)
    return FoundFace(
        mesh=outside,
        landmarks_mm=landmarks,
        spread_mm={
            name: float(np.sqrt(each / 3)) for name, each in zip(names, squares, strict=True)
        },
        frame=frame,
        fit_mm=fit,
        agreement_mm=_agreement_mm(names, seen.views),
        paint_disagreement_mm=seen.paint_disagreement_mm,
    )


def _agreement_mm(names: Sequence[str], views: Sequence[View]) -> float:
    """Distance of the turned views from the frontal one, root mean square.

    Of the median landmark: a point beside an edge jumps, and says nothing of the others.
    """
    frontal, *turned = (np.array([view.landmarks_mm[name] for name in names]) for view in views)
    squares = [((each - frontal) ** 2).sum(axis=1) for each in turned]
    return float(np.sqrt(np.median(np.mean(squares, axis=0))))


def _with_edits(
    found: FoundFace, placed: Mapping[str, NDArray[np.float64]], source: str
) -> FoundFace:
    _check_on_surface(found.mesh, placed, found.frame.scale, source)
    landmarks = {**found.landmarks_mm, **placed}
    frame, fit = fitted_frame(landmarks)
    return FoundFace(
        mesh=found.mesh,
        landmarks_mm=landmarks,
        spread_mm={**found.spread_mm, **dict.fromkeys(placed, EDITED_UNCERTAINTY_MM)},
        frame=frame,
        fit_mm=fit,
        agreement_mm=found.agreement_mm,
        edited=frozenset(placed),
        moved_mm={
            name: float(np.linalg.norm(place - found.landmarks_mm[name]))
            for name, place in placed.items()
            if name in found.landmarks_mm
        },
        paint_disagreement_mm=found.paint_disagreement_mm,
    )


def _from_edits(mesh: Mesh, placed: Mapping[str, NDArray[np.float64]], source: str) -> FoundFace:
    frame, fit = fitted_frame(placed)
    if not fit <= FIT_LIMIT_MM:
        raise RejectedInput(
            f"{source}: no face was found, and the edited landmarks do not have the shape of one "
            f"({fit:.1f} mm off, limit {FIT_LIMIT_MM:g} mm); check their names and sides"
        )
    _check_on_surface(mesh, placed, frame.scale, source)
    middle = np.mean(list(placed.values()), axis=0)
    return FoundFace(
        mesh=_seen_from_outside(mesh, middle, frame),
        landmarks_mm=dict(placed),
        spread_mm=dict.fromkeys(placed, EDITED_UNCERTAINTY_MM),
        frame=frame,
        fit_mm=fit,
        agreement_mm=EDITED_UNCERTAINTY_MM * np.sqrt(3.0),
        edited=frozenset(placed),
        detected=False,
    )


def _check_on_surface(
    mesh: Mesh, placed: Mapping[str, NDArray[np.float64]], scale: float, source: str
) -> None:
    for name, place in placed.items():
        away = float(np.sqrt(((mesh.vertices_mm - place) ** 2).sum(axis=1).min()))
        if away > _EDITED_OFF_MM * scale:
            raise RejectedInput(
                f"{source}: the edited landmark {name} lies {away:.0f} mm off the surface; it was "
                "placed on another surface or in another frame"
            )


def _seen_from_outside(mesh: Mesh, middle: NDArray[np.float64], frame: FaceFrame) -> Mesh:
    apart = mesh.vertices_mm - middle
    near = np.einsum("ij,ij->i", apart, apart) < (60.0 * frame.scale) ** 2
    facing = (mesh.normals[near] @ frame.axes[2]) * mesh.areas_mm2[near]
    return mesh if facing.sum() >= 0 else reversed_winding(mesh)


def _dropped(mesh: Mesh, points: NDArray[np.float64], frame: FaceFrame) -> NDArray[np.float64]:
    """Points near a face moved forward or back until they lie on the full surface.

    A point under which there is no surface stays where it is.
    """
    reach = _DROP_REACH_MM * frame.scale
    across = points @ frame.axes[:2].T
    local = np.einsum("ij,kj->ik", mesh.vertices_mm, frame.axes[:2])
    low = across.min(axis=0) - 3 * reach
    cells = np.clip(((local - low) / reach).astype(np.int64), -1, None)
    size = ((across.max(axis=0) + 3 * reach - low) / reach).astype(np.int64) + 1
    wanted = np.zeros(size, bool)
    for left, up in ((across - low) / reach).astype(np.int64):
        wanted[max(left - 1, 0) : left + 2, max(up - 1, 0) : up + 2] = True
    column, row = cells.T
    within = (column >= 0) & (row >= 0) & (column < size[0]) & (row < size[1])
    near = np.zeros(len(local), bool)
    near[within] = wanted[tuple(cells[within].T)]
    triangles = mesh.triangles[touching(mesh.triangles, near)]
    if not len(triangles):
        return points
    used, compact = compacted(triangles, len(mesh.vertices_mm))
    half = 0.5 * _DROP_MM * frame.scale * frame.axes[2]
    with OffscreenScene(mesh.vertices_mm[used], compact) as scene:
        dropped, _ = scene.first_hits(points + half, points - half)
    return np.where(np.isfinite(dropped), dropped, points)
