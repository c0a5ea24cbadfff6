"""Measured against true, on warped pictures and on heads with one-sided expressions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from benchmarks.photographs.ict_head import HeadModel
from benchmarks.photographs.measured import (
    Key,
    Reading,
    moved_measures,
    read,
    read_plain,
    values_of_face,
    values_of_points,
)
from benchmarks.photographs.painting import random_appearance
from benchmarks.photographs.rendered import HeadSpec, rendered
from benchmarks.photographs.warped import BasePicture, Warp, warped
from benchmarks.tables import Table
from processing.face_landmarks import FaceDetector

Say = Callable[[str], None]

EXPRESSIONS: Final[tuple[tuple[str, float], ...]] = (
    *(
        (f"{name}_{side}", weight)
        for name, weights in (
            ("mouthFrown", (0.5, 1.0)),
            ("mouthSmile", (0.3, 0.6)),
            ("browDown", (0.5, 1.0)),
            ("browOuterUp", (0.5, 1.0)),
            ("browInnerUp", (0.7,)),
            ("eyeBlink", (0.15, 0.3)),
        )
        for side in ("L", "R")
        for weight in weights
    ),
    ("jawLeft", 0.4),
    ("jawLeft", 0.8),
    ("jawRight", 0.4),
    ("jawRight", 0.8),
)
"""One-sided expressions of ICT-FaceKit and their weights."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One measured change beside the true one."""

    face: str
    structure: str
    true: float
    measured: float | None
    plain: float | None
    refused: str | None = None


def warped_pairs(
    bases: Sequence[BasePicture], warps: Sequence[Warp], detector: FaceDetector, say: Say
) -> list[Pair]:
    """Change from base to warped picture: true, measured, and by plain landmarks."""
    pairs: list[Pair] = []
    for base in bases:
        say(f"warping {base.name}")
        before = read(base.pixels, detector, base.mm_per_px)
        if before.refused is not None:
            say(f"left out: {base.name} is refused: {before.refused}")
            continue
        plain_before = read_plain(base.pixels, detector, base.mm_per_px)
        true_before = values_of_face(base.points_px, base.mm_per_px)
        for warp in warps:
            try:
                picture = warped(base, warp)
            except ValueError as fault:
                say(f"left out: {fault}")
                continue
            after = read(picture.pixels, detector, base.mm_per_px)
            plain_after = read_plain(picture.pixels, detector, base.mm_per_px)
            true_after = values_of_face(picture.true_points_px(), base.mm_per_px)
            for name, key in moved_measures(warp):
                pairs.append(
                    Pair(
                        face=base.name,
                        structure=name,
                        true=true_after[key] - true_before[key],
                        measured=_change(before, after, key),
                        plain=_plain_change(plain_before, plain_after, key),
                        refused=after.refused,
                    )
                )
    return pairs


def expression_pairs(
    model: HeadModel,
    identities: Sequence[int],
    expressions: Sequence[tuple[str, float]],
    detector: FaceDetector,
    say: Say,
) -> list[Pair]:
    """Heads with one-sided expressions against the same heads in repose, in a small random pose."""
    pairs: list[Pair] = []
    for identity in identities:
        say(f"expressions of ICT {identity}")
        rng = np.random.default_rng([identity, 7])
        repose = HeadSpec(
            identity=identity,
            yaw_deg=float(rng.uniform(-2, 2)),
            pitch_deg=float(rng.uniform(-3, 3)),
            roll_deg=float(rng.uniform(-3, 3)),
            appearance=random_appearance(identity),
        )
        resting = rendered(model, repose)
        before = read(resting.pixels, detector, resting.mm_per_px)
        if before.refused is not None:
            say(f"left out: ICT {identity} is refused: {before.refused}")
            continue
        plain_before = read_plain(resting.pixels, detector, resting.mm_per_px)
        true_before = values_of_points(resting.points_mm)
        for expression in expressions:
            picture = rendered(model, replace(repose, expressions=(expression,)))
            after = read(picture.pixels, detector, picture.mm_per_px)
            plain_after = read_plain(picture.pixels, detector, picture.mm_per_px)
            true_after = values_of_points(picture.points_mm)
            for name, key in _moved(expression[0]):
                pairs.append(
                    Pair(
                        face=f"ICT {identity}",
                        structure=name,
                        true=true_after[key] - true_before[key],
                        measured=_change(before, after, key),
                        plain=_plain_change(plain_before, plain_after, key),
                        refused=after.refused,
                    )
                )
    return pairs


def _moved(expression: str) -> tuple[tuple[str, Key], ...]:
    side = "left" if expression.endswith("_L") else "right"
    if expression.startswith("brow"):
        return (("brow, height", Key("brow_height_difference", "brow")),)
    if expression.startswith("eye"):
        return (("upper lid", Key("palpebral_fissure_height", "eye", side=side)),)
    if expression.startswith("jaw"):
        return (("chin", Key("chin_deviation", "gnathion")),)
    return (
        ("commissure, height", Key("commissure_height_difference", "cheilion")),
        ("commissure, sideways", Key("midline_distance", "cheilion", side=side)),
    )


def _change(before: Reading, after: Reading, key: Key) -> float | None:
    if after.refused is not None or key not in after.values or key not in before.values:
        return None
    return after.values[key].value - before.values[key].value


def _plain_change(
    before: Mapping[Key, float] | None, after: Mapping[Key, float] | None, key: Key
) -> float | None:
    return None if before is None or after is None else after[key] - before[key]


def slope_table(pairs: Sequence[Pair], title: str, note: str) -> Table:
    """Straight lines of measured over true, for each structure and face, and pooled."""
    rows: list[tuple[str | float | int | None, ...]] = []
    for structure in dict.fromkeys(each.structure for each in pairs):
        own = [each for each in pairs if each.structure == structure]
        rows.append(_slope_row(f"**{structure}**", "**all**", own))
        rows += [
            _slope_row(structure, face, [each for each in own if each.face == face])
            for face in dict.fromkeys(each.face for each in own)
        ]
    columns = ("structure", "face", "n", "refused", "slope", "offset, mm", "scatter, mm")
    return Table(title, note, (*columns, "slope of MediaPipe", "scatter, mm"), tuple(rows))


def _slope_row(
    structure: str, face: str, pairs: Sequence[Pair]
) -> tuple[str | float | int | None, ...]:
    ours = _line([(each.true, each.measured) for each in pairs])
    plain = _line([(each.true, each.plain) for each in pairs])
    refused = sum(each.refused is not None for each in pairs)
    return structure, face, len(pairs), refused, *ours, plain[0], plain[2]


def _line(
    points: Sequence[tuple[float, float | None]],
) -> tuple[float | None, float | None, float | None]:
    """Slope and offset by least squares, and the standard deviation about the line."""
    known = np.array([(true, read) for true, read in points if read is not None])
    if len(known) < 3:
        return None, None, None
    design = np.stack([known[:, 0], np.ones(len(known))], axis=1)
    (slope, offset), *_ = np.linalg.lstsq(design, known[:, 1], rcond=None)
    scatter = np.sqrt(((known[:, 1] - design @ (slope, offset)) ** 2).sum() / (len(known) - 2))
    return float(slope), float(offset), float(scatter)
