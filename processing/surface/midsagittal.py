"""The midsagittal plane of a face, blind to what one side lacks.

Two planes are sought: one that all of a face shares that is about symmetric,
and one beside which one hemiface may lack as much as it wants. They are the
same unless a deficit covers most of a hemiface; then the evidence decides, and
where it does not, the other one stays as a rival.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processing.measurement import Plane
from processing.surface.frame import REFERENCE_LANDMARKS_MM
from processing.surface.landmarks import FoundFace
from processing.surface.options import PlaneMethod, SurfaceOptions
from processing.surface.plane import MirrorPlane, plane_through
from processing.surface.plane_choice import EXACT, PlaneChoice, chosen_plane
from processing.surface.plane_completion import completed_plane, plane_beside_outliers
from processing.surface.plane_consensus import Loss
from processing.surface.plane_fit import EXACT_MM, SYMMETRIC, refined
from processing.surface.radial import beside_or_opposite, looked_up, region_mask
from processing.surface.registration import Registration
from processing.surface.volume import moved_frame

LANDMARKS: Final = "landmarks"
UPPER_FACE: Final = "upper face"
RIVAL: Final = "rival"

# A deficit over two thirds of a hemiface leaves a fifth, softly counted.
REMAINING_LIMIT: Final = 0.08
# A rival with more than this of the evidence for the plane leaves the plane open.
RIVAL_LIMIT: Final = 0.85

# What a reviewer places by hand on a face is not known better.
_GIVEN_ANGLE_DEG: Final = 0.05
_GIVEN_SHIFT_MM: Final = 0.05
# Landmarks of a face model: of one place, and at least.
_LEAST_SPREAD_MM: Final = 0.7
_FRAME_ANGLE_DEG: Final = 2.0
_FRAME_SHIFT_MM: Final = 2.0
_PIVOT_FORWARD_MM: Final = 40.0
# From here on all that counts is what is exactly symmetric; between the two it counts in part,
# so that no small change of a scan makes the plane jump.
_WHOLLY_EXACT: Final = 0.8
_UPPER_SAMPLE: Final = 2_500
_EXACT_SAMPLE: Final = 8_000
# Nasal root and orbits: of the reference face, from so far below the inner corners of the
# eyes upward.
_BELOW_EYES_MM: Final = 12.0
_MIRRORED_AREA_MM: Final = 2.0


@dataclass(frozen=True, slots=True)
class MidsagittalPlane:
    """The plane of a face, and how it came about.

    Parameters
    ----------
    plane : MirrorPlane
    remaining : float
        The part of the measured face that was symmetric enough to take part.
    start_angle_deg : float
        Angle to the plane of the landmarks.
    alternatives : mapping of str to MirrorPlane
        Other ways to place it: ``landmarks``, ``upper face``, and ``rival``, the
        clearly different plane that explains the face next best, where there is
        one.
    rival_ratio : float
        Evidence for the rival relative to that for the plane, 0 without a rival;
        near 1 nobody can tell which of them is right.
    """

    plane: MirrorPlane
    remaining: float
    start_angle_deg: float
    alternatives: Mapping[str, MirrorPlane] = field(default_factory=lambda: MappingProxyType({}))
    rival_ratio: float = 0.0


def fit_midsagittal_plane(
    face: FoundFace,
    options: SurfaceOptions,
    area: NDArray[np.bool_] | None = None,
    given: Plane | None = None,
) -> MidsagittalPlane | None:
    """Place the midsagittal plane.

    Parameters
    ----------
    face : FoundFace
    options : SurfaceOptions
        Its method counts unless a plane is given.
    area : (n,) bool array, optional
        Vertices of the face's mesh that a person outlined as affected: left out
        of every fit together with their mirror image.
    given : Plane, optional
        Taken as it is, as known to 0.05 degrees and 0.05 mm.

    Returns
    -------
    MidsagittalPlane or None
        None when the two sides cannot be laid over each other.
    """
    landmarks = _landmark_plane(face)
    if given is not None:
        return _given(face, given, landmarks)
    if options.plane is PlaneMethod.LANDMARKS:
        return _placed(landmarks, 1.0, landmarks, {})
    frame = moved_frame(face.frame, landmarks)
    candidates = looked_up(region_mask(), face.mesh, frame)
    registration = Registration(face.mesh)
    outlined = area if area is not None and area.any() else None
    upper_face = candidates & _in_upper_face(face)
    if outlined is not None:
        upper_face &= ~_with_mirror_image(face, outlined, landmarks)
    upper = registration.ordered(upper_face)
    if options.plane is PlaneMethod.UPPER_FACE:
        return _of_upper_face(registration, upper, landmarks)
    whole = registration.ordered(candidates)
    choice = chosen_plane(registration, landmarks, whole)
    if outlined is not None:
        choice = _beside_outlined(face, registration, candidates, outlined, landmarks, choice)
    if choice is None:
        return None
    alternatives = {LANDMARKS: landmarks}
    above = refined(registration, choice.fitted.plane, upper, SYMMETRIC, _UPPER_SAMPLE)
    if above is not None:
        alternatives[UPPER_FACE] = above.plane
    plane = _of_whole_face(registration, choice, whole)
    if plane is None:
        return None
    if choice.rival is not None:
        alternatives[RIVAL] = choice.rival.plane
        if choice.rival_ratio > RIVAL_LIMIT:
            between = plane.shift_to(choice.rival.plane)
            plane = plane.with_covariance(plane.covariance + np.outer(between, between))
    remaining = choice.share * choice.fitted.symmetric_fraction
    return _placed(plane, remaining, landmarks, alternatives, choice.rival_ratio)


def _of_whole_face(
    registration: Registration, choice: PlaneChoice, whole: NDArray[np.intp]
) -> MirrorPlane | None:
    """The plane before the deficit, with its covariance."""
    start = choice.fitted.plane
    if choice.left is None:
        plane = plane_beside_outliers(registration, start, whole)
    else:
        plane = completed_plane(registration, start, whole, choice.left)
    exactness = choice.fitted.difference.exactness()
    if plane is None or exactness <= EXACT:
        return plane
    # Nothing is there to be predicted, and what a deficit has of shallow edges, which pull
    # least squares, stands out from the noise of the scan.
    beside = whole if choice.left is None else choice.left
    exact = refined(registration, plane, beside, Loss(EXACT_MM), _EXACT_SAMPLE)
    if exact is None:
        return plane
    share = min((exactness - EXACT) / (_WHOLLY_EXACT - EXACT), 1.0)
    moved = plane.moved(share * plane.shift_to(exact.plane))
    return moved.with_covariance(plane.covariance)


def _of_upper_face(
    registration: Registration,
    upper: NDArray[np.intp],
    landmarks: MirrorPlane,
) -> MidsagittalPlane | None:
    rough = registration.annealed(landmarks, upper)
    fitted = None if rough is None else refined(registration, rough, upper, SYMMETRIC)
    if fitted is None:
        return None
    plane = completed_plane(registration, fitted.plane, upper, upper)
    if plane is None:
        return None
    return _placed(plane, fitted.symmetric_fraction, landmarks, {LANDMARKS: landmarks})


def _beside_outlined(
    face: FoundFace,
    registration: Registration,
    candidates: NDArray[np.bool_],
    outlined: NDArray[np.bool_],
    landmarks: MirrorPlane,
    sought: PlaneChoice | None,
) -> PlaneChoice | None:
    """The plane of what lies outside an outlined area and its mirror image.

    A large deficit displaces the landmarks, and with them the mirror image of the
    area: so the plane that was sought without the outline is a start as well, and
    the mirror image is taken anew on each plane that is found. What is left should
    be symmetric; of the two the one counts under which more of it is.
    """
    fits = []
    for start in (landmarks, *([] if sought is None else [sought.fitted.plane])):
        left = registration.ordered(candidates & ~_with_mirror_image(face, outlined, start))
        rough = registration.annealed(start, left) if start is landmarks else start
        first = None if rough is None else refined(registration, rough, left, SYMMETRIC)
        if first is None:
            continue
        left = registration.ordered(candidates & ~_with_mirror_image(face, outlined, first.plane))
        again = refined(registration, first.plane, left, SYMMETRIC)
        if again is not None:
            share = len(left) / max(int(candidates.sum()), 1)
            fits.append(PlaneChoice(again, share=share, left=left))
    return max(fits, key=lambda each: each.fitted.symmetric_fraction, default=None)


def _placed(
    plane: MirrorPlane,
    remaining: float,
    landmarks: MirrorPlane,
    alternatives: Mapping[str, MirrorPlane],
    rival_ratio: float = 0.0,
) -> MidsagittalPlane:
    cosine = float(np.clip(plane.normal @ landmarks.normal, -1, 1))
    return MidsagittalPlane(
        plane,
        remaining,
        float(np.degrees(np.arccos(cosine))),
        MappingProxyType(dict(alternatives)),
        rival_ratio,
    )


def _given(face: FoundFace, given: Plane, landmarks: MirrorPlane) -> MidsagittalPlane:
    normal = np.array(given.normal)
    # A person need not know which way the normal points.
    sign = 1.0 if normal @ landmarks.normal >= 0 else -1.0
    normal, offset = sign * normal, sign * given.offset_mm
    pivot = landmarks.pivot_mm - (landmarks.pivot_mm @ normal - offset) * normal
    variances = np.array([np.radians(_GIVEN_ANGLE_DEG) ** 2 / 2] * 2 + [_GIVEN_SHIFT_MM**2])
    plane = plane_through(normal, pivot, face.frame.axes[1], np.diag(variances))
    return _placed(plane, 1.0, landmarks, {LANDMARKS: landmarks})


def _in_upper_face(face: FoundFace) -> NDArray[np.bool_]:
    """Vertices of forehead, nasal root and orbits, and what is as high, (n,)."""
    eyes = float(REFERENCE_LANDMARKS_MM["endocanthion_left"][1])
    lowest = (eyes - _BELOW_EYES_MM) * face.frame.scale
    above: NDArray[np.bool_] = face.frame.to_face(face.mesh.vertices_mm)[:, 1] > lowest
    return above


def _with_mirror_image(
    face: FoundFace, area: NDArray[np.bool_], plane: MirrorPlane
) -> NDArray[np.bool_]:
    """The vertices of an area and those near its mirror image, (n,)."""
    frame = moved_frame(face.frame, plane)
    return beside_or_opposite(area, face.mesh, frame, _MIRRORED_AREA_MM)


def _landmark_plane(face: FoundFace) -> MirrorPlane:
    """From the landmarks: the mean of the lines between partners, through their middles.

    Its covariance is that of the same mean: each landmark is off by its spread
    over the views, at least by 0.7 mm. Without any pair of landmarks (a reviewer
    placed others) it is the plane of the face frame, as known to 2 degrees and 2 mm.
    """
    names = [
        name.removesuffix("_left")
        for name in face.landmarks_mm
        if name.endswith("_left") and name.removesuffix("_left") + "_right" in face.landmarks_mm
    ]
    pivot = face.frame.to_scan(np.array([[0.0, 0.0, _PIVOT_FORWARD_MM * face.frame.scale]]))[0]
    if not names:
        variances = [np.radians(_FRAME_ANGLE_DEG) ** 2 / 2] * 2 + [_FRAME_SHIFT_MM**2]
        return plane_through(face.frame.axes[0], pivot, face.frame.axes[1], np.diag(variances))
    left = np.array([face.landmarks_mm[f"{name}_left"] for name in names])
    right = np.array([face.landmarks_mm[f"{name}_right"] for name in names])
    across = (left - right).sum(axis=0)
    normal = across / np.linalg.norm(across)
    middle = (left + right).mean(axis=0) / 2
    onto_middle = pivot - ((pivot - middle) @ normal) * normal
    plane = plane_through(normal, onto_middle, face.frame.axes[1])
    spreads = [
        max(face.spread_mm.get(f"{name}_{side}", 0.0), _LEAST_SPREAD_MM)
        for name in names
        for side in ("left", "right")
    ]
    variance = float(np.square(spreads).sum())
    tilt = variance / float(across @ across)
    # The middle of the landmarks lies off the pivot, by so much along either tangent.
    lever = plane.tangents @ (middle - plane.pivot_mm)
    covariance = np.diag([tilt, tilt, variance / (2 * len(names)) ** 2])
    covariance[:2, 2] = covariance[2, :2] = -tilt * lever
    covariance[2, 2] += tilt * float(lever @ lever)
    return plane.with_covariance(covariance)
