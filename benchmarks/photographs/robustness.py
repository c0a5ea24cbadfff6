"""How far the measures move when only the picture changes, or is mirrored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from benchmarks.photographs.disturbed import DISTURBANCES
from benchmarks.photographs.ict_head import HeadModel
from benchmarks.photographs.measured import Key, Reading, Value, read
from benchmarks.photographs.painting import random_appearance
from benchmarks.photographs.rendered import HeadSpec, rendered
from benchmarks.photographs.warped import BasePicture
from benchmarks.tables import Table
from processing.face_landmarks import FaceDetector

Say = Callable[[str], None]
Cells = tuple[str | float | int | None, ...]

# Measures whose movement is printed on its own.
_WATCHED: Final[tuple[tuple[str, Callable[[Key], bool]], ...]] = (
    ("symmetry_ratio", lambda key: key.quantity == "symmetry_ratio"),
    ("pair_ratio", lambda key: key.quantity == "pair_ratio"),
    ("area_ratio", lambda key: key.quantity == "area_ratio"),
    ("commissure, mm", lambda key: key.quantity == "commissure_height_difference"),
    ("brow, mm", lambda key: key.quantity == "brow_height_difference"),
    ("fissure, mm", lambda key: key.quantity == "palpebral_fissure_height"),
    ("chin, mm", lambda key: key.quantity == "chin_deviation"),
    (
        "contour, mm",
        lambda key: key.quantity == "midline_distance" and key.structure in ("zygion", "gonion"),
    ),
    (
        "other distances, mm",
        lambda key: (
            key.quantity == "midline_distance" and key.structure not in ("zygion", "gonion")
        ),
    ),
)
_AXES: Final[Mapping[str, Callable[[HeadSpec, float], HeadSpec]]] = {
    "yaw": lambda spec, angle: replace(spec, yaw_deg=angle),
    "pitch": lambda spec, angle: replace(spec, pitch_deg=angle),
    "roll": lambda spec, angle: replace(spec, roll_deg=angle),
}
_ROTATIONS: Final = (-3.0, -1.5, 1.5, 3.0)
# What says where the head or the pixel is, not how the face is.
_OF_THE_PICTURE: Final = ("yaw", "pitch", "roll", "scale", "landmark_edit_distance")
_SIGNED: Final = (
    "_difference",
    "chin_deviation",
    "_cant",
    "log_ratio",
    "yaw",
    "roll",
    "midline_angle",
)


def repeatability_table(
    bases: Sequence[BasePicture], detector: FaceDetector, say: Say, *, every_nth: int = 1
) -> Table:
    """RMS movement against the undisturbed picture, by kind of disturbance."""
    moved: dict[str, list[Mapping[Key, float]]] = {kind: [] for kind in DISTURBANCES}
    refused: dict[str, list[str]] = {kind: [] for kind in DISTURBANCES}
    used = []
    for base in bases:
        say(f"disturbing {base.name}")
        before = read(base.pixels, detector, base.mm_per_px)
        if before.refused is not None:
            say(f"left out: {base.name} is refused: {before.refused}")
            continue
        used.append(base.name)
        for kind, disturbances in DISTURBANCES.items():
            for each in disturbances[::every_nth]:
                after = read(each.apply(base.pixels), detector, base.mm_per_px / each.scale)
                _compare(before, after, moved[kind], refused[kind], f"{base.name}, {each.label}")
    rows = [_row(kind, moved[kind], refused[kind]) for kind in DISTURBANCES]
    for reason in sorted({each for reasons in refused.values() for each in reasons}):
        say(f"refused: {reason}")
    return Table(
        "Repeatability",
        "Root mean square of the movement against the undisturbed picture, over "
        f"{', '.join(used)}.",
        ("disturbance", "n", "refused", *(name for name, _ in _WATCHED)),
        tuple(rows),
    )


def rotation_table(
    model: HeadModel, identities: Sequence[int], detector: FaceDetector, say: Say
) -> Table:
    """RMS movement of the measures when a head turns, nods and tilts by 1.5 and 3 degrees."""
    rows: list[Cells] = []
    for axis, turned_to in _AXES.items():
        say(f"rotating: {axis}")
        moved: list[Mapping[Key, float]] = []
        refused: list[str] = []
        for identity in identities:
            spec = HeadSpec(identity=identity, appearance=random_appearance(identity))
            straight = rendered(model, spec)
            before = read(straight.pixels, detector, straight.mm_per_px)
            for angle in _ROTATIONS:
                turned = rendered(model, turned_to(spec, angle))
                after = read(turned.pixels, detector, turned.mm_per_px)
                _compare(before, after, moved, refused, f"ICT {identity}, {axis} {angle:g}")
        for reason in refused:
            say(f"refused: {reason}")
        rows.append(_row(f"{axis} of 1.5 and 3 deg", moved, refused))
    return Table(
        "Rotation",
        "Root mean square of the movement against the straight head, over renders of ICT "
        f"identities {', '.join(str(each) for each in identities)}, which look into the camera.",
        ("rotation", "n", "refused", *(name for name, _ in _WATCHED)),
        tuple(rows),
    )


def _compare(
    before: Reading,
    after: Reading,
    moved: list[Mapping[Key, float]],
    refused: list[str],
    label: str,
) -> None:
    if before.refused is not None or after.refused is not None:
        refused.append(f"{label}: {before.refused or after.refused}")
        return
    moved.append(
        {
            key: after.values[key].value - value.value
            for key, value in before.values.items()
            if key in after.values
        }
    )


def _row(name: str, moved: Sequence[Mapping[Key, float]], refused: Sequence[str]) -> Cells:
    cells: list[str | float | int | None] = [name, len(moved) + len(refused), len(refused)]
    for _, wanted in _WATCHED:
        squares = [by**2 for each in moved for key, by in each.items() if wanted(key)]
        cells.append(float(np.sqrt(np.mean(squares))) if squares else None)
    return tuple(cells)


def mirroring_table(bases: Sequence[BasePicture], detector: FaceDetector, say: Say) -> Table:
    """Left of the picture against right of its mirror image, for every measure."""
    differences: dict[str, list[float]] = {}
    pictures = 0
    for base in bases:
        say(f"mirroring {base.name}")
        straight = read(base.pixels, detector, base.mm_per_px)
        flipped = read(np.ascontiguousarray(base.pixels[:, ::-1]), detector, base.mm_per_px)
        if straight.refused is not None or flipped.refused is not None:
            say(f"left out: {base.name} is refused: {straight.refused or flipped.refused}")
            continue
        pictures += 1
        for key, value in straight.values.items():
            other = flipped.values.get(key.mirrored)
            if other is None or key.quantity in _OF_THE_PICTURE[1:]:
                continue
            name = f"{key.quantity} ({value.unit})"
            differences.setdefault(name, []).append(_difference(key, value, other))
    rows: list[Cells] = []
    for unit in ("mm", "deg", "1", "%"):
        every = [
            each
            for name, values in differences.items()
            if name.endswith(f"({unit})")
            for each in values
        ]
        if every:
            rows.append((f"**all in {unit}**", *_spread(every)))
        for name, values in differences.items():
            if name.endswith(f"({unit})"):
                rows.append((name, *_spread(values)))
    return Table(
        "Left-right bias under mirroring",
        f"|difference| of each measure between {pictures} pictures and their mirror images, left "
        "taken for right.",
        ("measure", "n", "median", "95th percentile", "largest"),
        tuple(rows),
    )


def _difference(key: Key, value: Value, other: Value) -> float:
    signed = any(key.quantity.endswith(each) for each in _SIGNED)
    return abs(value.value + other.value) if signed else abs(value.value - other.value)


def _spread(values: Sequence[float]) -> tuple[int, float, float, float]:
    return (
        len(values),
        float(np.median(values)),
        float(np.percentile(values, 95)),
        float(np.max(values)),
    )
