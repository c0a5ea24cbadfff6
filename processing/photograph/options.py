"""What a site may choose about the measures of a photograph."""

from __future__ import annotations

from dataclasses import dataclass

from processing.photograph.definitions import SymmetryDefinition
from processing.photograph.midline import UPPER_FACE, Midline


@dataclass(frozen=True, slots=True)
class PhotographOptions:
    """How a photograph is measured; what is refused is in `PhotographLimits`.

    Parameters
    ----------
    headline : SymmetryDefinition
        Which definition gives ``symmetry_ratio``; the others are reported beside it.
    midline : Midline
        How the midline is found.
    edited_landmark_mm : float
        Standard uncertainty of each coordinate of a landmark that a reviewer
        placed, in mm; half a pixel is added to it.
    """

    headline: SymmetryDefinition = SymmetryDefinition.LANDMARK_PAIRS
    midline: Midline = UPPER_FACE
    edited_landmark_mm: float = 0.2

    def __post_init__(self) -> None:
        if not 0 < self.edited_landmark_mm < float("inf"):
            raise ValueError("the uncertainty of an edited landmark must be above zero")
