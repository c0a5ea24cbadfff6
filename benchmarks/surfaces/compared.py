"""One case measured by hemiface and by its peers, against the truth."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.surfaces.cases import Case
from benchmarks.surfaces.on_plane import Plane, Region, found_plane, outline, true_plane
from benchmarks.surfaces.peers import (
    Registered,
    least_squares_plane,
    mirrored,
    plane_of,
    rough_start,
)
from benchmarks.surfaces.watched import Watched, watched
from processing.face_landmarks import FaceDetector
from processing.inputs import SurfaceEdits
from processing.measurement import Analysis, Measurement, Status
from processing.surface.given_area import points_on_patch
from processing.surface.radial import RadialMaps, looked_up
from processing.surface.symmetry import FOUND_AREA

Array = NDArray[np.float64]

HEMIFACE: Final = "hemiface"
LANDMARKS: Final = "hemiface, landmarks alone"
AREA_LEFT_OUT: Final = "hemiface, given area left out"
TRUE_PLANE: Final = "true plane"
FLOOR: Final = "least squares, unaffected only"

NORMAL_95: Final = 1.96
CHI2_3_95: Final = 7.815
AFFECTED: Final = "affected area"
LEVELLED: Final = "affected area, levelled"
GIVEN: Final = "affected area, given"
GIVEN_LEVELLED: Final = "affected area, given, levelled"


@dataclass(frozen=True, slots=True)
class Reading:
    """A value with its truth; the uncertainty is one standard deviation."""

    value: float
    truth: float
    uncertainty: float | None = None

    @property
    def error(self) -> float:
        """Measured minus true."""
        return self.value - self.truth

    @property
    def covered(self) -> bool | None:
        """Whether the 95 % interval holds the truth; None without an uncertainty."""
        if self.uncertainty is None:
            return None
        return abs(self.error) <= NORMAL_95 * self.uncertainty


@dataclass(frozen=True, slots=True)
class OnPlane:
    """What one plane is worth: its error, and hemiface's volumes on it, in mL.

    `area` and `levelled` are over the given area, `hemiface` over the whole.
    """

    plane_deg: float
    plane_mm: float
    seconds: float | None
    hemiface: Reading
    area: Reading | None
    levelled: Reading | None


@dataclass(frozen=True, slots=True)
class Compared:
    """What became of one case.

    Parameters
    ----------
    case, head, site : str
    volume_ml, natural_mm, depth_mm : float
        Of the case.
    refused : str or None
        The reason, when hemiface refused; everything else is then empty.
    seconds : float
        Of the measurement, without pictures.
    part_seconds : mapping of str to float
    planes : mapping of str to OnPlane
        By method; hemiface's own first.
    hemiface, found, found_levelled : Reading or None
        The headline volume and those of the area that was found automatically.
    found_within : Reading or None
        The volume of the area that was found against what truly lies in it.
    given, given_levelled : Reading or None
        The volumes of the outlined area, in a second measurement that is given it.
    rms : Reading or None
        Of the left-right difference, mm.
    plane_covered : bool or None
        Whether the 95 % region of the plane (its covariance, three degrees of
        freedom) holds the true plane.
    angle_uncertainty_deg, lateral_uncertainty_mm : float or None
        As reported.
    outside_ml : float
        What of the deficit lies outside the region that was measured.
    """

    case: str
    head: str
    site: str
    volume_ml: float
    natural_mm: float
    depth_mm: float
    refused: str | None
    seconds: float
    part_seconds: Mapping[str, float]
    planes: Mapping[str, OnPlane]
    hemiface: Reading | None = None
    found: Reading | None = None
    found_levelled: Reading | None = None
    found_within: Reading | None = None
    given: Reading | None = None
    given_levelled: Reading | None = None
    rms: Reading | None = None
    plane_covered: bool | None = None
    angle_uncertainty_deg: float | None = None
    lateral_uncertainty_mm: float | None = None
    outside_ml: float = 0.0


def compared(case: Case, detector: FaceDetector, peers: Mapping[str, Registered]) -> Compared:
    """Measure a case.

    Parameters
    ----------
    case : Case
    detector : FaceDetector
    peers : mapping of str to callable
        Empty measures hemiface alone.
    """
    seen = watched(case.scan.surface, detector)
    about: dict[str, Any] = {
        "case": case.spec.name,
        "head": case.head.name,
        "site": str(case.spec.site or "none"),
        "volume_ml": case.spec.volume_ml,
        "natural_mm": case.spec.natural_mm,
        "depth_mm": case.depth_mm,
        "seconds": seen.seconds,
        "part_seconds": seen.part_seconds,
    }
    if seen.analysis.status is not Status.MEASURED:
        return Compared(refused=seen.analysis.reason, planes={}, **about)
    region = Region(case.scan.surface, seen.analysis)
    own = found_plane(seen.analysis)
    maps = region.maps(own)
    truth, outside = _hemiface_truth(case, region, maps)
    area_truth = case.area_volume_ml()
    given = _with_outline(case, detector)
    planes = {
        name: _on_plane(case, region, plane, seconds, truth, area_truth)
        for name, plane, seconds in _planes(case, region, seen, given, peers)
    }
    found_truth = area_truth if case.spec.site else 0.0
    return Compared(
        refused=None,
        planes=planes,
        hemiface=_reading(seen.volume(None), truth),
        found=_reading(seen.volume(AFFECTED), found_truth),
        found_levelled=_reading(seen.volume(LEVELLED), found_truth),
        found_within=_reading(seen.volume(AFFECTED), _truth_within_found(case, seen.analysis)),
        given=None if given is None else _reading(given.volume(GIVEN), area_truth),
        given_levelled=None
        if given is None
        else _reading(given.volume(GIVEN_LEVELLED), area_truth),
        rms=_reading(seen.measurement("rms_asymmetry"), _true_rms(case, region, maps)),
        plane_covered=_covered(case, seen),
        angle_uncertainty_deg=seen.check("plane_angle_uncertainty"),
        lateral_uncertainty_mm=seen.check("plane_lateral_uncertainty"),
        outside_ml=outside,
        **about,
    )


def _truth_within_found(case: Case, analysis: Analysis) -> float:
    patch = analysis.areas.get(FOUND_AREA)
    if patch is None:
        return 0.0
    return case.difference_within_ml(points_on_patch(patch, case.scan.placed(case.face_mm)))


def _with_outline(case: Case, detector: FaceDetector) -> Watched | None:
    """The measurement of a scan whose affected area a person outlined."""
    area = outline(case)
    if area is None:
        return None
    surface = case.scan.surface
    edits = SurfaceEdits("outline", surface.source, area=area)
    seen = watched(replace(surface, edits=edits), detector)
    return seen if seen.analysis.status is Status.MEASURED else None


def _planes(
    case: Case,
    region: Region,
    seen: Watched,
    given: Watched | None,
    peers: Mapping[str, Registered],
) -> list[tuple[str, Plane, float | None]]:
    own = found_plane(seen.analysis)
    truth = true_plane(case)
    planes: list[tuple[str, Plane, float | None]] = [
        (HEMIFACE, own, seen.part_seconds.get("fit_midsagittal_plane"))
    ]
    if given is not None:
        planes.append((AREA_LEFT_OUT, found_plane(given.analysis), None))
    start = rough_start(truth, case.midline_mm().mean(axis=0), case.spec.number)
    for name, register in peers.items():
        started = time.perf_counter()
        transform = register(mirrored(region.mesh, start))
        seconds = time.perf_counter() - started
        planes.append((name, plane_of(transform, start), seconds))
    planes.append((FLOOR, _floor(case, region, truth), None))
    planes.append((TRUE_PLANE, truth, None))
    return planes


def _floor(case: Case, region: Region, truth: Plane) -> Plane:
    mesh = region.mesh
    affected = case.area[region.vertex_of_scan]
    # The image of the affected area on the other side saw the same deficit.
    images = mesh.vertices_mm - 2 * np.outer(
        mesh.vertices_mm @ truth.normal - truth.offset_mm, truth.normal
    )
    partner = region.nearest_in_scan(images)
    allowed = region.facial_vertices(truth) & ~affected & ~case.area[partner]
    return least_squares_plane(mesh, allowed, truth)


def _on_plane(
    case: Case,
    region: Region,
    plane: Plane,
    seconds: float | None,
    truth_ml: float,
    area_truth_ml: float,
) -> OnPlane:
    volumes = region.volumes(plane, outline(case))
    degrees, millimetres = plane.error(case)
    return OnPlane(
        degrees,
        millimetres,
        seconds,
        Reading(volumes.hemiface_ml, truth_ml),
        None if volumes.area_ml is None else Reading(volumes.area_ml, area_truth_ml),
        None if volumes.levelled_ml is None else Reading(volumes.levelled_ml, area_truth_ml),
    )


def _hemiface_truth(case: Case, region: Region, maps: RadialMaps) -> tuple[float, float]:
    """The whole deficit and the natural asymmetry of the region measured; the deficit outside."""
    within, directions, centre = region.share_within(maps, case)
    everything = np.ones(len(within), bool)
    deficit = case.deficit_within_ml(everything)
    natural = case.natural_within_ml(directions, centre, region.direction_steradian())
    return deficit + natural, deficit - case.deficit_within_ml(within)


def _true_rms(case: Case, region: Region, maps: RadialMaps) -> float:
    mesh = region.mesh
    chosen = looked_up(maps.measured, mesh, maps.frame) & ~mesh.border
    distances = case.true_distances_mm()[region.vertex_of_scan][chosen]
    near = np.abs(distances) < 20.0
    share = mesh.areas_mm2[chosen][near]
    return float(np.sqrt(share @ distances[near] ** 2 / share.sum()))


def _covered(case: Case, seen: Watched) -> bool | None:
    """Whether the true plane lies in the 95 % region of the covariance that was handed on."""
    fitted = getattr(seen.given.get("fit_midsagittal_plane"), "plane", None)
    if fitted is None:
        return None
    tilts = fitted.tangents @ case.normal
    shift = (case.offset_mm - case.normal @ fitted.pivot_mm) / float(case.normal @ fitted.normal)
    away = np.array([tilts[0], tilts[1], shift])
    return bool(away @ np.linalg.pinv(fitted.covariance, rcond=1e-12) @ away <= CHI2_3_95)


def _reading(measurement: Measurement | None, truth: float) -> Reading | None:
    if measurement is None:
        return None
    return Reading(measurement.value, truth, measurement.uncertainty)
