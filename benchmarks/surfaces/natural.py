"""The asymmetry that every face has: smooth, small, and its own volume."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.surfaces.heads import SymmetricHead

Array = NDArray[np.float64]

# The left-right difference along the normal of MeshMonk's twelve simulated faces (0.20 to
# 0.37 mm RMS) correlates by 0.67 at 12 mm, 0.41 at 20 mm and 0.12 at 36 mm: about a Gaussian.
CORRELATION_MM: Final = 16.0
_WAVES: Final = 200
_LATERAL_CANONICAL_MM: Final = 75.0
_HEIGHT_CANONICAL_MM: Final = (-85.0, 80.0)
_BEHIND_CANONICAL_MM: Final = 0.0


def with_natural_asymmetry(
    head: SymmetricHead, rms_mm: float, random: np.random.Generator
) -> Array:
    """The face with a random, smooth difference between its sides.

    Half of the difference is added on one side and taken off the other along
    the smoothed normal; it is zero on the midline. What a turn or a shift of
    the plane explains over the front of the face is taken out of it first, so
    that the plane of the face before the deficit is x = 0: the asymmetry of
    people is known, too, after the best plane only.

    Parameters
    ----------
    head : SymmetricHead
    rms_mm : float
        Of left minus mirrored right, over the front of the face.
    random : numpy.random.Generator

    Returns
    -------
    (n, 3) float64 array
    """
    if rms_mm == 0:
        return head.vertices_mm.copy()
    waves = random.normal(scale=1 / CORRELATION_MM, size=(3, _WAVES))
    phases = random.uniform(0, 2 * np.pi, _WAVES)
    field = np.zeros(len(head.vertices_mm))
    # Wave by wave: all at once would take 400 MB.
    for wave, phase in zip(waves.T, phases, strict=True):
        field += np.cos((head.vertices_mm * wave).sum(axis=1) + phase)
    difference = field - field[head.mirror]
    front = facial(head)
    motion = _motion_of_plane(head)
    explained, *_ = np.linalg.lstsq(motion[front], difference[front], rcond=None)
    difference = difference - motion @ explained
    difference *= rms_mm / np.sqrt((difference[front] ** 2).mean())
    moved: Array = head.vertices_mm + 0.5 * difference[:, None] * head.smooth_normals
    return moved


def _motion_of_plane(head: SymmetricHead) -> Array:
    """Left-right difference by a shift and by two turns of the plane, (n, 3)."""
    x, y, z = head.vertices_mm.T
    normal_x, normal_y, normal_z = head.smooth_normals.T
    return np.stack([normal_x, y * normal_x - x * normal_y, z * normal_x - x * normal_z], axis=1)


def facial(head: SymmetricHead) -> NDArray[np.bool_]:
    """Vertices of the front of the face, (n,)."""
    places = head.to_canonical(head.vertices_mm)
    low, high = _HEIGHT_CANONICAL_MM
    inside: NDArray[np.bool_] = (
        (np.abs(places[:, 0]) < _LATERAL_CANONICAL_MM)
        & (places[:, 1] > low)
        & (places[:, 1] < high)
        & (places[:, 2] > _BEHIND_CANONICAL_MM)
    )
    return inside
