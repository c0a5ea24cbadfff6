"""Measurements of surface-symmetry, out of plane, maps, distances and landmarks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processing.measurement import Measurement, Side
from processing.surface.distances import mirrored_distances_mm, uncertainty_of
from processing.surface.mesh import Mesh
from processing.surface.plane import MirrorPlane
from processing.surface.radial import RadialMaps, looked_up
from processing.surface.regions import (
    AFFECTED,
    WHOLE,
    AffectedArea,
    affected_area,
    face_regions,
)
from processing.surface.volume import Volume, area_volume, region_volumes, scan_noise_mm

HEMIFACE: Final = "hemiface"
LEVELLED: Final = "affected area, levelled"
# Repeatability of MediaPipe's landmarks on rendered faces, per axis; less is not claimed.
LANDMARK_FLOOR_MM: Final = 0.7
# A landmark that moves more when the view turns lies beside an edge; it is not measured.
LANDMARK_SPREAD_LIMIT_MM: Final = 2.5
_LANDMARK_METHOD: Final = "MediaPipe on rendered views, rays cast back onto the surface"
_DISTANCE_METHOD: Final = (
    "closest point of the mirrored other side, area-weighted over both hemifaces"
)
_VOLUME_METHOD: Final = (
    "left minus right, integral of the radial height difference to the mirrored other hemiface"
)
_STRICTNESSES: Final = (0.6, 1.6)


@dataclass(frozen=True, slots=True)
class Measured:
    """A face with its plane, ready for its measures.

    Parameters
    ----------
    mesh : Mesh
    plane : MirrorPlane
    maps : RadialMaps
        On `plane`.
    landmarks_mm : mapping of str to (3,) array
        In the frame of the scan.
    spread_mm : mapping of str to float
        Standard deviation of each landmark, per axis.
    in_face : (n,) bool array
        Vertices in the measured facial region.
    """

    mesh: Mesh = field(repr=False)
    plane: MirrorPlane
    maps: RadialMaps
    landmarks_mm: Mapping[str, NDArray[np.float64]] = field(repr=False)
    spread_mm: Mapping[str, float] = field(repr=False)
    in_face: NDArray[np.bool_] = field(repr=False)


def measurements_of(
    measured: Measured,
) -> tuple[tuple[Measurement, ...], NDArray[np.float64], AffectedArea | None]:
    """All measurements of a face.

    Returns
    -------
    tuple of Measurement
    (n,) float64 array
        The signed distance of each vertex to the mirrored other side, mm, NaN
        where not measured.
    AffectedArea or None
    """
    maps = measured.maps
    local = {
        name: maps.frame.to_face(place[None])[0] for name, place in measured.landmarks_mm.items()
    }
    regions = face_regions(maps, local)
    distances = mirrored_distances_mm(measured.mesh, measured.plane, measured.in_face)
    area = affected_area(maps)
    volumes = region_volumes(
        measured.mesh,
        maps,
        measured.plane,
        regions | ({AFFECTED: area.mask} if area else {}),
    )
    found = [
        *(
            _volume(None if name == WHOLE else name, volumes[name], _VOLUME_METHOD)
            for name in regions
            if regions[name].any()
        ),
        *(_area_volumes(measured, area, volumes[AFFECTED]) if area else ()),
        *_distance_measures(measured, distances, regions),
        *_landmark_measures(measured),
        _chin_deviation(measured),
    ]
    return tuple(found), distances, area


def _volume(region: str | None, volume: Volume, method: str) -> Measurement:
    return Measurement(
        quantity="volume_discrepancy",
        value=volume.value_ml,
        unit="mL",
        uncertainty=volume.uncertainty_ml,
        method=method,
        side=Side.LEFT,
        structure=HEMIFACE,
        region=region,
        derived_from=("midsagittal",),
    )


def _area_volumes(measured: Measured, area: AffectedArea, radial: Volume) -> list[Measurement]:
    """Raw and levelled volume of the affected area.

    The uncertainty holds that of plane and scan (as for any region) and how far
    the volume moves when the area is found with thresholds 0.6 and 1.6 times
    as high.
    """
    mesh, maps = measured.mesh, measured.maps
    best = area_volume(mesh, maps, area.mask)
    if best is None:
        return []
    others = [
        volume
        for strictness in _STRICTNESSES
        if (other := affected_area(maps, strictness))
        and (volume := area_volume(mesh, maps, other.mask))
    ]
    of_choice_raw = _spread(best.raw_ml, [each.raw_ml for each in others])
    of_choice_levelled = _spread(best.levelled_ml, [each.levelled_ml for each in others])
    base = radial.uncertainty_ml
    method = (
        "left minus right, height difference along the mean normal of the area; area found "
        f"automatically, {area.contrast:.1f} standard deviations above the rest; to be confirmed"
    )
    return [
        _volume(AFFECTED, Volume(best.raw_ml, float(np.hypot(base, of_choice_raw))), method),
        _volume(
            LEVELLED,
            Volume(best.levelled_ml, float(np.hypot(base, of_choice_levelled))),
            method + "; rim of 0.5 to 9 mm taken as zero (hides a diffuse asymmetry)",
        ),
    ]


def _spread(best: float, others: list[float]) -> float:
    """Standard deviation of a rectangular distribution as wide as the alternatives."""
    return max((abs(each - best) for each in others), default=0.0) / float(np.sqrt(3.0))


def _distance_measures(
    measured: Measured,
    distances: NDArray[np.float64],
    regions: Mapping[str, NDArray[np.bool_]],
) -> list[Measurement]:
    mesh = measured.mesh
    there = np.isfinite(distances)
    noise = scan_noise_mm(measured.maps)
    found = []
    for region, mask in regions.items():
        chosen = there & looked_up(mask, mesh, measured.maps.frame)
        if np.count_nonzero(chosen) < 20:
            continue
        values, weights = distances[chosen], mesh.areas_mm2[chosen]
        directions = measured.plane.reflected_directions(mesh.normals[chosen])
        motion = measured.plane.image_motion(mesh.vertices_mm[chosen], directions)
        for quantity, unit, statistic in _statistics(weights):
            if region != WHOLE and unit != "mm":
                continue
            found.append(
                Measurement(
                    quantity=quantity,
                    value=statistic(values),
                    unit=unit,
                    uncertainty=uncertainty_of(statistic, values, motion, measured.plane, noise),
                    method=_DISTANCE_METHOD,
                    structure="face",
                    region=None if region == WHOLE else region,
                    derived_from=("midsagittal",),
                )
            )
    return found


def _statistics(
    weights: NDArray[np.float64],
) -> list[tuple[str, str, Callable[[NDArray[np.float64]], float]]]:
    share = weights / weights.sum()

    def rms(values: NDArray[np.float64]) -> float:
        return float(np.sqrt(share @ values**2))

    def mean_absolute(values: NDArray[np.float64]) -> float:
        return float(share @ np.abs(values))

    def p95(values: NDArray[np.float64]) -> float:
        order = np.argsort(np.abs(values))
        place = int(np.searchsorted(np.cumsum(share[order]), 0.95))
        return float(np.abs(values)[order[min(place, len(order) - 1)]])

    def within(limit: float) -> Callable[[NDArray[np.float64]], float]:
        return lambda values: float(share[np.abs(values) <= limit].sum())

    return [
        ("rms_asymmetry", "mm", rms),
        ("mean_absolute_asymmetry", "mm", mean_absolute),
        ("p95_asymmetry", "mm", p95),
        ("fraction_within_1mm", "1", within(1.0)),
        ("fraction_within_2mm", "1", within(2.0)),
    ]


def _landmark_measures(measured: Measured) -> list[Measurement]:
    plane, landmarks = measured.plane, measured.landmarks_mm
    found = []
    for left in landmarks:
        name = left.removesuffix("_left")
        right = f"{name}_right"
        if name == left or right not in landmarks:
            continue
        if max(measured.spread_mm[left], measured.spread_mm[right]) > LANDMARK_SPREAD_LIMIT_MM:
            continue
        apart = plane.reflected(landmarks[left][None])[0] - landmarks[right]
        distance = float(np.linalg.norm(apart))
        direction = apart / distance if distance > 0 else plane.normal
        motion = plane.image_motion(landmarks[left][None], direction[None])[0]
        square = (
            _landmark_sd(measured, left) ** 2
            + _landmark_sd(measured, right) ** 2
            + float(motion @ plane.covariance @ motion)
        )
        found.append(
            Measurement(
                quantity="landmark_asymmetry",
                value=distance,
                unit="mm",
                uncertainty=float(np.sqrt(square)),
                method=f"distance of one landmark to the other's mirror image; {_LANDMARK_METHOD}",
                structure=name,
                derived_from=(left, right, "midsagittal"),
            )
        )
    return found


def _chin_deviation(measured: Measured) -> Measurement:
    plane, place = measured.plane, measured.landmarks_mm["pogonion"]
    # The image of a point moves twice as far as the point does relative to the plane.
    motion = plane.image_motion(place[None], plane.normal[None])[0] / 2
    square = _landmark_sd(measured, "pogonion") ** 2 + float(motion @ plane.covariance @ motion)
    return Measurement(
        quantity="chin_deviation",
        value=float(place @ plane.normal) - plane.offset_mm,
        unit="mm",
        uncertainty=float(np.sqrt(square)),
        method=f"distance of pogonion to the midsagittal plane, + to the left; {_LANDMARK_METHOD}",
        structure="pogonion",
        derived_from=("pogonion", "midsagittal"),
    )


def _landmark_sd(measured: Measured, name: str) -> float:
    return max(measured.spread_mm[name], LANDMARK_FLOOR_MM)
