"""Which slices of a series belong together: echoes, phases, stacks and directions apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from dicom_nodes.objects.volume_geometry import (
    SAME_PLACE_MM,
    depths_mm,
    is_parallel,
    without_tiny_differences,
)
from dicom_nodes.objects.volume_slices import VolumeSlice
from processing.measurement import RejectedInput

# A localizer has three, a radial series some dozens.
_MOST_DIRECTIONS: Final = 64


@dataclass(frozen=True, slots=True)
class Part:
    """Slices of one volume, and the words that tell it from the others.

    `copies` are further slices at places that have one already; nothing tells them
    apart.
    """

    slices: tuple[VolumeSlice, ...]
    words: str
    copies: tuple[VolumeSlice, ...] = ()


def parts_of(slices: Sequence[VolumeSlice]) -> list[Part]:
    """The volumes of a series; they come in the order of their first slices.

    Raises
    ------
    RejectedInput
        If the slices lie in more orientations than stacks have.
    """
    parts: list[tuple[dict[str, str], Part]] = []
    for kind, alike in _by_kind(slices):
        for parallel in _by_direction(alike):
            for order, part in _by_order(without_tiny_differences(parallel)):
                parts.append((kind | order, part))
    named = _words([kind for kind, _ in parts], [part for _, part in parts])
    return [
        Part(part.slices, words, part.copies) for words, (_, part) in zip(named, parts, strict=True)
    ]


def _by_kind(slices: Sequence[VolumeSlice]) -> Iterator[tuple[dict[str, str], list[VolumeSlice]]]:
    groups: dict[tuple[tuple[str, str], ...], list[VolumeSlice]] = {}
    for each in slices:
        key = tuple(sorted({**each.kind, "unit": each.mapping.unit}.items()))
        groups.setdefault(key, []).append(each)
    for key, group in groups.items():
        yield dict(key), group


def _by_direction(slices: Sequence[VolumeSlice]) -> list[list[VolumeSlice]]:
    groups: list[list[VolumeSlice]] = []
    for each in slices:
        for group in groups:
            if is_parallel(group[0], each):
                group.append(each)
                break
        else:
            groups.append([each])
        if len(groups) > _MOST_DIRECTIONS:
            raise RejectedInput(
                f"The slices have more than {_MOST_DIRECTIONS} orientations, so they are no "
                "stacks of slices."
            )
    return groups


def _by_order(slices: list[VolumeSlice]) -> Iterator[tuple[dict[str, str], Part]]:
    """Slices at one place are phases when each place has as many, told apart by one number."""
    places = _places(slices)
    counts = Counter(places)
    most = max(counts.values())
    if most > 1 and set(counts.values()) == {most}:
        for name in sorted({name for each in slices for name in each.order}):
            ranked = _ranked(slices, places, name)
            if ranked is not None:
                for rank, group in enumerate(ranked, start=1):
                    yield {name: str(rank)}, Part(tuple(group), "")
                return
    first: dict[int, VolumeSlice] = {}
    copies: list[VolumeSlice] = []
    for place, each in zip(places, slices, strict=True):
        if place in first:
            copies.append(each)
        else:
            first[place] = each
    yield {}, Part(tuple(first.values()), "", tuple(copies))


def _places(slices: list[VolumeSlice]) -> list[int]:
    """A number for each slice; slices at the same place have the same."""
    positions = np.array([each.position_mm for each in slices])
    depths = depths_mm(slices)
    order = np.argsort(depths, kind="stable")
    numbers = [0] * len(slices)
    for before, index in pairwise(order):
        apart = float(np.linalg.norm(positions[index] - positions[before]))
        numbers[index] = numbers[before] + (apart > SAME_PLACE_MM)
    return numbers


def _ranked(
    slices: list[VolumeSlice], places: list[int], name: str
) -> list[list[VolumeSlice]] | None:
    """The slices of each rank of a number; None where it does not tell all copies apart."""
    at: dict[int, list[VolumeSlice]] = {}
    for place, each in zip(places, slices, strict=True):
        if name not in each.order:
            return None
        at.setdefault(place, []).append(each)
    for group in at.values():
        if len({each.order[name] for each in group}) != len(group):
            return None
        group.sort(key=lambda each: each.order[name])
    return [list(group) for group in zip(*at.values(), strict=True)]


def _words(kinds: list[dict[str, str]], parts: list[Part]) -> list[str]:
    """What differs among the parts, for each of them."""
    names = dict.fromkeys(name for kind in kinds for name in kind)
    differing = [name for name in names if len({kind.get(name) for kind in kinds}) > 1]
    words = [
        ", ".join(f"{name} {kind[name]}" for name in differing if name in kind) for kind in kinds
    ]
    seen = Counter(words)
    return [
        text if seen[text] == 1 else ", ".join(filter(None, (text, _direction_words(part))))
        for text, part in zip(words, parts, strict=True)
    ]


def _direction_words(part: Part) -> str:
    first = part.slices[0]
    name = ("sagittal", "coronal", "axial")[int(np.abs(first.normal).argmax())]
    return f"{name}, {first.rows} x {first.columns}, from slice {first.number}"
