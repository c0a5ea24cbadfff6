"""The midsagittal plane of a face: found from the landmarks, blind to the asymmetric area."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processing.surface.frame import FaceFrame
from processing.surface.landmarks import FoundFace
from processing.surface.options import SurfaceOptions
from processing.surface.plane import (
    COARSE_GATES_MM,
    FINE_GATES_MM,
    MirrorPlane,
    Registration,
    plane_through,
)
from processing.surface.radial import RadialMaps, looked_up, radial_maps, region_mask
from processing.surface.regions import (
    MASK_MARGIN_MM,
    WIDE_MASK_MARGIN_MM,
    asymmetric_pixels,
)
from processing.surface.volume import moved_frame

REMAINING_LIMIT: Final = 0.35
_WIDE_REMAINING_LIMIT: Final = 0.25
_REFITS: Final = 3
_WIDE_REFITS: Final = 2
# Beyond so many standard deviations the tail of the asymmetry still pulled the plane.
_PULLED: Final = 2.0
_PIVOT_FORWARD_MM: Final = 40.0


@dataclass(frozen=True, slots=True)
class MidsagittalPlane:
    """The plane of a face, and how it came about.

    Parameters
    ----------
    plane : MirrorPlane
    maps : RadialMaps
        Both hemifaces on that plane.
    remaining : float
        The part of the measured face that was symmetric enough to take part.
    start_angle_deg : float
        Angle to the plane of the landmarks.
    """

    plane: MirrorPlane
    maps: RadialMaps
    remaining: float
    start_angle_deg: float


def fit_midsagittal_plane(face: FoundFace, options: SurfaceOptions) -> MidsagittalPlane | None:
    """Fit, find the asymmetric area, leave it and its mirror image out, fit again.

    The last fit is repeated with a margin of 15 instead of 6 mm around the area.
    What the plane moves by then enters its covariance; if it is more than
    chance, the tail of the asymmetry still pulled, and the second plane counts.

    Parameters
    ----------
    face : FoundFace
    options : SurfaceOptions

    Returns
    -------
    MidsagittalPlane or None
        None when the two sides cannot be laid over each other.
    """
    start = _start_plane(face)
    registration = Registration(face.mesh)
    frame = moved_frame(face.frame, start)
    in_region = looked_up(region_mask(), face.mesh, frame)
    plane = registration.fit(start, in_region, COARSE_GATES_MM)
    if plane is None:
        return None
    maps = radial_maps(face.mesh, moved_frame(frame, plane))
    remaining = 1.0
    for _ in range(_REFITS):
        left_out = asymmetric_pixels(maps, MASK_MARGIN_MM)
        remaining = _remaining(maps, left_out)
        if remaining < REMAINING_LIMIT:
            break
        refitted = _refitted(face, registration, plane, maps, left_out)
        if refitted is None:
            return None
        plane = refitted
        maps = radial_maps(face.mesh, moved_frame(frame, plane))
    if remaining >= REMAINING_LIMIT:
        plane = _against_wider_margin(face, registration, plane, maps)
        maps = radial_maps(face.mesh, moved_frame(frame, plane))
    cosine = float(np.clip(plane.normal @ start.normal, -1, 1))
    return MidsagittalPlane(plane, maps, remaining, float(np.degrees(np.arccos(cosine))))


def _against_wider_margin(
    face: FoundFace, registration: Registration, plane: MirrorPlane, maps: RadialMaps
) -> MirrorPlane:
    frame: FaceFrame = maps.frame
    wide = plane
    for _ in range(_WIDE_REFITS):
        left_out = asymmetric_pixels(maps, WIDE_MASK_MARGIN_MM)
        if _remaining(maps, left_out) < _WIDE_REMAINING_LIMIT:
            break
        refitted = _refitted(face, registration, wide, maps, left_out)
        if refitted is None:
            break
        wide = refitted
        maps = radial_maps(face.mesh, moved_frame(frame, wide))
    shift = plane.shift_to(wide)
    pulled = shift @ np.linalg.pinv(plane.covariance + wide.covariance) @ shift > _PULLED**2
    chosen = wide if pulled else plane
    turned = chosen.shift_to(plane if pulled else wide)
    return chosen.with_covariance(chosen.covariance + np.outer(turned, turned))


def _refitted(
    face: FoundFace,
    registration: Registration,
    plane: MirrorPlane,
    maps: RadialMaps,
    left_out: NDArray[np.bool_],
) -> MirrorPlane | None:
    allowed = looked_up(maps.measured & ~left_out, face.mesh, maps.frame)
    return registration.fit(plane, allowed, FINE_GATES_MM)


def _remaining(maps: RadialMaps, left_out: NDArray[np.bool_]) -> float:
    measured = int(np.count_nonzero(maps.measured))
    return 1.0 - int(np.count_nonzero(left_out & maps.measured)) / max(measured, 1)


def _start_plane(face: FoundFace) -> MirrorPlane:
    """From the landmarks: the mean of the lines between partners, through their middles."""
    landmarks = face.landmarks_mm
    pairs = [
        (landmarks[name], landmarks[name.removesuffix("_left") + "_right"])
        for name in landmarks
        if name.endswith("_left") and name.removesuffix("_left") + "_right" in landmarks
    ]
    across = np.sum([left - right for left, right in pairs], axis=0)
    normal = across / np.linalg.norm(across)
    middle = np.mean([(left + right) / 2 for left, right in pairs], axis=0)
    pivot = face.frame.to_scan(np.array([[0.0, 0.0, _PIVOT_FORWARD_MM * face.frame.scale]]))[0]
    return plane_through(normal, pivot - ((pivot - middle) @ normal) * normal)
