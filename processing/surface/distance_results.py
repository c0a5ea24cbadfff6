"""Measurements of the distance between each hemiface and the mirrored other one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processing.measurement import Measurement
from processing.surface.distances import Distances, changes_by_plane
from processing.surface.mesh import Mesh
from processing.surface.plane import MirrorPlane
from processing.surface.regions import WHOLE
from processing.surface.scan_noise import ScanNoise

Statistic = Callable[[NDArray[np.float64], NDArray[np.float64]], float]

_LEAST_VERTICES: Final = 20
_FOR_UNCERTAINTY: Final = 4_000
_SEED: Final = 20073
# How well the variance of the noise is told apart from that of the shape, and how far the
# RMS of closest points may be off: both set by hand, on the bench of known deficits.
_TOLD_APART: Final = 0.15
_CLOSEST_POINT: Final = 0.02
_OUTLYING: Final = 4.0 * 1.4826
# Correlation of the scan's noise, as an area: 2 pi l^2 of a Gaussian of some 5 mm.
_CORRELATION_MM2: Final = 160.0
_METHOD: Final = "closest point of the mirrored other side, area-weighted over both hemifaces"
_WITHOUT_NOISE: Final = "; the variance of the scan's noise ({:.2f} mm) taken off"
_WITH_NOISE: Final = "; the scan's noise ({:.2f} mm) is part of it"


@dataclass(frozen=True, slots=True)
class _Part:
    """Distances in one region, and what is known about their errors."""

    values_mm: NDArray[np.float64]
    weights_mm2: NDArray[np.float64]
    changes_mm: NDArray[np.float64]
    noise: _Noise


@dataclass(frozen=True, slots=True)
class _Noise:
    """Standard deviation that the scan gives to a distance, and the skin it was seen on.

    `shape_mm2` is the variance of the shape, from which it was told apart there.
    """

    mm: float
    area_mm2: float
    shape_mm2: float


def distance_measurements(
    mesh: Mesh,
    plane: MirrorPlane,
    noise: ScanNoise,
    distances: Distances,
    regions: Mapping[str, NDArray[np.bool_]],
) -> Iterator[Measurement]:
    """RMS, mean and 95 % quantile of the absolute distance, of the whole and of each region.

    The root mean square is freed of the scan's noise. Mean, quantile and the
    shares within a limit are not: the noise makes them larger (the shares smaller).
    """
    of_scan = _noise(noise, distances)
    changes = changes_by_plane(mesh, plane, distances.vertices)
    for region, mask in regions.items():
        chosen = mask.ravel()[distances.pixels]
        if np.count_nonzero(chosen) < _LEAST_VERTICES:
            continue
        part = _Part(
            distances.values_mm[chosen], distances.weights_mm2[chosen], changes[chosen], of_scan
        )
        name = None if region == WHOLE else region
        yield _rms(part, name)
        share = part.weights_mm2 / part.weights_mm2.sum()
        for quantity, unit, statistic in _STATISTICS:
            if unit == "mm" or region == WHOLE:
                yield _measurement(
                    quantity,
                    unit,
                    statistic(part.values_mm, share),
                    _uncertainty_of(statistic, part),
                    _METHOD + _WITH_NOISE.format(part.noise.mm),
                    name,
                )


def _noise(noise: ScanNoise, distances: Distances) -> _Noise:
    """The noise of a distance, from the quiet part of the face.

    There, the mean square of a distance is the variance of the noise and that
    of the shape, of which `noise` knows the latter.
    """
    quiet = noise.quiet.ravel()[distances.pixels]
    if not quiet.any():
        return _Noise(0.0, 0.0, 0.0)
    values, weights = distances.values_mm[quiet], distances.weights_mm2[quiet]
    # Folds such as those of the lids stick out and are no noise.
    calm = np.abs(values) <= _OUTLYING * np.median(np.abs(values))
    square = float(np.average(values[calm] ** 2, weights=weights[calm]))
    variance = max(square - noise.shape_variance_mm2, 0.0)
    return _Noise(float(np.sqrt(variance)), float(weights.sum()), noise.shape_variance_mm2)


def _uncertainty_of(statistic: Statistic, part: _Part) -> float:
    """Standard uncertainty of a statistic, on at most some 4,000 of the vertices.

    The plane is moved by one standard deviation along each principal axis of
    its covariance, and as much noise as the scan has is added once more.
    """
    step = max(len(part.values_mm) // _FOR_UNCERTAINTY, 1)
    values, weights = part.values_mm[::step], part.weights_mm2[::step]
    share = weights / weights.sum()
    square = 0.0
    for change in part.changes_mm[::step].T:
        ahead, behind = statistic(values + change, share), statistic(values - change, share)
        square += ((ahead - behind) / 2) ** 2
    noise = part.noise.mm * np.random.default_rng(_SEED).standard_normal(len(values))
    square += (statistic(values + noise, share) - statistic(values, share)) ** 2
    return float(np.sqrt(square))


def _rms(part: _Part, region: str | None) -> Measurement:
    """Root of the mean square less the variance of the noise.

    The uncertainty of the difference of squares is that of the plane, that of
    the noise's variance where it was estimated and told apart from the shape,
    and that of the noise here; of the root v it is u / sqrt(4 v^2 + u), which is
    u / 2v far from zero and sqrt(u) at zero. Closest points add 2 % of v.
    """
    share = part.weights_mm2 / part.weights_mm2.sum()
    variance = part.noise.mm**2
    square = float(share @ part.values_mm**2) - variance
    value = float(np.sqrt(max(square, 0.0)))
    of_plane = 2.0 * (share * part.values_mm) @ part.changes_mm
    # Of second order: what a displaced plane adds where there is no asymmetry.
    added = float((share @ part.changes_mm**2).sum())
    area = float(part.weights_mm2.sum())
    # Both sides of the face show the same pairs, hence twice the area for a sample.
    samples = [max(each / (2 * _CORRELATION_MM2), 1.0) for each in (area, part.noise.area_mm2)]
    of_variance = [2.0 * variance**2 / each for each in samples]
    of_product = 4.0 * max(square, 0.0) * variance / samples[0]
    of_shape = _TOLD_APART * part.noise.shape_mm2
    spread = float(
        np.sqrt(float(of_plane @ of_plane) + added**2 + sum(of_variance) + of_product + of_shape**2)
    )
    of_root = spread / float(np.sqrt(4 * value**2 + spread)) if spread > 0 else 0.0
    uncertainty = float(np.hypot(of_root, _CLOSEST_POINT * value))
    return _measurement(
        "rms_asymmetry",
        "mm",
        value,
        uncertainty,
        _METHOD + _WITHOUT_NOISE.format(part.noise.mm),
        region,
    )


def _measurement(
    quantity: str, unit: str, value: float, uncertainty: float, method: str, region: str | None
) -> Measurement:
    return Measurement(
        quantity=quantity,
        value=value,
        unit=unit,
        uncertainty=uncertainty,
        method=method,
        structure="face",
        region=region,
        derived_from=("midsagittal",),
    )


def _mean_absolute(values: NDArray[np.float64], share: NDArray[np.float64]) -> float:
    return float(share @ np.abs(values))


def _p95(values: NDArray[np.float64], share: NDArray[np.float64]) -> float:
    size = np.abs(values)
    order = np.argsort(size)
    place = int(np.searchsorted(np.cumsum(share[order]), 0.95))
    return float(size[order[min(place, len(order) - 1)]])


def _within(limit_mm: float) -> Statistic:
    return lambda values, share: float(share[np.abs(values) <= limit_mm].sum())


_STATISTICS: Final[tuple[tuple[str, str, Statistic], ...]] = (
    ("mean_absolute_asymmetry", "mm", _mean_absolute),
    ("p95_asymmetry", "mm", _p95),
    ("fraction_within_1mm", "1", _within(1.0)),
    ("fraction_within_2mm", "1", _within(2.0)),
)
