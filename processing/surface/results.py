"""Measurements of surface-symmetry, out of plane, maps, distances and landmarks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processing.measurement import Measurement, Side, SurfacePatch
from processing.surface.area_volumes import area_volumes, edge_doubt_ml
from processing.surface.distance_results import distance_measurements
from processing.surface.distances import distances_for_pictures, mirrored_distances
from processing.surface.given_area import area_of_patch
from processing.surface.landmark_results import (
    Landmarks,
    edit_measurements,
    landmark_measurements,
)
from processing.surface.mesh import Mesh
from processing.surface.named_regions import face_regions
from processing.surface.plane import MirrorPlane
from processing.surface.radial import RadialMaps
from processing.surface.regions import (
    WHOLE,
    AffectedArea,
    affected_area,
    affected_pixels,
)
from processing.surface.scan_noise import ScanNoise, scan_noise
from processing.surface.volume import Volume, region_volumes, volume_by_motion_ml

HEMIFACE: Final = "hemiface"
AFFECTED: Final = "affected area"
GIVEN: Final = "affected area, given"
_LEVELLED: Final = ", levelled"
_VOLUME_METHOD: Final = (
    "left minus right, integral of the radial height difference to the mirrored other hemiface"
)
_AREA_METHOD: Final = "left minus right, height difference along the mean normal of the area"
_RIM_METHOD: Final = "; rim of 0.5 to 9 mm taken as zero (hides a diffuse asymmetry)"
# Of the change of volume between two planes, what the linear propagation may be off.
_NONLINEARITY: Final = 0.03


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
    edited : frozenset of str
        Landmarks that a reviewer placed.
    moved_mm : mapping of str to float
        From the automatic landmark to the reviewer's.
    alternatives : mapping of str to MirrorPlane
        Other ways to place the plane.
    given_area : SurfacePatch, optional
        The affected area that a reviewer outlined; it counts instead of a found one.
    """

    mesh: Mesh = field(repr=False)
    plane: MirrorPlane
    maps: RadialMaps
    landmarks_mm: Mapping[str, NDArray[np.float64]] = field(repr=False)
    spread_mm: Mapping[str, float] = field(repr=False)
    in_face: NDArray[np.bool_] = field(repr=False)
    edited: frozenset[str] = frozenset()
    moved_mm: Mapping[str, float] = field(default_factory=dict)
    alternatives: Mapping[str, MirrorPlane] = field(default_factory=dict)
    given_area: SurfacePatch | None = field(default=None, repr=False)


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
    mesh, maps, plane = measured.mesh, measured.maps, measured.plane
    local = {
        name: maps.frame.to_face(place[None])[0] for name, place in measured.landmarks_mm.items()
    }
    regions = face_regions(maps, local)
    area = _area(measured)
    noise = scan_noise(maps, affected_pixels(maps) if area is None else _left_out(maps, area))
    motion_ml = volume_by_motion_ml(maps, plane)
    distances = mirrored_distances(mesh, plane, maps)
    landmarks = Landmarks(
        measured.landmarks_mm, measured.spread_mm, measured.edited, measured.moved_mm
    )
    found = (
        *_region_measurements(maps, plane, noise, motion_ml, regions),
        *(_area_measurements(measured, noise, motion_ml, area) if area else ()),
        *_plane_choices(plane, motion_ml, measured.alternatives),
        *distance_measurements(mesh, plane, noise, distances, regions),
        *landmark_measurements(landmarks, plane),
        *edit_measurements(landmarks),
    )
    return found, distances_for_pictures(mesh, maps, distances), area


def _area(measured: Measured) -> AffectedArea | None:
    if measured.given_area is not None:
        given = area_of_patch(measured.maps, measured.given_area)
        if given is not None:
            return given
    return affected_area(measured.maps)


def _left_out(maps: RadialMaps, area: AffectedArea) -> NDArray[np.bool_]:
    """What an estimate of the scan's noise leaves out: a person's area, too."""
    return affected_pixels(maps) | area.mask


def _region_measurements(
    maps: RadialMaps,
    plane: MirrorPlane,
    noise: ScanNoise,
    motion_ml: NDArray[np.float64],
    regions: Mapping[str, NDArray[np.bool_]],
) -> Iterator[Measurement]:
    there = {name: mask for name, mask in regions.items() if mask.any()}
    for name, volume in region_volumes(maps, plane, noise, motion_ml, there).items():
        beyond = edge_doubt_ml(maps, there[name])
        yield _volume(
            None if name == WHOLE else name,
            Volume(volume.value_ml, float(np.hypot(volume.uncertainty_ml, beyond))),
            _VOLUME_METHOD,
        )


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


def _area_measurements(
    measured: Measured, noise: ScanNoise, motion_ml: NDArray[np.float64], area: AffectedArea
) -> Iterator[Measurement]:
    volumes = area_volumes(measured.mesh, measured.maps, measured.plane, noise, area, motion_ml)
    name = GIVEN if area.given else AFFECTED
    origin = (
        "area given by a reviewer"
        if area.given
        else f"area found automatically, {area.contrast:.1f} standard deviations above the rest; "
        "to be confirmed"
    )
    if volumes is None:
        # The area leaves no rim to level on: it takes all that is measured around it.
        alone = region_volumes(measured.maps, measured.plane, noise, motion_ml, {name: area.mask})
        yield _volume(name, alone[name], f"{_VOLUME_METHOD}; {origin}")
        return
    method = f"{_AREA_METHOD}; {origin}"
    yield _volume(name, volumes.raw, method)
    yield _volume(name + _LEVELLED, volumes.levelled, method + _RIM_METHOD)


def _plane_choices(
    plane: MirrorPlane, motion_ml: NDArray[np.float64], alternatives: Mapping[str, MirrorPlane]
) -> Iterator[Measurement]:
    """How much each other way to place the plane would change the headline volume."""
    gradient = motion_ml.sum(axis=(0, 1))
    for name, other in alternatives.items():
        change = float(gradient @ plane.shift_to(other))
        apart = other.covariance + plane.covariance
        square = float(gradient @ apart @ gradient) + (_NONLINEARITY * change) ** 2
        yield Measurement(
            quantity="plane_choice_volume_change",
            value=change,
            unit="mL",
            uncertainty=float(np.sqrt(square)),
            method="volume of the hemiface on that plane minus the one reported, by the motion of "
            "the mirror image, to first order",
            side=Side.LEFT,
            structure=HEMIFACE,
            region=name,
            derived_from=("midsagittal",),
        )
