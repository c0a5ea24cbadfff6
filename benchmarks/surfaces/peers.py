"""Registrations of others: a scan is laid over its mirror image, which makes a plane.

Every one starts from the same mirror image, about a plane some degrees and mm
off, and gets the whole cleaned scan, as its users hand it over. Each is a
benchmark's dependency only, imported by name, and left out where it is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from benchmarks.surfaces.on_plane import Plane
from processing.surface.mesh import Mesh

Array = NDArray[np.float64]

START_DEG: Final = 5.0
START_MM: Final = 4.0
_GATES_MM: Final = (10.0, 5.0, 2.0, 1.0)
_ITERATIONS: Final = 100
_THREADS: Final = 2
_LEAST_SQUARES_ITERATIONS: Final = 15
_LEAST_SQUARES_GATE_MM: Final = 3.0


@dataclass(frozen=True, slots=True, eq=False)
class Mirrored:
    """A scan and its mirror image about a rough plane.

    Parameters
    ----------
    vertices_mm, normals : (n, 3) float64 array
        Of the scan.
    image_mm, image_normals : (n, 3) float64 array
        Of the mirror image.
    start : Plane
    """

    vertices_mm: Array = field(repr=False)
    normals: Array = field(repr=False)
    image_mm: Array = field(repr=False)
    image_normals: Array = field(repr=False)
    start: Plane


Registered = Callable[[Mirrored], Array]
"""Takes a scan and its image; gives the (4, 4) rigid transform of the image onto the scan."""


def mirrored(mesh: Mesh, start: Plane) -> Mirrored:
    """Reflect a scan about a plane."""
    vertices, normals = mesh.vertices_mm, mesh.normals
    image = vertices - 2 * np.outer(vertices @ start.normal - start.offset_mm, start.normal)
    return Mirrored(
        vertices,
        normals,
        image,
        normals - 2 * np.outer(normals @ start.normal, start.normal),
        start,
    )


def rough_start(true: Plane, pivot_mm: Array, seed: int) -> Plane:
    """A plane 5 degrees and 4 mm off the true one, in a random direction."""
    random = np.random.default_rng([seed, 7])
    helper = np.cross(true.normal, random.normal(size=3))
    tilt = np.radians(START_DEG) * helper / np.linalg.norm(helper)
    normal = true.normal + tilt
    normal = normal / np.linalg.norm(normal)
    return Plane(normal, float(normal @ pivot_mm) + START_MM * float(random.choice([-1.0, 1.0])))


def plane_of(transform: Array, start: Plane) -> Plane:
    """The plane of the reflection nearest to mirror image and transform together.

    The two together are ``p -> A p + b`` with det A = -1; the normal of the
    plane is the eigenvector of A for the eigenvalue -1, and half of b along it
    the offset.
    """
    reflection = np.eye(3) - 2 * np.outer(start.normal, start.normal)
    matrix = transform[:3, :3] @ reflection
    shift = transform[:3, :3] @ (2 * start.offset_mm * start.normal) + transform[:3, 3]
    _, _, rows = np.linalg.svd(matrix + np.eye(3))
    normal = rows[-1] * np.sign(rows[-1] @ start.normal)
    return Plane(normal, float(normal @ shift) / 2)


def trimesh_icp(pair: Mirrored) -> Array:
    """trimesh.registration.icp: point to point, least squares, all vertices."""
    trimesh: Any = import_module("trimesh")

    transform, _, _ = trimesh.registration.icp(
        pair.image_mm,
        pair.vertices_mm,
        max_iterations=_ITERATIONS,
        threshold=1e-6,
        reflection=False,
        scale=False,
    )
    return np.asarray(transform)


def vtk_icp(pair: Mirrored) -> Array:
    """VTK's vtkIterativeClosestPointTransform: 3,000 points to the nearest vertex."""
    from vtkmodules.util import numpy_support
    from vtkmodules.vtkCommonCore import vtkPoints
    from vtkmodules.vtkCommonDataModel import (
        vtkCellArray,
        vtkIterativeClosestPointTransform,
        vtkPolyData,
    )

    support: Any = numpy_support  # carries no types

    def cloud(points: Array) -> vtkPolyData:
        data, places, cells = vtkPolyData(), vtkPoints(), vtkCellArray()
        places.SetData(support.numpy_to_vtk(np.ascontiguousarray(points), deep=True))
        index = np.arange(len(points))
        cells.SetData(1, support.numpy_to_vtkIdTypeArray(index, deep=True))
        data.SetPoints(places)
        data.SetVerts(cells)
        return data

    icp = vtkIterativeClosestPointTransform()
    icp.SetSource(cloud(pair.image_mm))
    icp.SetTarget(cloud(pair.vertices_mm))
    icp.GetLandmarkTransform().SetModeToRigidBody()
    icp.SetMaximumNumberOfLandmarks(3_000)
    icp.SetMaximumNumberOfIterations(_ITERATIONS)
    icp.Update()
    matrix = icp.GetMatrix()
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def small_gicp_gicp(pair: Mirrored) -> Array:
    """small_gicp's GICP on a 1 mm grid, pairs within 10, 5, 2, 1 mm in turn."""
    small_gicp: Any = import_module("small_gicp")

    target, tree = small_gicp.preprocess_points(pair.vertices_mm, 1.0, 20, _THREADS)
    source, _ = small_gicp.preprocess_points(pair.image_mm, 1.0, 20, _THREADS)
    transform = np.eye(4)
    for gate in _GATES_MM:
        result = small_gicp.align(
            target,
            source,
            tree,
            init_T_target_source=transform,
            registration_type="GICP",
            max_correspondence_distance=gate,
            num_threads=_THREADS,
        )
        transform = np.asarray(result.T_target_source)
    return transform


def open3d_tukey(pair: Mirrored) -> Array:
    """Open3D's robust point-to-plane ICP as in its manual: Tukey's loss, k = 0.7 mm."""
    open3d: Any = import_module("open3d")

    return _open3d(pair, open3d.pipelines.registration.TukeyLoss(k=0.7))


def open3d_gm(pair: Mirrored) -> Array:
    """Open3D's robust point-to-plane ICP with the loss of Geman and McClure, k = 0.3 mm."""
    open3d: Any = import_module("open3d")

    return _open3d(pair, open3d.pipelines.registration.GMLoss(k=0.3))


def _open3d(pair: Mirrored, loss: Any) -> Array:
    open3d: Any = import_module("open3d")

    registration = open3d.pipelines.registration

    def cloud(points: Array, normals: Array) -> Any:
        made = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(points))
        made.normals = open3d.utility.Vector3dVector(normals)
        return made

    source = cloud(pair.image_mm, pair.image_normals)
    target = cloud(pair.vertices_mm, pair.normals)
    transform = np.eye(4)
    for gate in _GATES_MM:
        result = registration.registration_icp(
            source,
            target,
            gate,
            transform,
            registration.TransformationEstimationPointToPlane(loss),
            registration.ICPConvergenceCriteria(1e-7, 1e-7, 50),
        )
        transform = np.asarray(result.transformation)
    return transform


_PEERS: Final[Mapping[str, tuple[str, Registered]]] = {
    "trimesh icp": ("trimesh", trimesh_icp),
    "VTK icp": ("vtkmodules", vtk_icp),
    "small_gicp GICP": ("small_gicp", small_gicp_gicp),
    "Open3D Tukey": ("open3d", open3d_tukey),
    "Open3D GM": ("open3d", open3d_gm),
}


def installed_peers(say: Callable[[str], None]) -> dict[str, Registered]:
    """The peers that can be imported; those that cannot are said."""
    there = {}
    for name, (package, register) in _PEERS.items():
        try:
            import_module(package)
        except ImportError as missing:
            say(f"left out: {name}: {missing}")
        else:
            there[name] = register
    return there


def least_squares_plane(mesh: Mesh, allowed: NDArray[np.bool_], start: Plane) -> Plane:
    """The floor: least squares over what is known to be unaffected, from the true plane.

    Point to tangent plane over all allowed vertices, three degrees of freedom.
    Nobody has this without the truth; with natural asymmetry it says how well
    a plane is determined at all.
    """
    usable = np.flatnonzero(allowed & ~mesh.border)
    points, normals = mesh.vertices_mm[usable], mesh.normals[usable]
    areas = mesh.areas_mm2[usable]
    pivot = points.mean(axis=0)
    tree = cKDTree(mesh.vertices_mm)
    normal, offset = start.normal, start.offset_mm
    for _ in range(_LEAST_SQUARES_ITERATIONS):
        across = (points - pivot) @ normal + float(normal @ pivot) - offset
        images = points - 2 * np.outer(across, normal)
        turned = normals - 2 * np.outer(normals @ normal, normal)
        distance, partner = tree.query(images, distance_upper_bound=_LEAST_SQUARES_GATE_MM)
        good = np.isfinite(distance)
        partner = np.where(good, partner, 0)
        good &= ~mesh.border[partner]
        good &= np.einsum("ij,ij->i", turned, mesh.normals[partner]) > 0.7
        direction = turned[good] + mesh.normals[partner[good]]
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        residual = np.einsum("ij,ij->i", images[good] - mesh.vertices_mm[partner[good]], direction)
        along = direction @ normal
        # By the normal (three components, one of them without effect) and by the offset.
        jacobian = np.concatenate(
            [
                -2 * ((points[good] - pivot) * along[:, None] + across[good, None] * direction),
                2 * along[:, None],
            ],
            axis=1,
        )
        weighted = areas[good, None] * jacobian
        step = -np.linalg.pinv(weighted.T @ jacobian, rcond=1e-9) @ (weighted.T @ residual)
        at_pivot = offset - float(normal @ pivot)
        tilt = step[:3] - (step[:3] @ normal) * normal
        normal = (normal + tilt) / np.linalg.norm(normal + tilt)
        offset = float(normal @ pivot) + at_pivot + step[3]
    return Plane(normal, float(offset))
