"""Loop subdivision of a triangle mesh that is its own mirror image.

C. Loop, "Smooth subdivision surfaces based on triangles", Master's thesis,
University of Utah, 1987; with the weights of J. Warren (1995) at the vertices
and the masks of the limit surface as in Hoppe et al., SIGGRAPH 1994.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

MIRROR_X = np.array([-1.0, 1.0, 1.0])


@dataclass(frozen=True, slots=True)
class MirroredMesh:
    """A mesh that is symmetric about x = 0 in its coordinates and in its triangles.

    Parameters
    ----------
    vertices : (n, 3) float64 array
    triangles : (m, 3) int64 array
        Counter-clockwise seen from outside.
    mirror : (n,) int64 array
        The left-right partner of each vertex; itself on the midline.
    """

    vertices: NDArray[np.float64] = field(repr=False)
    triangles: NDArray[np.int64] = field(repr=False)
    mirror: NDArray[np.int64] = field(repr=False)

    def with_vertices(self, vertices: NDArray[np.float64]) -> MirroredMesh:
        """The same triangles on other coordinates, made exactly symmetric."""
        return MirroredMesh(symmetrised(vertices, self.mirror), self.triangles, self.mirror)


def symmetrised(vertices: NDArray[np.float64], mirror: NDArray[np.int64]) -> NDArray[np.float64]:
    """The mean of a shape and its mirror image about x = 0.

    Parameters
    ----------
    vertices : (n, 3) float64 array
    mirror : (n,) int64 array

    Returns
    -------
    (n, 3) float64 array
        Symmetric to the last bit.
    """
    # Addition of two floating-point numbers commutes, so both partners get the same bits.
    mean: NDArray[np.float64] = (vertices + vertices[mirror] * MIRROR_X) / 2
    return mean


def neighbours(triangles: NDArray[np.int64], count: int) -> sparse.csr_matrix:
    """Which vertices share an edge: a symmetric (count, count) matrix of ones."""
    pairs = _directed_edges(triangles)
    ones = np.ones(len(pairs))
    both = sparse.coo_matrix((ones, (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    return ((both + both.T) > 0).astype(np.float64).tocsr()


def boundary_neighbours(triangles: NDArray[np.int64], count: int) -> sparse.csr_matrix:
    """As `neighbours`, of the edges that belong to one triangle only."""
    edges, _, uses = _edges(triangles, count)
    border = edges[uses == 1]
    ones = np.ones(len(border))
    half = sparse.coo_matrix((ones, (border[:, 0], border[:, 1])), shape=(count, count))
    return (half + half.T).tocsr()


def subdivided(mesh: MirroredMesh) -> MirroredMesh:
    """One step of Loop subdivision; the old vertices keep their indices."""
    count = len(mesh.vertices)
    triangles = mesh.triangles
    edges, edge_of, uses = _edges(triangles, count)

    opposite_sum = np.zeros((len(edges), 3))
    for corner in range(3):
        np.add.at(opposite_sum, edge_of[:, corner], mesh.vertices[triangles[:, (corner + 2) % 3]])
    ends_sum = mesh.vertices[edges].sum(axis=1)
    inner = (uses == 2)[:, None]
    midpoints = np.where(inner, 3 / 8 * ends_sum + 1 / 8 * opposite_sum, ends_sum / 2)

    moved = _blend(mesh, inner_self=_vertex_weight, border_self=3 / 4)

    first, second, third = triangles.T
    middle = edge_of + count
    finer = np.concatenate(
        [
            np.stack([first, middle[:, 0], middle[:, 2]], axis=1),
            np.stack([second, middle[:, 1], middle[:, 0]], axis=1),
            np.stack([third, middle[:, 2], middle[:, 1]], axis=1),
            middle,
        ]
    )
    partners = np.sort(mesh.mirror[edges], axis=1)
    code = edges[:, 0] * count + edges[:, 1]
    mirror_of_edges = np.searchsorted(code, partners[:, 0] * count + partners[:, 1])
    mirror = np.concatenate([mesh.mirror, mirror_of_edges + count])
    vertices = symmetrised(np.concatenate([moved, midpoints]), mirror)
    return MirroredMesh(vertices, finer, mirror)


def on_limit_surface(mesh: MirroredMesh) -> MirroredMesh:
    """Every vertex moved to where endless subdivision would take it."""
    return mesh.with_vertices(_blend(mesh, inner_self=_limit_weight, border_self=2 / 3))


def _directed_edges(triangles: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])


def _edges(
    triangles: NDArray[np.int64], count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Edges in rising order (k, 2), the edge that starts at each corner (m, 3), their triangles."""
    directed = np.sort(_directed_edges(triangles), axis=1)
    codes, edge_of, uses = np.unique(
        directed[:, 0] * count + directed[:, 1], return_inverse=True, return_counts=True
    )
    return np.stack(np.divmod(codes, count), axis=1), edge_of.reshape(3, -1).T, uses


def _vertex_weight(valence: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(valence == 3, 1 - 3 * 3 / 16, 1 - 3 / 8)


def _limit_weight(valence: NDArray[np.float64]) -> NDArray[np.float64]:
    beta = np.where(valence == 3, 3 / 16, 3 / (8 * np.maximum(valence, 1)))
    chi = 1 / (3 / (8 * beta) + valence)
    return np.asarray(1 - valence * chi)


def _blend(
    mesh: MirroredMesh,
    inner_self: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    border_self: float,
) -> NDArray[np.float64]:
    """Each vertex drawn toward the mean of its neighbours, on the border along the border.

    `inner_self` gives the weight of an inner vertex itself from its valence;
    `border_self` is the weight of a vertex on the border.
    """
    count = len(mesh.vertices)
    around = neighbours(mesh.triangles, count)
    along = boundary_neighbours(mesh.triangles, count)
    valence = np.asarray(around.sum(axis=1)).ravel()
    on_border = np.asarray(along.sum(axis=1)).ravel() > 0
    mean_around = (around @ mesh.vertices) / np.maximum(valence, 1)[:, None]
    own = inner_self(valence)[:, None]
    inner = own * mesh.vertices + (1 - own) * mean_around
    border = border_self * mesh.vertices + (1 - border_self) / 2 * (along @ mesh.vertices)
    blended: NDArray[np.float64] = np.where(on_border[:, None], border, inner)
    return blended
