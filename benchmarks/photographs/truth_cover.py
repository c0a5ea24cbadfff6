"""Symmetric and one-sided heads in random poses: error, and whether the uncertainty covers it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

import numpy as np

from benchmarks.photographs.ict_head import HeadModel
from benchmarks.photographs.known_asymmetry import EXPRESSIONS
from benchmarks.photographs.measured import Key, Reading, read, values_of_points
from benchmarks.photographs.painting import random_appearance
from benchmarks.photographs.rendered import HeadSpec, RenderedPicture, rendered
from benchmarks.photographs.warped import standard_warps
from benchmarks.tables import Table
from processing.face_landmarks import FaceDetector
from processing.measurement import Side

Say = Callable[[str], None]

LOWEST_RATIO: Final = 0.985
_COVERAGE_FACTOR: Final = 2.0
_ZERO: Final = (
    "commissure_height_difference",
    "brow_height_difference",
    "palpebral_fissure_height_difference",
    "margin_reflex_distance_1_difference",
    "margin_reflex_distance_2_difference",
    "commissure_excursion_difference",
    "chin_deviation",
    "ocular_cant",
    "oral_cant",
    "log_ratio",
    "asymmetry_index",
)
_ONE: Final = ("symmetry_ratio", "alternative_symmetry_ratio", "pair_ratio", "area_ratio")
# Points of skin or of painted edges that the measure and the model define alike.
_SAME_POINT: Final = ("exocanthion", "endocanthion", "cheilion")


@dataclass(frozen=True, slots=True)
class Compared:
    """One picture: what was read, and what is true of it."""

    name: str
    spec: Mapping[str, Any]
    refused: str | None
    errors: Mapping[Key, tuple[float, float]] = field(default_factory=dict)
    symmetry_ratio: float | None = None


def symmetric_heads(
    model: HeadModel, identities: Sequence[int], detector: FaceDetector, say: Say
) -> list[Compared]:
    """Symmetric heads, yaw within 3, pitch within 5, roll within 5 degrees; scaled by the iris."""
    compared = []
    for identity in identities:
        spec = random_spec(identity)
        picture = rendered(model, spec)
        compared.append(_compared(f"ICT {identity}", picture, _symmetric_truth(picture), detector))
        _tell(compared[-1], say)
    return compared


def one_sided_heads(
    model: HeadModel, identities: Sequence[int], detector: FaceDetector, say: Say
) -> list[Compared]:
    """Heads in random poses with a one-sided expression or a structure that is displaced."""
    warps = standard_warps()
    compared = []
    for identity in identities:
        rng = np.random.default_rng([identity, 13])
        spec = random_spec(identity)
        changed = (
            replace(spec, expressions=(EXPRESSIONS[rng.integers(len(EXPRESSIONS))],)),
            replace(spec, warps=(warps[rng.integers(len(warps))],)),
        )
        for each in changed:
            picture = rendered(model, each)
            truth = _truth(picture)
            compared.append(_compared(f"ICT {identity}", picture, truth, detector))
            _tell(compared[-1], say)
    return compared


def random_spec(identity: int) -> HeadSpec:
    """A head with an appearance and a nearly frontal pose of its own."""
    rng = np.random.default_rng([identity, 11])
    appearance = random_appearance(identity)
    return HeadSpec(
        identity=identity,
        yaw_deg=float(rng.uniform(-3, 3)),
        pitch_deg=float(rng.uniform(-5, 5)),
        roll_deg=float(rng.uniform(-5, 5)),
        appearance=replace(appearance, side_light=float(rng.uniform(-0.35, 0.35))),
    )


def _tell(compared: Compared, say: Say) -> None:
    if compared.refused is not None:
        say(f"refused: {compared.name}: {compared.refused}")


def _truth(picture: RenderedPicture) -> dict[Key, float]:
    """What is true of any head, by the definitions that measure and model share."""
    points = picture.points_mm
    values = {
        key: value
        for key, value in values_of_points(points).items()
        if key.quantity != "midline_distance" or key.structure in _SAME_POINT
    }
    for side in Side:
        own = side.value
        pupil = points[f"iris_centre_{own}"][1]
        upper, lower = (
            points[f"palpebrale_{which}_{own}"][1] for which in ("superius", "inferius")
        )
        values[Key("margin_reflex_distance_1", "eye", side=own)] = float(upper - pupil)
        values[Key("margin_reflex_distance_2", "eye", side=own)] = float(pupil - lower)
    for structure in _SAME_POINT:
        left, right = (values[Key("midline_distance", structure, side=side.value)] for side in Side)
        values[Key("pair_ratio", structure)] = min(left, right) / max(left, right)
        values[Key("log_ratio", structure)] = float(np.log(left / right))
    spec = picture.spec
    for quantity, angle in (
        ("yaw", spec.yaw_deg),
        ("pitch", spec.pitch_deg),
        ("roll", spec.roll_deg),
    ):
        values[Key(quantity, "head")] = angle
    values[Key("scale", "face")] = spec.mm_per_px
    return values


def _symmetric_truth(picture: RenderedPicture) -> Callable[[Key], float | None]:
    known = _truth(picture)

    def true(key: Key) -> float | None:
        if key.quantity in _ZERO:
            return 0.0
        return 1.0 if key.quantity in _ONE else known.get(key)

    return true


def _compared(
    name: str,
    picture: RenderedPicture,
    truth: Callable[[Key], float | None] | Mapping[Key, float],
    detector: FaceDetector,
) -> Compared:
    of = truth if callable(truth) else truth.get
    reading: Reading = read(picture.pixels, detector, None)
    errors = {}
    for key, value in reading.values.items():
        true = of(key)
        if true is not None:
            errors[key] = (value.value - true, value.uncertainty)
    ratio = reading.values.get(Key("symmetry_ratio", "face"))
    return Compared(
        name=name,
        spec=asdict(picture.spec),
        refused=reading.refused,
        errors=errors,
        symmetry_ratio=None if ratio is None else ratio.value,
    )


def symmetric_table(compared: Sequence[Compared]) -> Table:
    """How the headline ratio of symmetric heads is distributed."""
    ratios = np.array([each.symmetry_ratio for each in compared if each.symmetry_ratio is not None])
    refused = sum(each.refused is not None for each in compared)
    rows: list[tuple[str | float | int | None, ...]] = [
        ("heads", len(compared)),
        ("refused", refused),
    ]
    if len(ratios):
        rows += [
            ("mean", float(ratios.mean())),
            ("5th percentile", float(np.percentile(ratios, 5))),
            ("lowest", float(ratios.min())),
            (f"share of at least {LOWEST_RATIO}", f"{100 * (ratios >= LOWEST_RATIO).mean():.0f} %"),
        ]
    return Table(
        "Symmetric heads",
        "`symmetry_ratio` of symmetric ICT heads that look into the camera, yaw uniform within 3, "
        "pitch within 5, roll within 5 degrees, light from the front or somewhat from a side.",
        ("", "symmetry_ratio"),
        tuple(rows),
    )


def coverage_table(compared: Sequence[Compared], title: str) -> Table:
    """RMS error, mean uncertainty, and how often twice the uncertainty covers the error."""
    by_measure: dict[str, list[tuple[float, float]]] = {}
    for each in compared:
        for key, pair in each.errors.items():
            name = str(key._replace(side=None))
            by_measure.setdefault(name, []).append(pair)
    rows: list[tuple[str | float | int | None, ...]] = []
    every = [pair for pairs in by_measure.values() for pair in pairs]
    for name, pairs in [("**all**", every), *by_measure.items()]:
        if not pairs:
            continue
        errors, uncertainties = np.array(pairs).T
        covered = np.abs(errors) <= _COVERAGE_FACTOR * uncertainties
        of_all = name == "**all**"
        rows.append(
            (
                name,
                len(pairs),
                None if of_all else float(errors.mean()),
                None if of_all else float(np.sqrt((errors**2).mean())),
                None if of_all else float(uncertainties.mean()),
                f"{100 * covered.mean():.0f} %",
            )
        )
    return Table(
        title,
        "Share of errors within the expanded uncertainty (k = 2). Lengths are scaled by the iris.",
        ("measure", "n", "mean error", "RMS error", "mean uncertainty", "covered"),
        tuple(rows),
    )
