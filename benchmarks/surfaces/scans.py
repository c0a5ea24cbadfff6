"""How a face is scanned: own triangles on each side, ragged borders, noise and a pose."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from benchmarks.surfaces.heads import SymmetricHead
from processing.inputs import Surface
from processing.phantom.sampled_directions import hexagonal_disc, hits, joined
from processing.phantom.scanner import with_noise
from processing.rendering.scene import OffscreenScene

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

SCAN_CENTRE_CANONICAL_MM: Final = (0.0, -5.0, -45.0)
OUTSIDE_MM: Final = 300.0
# How far the scan goes around the face, drawn at random in every direction, left and right
# apart from one another: from before the ear to behind it, from below the chin to the neck.
_REACH_DEG: Final = (84.0, 104.0)
_REACH_DOWN_DEG: Final = (62.0, 78.0)
_REACH_UP_DEG: Final = (66.0, 85.0)
_RAGGED_DEG: Final = 1.5
_JITTER: Final = 0.25
LONGEST_EDGE: Final = 6.0
_TRIAL_RAYS: Final = 1_500


@dataclass(frozen=True, slots=True)
class ScanSpec:
    """What the scanner does to a face.

    Parameters
    ----------
    vertices : int
        About as many.
    white_mm, smooth_mm : float
        Noise along the normal: from vertex to vertex, and correlated over 6 mm.
    cropped : bool
        The border differs between the sides; else it is the same all around.
    posed : bool
        Turned and shifted at random; else as the head stands.
    any_pose : bool
        Turned in any direction whatever, instead of within 40 degrees.
    """

    vertices: int = 30_000
    white_mm: float = 0.15
    smooth_mm: float = 0.1
    cropped: bool = True
    posed: bool = True
    any_pose: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """A scan, and where its vertices come from.

    Parameters
    ----------
    surface : Surface
    clean_mm : (k, 3) float64 array
        The vertices without noise and pose: exactly on the face.
    on_triangle : (k,) int64 array
        The triangle of the head that each lies on.
    rotation : (3, 3) float64 array
        From the frame of the head to that of the scan: ``p @ rotation.T + shift``.
    shift_mm : (3,) float64 array
    """

    surface: Surface
    clean_mm: Array = field(repr=False)
    on_triangle: Indices = field(repr=False)
    rotation: Array = field(repr=False)
    shift_mm: Array = field(repr=False)

    def placed(self, points_mm: Array) -> Array:
        """Points (k, 3) of the head in the frame of the scan."""
        moved: Array = points_mm @ self.rotation.T + self.shift_mm
        return moved


def scanned(
    head: SymmetricHead,
    vertices_mm: Array,
    spec: ScanSpec,
    seed: int,
    name: str,
    border_seed: int | None = None,
) -> Scan:
    """Scan a face, hollowed or not.

    Rays come in along a jittered hexagonal grid of directions, turned at
    random, so that no vertex has a mirror partner; what is hidden is missing.

    Parameters
    ----------
    head : SymmetricHead
    vertices_mm : (n, 3) float64 array
        Of the head, moved.
    spec : ScanSpec
    seed : int
    name : str
        Source of the surface.
    border_seed : int, optional
        Of another scan: this one then goes exactly as far around the face.
    """
    random = np.random.default_rng(seed)
    of_border = random if border_seed is None else np.random.default_rng(border_seed)
    reach = _Reach(of_border, cropped=spec.cropped)
    centre = head.from_canonical(np.array([SCAN_CENTRE_CANONICAL_MM]))[0]
    with OffscreenScene(vertices_mm, head.triangles) as scene:
        share = 0.5
        for trial in (_TRIAL_RAYS, 0):
            count = trial or int(spec.vertices / share)
            plane = hexagonal_disc(count, _REACH_DEG[1] + 6, _JITTER, random)
            plane = plane[reach.covers(plane)]
            points, triangle = hits(scene, plane, centre, OUTSIDE_MM)
            mesh = joined(plane, points, LONGEST_EDGE)
            used = np.unique(mesh)
            share = max(len(used) / count, 0.05)
    triangles = np.searchsorted(used, mesh).astype(np.int32)
    clean = points[used]
    noisy = with_noise(clean, triangles, spec.white_mm, spec.smooth_mm, random)
    rotation, shift = _pose(spec, random)
    return Scan(
        Surface(noisy @ rotation.T + shift, triangles, name),
        clean,
        triangle[used],
        rotation,
        shift,
    )


class _Reach:
    """How far the scan goes in each direction of the Lambert disc."""

    def __init__(self, random: np.random.Generator, *, cropped: bool) -> None:
        sides, down, up = (
            random.uniform(*limits, 2) if cropped else np.full(2, np.mean(limits))
            for limits in (_REACH_DEG, _REACH_DOWN_DEG, _REACH_UP_DEG)
        )
        # Left, up, right, down, and back to left.
        self._angles = np.radians([0, 90, 180, 270, 360])
        self._degrees = np.array([sides[0], up[0], sides[1], down[0], sides[0]])
        self._phases = random.uniform(0, 2 * np.pi, 4) if cropped else None

    def covers(self, plane: Array) -> NDArray[np.bool_]:
        azimuth = np.arctan2(plane[:, 1], plane[:, 0]) % (2 * np.pi)
        place = np.searchsorted(self._angles, azimuth, side="right").clip(1, 4) - 1
        along = (azimuth - self._angles[place]) / (np.pi / 2)
        along = (1 - np.cos(np.pi * along)) / 2
        limit = self._degrees[place] * (1 - along) + self._degrees[place + 1] * along
        if self._phases is not None:
            for number, phase in enumerate(self._phases):
                limit = limit + _RAGGED_DEG * np.sin((3 * number + 5) * azimuth + phase)
        inside: NDArray[np.bool_] = np.linalg.norm(plane, axis=1) < 2 * np.sin(
            np.radians(limit) / 2
        )
        return inside


def _pose(spec: ScanSpec, random: np.random.Generator) -> tuple[Array, Array]:
    if not spec.posed:
        return np.eye(3), np.zeros(3)
    turn = Rotation.from_euler("yxz", random.uniform(-40.0, 40.0, 3), degrees=True)
    if spec.any_pose:
        turn = Rotation.random(random_state=int(random.integers(2**31)))
    return turn.as_matrix(), random.uniform(-300.0, 300.0, 3)
