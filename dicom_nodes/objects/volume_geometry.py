"""How slices lie in space: sorted, evenly apart, or why they make no volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dicom_nodes.objects.volume_slices import VolumeSlice
from processing.measurement import RejectedInput

SAME_DIRECTION: Final = 1e-3
"""Largest difference of direction cosines within a volume, some 0.06 degree."""

SAME_PLACE_MM: Final = 1e-2
_EVEN_FRACTION: Final = 0.02
_EVEN_MM: Final = 0.02
_TILT_DEG: Final = 0.1
_MOST_GAPS_TOLD: Final = 5


@dataclass(frozen=True, slots=True)
class Stack:
    """Slices in the order of their stack, and where they lie.

    `affine` is as in `processing.inputs.Volume`.
    """

    slices: tuple[VolumeSlice, ...]
    affine: NDArray[np.float64] = field(repr=False)
    notes: tuple[str, ...] = ()


def is_parallel(first: VolumeSlice, second: VolumeSlice) -> bool:
    """Whether two slices have one orientation and one grid."""
    return (
        (first.rows, first.columns) == (second.rows, second.columns)
        and np.allclose(first.spacing_mm, second.spacing_mm, rtol=1e-3)
        and np.allclose(first.along_row, second.along_row, atol=SAME_DIRECTION)
        and np.allclose(first.along_column, second.along_column, atol=SAME_DIRECTION)
    )


def depths_mm(slices: Sequence[VolumeSlice]) -> NDArray[np.float64]:
    """How far each slice lies along the perpendicular of the first."""
    normal = slices[0].normal
    return np.array([each.position_mm @ normal for each in slices])


def stack_of(slices: Sequence[VolumeSlice]) -> Stack:
    """Sort parallel slices at different places, and find out how they lie.

    Raises
    ------
    RejectedInput
        If there is one slice only, slices are missing or unevenly apart (the message
        says where), or they do not lie on one line.
    """
    if len(slices) < 2:
        raise RejectedInput(
            f"There is one slice only (number {slices[0].number}), so nothing says how thick it is."
        )
    depths = depths_mm(slices)
    order = np.argsort(depths, kind="stable")
    ordered, depths = [slices[index] for index in order], depths[order]
    _check_even(ordered, depths)
    places = np.array([each.position_mm for each in ordered])
    step = (places[-1] - places[0]) / (len(places) - 1)
    expected = places[0] + np.arange(len(places))[:, None] * step
    away = np.linalg.norm(places - expected, axis=1)
    allowed = max(_EVEN_MM, _EVEN_FRACTION * float(np.linalg.norm(step)))
    if away.max() > allowed:
        worst = int(away.argmax())
        raise RejectedInput(
            f"Slice {ordered[worst].number} lies {away[worst]:.2f} mm beside the line of the other "
            "slices, as when the patient's table was moved."
        )
    affine = np.eye(4)
    # Pixel Spacing is that of the rows first: from row to row (PS3.3 10.7.1.3).
    row_mm, column_mm = ordered[0].spacing_mm
    affine[:3, 0] = ordered[0].along_row * column_mm
    affine[:3, 1] = ordered[0].along_column * row_mm
    affine[:3, 2] = step
    affine[:3, 3] = places[0]
    return Stack(tuple(ordered), affine, _told_tilt(ordered[0], step))


def without_tiny_differences(slices: Sequence[VolumeSlice]) -> list[VolumeSlice]:
    """The same slices, all with the directions and the spacing of the first."""
    first = slices[0]
    return [
        replace(
            each,
            along_row=first.along_row,
            along_column=first.along_column,
            spacing_mm=first.spacing_mm,
        )
        for each in slices
    ]


def _check_even(ordered: Sequence[VolumeSlice], depths: NDArray[np.float64]) -> None:
    gaps = np.diff(depths)
    usual = float(np.median(gaps))
    allowed = max(_EVEN_MM, _EVEN_FRACTION * usual)
    wrong = np.flatnonzero(np.abs(gaps - usual) > allowed)
    if not len(wrong):
        return
    told = [
        _told_gap(ordered[index], ordered[index + 1], float(gaps[index]), usual)
        for index in wrong[:_MOST_GAPS_TOLD]
    ]
    more = f" and {len(wrong) - len(told)} more places" if len(wrong) > len(told) else ""
    raise RejectedInput(
        f"The slices are {usual:.3f} mm apart, but {'; '.join(told)}{more}. Send the whole series."
    )


def _told_gap(first: VolumeSlice, second: VolumeSlice, gap: float, usual: float) -> str:
    between = (
        f"between slice {first.number} ({_place(first)}) and {second.number} ({_place(second)})"
    )
    missing = gap / usual - 1
    is_missing = (
        round(missing) >= 1 and abs(missing - round(missing)) < _EVEN_FRACTION * gap / usual
    )
    if is_missing:
        count = round(missing)
        return f"{count} {'slice is' if count == 1 else 'slices are'} missing {between}"
    return f"{gap:.3f} mm {between}"


def _place(each: VolumeSlice) -> str:
    """Where a slice lies, along the axis of the body that is nearest to its perpendicular."""
    axis = int(np.abs(each.normal).argmax())
    return f"{'LPS'[axis]} {each.position_mm[axis]:.2f} mm"


def _told_tilt(first: VolumeSlice, step: NDArray[np.float64]) -> tuple[str, ...]:
    cosine = min(1.0, abs(float(first.normal @ step)) / float(np.linalg.norm(step)))
    tilt = float(np.degrees(np.arccos(cosine)))
    if tilt <= _TILT_DEG:
        return ()
    return (
        f"The slices are tilted by {tilt:.1f} degrees against their stack (gantry tilt): the grid "
        "is sheared, and its affine says so.",
    )
