"""The frame of the face: patient's left, up and forward, hung on the midsagittal plane."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

# Landmarks of MediaPipe's canonical face (geometry metadata of the FaceLandmarker model,
# Apache-2.0), in mm to 0.1 mm: x to the patient's left, y up, z forward. Paired ones are
# given for the left side; the canonical face is symmetric. None of them lies on the
# silhouette of a frontal view, where a ray meets the surface badly.
_PAIRED_MM: Final = {
    "exocanthion": (44.5, 26.6, 31.7),
    "endocanthion": (18.6, 25.9, 37.6),
    "alare": (17.9, -9.8, 48.5),
    "cheilion": (24.6, -43.4, 42.8),
    "brow_peak": (39.9, 51.1, 44.7),
}
_MIDLINE_MM: Final = {
    "glabella": (0.0, 48.9, 53.9),
    "nasion": (0.0, 32.7, 52.4),
    "subnasale": (0.0, -20.9, 60.6),
    "labiale_superius": (0.0, -34.1, 59.8),
    "labiale_inferius": (0.0, -53.7, 55.4),
    "pogonion": (0.0, -79.4, 51.8),
}


def _reference() -> dict[str, tuple[float, float, float]]:
    named = dict(_MIDLINE_MM)
    for name, (left, up, forward) in _PAIRED_MM.items():
        named[f"{name}_left"] = (left, up, forward)
        named[f"{name}_right"] = (-left, up, forward)
    return named


REFERENCE_LANDMARKS_MM: Final[Mapping[str, tuple[float, float, float]]] = _reference()
"""Where the landmarks of the reference face lie, in its own frame."""

LEAST_LANDMARKS: Final = 10
_REWEIGHTINGS: Final = 20
_LEAST_APART_MM: Final = 0.5
_FITTING_MM: Final = 10.0


@dataclass(frozen=True, slots=True)
class FaceFrame:
    """A right-handed frame on a face.

    Parameters
    ----------
    axes : (3, 3) float64 array
        Unit vectors to the patient's left, up and forward, as rows, in the
        frame of the scan.
    origin_mm : (3,) float64 array
        Its origin, in the frame of the scan; on the midsagittal plane once that
        is known.
    scale : float
        Size of the face relative to the reference face.
    """

    axes: NDArray[np.float64] = field(repr=False)
    origin_mm: NDArray[np.float64] = field(repr=False)
    scale: float

    def to_face(self, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points (k, 3) of the scan, in this frame, mm."""
        # For many points several times as quick as a product of matrices by BLAS.
        moved: NDArray[np.float64] = np.einsum("ij,kj->ik", points_mm - self.origin_mm, self.axes)
        return moved

    def to_scan(self, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points (k, 3) of this frame, in the frame of the scan, mm."""
        moved: NDArray[np.float64] = np.einsum("ij,jk->ik", points_mm, self.axes) + self.origin_mm
        return moved


def fitted_frame(landmarks_mm: Mapping[str, NDArray[np.float64]]) -> tuple[FaceFrame, float]:
    """The frame in which the reference face fits the landmarks best.

    A similarity transform (Umeyama 1991), first in the sense of least absolute
    distances (iteratively reweighted), then of least squares over the landmarks
    that fit. So a ray that slipped through a hole of the scan does no harm.
    Mirror images are not allowed.

    Parameters
    ----------
    landmarks_mm : mapping of str to (3,) array
        In the frame of the scan; names that the reference face lacks do not count.

    Returns
    -------
    FaceFrame
    float
        Root mean square distance of the landmarks that fit, in mm at the size
        of the reference face; infinite when fewer than ten fit.
    """
    names = [name for name in REFERENCE_LANDMARKS_MM if name in landmarks_mm]
    nowhere = FaceFrame(np.eye(3), np.zeros(3), 1.0), np.inf
    if len(names) < LEAST_LANDMARKS:
        return nowhere
    reference = np.array([REFERENCE_LANDMARKS_MM[name] for name in names])
    found = np.array([landmarks_mm[name] for name in names])
    weights = np.ones(len(names))
    for _ in range(_REWEIGHTINGS):
        frame = _weighted_fit(reference, found, weights)
        if frame is None:
            return nowhere
        apart = _apart(frame, reference, found)
        weights = 1.0 / np.maximum(apart, _LEAST_APART_MM)
    fitting = apart < np.maximum(3 * np.median(apart), _FITTING_MM)
    frame = _weighted_fit(reference, found, fitting.astype(np.float64))
    if frame is None or np.count_nonzero(fitting) < LEAST_LANDMARKS:
        return nowhere
    apart = _apart(frame, reference, found)[fitting]
    return frame, float(np.sqrt((apart**2).mean()))


def _apart(
    frame: FaceFrame, reference: NDArray[np.float64], found: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Distances to the reference face at its own size, (k,)."""
    apart: NDArray[np.float64] = np.linalg.norm(
        frame.to_face(found) / frame.scale - reference, axis=1
    )
    return apart


def _weighted_fit(
    reference: NDArray[np.float64], found: NDArray[np.float64], weights: NDArray[np.float64]
) -> FaceFrame | None:
    share = weights / weights.sum()
    reference_mean, found_mean = share @ reference, share @ found
    centred, target = reference - reference_mean, found - found_mean
    left, singular, right = np.linalg.svd((share[:, None] * target).T @ centred)
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    rotation = left @ np.diag(signs) @ right
    scale = float((singular * signs).sum() / (share @ (centred**2).sum(axis=1)))
    if not scale > 0:
        return None
    return FaceFrame(rotation.T, found_mean - scale * rotation @ reference_mean, scale)


def frame_on_plane(frame: FaceFrame, normal: NDArray[np.float64], offset_mm: float) -> FaceFrame:
    """`frame` moved the least so that its left-right axis and origin fit a plane.

    Parameters
    ----------
    frame : FaceFrame
    normal : (3,) float64 array
        Unit normal of the midsagittal plane, toward the patient's left.
    offset_mm : float
    """
    up = frame.axes[1] - (frame.axes[1] @ normal) * normal
    up = up / np.linalg.norm(up)
    axes = np.stack([normal, up, np.cross(normal, up)])
    origin = frame.origin_mm - (frame.origin_mm @ normal - offset_mm) * normal
    return FaceFrame(axes, origin, frame.scale)
