"""The face's own frame in a photograph: midline, horizontal, and the turn taken out.

x runs from the midline to the patient's left, y upward from the line between
the pupils, both in pixels of the photograph. Everything takes leading axes, so
that many slightly different faces are computed at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processing.landmarks import LANDMARKS
from processing.photograph.midline import UPPER_FACE, Midline, axis_of

_LEFT_PUPIL: Final = LANDMARKS["iris_centre_left"]
_RIGHT_PUPIL: Final = LANDMARKS["iris_centre_right"]


@dataclass(frozen=True, slots=True, eq=False)
class FaceInputs:
    """What every measure of a photograph is computed from; ``...`` are leading axes.

    Parameters
    ----------
    points_px : (..., 478, 2) float64 array
        Landmarks, (column, row).
    relief_px : (478,) or (..., 478) float64 array
        How far each landmark stands out toward the viewer from the plane of the
        irises in a head that is neither turned nor nodded.
    yaw_deg, pitch_deg : float or (...) float64 array
        Turn to the patient's left and nod upward.
    mm_per_px : float or (...) float64 array
        Scale at the face.
    midline : Midline
        How the midline is defined.
    """

    points_px: NDArray[np.float64] = field(repr=False)
    relief_px: NDArray[np.float64] = field(repr=False)
    yaw_deg: float | NDArray[np.float64]
    pitch_deg: float | NDArray[np.float64]
    mm_per_px: float | NDArray[np.float64]
    midline: Midline = UPPER_FACE


@dataclass(frozen=True, slots=True, eq=False)
class FaceFrame:
    """Landmarks in the face's own frame; ``...`` are the leading axes of the inputs.

    Parameters
    ----------
    origin_px : (..., 2) float64 array
        Where the midline crosses the line between the pupils, (column, row).
    left : (..., 2) float64 array
        Unit vector in the photograph across the midline, toward the patient's left.
    up : (..., 2) float64 array
        Unit vector in the photograph upward along the midline.
    seen : (..., 478, 2) float64 array
        x, y as seen in the photograph.
    corrected : (..., 478, 2) float64 array
        x, y with the turn of the head taken out of x.
    """

    origin_px: NDArray[np.float64] = field(repr=False)
    left: NDArray[np.float64] = field(repr=False)
    up: NDArray[np.float64] = field(repr=False)
    seen: NDArray[np.float64] = field(repr=False)
    corrected: NDArray[np.float64] = field(repr=False)

    def point(self, name: str) -> NDArray[np.float64]:
        """A named landmark with the turn taken out, (..., 2)."""
        where: NDArray[np.float64] = self.corrected[..., LANDMARKS[name], :]
        return where


def face_frame(inputs: FaceInputs) -> FaceFrame:
    """Take the turn of the head out of the horizontal distances and find the midline.

    A point at distance x from the midsagittal plane that stands out by h from
    the plane of the irises is seen, in a head turned by yaw, at
    ``x cos(yaw) + h sin(yaw)`` beside the middle of the pupils. For the contour
    h is that of the outermost point: the distance of a tangent changes with the
    direction of view by the depth of the point it touches (derivative of the
    support function of a convex body), so a contour that slides over the skin
    follows the same formula.

    Raises
    ------
    ValueError
        If both pupils are at the same place, or the midline cannot be found.
    """
    levelled, middle, left = levelled_points(inputs.points_px)
    corrected = turn_taken_out(levelled, inputs.relief_px, inputs.yaw_deg, inputs.pitch_deg)
    seen_axis = axis_of(levelled, inputs.midline)
    corrected_axis = axis_of(corrected, inputs.midline)
    seen_left = _in_picture(seen_axis.left, left)
    return FaceFrame(
        origin_px=middle + _in_picture(_crossing(seen_axis.point, seen_axis.left), left),
        left=seen_left,
        up=_upward_in_picture(seen_left),
        seen=_along(levelled, seen_axis.point, seen_axis.left),
        corrected=_along(corrected, corrected_axis.point, corrected_axis.left),
    )


def levelled_points(
    points_px: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Landmarks along and above the line between the pupils.

    Parameters
    ----------
    points_px : (..., 478, 2) float64 array
        (column, row).

    Returns
    -------
    levelled : (..., 478, 2) float64 array
        x to the patient's left, y upward, from the middle of the pupils, in pixels.
    middle_px : (..., 2) float64 array
        The middle of the pupils, (column, row).
    left : (..., 2) float64 array
        Unit vector in the photograph from the right to the left pupil.

    Raises
    ------
    ValueError
        If both pupils are at the same place.
    """
    left_pupil, right_pupil = points_px[..., _LEFT_PUPIL, :], points_px[..., _RIGHT_PUPIL, :]
    across = left_pupil - right_pupil
    length = np.linalg.norm(across, axis=-1, keepdims=True)
    if not (length > 0).all():
        raise ValueError("both pupils are at the same place: there is no midline")
    left = across / length
    middle = (left_pupil + right_pupil) / 2
    from_middle = points_px - middle[..., None, :]
    x = _component(from_middle, left)
    y = _component(from_middle, _upward_in_picture(left))
    return np.stack([x, y], axis=-1), middle, left


def turn_taken_out(
    levelled: NDArray[np.float64],
    relief_px: NDArray[np.float64],
    yaw_deg: float | NDArray[np.float64],
    pitch_deg: float | NDArray[np.float64],
) -> NDArray[np.float64]:
    """Landmarks where they would be seen if the head were not turned.

    Parameters
    ----------
    levelled : (..., 478, 2) float64 array
        From `levelled_points`.
    relief_px : (478,) or (..., 478) float64 array
    yaw_deg, pitch_deg : float or (...) float64 array

    Returns
    -------
    (..., 478, 2) float64 array
        Heights are left as they are.
    """
    yaw = np.radians(np.asarray(yaw_deg))[..., None]
    relief = relief_of_nodded_head(levelled[..., 1], relief_px, pitch_deg)
    x = (levelled[..., 0] - relief * np.sin(yaw)) / np.cos(yaw)
    x, y = np.broadcast_arrays(x, levelled[..., 1])
    return np.stack([x, y], axis=-1)


def relief_of_nodded_head(
    height_px: NDArray[np.float64],
    relief_px: NDArray[np.float64],
    pitch_deg: float | NDArray[np.float64],
) -> NDArray[np.float64]:
    """How far landmarks stand out from the irises toward the viewer when the head is nodded.

    A nod upward by p brings a point at (y, h), height and relief in the head, to
    ``(y cos p + h sin p, h cos p - y sin p)``; the height that is seen is the first.

    Parameters
    ----------
    height_px : (..., 478) float64 array
        As seen above the line between the pupils.
    relief_px : (478,) or (..., 478) float64 array
        In a head that is not nodded.
    pitch_deg : float or (...) float64 array
    """
    pitch = np.radians(np.asarray(pitch_deg))[..., None]
    relief: NDArray[np.float64] = relief_px / np.cos(pitch) - height_px * np.tan(pitch)
    return relief


def _along(
    points: NDArray[np.float64], on_midline: NDArray[np.float64], left: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Distances from a midline, and heights along it over the middle of the pupils."""
    up = np.stack([-left[..., 1], left[..., 0]], axis=-1)
    x = _component(points - on_midline[..., None, :], left)
    return np.stack([x, _component(points, up)], axis=-1)


def _component(vectors: NDArray[np.float64], direction: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of vectors (..., n, 2) along a direction (..., 2)."""
    along: NDArray[np.float64] = (vectors @ direction[..., None])[..., 0]
    return along


def _crossing(on_midline: NDArray[np.float64], left: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where a midline crosses the line between the pupils."""
    x = on_midline[..., 0] + on_midline[..., 1] * left[..., 1] / left[..., 0]
    return np.stack([x, np.zeros_like(x)], axis=-1)


def _in_picture(levelled: NDArray[np.float64], left: NDArray[np.float64]) -> NDArray[np.float64]:
    """A vector in the levelled frame as (column, row)."""
    turned: NDArray[np.float64] = levelled[..., :1] * left + levelled[..., 1:] * _upward_in_picture(
        left
    )
    return turned


def _upward_in_picture(left: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([left[..., 1], -left[..., 0]], axis=-1)
