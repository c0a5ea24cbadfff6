"""Names of facial landmarks, as in anthropometry, and their places among MediaPipe's points."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

MIDLINE_LANDMARKS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "trichion": 10,
        "glabella": 9,
        "nasion": 168,
        "pronasale": 4,
        "subnasale": 2,
        "labiale_superius": 0,
        "stomion": 13,
        "labiale_inferius": 17,
        "sublabiale": 200,
        "gnathion": 152,
    }
)
"""Index of each landmark on the midline."""

PAIRED_LANDMARKS: Final[Mapping[str, tuple[int, int]]] = MappingProxyType(
    {
        "exocanthion": (33, 263),
        "endocanthion": (133, 362),
        "palpebrale_superius": (159, 386),
        "palpebrale_inferius": (145, 374),
        "iris_centre": (468, 473),
        "iris_superius": (470, 475),
        "iris_inferius": (472, 477),
        "iris_temporal": (471, 474),
        "iris_nasal": (469, 476),
        "brow_medial": (107, 336),
        "brow_peak": (105, 334),
        "brow_lateral": (70, 300),
        "alare": (129, 358),
        "subalare": (98, 327),
        "crista_philtri": (37, 267),
        "cheilion": (61, 291),
        "frontotemporale": (21, 251),
        "zygion": (234, 454),
        "gonion": (172, 397),
    }
)
"""Indices (right, left) of each landmark that a face has twice; sides are the patient's."""


def _by_name() -> dict[str, int]:
    named = dict(MIDLINE_LANDMARKS)
    for name, (right, left) in PAIRED_LANDMARKS.items():
        named[f"{name}_right"] = right
        named[f"{name}_left"] = left
    return named


LANDMARKS: Final[Mapping[str, int]] = MappingProxyType(_by_name())
"""Index of each named landmark among MediaPipe's 478; *left* is the patient's left."""

FACE_OVAL: Final = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
"""The contour of the face, from the trichion over the patient's left side and the chin."""
