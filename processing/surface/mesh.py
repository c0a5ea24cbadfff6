"""A scan made fit to be measured: what is left out, and the geometry of the rest."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order, connected_components

from processing.inputs import Surface
from processing.measurement import RejectedInput

# Twice the area, relative to the longest edge squared, below which a triangle has no normal.
_DEGENERATE: Final = 1e-9
MINIMUM_TRIANGLES: Final = 500


@dataclass(frozen=True, slots=True)
class Mesh:
    """One connected, consistently wound surface.

    Parameters
    ----------
    vertices_mm : (n, 3) float64 array
    triangles : (m, 3) int64 array
        Counter-clockwise seen from outside.
    normals : (n, 3) float64 array
        Unit normals of the vertices, the area-weighted mean of their triangles.
    areas_mm2 : (n,) float64 array
        A third of the area of the triangles at each vertex.
    border : (n,) bool array
        Vertices on an open edge, on an edge of more than two triangles, and
        their direct neighbours.
    colours : (n, 3) uint8 array, optional
        sRGB.
    """

    vertices_mm: NDArray[np.float64] = field(repr=False)
    triangles: NDArray[np.int64] = field(repr=False)
    normals: NDArray[np.float64] = field(repr=False)
    areas_mm2: NDArray[np.float64] = field(repr=False)
    border: NDArray[np.bool_] = field(repr=False)
    colours: NDArray[np.uint8] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Cleaning:
    """What was left out of a scan before it was measured."""

    degenerate_triangles: int
    duplicate_triangles: int
    shells: int
    area_kept_fraction: float
    triangles_turned: int


def clean(surface: Surface) -> tuple[Mesh, Cleaning]:
    """Remove what is no surface, keep the largest shell, and wind it one way.

    Parameters
    ----------
    surface : Surface

    Returns
    -------
    Mesh
        In the scan's frame, in mm.
    Cleaning
        What was left out.

    Raises
    ------
    RejectedInput
        If fewer triangles remain than a face needs.
    """
    # Bitwise equal vertices are one vertex: many exporters split them along texture seams.
    vertices, colours, triangles = _merged(surface)
    sound = _has_area(vertices, triangles)
    degenerate = int(np.count_nonzero(~sound))
    triangles = triangles[sound]
    _, first = np.unique(np.sort(triangles, axis=1), axis=0, return_index=True)
    duplicates = len(triangles) - len(first)
    triangles = triangles[np.sort(first)]
    _check_enough(triangles, surface.source)

    triangles, shells, area_kept = _largest_shell(vertices, triangles)
    _check_enough(triangles, surface.source)
    triangles, turned = _wound_one_way(triangles)
    used, renumbered = np.unique(triangles, return_inverse=True)
    mesh = make_mesh(
        vertices[used],
        renumbered.reshape(-1, 3),
        None if colours is None else colours[used],
    )
    return mesh, Cleaning(degenerate, duplicates, shells, area_kept, turned)


def make_mesh(
    vertices_mm: NDArray[np.float64],
    triangles: NDArray[np.int64],
    colours: NDArray[np.uint8] | None = None,
) -> Mesh:
    """Normals, areas and border of a clean surface.

    Parameters
    ----------
    vertices_mm : (n, 3) float64 array
    triangles : (m, 3) int64 array
    colours : (n, 3) uint8 array, optional
    """
    cross = _cross_products(vertices_mm, triangles)
    count = len(vertices_mm)
    sums = np.stack([_at_vertices(cross[:, axis], triangles, count) for axis in range(3)], axis=1)
    length = np.linalg.norm(sums, axis=1, keepdims=True)
    normals = np.divide(sums, length, out=np.zeros_like(sums), where=length > 0)
    areas = _at_vertices(np.linalg.norm(cross, axis=1) / 6.0, triangles, count)
    return Mesh(vertices_mm, triangles, normals, areas, _border(triangles, count), colours)


def reversed_winding(mesh: Mesh) -> Mesh:
    """The same surface with inside and outside exchanged."""
    return Mesh(
        mesh.vertices_mm,
        mesh.triangles[:, ::-1],
        -mesh.normals,
        mesh.areas_mm2,
        mesh.border,
        mesh.colours,
    )


def _merged(
    surface: Surface,
) -> tuple[NDArray[np.float64], NDArray[np.uint8] | None, NDArray[np.int64]]:
    exact = np.ascontiguousarray(surface.vertices_mm + 0.0)
    keys = exact.view(np.dtype((np.void, exact.itemsize * 3))).ravel()
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    # Vertices keep the order of the file, so that nothing depends on where the scan lies.
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    kept = first[order]
    colours = None if surface.colours is None else surface.colours[kept]
    return exact[kept], colours, rank[inverse][surface.triangles.astype(np.int64)]


def _cross_products(
    vertices: NDArray[np.float64], triangles: NDArray[np.int64]
) -> NDArray[np.float64]:
    corners = vertices[triangles]
    cross: NDArray[np.float64] = np.cross(
        corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    )
    return cross


def _at_vertices(
    values: NDArray[np.float64], triangles: NDArray[np.int64], count: int
) -> NDArray[np.float64]:
    return np.bincount(triangles.ravel(), np.repeat(values, 3), count).astype(np.float64)


def _has_area(vertices: NDArray[np.float64], triangles: NDArray[np.int64]) -> NDArray[np.bool_]:
    corners = vertices[triangles]
    longest = np.max(np.sum((corners - np.roll(corners, 1, axis=1)) ** 2, axis=2), axis=1)
    twice_area = np.linalg.norm(_cross_products(vertices, triangles), axis=1)
    sound: NDArray[np.bool_] = twice_area > _DEGENERATE * longest
    return sound


def _check_enough(triangles: NDArray[np.int64], source: str) -> None:
    if len(triangles) < MINIMUM_TRIANGLES:
        raise RejectedInput(
            f"{source}: the surface has {len(triangles)} usable triangles in its largest piece; "
            f"a face cannot be measured on fewer than {MINIMUM_TRIANGLES}"
        )


def _largest_shell(
    vertices: NDArray[np.float64], triangles: NDArray[np.int64]
) -> tuple[NDArray[np.int64], int, float]:
    graph = coo_array(
        (
            np.ones(2 * len(triangles), np.int8),
            (
                np.concatenate([triangles[:, 0], triangles[:, 1]]),
                np.concatenate([triangles[:, 1], triangles[:, 2]]),
            ),
        ),
        shape=(len(vertices), len(vertices)),
    )
    _, shell_of_vertex = connected_components(graph, directed=False)
    shell = shell_of_vertex[triangles[:, 0]]
    area = np.bincount(shell, np.linalg.norm(_cross_products(vertices, triangles), axis=1))
    kept = int(np.argmax(area))
    return triangles[shell == kept], int(np.count_nonzero(area)), float(area[kept] / area.sum())


def _edges(triangles: NDArray[np.int64], count: int) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Undirected edges as one number each, three a triangle, and which run upwards."""
    start = triangles.ravel().astype(np.int64)
    end = triangles[:, [1, 2, 0]].ravel().astype(np.int64)
    return np.minimum(start, end) * count + np.maximum(start, end), start < end


def _wound_one_way(triangles: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    """Turn triangles so that neighbours run their shared edge in opposite directions."""
    edges, upwards = _edges(triangles, int(triangles.max()) + 1)
    order = np.argsort(edges, kind="stable")
    ordered = edges[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    sizes = np.diff(np.r_[starts, len(ordered)])
    paired = starts[sizes == 2]
    first, second = order[paired], order[paired + 1]
    contradicts = upwards[first] == upwards[second]
    if not contradicts.any():
        return triangles, 0
    turned, patch = _parity(first // 3, second // 3, contradicts, len(triangles))
    # The fewer triangles are turned, so that the scanner's outside stays outside.
    most = np.bincount(patch, turned) * 2 > np.bincount(patch)
    turned ^= most[patch]
    result = triangles.copy()
    result[turned] = result[turned][:, ::-1]
    return result, int(np.count_nonzero(turned))


def _parity(
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    contradicts: NDArray[np.bool_],
    count: int,
) -> tuple[NDArray[np.bool_], NDArray[np.int32]]:
    """Which of `count` triangles to turn, along a spanning tree, and the patch of each.

    Where no turning satisfies every edge (a Moebius band) the tree decides.
    """
    links = coo_array((np.ones(len(first), np.int8), (first, second)), shape=(count, count))
    _, patch = connected_components(links, directed=False)
    _, roots = np.unique(patch, return_index=True)
    # One more node, tied to a triangle of every patch, makes one tree of the forest.
    everything = coo_array(
        (
            np.ones(len(first) + len(roots), np.int8),
            (np.r_[first, roots], np.r_[second, np.full(len(roots), count)]),
        ),
        shape=(count + 1, count + 1),
    )
    _, ancestor = breadth_first_order(everything.tocsr(), count, directed=False)
    ancestor[count] = count

    keys = np.minimum(first, second) * count + np.maximum(first, second)
    order = np.argsort(keys, kind="stable")
    nodes = np.arange(count)
    parents = ancestor[:count].astype(np.int64)
    wanted = np.minimum(nodes, parents) * count + np.maximum(nodes, parents)
    place = np.searchsorted(keys[order], wanted).clip(max=len(keys) - 1)
    turned = np.zeros(count + 1, bool)
    turned[:count] = contradicts[order][place] & (parents < count)
    # Doubling: after k rounds each node has gone 2^k steps up its branch.
    while (ancestor != count).any():
        turned ^= turned[ancestor]
        ancestor = ancestor[ancestor]
    return turned[:count], patch


def _border(triangles: NDArray[np.int64], count: int) -> NDArray[np.bool_]:
    edges, _ = _edges(triangles, count)
    unique, uses = np.unique(edges, return_counts=True)
    open_edges = unique[uses != 2]
    border = np.zeros(count, bool)
    border[open_edges // count] = True
    border[open_edges % count] = True
    ring = triangles[border[triangles].any(axis=1)]
    border[ring] = True
    return border
