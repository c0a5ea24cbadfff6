"""The definitions of the symmetry ratio: one is the headline, the others stand beside it.

A trial that registers a "facial symmetry ratio" seldom says how it is computed.
Each definition here has a name and a version, both written into the method of
every report, so that numbers by different definitions are never compared
unawares.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple

import numpy as np

from processing.photograph.readings import (
    PAIR_STRUCTURES,
    WIDTH_LEVELS,
    Reading,
    Readings,
)
from processing.photograph.uncertainty import Effects, combined


class SymmetryDefinition(StrEnum):
    """Which ratio is meant."""

    LANDMARK_PAIRS = "landmark_pairs"
    HEMIFACE_AREA = "hemiface_area"
    DENADAI = "denadai"


@dataclass(frozen=True, slots=True)
class Definition:
    """A symmetry ratio: the mean of min(L,R)/max(L,R) over its readings.

    `version` rises when the readings or their definition change.
    """

    version: int
    readings: tuple[Reading, ...]
    derived_from: tuple[str, ...]
    words: str


DEFINITIONS: Final = MappingProxyType(
    {
        SymmetryDefinition.LANDMARK_PAIRS: Definition(
            version=2,
            readings=tuple(Reading("log_pair_ratio", each) for each in PAIR_STRUCTURES),
            derived_from=PAIR_STRUCTURES,
            words=f"mean over {', '.join(PAIR_STRUCTURES)} of min(L,R)/max(L,R) of the distances "
            f"to the midline",
        ),
        SymmetryDefinition.HEMIFACE_AREA: Definition(
            version=1,
            readings=(Reading("log_area_ratio", "hemiface", "whole"),),
            derived_from=("face_contour",),
            words="min(L,R)/max(L,R) of the areas of both hemifaces between contour and midline",
        ),
        SymmetryDefinition.DENADAI: Definition(
            version=1,
            readings=tuple(
                Reading("log_pair_ratio", "face_contour", region) for region in WIDTH_LEVELS
            ),
            derived_from=(
                "face_contour",
                *(name for each in WIDTH_LEVELS.values() for name in each),
            ),
            words=f"after Denadai et al., Plast Reconstr Surg 2019;143:544, as far as known (1 is "
            f"symmetric, smaller over larger side, by photogrammetry; which lines that paper "
            f"measures is not known): mean of min(L,R)/max(L,R) of the widths from midline to "
            f"contour at the height of {', '.join(WIDTH_LEVELS)}",
        ),
    }
)


class SymmetryRatio(NamedTuple):
    """A ratio of 1 for a symmetric face, with its standard uncertainty."""

    value: float
    uncertainty: float


def symmetry_ratio(
    definition: SymmetryDefinition, readings: Readings, effects: Effects
) -> SymmetryRatio:
    """The ratio by a definition.

    Whether an error raises or lowers the ratio of a pair depends on which side
    is smaller, which near symmetry is not known: the effects of one source on
    several pairs are added by their amounts.

    Parameters
    ----------
    definition : SymmetryDefinition
    readings : mapping of Reading to () float64 array
    effects : mapping of Reading to (sources,) float64 array
    """
    meant = DEFINITIONS[definition].readings
    ratios = np.exp(-np.abs(np.array([readings[each] for each in meant])))
    by_source = np.array([effects[each] for each in meant])
    return SymmetryRatio(
        float(ratios.mean()), combined(np.abs(by_source * ratios[:, None]).mean(axis=0))
    )


def method_of(definition: SymmetryDefinition) -> str:
    """Name, version and formula of a definition, for the report."""
    meant = DEFINITIONS[definition]
    return f"{definition.value} version {meant.version}: {meant.words}"
