"""A scan made fit to be measured: what is left out or mended, and the geometry of the rest."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processing.inputs import Surface, Texture
from processing.measurement import RejectedInput
from processing.surface.mesh_topology import (
    Edges,
    TriangleShapes,
    border_of,
    compacted,
    edges_of,
    holes_of,
    is_repeated,
    shapes_of,
    shells_of,
    without_spikes,
    wound_one_way,
)

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
    texture : Texture, optional
        Its corners are those of `triangles`.
    """

    vertices_mm: NDArray[np.float64] = field(repr=False)
    triangles: NDArray[np.int64] = field(repr=False)
    normals: NDArray[np.float64] = field(repr=False)
    areas_mm2: NDArray[np.float64] = field(repr=False)
    border: NDArray[np.bool_] = field(repr=False)
    colours: NDArray[np.uint8] | None = field(default=None, repr=False)
    texture: Texture | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Cleaning:
    """What was wrong with a scan, and what was done about it before it was measured.

    Parameters
    ----------
    duplicate_vertices : int
        Bitwise equal to another one; merged.
    degenerate_triangles, duplicate_triangles : int
        Left out.
    shells : int
        Pieces that do not hang together; all but the largest are left out.
    area_kept_fraction : float
        Area of the largest piece, of the area of all.
    triangles_turned : int
        Wound the other way than their neighbours; turned.
    spikes : int
        Vertices that stuck out like needles; put back between their neighbours.
    holes : int
        Open outlines inside the scan. They are not filled: what lies there is
        not measured, on neither side.
    """

    duplicate_vertices: int
    degenerate_triangles: int
    duplicate_triangles: int
    shells: int
    area_kept_fraction: float
    triangles_turned: int
    spikes: int
    holes: int


@dataclass(frozen=True, slots=True)
class _Triangles:
    """The triangles that are left, their numbers in the file, their shapes and edges."""

    triangles: NDArray[np.int64] = field(repr=False)
    kept: NDArray[np.int64] = field(repr=False)
    shapes: TriangleShapes = field(repr=False)
    edges: Edges = field(repr=False)


def clean(surface: Surface) -> tuple[Mesh, Cleaning]:
    """Remove what is no surface, keep the largest shell, mend it and wind it one way.

    Parameters
    ----------
    surface : Surface

    Returns
    -------
    Mesh
        In the scan's frame, in mm.
    Cleaning
        What was left out and mended.

    Raises
    ------
    RejectedInput
        If fewer triangles remain than a face needs, or the texture does not
        belong to the triangles.
    """
    _check_texture(surface)
    vertices, colours, triangles, merged = _merged(surface)
    given = len(triangles)
    sound = _without_flat_triangles(vertices, triangles)
    degenerate = given - len(sound.triangles)
    sound = _without_repeated_triangles(sound)
    duplicates = given - degenerate - len(sound.triangles)
    _check_enough(len(sound.triangles), surface.source)
    sound, shells, area_kept = _largest_shell(sound, len(vertices))
    _check_enough(len(sound.triangles), surface.source)

    used, triangles = compacted(sound.triangles, len(vertices))
    # No edge leads out of a shell.
    edges = sound.edges if used.all() else sound.edges.between(used)
    vertices, spikes = without_spikes(vertices[used], triangles, sound.shapes)
    to_turn = wound_one_way(triangles, edges)
    turned = int(np.count_nonzero(to_turn))
    texture = surface.texture
    if texture is not None:
        corners = texture.corners[sound.kept]
        corners[to_turn] = corners[to_turn][:, ::-1]
        texture = Texture(texture.pixels, corners)
    if turned:
        triangles = np.where(to_turn[:, None], triangles[:, ::-1], triangles)
    shapes = shapes_of(vertices, triangles) if spikes or turned else sound.shapes
    colours = None if colours is None else colours[used]
    mesh = _with_geometry(vertices, triangles, colours, texture, shapes, edges)
    return mesh, Cleaning(
        duplicate_vertices=merged,
        degenerate_triangles=degenerate,
        duplicate_triangles=duplicates,
        shells=shells,
        area_kept_fraction=area_kept,
        triangles_turned=turned,
        spikes=spikes,
        holes=holes_of(edges),
    )


def make_mesh(
    vertices_mm: NDArray[np.float64],
    triangles: NDArray[np.int64],
    colours: NDArray[np.uint8] | None = None,
    texture: Texture | None = None,
) -> Mesh:
    """Normals, areas and border of a clean surface.

    Parameters
    ----------
    vertices_mm : (n, 3) float64 array
    triangles : (m, 3) int64 array
    colours : (n, 3) uint8 array, optional
    texture : Texture, optional
    """
    shapes = shapes_of(vertices_mm, triangles)
    return _with_geometry(vertices_mm, triangles, colours, texture, shapes, edges_of(triangles))


def _with_geometry(
    vertices: NDArray[np.float64],
    triangles: NDArray[np.int64],
    colours: NDArray[np.uint8] | None,
    texture: Texture | None,
    shapes: TriangleShapes,
    edges: Edges,
) -> Mesh:
    count = len(vertices)
    sums = [_at_vertices(axis, triangles, count) for axis in shapes.cross_mm2.T]
    normals = np.stack(sums, axis=1)
    length = np.sqrt(np.einsum("ij,ij->i", normals, normals))[:, None]
    np.divide(normals, length, out=normals, where=length > 0)
    areas = _at_vertices(shapes.twice_areas_mm2 / 6.0, triangles, count)
    border = border_of(triangles, edges, count)
    return Mesh(vertices, triangles, normals, areas, border, colours, texture)


def reversed_winding(mesh: Mesh) -> Mesh:
    """The same surface with inside and outside exchanged."""
    texture = mesh.texture
    if texture is not None:
        texture = Texture(texture.pixels, texture.corners[:, ::-1])
    return Mesh(
        mesh.vertices_mm,
        mesh.triangles[:, ::-1],
        -mesh.normals,
        mesh.areas_mm2,
        mesh.border,
        mesh.colours,
        texture,
    )


def _check_texture(surface: Surface) -> None:
    texture = surface.texture
    if texture is None:
        return
    needed = (len(surface.triangles), 3, 2)
    if texture.corners.shape != needed:
        raise RejectedInput(
            f"{surface.source}: the texture has {texture.corners.shape} corners where the "
            f"triangles need {needed}; export the scan again"
        )


def _merged(
    surface: Surface,
) -> tuple[NDArray[np.float64], NDArray[np.uint8] | None, NDArray[np.int64], int]:
    """Make one vertex of bitwise equal ones: many exporters split them along texture seams."""
    vertices, triangles = surface.vertices_mm, surface.triangles.astype(np.int64)
    exact = np.ascontiguousarray(vertices + 0.0)
    mixed = _hashes(exact)
    in_order = np.sort(mixed)
    if not (in_order[1:] == in_order[:-1]).any():
        return vertices, surface.colours, triangles, 0
    keys = exact.view(np.dtype((np.void, exact.itemsize * 3))).ravel()
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    # Vertices keep the order of the file, so that nothing depends on where the scan lies.
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    kept = first[order]
    colours = None if surface.colours is None else surface.colours[kept]
    return exact[kept], colours, rank[inverse][triangles], len(vertices) - len(kept)


def _hashes(exact: NDArray[np.float64]) -> NDArray[np.uint64]:
    """A number for each vertex, equal for equal ones and hardly ever otherwise."""
    words = exact.view(np.uint64)
    mixed = np.zeros(len(words), np.uint64)
    for axis, odd in enumerate((0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9)):
        mixed = (mixed ^ words[:, axis]) * np.uint64(odd)
        mixed ^= mixed >> np.uint64(31)
    return mixed


def _at_vertices(
    values: NDArray[np.float64], triangles: NDArray[np.int64], count: int
) -> NDArray[np.float64]:
    sums = np.zeros(count)
    for corner in range(3):
        sums += np.bincount(triangles[:, corner], values, count)
    return sums


def _check_enough(triangles: int, source: str) -> None:
    if triangles < MINIMUM_TRIANGLES:
        raise RejectedInput(
            f"{source}: the surface has {triangles} usable triangles in its largest piece; "
            f"a face cannot be measured on fewer than {MINIMUM_TRIANGLES}"
        )


def _without_flat_triangles(
    vertices: NDArray[np.float64], triangles: NDArray[np.int64]
) -> _Triangles:
    shapes = shapes_of(vertices, triangles)
    kept = np.flatnonzero(shapes.has_area)
    if len(kept) < len(triangles):
        triangles, shapes = triangles.take(kept, axis=0), shapes.of(kept)
    return _Triangles(triangles, kept, shapes, edges_of(triangles))


def _without_repeated_triangles(these: _Triangles) -> _Triangles:
    repeated = is_repeated(these.triangles, these.edges)
    if not repeated.any():
        return these
    once = np.flatnonzero(~repeated)
    triangles = these.triangles.take(once, axis=0)
    return _Triangles(triangles, these.kept[once], these.shapes.of(once), edges_of(triangles))


def _largest_shell(these: _Triangles, count: int) -> tuple[_Triangles, int, float]:
    """The triangles of the largest shell (with all edges), how many shells, its share of area."""
    shell = shells_of(these.edges, count)[these.triangles[:, 0]]
    area = np.bincount(shell, these.shapes.twice_areas_mm2)
    largest = int(np.argmax(area))
    inside = np.flatnonzero(shell == largest)
    shells, share = int(np.count_nonzero(area)), float(area[largest] / area.sum())
    if len(inside) == len(these.triangles):
        return these, shells, share
    kept = _Triangles(
        these.triangles.take(inside, axis=0),
        these.kept[inside],
        these.shapes.of(inside),
        these.edges,
    )
    return kept, shells, share
