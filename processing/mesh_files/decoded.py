"""What every decoder of a mesh file returns, and the limits that hold for all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processing.inputs import Texture
from processing.measurement import RejectedInput

MAXIMUM_TRIANGLES: Final = 5_000_000
MAXIMUM_VERTICES: Final = 3 * MAXIMUM_TRIANGLES
MAXIMUM_BYTES: Final = 1_000_000_000
MAXIMUM_TEXT_BYTES: Final = 500_000_000


@dataclass(frozen=True, slots=True)
class DecodedMesh:
    """A mesh as its file has it, in the file's unit.

    Parameters
    ----------
    vertices : (n, 3) float64 array
    triangles : (m, 3) integer array
        Indices into `vertices`; not checked.
    colours : (n, 3) uint8 array, optional
        sRGB colour of each vertex.
    texture : Texture, optional
    """

    vertices: NDArray[np.float64] = field(repr=False)
    triangles: NDArray[np.int64] = field(repr=False)
    colours: NDArray[np.uint8] | None = field(default=None, repr=False)
    texture: Texture | None = None


@dataclass(frozen=True, slots=True)
class MeshParts:
    """What a mesh file names beside itself, by `part_name` of the names in it.

    A part under the empty name stands for whatever name is asked for, where its
    sender did not say under which name the mesh knows it.

    Parameters
    ----------
    libraries : mapping of str to bytes
        MTL files.
    pictures : mapping of str to (rows, columns, 3) uint8 array
        Textures, decoded to sRGB.
    """

    libraries: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))
    pictures: Mapping[str, NDArray[np.uint8]] = field(default_factory=lambda: MappingProxyType({}))

    def library(self, name: str) -> bytes | None:
        """The MTL file that a mesh calls so."""
        return self.libraries.get(part_name(name), self.libraries.get(""))

    def picture(self, name: str) -> NDArray[np.uint8] | None:
        """The picture that a material calls so."""
        return self.pictures.get(part_name(name), self.pictures.get(""))


def part_name(name: str) -> str:
    """The name of a file without its folder, in small letters.

    Scanners write folders of their own computers, and capital letters that the
    file's name does not have.
    """
    return name.strip().strip('"').replace("\\", "/").rpartition("/")[2].casefold()


def check_triangle_count(count: int, source: str) -> None:
    """Refuse more than `MAXIMUM_TRIANGLES`; raises RejectedInput."""
    if count > MAXIMUM_TRIANGLES:
        raise RejectedInput(
            f"{source}: {count} triangles are more than the {MAXIMUM_TRIANGLES} accepted; "
            "export the surface with fewer"
        )


def check_vertex_count(count: int, source: str) -> None:
    """Refuse more than `MAXIMUM_VERTICES`; raises RejectedInput."""
    if count > MAXIMUM_VERTICES:
        raise RejectedInput(
            f"{source}: {count} vertices are more than the {MAXIMUM_VERTICES} accepted; "
            "export the surface with fewer"
        )


def check_size(size: int, source: str, most: int = MAXIMUM_BYTES) -> None:
    """Refuse a file of no bytes or too many; raises RejectedInput."""
    if size == 0:
        raise RejectedInput(f"{source}: the file is empty; export the surface again")
    if size > most:
        raise RejectedInput(
            f"{source}: {size} bytes are more than the {most} accepted; "
            "export the surface with fewer triangles"
        )


def check_mesh(mesh: DecodedMesh, source: str) -> None:
    """Refuse a mesh without triangles, with indices out of range or coordinates not finite."""
    vertices, triangles = mesh.vertices, mesh.triangles
    if len(vertices) == 0 or len(triangles) == 0:
        raise RejectedInput(f"{source}: the surface holds no triangle; export it again")
    check_triangle_count(len(triangles), source)
    check_vertex_count(len(vertices), source)
    lowest, highest = int(triangles.min()), int(triangles.max())
    if lowest < 0 or highest >= len(vertices):
        raise RejectedInput(
            f"{source}: a triangle names vertex {lowest if lowest < 0 else highest} and the "
            f"surface has {len(vertices)} of them; the file is damaged, export it again"
        )
    bad = int(np.count_nonzero(~np.isfinite(vertices).all(axis=1)))
    if bad:
        raise RejectedInput(
            f"{source}: {bad} of {len(vertices)} vertices are not finite numbers; "
            "clean the surface in the scanner's software and export it again"
        )


def fan_triangles(
    corners: NDArray[np.int64], sizes: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cut polygons into fans of triangles from their first corner.

    Parameters
    ----------
    corners : (k,) int64 array
        The corners of all polygons, one polygon after the other.
    sizes : (p,) int64 array
        How many corners each polygon has, at least 3.

    Returns
    -------
    (m, 3) int64 array
        Positions in `corners` of the corners of each triangle.
    (m,) int64 array
        The polygon of each triangle.
    """
    starts = np.cumsum(sizes) - sizes
    if len(sizes) and (sizes == 3).all():
        return starts[:, None] + np.arange(3), np.arange(len(sizes))
    polygon = np.repeat(np.arange(len(sizes)), sizes - 2)
    first_of_polygon = np.cumsum(sizes - 2) - (sizes - 2)
    step = np.arange(len(polygon)) - first_of_polygon[polygon]
    first = starts[polygon]
    return np.stack([first, first + step + 1, first + step + 2], axis=1), polygon
