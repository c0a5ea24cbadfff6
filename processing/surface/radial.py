"""Both hemifaces as distances from one centre, over the same directions.

Seen from a centre on the midsagittal plane, at the depth of the ears, a face is
the graph of a function: a radius for each direction. The directions of the left
and of the right hemiface are mirror images of one another by construction, so
is the facial region, and the volume between the two is an integral over
directions in which no vertex needs a partner.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from processing.surface.frame import FaceFrame
from processing.surface.mesh import Mesh
from processing.surface.raster import draw_heights, may_cover

# Of the reference face, in its own frame: 40 mm behind the origin lies about the tragus.
CENTRE_MM: Final = np.array([0.0, -5.0, -40.0])
# Half axes of the facial region, a superellipse of the fourth degree in Lambert's
# azimuthal equal-area projection of the directions. It follows the contour of
# MediaPipe's canonical face (1.26 wide, 0.80 up and down) and goes a little beyond
# it: up to the hairline, to the front of the ears, and round the mandible.
HALF_WIDTH: Final = 1.34
HALF_HEIGHT_UP: Final = 0.93
HALF_HEIGHT_DOWN: Final = 1.10
PIXEL: Final = 0.006
COLUMNS: Final = 226
ROWS: Final = 376
# Left out along the edge of the scan and around its holes.
_BORDER_PX: Final = 5
_SMOOTHING_PX: Final = 2.0
_DIFFERENCE_SMOOTHING_MM: Final = 4.0
# Triangles seen more obliquely than this from the centre are not the outer surface.
_LEAST_COSINE: Final = 0.05
# Of the reference face: no skin of the face is nearer to or farther from the centre.
_NEAREST_MM: Final = 40.0
_FARTHEST_MM: Final = 160.0


# Without slots, so that what is derived from the radii is computed once.
@dataclass(frozen=True, eq=False)
class RadialMaps:
    """The radii of both hemifaces over the directions of one.

    The column counts outward from the midsagittal plane, the row upward; pixel
    (row, column) of `left_mm` and of `right_mm` are mirror images. Every pixel
    covers the same solid angle, ``PIXEL ** 2`` steradian.

    Parameters
    ----------
    left_mm, right_mm : (ROWS, COLUMNS) float64 array
        Distance of the outermost surface from the centre; NaN where there is none.
    measured : (ROWS, COLUMNS) bool array
        Inside the facial region, with surface on both sides, away from edges.
    frame : FaceFrame
    """

    left_mm: NDArray[np.float64] = field(repr=False)
    right_mm: NDArray[np.float64] = field(repr=False)
    measured: NDArray[np.bool_] = field(repr=False)
    frame: FaceFrame

    @cached_property
    def mean_mm(self) -> NDArray[np.float64]:
        """Mean radius of both hemifaces, (ROWS, COLUMNS)."""
        return (self.left_mm + self.right_mm) / 2

    @cached_property
    def cubes_mm3(self) -> NDArray[np.float64]:
        """Volume of left minus right at each pixel, (ROWS, COLUMNS); 0 where not measured.

        The cone of solid angle w between radii a and b holds w (b^3 - a^3) / 3.
        """
        difference = (self.left_mm**3 - self.right_mm**3) * (PIXEL**2 / 3)
        return np.where(self.measured, difference, 0.0)

    @property
    def coverage(self) -> float:
        """The part of the facial region in which both hemifaces were scanned."""
        region = region_mask()
        return float(np.count_nonzero(self.measured & region) / np.count_nonzero(region))

    def points_mm(self) -> NDArray[np.float64]:
        """Points amid the left and the mirrored right hemiface, (ROWS, COLUMNS, 3), face frame."""
        return self.mean_mm[..., None] * pixel_directions() + self.frame.scale * CENTRE_MM

    @cached_property
    def elements_mm2(self) -> NDArray[np.float64]:
        """Area of the surface amid both hemifaces under each pixel, times its outward normal.

        (ROWS, COLUMNS, 3), in the face frame, on the left; without meaning where
        there is no surface. The radius is smoothed by two pixels first.
        """
        radius = np.nan_to_num(smoothed(self.mean_mm, _SMOOTHING_PX), nan=1.0)
        points = radius[..., None] * pixel_directions()
        down, across = np.gradient(points, axis=(0, 1))
        elements: NDArray[np.float64] = np.cross(across, down)
        return elements

    @cached_property
    def cosines(self) -> NDArray[np.float64]:
        """Cosine between each ray and the normal of the surface amid both hemifaces.

        (ROWS, COLUMNS), without meaning where there is no surface.
        """
        outward = np.einsum("ijk,ijk->ij", self.elements_mm2, pixel_directions())
        cosines: NDArray[np.float64] = outward / np.linalg.norm(self.elements_mm2, axis=-1)
        return cosines

    @cached_property
    def normal_difference_mm(self) -> NDArray[np.float64]:
        """Left minus right along the surface's normal, to first order; NaN where not measured.

        A radial difference counts by the cosine between the ray and the normal.
        """
        difference = (self.left_mm - self.right_mm) * self.cosines
        return np.where(self.measured, difference, np.nan)

    @cached_property
    def smooth_difference_mm(self) -> NDArray[np.float64]:
        """`normal_difference_mm`, smoothed over 4 mm."""
        return smoothed(self.normal_difference_mm, self.pixels_of(_DIFFERENCE_SMOOTHING_MM))

    @cached_property
    def pixels_per_mm(self) -> float:
        """How many pixels a millimetre on the skin takes, at the mean radius of the face."""
        return float(1.0 / (PIXEL * np.nanmean(self.mean_mm[self.measured])))

    def pixels_of(self, length_mm: float) -> float:
        """How many pixels a length on the skin takes."""
        return length_mm * self.pixels_per_mm


def smoothed(values: NDArray[np.float64], sigma_px: float) -> NDArray[np.float64]:
    """Gaussian mean of the values that are there (normalised convolution); NaN elsewhere."""
    there = np.isfinite(values)
    total = ndimage.gaussian_filter(np.where(there, values, 0.0), sigma_px, mode="constant")
    weight = ndimage.gaussian_filter(there.astype(np.float64), sigma_px, mode="constant")
    mean = np.full(values.shape, np.nan)
    mean[there] = total[there] / weight[there]
    return mean


@lru_cache(maxsize=1)
def pixel_directions() -> NDArray[np.float64]:
    """Unit vectors of the pixels' centres on the left, (ROWS, COLUMNS, 3), face frame.

    Not to be written to.
    """
    across = (np.arange(COLUMNS) + 0.5) * PIXEL
    upward = (np.arange(ROWS) + 0.5 - ROWS / 2) * PIXEL
    u, v = np.meshgrid(across, upward)
    square = u**2 + v**2
    stretch = np.sqrt(1 - square / 4)
    directions = np.stack([u * stretch, v * stretch, 1 - square / 2], axis=-1)
    directions.flags.writeable = False
    return directions


@lru_cache(maxsize=1)
def region_mask() -> NDArray[np.bool_]:
    """The facial region on the grid of one hemiface, (ROWS, COLUMNS). Not to be written to."""
    across = (np.arange(COLUMNS) + 0.5) * PIXEL
    upward = (np.arange(ROWS) + 0.5 - ROWS / 2) * PIXEL
    u, v = np.meshgrid(across, upward)
    half_height = np.where(v > 0, HALF_HEIGHT_UP, HALF_HEIGHT_DOWN)
    inside: NDArray[np.bool_] = (u / HALF_WIDTH) ** 4 + (v / half_height) ** 4 < 1
    inside.flags.writeable = False
    return inside


def places_px(
    points_mm: NDArray[np.float64], frame: FaceFrame
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where points appear on the grid.

    Parameters
    ----------
    points_mm : (k, 3) float64 array
        In the face frame; those of the right hemiface have negative columns.
    frame : FaceFrame

    Returns
    -------
    (k, 2) float64 array
        (column, row); far outside for directions backward.
    (k,) float64 array
        Distance from the centre, mm.
    """
    from_centre = points_mm - frame.scale * CENTRE_MM
    radius = np.linalg.norm(from_centre, axis=1)
    direction = from_centre / np.maximum(radius, 1e-9)[:, None]
    forward = direction[:, 2]
    stretch = np.sqrt(2 / np.maximum(1 + forward, 1e-3))
    places = direction[:, :2] * (stretch / PIXEL)[:, None]
    places[forward < -0.5] = 1e6
    return places + np.array([-0.5, ROWS / 2 - 0.5]), radius


def radial_maps(mesh: Mesh, frame: FaceFrame) -> RadialMaps:
    """Draw both hemifaces of a mesh over the same directions.

    Parameters
    ----------
    mesh : Mesh
    frame : FaceFrame
        On the midsagittal plane.
    """
    radii = _radii(frame.to_face(mesh.vertices_mm), mesh.triangles, frame)
    left, right = radii[:, COLUMNS:], np.ascontiguousarray(radii[:, COLUMNS - 1 :: -1])
    both = np.isfinite(left) & np.isfinite(right)
    # The midsagittal plane is no edge: beyond it the other side goes on.
    mirrored = np.concatenate([both[:, ::-1], both], axis=1)
    inner = ndimage.binary_erosion(mirrored, iterations=_BORDER_PX, border_value=1)
    return RadialMaps(left.copy(), right, inner[:, COLUMNS:] & region_mask(), frame)


def looked_up(grid: NDArray[np.bool_], mesh: Mesh, frame: FaceFrame) -> NDArray[np.bool_]:
    """Which vertices of either side lie on marked pixels, (n,) bool."""
    pixels = pixels_of_points(frame.to_face(mesh.vertices_mm), frame)
    return np.append(grid.ravel(), False)[pixels]


def beside_or_opposite(
    chosen: NDArray[np.bool_], mesh: Mesh, frame: FaceFrame, margin_mm: float
) -> NDArray[np.bool_]:
    """Vertices of either side in or near the directions of chosen ones, (n,) bool.

    However deep an area is hollowed, what lies opposite is found: it is looked for
    by its direction from the centre, not by its distance.

    Parameters
    ----------
    chosen : (n,) bool array
    mesh : Mesh
    frame : FaceFrame
        On the midsagittal plane.
    margin_mm : float
        On the surface.
    """
    points = frame.to_face(mesh.vertices_mm)
    pixels = pixels_of_points(points, frame)
    marked = np.zeros(ROWS * COLUMNS + 1, bool)
    marked[pixels[chosen]] = True
    grid = marked[:-1].reshape(ROWS, COLUMNS)
    if not grid.any():
        return chosen
    radius = float(np.median(np.linalg.norm(points[chosen] - frame.scale * CENTRE_MM, axis=1)))
    near = ndimage.distance_transform_edt(~grid) <= margin_mm / (PIXEL * radius)
    return np.asarray(chosen | np.append(near.ravel(), False)[pixels])


def pixels_of_points(points_mm: NDArray[np.float64], frame: FaceFrame) -> NDArray[np.int64]:
    """The pixel, counted row by row, on which each point of either side lies; else -1.

    Parameters
    ----------
    points_mm : (k, 3) float64 array
        In the face frame.
    frame : FaceFrame
    """
    on_left = points_mm.copy()
    on_left[:, 0] = np.abs(on_left[:, 0])
    places, radius = places_px(on_left, frame)
    columns, rows = np.rint(places).clip(-1, 10_000).astype(np.int64).T
    columns = np.maximum(columns, 0)
    inside = (columns < COLUMNS) & (rows >= 0) & (rows < ROWS)
    inside &= (radius > _NEAREST_MM * frame.scale) & (radius < _FARTHEST_MM * frame.scale)
    return np.where(inside, rows * COLUMNS + columns, -1)


def _radii(
    points: NDArray[np.float64], triangles: NDArray[np.int64], frame: FaceFrame
) -> NDArray[np.float64]:
    """Of both hemifaces at once, (ROWS, 2 * COLUMNS), the right one first."""
    places, radius = places_px(points, frame)
    places[:, 0] += COLUMNS
    shape = (ROWS, 2 * COLUMNS)
    near = (places > -50).all(axis=1) & (places < (shape[1] + 50, shape[0] + 50)).all(axis=1)
    near &= (radius > _NEAREST_MM * frame.scale) & (radius < _FARTHEST_MM * frame.scale)
    drawn = triangles[near[triangles].all(axis=1)]
    drawn = drawn[may_cover(places, drawn, shape)]

    from_centre = points - frame.scale * CENTRE_MM
    corners = from_centre[drawn]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal = normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    plane_distance = np.einsum("ij,ij->i", normal, corners[:, 0])
    cosine = plane_distance / np.linalg.norm(corners.mean(axis=1), axis=1)
    outward = cosine > _LEAST_COSINE
    drawn, normal, plane_distance = drawn[outward], normal[outward], plane_distance[outward]
    left = pixel_directions()
    directions = np.concatenate([left[:, ::-1] * (-1.0, 1.0, 1.0), left], axis=1)
    farthest = radius[drawn].max(axis=1)

    def heights_of(
        which: NDArray[np.intp], columns: NDArray[np.int64], rows: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        # The ray of a pixel meets the plane of the triangle: no error of projection.
        along = np.einsum("ij,ij->i", normal[which], directions[rows, columns])
        distance = plane_distance[which] / np.maximum(along, 1e-6)
        bounded: NDArray[np.float64] = np.minimum(distance, farthest[which])
        return bounded

    return draw_heights(places, drawn, shape, heights_of)
