"""The face turned upright, its midline in the middle, and the faces made of one half twice."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from processing.landmarks import FACE_OVAL
from processing.measurement import Side
from processing.photograph.frame import FaceFrame
from processing.resampling import affinely_resampled

PAPER: Final = (24, 26, 30)
"""Colour where the photograph ends."""

_ROOM_ROUND_THE_FACE: Final = 1.22


@dataclass(frozen=True, slots=True, eq=False)
class UprightFace:
    """A photograph turned so that the midline is vertical and in the middle.

    Parameters
    ----------
    picture : Image
    points : (478, 2) float64 array
        Landmarks in it, (column, row).
    """

    picture: Image.Image
    points: NDArray[np.float64] = field(repr=False)


def upright_face(
    pixels: NDArray[np.uint8], frame: FaceFrame, width: int, height: int
) -> UprightFace:
    """Cut the face out of a photograph, upright, at a given size.

    Parameters
    ----------
    pixels : (rows, columns, 3) uint8 array
        The photograph.
    frame : FaceFrame
        Midline and landmarks.
    width, height : int
        Of the result in pixels.
    """
    oval = frame.seen[list(FACE_OVAL)]
    half_width = float(np.abs(oval[:, 0]).max())
    low, high = float(oval[:, 1].min()), float(oval[:, 1].max())
    per_px = _ROOM_ROUND_THE_FACE * max(2 * half_width / width, (high - low) / height)
    middle = (width - 1) / 2, (height - 1) / 2
    height_of_middle = (low + high) / 2

    # Column and row of the photograph for the result's pixel (column, row).
    across, down = per_px * frame.left, -per_px * frame.up
    start = frame.origin_px + height_of_middle * frame.up - middle[0] * across - middle[1] * down
    corners = np.array([start + c * across + r * down for c in (0, width) for r in (0, height)])
    reduced = max(1, int(per_px))
    first = np.maximum(np.floor(corners.min(axis=0)).astype(int) - 2 * reduced, 0)
    last = np.maximum(np.ceil(corners.max(axis=0)).astype(int) + 2 * reduced + 1, first)
    part = Image.fromarray(np.ascontiguousarray(pixels[first[1] : last[1], first[0] : last[0]]))
    part = part.reduce(reduced)
    start = (start + 0.5 - first) / reduced - 0.5
    picture = affinely_resampled(
        np.asarray(part),
        np.column_stack([across / reduced, down / reduced, start]),
        width,
        height,
        is_smooth=False,
        outside=PAPER,
    )
    points = np.column_stack(
        [
            middle[0] + frame.seen[:, 0] / per_px,
            middle[1] - (frame.seen[:, 1] - height_of_middle) / per_px,
        ]
    )
    return UprightFace(Image.fromarray(picture), points)


def chimeric_face(upright: NDArray[np.uint8], side: Side) -> NDArray[np.uint8]:
    """The face made of one of the patient's sides and its mirror image.

    Parameters
    ----------
    upright : (rows, columns, 3) uint8 array
        A face with its midline in the middle, an even number of columns.
    side : Side
        The half that is taken twice.
    """
    half = upright.shape[1] // 2
    if side is Side.LEFT:
        kept = upright[:, half:]
        return np.hstack([kept[:, ::-1], kept])
    kept = upright[:, :half]
    return np.hstack([kept, kept[:, ::-1]])
