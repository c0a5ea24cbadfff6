"""What the analyses measure: plain arrays with unit, side and frame made explicit.

A reader (of DICOM or of a plain file) makes these; a measuring package takes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from processing.measurement import Plane, SurfacePatch


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
    pixel_spacing_uncertainty_mm : float, optional
        Standard uncertainty of `pixel_spacing_mm`, where it is stated.
    pixel_spacing_origin : str, optional
        Where `pixel_spacing_mm` comes from, in words for the report.
    edited_landmarks : mapping of str to (column, row)
        Landmarks that a reviewer placed, by the names of `processing.landmarks`;
        they count instead of detected ones. They are places in the stored picture.
    is_turned_back : bool
        Whether the stored picture shows left and right exchanged: `pixels` are its
        mirror image, and `edited_landmarks` lie in it as it is stored.
    """

    pixels: NDArray[np.uint8] = field(repr=False)
    source: str
    pixel_spacing_mm: float | None = None
    view: View | None = None
    expression: Expression | None = None
    pixel_spacing_uncertainty_mm: float | None = None
    pixel_spacing_origin: str | None = None
    edited_landmarks: Mapping[str, tuple[float, float]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    is_turned_back: bool = False


@dataclass(frozen=True, slots=True)
class LandmarkEdits:
    """Landmarks that a reviewer placed on a photograph.

    Parameters
    ----------
    source : str
        SOP Instance UID of the report, or the name of the file, that holds them.
    photograph : str
        SOP Instance UID of the photograph, followed by ``#`` and the number of the
        frame where one of several is meant.
    landmarks_px : mapping of str to (column, row)
        In the stored picture, as `edited_landmarks` of `Photograph`.
    made_at : str
        When, as digits that sort by time; the latest of several counts.
    """

    source: str
    photograph: str
    landmarks_px: Mapping[str, tuple[float, float]]
    made_at: str = ""

    def is_of(self, photograph: Photograph) -> bool:
        """Whether they were placed on this photograph."""
        uid, _, frame = self.photograph.partition("#")
        source, _, number = photograph.source.partition("#")
        return source == uid and (not frame or not number or frame == number)


@dataclass(frozen=True, slots=True)
class Texture:
    """The photograph that a scanner lays over a surface.

    Parameters
    ----------
    pixels : (rows, columns, 3) uint8 array
        sRGB.
    corners : (m, 3, 2) float64 array
        Where the three corners of each triangle lie in it: (across, up) in 0..1
        from the lower left corner of the picture.
    """

    pixels: NDArray[np.uint8] = field(repr=False)
    corners: NDArray[np.float64] = field(repr=False)


@dataclass(frozen=True, slots=True)
class SurfaceEdits:
    """What a reviewer placed on a surface; it counts instead of what is found.

    Parameters
    ----------
    source : str
        SOP Instance UID of the report, or the name of the file, that holds them.
    surface : str
        SOP Instance UID of the surface.
    landmarks_mm : mapping of str to (x, y, z)
        In the frame of the surface, by the names of `processing.landmarks`.
    plane : Plane, optional
        The midsagittal plane.
    area : SurfacePatch, optional
        The affected area, on the affected side.
    made_at : str
        When, as digits that sort by time; the latest of several counts.
    """

    source: str
    surface: str
    landmarks_mm: Mapping[str, tuple[float, float, float]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    plane: Plane | None = None
    area: SurfacePatch | None = None
    made_at: str = ""

    def is_of(self, surface: Surface) -> bool:
        """Whether they were placed on this surface."""
        return surface.source == self.surface


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
    texture : Texture, optional
        Shown instead of `colours` where both are there.
    edits : SurfaceEdits, optional
        What a reviewer placed; it counts instead of what is found.
    """

    vertices_mm: NDArray[np.float64] = field(repr=False)
    triangles: NDArray[np.int32] = field(repr=False)
    source: str
    unit: str = "mm"
    unit_stated: bool = True
    frame: str | None = None
    colours: NDArray[np.uint8] | None = field(default=None, repr=False)
    texture: Texture | None = None
    edits: SurfaceEdits | None = None


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume of MR, CT or PET, as its source sampled it.

    Parameters
    ----------
    values : (slices, rows, columns) float32 array
        In `unit`.
    affine : (4, 4) float64 array
        From (column, row, slice, 1) to DICOM patient LPS in mm. Its third column is
        not perpendicular to the others where the gantry was tilted.
    modality : str
        ``MR``, ``CT`` or ``PT``.
    unit : str
        UCUM: ``[hnsf'U]`` of CT, ``Bq/mL`` of PET where the source says so, ``1`` of
        values without a unit.
    source : str
        Series Instance UID.
    part : str
        What tells it from the other volumes of its series, for a person, such as
        ``echo time 80 ms``; empty where there is one volume only.
    frame : str, optional
        Frame of Reference UID.
    description : str
        What the series is, in the words of the source.
    instances : tuple of str
        SOP Instance UIDs, each once, from the first slice to the last.
    notes : tuple of str
        What a reader should know: a tilted gantry, slices that came twice.
    suv_per_unit : float, optional
        Standardized uptake value by body weight (g/mL) of one `unit`; PET only.
    no_suv_reason : str, optional
        Why there is no `suv_per_unit`; None of other modalities.
    """

    values: NDArray[np.float32] = field(repr=False)
    affine: NDArray[np.float64] = field(repr=False)
    modality: str
    unit: str
    source: str
    part: str = ""
    frame: str | None = None
    description: str = ""
    instances: tuple[str, ...] = field(default=(), repr=False)
    notes: tuple[str, ...] = ()
    suv_per_unit: float | None = None
    no_suv_reason: str | None = None

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance of two columns, of two rows, and of two slices along their stack."""
        across, down, through = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(across), float(down), float(through)

    @property
    def tilt_deg(self) -> float:
        """Angle between the stack of slices and the perpendicular of a slice."""
        across, down, through = self.affine[:3, :3].T
        normal = np.cross(across, down)
        cosine = abs(normal @ through) / (np.linalg.norm(normal) * np.linalg.norm(through))
        return float(np.degrees(np.arccos(min(1.0, float(cosine)))))
