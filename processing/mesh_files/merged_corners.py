"""Vertices out of loose triangles: corners at bitwise the same place become one."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_MOST_ROUNDS: Final = 12


def merged_corners(
    corners: NDArray[Any],
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Merge bitwise equal corners, keeping the order of their first appearance.

    Each round puts every corner into one slot of a table by a random multilinear
    hash (Lemire and Kaser, "Strongly universal string hashing is fast", Computer
    Journal 57, 2014); the first of a slot takes all that equal it, the others go to
    the next round. A dozen rounds leave nothing over but by ill will, and what they
    leave is sorted.

    Parameters
    ----------
    corners : (k, 3) float32 or float64 array
        Finite.

    Returns
    -------
    vertices : (n, 3) float64 array
    index : (k,) int64 array
        The vertex of each corner.
    first : (n,) int64 array
        The first corner at each vertex.
    """
    # Adding zero makes -0.0 and 0.0 the same bits.
    exact = np.ascontiguousarray(corners + corners.dtype.type(0))
    bits = exact.view(np.uint32 if exact.itemsize == 4 else np.uint64)
    columns = [np.ascontiguousarray(bits[:, axis]) for axis in range(3)]
    owner = np.empty(len(exact), np.int64)
    pending = np.arange(len(exact), dtype=np.int32 if len(exact) < 2**31 else np.int64)
    random = np.random.default_rng()
    for _ in range(_MOST_ROUNDS):
        if not len(pending):
            break
        keys = columns if len(pending) == len(exact) else [each[pending] for each in columns]
        slots = _slots(keys, random)
        table = np.empty(int(slots.max()) + 1, pending.dtype)
        table[slots[::-1]] = pending[::-1]  # of equal slots the last assignment holds
        winner = table[slots]
        same = np.logical_and.reduce(
            [each[winner] == key for each, key in zip(columns, keys, strict=True)]
        )
        owner[pending[same]] = winner[same]
        pending = pending[~same]
    if len(pending):
        _, first, inverse = np.unique(bits[pending], axis=0, return_index=True, return_inverse=True)
        owner[pending] = pending[first][inverse.ravel()]
    is_first = owner == np.arange(len(owner))
    rank = np.cumsum(is_first) - 1
    first = np.flatnonzero(is_first)
    return exact[first].astype(np.float64), rank[owner], first


def _slots(columns: list[NDArray[Any]], random: np.random.Generator) -> NDArray[np.int64]:
    """The slot of each corner in a table of at least twice as many."""
    width = max(int(2 * len(columns[0]) - 1).bit_length(), 8)
    mixed = np.zeros(len(columns[0]), np.uint64)
    for each in columns:
        factor = np.uint64(int(random.integers(2**63)) * 2 + 1)
        mixed += np.multiply(each, factor, dtype=np.uint64)
    mixed >>= np.uint64(64 - width)
    return mixed.view(np.int64)
