"""A symmetric adult head, grown from MediaPipe's canonical face.

The canonical face is a mask of 468 points. A head with a capped cranium and a
neck is grown from its border, the whole is subdivided until it is smooth, and
eyeballs are set into the lids. Everything is symmetric about x = 0 by
construction: x to the subject's left, y up, z toward the viewer, in mm.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline, PchipInterpolator

from processing.face_model import CANONICAL_LANDMARKS, CanonicalFace, canonical_face
from processing.phantom.outlines import (
    LOWER_LIP_MARGIN_LEFT,
    UPPER_LID_LEFT,
    UPPER_LIP_MARGIN_LEFT,
    eye_outline,
    signed_distance,
)
from processing.phantom.subdivision import (
    MirroredMesh,
    boundary_neighbours,
    neighbours,
    on_limit_surface,
    subdivided,
    symmetrised,
)
from processing.rendering.scene import vertex_normals

COARSE_STEPS: Final = 3
FINE_STEPS: Final = 4

IRIS_DIAMETER_MM: Final = 11.7  # Rüfer et al., Cornea 2005: 11.71 +- 0.42 mm
PUPIL_DIAMETER_MM: Final = 3.6
INTERPUPILLARY_MM: Final = 63.0
_EYEBALL_RADIUS_MM: Final = 12.2
_LID_MARGIN_MM: Final = 1.0  # over which the lid falls to the eyeball
_EYEBALL_DEPTH_MM: Final = 1.0  # of the eyeball behind the lid margin

_RINGS: Final = 16
_FIT_ROUNDS: Final = 4
_FIT_STEP: Final = 0.7
_RELAXATIONS: Final = 8
_MASK_TRIANGLES: Final = 898
_NORMAL_SMOOTHINGS: Final = 5

# Guide curves of the head, in cm in the frame of the canonical face, from the
# border of the mask over cranium or jaw to the rim of the neck: |x|, y, z.
# The first number is the place of the border vertex, counted from the trichion
# (0) down to the gnathion (18). The measures are an adult's: breadth 160 mm,
# length 195 mm, gnathion to vertex 230 mm.
_GUIDES: Final = {
    0: [(0, 11.6, 2.6), (0, 13.8, -2.8), (0, 11.9, -10.0), (0, 4.5, -13.6), (0, -4, -11.3),
        (0, -19.5, -12.2)],
    4: [(6.75, 9.1, -0.9), (6.4, 11.0, -4.6), (5.7, 9.4, -9.3), (5.0, 3.5, -12.0),
        (4.3, -4.5, -10.2), (5.0, -19.5, -11.0)],
    8: [(7.9, 1.0, -4.0), (7.9, 1.1, -6.0), (7.3, -0.2, -8.0), (6.4, -3.4, -8.6),
        (5.9, -8.5, -7.9), (7.0, -19.5, -7.8)],
    12: [(6.2, -6.6, -2.0), (6.1, -7.3, -3.4), (5.85, -8.5, -4.5), (5.7, -10.4, -5.0),
         (5.7, -13, -5.1), (6.5, -19.5, -4.6)],
    15: [(3.5, -8.8, 1.5), (3.75, -8.9, -0.1), (3.95, -9.4, -1.7), (4.1, -10.7, -2.6),
         (4.2, -13, -2.9), (4.7, -19.5, -2.0)],
    18: [(0, -9.5, 3.2), (0, -9.4, 1.8), (0, -9.5, 0.3), (0, -10.5, -1.0),
         (0, -13, -1.6), (0, -19.5, -1.0)],
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Head:
    """The intact head, in mm.

    Parameters
    ----------
    fine : MirroredMesh
        Every vertex. The first 468 are the canonical landmarks.
    coarse_triangles : (m, 3) int64 array
        The same surface with a quarter of the triangles; they use only the
        first vertices of `fine`.
    inward : (n, 3) float64 array
        Unit vectors into the head at the vertices of `fine`: the smoothed normal,
        which does not follow nostrils and lids.
    eye_centre_mm : (3,) float64 array
        Centre of the left eyeball.
    """

    fine: MirroredMesh
    coarse_triangles: NDArray[np.int64] = field(repr=False)
    inward: NDArray[np.float64] = field(repr=False)
    eye_centre_mm: NDArray[np.float64] = field(repr=False)

    @property
    def pupil_left_mm(self) -> NDArray[np.float64]:
        """Middle of the left pupil on the front of the eyeball, (3,)."""
        pupil: NDArray[np.float64] = self.eye_centre_mm + np.array([0.0, 0.0, _EYEBALL_RADIUS_MM])
        return pupil


@lru_cache(maxsize=2)
def intact_head(model: Path) -> Head:
    """Build the head out of the canonical face in the model file.

    Parameters
    ----------
    model : Path
        ``face_landmarker.task``.

    Returns
    -------
    Head
        Arrays are read-only: the same head serves every phantom.
    """
    mesh = _fitted_cage(canonical_face(model))
    inward = _inward_of_cage(mesh)
    for _ in range(COARSE_STEPS):
        mesh, inward = subdivided(mesh), subdivided(inward)
    coarse_triangles = mesh.triangles
    for _ in range(FINE_STEPS - COARSE_STEPS):
        mesh, inward = subdivided(mesh), subdivided(inward)
    mesh = on_limit_surface(mesh)
    mesh, eye_centre = _with_eyeballs(mesh.with_vertices(mesh.vertices * 10.0))
    directions = inward.vertices / np.linalg.norm(inward.vertices, axis=1, keepdims=True)
    shared = (mesh.vertices, mesh.triangles, mesh.mirror, coarse_triangles, directions, eye_centre)
    for array in shared:
        array.flags.writeable = False
    return Head(mesh, coarse_triangles, directions, eye_centre)


def _inward_of_cage(cage: MirroredMesh) -> MirroredMesh:
    """Smoothed inward normals of the control mesh, to be subdivided as if they were points."""
    around = neighbours(cage.triangles, len(cage.vertices))
    normals = vertex_normals(cage.vertices, cage.triangles)
    for _ in range(_NORMAL_SMOOTHINGS):
        normals = around @ normals + normals
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return cage.with_vertices(-normals)


def _fitted_cage(face: CanonicalFace) -> MirroredMesh:
    """A control mesh, in cm, whose limit surface runs (almost) through the canonical points."""
    targets = _lips_closed(_adult_eyes(face.vertices_cm))
    cage = _with_cranium_and_neck(targets, face)
    cage = _junction_smoothed(cage)
    controls = cage.vertices.copy()
    inner = ~_near_border(face)
    for _ in range(_FIT_ROUNDS):
        limit = on_limit_surface(cage).vertices[:CANONICAL_LANDMARKS]
        controls[:CANONICAL_LANDMARKS][inner] += _FIT_STEP * (targets - limit)[inner]
        cage = cage.with_vertices(controls)
    return cage


def _near_border(face: CanonicalFace) -> NDArray[np.bool_]:
    """Which canonical points lie on the mask's border or one edge from it, (468,)."""
    triangles = face.triangles.astype(np.int64)
    border = np.zeros(CANONICAL_LANDMARKS)
    border[_border_from_top(face.triangles)] = 1
    reached: NDArray[np.bool_] = (neighbours(triangles, CANONICAL_LANDMARKS) @ border + border) > 0
    return reached


def _junction_smoothed(cage: MirroredMesh) -> MirroredMesh:
    """The mask's border and the head grown from it relaxed until no crease is left.

    The canonical face stays where it is but for the outermost of its points.
    """
    count = len(cage.vertices)
    around = neighbours(cage.triangles, count)
    valence = np.asarray(around.sum(axis=1))
    on_rim = np.asarray(boundary_neighbours(cage.triangles, count).sum(axis=1)) > 0
    border = _border_from_top(cage.triangles[:_MASK_TRIANGLES])
    first_rings = slice(CANONICAL_LANDMARKS, CANONICAL_LANDMARKS + 5 * len(border))
    # How freely a point follows its neighbours: the join fully, the cranium hardly.
    free = np.full((count, 1), 0.1)
    free[:CANONICAL_LANDMARKS] = 0.0
    free[border] = 0.6
    free[first_rings] = 1.0
    free[on_rim] = 0.0
    for _ in range(_RELAXATIONS):
        mean = (around @ cage.vertices) / valence
        cage = cage.with_vertices(cage.vertices + 0.5 * free * (mean - cage.vertices))
    return cage


def _adult_eyes(vertices_cm: NDArray[np.float64]) -> NDArray[np.float64]:
    """The canonical face with palpebral fissures as long and as high as an adult's.

    Its own are 26 x 7 mm with 37 mm between the endocanthia; an adult's are
    about 30 x 10 mm with 33 mm.
    """
    points = vertices_cm.copy()
    centre = np.array([INTERPUPILLARY_MM / 20, 2.62])
    away = np.stack([np.abs(points[:, 0]), points[:, 1]], axis=1) - centre
    nearness = np.exp(-((away[:, 0] / 2.0) ** 4) - (away[:, 1] / 1.0) ** 4)
    nearness *= points[:, 2] > 2.0
    stretch = np.where(away[:, 0] < 0, 0.16, 0.10)
    points[:, 0] += np.sign(points[:, 0]) * away[:, 0] * stretch * nearness
    points[:, 1] += away[:, 1] * 0.40 * nearness
    return points


def _lips_closed(vertices_cm: NDArray[np.float64]) -> NDArray[np.float64]:
    """The canonical face, whose lips are 5 mm apart, with its mouth closed."""
    points = vertices_cm.copy()
    upper = points[list(UPPER_LIP_MARGIN_LEFT)]
    lower = points[list(LOWER_LIP_MARGIN_LEFT)]
    beside = np.abs(points[:, 0])
    columns = (upper[:, 0] + lower[:, 0]) / 2
    closed_y = np.interp(beside, columns, (upper[:, 1] + lower[:, 1]) / 2)
    closed_z = np.interp(beside, columns, (upper[:, 2] + lower[:, 2]) / 2)
    in_mouth = (beside <= columns[-1]) & (np.abs(points[:, 1] - closed_y) < 1.4)
    for margin, sign in ((upper, 1.0), (lower, -1.0)):
        margin_y = np.interp(beside, columns, margin[:, 1])
        margin_z = np.interp(beside, columns, margin[:, 2])
        share = np.exp(-((np.maximum(sign * (points[:, 1] - margin_y), 0) / 0.45) ** 2))
        share *= in_mouth & (sign * (points[:, 1] - closed_y) > 0)
        points[:, 1] += share * (closed_y + sign * 0.02 - margin_y)
        points[:, 2] += share * (closed_z - margin_z)
    return points


def _with_cranium_and_neck(points_cm: NDArray[np.float64], face: CanonicalFace) -> MirroredMesh:
    border = _border_from_top(face.triangles)
    half = len(border) // 2
    places = np.abs(((np.arange(len(border)) + half) % len(border)) - half)
    sides = np.sign(points_cm[border, 0])
    guides = _guides_at(
        places, np.abs(points_cm[border]) * [1, 0, 0] + points_cm[border] * [0, 1, 1]
    )
    rings = guides * np.stack([sides, np.ones(len(border)), np.ones(len(border))], axis=1)[:, None]

    count, columns = len(points_cm), len(border)
    index = np.concatenate(
        [border[None], count + np.arange(_RINGS * columns).reshape(_RINGS, columns)]
    )
    opposite = (columns - np.arange(columns)) % columns
    mirror = np.concatenate([face.mirror, index[1:][:, opposite].ravel()])
    vertices = np.concatenate([points_cm, rings.transpose(1, 0, 2).reshape(-1, 3)])
    triangles = np.concatenate([face.triangles, _strips(index)])
    return MirroredMesh(symmetrised(vertices, mirror), triangles, mirror)


def _border_from_top(triangles: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """The border of the mask from the trichion (landmark 10) once around."""
    directed = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    forward = {(int(a), int(b)) for a, b in directed}
    following = {a: b for a, b in forward if (b, a) not in forward}
    loop = [10]
    while following[loop[-1]] != 10:
        loop.append(following[loop[-1]])
    return np.array(loop, dtype=np.int64)


def _guides_at(places: NDArray[np.int64], starts_cm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points of the rings on the curve of each border vertex, (border, rings, 3), x >= 0."""
    keys = np.array(sorted(_GUIDES))
    anchors = PchipInterpolator(keys, np.array([_GUIDES[key] for key in keys]), axis=0)(places)
    curves = np.concatenate([starts_cm[:, None], anchors], axis=1)
    parameter = np.linspace(0, curves.shape[1] - 1, _RINGS + 1)[1:]
    smooth: NDArray[np.float64] = CubicSpline(np.arange(curves.shape[1]), curves, axis=1)(parameter)
    smooth[:, :, 0] = np.where(starts_cm[:, None, 0] == 0, 0.0, np.maximum(smooth[:, :, 0], 0.0))
    return smooth


def _strips(index: NDArray[np.int64]) -> NDArray[np.int64]:
    """Triangles between rings, their diagonals mirrored from one half to the other."""
    columns = index.shape[1]
    inner, outer = index[:-1], index[1:]
    inner_next, outer_next = np.roll(inner, -1, axis=1), np.roll(outer, -1, axis=1)
    falling = np.stack(
        [np.stack([inner_next, inner, outer], -1), np.stack([inner_next, outer, outer_next], -1)], 2
    )
    rising = np.stack(
        [np.stack([inner_next, inner, outer_next], -1), np.stack([inner, outer, outer_next], -1)], 2
    )
    first_half = (np.arange(columns) < columns // 2)[None, :, None, None]
    return np.where(first_half, falling, rising).reshape(-1, 3)


def _with_eyeballs(mesh: MirroredMesh) -> tuple[MirroredMesh, NDArray[np.float64]]:
    """Between the lids, put the front of a sphere in place of the flat filling."""
    vertices = mesh.vertices.copy()
    outline = eye_outline(vertices)
    middle_of_lid = vertices[list(UPPER_LID_LEFT)].mean(axis=0)
    centre = np.array(
        [
            INTERPUPILLARY_MM / 2,
            (outline[:, 1].min() + outline[:, 1].max()) / 2,
            middle_of_lid[2] - _EYEBALL_DEPTH_MM - np.sqrt(_EYEBALL_RADIUS_MM**2 - 4.0**2),
        ]
    )
    near = np.flatnonzero(
        (np.abs(vertices[:, :2] - centre[:2]) < [22.0, 12.0]).all(axis=1) & (vertices[:, 2] > 15)
    )
    depth_inside = -signed_distance(vertices[near, :2], outline)
    inside = near[depth_inside > 0]
    beside = ((vertices[inside, :2] - centre[:2]) ** 2).sum(axis=1)
    height = np.sqrt(np.maximum(_EYEBALL_RADIUS_MM**2 - beside, 0.0))
    # Toward the canthi the sphere lies deep; there the filling stays near the lids' level.
    on_ball = np.maximum(centre[2] + height, vertices[inside, 2] - 2 * _EYEBALL_DEPTH_MM)
    share = np.clip(depth_inside[depth_inside > 0] / _LID_MARGIN_MM, 0, 1)
    vertices[inside, 2] += share * (on_ball - vertices[inside, 2])
    partner = mesh.mirror[inside]
    vertices[partner] = vertices[inside] * [-1, 1, 1]
    return mesh.with_vertices(vertices), centre
