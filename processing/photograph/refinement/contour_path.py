"""Where along a straightened band its edge runs, as probabilities.

A chain of places with a hidden offset each: what the picture says at a place,
and that neighbours have similar offsets. The forward and the backward pass
give for every place the probability of each offset (Rabiner 1989, Proc. IEEE
77:257, section III.A and B, with his scaling).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processing.photograph.refinement.contour_band import ContourBand

# What full evidence over 1 mm is worth, as a logarithm of odds; and full likeness
# of the surroundings on both sides, whose norm counts half when it is faint.
_EVIDENCE_WEIGHT: Final = 5.3
_LIKENESS_WEIGHT: Final = 1.5
_SURROUNDINGS_MM: Final = 4.0
_FAINT_SURROUNDINGS: Final = 20.0
# Along the contour from its lowest point: up to the first bound the edge of the
# jaw is followed by itself on each side, from the second on as the same edge on both.
_CHIN_MM: Final = (35.0, 65.0)
_CHIN_SHARE: Final = 0.15
# Standard deviation of the change of offset over one unit of length along the band.
_BEND: Final = 0.2
_STEEPEST: Final = 0.7
# Offsets within this distance of the likeliest belong to the same edge.
_SAME_EDGE_MM: Final = 1.2
_SMALLEST: Final = 1e-200


@dataclass(frozen=True, slots=True, eq=False)
class EdgePath:
    """The edge of a band; `...` are leading axes.

    Parameters
    ----------
    offset_mm : (..., along) float64 array
        Where it runs.
    spread_mm : (..., along) float64 array
        Standard deviation of the offset, other edges in reach included.
    evidence : (..., along) float64 array
        How clear the edge is there, 0 to 1.
    """

    offset_mm: NDArray[np.float64] = field(repr=False)
    spread_mm: NDArray[np.float64] = field(repr=False)
    evidence: NDArray[np.float64] = field(repr=False)


def edge_path(
    evidence: NDArray[np.float64],
    offsets_mm: NDArray[np.float64],
    step_mm: float,
    expected_within_mm: float,
) -> EdgePath:
    """Follow the edge through a band.

    Parameters
    ----------
    evidence : (..., along, across) float64 array
        0 to 1.
    offsets_mm : (across,) float64 array
        Evenly spaced.
    step_mm : float
        From one place along the band to the next.
    expected_within_mm : float
        Standard deviation of the offset that is expected before the picture is
        seen, counted once in a length of that size along the band.
    """
    across_step = float(offsets_mm[1] - offsets_mm[0])
    seen = _seen(evidence, offsets_mm, step_mm, expected_within_mm)
    transition = _transition(len(offsets_mm), step_mm, across_step)
    # The chain runs along the first axis, so that each step takes what lies together.
    seen = np.ascontiguousarray(np.moveaxis(seen, -2, 0))
    forward, backward = np.empty_like(seen), np.empty_like(seen)
    arriving, leaving = np.ones_like(seen[0]), np.ones_like(seen[0])
    for index, here in enumerate(seen):
        reached = arriving * here + _SMALLEST
        forward[index] = reached / reached.sum(axis=-1, keepdims=True)
        arriving = forward[index] @ transition
    for index in range(len(seen) - 1, -1, -1):
        backward[index] = leaving / leaving.sum(axis=-1, keepdims=True)
        leaving = (backward[index] * seen[index]) @ transition + _SMALLEST
    return _read(np.moveaxis(forward * backward, 0, -2), evidence, offsets_mm)


def joint_edge_paths(
    band: ContourBand, evidence: NDArray[np.float64], expected_within_mm: float
) -> tuple[EdgePath, NDArray[np.float64]]:
    """Follow the edge on both sides of the face at once, as the same edge on both.

    Beside a cheek there may be several edges: sideburn, ear, hair. Where the two
    sides have alike surroundings, the same one is meant on both, so pairs of
    offsets are followed, and a pair gains by the likeness of its surroundings.

    Parameters
    ----------
    band : ContourBand
        From one temple over the chin to the other; the middle place is on the chin.
    evidence : (..., along, across) float64 array
        Of the band.
    expected_within_mm : float
        As in `edge_path`.

    Returns
    -------
    path : EdgePath
    log_likelihood : (...) float64 array
        Of each band, to be compared among them.
    """
    offsets, step = band.offsets_mm, band.step_mm
    across_step = float(offsets[1] - offsets[0])
    half = evidence.shape[-2] // 2 + 1
    seen = np.moveaxis(_seen(evidence, offsets, step, expected_within_mm), -2, 0)
    likeness = np.moveaxis(_likeness(band.colours, half, across_step), -3, 0)
    weight = _LIKENESS_WEIGHT * step * _beside_cheek((half - 1 - np.arange(half)) * step)
    together = np.exp(weight.reshape(-1, *[1] * (likeness.ndim - 1)) * likeness)
    together *= seen[:half, ..., :, None] * seen[::-1][:half, ..., None, :]
    # Both sides meet in the middle of the chin.
    apart = offsets[:, None] - offsets
    together[-1] *= np.exp(-((apart / (_BEND * step)) ** 2) / 2)
    transition = _transition(len(offsets), step, across_step)
    forward, backward = np.empty_like(together), np.empty_like(together)
    likely = np.zeros(together.shape[1:-2])
    arriving, leaving = np.ones_like(together[0]), np.ones_like(together[0])
    for index, here in enumerate(together):
        reached = arriving * here + _SMALLEST
        size = reached.sum(axis=(-2, -1))
        likely += np.log(size)
        forward[index] = reached / size[..., None, None]
        arriving = transition @ forward[index] @ transition
    for index in range(half - 1, -1, -1):
        backward[index] = leaving / leaving.sum(axis=(-2, -1), keepdims=True)
        leaving = transition @ (backward[index] * together[index]) @ transition + _SMALLEST
    probability = forward * backward
    one, other = probability.sum(axis=-1), probability.sum(axis=-2)
    whole = np.concatenate([one, other[:-1][::-1]])
    return _read(np.moveaxis(whole, 0, -2), evidence, offsets), likely


def _seen(
    evidence: NDArray[np.float64],
    offsets_mm: NDArray[np.float64],
    step_mm: float,
    expected_within_mm: float,
) -> NDArray[np.float64]:
    """How likely the picture is at each place if the edge has each offset."""
    prior = (offsets_mm / expected_within_mm) ** 2 / 2 * (step_mm / expected_within_mm)
    seen: NDArray[np.float64] = np.exp(_EVIDENCE_WEIGHT * step_mm * evidence - prior)
    return seen


def _beside_cheek(from_chin_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far the likeness of both sides counts; the light seldom falls on both sides of a chin."""
    near, far = _CHIN_MM
    return np.clip((from_chin_mm - near) / (far - near), _CHIN_SHARE, 1.0)


def _likeness(
    colours: NDArray[np.float64], half: int, across_step_mm: float
) -> NDArray[np.float64]:
    """Correlation of the surroundings of each offset on one side with each on the other."""
    reach = round(_SURROUNDINGS_MM / across_step_mm)
    pad = [(0, 0)] * (colours.ndim - 2) + [(reach, reach), (0, 0)]
    around = np.lib.stride_tricks.sliding_window_view(
        np.pad(colours, pad, mode="edge"), 2 * reach + 1, axis=-2
    )
    around = around - around.mean(axis=-1, keepdims=True)
    around = around.reshape(*around.shape[:-2], -1)
    norm = np.linalg.norm(around, axis=-1, keepdims=True)
    around = around / (norm + _FAINT_SURROUNDINGS)
    one, other = around[..., :half, :, :], around[..., ::-1, :, :][..., :half, :, :]
    likeness: NDArray[np.float64] = one @ np.swapaxes(other, -1, -2)
    return likeness


def _read(
    probability: NDArray[np.float64],
    evidence: NDArray[np.float64],
    offsets_mm: NDArray[np.float64],
) -> EdgePath:
    probability = probability / probability.sum(axis=-1, keepdims=True)
    likeliest = offsets_mm[probability.argmax(axis=-1)]
    same_edge = probability * (np.abs(offsets_mm - likeliest[..., None]) < _SAME_EDGE_MM)
    offset = (same_edge * offsets_mm).sum(axis=-1) / same_edge.sum(axis=-1)
    spread = np.sqrt((probability * (offsets_mm - offset[..., None]) ** 2).sum(axis=-1))
    clear = (same_edge * evidence).sum(axis=-1) / same_edge.sum(axis=-1)
    return EdgePath(offset, spread, clear)


def _transition(count: int, step_mm: float, across_step_mm: float) -> NDArray[np.float64]:
    """How likely each offset follows each other one, (count, count); symmetric."""
    offsets = np.arange(count) * across_step_mm
    slope = (offsets[:, None] - offsets) / step_mm
    likely = np.exp(-((slope / _BEND) ** 2) / 2) * (np.abs(slope) <= _STEEPEST)
    transition: NDArray[np.float64] = likely / likely[count // 2].sum()
    return transition
