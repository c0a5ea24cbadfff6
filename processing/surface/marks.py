"""Where the measures of a surface lie in a picture of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from processing.measurement import Mark, Measurement, Side
from processing.rendering.camera import Camera
from processing.surface.regions import AffectedArea
from processing.surface.results import AFFECTED, GIVEN, Measured
from processing.surface.shown import ShownSurface

_OUTLINE_TOLERANCE_PX: Final = 1.0
_MOST_MIDLINE_POINTS: Final = 60
_CHIN: Final = "pogonion"
# A viewer writes beside each line: those at one height would hide each other's words.
_PAIRS: Final = ("brow_peak", "exocanthion", "zygion", "alare", "cheilion", "gonion")
_OF_THE_FACE: Final = ("rms_asymmetry", "mean_absolute_asymmetry", "p95_asymmetry")


def marks_in(
    camera: Camera,
    below_title_px: float,
    shown: ShownSurface,
    measured: Measured,
    measurements: Iterable[Measurement],
    area: AffectedArea | None,
) -> tuple[Mark, ...]:
    """The outlines and lines that were measured, in a picture of the surface from the front.

    Parameters
    ----------
    camera : Camera
    below_title_px : float
        How far below the upper edge of the picture the camera's own begins.
    shown : ShownSurface
        Areas are outlined on it, as they are drawn.
    measured : Measured
    measurements : iterable of Measurement
        A mark is drawn only where one of them belongs to it.
    area : AffectedArea or None
    """
    picture = _Picture(camera, below_title_px)
    found = tuple(measurements)
    marks = (
        *_face(picture, shown),
        *_midline(picture, measured),
        *_landmarks(picture, measured),
        *(_area(picture, shown, area) if area is not None else ()),
    )
    return tuple(each for each in marks if each.shown(found))


class _Picture:
    """Projects into a picture whose title is above what the camera sees."""

    def __init__(self, camera: Camera, below_title_px: float) -> None:
        self._camera = camera
        self._offset = np.array([0.0, below_title_px])

    def places(self, points_mm: NDArray[np.float64]) -> tuple[tuple[float, float], ...]:
        """Points that lie in the picture, as a mark holds them."""
        size = (self._camera.width_px - 1, self._camera.height_px - 1)
        seen = self._camera.project(points_mm)
        with np.errstate(invalid="ignore"):
            inside = ((seen >= 0) & (seen <= size)).all(axis=1)
        return tuple((float(x), float(y)) for x, y in seen[inside] + self._offset)

    def outline(
        self, shown: ShownSurface, of_area: NDArray[np.bool_]
    ) -> tuple[tuple[float, float], ...]:
        """The outer contour of an area as it is seen, closed; empty where nothing is seen."""
        camera = self._camera
        triangles = shown.triangles[of_area[shown.triangles].all(axis=1)]
        corners = camera.project(shown.vertices_mm)[triangles]
        corners = corners[np.isfinite(corners).all(axis=(1, 2))]
        limit = 4.0 * max(camera.width_px, camera.height_px)
        whole = np.clip(corners, -limit, limit).round().astype(np.int32)
        drawn = _filled(whole, camera.height_px, camera.width_px)
        contours, _ = cv2.findContours(drawn, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        if not contours:
            return ()
        largest = max(contours, key=cv2.contourArea)
        outer = cv2.approxPolyDP(largest, _OUTLINE_TOLERANCE_PX, closed=True)[:, 0]
        closed = [*outer, outer[0]] if len(outer) > 1 else [*outer]
        return tuple((float(x), float(y)) for x, y in np.array(closed) + self._offset)


def _filled(triangles: NDArray[np.int32], rows: int, columns: int) -> NDArray[np.uint8]:
    """Triangles (k, 3, 2), corners (column, row), filled with 255 in a picture."""
    drawn = np.zeros((rows, columns), np.uint8)
    corners = triangles.reshape(-1, 2)
    inside = ((corners >= 0) & (corners < (columns, rows))).all(axis=1)
    drawn[corners[inside, 1], corners[inside, 0]] = 255
    # The corners alone fill a triangle of a pixel, as most of a fine mesh are.
    for each in triangles[np.ptp(triangles, axis=1).max(axis=1) > 1]:
        cv2.fillConvexPoly(drawn, each, 255)
    return drawn


def _face(picture: _Picture, shown: ShownSurface) -> Iterator[Mark]:
    outline = picture.outline(shown, shown.in_face)
    if outline:
        yield Mark("face", outline, "face", _OF_THE_FACE)


def _midline(picture: _Picture, measured: Measured) -> Iterator[Mark]:
    """The midsagittal plane on the face, from above to below, with the volume that it parts."""
    crossings = midline_mm(measured).mean(axis=1)
    height = crossings @ measured.maps.frame.axes[1]
    chosen = np.linspace(0, len(height) - 1, min(len(height), _MOST_MIDLINE_POINTS)).round()
    line = picture.places(crossings[np.argsort(-height)[chosen.astype(int)]])
    if len(line) > 1:
        yield Mark("midline", line, "hemiface", ("volume_discrepancy",))


def _landmarks(picture: _Picture, measured: Measured) -> Iterator[Mark]:
    """Between the landmarks of a pair, and from the chin to the midsagittal plane."""
    places, plane = measured.landmarks_mm, measured.plane
    for structure in _PAIRS:
        ends = [places.get(f"{structure}_{side.value}") for side in Side]
        line = picture.places(np.array([each for each in ends if each is not None]).reshape(-1, 3))
        if len(line) == len(ends):
            yield Mark(structure, line, structure, ("landmark_asymmetry",))
    if _CHIN in places:
        chin = places[_CHIN]
        foot = chin - (float(chin @ plane.normal) - plane.offset_mm) * plane.normal
        line = picture.places(np.array([chin, foot]))
        if len(line) > 1:
            yield Mark("chin", line, _CHIN, ("chin_deviation",))


def _area(picture: _Picture, shown: ShownSurface, area: AffectedArea) -> Iterator[Mark]:
    outline = picture.outline(shown, shown.in_area)
    if outline:
        region = GIVEN if area.given else AFFECTED
        yield Mark(region, outline, "hemiface", ("volume_discrepancy",), region)


def midline_mm(measured: Measured) -> NDArray[np.float64]:
    """Where the triangles of the measured face cross the midsagittal plane, (k, 2, 3)."""
    mesh, plane = measured.mesh, measured.plane
    height = mesh.vertices_mm @ plane.normal - plane.offset_mm
    is_above = height > 0
    first, second, third = (is_above[each] for each in mesh.triangles.T)
    triangles = mesh.triangles[(first != second) | (second != third)]
    triangles = triangles[measured.in_face[triangles].all(axis=1)]
    above = is_above[triangles]
    # The corner that is alone on its side, and from it the two edges that cross.
    alone = np.argmax(above == (above.sum(axis=1) == 1)[:, None], axis=1)
    rows = np.arange(len(triangles))
    start = triangles[rows, alone]
    ends = np.stack([triangles[rows, (alone + step) % 3] for step in (1, 2)], axis=1)
    part = (height[start][:, None] / (height[start][:, None] - height[ends]))[..., None]
    from_corner = mesh.vertices_mm[start][:, None]
    segments: NDArray[np.float64] = from_corner * (1 - part) + mesh.vertices_mm[ends] * part
    return segments
