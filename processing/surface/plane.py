"""A plane of symmetry: how it reflects, how it moves, how well it is known."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class MirrorPlane:
    """A plane of symmetry with its covariance.

    Parameters
    ----------
    normal : (3,) float64 array
        Unit normal, toward the patient's left.
    pivot_mm : (3,) float64 array
        The point of the plane that the covariance refers to: amid the face.
    tangents : (2, 3) float64 array
        The directions toward which the normal may tilt: upward and forward on the face.
    covariance : (3, 3) float64 array
        Of the tilts toward the two tangents (radians) and the shift along the
        normal (mm).
    """

    normal: NDArray[np.float64] = field(repr=False)
    pivot_mm: NDArray[np.float64] = field(repr=False)
    tangents: NDArray[np.float64] = field(repr=False)
    covariance: NDArray[np.float64] = field(repr=False)

    @property
    def offset_mm(self) -> float:
        """Distance of the plane from the frame's origin, along the normal."""
        return float(self.normal @ self.pivot_mm)

    @property
    def angle_uncertainty_deg(self) -> float:
        """Standard uncertainty of the direction."""
        return float(np.degrees(np.sqrt(self.covariance[0, 0] + self.covariance[1, 1])))

    @property
    def lateral_uncertainty_mm(self) -> float:
        """Standard uncertainty of the position at the pivot."""
        return float(np.sqrt(self.covariance[2, 2]))

    def reflected(self, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mirror images of points (k, 3)."""
        image: NDArray[np.float64] = points_mm - 2 * np.outer(
            points_mm @ self.normal - self.offset_mm, self.normal
        )
        return image

    def reflected_directions(self, directions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mirror images of directions (k, 3)."""
        image: NDArray[np.float64] = directions - 2 * np.outer(
            directions @ self.normal, self.normal
        )
        return image

    def image_motion(
        self, points_mm: NDArray[np.float64], directions: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """How the mirror images of points move along directions as the plane moves.

        Parameters
        ----------
        points_mm, directions : (k, 3) float64 arrays

        Returns
        -------
        (k, 3) float64 array
            mm per radian for the two tilts, mm per mm for the shift.
        """
        from_pivot = points_mm - self.pivot_mm
        across = from_pivot @ self.normal
        along_normal = directions @ self.normal
        motion = np.empty((len(points_mm), 3))
        for column, tangent in enumerate(self.tangents):
            motion[:, column] = -2 * (
                (from_pivot @ tangent) * along_normal + across * (directions @ tangent)
            )
        motion[:, 2] = 2 * along_normal
        return motion

    def shift_to(self, other: MirrorPlane) -> NDArray[np.float64]:
        """Tilts (radians) and shift (mm) that lead to another plane nearby, (3,)."""
        tilts = self.tangents @ other.normal
        shift = other.offset_mm - float(other.normal @ self.pivot_mm)
        return np.array([tilts[0], tilts[1], shift])

    def with_covariance(self, covariance: NDArray[np.float64]) -> MirrorPlane:
        """The same plane with another covariance."""
        return MirrorPlane(self.normal, self.pivot_mm, self.tangents, covariance)

    def moved(self, step: NDArray[np.float64]) -> MirrorPlane:
        """The plane after two tilts (radians) and a shift (mm)."""
        normal = self.normal + step[0] * self.tangents[0] + step[1] * self.tangents[1]
        normal = normal / np.linalg.norm(normal)
        moved = plane_through(normal, self.pivot_mm + step[2] * normal, self.tangents[0])
        return moved.with_covariance(self.covariance)


def plane_through(
    normal: NDArray[np.float64],
    pivot_mm: NDArray[np.float64],
    upward: NDArray[np.float64],
    covariance: NDArray[np.float64] | None = None,
) -> MirrorPlane:
    """The plane through a point.

    Parameters
    ----------
    normal : (3,) float64 array
        Unit normal.
    pivot_mm : (3,) float64 array
    upward : (3,) float64 array
        Upward on the face, roughly; the tangents follow from it alone, so that they
        turn with the face.
    covariance : (3, 3) float64 array, optional
        Zero when not given.
    """
    first = upward - (upward @ normal) * normal
    first = first / np.linalg.norm(first)
    tangents = np.stack([first, np.cross(normal, first)])
    return MirrorPlane(
        normal, pivot_mm, tangents, np.zeros((3, 3)) if covariance is None else covariance
    )
