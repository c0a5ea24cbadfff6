"""Distances between each hemiface and the mirror image of the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from vtkmodules.util import numpy_support
from vtkmodules.vtkCommonCore import vtkDoubleArray, vtkPoints
from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData
from vtkmodules.vtkFiltersCore import vtkImplicitPolyDataDistance

from processing.surface.mesh import Mesh
from processing.surface.plane import MirrorPlane

# Farther apart, the two surfaces are no longer the same part of a face.
GATE_MM: Final = 20.0
_SEED: Final = 20071

_SUPPORT: Final[Any] = numpy_support  # carries no types


def mirrored_distances_mm(
    mesh: Mesh, plane: MirrorPlane, measured: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Signed distance of each vertex, mirrored, to the surface itself.

    Positive where the vertex's own side exceeds the mirrored other one.

    Parameters
    ----------
    mesh : Mesh
    plane : MirrorPlane
    measured : (n,) bool array

    Returns
    -------
    (n,) float64 array
        NaN outside `measured`, where the nearest vertex lies on the border of
        the scan, and beyond 20 mm.
    """
    distances = np.full(len(mesh.vertices_mm), np.nan)
    chosen = np.flatnonzero(measured & ~mesh.border)
    if not len(chosen):
        return distances
    images = plane.reflected(mesh.vertices_mm[chosen])
    apart, nearest = cKDTree(mesh.vertices_mm).query(images, distance_upper_bound=GATE_MM)
    found = np.isfinite(apart)
    found[found] = ~mesh.border[nearest[found]]
    chosen, images = chosen[found], images[found]
    values = _signed_distances(_near(mesh, images), images)
    distances[chosen] = np.where(np.abs(values) <= GATE_MM, values, np.nan)
    return distances


def uncertainty_of(
    statistic: Callable[[NDArray[np.float64]], float],
    distances_mm: NDArray[np.float64],
    motion: NDArray[np.float64],
    plane: MirrorPlane,
    noise_mm: float,
) -> float:
    """Standard uncertainty of a statistic of distances.

    The plane is moved by one standard deviation along each principal axis of
    its covariance, and as much noise as the scan has is added once more.

    Parameters
    ----------
    statistic : callable
        Of distances (k,).
    distances_mm : (k,) float64 array
    motion : (k, 3) float64 array
        How each distance changes as the plane moves.
    plane : MirrorPlane
    noise_mm : float
        Standard deviation of one distance.
    """
    variances, directions = np.linalg.eigh(plane.covariance)
    square = 0.0
    for variance, direction in zip(variances, directions.T, strict=True):
        change = motion @ direction * np.sqrt(max(variance, 0.0))
        square += ((statistic(distances_mm + change) - statistic(distances_mm - change)) / 2) ** 2
    noise = noise_mm * np.random.default_rng(_SEED).standard_normal(len(distances_mm))
    square += (statistic(distances_mm + noise) - statistic(distances_mm)) ** 2
    return float(np.sqrt(square))


def _near(mesh: Mesh, points: NDArray[np.float64]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The part of the mesh that can be nearest to the points."""
    low, high = points.min(axis=0) - GATE_MM, points.max(axis=0) + GATE_MM
    inside = ((mesh.vertices_mm > low) & (mesh.vertices_mm < high)).all(axis=1)
    triangles = mesh.triangles[inside[mesh.triangles].any(axis=1)]
    used, renumbered = np.unique(triangles, return_inverse=True)
    return mesh.vertices_mm[used], renumbered.reshape(-1, 3)


def _signed_distances(
    surface: tuple[NDArray[Any], NDArray[Any]], points_mm: NDArray[np.float64]
) -> NDArray[np.float64]:
    vertices, triangles = surface
    points = vtkPoints()
    points.SetData(_SUPPORT.numpy_to_vtk(np.ascontiguousarray(vertices), deep=True))
    cells = vtkCellArray()
    cells.SetData(
        3, _SUPPORT.numpy_to_vtkIdTypeArray(np.ascontiguousarray(triangles).ravel(), deep=True)
    )
    poly_data = vtkPolyData()
    poly_data.SetPoints(points)
    poly_data.SetPolys(cells)
    distance = vtkImplicitPolyDataDistance()
    distance.SetInput(poly_data)
    queries = _SUPPORT.numpy_to_vtk(np.ascontiguousarray(points_mm), deep=True)
    answers = vtkDoubleArray()
    distance.FunctionValue(queries, answers)
    values: NDArray[np.float64] = np.array(_SUPPORT.vtk_to_numpy(answers), np.float64)
    return values
