"""Measurements of the landmarks of a face, and of how far a reviewer moved them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processing.measurement import Measurement, Side
from processing.surface.plane import MirrorPlane

# Repeatability of MediaPipe's landmarks on rendered faces, per axis; less is not claimed.
LANDMARK_FLOOR_MM: Final = 0.7
# How well a person places a landmark on a surface, per axis.
EDITED_FLOOR_MM: Final = 0.5
# A landmark that moves more when the view turns lies beside an edge; it is not measured.
LANDMARK_SPREAD_LIMIT_MM: Final = 2.5
_FOUND: Final = "MediaPipe on rendered views, rays cast back onto the surface"
_EDITED: Final = "placed by a reviewer"
_CHIN: Final = "pogonion"


@dataclass(frozen=True, slots=True)
class Landmarks:
    """Landmarks on a surface, in the frame of the scan.

    Parameters
    ----------
    places_mm : mapping of str to (3,) array
    spread_mm : mapping of str to float
        Standard deviation of each, per axis.
    edited : frozenset of str
        Those that a reviewer placed.
    moved_mm : mapping of str to float
        From the automatic to the reviewer's place, where there are both.
    """

    places_mm: Mapping[str, NDArray[np.float64]] = field(repr=False)
    spread_mm: Mapping[str, float] = field(repr=False)
    edited: frozenset[str] = frozenset()
    moved_mm: Mapping[str, float] = field(default_factory=dict)

    def sd_mm(self, name: str) -> float:
        """Standard uncertainty of a landmark, per axis."""
        floor = EDITED_FLOOR_MM if name in self.edited else LANDMARK_FLOOR_MM
        return max(self.spread_mm[name], floor)

    def method(self, *names: str) -> str:
        """How these landmarks were placed, for the report."""
        ways = [_EDITED if name in self.edited else _FOUND for name in names]
        return ", ".join(dict.fromkeys(ways))


def landmark_measurements(landmarks: Landmarks, plane: MirrorPlane) -> Iterator[Measurement]:
    """Distance of each left landmark's mirror image to the right one, and of the chin."""
    for left in landmarks.places_mm:
        name = left.removesuffix("_left")
        right = f"{name}_right"
        if name == left or right not in landmarks.places_mm:
            continue
        if max(landmarks.spread_mm[left], landmarks.spread_mm[right]) <= LANDMARK_SPREAD_LIMIT_MM:
            yield _asymmetry(landmarks, plane, name)
    if _CHIN in landmarks.places_mm:
        yield _chin_deviation(landmarks, plane)


def _asymmetry(landmarks: Landmarks, plane: MirrorPlane, name: str) -> Measurement:
    left, right = f"{name}_left", f"{name}_right"
    place = landmarks.places_mm[left][None]
    apart = plane.reflected(place)[0] - landmarks.places_mm[right]
    distance = float(np.linalg.norm(apart))
    direction = apart / distance if distance > 0 else plane.normal
    motion = plane.image_motion(place, direction[None])[0]
    square = (
        landmarks.sd_mm(left) ** 2
        + landmarks.sd_mm(right) ** 2
        + float(motion @ plane.covariance @ motion)
    )
    return Measurement(
        quantity="landmark_asymmetry",
        value=distance,
        unit="mm",
        uncertainty=math.sqrt(square),
        method="distance of one landmark to the other's mirror image; "
        + landmarks.method(left, right),
        structure=name,
        derived_from=(left, right, "midsagittal"),
    )


def _chin_deviation(landmarks: Landmarks, plane: MirrorPlane) -> Measurement:
    place = landmarks.places_mm[_CHIN]
    # The image of a point moves twice as far as the point does relative to the plane.
    motion = plane.image_motion(place[None], plane.normal[None])[0] / 2
    square = landmarks.sd_mm(_CHIN) ** 2 + float(motion @ plane.covariance @ motion)
    return Measurement(
        quantity="chin_deviation",
        value=float(place @ plane.normal) - plane.offset_mm,
        unit="mm",
        uncertainty=math.sqrt(square),
        method="distance of pogonion to the midsagittal plane, + to the left; "
        + landmarks.method(_CHIN),
        structure=_CHIN,
        derived_from=(_CHIN, "midsagittal"),
    )


def edit_measurements(landmarks: Landmarks) -> Iterator[Measurement]:
    """How far a reviewer moved each landmark, and the root mean square of it."""
    moved = landmarks.moved_mm
    for name, distance in moved.items():
        side = next((each for each in Side if name.endswith(f"_{each.value}")), None)
        yield Measurement(
            quantity="landmark_edit_distance",
            value=distance,
            unit="mm",
            uncertainty=EDITED_FLOOR_MM,
            method="from the automatic landmark to the reviewer's",
            side=side,
            structure=name if side is None else name.removesuffix(f"_{side.value}"),
            derived_from=(name,),
        )
    if moved:
        yield Measurement(
            quantity="landmark_edit_distance",
            value=math.sqrt(sum(each**2 for each in moved.values()) / len(moved)),
            unit="mm",
            uncertainty=EDITED_FLOOR_MM / math.sqrt(len(moved)),
            method=f"root mean square over {len(moved)} edited landmarks",
            structure="face",
            derived_from=tuple(moved),
        )
