"""The triangles of a surface mesh: single ones, strips, fans and facets (PS3.3 C.27.4)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from dicom_nodes.objects.packed_values import packed_values
from processing.measurement import RejectedInput

MOST_TRIANGLES: Final = 5_000_000


def triangles_of(primitives: Dataset, point_count: int) -> NDArray[np.int64]:
    """All triangles of an item of Surface Mesh Primitives Sequence.

    Indices count from 1. Facets, which are flat polygons, are cut into fans.

    Parameters
    ----------
    primitives : Dataset
    point_count : int

    Returns
    -------
    (m, 3) int64 array
        Indices from 0.

    Raises
    ------
    RejectedInput
        If an index names no point, a primitive has fewer than three, or there are
        more than `MOST_TRIANGLES`.
    """
    pieces = [np.empty((0, 3), np.int64)]
    count = 0
    for piece in _pieces(primitives):
        count += len(piece)
        _check_count(count)
        pieces.append(piece)
    triangles = np.concatenate(pieces)
    if len(triangles) and not 1 <= triangles.min() <= triangles.max() <= point_count:
        wrong = triangles.min() if triangles.min() < 1 else triangles.max()
        raise RejectedInput(
            f"A triangle of the surface names point {int(wrong)}; the points are 1 to "
            f"{point_count}. Send the object again."
        )
    return triangles - 1


def _check_count(count: int) -> None:
    if count > MOST_TRIANGLES:
        raise RejectedInput(
            f"The surface has {count} triangles or more; at most {MOST_TRIANGLES} are read."
        )


def _pieces(primitives: Dataset) -> Iterator[NDArray[np.int64]]:
    single = _indices(primitives, "LongTrianglePointIndexList", "TrianglePointIndexList")
    if len(single) % 3:
        raise RejectedInput(
            f"Long Triangle Point Index List (0066,0041) has {len(single)} indices, no multiple "
            "of 3. Send the object again."
        )
    yield single.reshape(-1, 3)
    for item in primitives.get("TriangleStripSequence") or ():
        strip = _primitive(item)
        triangles = np.stack([strip[:-2], strip[1:-1], strip[2:]], axis=1)
        triangles[1::2] = triangles[1::2, [1, 0, 2]]
        yield triangles
    for keyword in ("TriangleFanSequence", "FacetSequence"):
        for item in primitives.get(keyword) or ():
            fan = _primitive(item)
            first = np.broadcast_to(fan[:1], len(fan) - 2)
            yield np.stack([first, fan[1:-1], fan[2:]], axis=1)


def _primitive(item: Dataset) -> NDArray[np.int64]:
    indices = _indices(item, "LongPrimitivePointIndexList", "PrimitivePointIndexList")
    if len(indices) < 3:
        raise RejectedInput(f"A strip, fan or facet of the surface has {len(indices)} points.")
    return indices


def _indices(item: Dataset, keyword: str, retired: str) -> NDArray[np.int64]:
    """Indices of 32 bits, or of 16 as they were before 2016."""
    values: NDArray[Any] = packed_values(item, keyword, "u4")
    if not len(values):
        values = packed_values(item, retired, "u2")
    _check_count(len(values) // 3)
    return values.astype(np.int64)
