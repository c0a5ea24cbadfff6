"""Parts of a picture, reduced and turned, that know their place in it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from processing.resampling import affinely_resampled

Window = tuple[float, float, float, float]
"""Left, top, right and bottom edge; the first pixel reaches from -0.5 to 0.5."""

_REDUCING: Final = Image.Resampling.HAMMING


@dataclass(frozen=True, slots=True, eq=False)
class PictureView:
    """A part of a picture.

    A picture of many megapixels is reduced once; the many looks that a detector
    takes at the same face are then taken from the reduced part.

    Parameters
    ----------
    image : PIL.Image.Image
        RGB; black where the view leaves the picture.
    picture_from_view : (2, 3) float64 array
        Maps (column, row, 1) of the view to (column, row) of the picture; a
        turn, a change of size and a shift.
    """

    image: Image.Image = field(repr=False)
    picture_from_view: NDArray[np.float64] = field(repr=False)

    @classmethod
    def of(cls, pixels: NDArray[np.uint8]) -> PictureView:
        """The whole of an (rows, columns, 3) uint8 sRGB picture."""
        return cls(Image.fromarray(np.ascontiguousarray(pixels)), np.eye(2, 3))

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows of the view."""
        return self.image.size

    @property
    def whole(self) -> Window:
        """The window that is the view itself."""
        columns, rows = self.size
        return (-0.5, -0.5, columns - 0.5, rows - 0.5)

    @property
    def picture_px_per_px(self) -> float:
        """Pixels of the picture to one pixel of the view."""
        return float(np.hypot(*self.picture_from_view[:, 0]))

    @property
    def turn_deg(self) -> float:
        """By how much the view's rows are turned in the picture, clockwise as seen."""
        across = self.picture_from_view[:, 0]
        return math.degrees(math.atan2(across[1], across[0]))

    def in_picture(self, points_px: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where points of the view, (n, 2), lie in the picture, (n, 2)."""
        linear, shift = self.picture_from_view[:, :2], self.picture_from_view[:, 2]
        where: NDArray[np.float64] = points_px @ linear.T + shift
        return where

    def resampled(self, window: Window, long_side_px: int, *, enlarge: bool) -> Image.Image:
        """A window of the view at another size; black where it leaves the view.

        The window's edges are not rounded to pixels, so that the answer is a smooth
        function of them and a mirrored picture gives the mirrored window.

        Parameters
        ----------
        window : tuple of float
            In pixels of the view.
        long_side_px : int
            Of the answer; less where the window has less and `enlarge` is False.
        enlarge : bool
        """
        left, top, right, bottom = window
        width, height = right - left, bottom - top
        factor = long_side_px / max(width, height)
        if not enlarge:
            factor = min(factor, 1.0)
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        outer_left, outer_top = math.floor(left + 0.5) - 1, math.floor(top + 0.5) - 1
        around = self.image.crop(
            (outer_left, outer_top, math.ceil(right + 0.5) + 1, math.ceil(bottom + 0.5) + 1)
        )
        box = (
            left + 0.5 - outer_left,
            top + 0.5 - outer_top,
            right + 0.5 - outer_left,
            bottom + 0.5 - outer_top,
        )
        return around.resize(size, _REDUCING, box=box)

    def close_up(self, window: Window, largest_side_px: int) -> PictureView:
        """A window as a view of its own, reduced to `largest_side_px` if it is larger."""
        image = self.resampled(window, largest_side_px, enlarge=False)
        left, top, right, bottom = window
        scale = np.array([(right - left) / image.width, (bottom - top) / image.height])
        # The first pixel of the new view is centred half of its size inside the window.
        shift = np.array([left, top]) + scale / 2
        linear = self.picture_from_view[:, :2]
        return PictureView(
            image,
            np.column_stack([linear * scale, linear @ shift + self.picture_from_view[:, 2]]),
        )

    def turned(self, about_px: NDArray[np.float64], by_deg: float) -> PictureView:
        """The view turned about one of its points, of the same size.

        Parameters
        ----------
        about_px : (2,) float64 array
            (column, row); stays where it is.
        by_deg : float
            What runs along a row of the answer runs down to the right at this
            angle in the view.
        """
        angle = math.radians(by_deg)
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        shift = about_px - turn @ about_px
        turned = affinely_resampled(
            np.asarray(self.image), np.column_stack([turn, shift]), *self.size
        )
        linear = self.picture_from_view[:, :2]
        return PictureView(
            Image.fromarray(turned),
            np.column_stack([linear @ turn, linear @ shift + self.picture_from_view[:, 2]]),
        )
