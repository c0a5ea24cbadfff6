"""The midline of a face in a photograph: how a site wants it found, and where it is.

By default the upper face gives it, which atrophy of the lower face and palsy
of the mouth leave alone. The line between the pupils by itself, the line from
nasion to subnasale, and the line that fits chosen pairs best are the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from processing.landmarks import LANDMARKS, PAIRED_LANDMARKS


class MidlineMethod(StrEnum):
    """From what a midline is taken."""

    UPPER_FACE = "upper face"
    PUPILS = "pupils"
    NASION_SUBNASALE = "nasion-subnasale"
    PAIRS = "pairs"


# Pupils tell the direction well but move together when the eyes look aside, as
# they do when a patient with a turned head looks into the camera: the place is
# left to the canthi.
_DIRECTION_PAIRS: Final = {
    MidlineMethod.UPPER_FACE: ("iris_centre", "endocanthion"),
    MidlineMethod.PUPILS: ("iris_centre",),
    MidlineMethod.NASION_SUBNASALE: (),
}
_PLACE_PAIRS: Final = {
    **_DIRECTION_PAIRS,
    MidlineMethod.UPPER_FACE: ("endocanthion", "exocanthion"),
}
_WORDS: Final = {
    MidlineMethod.UPPER_FACE: "midline of the upper face (direction by pupils and endocanthia, "
    "place by endo- and exocanthia)",
    MidlineMethod.PUPILS: "midline perpendicular to the line between the pupils through its middle",
    MidlineMethod.NASION_SUBNASALE: "midline through nasion and subnasale",
}


@dataclass(frozen=True, slots=True)
class Midline:
    """How the midline is found.

    Parameters
    ----------
    method : MidlineMethod
    pairs : tuple of str
        For `MidlineMethod.PAIRS` the pairs of landmarks that it is fitted to,
        by their names without side; choose them outside the affected region.
        Empty for every other method.

    Raises
    ------
    ValueError
        If a pair has no such name, or pairs are missing or out of place.
    """

    method: MidlineMethod = MidlineMethod.UPPER_FACE
    pairs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.method is MidlineMethod.PAIRS) != bool(self.pairs):
            raise ValueError(
                f"pairs of landmarks are named for the midline by '{MidlineMethod.PAIRS}' and for "
                f"no other"
            )
        unknown = [pair for pair in self.pairs if pair not in PAIRED_LANDMARKS]
        if unknown or len(set(self.pairs)) < len(self.pairs):
            raise ValueError(
                f"the midline is fitted to different pairs out of {', '.join(PAIRED_LANDMARKS)}, "
                f"not {', '.join(self.pairs)}"
            )

    @property
    def direction_pairs(self) -> tuple[str, ...]:
        """The pairs that tell its direction; empty for the line from nasion to subnasale."""
        return self.pairs or _DIRECTION_PAIRS[self.method]

    @property
    def place_pairs(self) -> tuple[str, ...]:
        """The pairs whose midpoints it passes; empty for the line from nasion to subnasale."""
        return self.pairs or _PLACE_PAIRS[self.method]

    @property
    def landmarks(self) -> tuple[str, ...]:
        """Names of the landmarks it depends on."""
        if self.method is MidlineMethod.NASION_SUBNASALE:
            return ("nasion", "subnasale")
        pairs = dict.fromkeys((*self.direction_pairs, *self.place_pairs))
        return tuple(f"{pair}_{side}" for pair in pairs for side in ("left", "right"))

    @property
    def words(self) -> str:
        """What it is, for a report."""
        if self.method is MidlineMethod.PAIRS:
            return f"midline by least squares over {', '.join(self.pairs)}"
        return _WORDS[self.method]


UPPER_FACE: Final = Midline()
"""The midline that is used unless a site chooses another."""

CANTHI: Final = Midline(MidlineMethod.PAIRS, ("endocanthion", "exocanthion"))
"""The midline where the eyes are shut and no pupil is seen."""


class Axis(NamedTuple):
    """A midline in the plane.

    Parameters
    ----------
    point : (..., 2) float64 array
        A point on it.
    left : (..., 2) float64 array
        Unit vector perpendicular to it, toward the patient's left.
    """

    point: NDArray[np.float64]
    left: NDArray[np.float64]


def axis_of(points: NDArray[np.float64], midline: Midline) -> Axis:
    """Find the midline.

    Of all lines the fitted one makes the sum of the squared distances between
    the mirror image of each pair's left point and its right point smallest. With
    midpoints m, vectors d from right to left and the unit vector n across the
    line that sum is ``|d|^2 - (n.d)^2 + 4 (n.(m - c))^2`` over the pairs: the
    line passes through the mean midpoint c, and n is the eigenvector of
    ``sum of d d' - 4 (m - c)(m - c)'`` with the largest eigenvalue. For one pair
    this is the perpendicular through the middle. Where direction and place come
    from different pairs, d is summed over those of the direction, m over those
    of the place.

    Parameters
    ----------
    points : (..., 478, 2) float64 array
        In coordinates whose first axis points roughly to the patient's left and
        whose second points upward.
    midline : Midline

    Raises
    ------
    ValueError
        If the landmarks that give it lie at one place.
    """
    if midline.method is MidlineMethod.NASION_SUBNASALE:
        return _axis_through(
            points[..., LANDMARKS["nasion"], :], points[..., LANDMARKS["subnasale"], :]
        )
    right, left = _both_sides(points, midline.direction_pairs)
    across = left - right
    right, left = _both_sides(points, midline.place_pairs)
    midpoints = (left + right) / 2
    centre = midpoints.mean(axis=-2)
    away = midpoints - centre[..., None, :]
    if np.any(np.abs(across).max(axis=(-2, -1)) <= 0):
        raise ValueError("the landmarks of the midline lie at one place: there is no midline")
    xx, yy, xy = (
        (across[..., i] * across[..., j]).sum(axis=-1)
        - 4 * (away[..., i] * away[..., j]).sum(axis=-1)
        for i, j in ((0, 0), (1, 1), (0, 1))
    )
    angle = np.arctan2(2 * xy, xx - yy) / 2
    return Axis(centre, np.stack([np.cos(angle), np.sin(angle)], axis=-1))


def _both_sides(
    points: NDArray[np.float64], pairs: tuple[str, ...]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    right, left = (
        points[..., [PAIRED_LANDMARKS[pair][side] for pair in pairs], :] for side in (0, 1)
    )
    return right, left


def _axis_through(upper: NDArray[np.float64], lower: NDArray[np.float64]) -> Axis:
    along = upper - lower
    length = np.hypot(along[..., 0], along[..., 1])
    if np.any(length <= 0):
        raise ValueError("nasion and subnasale lie at one place: there is no midline")
    up = along / length[..., None]
    return Axis((upper + lower) / 2, np.stack([up[..., 1], -up[..., 0]], axis=-1))
