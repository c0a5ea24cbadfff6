"""What was measured on a phantom, held against what is true of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from processing import photograph, surface
from processing.landmarks import MIDLINE_LANDMARKS
from processing.measurement import Analysis, Measurement, Plane
from processing.phantom.truth import PhantomTruth

VOLUME_TOLERANCE: Final = 0.10
PLANE_TOLERANCE_DEG: Final = 0.3
LEAST_SYMMETRY_RATIO: Final = 0.99
_AFFECTED_AREA: Final = "affected area, levelled"
_SHOWN_PAIRS: Final = ("exocanthion", "alare", "cheilion")


@dataclass(frozen=True, slots=True)
class Row:
    """One quantity: truth beside measured.

    `measured` is None when it was not measured, `uncertainty` when the report
    states none for it. `target` and `passed` are None where nothing is asked.
    """

    phantom: str
    quantity: str
    truth: float
    measured: float | None
    uncertainty: float | None
    unit: str
    target: str | None = None
    passed: bool | None = None


def compare(phantom: str, truth: PhantomTruth, analyses: Mapping[str, Analysis]) -> tuple[Row, ...]:
    """Compare what was found on a phantom with its truth.

    Parameters
    ----------
    phantom : str
        What to call it.
    truth : PhantomTruth
    analyses : mapping of str to Analysis
        What came back, by the name of the analysis; one that is missing, or that
        measured nothing, misses its targets.
    """
    return (
        *_surface_rows(phantom, truth, analyses.get(surface.ANALYSIS)),
        *_photograph_rows(phantom, truth, analyses.get(photograph.ANALYSIS)),
    )


def plane_angle_deg(one: Plane, other: Plane) -> float:
    """Angle between two planes, 0 to 90 degrees, exact also where it is tiny."""
    first, second = np.array(one.normal), np.array(other.normal)
    angle = np.arctan2(np.linalg.norm(np.cross(first, second)), abs(first @ second))
    return float(np.degrees(angle))


def plane_offset_mm(truth: PhantomTruth, measured: Plane) -> float:
    """How far the measured plane lies to the patient's left of the truth, in mm.

    At the middle of the face: the mean of the midline landmarks, which lie on
    the true plane unless the hollow has moved them.
    """
    plane = truth.midsagittal_plane
    true_normal, normal = np.array(plane.normal), np.array(measured.normal)
    known = truth.landmarks_mm
    landmarks = [known[name] for name in MIDLINE_LANDMARKS if name in known]
    middle = np.mean(landmarks, axis=0)
    on_plane = middle - (true_normal @ middle - plane.offset_mm) * true_normal
    orientation = 1.0 if true_normal @ normal >= 0 else -1.0
    return float(orientation * (measured.offset_mm - normal @ on_plane))


def _surface_rows(phantom: str, truth: PhantomTruth, analysis: Analysis | None) -> Iterator[Row]:
    whole = _measurement(analysis, "volume_discrepancy", region=None)
    yield _volume_row(phantom, "volume discrepancy", truth, whole)
    affected = _measurement(analysis, "volume_discrepancy", region=_AFFECTED_AREA)
    if affected is not None:
        true_volume = truth.volume_discrepancy_ml
        yield _shown(phantom, f"in the {_AFFECTED_AREA}", true_volume, affected, "mL")
    plane = analysis.planes.get("midsagittal") if analysis is not None else None
    angle = plane_angle_deg(truth.midsagittal_plane, plane) if plane is not None else None
    yield Row(
        phantom,
        "angle between the planes",
        0.0,
        angle,
        None,
        "deg",
        f"within {PLANE_TOLERANCE_DEG:g} deg",
        angle is not None and angle <= PLANE_TOLERANCE_DEG,
    )
    offset = plane_offset_mm(truth, plane) if plane is not None else None
    yield Row(phantom, "offset of the plane", 0.0, offset, None, "mm")
    chin = _measurement(analysis, "chin_deviation")
    yield _shown(phantom, "chin deviation", 0.0, chin, "mm")


def _photograph_rows(phantom: str, truth: PhantomTruth, analysis: Analysis | None) -> Iterator[Row]:
    ratio = _measurement(analysis, "symmetry_ratio")
    # A hollow does not move the contours that a frontal photograph shows; only a
    # symmetric face, though, promises the ratio.
    row = _shown(phantom, "symmetry ratio", _true_ratio(truth), ratio, "1")
    if truth.deficit_ml:
        yield row
    else:
        yield replace(
            row,
            target=f"above {LEAST_SYMMETRY_RATIO:g}",
            passed=ratio is not None and ratio.value > LEAST_SYMMETRY_RATIO,
        )
    for structure in _SHOWN_PAIRS:
        pair = _measurement(analysis, "pair_ratio", structure=structure)
        true_ratio = truth.pair_distances[structure].ratio
        yield _shown(phantom, f"pair ratio, {structure}", true_ratio, pair, "1")


def _volume_row(phantom: str, name: str, truth: PhantomTruth, volume: Measurement | None) -> Row:
    true_volume = truth.volume_discrepancy_ml
    row = _shown(phantom, name, true_volume, volume, "mL")
    if not true_volume:
        return row  # a share of zero is no tolerance
    near = volume is not None and abs(volume.value - true_volume) <= VOLUME_TOLERANCE * abs(
        true_volume
    )
    return replace(row, target=f"within {VOLUME_TOLERANCE:.0%}", passed=near)


def _shown(phantom: str, name: str, truth: float, measured: Measurement | None, unit: str) -> Row:
    if measured is None:
        return Row(phantom, name, truth, None, None, unit)
    return Row(phantom, name, truth, measured.value, measured.uncertainty, unit)


def _true_ratio(truth: PhantomTruth) -> float:
    return float(np.mean([pair.ratio for pair in truth.pair_distances.values()]))


def _measurement(
    analysis: Analysis | None, quantity: str, **wanted: str | None
) -> Measurement | None:
    """The first measurement of a quantity whose named attributes are as wanted."""
    for each in analysis.measurements if analysis is not None else ():
        if each.quantity == quantity and all(
            getattr(each, name) == value for name, value in wanted.items()
        ):
            return each
    return None
