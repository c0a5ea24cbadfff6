"""A photograph laid over a surface, as the graphics library wants it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from vtkmodules.vtkRenderingCore import vtkTexture

# More than a picture can show of a face, and little enough to draw quickly.
_LARGEST_TEXTURE_PX: Final = 2048


def split_at_seams(
    triangles: NDArray[np.int64], corners: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
    """Split vertices until each has one place in the texture.

    Parameters
    ----------
    triangles : (m, 3) int64 array
    corners : (m, 3, 2) float64 array
        As in `Texture`.

    Returns
    -------
    vertex : (k,) int64 array
        Of which vertex each point is a copy.
    across_up : (k, 2) float32 array
        Where it lies in the texture.
    triangles : (m, 3) int64 array
        The same triangles, of points.
    """
    across_up = np.nan_to_num(corners.reshape(-1, 2)).astype(np.float32) + np.float32(0.0)
    vertex = triangles.ravel()
    order = np.lexsort((across_up[:, 1], across_up[:, 0], vertex))
    same = (np.diff(vertex[order]) == 0) & (np.diff(across_up[order], axis=0) == 0).all(axis=1)
    first = np.r_[True, ~same]
    number = np.empty(len(order), np.int64)
    number[order] = np.cumsum(first) - 1
    kept = order[first]
    return vertex[kept], across_up[kept], number.reshape(-1, 3)


def laid_over(pixels: NDArray[np.uint8]) -> vtkTexture:
    """A texture that VTK can draw; of a very large one every k-th pixel.

    Parameters
    ----------
    pixels : (rows, columns, 3) uint8 array
        sRGB, first row on top.
    """
    from vtkmodules.util import numpy_support
    from vtkmodules.vtkCommonDataModel import vtkImageData
    from vtkmodules.vtkRenderingCore import vtkTexture

    step = -(-max(pixels.shape[:2]) // _LARGEST_TEXTURE_PX)
    # VTK's first row is the lowest.
    upward = np.ascontiguousarray(pixels[::step, ::step][::-1])
    support: Any = numpy_support  # carries no types
    image = vtkImageData()
    image.SetDimensions(upward.shape[1], upward.shape[0], 1)
    image.GetPointData().SetScalars(support.numpy_to_vtk(upward.reshape(-1, 3), deep=True))
    texture = vtkTexture()
    texture.SetInputData(image)
    texture.InterpolateOn()
    texture.MipmapOn()
    return texture
