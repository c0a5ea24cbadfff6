"""The words all rooms share: measurements, their uncertainty, and what went wrong.

Nothing here computes. A measuring package returns an `Analysis`; a report
writer, a page or a script reads it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

SCHEMA_VERSION: Final = 1


class RejectedInput(Exception):
    """The object is wrong and trying again cannot help.

    The message names what is wrong, in which attribute or part of the file,
    and what to do. The object itself is kept.
    """


class TransientFault(Exception):
    """Something outside did not answer as it should; trying again may help."""


class PermanentFault(Exception):
    """Trying again cannot help; the work is parked and waits for a person."""


class Side(StrEnum):
    """A side of the patient, never of the picture."""

    LEFT = "left"
    RIGHT = "right"


class Status(StrEnum):
    """How an analysis ended."""

    MEASURED = "measured"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Measurement:
    """One measured quantity with its standard uncertainty.

    Parameters
    ----------
    quantity : str
        Name from the table of quantities, for example ``"pair_ratio"``.
    value : float
        The measured value; signed where the quantity is.
    unit : str
        UCUM unit: ``mm``, ``mm2``, ``mL``, ``deg``, ``1`` or ``%``.
    uncertainty : float
        Standard uncertainty (one standard deviation) in `unit`; finite and
        not negative. A quantity whose uncertainty is unknown is not reported.
    method : str
        How it was measured, short, for the report.
    side : Side, optional
        The patient's side, where the quantity belongs to one.
    structure : str, optional
        Anatomical structure, for example ``"cheilion"`` or ``"hemiface"``.
    region : str, optional
        Part of the face, for example ``"lower"`` or ``"cheek"``.
    derived_from : tuple of str
        Names of landmarks, planes or images it was computed from.

    Raises
    ------
    ValueError
        If value or uncertainty is not a finite number.
    """

    quantity: str
    value: float
    unit: str
    uncertainty: float
    method: str
    side: Side | None = None
    structure: str | None = None
    region: str | None = None
    derived_from: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise ValueError(f"{self.quantity}: value is not a finite number ({self.value})")
        if not (math.isfinite(self.uncertainty) and self.uncertainty >= 0):
            raise ValueError(f"{self.quantity}: uncertainty {self.uncertainty} is not usable")


@dataclass(frozen=True, slots=True)
class NormalRange:
    """Between which values a quantity lies in people without the condition.

    Parameters
    ----------
    low, high : float or None
        Bounds; None where there is none on that side.
    unit : str
        UCUM unit of the bounds.
    population : str
        Whose values these are.
    source : str
        Who published them, and how the bounds follow from what was published.
    """

    low: float | None
    high: float | None
    unit: str
    population: str
    source: str


@dataclass(frozen=True, slots=True)
class QualityCheck:
    """A check that decides whether an analysis may be trusted.

    `limit` is the bound that `value` was compared with; `passed` is the verdict.
    """

    check: str
    value: float
    unit: str
    limit: float
    passed: bool


@dataclass(frozen=True, slots=True)
class Plane:
    """The plane of all points ``p`` with ``normal . p == offset_mm``.

    The normal has unit length. For the midsagittal plane it points to the
    patient's left.
    """

    normal: tuple[float, float, float]
    offset_mm: float


@dataclass(frozen=True, slots=True)
class Mark:
    """Where something that was measured lies in a picture.

    Parameters
    ----------
    name : str
        Of the mark, unique in its picture, for example ``"cheilion left to midline"``.
    points_px : tuple of (column, row)
        A line from point to point, closed where the last is the first; one point
        alone is a place.
    quantities : tuple of str
        The measures that it shows, of `structure`, `region` and `side`.
    structure, region, side
        As in `Measurement`; without a side, the measures of either side count.

    Raises
    ------
    ValueError
        If there is no point, or a coordinate is not a finite number.
    """

    name: str
    points_px: tuple[tuple[float, float], ...]
    structure: str
    quantities: tuple[str, ...] = ()
    region: str | None = None
    side: Side | None = None

    def __post_init__(self) -> None:
        if not self.points_px or not all(math.isfinite(x) for at in self.points_px for x in at):
            raise ValueError(f"mark {self.name} has no place in its picture ({self.points_px})")

    def shown(self, measurements: Iterable[Measurement]) -> tuple[Measurement, ...]:
        """The measurements that belong to the mark, in their order."""
        return tuple(
            each
            for each in measurements
            if each.quantity in self.quantities
            and (each.structure, each.region) == (self.structure, self.region)
            and self.side in (None, each.side)
        )


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture made by an analysis.

    Parameters
    ----------
    name : str
        Short file-name-safe name, for example ``"landmarks"``.
    caption : str
        One line for a person.
    pixels : (rows, columns, 3) uint8 array
        sRGB.
    marks : tuple of Mark
        Where in it the measures lie that it shows.
    """

    name: str
    caption: str
    pixels: NDArray[np.uint8] = field(repr=False)
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True, slots=True)
class SurfacePatch:
    """A piece of a surface, in the frame of the scan.

    Parameters
    ----------
    vertices_mm : (k, 3) float64 array
    triangles : (j, 3) int32 array
        Indices into `vertices_mm`.
    """

    vertices_mm: NDArray[np.float64] = field(repr=False)
    triangles: NDArray[np.int32] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ColouredModel:
    """A coloured surface to be turned and looked at in a browser.

    Parameters
    ----------
    name : str
        Short file-name-safe name, for example ``"heat-map"``.
    caption : str
        One line for a person, with what the colours mean.
    patch : SurfacePatch
    colours : (k, 3) uint8 array
        sRGB colour of each vertex.
    axes : (3, 3) float64 array, optional
        Unit vectors to the patient's left, up and forward, as rows, in the frame
        of the scan: how it is stood upright.
    """

    name: str
    caption: str
    patch: SurfacePatch
    colours: NDArray[np.uint8] = field(repr=False)
    axes: NDArray[np.float64] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Analysis:
    """What one analysis found on its inputs.

    Parameters
    ----------
    analysis : str
        Its name, for example ``"surface-symmetry"``.
    version : str
        Version of the method; a change of numbers changes it.
    status : Status
        Measured, refused or failed.
    reason : str, optional
        Why it was refused or failed, in words a clinician understands.
    inputs : tuple of str
        SOP Instance UIDs (or file names) it was computed from.
    measurements, quality, pictures
        What was found.
    landmarks : mapping of str to tuple of float
        Named points: (column, row) in pixels for a photograph, (x, y, z) in mm
        for a surface.
    planes : mapping of str to Plane
        Named planes, in the frame of the surface.
    frame : str, optional
        Frame of Reference UID of 3D landmarks and planes.
    areas : mapping of str to SurfacePatch
        Named areas of the surface, for example ``"affected-area"``.
    models : tuple of ColouredModel
    marks : tuple of Mark
        Where the measures lie in the photograph that is the first input.
    """

    analysis: str
    version: str
    status: Status
    reason: str | None = None
    inputs: tuple[str, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    landmarks: Mapping[str, tuple[float, ...]] = field(default_factory=lambda: MappingProxyType({}))
    planes: Mapping[str, Plane] = field(default_factory=lambda: MappingProxyType({}))
    frame: str | None = None
    quality: tuple[QualityCheck, ...] = ()
    pictures: tuple[Picture, ...] = ()
    areas: Mapping[str, SurfacePatch] = field(default_factory=lambda: MappingProxyType({}))
    models: tuple[ColouredModel, ...] = ()
    marks: tuple[Mark, ...] = ()

    def __post_init__(self) -> None:
        if self.status is not Status.MEASURED and not self.reason:
            raise ValueError(f"{self.analysis} is {self.status} without a reason")


def analysis_as_json(analysis: Analysis, picture_paths: tuple[str, ...] = ()) -> dict[str, Any]:
    """One analysis in the published JSON form (one element of ``analyses``).

    Parameters
    ----------
    analysis : Analysis
    picture_paths : tuple of str
        Where the caller has written the pictures, in their order.
    """
    return {
        "analysis": analysis.analysis,
        "version": analysis.version,
        "status": analysis.status.value,
        "reason": analysis.reason,
        "inputs": list(analysis.inputs),
        "measurements": [
            {
                "quantity": each.quantity,
                "structure": each.structure,
                "region": each.region,
                "side": each.side.value if each.side else None,
                "value": each.value,
                "unit": each.unit,
                "uncertainty": each.uncertainty,
                "method": each.method,
                "derived_from": list(each.derived_from),
            }
            for each in analysis.measurements
        ],
        "planes": {
            name: {"normal": list(plane.normal), "offset": plane.offset_mm}
            for name, plane in analysis.planes.items()
        },
        "landmarks": {name: list(point) for name, point in analysis.landmarks.items()},
        "frame": analysis.frame,
        "quality": [
            {
                "check": each.check,
                "value": each.value,
                "unit": each.unit,
                "limit": each.limit,
                "passed": each.passed,
            }
            for each in analysis.quality
        ],
        "pictures": list(picture_paths),
    }


def analysis_from_json(data: Mapping[str, Any]) -> Analysis:
    """The analysis that `analysis_as_json` wrote, without its pictures' pixels.

    Raises
    ------
    KeyError, ValueError
        If `data` is not in the published form.
    """
    return Analysis(
        analysis=data["analysis"],
        version=data["version"],
        status=Status(data["status"]),
        reason=data["reason"],
        inputs=tuple(data["inputs"]),
        measurements=tuple(
            Measurement(
                quantity=each["quantity"],
                structure=each["structure"],
                region=each["region"],
                side=Side(each["side"]) if each["side"] else None,
                value=each["value"],
                unit=each["unit"],
                uncertainty=each["uncertainty"],
                method=each["method"],
                derived_from=tuple(each.get("derived_from", ())),
            )
            for each in data["measurements"]
        ),
        landmarks={name: tuple(point) for name, point in data["landmarks"].items()},
        planes={
            name: Plane(
                (plane["normal"][0], plane["normal"][1], plane["normal"][2]), plane["offset"]
            )
            for name, plane in data["planes"].items()
        },
        frame=data["frame"],
        quality=tuple(QualityCheck(**each) for each in data["quality"]),
    )


def marks_as_json(marks: Iterable[Mark]) -> list[dict[str, Any]]:
    """Marks in a form that JSON holds."""
    return [
        {
            "name": each.name,
            "points": [list(at) for at in each.points_px],
            "structure": each.structure,
            "quantities": list(each.quantities),
            "region": each.region,
            "side": each.side.value if each.side else None,
        }
        for each in marks
    ]


def marks_from_json(data: Sequence[Mapping[str, Any]]) -> tuple[Mark, ...]:
    """The marks that `marks_as_json` wrote.

    Raises
    ------
    KeyError, ValueError
        If `data` is not in that form.
    """
    return tuple(
        Mark(
            name=each["name"],
            points_px=tuple((column, row) for column, row in each["points"]),
            structure=each["structure"],
            quantities=tuple(each["quantities"]),
            region=each["region"],
            side=Side(each["side"]) if each["side"] else None,
        )
        for each in data
    )
