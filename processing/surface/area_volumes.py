"""The volume of the affected area, raw and levelled, with the doubt about its outline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from processing.surface.mesh import Mesh
from processing.surface.plane import MirrorPlane
from processing.surface.radial import RadialMaps
from processing.surface.regions import (
    AREA_MARGIN_MM,
    AffectedArea,
    affected_area,
)
from processing.surface.scan_noise import ScanNoise
from processing.surface.volume import MM3_PER_ML, RIM_MM, Volume, area_volume

# (strictness, margin in mm) of other outlines that could be chosen as well.
_OTHER_OUTLINES: Final = ((0.6, AREA_MARGIN_MM), (1.6, AREA_MARGIN_MM), (1.0, 0.0))
# Below so many standard deviations of the natural asymmetry it may be nature, not lesion.
_NATURAL_SIGMAS: Final = 2.5
# How far a deficit that reaches the edge of the measured face may go on outside.
_BEYOND_EDGE_MM: Final = 6.0


@dataclass(frozen=True, slots=True)
class AreaVolumes:
    """Of one area: as it is, and with the rim around it taken as zero."""

    raw: Volume
    levelled: Volume


def area_volumes(
    mesh: Mesh,
    maps: RadialMaps,
    plane: MirrorPlane,
    noise: ScanNoise,
    area: AffectedArea,
    motion_ml: NDArray[np.float64],
) -> AreaVolumes | None:
    """Raw and levelled volume of an area, left minus right.

    Their uncertainties hold that of the plane, that of the scan, what may lie
    beyond the edge of the measured face and, for an area that was found, the
    doubt about its outline: how far the volume moves with other thresholds and
    without a margin, and the natural asymmetry of the part of it that is no
    more asymmetric than the rest of the face. The levelled volume has the
    error of the level instead of most of that of the plane, and how far the
    level moves with the rim.

    Parameters
    ----------
    mesh : Mesh
    maps : RadialMaps
    plane : MirrorPlane
    noise : ScanNoise
    area : AffectedArea
    motion_ml : (ROWS, COLUMNS, 3) float64 array
        From `volume_by_motion_ml`.

    Returns
    -------
    AreaVolumes or None
        None when there is no rim to level on.
    """
    found = area_volume(mesh, maps, area.mask)
    if found is None:
        return None
    of_outline = 0.0 if area.given else _doubt_of_outline_ml(maps, noise, area)
    doubt = float(np.hypot(of_outline, edge_doubt_ml(maps, area.mask)))
    inside = area.mask.astype(np.float64)
    level = _level_weights(maps, noise, area.mask)
    return AreaVolumes(
        Volume(found.raw_ml, _uncertainty_ml(inside, plane, noise, motion_ml, doubt)),
        Volume(
            found.levelled_ml,
            _uncertainty_ml(
                inside - level,
                plane,
                noise,
                motion_ml,
                float(
                    np.linalg.norm(
                        [
                            doubt,
                            noise.shape_sd_ml(level),
                            _doubt_of_level_ml(maps, noise, area.mask, level),
                        ]
                    )
                ),
            ),
        ),
    )


def edge_doubt_ml(maps: RadialMaps, mask: NDArray[np.bool_]) -> float:
    """What of the difference may go on beyond the edge of the measured face.

    The difference at the edge, continued for 6 mm and falling to zero.
    """
    outside = np.pad(~maps.measured, ((1, 1), (0, 1)), constant_values=True)
    edge = mask & ndimage.binary_dilation(outside)[1:-1, :-1]
    if not edge.any():
        return 0.0
    at_edge = float(np.nansum(maps.smooth_difference_mm[edge]))
    return abs(at_edge) / maps.pixels_of(1.0) * _BEYOND_EDGE_MM / 2 / MM3_PER_ML


def _uncertainty_ml(
    weights: NDArray[np.float64],
    plane: MirrorPlane,
    noise: ScanNoise,
    motion_ml: NDArray[np.float64],
    doubt_ml: float,
) -> float:
    gradient: NDArray[np.float64] = np.tensordot(weights, motion_ml, axes=2)
    square = float(gradient @ plane.covariance @ gradient)
    return float(np.sqrt(square + noise.volume_sd_ml(weights) ** 2 + doubt_ml**2))


def _level_weights(
    maps: RadialMaps, noise: ScanNoise, mask: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Factors with which the rim's pixels enter the level of the whole area."""
    away = ndimage.distance_transform_edt(~mask)
    least, most = (maps.pixels_of(each) for each in RIM_MM)
    rim = maps.measured & ~mask & (away >= least) & (away <= most)
    of_rim = float(noise.areas_mm2[rim].sum())
    if not of_rim > 0:
        return np.zeros(mask.shape)
    return np.asarray(rim * (float(noise.areas_mm2[mask].sum()) / of_rim))


def _doubt_of_level_ml(
    maps: RadialMaps,
    noise: ScanNoise,
    mask: NDArray[np.bool_],
    level: NDArray[np.float64],
) -> float:
    """How far the level moves with a rim that begins 4 mm farther out.

    A rim on the slope of the deficit itself is no rim.
    """
    wider = ndimage.distance_transform_edt(~mask) <= maps.pixels_of(AREA_MARGIN_MM)
    own = float(noise.areas_mm2[mask].sum())
    around = _level_weights(maps, noise, wider & maps.measured)
    total = float(noise.areas_mm2[wider & maps.measured].sum())
    if not total > 0:
        return 0.0
    change = float((maps.cubes_mm3 * (level - around * (own / total))).sum())
    return abs(change) / MM3_PER_ML / float(np.sqrt(3.0))


def _doubt_of_outline_ml(maps: RadialMaps, noise: ScanNoise, area: AffectedArea) -> float:
    own = float(maps.cubes_mm3[area.mask].sum())
    moved = [
        abs(float(maps.cubes_mm3[other.mask].sum()) - own)
        for strictness, margin in _OTHER_OUTLINES
        if (other := affected_area(maps, strictness, margin))
    ]
    # A rectangular distribution as wide as the alternatives.
    of_choice = max(moved, default=0.0) / MM3_PER_ML / float(np.sqrt(3.0))
    natural = _NATURAL_SIGMAS * float(np.sqrt(noise.shape_variance_mm2))
    faint = area.mask & (np.abs(np.nan_to_num(maps.smooth_difference_mm)) < natural)
    return float(np.hypot(of_choice, noise.shape_sd_ml(faint)))
