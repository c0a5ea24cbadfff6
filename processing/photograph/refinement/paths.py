"""The path across a picture that collects the most, by dynamic programming."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def best_path(
    score: NDArray[np.float64], steepest: int, stiffness: float, columns_a_step: int = 1
) -> NDArray[np.float64]:
    """The row in each column of the path with the greatest sum of scores.

    Viterbi's algorithm over columns (Forney 1973, Proc. IEEE 61:268): the path
    is a function of the column and changes by at most `steepest` rows from one
    column to the next, which costs `stiffness` times the square of the change.

    Parameters
    ----------
    score : (rows, columns) float64 array
        What the path collects; -inf where it must not go.
    steepest : int
        In rows a column.
    stiffness : float
        Penalty of a step by one row, in units of `score`.
    columns_a_step : int
        Every how many columns the path is decided; it is straight in between.

    Returns
    -------
    (columns,) float64 array
        Rows, refined between the pixels by a parabola through the neighbours.

    Raises
    ------
    ValueError
        If no path is allowed.
    """
    rows, columns = score.shape
    taken = score[:, ::columns_a_step]
    steps = np.arange(-steepest, steepest + 1)
    penalty = stiffness * steps.astype(np.float64) ** 2
    total = taken[:, 0].copy()
    came_from = np.zeros(taken.shape, dtype=np.int64)
    padded = np.full(rows + 2 * steepest, -np.inf)
    neighbours = np.arange(rows)[:, None] + np.arange(2 * steepest + 1)
    for column in range(1, taken.shape[1]):
        padded[steepest : steepest + rows] = total
        candidates = padded[neighbours] - penalty
        choice = candidates.argmax(axis=1)
        came_from[:, column] = choice
        total = np.take_along_axis(candidates, choice[:, None], axis=1)[:, 0] + taken[:, column]
    if not np.isfinite(total.max()):
        raise ValueError("no path is allowed across the picture")
    path = np.empty(taken.shape[1], dtype=np.int64)
    path[-1] = int(total.argmax())
    for column in range(taken.shape[1] - 1, 0, -1):
        path[column - 1] = path[column] + steps[came_from[path[column], column]]
    fine = path + _off_the_grid(taken, path)
    return np.interp(np.arange(columns), np.arange(0, columns, columns_a_step), fine)


def _off_the_grid(score: NDArray[np.float64], path: NDArray[np.int64]) -> NDArray[np.float64]:
    """How far from the path's rows the score peaks, -1..1; 0 where no peak is that near.

    A stiff path may run one row beside the peak, so the peak is sought up to the
    neighbouring rows and not to half of the way only.
    """
    across = np.arange(len(path))
    above = score[np.maximum(path - 1, 0), across]
    below = score[np.minimum(path + 1, len(score) - 1), across]
    here = score[path, across]
    seen = np.isfinite(above) & np.isfinite(below) & np.isfinite(here)
    bend = np.where(seen, above - 2 * here + below, 0.0)
    peaked = bend < 0
    offset = 0.5 * np.where(peaked, above - below, 0.0) / np.where(peaked, bend, -1.0)
    return np.where(np.abs(offset) <= 1, offset, 0.0)
