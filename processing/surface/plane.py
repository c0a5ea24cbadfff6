"""The midsagittal plane: a robust registration of a face to its mirror image.

Only reflections are searched (three degrees of freedom), with the weights of
Geman and McClure (1985) on symmetric point-to-plane distances (Rusinkiewicz
2019), annealed from 20 to 1 mm. Least squares would spread a one-sided defect
over the whole face and hide it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from processing.surface.mesh import Mesh

COARSE_GATES_MM: Final = (20.0, 8.0, 4.0, 2.0, 1.0)
FINE_GATES_MM: Final = (2.0, 1.0)

_COARSE_ITERATIONS: Final = 6
_FINAL_ITERATIONS: Final = 20
_COARSE_SAMPLE: Final = 4_000
_FINAL_SAMPLE: Final = 8_000
_LEAST_SCALE_MM: Final = 0.15
_TUNING: Final = 1.5
_LEAST_COSINE: Final = 0.7
_CONVERGED: Final = 1e-7
_LEAST_PAIRS: Final = 100
# Residuals closer than this are not independent: scanner error and natural
# asymmetry are smooth over about this length.
_CLUSTER_MM: Final = 15.0
_SEED: Final = 20070


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
        The directions toward which the normal may tilt.
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
        return plane_through(normal, self.pivot_mm + step[2] * normal, self.covariance)


def plane_through(
    normal: NDArray[np.float64],
    pivot_mm: NDArray[np.float64],
    covariance: NDArray[np.float64] | None = None,
) -> MirrorPlane:
    """The plane through a point.

    Parameters
    ----------
    normal : (3,) float64 array
        Unit normal.
    pivot_mm : (3,) float64 array
    covariance : (3, 3) float64 array, optional
        Zero when not given.
    """
    helper = np.eye(3)[np.argmin(np.abs(normal))]
    first = helper - (helper @ normal) * normal
    first = first / np.linalg.norm(first)
    tangents = np.stack([first, np.cross(normal, first)])
    return MirrorPlane(
        normal, pivot_mm, tangents, np.zeros((3, 3)) if covariance is None else covariance
    )


class Registration:
    """Registers one mesh to its own mirror image, as often as asked.

    Keeps the search tree of the mesh and the order in which vertices are
    sampled, so that a second fit differs from the first only by what it is told.

    Parameters
    ----------
    mesh : Mesh
    """

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._tree = cKDTree(mesh.vertices_mm)
        # A rank for every vertex: of any set of candidates the first few are the sample,
        # and a vertex more or less changes little.
        self._rank = np.random.default_rng(_SEED).permutation(len(mesh.vertices_mm))

    def fit(
        self,
        start: MirrorPlane,
        candidates: NDArray[np.bool_],
        gates_mm: tuple[float, ...] = COARSE_GATES_MM,
    ) -> MirrorPlane | None:
        """The plane that maps the face best onto itself, from a start.

        Parameters
        ----------
        start : MirrorPlane
        candidates : (n,) bool array
            Vertices that may take part; border vertices never do.
        gates_mm : tuple of float
            Longest distance of a pair, stage by stage.

        Returns
        -------
        MirrorPlane or None
            With its covariance; None when too few vertices find a partner.
        """
        usable = np.flatnonzero(candidates & ~self._mesh.border)
        ordered = usable[np.argsort(self._rank[usable])]
        stages = [(gate, _COARSE_SAMPLE, _COARSE_ITERATIONS) for gate in gates_mm]
        stages.append((gates_mm[-1], _FINAL_SAMPLE, _FINAL_ITERATIONS))
        plane = start
        for gate, size, iterations in stages:
            improved = self._iterated(plane, ordered[:size], gate, iterations)
            if improved is None:
                return None
            plane = improved
        return self._with_covariance(plane, ordered[:_FINAL_SAMPLE], gates_mm[-1])

    def _iterated(
        self, plane: MirrorPlane, sample: NDArray[np.intp], gate_mm: float, iterations: int
    ) -> MirrorPlane | None:
        for _ in range(iterations):
            pairs = self._pairs(plane, sample, gate_mm)
            if pairs is None:
                return None
            residuals, jacobian, areas, _ = pairs
            weights = areas * _geman_mcclure_weights(residuals, _scale(residuals))
            normal_matrix = jacobian.T @ (weights[:, None] * jacobian)
            # The pseudo-inverse, because a flat surface leaves a shift undetermined.
            step: NDArray[np.float64] = -np.linalg.pinv(normal_matrix) @ (
                jacobian.T @ (weights * residuals)
            )
            plane = plane.moved(step)
            if np.abs(step * (100.0, 100.0, 1.0)).max() < _CONVERGED:
                break
        return plane

    def _pairs(
        self, plane: MirrorPlane, sample: NDArray[np.intp], gate_mm: float
    ) -> (
        tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
        | None
    ):
        """Residuals (k,), their derivatives (k, 3), areas (k,) and the points (k, 3)."""
        mesh = self._mesh
        points = mesh.vertices_mm[sample]
        images = plane.reflected(points)
        distance, partner = self._tree.query(images, distance_upper_bound=gate_mm)
        found = np.isfinite(distance)
        partner = np.where(found, partner, 0)
        image_normals = plane.reflected_directions(mesh.normals[sample])
        cosine = np.einsum("ij,ij->i", image_normals, mesh.normals[partner])
        good = found & ~mesh.border[partner] & (cosine > _LEAST_COSINE)
        if np.count_nonzero(good) < _LEAST_PAIRS:
            return None
        points, images, partner = points[good], images[good], partner[good]
        direction = image_normals[good] + mesh.normals[partner]
        direction = direction / np.linalg.norm(direction, axis=1, keepdims=True)
        residuals = np.einsum("ij,ij->i", images - mesh.vertices_mm[partner], direction)

        jacobian = plane.image_motion(points, direction)
        return residuals, jacobian, mesh.areas_mm2[sample[good]], points

    def _with_covariance(
        self, plane: MirrorPlane, sample: NDArray[np.intp], gate_mm: float
    ) -> MirrorPlane | None:
        """Cluster-robust (sandwich) covariance of an M-estimate.

        Huber 1967; clusters are cubes of 15 mm, a point and its mirror image in
        the same one, because both see the same pair of patches.
        """
        pairs = self._pairs(plane, sample, gate_mm)
        if pairs is None:
            return None
        residuals, jacobian, areas, points = pairs
        scale = _scale(residuals)
        weights = areas * _geman_mcclure_weights(residuals, scale)
        slopes = areas * _geman_mcclure_slopes(residuals, scale)
        curvature = jacobian.T @ (slopes[:, None] * jacobian)
        if np.linalg.eigvalsh(curvature)[0] <= 0:
            curvature = jacobian.T @ (weights[:, None] * jacobian)

        local = points - plane.pivot_mm
        place = np.stack(
            [np.abs(local @ plane.normal), local @ plane.tangents[0], local @ plane.tangents[1]]
        )
        _, cluster = np.unique(
            np.floor(place / _CLUSTER_MM).astype(np.int64), axis=1, return_inverse=True
        )
        scores = np.stack(
            [
                np.bincount(cluster.ravel(), weights * residuals * jacobian[:, column])
                for column in range(3)
            ]
        )
        count = scores.shape[1]
        correction = count / max(count - 3, 1)
        inverse = np.linalg.pinv(curvature)
        covariance = correction * inverse @ (scores @ scores.T) @ inverse
        return plane.with_covariance(covariance)


def _scale(residuals: NDArray[np.float64]) -> float:
    return max(1.4826 * float(np.median(np.abs(residuals))), _LEAST_SCALE_MM)


def _geman_mcclure_weights(residuals: NDArray[np.float64], scale: float) -> NDArray[np.float64]:
    weights: NDArray[np.float64] = 1.0 / (1.0 + (residuals / (_TUNING * scale)) ** 2) ** 2
    return weights


def _geman_mcclure_slopes(residuals: NDArray[np.float64], scale: float) -> NDArray[np.float64]:
    """Derivative of weight times residual by the residual."""
    square = (residuals / (_TUNING * scale)) ** 2
    slopes: NDArray[np.float64] = (1.0 - 3.0 * square) / (1.0 + square) ** 3
    return slopes
