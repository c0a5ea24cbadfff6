"""The strip of a face patch along the contour, straightened.

One axis runs along the contour from the patient's left temple over the chin to
the right one, the other across it, from inside the face outward. All lengths
are in mm of the patch's rough scale.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter1d, map_coordinates

from processing.landmarks import FACE_OVAL, LANDMARKS
from processing.photograph.refinement.patch import FacePatch

CONTOUR: Final = FACE_OVAL[6:31]
"""Landmarks of the contour from just above the patient's left eye over the chin to the right."""

_CHIN: Final = CONTOUR.index(LANDMARKS["gnathion"])

# How much of a sideways move of the chin its surroundings take part in: whole
# within this distance of the gnathion, nothing from the second one on.
_CHIN_BESIDE_MM: Final = (20.0, 44.0)
_CHIN_ABOVE_MM: Final = (10.0, 32.0)
_SMOOTHED_NORMALS_MM: Final = 4.0

# The jaw in shadow is as clear an edge as the jaw in light by its contrast, not
# by its grey levels; what is added before the logarithm keeps noise in black small.
_DARKEST: Final = 60.0
_MIDDLE_GREY: Final = 128.0


@dataclass(frozen=True, slots=True, eq=False)
class ContourBand:
    """Colours along and across a curve; `...` are leading axes of several curves.

    Parameters
    ----------
    places_mm : (..., along, 2) float64 array
        The curve: (column, row) in the patch times its mm per pixel.
    outward : (..., along, 2) float64 array
        Unit normals that point out of the face.
    offsets_mm : (across,) float64 array
        Distances from the curve, + outward.
    step_mm : float
        Distance along the curve from one place to the next.
    colours : (..., along, across, 3) float64 array
        Logarithm of sRGB, scaled so that differences at middle grey are grey levels.
    inside : (..., along, across) bool array
        Where the photograph reaches.
    """

    places_mm: NDArray[np.float64] = field(repr=False)
    outward: NDArray[np.float64] = field(repr=False)
    offsets_mm: NDArray[np.float64] = field(repr=False)
    step_mm: float
    colours: NDArray[np.float64] = field(repr=False)
    inside: NDArray[np.bool_] = field(repr=False)

    def curve_mm(self, offset_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """The curve that lies `offset_mm`, (..., along), outside of this one: (..., along, 2)."""
        curve: NDArray[np.float64] = self.places_mm + offset_mm[..., None] * self.outward
        return curve


def detected_contour_mm(patch: FacePatch) -> NDArray[np.float64]:
    """The detected landmarks of the contour, (25, 2), in mm of the patch."""
    where: NDArray[np.float64] = patch.points_px[list(CONTOUR)] * patch.mm_per_px
    return where


def with_chin_moved(
    contour_mm: NDArray[np.float64], sideways_mm: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The detected contour with the chin moved sideways, once for each of several moves.

    Parameters
    ----------
    contour_mm : (25, 2) float64 array
        From `detected_contour_mm`.
    sideways_mm : (moves,) float64 array
        Toward higher columns.

    Returns
    -------
    (moves, 25, 2) float64 array
    """
    away = np.abs(contour_mm - contour_mm[_CHIN])
    part = _fading(away[:, 0], _CHIN_BESIDE_MM) * _fading(away[:, 1], _CHIN_ABOVE_MM)
    moved = np.repeat(contour_mm[None], len(sideways_mm), axis=0)
    moved[..., 0] += sideways_mm[:, None] * part
    return moved


def band_along(
    patch: FacePatch,
    curves_mm: NDArray[np.float64],
    step_mm: float,
    reach_mm: float,
    across_step_mm: float,
) -> ContourBand:
    """Sample the patch along curves, from inside to outside.

    The places lie evenly and symmetrically about the middle of the curve, so
    that a mirrored curve in a mirrored patch gives the mirrored band.

    Parameters
    ----------
    patch : FacePatch
    curves_mm : (..., points, 2) float64 array
        From the patient's left to the right, through or near the chin.
    step_mm : float
        Wanted distance along the curve.
    reach_mm : float
        How far the band goes to either side.
    across_step_mm : float
    """
    shape = curves_mm.shape[:-2]
    curves = curves_mm.reshape(-1, *curves_mm.shape[-2:])
    longest = max(float(_lengths(curve)[-1]) for curve in curves)
    count = 2 * int(np.ceil(longest / step_mm / 2)) + 1
    sampled = [_evenly(curve, count, _SMOOTHED_NORMALS_MM / step_mm) for curve in curves]
    places = np.stack([each for each, _ in sampled])
    outward = np.stack([each for _, each in sampled])
    reach = round(reach_mm / across_step_mm)
    offsets = across_step_mm * np.arange(-reach, reach + 1, dtype=np.float64)
    where = places[..., None, :] + offsets[:, None] * outward[..., None, :]
    where = where / patch.mm_per_px
    colours = _colours(patch, where)
    return ContourBand(
        places_mm=places.reshape(*shape, count, 2),
        outward=outward.reshape(*shape, count, 2),
        offsets_mm=offsets,
        step_mm=longest / (count - 1),
        colours=colours.reshape(*shape, count, len(offsets), 3),
        inside=_inside(patch, where).reshape(*shape, count, len(offsets)),
    )


def _lengths(curve: NDArray[np.float64]) -> NDArray[np.float64]:
    steps = np.hypot(*np.diff(curve, axis=0).T)
    # Two landmarks at one place would leave the spline without a direction.
    return np.concatenate([[0.0], np.cumsum(np.maximum(steps, 1e-6))])


def _evenly(
    curve: NDArray[np.float64], count: int, smoothed: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    length = _lengths(curve)
    spline = CubicSpline(length, curve)
    at = length[-1] / 2 * (1 + np.arange(-(count // 2), count // 2 + 1) / (count // 2))
    along = spline(at, 1)
    outward = np.column_stack([along[:, 1], -along[:, 0]])
    outward /= np.maximum(np.linalg.norm(outward, axis=1, keepdims=True), 1e-9)
    outward = gaussian_filter1d(outward, smoothed, axis=0, mode="nearest")
    outward /= np.maximum(np.linalg.norm(outward, axis=1, keepdims=True), 1e-9)
    return spline(at), outward


def _colours(patch: FacePatch, where_px: NDArray[np.float64]) -> NDArray[np.float64]:
    at = [where_px[..., 1], where_px[..., 0]]
    channels = [
        map_coordinates(patch.pixels[..., each], at, output=np.float64, order=1, mode="nearest")
        for each in range(3)
    ]
    colours: NDArray[np.float64] = (_MIDDLE_GREY + _DARKEST) * np.log(
        np.stack(channels, axis=-1) + _DARKEST
    )
    return colours


def _inside(patch: FacePatch, where_px: NDArray[np.float64]) -> NDArray[np.bool_]:
    rows, columns = patch.inside.shape
    column, row = np.rint(where_px[..., 0]), np.rint(where_px[..., 1])
    within = (column >= 0) & (row >= 0) & (column < columns) & (row < rows)
    reached = patch.inside[
        np.clip(row, 0, rows - 1).astype(int), np.clip(column, 0, columns - 1).astype(int)
    ]
    seen: NDArray[np.bool_] = within & reached
    return seen


def _fading(distance: NDArray[np.float64], bounds: tuple[float, float]) -> NDArray[np.float64]:
    """1 up to the first bound, 0 from the second, a smooth step between."""
    part = np.clip((bounds[1] - distance) / (bounds[1] - bounds[0]), 0.0, 1.0)
    smooth: NDArray[np.float64] = part**2 * (3 - 2 * part)
    return smooth
