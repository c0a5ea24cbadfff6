"""The colours of the phantom: skin, brows, eyes, lips, nostrils and a cap.

Painted on the vertices of the left half and copied to the right one, so that
the picture of a symmetric phantom is symmetric.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from processing.phantom.head import IRIS_DIAMETER_MM, PUPIL_DIAMETER_MM, Head
from processing.phantom.outlines import (
    LOWER_LID_LEFT,
    UPPER_LID_LEFT,
    brow_outline,
    curve,
    distance_to_polyline,
    eye_outline,
    lips_outline,
    mouth_line,
    signed_distance,
)
from processing.phantom.subdivision import MirroredMesh, neighbours

SKIN: Final = (226, 182, 158)
FLUSHED: Final = (218, 150, 132)
LIPS: Final = (188, 112, 106)
MOUTH_LINE: Final = (104, 52, 50)
HAIR: Final = (58, 42, 34)
SCLERA: Final = (236, 232, 228)
IRIS: Final = (104, 72, 46)
LIMBUS: Final = (52, 34, 24)
PUPIL: Final = (10, 8, 8)
CATCHLIGHT: Final = (250, 250, 250)
LASHES: Final = (46, 32, 28)
NOSTRIL: Final = (72, 36, 32)
CAP: Final = (116, 164, 172)
CAP_HEM: Final = (92, 138, 148)
GOWN: Final = (176, 190, 198)

_NOSTRIL_FRONT_LEFT: Final = (458, 250, 459)
_NOSTRIL_BACK_LEFT: Final = (289, 305, 392)
_CHEEK_LEFT: Final = 425
_MOTTLE_SEED: Final = 20240229

Colours = NDArray[np.float64]


def head_colours(head: Head) -> NDArray[np.uint8]:
    """Colours of every vertex of the intact head.

    Parameters
    ----------
    head : Head

    Returns
    -------
    (n, 3) uint8 array
        sRGB, the same on both sides.
    """
    mesh = head.fine
    colours = np.tile(np.asarray(SKIN, dtype=np.float64), (len(mesh.vertices), 1))
    left = np.flatnonzero(mesh.vertices[:, 0] >= 0)
    on_left = _Brush(mesh.vertices, mesh.vertices[left], colours[left])
    _paint_skin(on_left)
    _paint_lips(on_left)
    _paint_nostril(on_left)
    _paint_brow(on_left)
    _paint_eye(on_left, head)
    _paint_clothes(on_left)
    colours[left] = on_left.colours
    colours[left] += _mottle(mesh)[left, None] * [1.0, 1.1, 1.1]
    colours[mesh.mirror[left]] = colours[left]
    return np.clip(colours, 0, 255).round().astype(np.uint8)


class _Brush:
    """The points to paint, their colours so far, and all points that landmarks index."""

    def __init__(
        self, landmarks: NDArray[np.float64], points: NDArray[np.float64], colours: Colours
    ) -> None:
        self.landmarks = landmarks
        self.points = points
        self.colours = colours

    def near(
        self, centre: NDArray[np.float64], half_size_mm: tuple[float, float]
    ) -> NDArray[np.intp]:
        """Points of the front of the face in a rectangle of the front view."""
        beside = np.abs(self.points[:, :2] - centre[:2])
        return np.flatnonzero((beside < half_size_mm).all(axis=1) & (self.points[:, 2] > 0))

    def mix(
        self, where: NDArray[np.intp], colour: tuple[int, int, int], share: NDArray[np.float64]
    ) -> None:
        """Lay a colour over what is there, `share` of it at each point."""
        under = self.colours[where]
        self.colours[where] = under + np.clip(share, 0, 1)[:, None] * (np.asarray(colour) - under)


def _soft(distance_mm: NDArray[np.float64], width_mm: float) -> NDArray[np.float64]:
    """1 inside (negative distance), 0 outside, with a smooth edge of the given width."""
    step = np.clip(0.5 - distance_mm / width_mm, 0, 1)
    return step * step * (3 - 2 * step)


def _gauss(squared_mm: NDArray[np.float64], sigma_mm: float) -> NDArray[np.float64]:
    return np.asarray(np.exp(-squared_mm / (2 * sigma_mm**2)))


def _paint_skin(brush: _Brush) -> None:
    everywhere = np.arange(len(brush.points))
    for landmark, sigma_mm, strength in ((_CHEEK_LEFT, 17.0, 0.42), (4, 9.0, 0.38), (152, 14, 0.2)):
        away = ((brush.points - brush.landmarks[landmark]) ** 2).sum(axis=1)
        brush.mix(everywhere, FLUSHED, strength * _gauss(away, sigma_mm))
    socket = brush.landmarks[[362, 263, 374]].mean(axis=0) - [0.0, 3.0, 0.0]
    away = (((brush.points - socket) / [1.5, 1.0, 2.0]) ** 2).sum(axis=1)
    brush.mix(everywhere, (182, 128, 112), 0.30 * _gauss(away, 8.0))


def _paint_lips(brush: _Brush) -> None:
    outline = lips_outline(brush.landmarks)
    near = brush.near(outline.mean(axis=0), (34.0, 18.0))
    distance = signed_distance(brush.points[near, :2], outline)
    brush.mix(near, LIPS, 0.9 * _soft(distance, 1.6))
    line = mouth_line(brush.landmarks)
    beside_line = distance_to_polyline(brush.points[near, :2], line)
    brush.mix(near, MOUTH_LINE, _soft(beside_line - 0.55, 1.1))


def _paint_nostril(brush: _Brush) -> None:
    axis = np.stack(
        [
            brush.landmarks[list(_NOSTRIL_FRONT_LEFT)].mean(axis=0),
            brush.landmarks[list(_NOSTRIL_BACK_LEFT)].mean(axis=0),
        ]
    )
    axis = axis.mean(axis=0) + 0.35 * (axis - axis.mean(axis=0))
    near = brush.near(axis.mean(axis=0), (12.0, 12.0))
    distance = distance_to_polyline(brush.points[near], axis)
    brush.mix(near, NOSTRIL, 0.95 * _soft(distance - 2.7, 1.6))


def _paint_brow(brush: _Brush) -> None:
    outline = brow_outline(brush.landmarks)
    near = brush.near(outline.mean(axis=0), (32.0, 16.0))
    distance = signed_distance(brush.points[near, :2], outline)
    along = (brush.points[near, 0] - outline[:, 0].min()) / np.ptp(outline[:, 0])
    # Hairs lean outward and upward; at the medial end the brow thins out.
    lean = brush.points[near, 0] * 0.75 - brush.points[near, 1] * 0.66
    hairs = 0.80 + 0.20 * np.sin(lean * 2 * np.pi / 1.3)
    thin = 0.72 + 0.28 * np.clip(along / 0.25, 0, 1)
    brush.mix(near, HAIR, 0.88 * hairs * thin * _soft(distance + 0.4, 2.8))


def _paint_eye(brush: _Brush, head: Head) -> None:
    pupil = head.pupil_left_mm
    near = brush.near(pupil, (24.0, 14.0))
    points = brush.points[near]
    inside = -signed_distance(points[:, :2], eye_outline(brush.landmarks))
    between_lids = _soft(0.3 - inside, 0.5)
    brush.mix(near, SCLERA, between_lids)
    caruncle = _gauss(((points[:, :2] - brush.landmarks[362, :2]) ** 2).sum(axis=1), 1.9)
    brush.mix(near, (206, 138, 126), 0.8 * caruncle * between_lids)

    radius = np.linalg.norm(points[:, :2] - pupil[:2], axis=1)
    angle = np.arctan2(points[:, 1] - pupil[1], points[:, 0] - pupil[0])
    iris = _soft(radius - IRIS_DIAMETER_MM / 2, 0.7) * between_lids
    brush.mix(near, LIMBUS, iris)
    fibres = 0.82 + 0.18 * np.cos(angle * 24)
    stroma = _soft(radius - (IRIS_DIAMETER_MM / 2 - 0.9), 1.1) * between_lids
    brush.mix(near, IRIS, stroma * fibres)
    brush.mix(near, PUPIL, _soft(radius - PUPIL_DIAMETER_MM / 2, 0.5) * between_lids)
    glint = np.linalg.norm(points[:, :2] - pupil[:2] - [0.0, 1.4], axis=1)
    brush.mix(near, CATCHLIGHT, 0.95 * _soft(glint - 0.75, 0.5) * between_lids)

    upper = curve(brush.landmarks[list(UPPER_LID_LEFT), :2])
    lower = curve(brush.landmarks[list(LOWER_LID_LEFT), :2])
    to_upper = distance_to_polyline(points[:, :2], upper)
    brush.mix(near, (120, 104, 100), 0.55 * between_lids * _gauss(to_upper**2, 1.2))
    brush.mix(near, LASHES, 0.95 * _soft(to_upper - 0.45, 0.9))
    brush.mix(near, LASHES, 0.55 * _soft(distance_to_polyline(points[:, :2], lower) - 0.2, 0.7))
    crease = upper + np.array([0.6, 3.0])
    brush.mix(
        near, (150, 100, 86), 0.55 * _gauss(distance_to_polyline(points[:, :2], crease) ** 2, 0.6)
    )


def _paint_clothes(brush: _Brush) -> None:
    """A theatre cap from the hairline to behind where the ears would be, and a gown."""
    points = brush.points
    edge = points[:, 1] - (82.0 + 0.95 * np.minimum(points[:, 2] - 44.0, 0.0))
    everywhere = np.arange(len(points))
    gown_edge = -146.0 - 0.25 * np.maximum(points[:, 2] + 20.0, 0.0)
    brush.mix(everywhere, GOWN, _soft(points[:, 1] - gown_edge, 1.5))
    brush.mix(everywhere, CAP, _soft(-edge, 1.0))
    brush.mix(everywhere, CAP_HEM, 0.8 * _soft(np.abs(edge - 4.0) - 0.4, 0.8))


def _mottle(mesh: MirroredMesh) -> NDArray[np.float64]:
    """Faint unevenness of the skin, a few mm in scale, in steps of grey."""
    noise = np.random.default_rng(_MOTTLE_SEED).normal(size=len(mesh.vertices))
    around = neighbours(mesh.triangles, len(noise))
    valence = np.asarray(around.sum(axis=1)).ravel()
    for _ in range(6):
        noise = (around @ noise) / valence
    return np.asarray(2.2 * noise / noise.std())
