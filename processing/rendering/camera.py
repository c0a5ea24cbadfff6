"""A camera without distortion: where points appear, and along which ray a pixel looks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

LARGEST_PICTURE_PX: Final = 8192


@dataclass(frozen=True, slots=True)
class Camera:
    """A perspective camera without distortion.

    Parameters
    ----------
    position_mm, target_mm : (x, y, z)
        Where the centre of projection is, and the point that appears in the
        middle of the picture; in the frame of the surface.
    up : (x, y, z)
        Direction that points upwards in the picture; any length, not along
        the line of sight.
    view_angle_deg : float
        Full vertical angle of view.
    width_px, height_px : int
        Size of the picture.

    Raises
    ------
    ValueError
        If the camera cannot make a picture.
    """

    position_mm: tuple[float, float, float]
    target_mm: tuple[float, float, float]
    up: tuple[float, float, float]
    view_angle_deg: float
    width_px: int
    height_px: int

    def __post_init__(self) -> None:
        if not 0 < self.view_angle_deg < 180:
            raise ValueError(f"view angle of {self.view_angle_deg} degrees is not in (0, 180)")
        for name, size in (("width", self.width_px), ("height", self.height_px)):
            if not 1 <= size <= LARGEST_PICTURE_PX:
                raise ValueError(f"picture {name} {size} px is not in 1..{LARGEST_PICTURE_PX}")
        sight = np.subtract(self.target_mm, self.position_mm)
        across = np.linalg.norm(np.cross(sight, self.up))
        if not across > 1e-9 * np.linalg.norm(sight) * np.linalg.norm(self.up):
            raise ValueError("camera: target lies at the position, or up lies along the sight")

    @property
    def axes(self) -> NDArray[np.float64]:
        """The camera's unit axes right, up and forward, as the rows of a (3, 3) array."""
        forward = np.subtract(self.target_mm, self.position_mm)
        forward = forward / np.linalg.norm(forward)
        right = np.cross(forward, self.up)
        right = right / np.linalg.norm(right)
        return np.stack([right, np.cross(right, forward), forward])

    @property
    def focal_length_px(self) -> float:
        """Distance from the centre of projection to the picture, in pixels."""
        return float(self.height_px / 2 / np.tan(np.radians(self.view_angle_deg) / 2))

    def project(self, points_mm: ArrayLike) -> NDArray[np.float64]:
        """Where points appear in the picture.

        Parameters
        ----------
        points_mm : (k, 3) array_like
            In the frame of the surface.

        Returns
        -------
        (k, 2) float64 array
            (column, row) in pixels, origin at the centre of the first pixel;
            NaN for a point that is not in front of the camera.
        """
        points = np.asarray(points_mm, dtype=np.float64).reshape(-1, 3)
        right, up, forward = ((points - self.position_mm) @ self.axes.T).T
        depth = np.where(forward > 0, forward, np.nan)
        scale = self.focal_length_px / depth
        column = (self.width_px - 1) / 2 + right * scale
        row = (self.height_px - 1) / 2 - up * scale
        return np.stack([column, row], axis=1)

    def ray_directions(self, points_px: ArrayLike) -> NDArray[np.float64]:
        """Unit directions, in the frame of the surface, of the rays through pixels.

        Parameters
        ----------
        points_px : (k, 2) array_like
            (column, row).

        Returns
        -------
        (k, 3) float64 array
        """
        points = np.asarray(points_px, dtype=np.float64).reshape(-1, 2)
        local = np.empty((len(points), 3))
        local[:, 0] = points[:, 0] - (self.width_px - 1) / 2
        local[:, 1] = (self.height_px - 1) / 2 - points[:, 1]
        local[:, 2] = self.focal_length_px
        local /= np.linalg.norm(local, axis=1, keepdims=True)
        directions: NDArray[np.float64] = local @ self.axes
        return directions
