"""Outlines of eyes, lips and brows in front view, through canonical landmarks.

Landmark numbers are MediaPipe's of the subject's left side (x > 0).
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import splev, splprep

# From the endocanthion to the exocanthion.
UPPER_LID_LEFT: Final = (362, 398, 384, 385, 386, 387, 388, 466, 263)
LOWER_LID_LEFT: Final = (362, 382, 381, 380, 374, 373, 390, 249, 263)

# From the midline to the cheilion.
UPPER_LIP_BORDER_LEFT: Final = (0, 267, 269, 270, 409, 291)
LOWER_LIP_BORDER_LEFT: Final = (17, 314, 405, 321, 375, 291)
UPPER_LIP_MARGIN_LEFT: Final = (13, 312, 311, 310, 415, 308)
LOWER_LIP_MARGIN_LEFT: Final = (14, 317, 402, 318, 324, 308)

# From the medial to the lateral end.
UPPER_BROW_LEFT: Final = (336, 296, 334, 293, 300)
LOWER_BROW_LEFT: Final = (285, 295, 282, 283, 276)

_POINTS_PER_CURVE: Final = 60


def curve(points: NDArray[np.float64], count: int = _POINTS_PER_CURVE) -> NDArray[np.float64]:
    """A smooth open curve through points.

    Parameters
    ----------
    points : (k, d) float64 array
        k > 3.
    count : int
        Number of points on the curve.

    Returns
    -------
    (count, d) float64 array
    """
    spline, _ = splprep(points.T, s=0)
    return np.stack(splev(np.linspace(0, 1, count), spline), axis=1)


def eye_outline(vertices_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """The margin of the lids of the left eye in front view, a closed (k, 2) polygon."""
    upper = curve(vertices_mm[list(UPPER_LID_LEFT), :2])
    lower = curve(vertices_mm[list(LOWER_LID_LEFT), :2])
    return np.concatenate([upper, lower[::-1][1:-1]])


def brow_outline(vertices_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """The left eyebrow in front view, a closed (k, 2) polygon."""
    upper = curve(vertices_mm[list(UPPER_BROW_LEFT), :2])
    lower = curve(vertices_mm[list(LOWER_BROW_LEFT), :2])
    return np.concatenate([upper, lower[::-1]])


def lips_outline(vertices_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """The vermilion of both lips in front view, a closed symmetric (k, 2) polygon."""
    upper = curve(vertices_mm[list(UPPER_LIP_BORDER_LEFT), :2])
    lower = curve(vertices_mm[list(LOWER_LIP_BORDER_LEFT), :2])
    left = np.concatenate([upper, lower[::-1][1:]])
    return np.concatenate([left, left[::-1][1:-1] * [-1, 1]])


def mouth_line(vertices_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """The line between the closed lips on the left in front view, an open (k, 2) polyline."""
    upper = vertices_mm[list(UPPER_LIP_MARGIN_LEFT), :2]
    lower = vertices_mm[list(LOWER_LIP_MARGIN_LEFT), :2]
    return curve((upper + lower) / 2)


def distance_to_polyline(
    points: NDArray[np.float64], polyline: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Distance of each point to an open polyline.

    Parameters
    ----------
    points : (n, d) float64 array
    polyline : (k, d) float64 array

    Returns
    -------
    (n,) float64 array
    """
    nearest = np.full(len(points), np.inf)
    for start, end in pairwise(polyline):
        along = end - start
        length = float(along @ along)
        share = np.clip((points - start) @ along / length, 0, 1) if length > 0 else 0.0
        foot = start + np.multiply.outer(share, along)
        nearest = np.minimum(nearest, np.linalg.norm(points - foot, axis=1))
    return nearest


def signed_distance(
    points: NDArray[np.float64], polygon: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Distance of each point to a closed polygon in the plane, negative inside.

    Parameters
    ----------
    points : (n, 2) float64 array
    polygon : (k, 2) float64 array
        Not repeating its first point.

    Returns
    -------
    (n,) float64 array
    """
    closed = np.concatenate([polygon, polygon[:1]])
    inside = np.zeros(len(points), dtype=bool)
    x, y = points.T
    for (x0, y0), (x1, y1) in pairwise(closed):
        spans = (y0 > y) != (y1 > y)
        if spans.any():
            crossing = x0 + (y[spans] - y0) * (x1 - x0) / (y1 - y0)
            inside[spans] ^= x[spans] < crossing
    distance = distance_to_polyline(points, closed)
    return np.where(inside, -distance, distance)
