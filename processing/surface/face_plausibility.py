"""Whether a surface has the relief of a face where its landmarks say it has one.

A detector of faces reports one on a bare skull, on a face without a mouth and on
much else. The relief of eyes, nose and mouth is what those lack, so it is
measured on the surface itself, without the detector.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter

from processing.rendering.scene import OffscreenScene
from processing.surface.frame import REFERENCE_LANDMARKS_MM, FaceFrame
from processing.surface.mesh import Mesh
from processing.surface.mesh_topology import compacted, touching

# All lengths are those of the reference face: each face is measured at its own size.
_FRONT_MM: Final = 150.0
_BACK_MM: Final = -40.0
_BESIDE_MM: Final = 6.0
_CENTRAL_MM: Final = np.array([(-75.0, -90.0, _BACK_MM), (75.0, 75.0, _FRONT_MM)])
_SMOOTHED_MM: Final = 1.0
_PRONASALE_MM: Final = (0.0, -11.3, 74.8)

_NOSE_ROWS_MM: Final = np.arange(-12.0, 9.0, 2.0)
_NOSE_COLUMNS_MM: Final = np.arange(-32.0, 33.0, 2.0)
_NOSE_HALF_MM: Final = 5.0
_CHEEK_FROM_MM: Final = 23.0

_MOUTH_COLUMNS_MM: Final = np.arange(-14.0, 15.0, 2.0)
_MOUTH_ROWS_MM: Final = np.arange(-20.0, 21.0, 1.0)
_MOUTH_REACH_MM: Final = 9.0
_LIP_STEPS: Final = 4
# From the tip of the nose down: nothing so near to it is a mouth, but the fold under the nose.
_UNDER_NOSE_MM: Final = 16.0
_HIGHER_LIP_MM: Final = 1.0

_EYE_COLUMNS: Final = 5
_EYE_ROWS_MM: Final = np.arange(-24.0, 25.0, 2.0)
_EYE_HALF_MM: Final = 8.0
_BROW_FROM_MM: Final = 10.0


@dataclass(frozen=True, slots=True)
class FaceRelief:
    """The relief of a face, in mm at the size of the reference face.

    Parameters
    ----------
    mouth_mm : float
        How deep the valley between the lips is, 4 mm from its bottom.
    nose_mm : float
        How far the nose stands out from the cheek that it stands out from less.
    eye_mm : float
        How far the brow stands out over the eye, on the side where it does more.
    deepest_eye_mm : float
        How deep the deeper eye lies under the middle of brow and cheek: a skull's
        orbits are empty.
    """

    mouth_mm: float
    nose_mm: float
    eye_mm: float
    deepest_eye_mm: float


def relief_of(
    mesh: Mesh, frame: FaceFrame, landmarks_mm: Mapping[str, NDArray[np.float64]]
) -> FaceRelief:
    """Measure the relief of eyes, nose and mouth.

    Parameters
    ----------
    mesh : Mesh
    frame : FaceFrame
        Of the face, from its landmarks.
    landmarks_mm : mapping of str to (3,) array
        In the frame of the scan; the reference face's place stands for a missing one.

    Returns
    -------
    FaceRelief
        Zero where the surface does not show the part at all.
    """
    depths = _Depths(mesh, frame)
    local: dict[str, NDArray[np.float64]] = {
        name: frame.to_face(place[None])[0] / frame.scale for name, place in landmarks_mm.items()
    }

    def at(name: str) -> NDArray[np.float64]:
        found: NDArray[np.float64] | None = local.get(name)
        if found is not None:
            return found
        return np.array(REFERENCE_LANDMARKS_MM.get(name, _PRONASALE_MM))

    tip_up, nose = _nose(depths, at("pronasale"))
    lips = at("labiale_superius"), at("labiale_inferius")
    stomion = local.get("stomion", (lips[0] + lips[1]) / 2)
    eyes = [
        _eye(depths, at(f"endocanthion_{side}"), at(f"exocanthion_{side}"))
        for side in ("left", "right")
    ]
    return FaceRelief(
        mouth_mm=_mouth(depths, stomion, tip_up - _UNDER_NOSE_MM),
        nose_mm=nose,
        eye_mm=max(brow for brow, _ in eyes),
        deepest_eye_mm=max(socket for _, socket in eyes),
    )


class _Depths:
    """How far forward a face reaches, by rays from the front."""

    def __init__(self, mesh: Mesh, frame: FaceFrame) -> None:
        self._local = frame.to_face(mesh.vertices_mm) / frame.scale
        # Of a million vertices most lie beside what is looked at.
        central = _within(self._local, _CENTRAL_MM)
        self._triangles = mesh.triangles[touching(mesh.triangles, central)]

    def over(
        self, left_mm: NDArray[np.float64], up_mm: NDArray[np.float64]
    ) -> NDArray[np.float64] | None:
        """Forward coordinate over a grid (columns, rows), smoothed; None where most is missing.

        What is missing is taken from the nearest place where there is a surface.
        """
        near = np.array(
            [
                (left_mm.min() - _BESIDE_MM, up_mm.min() - _BESIDE_MM, _BACK_MM),
                (left_mm.max() + _BESIDE_MM, up_mm.max() + _BESIDE_MM, _FRONT_MM),
            ]
        )
        triangles = self._triangles[touching(self._triangles, _within(self._local, near))]
        if not len(triangles):
            return None
        used, compact = compacted(triangles, len(self._local))
        left, up = (each.ravel() for each in np.meshgrid(left_mm, up_mm, indexing="ij"))
        starts = np.stack([left, up, np.full(len(left), _FRONT_MM)], axis=1)
        with OffscreenScene(self._local[used], compact) as scene:
            hits, _ = scene.first_hits(
                starts, np.stack([left, up, np.full(len(left), _BACK_MM)], axis=1)
            )
        depth = hits[:, 2].reshape(len(left_mm), len(up_mm))
        missing = ~np.isfinite(depth)
        if missing.mean() > 0.5:
            return None
        nearest = distance_transform_edt(missing, return_distances=False, return_indices=True)
        spacing = np.array([np.diff(left_mm).mean(), np.diff(up_mm).mean()])
        smoothed: NDArray[np.float64] = gaussian_filter(
            depth[tuple(nearest)], _SMOOTHED_MM / spacing, mode="nearest"
        )
        return smoothed


def _within(points: NDArray[np.float64], box: NDArray[np.float64]) -> NDArray[np.bool_]:
    inside = np.ones(len(points), bool)
    for along, low, high in zip(points.T, *box, strict=True):
        inside &= (along > low) & (along < high)
    return inside


def _nose(depths: _Depths, pronasale: NDArray[np.float64]) -> tuple[float, float]:
    """Where the tip of the nose is (up), and how far the nose stands out."""
    up = _NOSE_ROWS_MM + pronasale[1]
    forward = depths.over(_NOSE_COLUMNS_MM + pronasale[0], up)
    if forward is None:
        return float(pronasale[1]), 0.0
    ridge = forward[np.abs(_NOSE_COLUMNS_MM) <= _NOSE_HALF_MM].max(axis=0)
    right = np.median(forward[_NOSE_COLUMNS_MM < -_CHEEK_FROM_MM])
    left = np.median(forward[_NOSE_COLUMNS_MM > _CHEEK_FROM_MM])
    return float(up[np.argmax(ridge)]), float(ridge.max() - max(left, right))


def _mouth(depths: _Depths, stomion: NDArray[np.float64], highest_up: float) -> float:
    """Depth of the deepest valley across the mouth, the median of the columns."""
    up = _MOUTH_ROWS_MM + stomion[1]
    forward = depths.over(_MOUTH_COLUMNS_MM + stomion[0], up)
    if forward is None:
        return 0.0
    above, below = forward[:, 2 * _LIP_STEPS :], forward[:, : -2 * _LIP_STEPS]
    between = forward[:, _LIP_STEPS:-_LIP_STEPS]
    # A step has no lip on its far side: what rises on one side only counts little.
    lips = np.minimum((above + below) / 2, np.minimum(above, below) + _HIGHER_LIP_MM)
    middle = up[_LIP_STEPS:-_LIP_STEPS]
    usable = (np.abs(middle - stomion[1]) <= _MOUTH_REACH_MM) & (middle <= highest_up)
    if not usable.any():
        return 0.0
    return float(np.median((lips - between)[:, usable].max(axis=1)))


def _eye(
    depths: _Depths, endocanthion: NDArray[np.float64], exocanthion: NDArray[np.float64]
) -> tuple[float, float]:
    """How far the brow stands out over the eye, and how deep the eye lies in its socket."""
    ends = sorted((endocanthion[0], exocanthion[0]))
    if not ends[1] - ends[0] > 1.0:
        return 0.0, 0.0
    columns = np.linspace(ends[0], ends[1], _EYE_COLUMNS)
    forward = depths.over(columns, _EYE_ROWS_MM + (endocanthion[1] + exocanthion[1]) / 2)
    if forward is None:
        return 0.0, 0.0
    eye = forward[:, np.abs(_EYE_ROWS_MM) <= _EYE_HALF_MM].min(axis=1)
    brow = forward[:, _EYE_ROWS_MM >= _BROW_FROM_MM].max(axis=1)
    cheek = forward[:, _EYE_ROWS_MM <= -_BROW_FROM_MM].max(axis=1)
    return float(np.median(brow - eye)), float(np.median((brow + cheek) / 2 - eye))
