"""What the analyses measure: plain arrays with unit, side and frame made explicit.

A reader (of DICOM or of a plain file) makes these; a measuring package takes them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray


class View(StrEnum):
    """From where the face was photographed; *left* and *right* are the patient's."""

    FRONTAL = "frontal"
    LEFT_OBLIQUE = "left oblique"
    RIGHT_OBLIQUE = "right oblique"
    LEFT_PROFILE = "left profile"
    RIGHT_PROFILE = "right profile"
    OTHER = "other"


class Expression(StrEnum):
    """What the face was asked to do."""

    REPOSE = "repose"
    SMILE = "smile"
    EYES_SHUT = "eyes shut"
    BROWS_RAISED = "brows raised"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Photograph:
    """A photograph of a face, upright, as a viewer would show it.

    Parameters
    ----------
    pixels : (rows, columns, 3) uint8 array
        sRGB. Pixel coordinates are (column, row) with the origin at the centre
        of the first pixel.
    source : str
        SOP Instance UID, or the name of the file.
    pixel_spacing_mm : float, optional
        Size of a pixel at the face in mm, where the source states one.
    view : View, optional
        As coded in the source; None where the source does not say.
    expression : Expression, optional
        As coded in the source; None where the source does not say.
    """

    pixels: NDArray[np.uint8] = field(repr=False)
    source: str
    pixel_spacing_mm: float | None = None
    view: View | None = None
    expression: Expression | None = None


@dataclass(frozen=True, slots=True)
class Surface:
    """A triangulated surface scan of a face, in mm.

    Parameters
    ----------
    vertices_mm : (n, 3) float64 array
        Points in the scan's own frame.
    triangles : (m, 3) int32 array
        Indices into `vertices_mm`, counter-clockwise seen from outside.
    source : str
        SOP Instance UID, or the name of the file.
    unit : str
        The unit that the source was in before conversion (``mm``, ``cm``,
        ``m``, ``[in_i]``), or a number of mm for one unit.
    unit_stated : bool
        False when no unit was stated and mm was assumed; the measuring package
        then checks the size of the face before it believes it.
    frame : str, optional
        Frame of Reference UID.
    colours : (n, 3) uint8 array, optional
        sRGB colour of each vertex.
    """

    vertices_mm: NDArray[np.float64] = field(repr=False)
    triangles: NDArray[np.int32] = field(repr=False)
    source: str
    unit: str = "mm"
    unit_stated: bool = True
    frame: str | None = None
    colours: NDArray[np.uint8] | None = field(default=None, repr=False)
