"""The contour of the face from the eyes down to the chin, where the photograph shows it.

Detected landmarks only say where to begin: they lose a tenth to a third of a
sideways move of the cheek, and three quarters of one of the chin. The contour
is the visible outline: the border of the cheek against hair, ear or
background, and the edge of the jaw over the neck.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, maximum_filter1d, minimum_filter1d

from processing.landmarks import LANDMARKS, PAIRED_LANDMARKS
from processing.photograph.refinement.contour_band import (
    CONTOUR,
    ContourBand,
    band_along,
    detected_contour_mm,
    with_chin_moved,
)
from processing.photograph.refinement.contour_chin import (
    middle_by_contour_mm,
    middle_by_picture_mm,
)
from processing.photograph.refinement.contour_edges import border_evidence, strand_texture
from processing.photograph.refinement.contour_path import EdgePath, edge_path, joint_edge_paths
from processing.photograph.refinement.patch import FacePatch, Located, Locations

# From eye over chin to eye, children to giants; else the patch has no scale to search in.
_CONTOUR_LENGTHS_MM: Final = (100.0, 600.0)

# The detector hardly sees a chin beside the middle, so the search begins at several places.
_CHIN_MOVES_MM: Final = np.array([-9.0, -6.0, -3.0, 0.0, 3.0, 6.0, 9.0])
_EXPECTED_CHIN_MOVE_MM: Final = 8.0
_EXPECTED_WITHIN_MM: Final = 5.0
_FINE_WITHIN_MM: Final = 2.0

# Step along, reach across and step across the band, in mm: to find the edge, to place it.
_COARSE_MM: Final = (3.0, 9.0, 0.5)
_FINE_MM: Final = (1.5, 4.0, 0.25)
_SMOOTHED_MM: Final = 2.0

# What counts as found: clear on average about the place, no rival nearby, no beard.
_ABOUT_MM: Final = 8.0
_LEAST_EVIDENCE: Final = 0.37
_LARGEST_SPREAD_MM: Final = 1.5
_LARGEST_STRANDS: Final = 4.5
_BORDER_MM: Final = 2.0

# Level of the gonion, in distances from the pupils to the mouth below the pupils.
_GONION_LEVEL: Final = 1.2
_LEVEL_UNCERTAINTY_MM: Final = 0.8
_EDGE_UNCERTAINTY_MM: Final = 0.4
_EDGE_UNCERTAINTY_PX: Final = 0.15
_UNSEEN_UNCERTAINTY_MM: Final = 2.5

_CHIN_HEIGHT_MM: Final = 30.0
_LOWEST_WITHIN_MM: Final = 8.0
_MIDDLE_UNCERTAINTY_MM: Final = 0.7
_MIDDLE_BY_PICTURE_MM: Final = 2.0

# Strands of hair beside the cheek move the edge by a millimetre at one level; those who
# read the width of the face at a level take the edge as it runs about it.
_RUN_MM: Final = 10.0

_AT_LEVELS: Final = frozenset({*PAIRED_LANDMARKS["zygion"], *PAIRED_LANDMARKS["gonion"]})

_Places = dict[int, tuple[float, float, float]]
"""Column, row and standard uncertainty of landmarks in mm of the patch."""


@dataclass(frozen=True, slots=True, eq=False)
class _Outline:
    """The contour as found, from the patient's left over the chin to the right; in mm."""

    curve_mm: NDArray[np.float64] = field(repr=False)
    uncertainty_mm: NDArray[np.float64] = field(repr=False)
    found: NDArray[np.bool_] = field(repr=False)


def locate_contour(patch: FacePatch) -> Locations:
    """The landmarks of the contour that the photograph shows, the zygion, gonion and gnathion.

    - Zygion: the contour at the level of the detected zygia, the mean of both.
    - Gonion: the contour at a level below the pupils of 1.2 times the distance
      from pupils to mouth, the same on both sides. Detected gonia would change
      their level with the shape of the face.
    - Gnathion: the lowest point of the chin, in the middle of the chin; see
      `contour_chin.middle_by_contour_mm`. Under a beard the detected row, in the
      middle of the picture of the chin.
    - The other landmarks: the place of the contour nearest to the detected one.

    Computed at once for both sides by steps that a mirror does not change.

    Parameters
    ----------
    patch : FacePatch

    Returns
    -------
    mapping of int to Located
        Without the landmarks where no edge stands out, as in a beard. Of a pair
        that is seen on one side only the other one is where the detected contour
        crosses the same level, with a larger uncertainty.
    """
    shortest, longest = _CONTOUR_LENGTHS_MM
    steps = np.diff(detected_contour_mm(patch), axis=0)
    if not shortest <= float(np.hypot(*steps.T).sum()) <= longest:
        return {}
    outline = _outline(patch)
    found = {
        **_nearest(patch, outline),
        **_at_levels(patch, outline),
        **_gnathion(patch, outline),
    }
    return {
        index: Located(column / patch.mm_per_px, row / patch.mm_per_px, by / patch.mm_per_px)
        for index, (column, row, by) in found.items()
        if _shows(patch, column, row)
    }


def _shows(patch: FacePatch, column_mm: float, row_mm: float) -> bool:
    column, row = round(column_mm / patch.mm_per_px), round(row_mm / patch.mm_per_px)
    rows, columns = patch.inside.shape
    return 0 <= column < columns and 0 <= row < rows and bool(patch.inside[row, column])


def _outline(patch: FacePatch) -> _Outline:
    starts = with_chin_moved(detected_contour_mm(patch), _CHIN_MOVES_MM)
    band = band_along(patch, starts, *_COARSE_MM)
    evidence = border_evidence(band, patch.mm_per_px)
    paths, likely = joint_edge_paths(band, evidence, _EXPECTED_WITHIN_MM)
    best = int((likely - (_CHIN_MOVES_MM / _EXPECTED_CHIN_MOVE_MM) ** 2 / 2).argmax())
    rough = band.curve_mm(paths.offset_mm)[best]
    rough = gaussian_filter1d(rough, _SMOOTHED_MM / band.step_mm, axis=0, mode="nearest")
    band = band_along(patch, rough, *_FINE_MM)
    evidence = border_evidence(band, patch.mm_per_px)
    path = edge_path(evidence, band.offsets_mm, band.step_mm, _FINE_WITHIN_MM)
    edge = np.hypot(_EDGE_UNCERTAINTY_MM, _EDGE_UNCERTAINTY_PX * patch.mm_per_px)
    return _Outline(
        curve_mm=band.curve_mm(path.offset_mm),
        uncertainty_mm=np.hypot(path.spread_mm, edge),
        found=_is_found(band, path),
    )


def _is_found(band: ContourBand, path: EdgePath) -> NDArray[np.bool_]:
    about = _ABOUT_MM / band.step_mm
    clear = gaussian_filter1d(path.evidence, about / 2, mode="nearest")
    spread = maximum_filter1d(path.spread_mm, int(about / 2) | 1, mode="nearest")
    beside = np.abs(band.offsets_mm - path.offset_mm[:, None]) < _BORDER_MM
    reached = (band.inside | ~beside).all(axis=1)
    inside = minimum_filter1d(reached.astype(np.uint8), int(about) | 1) > 0
    hair = strand_texture(band) > _LARGEST_STRANDS
    found: NDArray[np.bool_] = (
        (clear >= _LEAST_EVIDENCE) & (spread <= _LARGEST_SPREAD_MM) & inside & ~hair
    )
    return found


def _nearest(patch: FacePatch, outline: _Outline) -> _Places:
    detected = detected_contour_mm(patch)
    places: _Places = {}
    # The first and last landmark only lead the curve to the level of the eyes.
    for index, where in zip(CONTOUR[1:-1], detected[1:-1], strict=True):
        if index in _AT_LEVELS:
            continue
        nearest = int(((outline.curve_mm - where) ** 2).sum(axis=1).argmin())
        if outline.found[nearest]:
            column, row = outline.curve_mm[nearest]
            places[index] = (float(column), float(row), float(outline.uncertainty_mm[nearest]))
    return places


def _at_levels(patch: FacePatch, outline: _Outline) -> _Places:
    """Zygion and gonion; where one side is hidden, its detected contour at the same level.

    Two points at different levels of a slanting contour would make an asymmetry.
    """
    detected = detected_contour_mm(patch)
    unseen = _Outline(
        curve_mm=detected,
        uncertainty_mm=np.full(len(detected), _UNSEEN_UNCERTAINTY_MM),
        found=np.ones(len(detected), dtype=np.bool_),
    )
    run = gaussian_filter1d(outline.curve_mm, _RUN_MM / _FINE_MM[0], axis=0, mode="nearest")
    seen_run = replace(outline, curve_mm=run)
    places: _Places = {}
    for name, level in (("zygion", _zygion_level(patch)), ("gonion", _gonion_level(patch))):
        halves = tuple(zip(PAIRED_LANDMARKS[name], (1, 0), strict=True))
        seen = {index: _crossing(seen_run, half, level) for index, half in halves}
        if not any(seen.values()):
            continue
        for index, half in halves:
            place = seen[index] or _crossing(unseen, half, level)
            if place is not None:
                places[index] = place
    return places


def _zygion_level(patch: FacePatch) -> float:
    return float((patch.point("zygion_right")[1] + patch.point("zygion_left")[1]) / 2) * (
        patch.mm_per_px
    )


def _gonion_level(patch: FacePatch) -> float:
    pupils = (patch.point("iris_centre_right")[1] + patch.point("iris_centre_left")[1]) / 2
    mouth = patch.point("stomion")[1]
    return float(pupils + _GONION_LEVEL * (mouth - pupils)) * patch.mm_per_px


def _crossing(outline: _Outline, half: int, level_mm: float) -> tuple[float, float, float] | None:
    """Where the first (the patient's left) or second half of the contour crosses a level."""
    lowest = int(outline.curve_mm[:, 1].argmax())
    part = slice(0, lowest) if half == 0 else slice(lowest, None)
    # Both halves from the top down, so that they are read in the same way.
    turn = slice(None) if half == 0 else slice(None, None, -1)
    curve, found = outline.curve_mm[part][turn], outline.found[part][turn]
    uncertainty = outline.uncertainty_mm[part][turn]
    below = np.flatnonzero(curve[:, 1] >= level_mm)
    if not len(below) or below[0] == 0:
        return None
    after = int(below[0])
    before = after - 1
    if not (found[before] and found[after]):
        return None
    (column, row), (next_column, next_row) = curve[before], curve[after]
    part_way = (level_mm - row) / (next_row - row)
    slant = (next_column - column) / (next_row - row)
    by = float(np.hypot(uncertainty[after], slant * _LEVEL_UNCERTAINTY_MM))
    return float(column + part_way * (next_column - column)), level_mm, by


def _gnathion(patch: FacePatch, outline: _Outline) -> _Places:
    index = LANDMARKS["gnathion"]
    about, detected_row = patch.point("gnathion") * patch.mm_per_px
    lower = outline.curve_mm[:, 1] > outline.curve_mm[:, 1].max() - _CHIN_HEIGHT_MM
    curve, found = outline.curve_mm[lower], outline.found[lower]
    middle = middle_by_contour_mm(curve, float(about))
    if middle is not None:
        near = np.abs(curve[:, 0] - middle[0]) < 20.0
        if near.any() and found[near].all():
            row, by = _lowest(curve, outline.uncertainty_mm[lower], middle[0])
            by = float(np.sqrt(by**2 + middle[1] ** 2 + _MIDDLE_UNCERTAINTY_MM**2))
            return {index: (middle[0], row, by)}
    by_picture = middle_by_picture_mm(patch, float(about), float(detected_row))
    if by_picture is None:
        return {}
    by = float(np.hypot(by_picture[1], _MIDDLE_BY_PICTURE_MM))
    return {index: (by_picture[0], float(detected_row), by)}


def _lowest(
    curve: NDArray[np.float64], uncertainty: NDArray[np.float64], middle_mm: float
) -> tuple[float, float]:
    """Row of the lowest point near the middle by a parabola, and its uncertainty."""
    near = np.abs(curve[:, 0] - middle_mm) < _LOWEST_WITHIN_MM
    bend, slope, level = np.polyfit(curve[near, 0] - middle_mm, curve[near, 1], 2)
    lowest = level - slope**2 / (4 * bend) if bend < 0 else level
    low, high = curve[near, 1].min(), curve[near, 1].max()
    return float(np.clip(lowest, low, high)), float(uncertainty[near].mean())
