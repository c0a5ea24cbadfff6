"""What the analysis and MediaPipe's plain landmarks read in a picture, and what is true."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.photographs.profiles import Structure
from benchmarks.photographs.warped import Warp
from processing.face_landmarks import FaceDetector
from processing.inputs import Photograph
from processing.landmarks import FACE_OVAL, LANDMARKS
from processing.measurement import Measurement, Side, Status
from processing.photograph.analysis import measure

Array = NDArray[np.float64]

BROW: Final = ("brow_medial", "brow_peak", "brow_lateral")
# Heights at which the contour's distance is taken, and the landmark that says where they are.
_WIDTH_LEVELS: Final = {"nose": "subnasale", "mouth": "stomion"}
_LOWER_SIDE: Final = re.compile(r"the (left|right) is lower")


class Key(NamedTuple):
    """Which measure."""

    quantity: str
    structure: str | None = None
    region: str | None = None
    side: str | None = None

    @property
    def mirrored(self) -> Key:
        """The same measure of the other side."""
        other = {"left": "right", "right": "left"}
        return self._replace(side=other.get(self.side) if self.side else None)

    def __str__(self) -> str:
        parts = [self.quantity, self.structure, self.region, self.side]
        return " ".join(each for each in parts if each)


class Value(NamedTuple):
    """A value with its standard uncertainty and unit."""

    value: float
    uncertainty: float
    unit: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What the analysis says of a picture: values, or why it was refused."""

    values: Mapping[Key, Value] = field(default_factory=dict)
    refused: str | None = None


def read(pixels: NDArray[np.uint8], detector: FaceDetector, mm_per_px: float | None) -> Reading:
    """Measure a picture, scaled by the iris where no scale is given."""
    photograph = Photograph(pixels=pixels, source="benchmark", pixel_spacing_mm=mm_per_px)
    analysis = measure(photograph, detector)
    if analysis.status is not Status.MEASURED:
        return Reading(refused=analysis.reason)
    return Reading({_key(each): _value(each) for each in analysis.measurements})


def _key(measurement: Measurement) -> Key:
    side = measurement.side.value if measurement.side else None
    return Key(measurement.quantity, measurement.structure, measurement.region, side)


def _value(measurement: Measurement) -> Value:
    """Signed left minus right, also where version 1.0.0 gave an amount and named the lower side."""
    value = measurement.value
    lower = _LOWER_SIDE.search(measurement.method)
    if lower is not None:
        value = abs(value) if lower[1] == "right" else -abs(value)
    return Value(value, measurement.uncertainty, measurement.unit)


class Moved(NamedTuple):
    """A warp that is compared: its name in the table, the measure, and who reads it."""

    name: str
    key: Key


def moved_measures(warp: Warp) -> tuple[Moved, ...]:
    """Which measures a warp must change."""
    side = warp.side.value
    if warp.structure is Structure.COMMISSURE and warp.outward_mm:
        return (Moved("commissure, sideways", Key("midline_distance", "cheilion", side=side)),)
    if warp.structure is Structure.CONTOUR:
        return (
            *(
                Moved(f"contour at {name}", Key("midline_distance", name, side=side))
                for name in ("zygion", "gonion")
            ),
            *(
                Moved(f"contour beside the {level}", _width_key(level, side))
                for level in _WIDTH_LEVELS
            ),
        )
    return {
        Structure.COMMISSURE: (
            Moved("commissure, height", Key("commissure_height_difference", "cheilion")),
        ),
        Structure.BROW: (Moved("brow, height", Key("brow_height_difference", "brow")),),
        Structure.UPPER_LID: (
            Moved("upper lid", Key("palpebral_fissure_height", "eye", side=side)),
        ),
        Structure.CHIN: (Moved("chin", Key("chin_deviation", "gnathion")),),
    }[warp.structure]


def _width_key(level: str, side: str) -> Key:
    return Key("midline_distance", "face_contour", level, side)


def values_of_face(points_px: Array, mm_per_px: float) -> dict[Key, float]:
    """The measures of MediaPipe's 478 points in the textbooks' frame: x along the pupils' line.

    Parameters
    ----------
    points_px : (478, 2) float64 array
    mm_per_px : float
    """
    in_face = _in_face_mm(points_px, mm_per_px)
    values = values_of_points({name: in_face[index] for name, index in LANDMARKS.items()})
    contour = in_face[list(FACE_OVAL)]
    for level, name in _WIDTH_LEVELS.items():
        for side, sign in ((Side.LEFT, 1.0), (Side.RIGHT, -1.0)):
            width = _width(contour * (sign, 1.0), float(in_face[LANDMARKS[name]][1]))
            values[_width_key(level, side.value)] = width
    return values


def _width(contour: Array, height: float) -> float:
    """How far a closed contour reaches to +x at a height."""
    ends = np.roll(contour, -1, axis=0)
    crossing = (contour[:, 1] > height) != (ends[:, 1] > height)
    start, end = contour[crossing], ends[crossing]
    part = (height - start[:, 1]) / (end[:, 1] - start[:, 1])
    return float((start[:, 0] + part * (end[:, 0] - start[:, 0])).max())


def values_of_points(points_mm: Mapping[str, Array]) -> dict[Key, float]:
    """The measures of named points whose frame is the face's: x to the left, y up, in mm."""
    values: dict[Key, float] = {}

    def height(names: tuple[str, ...], side: Side) -> float:
        return float(np.mean([points_mm[f"{name}_{side.value}"][1] for name in names]))

    for quantity, structure, names in (
        ("commissure_height_difference", "cheilion", ("cheilion",)),
        ("brow_height_difference", "brow", BROW),
    ):
        values[Key(quantity, structure)] = height(names, Side.LEFT) - height(names, Side.RIGHT)
    values[Key("chin_deviation", "gnathion")] = float(points_mm["gnathion"][0])
    for side, sign in ((Side.LEFT, 1.0), (Side.RIGHT, -1.0)):
        own = side.value
        for structure in ("exocanthion", "endocanthion", "cheilion", "alare", "zygion", "gonion"):
            values[Key("midline_distance", structure, side=own)] = sign * float(
                points_mm[f"{structure}_{own}"][0]
            )
        upper = float(points_mm[f"palpebrale_superius_{own}"][1])
        lower = float(points_mm[f"palpebrale_inferius_{own}"][1])
        values[Key("palpebral_fissure_height", "eye", side=own)] = upper - lower
    for structure, quantity in (("exocanthion", "ocular_cant"), ("cheilion", "oral_cant")):
        across = points_mm[f"{structure}_left"] - points_mm[f"{structure}_right"]
        values[Key(quantity, structure)] = float(np.degrees(np.arctan2(across[1], across[0])))
    return values


def read_plain(
    pixels: NDArray[np.uint8], detector: FaceDetector, mm_per_px: float
) -> dict[Key, float] | None:
    """The same measures straight from MediaPipe's landmarks, without any correction."""
    faces = detector.detect(pixels)
    if not faces:
        return None
    return values_of_face(faces[0].points_px, mm_per_px)


def _in_face_mm(points_px: Array, mm_per_px: float) -> Array:
    """Points in the frame of the pupils: x to the patient's left, y up, from the middle."""
    left = points_px[LANDMARKS["iris_centre_left"]]
    right = points_px[LANDMARKS["iris_centre_right"]]
    across = (left - right) / np.hypot(*(left - right))
    up = np.array([across[1], -across[0]])
    away = (points_px - (left + right) / 2) * mm_per_px
    return np.stack([away @ across, away @ up], axis=1)
