"""Places in a stored picture that shows left and right exchanged.

Such a picture is measured as its mirror image. Whoever is told a place, or tells one,
looks at the picture as it is stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from processing.measurement import Analysis
from processing.photograph.edits import Point


def mirrored_places(places: Mapping[str, Point], columns: int) -> dict[str, Point]:
    """Named places as they lie in the mirror image.

    Parameters
    ----------
    places : mapping of str to (column, row)
        In pixels, from the centre of the first pixel.
    columns : int
        Width of the picture in pixels.
    """
    return {name: _mirrored(place, columns) for name, place in places.items()}


def as_stored(analysis: Analysis, columns: int) -> Analysis:
    """The analysis of a mirror image, with landmarks and marks in the stored picture.

    Parameters
    ----------
    analysis : Analysis
        Its landmarks are (column, row) in pixels.
    columns : int
        Width of the picture in pixels.
    """
    landmarks = {name: (float(at[0]), float(at[1])) for name, at in analysis.landmarks.items()}
    return replace(
        analysis,
        landmarks=mirrored_places(landmarks, columns),
        marks=tuple(
            replace(each, points_px=tuple(_mirrored(point, columns) for point in each.points_px))
            for each in analysis.marks
        ),
    )


def _mirrored(place: Point, columns: int) -> Point:
    column, row = place
    return columns - 1 - column, row
