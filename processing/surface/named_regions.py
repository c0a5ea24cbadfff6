"""The parts of the face that clinicians name, on the grid of one hemiface.

All of them are cut by landmarks in the view from the front, lateral distance from
the midsagittal plane against height, with the landmarks of both sides averaged: so
they are the same on both sides. Lengths in mm are those of the reference face and
grow with the face.

Nine parts share the facial region among them, without gap or overlap: forehead,
temple, periorbital, nose, cheek, upper lip, lower lip, chin, mandible. The thirds
(upper, middle, lower) do so once more, and so do the dermatomes of the three
branches of the trigeminal nerve (V1, V2, V3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processing.surface.radial import RadialMaps
from processing.surface.regions import WHOLE

NINE_PARTS: Final = (
    *("forehead", "temple", "periorbital", "nose", "cheek"),
    *("upper lip", "lower lip", "chin", "mandible"),
)
THIRDS: Final = ("upper", "middle", "lower")
DERMATOMES: Final = ("V1", "V2", "V3")

# The temporal line, and how far above the zygomatic arch the canthus lies.
_TEMPLE_BEYOND_EYE_MM: Final = 8.0
_BELOW_EYE_MM: Final = 12.0
# Of the distance between the inner corners of the eyes: half the width of the nasal root.
_NASAL_ROOT: Final = 0.6
_BESIDE_ALA_MM: Final = 2.0
_BESIDE_MOUTH_MM: Final = 4.0
# The upper edge of the mandible: from here below the mouth to the angle of the jaw.
_JAW_BELOW_MOUTH_MM: Final = 20.0
_JAW_ANGLE_MM: Final = (66.0, 5.0)
_NASAL_DORSUM: Final = 0.5
# Where the line from the corner of the mouth reaches the height of the eye: before the ear.
_EAR_MM: Final = 70.0


@dataclass(frozen=True, slots=True)
class _Marks:
    """Heights above and distances beside the origin of the face frame, mm."""

    glabella: float
    eye: float
    ala: float
    subnasale: float
    mouth: float
    labiomental: float
    eye_inner_beside: float
    eye_outer_beside: float
    ala_beside: float
    mouth_beside: float


def face_regions(
    maps: RadialMaps, landmarks_mm: Mapping[str, NDArray[np.float64]]
) -> dict[str, NDArray[np.bool_]]:
    """The measured pixels of each region, (ROWS, COLUMNS) bool, the whole first.

    Parameters
    ----------
    maps : RadialMaps
    landmarks_mm : mapping of str to (3,) array
        In the face frame.
    """
    points = maps.points_mm()
    lateral, height = points[..., 0], points[..., 1]
    marks = _marks(landmarks_mm)
    scale = maps.frame.scale
    cut = (
        _nine_parts(lateral, height, marks, scale)
        | {
            "upper": height > marks.glabella,
            "middle": (height <= marks.glabella) & (height > marks.subnasale),
            "lower": height <= marks.subnasale,
        }
        | _dermatomes(lateral, height, marks, scale)
    )
    measured = maps.measured
    order = (*THIRDS, *NINE_PARTS, *DERMATOMES)
    return {WHOLE: measured} | {name: measured & cut[name] for name in order}


def _marks(landmarks_mm: Mapping[str, NDArray[np.float64]]) -> _Marks:
    def beside_and_above(name: str) -> tuple[float, float]:
        left, right = landmarks_mm[f"{name}_left"], landmarks_mm[f"{name}_right"]
        return float(left[0] - right[0]) / 2, float(left[1] + right[1]) / 2

    eye_outer, eye_outer_height = beside_and_above("exocanthion")
    eye_inner, _ = beside_and_above("endocanthion")
    ala, ala_height = beside_and_above("alare")
    mouth, mouth_height = beside_and_above("cheilion")
    chin, lip = landmarks_mm["pogonion"][1], landmarks_mm["labiale_inferius"][1]
    return _Marks(
        glabella=float(landmarks_mm["glabella"][1]),
        eye=eye_outer_height,
        ala=ala_height,
        subnasale=float(landmarks_mm["subnasale"][1]),
        mouth=mouth_height,
        labiomental=float(lip + chin) / 2,
        eye_inner_beside=eye_inner,
        eye_outer_beside=eye_outer,
        ala_beside=ala,
        mouth_beside=mouth,
    )


def _nine_parts(
    lateral: NDArray[np.float64], height: NDArray[np.float64], marks: _Marks, scale: float
) -> dict[str, NDArray[np.bool_]]:
    beside_mouth = marks.mouth_beside + _BESIDE_MOUTH_MM * scale
    beside_ala = marks.ala_beside + _BESIDE_ALA_MM * scale
    half_nose = np.interp(
        height,
        [marks.ala, marks.eye],
        [beside_ala, _NASAL_ROOT * marks.eye_inner_beside],
    )
    half_lip = np.interp(height, [marks.mouth, marks.subnasale], [beside_mouth, beside_ala])
    angle_beside, angle_above = (each * scale for each in _JAW_ANGLE_MM)
    jaw = np.interp(
        lateral,
        [beside_mouth, max(angle_beside, beside_mouth + 1.0)],
        [marks.mouth - _JAW_BELOW_MOUTH_MM * scale, marks.mouth + angle_above],
    )
    beyond_eye = lateral > marks.eye_outer_beside + _TEMPLE_BEYOND_EYE_MM * scale
    around_eye = height > marks.eye - _BELOW_EYE_MM * scale
    below_nose = height <= marks.subnasale
    # Each part takes what those before it left; the cheek takes the rest.
    wanted = {
        "temple": beyond_eye & around_eye,
        "forehead": height > marks.glabella,
        "nose": ~below_nose & (lateral < half_nose),
        "periorbital": around_eye,
        "upper lip": below_nose & (height > marks.mouth) & (lateral < half_lip),
        "lower lip": (height <= marks.mouth)
        & (height > marks.labiomental)
        & (lateral < beside_mouth),
        "chin": (height <= marks.labiomental) & (lateral < beside_mouth),
        "mandible": (lateral >= beside_mouth) & (height <= jaw),
        "cheek": np.ones(height.shape, bool),
    }
    free = np.ones(height.shape, bool)
    parts = {}
    for name, mask in wanted.items():
        parts[name] = mask & free
        free &= ~mask
    return parts


def _dermatomes(
    lateral: NDArray[np.float64], height: NDArray[np.float64], marks: _Marks, scale: float
) -> dict[str, NDArray[np.bool_]]:
    """Ophthalmic, maxillary and mandibular nerve.

    V1 lies above the canthi and, beyond the eye, above a line that rises toward
    the temple; the dorsum of the nose belongs to it. V3 lies below the mouth
    and behind a line from its corner to a point before the ear at the height
    of the eye. V2 is what lies between.
    """
    ear = max(_EAR_MM * scale, marks.eye_outer_beside + 1.0)
    rise = (marks.eye - marks.mouth) / (ear - marks.mouth_beside)
    above_eye = marks.eye + rise * np.maximum(lateral - marks.eye_outer_beside, 0.0)
    dorsum = (lateral < _NASAL_DORSUM * marks.ala_beside) & (height > marks.ala)
    mandibular = height <= marks.mouth + rise * np.maximum(lateral - marks.mouth_beside, 0.0)
    ophthalmic = ~mandibular & ((height > above_eye) | dorsum)
    return {"V1": ophthalmic, "V2": ~ophthalmic & ~mandibular, "V3": mandibular}
