"""The measured surface as pictures and browsers show it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processing.measurement import Side
from processing.rendering.coarser_mesh import coarser_mesh
from processing.rendering.heat_map import diverging_colours
from processing.surface.radial import looked_up
from processing.surface.regions import AffectedArea
from processing.surface.results import Measured

HEAT_MAP_LIMIT_MM: Final = 5.0
# Finer meshes take longer to draw, and to load in a browser, than they gain.
MOST_SHOWN_TRIANGLES: Final = 200_000
AREA_COLOUR: Final = (240, 176, 40)
MIRRORED_COLOUR: Final = (246, 222, 160)
_SKIN_COLOUR: Final = (224, 196, 178)
_HALF: Final = 127


@dataclass(frozen=True, slots=True)
class ShownSurface:
    """The measured surface as it is drawn: with few enough triangles, in its colours.

    Parameters
    ----------
    vertices_mm : (k, 3) float64 array
    triangles : (j, 3) int32 array
    heat : (k, 3) uint8 array
        Colours of the signed distance to the mirrored other side, grey where not measured.
    skin : (k, 3) uint8 array
        One colour, with the affected area and its mirror image in two others.
    in_face, in_area : (k,) bool array
        Vertices that were measured, and those of the affected area on its own side.
    has_grey : bool
    """

    vertices_mm: NDArray[np.float64] = field(repr=False)
    triangles: NDArray[np.int32] = field(repr=False)
    heat: NDArray[np.uint8] = field(repr=False)
    skin: NDArray[np.uint8] = field(repr=False)
    in_face: NDArray[np.bool_] = field(repr=False)
    in_area: NDArray[np.bool_] = field(repr=False)
    has_grey: bool


def shown_surface(
    measured: Measured, distances_mm: NDArray[np.float64], area: AffectedArea | None
) -> ShownSurface:
    """Colour a measured surface, and leave it at most `MOST_SHOWN_TRIANGLES`.

    Parameters
    ----------
    measured : Measured
    distances_mm : (n,) float64 array
        Of each vertex to the mirrored other side; NaN is drawn grey.
    area : AffectedArea or None
    """
    mesh, plane = measured.mesh, measured.plane
    heat = diverging_colours(distances_mm, HEAT_MAP_LIMIT_MM)
    skin = np.full((len(mesh.vertices_mm), 3), _SKIN_COLOUR, np.uint8)
    in_area = np.zeros(len(mesh.vertices_mm), bool)
    if area is not None:
        on_either_side = looked_up(area.mask, mesh, measured.maps.frame)
        is_left = mesh.vertices_mm @ plane.normal > plane.offset_mm
        in_area = on_either_side & (is_left == (area.side is Side.LEFT))
        skin[on_either_side] = MIRRORED_COLOUR
        skin[in_area] = AREA_COLOUR
    # Of merged vertices the mean is drawn, and belongs where most of them do.
    masks = np.stack([measured.in_face, in_area], axis=1).astype(np.uint8) * 255
    vertices, triangles, drawn = coarser_mesh(
        mesh.vertices_mm, mesh.triangles, np.hstack([heat, skin, masks]), MOST_SHOWN_TRIANGLES
    )
    in_face, in_area = (drawn[:, 6:] > _HALF).T
    has_grey = bool(np.isnan(distances_mm).any())
    return ShownSurface(
        vertices, triangles, drawn[:, :3], drawn[:, 3:6], in_face, in_area, has_grey
    )
