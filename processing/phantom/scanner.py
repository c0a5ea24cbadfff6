"""How the phantom is scanned: what is seen, on which triangles, with which noise, in which pose."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from processing.phantom.head import Head
from processing.phantom.sampled_directions import hexagonal_disc, hits, joined
from processing.rendering.scene import OffscreenScene, vertex_normals

# The scan sees what lies within this angle of the line forward from a point in
# the head between the ears, and above the root of the neck.
_SEEN_FROM_MM: Final = np.array([0.0, -5.0, -50.0])
_WIDEST_DEG: Final = 80.0
_LOWEST_MM: Final = -120.0
_OUTSIDE_MM: Final = 260.0

_JITTER: Final = 0.2  # of the spacing of the sampled points
_LONGEST_EDGE: Final = 5.0  # times the median edge; longer ones bridge what was hidden
_TRIAL_RAYS: Final = 1500
_SPARE: Final = 1.04

SMOOTH_NOISE_LENGTH_MM: Final = 6.0
_WAVES: Final = 64


def rotation(yaw_deg: float, pitch_deg: float, roll_deg: float) -> NDArray[np.float64]:
    """Rotation of the head, (3, 3): ``Ry(yaw) Rx(-pitch) Rz(-roll)``.

    x to the patient's left, y up, z to the viewer. Positive yaw turns the face
    to the patient's left, positive pitch upward, and positive roll leans the
    top of the head to the patient's left.
    """
    yaw, pitch, roll = np.radians([yaw_deg, -pitch_deg, -roll_deg])
    about_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    about_x = np.array(
        [[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]]
    )
    about_z = np.array(
        [[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]]
    )
    turned: NDArray[np.float64] = about_y @ about_x @ about_z
    return turned


Scan = tuple[NDArray[np.float64], NDArray[np.int32], NDArray[np.uint8]]


def paired_scan(
    head: Head, vertices_mm: NDArray[np.float64], colours: NDArray[np.uint8], at_least: int
) -> Scan:
    """The part of the head that is seen, on the head's own triangles.

    Every vertex has its mirror partner: the easy case, for tests of a method.

    Parameters
    ----------
    head : Head
    vertices_mm : (n, 3) float64 array
        Vertices of ``head.fine``, hollowed or not.
    colours : (n, 3) uint8 array
    at_least : int
        The finer of two triangulations is taken when the coarser has fewer vertices.

    Raises
    ------
    ValueError
        If even the finer triangulation has fewer vertices.
    """
    away = head.fine.vertices - _SEEN_FROM_MM
    seen = away[:, 2] >= np.cos(np.radians(_WIDEST_DEG)) * np.linalg.norm(away, axis=1)
    seen &= head.fine.vertices[:, 1] >= _LOWEST_MM
    for triangles in (head.coarse_triangles, head.fine.triangles):
        kept = triangles[seen[triangles].all(axis=1)]
        used, compact = np.unique(kept, return_inverse=True)
        if len(used) >= at_least:
            return vertices_mm[used], compact.reshape(-1, 3).astype(np.int32), colours[used]
    raise ValueError(f"a paired scan has at most {len(used)} vertices, not {at_least}")


def sampled_scan(
    head: Head,
    vertices_mm: NDArray[np.float64],
    colours: NDArray[np.uint8],
    at_least: int,
    random: np.random.Generator,
) -> Scan:
    """The part of the head that is seen, on triangles of its own as a scanner makes them.

    Rays come in along a jittered hexagonal grid of directions (equal in solid
    angle), turned at random, so that nothing on the left is paired with
    anything on the right; what lies hidden behind something else is missing.

    Parameters
    ----------
    head : Head
    vertices_mm : (n, 3) float64 array
        Vertices of ``head.fine``, hollowed or not.
    colours : (n, 3) uint8 array
    at_least : int
        Least number of vertices.
    random : numpy.random.Generator
    """
    with OffscreenScene(vertices_mm, head.fine.triangles) as scene:
        share = 1.0
        count = _TRIAL_RAYS
        for _ in range(4):
            plane = hexagonal_disc(count, _WIDEST_DEG, _JITTER, random)
            points, triangle = _seen(scene, plane)
            mesh = joined(plane, points, _LONGEST_EDGE)
            used = np.unique(mesh)
            if len(used) >= at_least:
                break
            share = max(len(used) / len(plane), 0.05)
            count = int(at_least / share * _SPARE)
    compact = np.searchsorted(used, mesh).astype(np.int32)
    corners = head.fine.triangles[triangle[used]]
    painted = _interpolated(points[used], vertices_mm[corners], colours[corners])
    return points[used], compact, painted


def with_noise(
    vertices_mm: NDArray[np.float64],
    triangles: NDArray[np.int32],
    white_mm: float,
    smooth_mm: float,
    random: np.random.Generator,
) -> NDArray[np.float64]:
    """Vertices displaced along their normals by white and by smooth Gaussian noise.

    The smooth noise has a Gaussian correlation of 6 mm, as a sum of random
    plane waves (Rahimi and Recht, "Random features for large-scale kernel
    machines", NIPS 2007).

    Parameters
    ----------
    vertices_mm : (n, 3) float64 array
    triangles : (m, 3) int32 array
    white_mm, smooth_mm : float
        Standard deviations.
    random : numpy.random.Generator

    Returns
    -------
    (n, 3) float64 array
    """
    along_normal = white_mm * random.normal(size=len(vertices_mm))
    if smooth_mm > 0:
        waves = random.normal(scale=1 / SMOOTH_NOISE_LENGTH_MM, size=(3, _WAVES))
        phases = random.uniform(0, 2 * np.pi, _WAVES)
        amplitudes = smooth_mm * np.sqrt(2 / _WAVES)
        along_normal += amplitudes * np.cos(vertices_mm @ waves + phases).sum(axis=1)
    return vertices_mm + along_normal[:, None] * vertex_normals(vertices_mm, triangles)


def _seen(
    scene: OffscreenScene, plane: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """What the rays meet above the root of the neck."""
    points, triangle = hits(scene, plane, _SEEN_FROM_MM, _OUTSIDE_MM)
    points[points[:, 1] < _LOWEST_MM] = np.nan
    return points, triangle


def _interpolated(
    points: NDArray[np.float64], corners: NDArray[np.float64], values: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Values at points on triangles, (k, 3, 3) corners and their values, by area coordinates."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    normal = np.cross(b - a, c - a)
    square = (normal**2).sum(axis=1)
    of_b = np.einsum("ij,ij->i", np.cross(points - a, c - a), normal) / square
    of_c = np.einsum("ij,ij->i", np.cross(b - a, points - a), normal) / square
    weights = np.clip(np.stack([1 - of_b - of_c, of_b, of_c], axis=1), 0, 1)
    mixed = (weights[:, :, None] * values).sum(axis=1)
    colours: NDArray[np.uint8] = mixed.round().astype(np.uint8)
    return colours
