"""A face whose asymmetry is known: its scan, its photograph and its truth.

A site commissions its node with it: whatever the node measures on the scan and
the photograph can be held against the truth.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processing.inputs import Photograph, Surface
from processing.measurement import Side
from processing.phantom.deficit import Hollowed, Site, hollowed
from processing.phantom.head import Head, intact_head
from processing.phantom.paint import head_colours
from processing.phantom.photographer import PIXEL_SPACING_MM, frontal_camera, photographed
from processing.phantom.scanner import paired_scan, rotation, sampled_scan, with_noise
from processing.phantom.truth import PhantomTruth, collected_truth

FEWEST_VERTICES: Final = 30_000
MOST_VERTICES: Final = 200_000
_LARGEST_TURN_DEG: Final = 90.0

# How much the pose of one person's second scan differs from the first.
_REPOSITIONING_DEG: Final = 4.0
_REPOSITIONING_MM: Final = 8.0

# One seed serves for two streams of random numbers that must not be the same.
_SEED_OF_SCAN: Final = 1
_SEED_OF_POSE: Final = 2


@dataclass(frozen=True, slots=True)
class PhantomSpec:
    """What phantom to make. The same specification makes the same phantom.

    Parameters
    ----------
    deficit_ml : float
        Volume that one side lacks; 0 for a symmetric face.
    site : Site
        Where it is lacking.
    side : Side
        The patient's side that lacks it.
    vertices : int
        Least number of vertices of the scan, 30,000 to 200,000.
    noise_mm : float
        Standard deviation of white noise along the surface normal.
    smooth_noise_mm : float
        Standard deviation of noise with a correlation length of 6 mm.
    yaw_deg, pitch_deg, roll_deg : float
        Pose of the scan: turned to the patient's left, upward, and leaning to
        the patient's left.
    shift_mm : (x, y, z)
        Where the scan's frame has the origin of the head.
    paired_vertices : bool
        True gives every vertex of the intact scan an exact mirror partner. No
        scanner does; a method that works only then has proved nothing.
    photograph_yaw_deg : float
        How far the face is turned to the patient's left in the photograph.
    seed : int
        Of the noise and the triangulation.

    Raises
    ------
    ValueError
        If a number is outside of what can be made.
    """

    deficit_ml: float = 8.0
    site: Site = Site.CHEEK
    side: Side = Side.LEFT
    vertices: int = FEWEST_VERTICES
    noise_mm: float = 0.1
    smooth_noise_mm: float = 0.0
    yaw_deg: float = 0.0
    pitch_deg: float = 0.0
    roll_deg: float = 0.0
    shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    paired_vertices: bool = False
    photograph_yaw_deg: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not FEWEST_VERTICES <= self.vertices <= MOST_VERTICES:
            raise ValueError(
                f"vertices: {self.vertices} is not in {FEWEST_VERTICES}..{MOST_VERTICES}"
            )
        for name in ("deficit_ml", "noise_mm", "smooth_noise_mm", "seed"):
            if not (np.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise ValueError(f"{name}: {getattr(self, name)} is not a number from 0 up")
        for name in ("yaw_deg", "pitch_deg", "roll_deg", "photograph_yaw_deg"):
            if not abs(getattr(self, name)) <= _LARGEST_TURN_DEG:
                raise ValueError(f"{name}: {getattr(self, name)} is not within 90 degrees")
        if not np.isfinite(self.shift_mm).all():
            raise ValueError(f"shift_mm: {self.shift_mm} is not finite")


@dataclass(frozen=True, slots=True)
class Phantom:
    """A phantom: what the machines see of it, and what is true."""

    spec: PhantomSpec
    surface: Surface = field(repr=False)
    photograph: Photograph = field(repr=False)
    truth: PhantomTruth = field(repr=False)


def make_phantom(spec: PhantomSpec, model: Path) -> Phantom:
    """Make a phantom.

    The photograph needs OpenGL; ask `processing.rendering.probe.why_rendering_fails`
    first on a machine that was never tried.

    Parameters
    ----------
    spec : PhantomSpec
    model : Path
        ``face_landmarker.task``, from `processing.face_model.find_face_model`.

    Raises
    ------
    ValueError
        If the site cannot hold the deficit.
    PermanentFault
        If the model file holds no canonical face.
    """
    head = intact_head(model)
    hollow = hollowed(head, spec.site, spec.side, spec.deficit_ml)
    colours = _colours(model)
    camera = frontal_camera(head, spec.photograph_yaw_deg)
    name = f"phantom {spec.site} {spec.side} {spec.deficit_ml:g} mL, seed {spec.seed}"
    return Phantom(
        spec=spec,
        surface=_scanned(spec, head, hollow.vertices_mm, colours, name),
        photograph=photographed(head, hollow.vertices_mm, colours, camera, name),
        truth=_truth(spec, head, hollow),
    )


def truth_of(spec: PhantomSpec, model: Path) -> PhantomTruth:
    """The truth of a phantom without making its scan and its photograph.

    Needs no OpenGL. Raises what `make_phantom` raises.
    """
    head = intact_head(model)
    return _truth(spec, head, hollowed(head, spec.site, spec.side, spec.deficit_ml))


def make_pair(
    before: PhantomSpec, restored_fraction: float, model: Path
) -> tuple[Phantom, Phantom]:
    """The same face before and after surgery; see `after_surgery` and `make_phantom`."""
    after = after_surgery(before, restored_fraction)
    return make_phantom(before, model), make_phantom(after, model)


def after_surgery(before: PhantomSpec, restored_fraction: float) -> PhantomSpec:
    """The same face when surgery has restored a part of its deficit.

    Its scan has a pose, noise and triangles of its own, as when the patient
    comes back.

    Parameters
    ----------
    before : PhantomSpec
    restored_fraction : float
        0 (nothing) to 1 (symmetric again).

    Raises
    ------
    ValueError
        If the fraction is not in 0..1.
    """
    if not 0 <= restored_fraction <= 1:
        raise ValueError(f"restored fraction {restored_fraction} is not in 0..1")
    random = np.random.default_rng([before.seed, _SEED_OF_POSE])
    yaw, pitch, roll = random.uniform(-_REPOSITIONING_DEG, _REPOSITIONING_DEG, 3)
    moved = np.add(before.shift_mm, random.uniform(-_REPOSITIONING_MM, _REPOSITIONING_MM, 3))
    return replace(
        before,
        deficit_ml=before.deficit_ml * (1 - restored_fraction),
        yaw_deg=_within_limits(before.yaw_deg + yaw),
        pitch_deg=_within_limits(before.pitch_deg + pitch),
        roll_deg=_within_limits(before.roll_deg + roll),
        shift_mm=(float(moved[0]), float(moved[1]), float(moved[2])),
        seed=before.seed + 1,
    )


def _within_limits(angle_deg: float) -> float:
    return float(np.clip(angle_deg, -_LARGEST_TURN_DEG, _LARGEST_TURN_DEG))


@lru_cache(maxsize=2)
def _colours(model: Path) -> NDArray[np.uint8]:
    colours = head_colours(intact_head(model))
    colours.flags.writeable = False
    return colours


def _scanned(
    spec: PhantomSpec,
    head: Head,
    vertices_mm: NDArray[np.float64],
    colours: NDArray[np.uint8],
    name: str,
) -> Surface:
    random = np.random.default_rng([spec.seed, _SEED_OF_SCAN])
    turn = rotation(spec.yaw_deg, spec.pitch_deg, spec.roll_deg)
    if spec.paired_vertices:
        points, triangles, painted = paired_scan(head, vertices_mm, colours, spec.vertices)
    else:
        points, triangles, painted = sampled_scan(head, vertices_mm, colours, spec.vertices, random)
    noisy = with_noise(points, triangles, spec.noise_mm, spec.smooth_noise_mm, random)
    return Surface(
        vertices_mm=noisy @ turn.T + spec.shift_mm,
        triangles=triangles,
        source=name,
        unit="mm",
        unit_stated=True,
        colours=painted,
    )


def _truth(spec: PhantomSpec, head: Head, hollow: Hollowed) -> PhantomTruth:
    return collected_truth(
        head,
        hollow,
        site=spec.site,
        side=spec.side,
        pose_deg=(spec.yaw_deg, spec.pitch_deg, spec.roll_deg),
        shift_mm=spec.shift_mm,
        camera=frontal_camera(head, spec.photograph_yaw_deg),
        pixel_spacing_mm=PIXEL_SPACING_MM,
        photograph_yaw_deg=spec.photograph_yaw_deg,
    )
