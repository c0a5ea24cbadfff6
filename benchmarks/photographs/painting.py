"""Skin, brows, lips, eyes and light of a rendered head, as colours of its vertices.

Paint is laid on the mean head and goes with the vertices; only the irises are
painted on the head itself, so that their diameter is exact. Light comes from a
soft source in front and above, and what shades what is taken from the mean head.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.photographs.ict_head import Array, HeadModel
from processing.measurement import Side
from processing.rendering.scene import OffscreenScene, vertex_normals

IRIS_DIAMETER_MM: Final = 11.71
_PUPIL_DIAMETER_MM: Final = 3.6
_LIMBUS_MM: Final = 0.7
_ROTATION_TO_IRIS_MM: Final = 10.5

_RAY_START_MM: Final = 0.6
_RAY_REACH_MM: Final = 400.0
_AMBIENT: Final = 0.16
_INSIDE_OF_MOUTH: Final = (74, 26, 26)


@dataclass(frozen=True, slots=True)
class Appearance:
    """Colours (sRGB) and light of a head.

    `side_light` moves the soft light to the patient's left (+) or right (-);
    0 is the same on both sides. Mottles of the skin are never symmetric.
    """

    skin: tuple[int, int, int] = (214, 168, 143)
    hair: tuple[int, int, int] = (54, 40, 32)
    lips: tuple[int, int, int] = (176, 104, 98)
    iris: tuple[int, int, int] = (98, 74, 50)
    side_light: float = 0.0
    seed: int = 0


def random_appearance(seed: int) -> Appearance:
    """Skin, hair and eyes from light to dark, symmetric light."""
    rng = np.random.default_rng([seed, 1])
    darkness = rng.uniform(0, 1)

    def between(light: tuple[int, ...], dark: tuple[int, ...], part: float) -> tuple[int, int, int]:
        red, green, blue = (
            round(one + (other - one) * part) for one, other in zip(light, dark, strict=True)
        )
        return red, green, blue

    return Appearance(
        skin=between((232, 190, 168), (138, 92, 68), darkness),
        hair=between((122, 90, 60), (30, 24, 22), rng.uniform(0.2 + 0.6 * darkness, 1)),
        lips=between((196, 116, 112), (120, 66, 60), darkness),
        iris=between((106, 136, 150), (70, 46, 30), rng.uniform(min(1.5 * darkness, 0.9), 1)),
        seed=seed,
    )


def painted(
    model: HeadModel,
    fine_mm: Array,
    appearance: Appearance,
    irises_mm: Mapping[Side, Array],
    rotation: Array,
) -> NDArray[np.uint8]:
    """Colours of the fine vertices with the light on them.

    Parameters
    ----------
    model : HeadModel
    fine_mm : (k, 3) float64 array
        The fine vertices of the head itself.
    appearance : Appearance
    irises_mm : mapping of Side to (3,) float64 array
        Where the middle of each iris is painted.
    rotation : (3, 3) float64 array
        How the head is turned; the light stands still.

    Returns
    -------
    (k, 3) uint8 array
        sRGB, to be drawn without further light.
    """
    colours = _linear(_pigment(model, fine_mm, appearance, irises_mm))
    normals = vertex_normals(fine_mm, model.triangles) @ rotation.T
    lit = colours * _irradiance(model, normals, appearance.side_light)[:, None]
    return _encoded(lit)


def _pigment(
    model: HeadModel, fine_mm: Array, appearance: Appearance, irises_mm: Mapping[Side, Array]
) -> Array:
    colours = _skin_and_hair(model, replace(appearance, side_light=0.0)).copy()
    for side, iris_mm in irises_mm.items():
        own = _vertices_of_eye(model, side)
        colours[own] = _eyeball(fine_mm[own], iris_mm, appearance)
    return np.clip(colours, 1, 255)


@lru_cache(maxsize=2)
def _skin_and_hair(model: HeadModel, appearance: Appearance) -> Array:
    mean = model.refine @ model.neutral_mm
    rng = np.random.default_rng([appearance.seed, 2])
    colours = np.tile(np.asarray(appearance.skin, dtype=np.float64), (len(mean), 1))
    folded = mean * np.where(mean[:, :1] >= 0, (1.0, 1.0, 1.0), (-1.0, 1.0, 1.0))
    _flush(folded, colours, appearance)
    colours *= 1 + 0.02 * _noise(mean, rng, 9.0)[:, None] + 0.012 * _noise(mean, rng, 2.5)[:, None]
    colours *= 1 + 0.02 * rng.standard_normal((len(mean), 1))
    _lips(model, folded, colours, appearance, rng)
    _brows(model, folded, colours, appearance, rng)
    _lashes(model, folded, colours)
    _hair(folded, colours, appearance, rng)
    mouth = np.zeros(len(model.neutral_mm))
    mouth[model.mouth_socket] = 1
    colours[(model.refine @ mouth) > 0.5] = _INSIDE_OF_MOUTH
    return colours


def _mix(colours: Array, colour: tuple[int, int, int], share: Array) -> None:
    colours += np.clip(share, 0, 1)[:, None] * (np.asarray(colour, dtype=np.float64) - colours)


def _soft(inside_mm: Array, width_mm: float) -> Array:
    """0 outside, 1 inside, over a soft edge."""
    part = np.clip(0.5 + inside_mm / width_mm, 0, 1)
    smooth: Array = part * part * (3 - 2 * part)
    return smooth


def _noise(places: Array, rng: np.random.Generator, wavelength_mm: float) -> Array:
    """Smooth noise of unit variance: waves in random directions."""
    waves = rng.standard_normal((24, 3)) * 2 * np.pi / wavelength_mm / np.sqrt(3)
    phases = rng.uniform(0, 2 * np.pi, 24)
    total = np.zeros(len(places))
    for wave, phase in zip(waves, phases, strict=True):
        total += np.cos(places @ wave + phase)
    noise: Array = total / np.sqrt(12)
    return noise


def _flush(folded: Array, colours: Array, appearance: Appearance) -> None:
    skin = np.asarray(appearance.skin, dtype=np.float64)
    red, green, blue = (round(float(each)) for each in skin * (0.96, 0.80, 0.78))
    for centre, sigma, share in (
        ((42.0, -2.0, 92.0), 17.0, 0.55),
        ((0.0, 2.0, 128.0), 10.0, 0.5),
        ((0.0, -64.0, 108.0), 14.0, 0.3),
        ((20.0, 33.0, 92.0), 4.0, 0.5),
        ((95.0, 10.0, 20.0), 22.0, 0.5),
    ):
        away = ((folded - centre) ** 2).sum(axis=1)
        _mix(colours, (red, green, blue), share * np.exp(-away / (2 * sigma**2)))
    red, green, blue = (round(float(each)) for each in skin * (0.78, 0.72, 0.74))
    socket = ((folded - (30.0, 34.0, 92.0)) / (20.0, 12.0, 14.0)) ** 2
    _mix(colours, (red, green, blue), 0.45 * np.exp(-socket.sum(axis=1) / 2))
    nostril = ((folded - (8.5, -7.5, 116.0)) / (4.2, 1.9, 6.0)) ** 2
    _mix(colours, (58, 26, 22), 1.3 * np.exp(-nostril.sum(axis=1)))


def _lips(
    model: HeadModel,
    folded: Array,
    colours: Array,
    appearance: Appearance,
    rng: np.random.Generator,
) -> None:
    upper = model.neutral_mm[model.curve("upper_vermilion_border", Side.LEFT)][:, :2]
    lower = model.neutral_mm[model.curve("lower_vermilion_border", Side.LEFT)][:, :2]
    near = np.flatnonzero(
        (np.abs(folded[:, 1] + 34) < 20) & (folded[:, 0] < 32) & (folded[:, 2] > 90)
    )
    x, y = folded[near, 0], folded[near, 1]
    upper_y = np.interp(x, upper[::-1, 0], upper[::-1, 1])
    lower_y = np.interp(x, lower[::-1, 0], lower[::-1, 1])
    inside = np.minimum(np.minimum(upper_y - y, y - lower_y), upper[0, 0] - x)
    wrinkles = 0.05 * _noise(folded[near] * (1.0, 0.25, 0.25), rng, 1.6) * _soft(inside - 1, 2)
    part = colours[near]
    _mix(part, appearance.lips, 0.95 * _soft(inside, 1.0))
    line = model.neutral_mm[model.curve("lip_line", Side.LEFT)][:, :2]
    to_line = np.abs(y - np.interp(x, line[::-1, 0], line[::-1, 1]))
    share = 0.85 * np.exp(-((to_line / 0.9) ** 2)) * _soft(line[0, 0] - x + 0.5, 1.5)
    _mix(part, (70, 30, 30), share)
    colours[near] = part * (1 - wrinkles[:, None])


def _brows(
    model: HeadModel,
    folded: Array,
    colours: Array,
    appearance: Appearance,
    rng: np.random.Generator,
) -> None:
    curve = model.neutral_mm[model.curve("brow", Side.LEFT)][::-1, :2]
    near = np.flatnonzero((np.abs(folded[:, 1] - 58) < 18) & (folded[:, 2] > 60))
    x, y = folded[near, 0], folded[near, 1]
    along = np.clip((x - curve[0, 0]) / (curve[-1, 0] - curve[0, 0]), 0, 1)
    top = np.interp(x, curve[:, 0], curve[:, 1]) + 0.5
    thickness = np.interp(along, (0, 0.15, 0.6, 1), (6.5, 7.5, 6.0, 2.2))
    ends = np.minimum(x - curve[0, 0], curve[-1, 0] - x)
    ragged = 0.5 * _noise(folded[near], rng, 2.0)
    inside = np.minimum(np.minimum(top - y, y - (top - thickness)), ends) + ragged
    strokes = np.sin(
        (x * 0.8 - y * (1.5 - 1.2 * along)) * 4.2 + 0.6 * _noise(folded[near], rng, 5.0)
    )
    part = colours[near]
    _mix(part, appearance.hair, _soft(inside - 0.6, 1.8) * (0.74 + 0.2 * strokes))
    colours[near] = part


def _lashes(model: HeadModel, folded: Array, colours: Array) -> None:
    near = np.flatnonzero((np.abs(folded - (31.0, 35.0, 92.0)) < (18.0, 12.0, 14.0)).all(axis=1))
    for name, width, share in (("upper_lid_margin", 0.75, 0.9), ("lower_lid_margin", 0.45, 0.5)):
        margin = model.neutral_mm[model.curve(name, Side.LEFT)]
        away = _distance_to_curve(folded[near], margin)
        part = colours[near]
        strength = np.interp(folded[near, 0], (18.0, 24.0), (0.15, 1.0))
        _mix(part, (36, 25, 22), share * strength * np.exp(-((away / width) ** 2)))
        colours[near] = part
    caruncle = np.linalg.norm(folded - (20.0, 33.0, 91.0), axis=1)
    _mix(colours, (196, 120, 112), 0.8 * _soft(2.0 - caruncle, 1.5))


def _distance_to_curve(points: Array, curve: Array) -> Array:
    least = np.full(len(points), np.inf)
    for start, end in pairwise(curve):
        way = end - start
        part = np.clip((points - start) @ way / (way @ way), 0, 1)
        least = np.minimum(least, np.linalg.norm(points - start - part[:, None] * way, axis=1))
    return least


def _hair(
    folded: Array,
    colours: Array,
    appearance: Appearance,
    rng: np.random.Generator,
) -> None:
    x, y, z = folded.T
    # Over the forehead by height, at the temple by depth, down to beside the ear.
    over = y - (104.0 - 0.004 * x**2)
    behind = np.minimum((50.0 - 0.45 * (y - 40.0)) - z, y - 22.0)
    ear = ((folded - (92.0, 15.0, 8.0)) / (20.0, 34.0, 26.0)) ** 2
    behind = np.where(ear.sum(axis=1) < 1, -5.0, behind)
    inside = np.maximum(over, behind) + 1.2 * _noise(folded, rng, 4.0)
    strands = 1 + 0.35 * _noise(folded * (1.0, 0.35, 0.35), rng, 2.2)
    dark = np.asarray(appearance.hair) * strands[:, None] * 1.1
    share = (0.95 * _soft(inside, 7.0))[:, None]
    colours += share * (np.clip(dark, 0, 255) - colours)
    shirt = _soft(-150.0 - 0.25 * np.abs(x) - y + 0.4 * np.abs(z - 60), 1.0)
    _mix(colours, (88, 98, 118), shirt)


def _eyeball(places_mm: Array, iris_mm: Array, appearance: Appearance) -> Array:
    from_centre = places_mm[:, :2] - iris_mm[:2]
    away: Array = np.hypot(from_centre[:, 0], from_centre[:, 1])
    angle: Array = np.arctan2(from_centre[:, 1], from_centre[:, 0])
    ball = np.tile([222.0, 214.0, 208.0], (len(places_mm), 1))
    ball -= np.clip(away - 7, 0, 6)[:, None] * (1.0, 4.5, 4.0)
    radius = IRIS_DIAMETER_MM / 2
    iris = np.asarray(appearance.iris, dtype=np.float64)
    rays = 1 + 0.18 * np.sin(angle * 37 + 3 * np.sin(angle * 5)) + 0.1 * np.sin(angle * 61)
    inner = iris * rays[:, None] * np.interp(away, (1.8, 3.2, 5.0), (1.25, 1.1, 0.85))[:, None]
    ball += _soft(radius - away, 0.35)[:, None] * (np.clip(inner, 0, 255) - ball)
    ring = np.exp(-(((away - radius + _LIMBUS_MM / 2) / (_LIMBUS_MM / 1.6)) ** 2))
    ball += (0.65 * ring * (away < radius + 0.2))[:, None] * (iris * 0.35 - ball)
    _mix(ball, (12, 10, 10), _soft(_PUPIL_DIAMETER_MM / 2 - away, 0.3))
    # The upper lid and its lashes shade the eye.
    ball *= 1 - 0.4 * _soft(from_centre[:, 1] - 2.0, 4.0)[:, None]
    to_glint: Array = np.hypot(from_centre[:, 0] - 1.2, from_centre[:, 1] - 1.6)
    _mix(ball, (250, 250, 250), _soft(0.75 - to_glint, 0.3))
    return ball


def iris_centre_mm(model: HeadModel, side: Side, fine_mm: Array, gaze: Array) -> Array:
    """Middle of an iris on its eyeball, (3,).

    Parameters
    ----------
    gaze : (3,) float64 array
        Direction in which the eye looks, in the head's own frame.
    """
    ball = fine_mm[model.eyes[side]]
    middle = (ball.min(axis=0) + ball.max(axis=0)) / 2
    looked = middle[:2] + _ROTATION_TO_IRIS_MM * gaze[:2] / np.linalg.norm(gaze)
    near = ball[ball[:, 2] > middle[2]]
    surface = near[np.linalg.norm(near[:, :2] - looked, axis=1).argmin(), 2]
    return np.array([*looked, surface])


def _vertices_of_eye(model: HeadModel, side: Side) -> NDArray[np.intp]:
    part = np.zeros(len(model.neutral_mm))
    part[model.eyes[side]] = 1
    return np.flatnonzero(model.refine @ part > 0.5)


@lru_cache(maxsize=1)
def _lights() -> tuple[Array, Array]:
    """Directions (l, 3) of a large soft light in front and above, and their weights."""
    directions, weights = [], []
    for elevation, count, weight in ((-25, 6, 0.35), (5, 8, 0.9), (30, 8, 1.4), (55, 6, 1.1)):
        for azimuth in np.linspace(-75, 75, count):
            height, turn = np.radians(elevation), np.radians(azimuth)
            directions.append(
                (np.cos(height) * np.sin(turn), np.sin(height), np.cos(height) * np.cos(turn))
            )
            weights.append(weight * (0.35 + np.cos(turn) ** 2))
    return np.array(directions), np.array(weights) / np.sum(weights)


@lru_cache(maxsize=1)
def _visibility(model: HeadModel) -> Array:
    """Which lights reach each fine vertex of the mean head, (k, l), 0 to 1."""
    directions, _ = _lights()
    skin = model.neutral_mm[model.skin]
    triangles = model.coarse_triangles[(model.coarse_triangles < len(skin)).all(axis=1)]
    normals = vertex_normals(skin, triangles)
    seen = np.ones((len(model.neutral_mm), len(directions)))
    starts = skin + _RAY_START_MM * normals
    # The right half is asked; the lights are the same for the left.
    asked = np.flatnonzero((skin[:, 0] <= 0) & (skin[:, 2] > -20))
    partner = np.array(
        [np.linalg.norm(directions * (-1, 1, 1) - each, axis=1).argmin() for each in directions]
    )
    with OffscreenScene(skin, triangles) as scene:
        for light, direction in enumerate(directions):
            facing = asked[normals[asked] @ direction > 0]
            _, met = scene.first_hits(starts[facing], starts[facing] + _RAY_REACH_MM * direction)
            seen[facing, light] = met < 0
    seen[model.mirror[asked]] = seen[asked][:, partner]
    fine: Array = model.refine @ seen
    return np.clip(fine, 0, 1)


def _irradiance(model: HeadModel, normals: Array, side_light: float) -> Array:
    directions, weights = _lights()
    weights = weights * (1 + side_light * directions[:, 0])
    facing = np.clip(normals @ directions.T, 0, None)
    lit = (facing * _visibility(model)) @ weights
    open_sky = _visibility(model) @ weights
    total: Array = _AMBIENT * (0.35 + 0.65 * open_sky) + 1.75 * lit
    return total


def _linear(srgb: Array) -> Array:
    linear: Array = (srgb / 255) ** 2.2
    return linear


def _encoded(linear: Array) -> NDArray[np.uint8]:
    encoded = 255 * np.clip(linear, 0, 1) ** (1 / 2.2)
    return encoded.round().astype(np.uint8)
