"""The volume between a hemiface and the mirrored other one, and how well it is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from processing.surface.frame import FaceFrame, frame_on_plane
from processing.surface.mesh import Mesh
from processing.surface.plane import MirrorPlane
from processing.surface.radial import (
    COLUMNS,
    ROWS,
    RadialMaps,
    places_px,
)
from processing.surface.raster import draw_heights, may_cover
from processing.surface.scan_noise import ScanNoise

MM3_PER_ML: Final = 1000.0

_GRID_MM: Final = 0.5
RIM_MM: Final = (0.5, 9.0)
_GRID_MARGIN_MM: Final = 12.0
_LEAST_RIM_PIXELS: Final = 50


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume, left minus right, with its standard uncertainty."""

    value_ml: float
    uncertainty_ml: float


@dataclass(frozen=True, slots=True)
class LevelledVolume:
    """A volume over an area, as it is and with the rim around the area taken as zero."""

    raw_ml: float
    levelled_ml: float


def region_volumes(
    maps: RadialMaps,
    plane: MirrorPlane,
    noise: ScanNoise,
    motion_ml: NDArray[np.float64],
    regions: Mapping[str, NDArray[np.bool_]],
) -> dict[str, Volume]:
    """The volume difference of each region, left minus right.

    The integral of (left^3 - right^3) / 3 over the directions of the region;
    its uncertainty is that of the plane and that of the scan.

    Parameters
    ----------
    maps : RadialMaps
        On `plane`.
    plane : MirrorPlane
    noise : ScanNoise
        Of `maps`.
    motion_ml : (ROWS, COLUMNS, 3) float64 array
        From `volume_by_motion_ml`.
    regions : mapping of str to (ROWS, COLUMNS) bool array
    """
    volumes = {}
    for name, mask in regions.items():
        value = float(maps.cubes_mm3[mask].sum()) / MM3_PER_ML
        gradient = motion_ml[mask].sum(axis=0)
        square = float(gradient @ plane.covariance @ gradient) + noise.volume_sd_ml(mask) ** 2
        volumes[name] = Volume(value, float(np.sqrt(square)))
    return volumes


def volume_by_motion_ml(maps: RadialMaps, plane: MirrorPlane) -> NDArray[np.float64]:
    """How the volume at each pixel changes as the plane moves.

    The mirror image of the left hemiface moves, and sweeps the volume of its
    surface times its motion along the right hemiface's normal.

    Parameters
    ----------
    maps : RadialMaps
        On `plane`.
    plane : MirrorPlane

    Returns
    -------
    (ROWS, COLUMNS, 3) float64 array
        mL per radian for the two tilts of the plane, mL per mm for its shift;
        0 where not measured.
    """
    motion = np.zeros((*maps.measured.shape, 3))
    there = maps.measured
    points = maps.frame.to_scan(maps.points_mm()[there])
    elements = maps.elements_mm2[there] @ maps.frame.axes
    motion[there] = plane.image_motion(points, plane.reflected_directions(elements)) / MM3_PER_ML
    return motion


def hemiface_ml(maps: RadialMaps) -> float:
    """Left minus right over all that is measured."""
    return float(maps.cubes_mm3.sum()) / MM3_PER_ML


def moved_frame(frame: FaceFrame, plane: MirrorPlane) -> FaceFrame:
    """The face frame hung on another plane nearby."""
    return frame_on_plane(frame, plane.normal, plane.offset_mm)


def area_volume(mesh: Mesh, maps: RadialMaps, area: NDArray[np.bool_]) -> LevelledVolume | None:
    """The volume difference over an area, as a height difference along its mean normal.

    Both hemifaces are drawn as heights along the mean normal of the area on one
    0.5 mm grid. The levelled volume takes the mean difference on a rim, 0.5 to
    9 mm around the area, as zero.

    Parameters
    ----------
    mesh : Mesh
    maps : RadialMaps
    area : (ROWS, COLUMNS) bool array

    Returns
    -------
    LevelledVolume or None
        None when there is no rim to level on.
    """
    axes, centre = _area_axes(mesh, maps, area)
    points = maps.frame.to_face(mesh.vertices_mm)
    left = (points - centre) @ axes.T
    right = (points * (-1.0, 1.0, 1.0) - centre) @ axes.T
    places = (maps.points_mm()[area] - centre) @ axes.T
    low = places[:, :2].min(axis=0) - _GRID_MARGIN_MM
    size = np.ceil((places[:, :2].max(axis=0) + _GRID_MARGIN_MM - low) / _GRID_MM).astype(int)
    shape = (int(size[1]), int(size[0]))
    reach = float(np.abs(places[:, 2]).max()) + 2 * _GRID_MARGIN_MM
    heights_left = _heights(left, mesh.triangles, low, shape, reach)
    heights_right = _heights(right, mesh.triangles[:, ::-1], low, shape, reach)
    difference = heights_left - heights_right

    inside, measured = _on_plane_grid(
        (heights_left + heights_right) / 2, low, axes, centre, maps, area
    )
    away = ndimage.distance_transform_edt(~inside) * _GRID_MM
    rim = measured & ~inside & (away >= RIM_MM[0]) & (away <= RIM_MM[1])
    if np.count_nonzero(rim) < _LEAST_RIM_PIXELS or not inside.any():
        return None
    pixel_ml = _GRID_MM**2 / MM3_PER_ML
    raw = float(difference[inside].sum() * pixel_ml)
    level = float(np.median(difference[rim]))
    return LevelledVolume(raw, raw - level * int(np.count_nonzero(inside)) * pixel_ml)


def _area_axes(
    mesh: Mesh, maps: RadialMaps, area: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Axes (rows: across, along, normal) and centre of an area, in the face frame."""
    points = maps.points_mm()
    by_row = np.gradient(points, axis=0)[area]
    by_column = np.gradient(points, axis=1)[area]
    crosses = np.cross(by_column, by_row)
    crosses = crosses[np.isfinite(crosses).all(axis=1)]
    normal = crosses.sum(axis=0)
    normal = normal / np.linalg.norm(normal)
    up = np.array([0.0, 1.0, 0.0]) - normal[1] * normal
    up = up / np.linalg.norm(up)
    return np.stack([np.cross(up, normal), up, normal]), points[area].mean(axis=0)


def _heights(
    points: NDArray[np.float64],
    triangles: NDArray[np.int64],
    low: NDArray[np.float64],
    shape: tuple[int, int],
    reach_mm: float,
) -> NDArray[np.float64]:
    places = (points[:, :2] - low) / _GRID_MM
    near = (places > -20).all(axis=1) & (places < (shape[1] + 20, shape[0] + 20)).all(axis=1)
    near &= np.abs(points[:, 2]) < reach_mm
    drawn = triangles[near[triangles].all(axis=1)]
    drawn = drawn[may_cover(places, drawn, shape)]
    corners = points[drawn]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    facing = normal[:, 2] > 0.05 * np.linalg.norm(normal, axis=1)
    drawn, normal, corner = drawn[facing], normal[facing], corners[facing, 0]
    slope = -normal[:, :2] / normal[:, 2:]

    def heights_of(
        which: NDArray[np.intp], columns: NDArray[np.int64], rows: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        at = np.stack([columns, rows], axis=1) * _GRID_MM + low - corner[which, :2]
        height: NDArray[np.float64] = corner[which, 2] + np.einsum("ij,ij->i", slope[which], at)
        return height

    return draw_heights(places, drawn, shape, heights_of)


def _on_plane_grid(
    heights: NDArray[np.float64],
    low: NDArray[np.float64],
    axes: NDArray[np.float64],
    centre: NDArray[np.float64],
    maps: RadialMaps,
    area: NDArray[np.bool_],
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Area and measured face, looked up on the flat grid."""
    rows, columns = np.indices(heights.shape)
    local = np.stack(
        [columns * _GRID_MM + low[0], rows * _GRID_MM + low[1], np.nan_to_num(heights)], axis=-1
    )
    points = local.reshape(-1, 3) @ axes + centre
    places, _ = places_px(points, maps.frame)
    column, row = np.rint(places).clip(-1, 10_000).astype(np.int64).T
    there = (column >= 0) & (column < COLUMNS) & (row >= 0) & (row < ROWS)
    there &= np.isfinite(heights).ravel()
    marked = np.zeros((2, heights.size), bool)
    for index, grid in enumerate((area, maps.measured)):
        marked[index, there] = grid[row[there], column[there]]
    return marked[0].reshape(heights.shape), marked[1].reshape(heights.shape)
