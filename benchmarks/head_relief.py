"""How far each landmark of a head stands out, measured on renders of many heads.

What `processing.photograph.relief_table` holds, measured anew: a turn of the head
shifts the midpoint of a landmark and its partner sideways, the more the further it
stands out; how fast is its relief. The heads here are painted; of the heads that the
table was made of, half wore the texture of a portrait, which is not in the repository.

    python benchmarks/head_relief.py [--heads N] [--views N] [--first IDENTITY]

Prints, for the named landmarks, the table beside what these heads give.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

# A script finds the packages beside its own folder, not in it.
if not __package__:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.photographs.ict_head import HeadModel
from benchmarks.photographs.rendered import read_head_model, rendered, shared_data
from benchmarks.photographs.truth_cover import random_spec
from processing.face_landmarks import FaceDetector
from processing.face_model import find_face_model
from processing.landmarks import LANDMARKS
from processing.photograph.frame import levelled_points
from processing.photograph.nose_in_even_face import midpoints_beside_irises, yaw_of_midpoints
from processing.photograph.nose_mirror import RELIEF as RELIEF_OF_NOSE
from processing.photograph.nose_mirror import middle_of_nose
from processing.photograph.refinement.refine import refine
from processing.photograph.relief_table import RELIEF, RELIEF_DEVIATION

LARGEST_YAW_DEG: Final = 8.0
NEARLY_FRONTAL_DEG: Final = 3.0
# Photographs of heads that are turned more are refused.
ACCEPTED_YAW_DEG: Final = 5.0
FIRST_HEAD: Final = 500
# From the root of the nose down its ridge to its tip and base; one of each pair of the alae.
NOSE: Final = (9, 8, 168, 6, 197, 195, 5, 4, 1, 19, 94, 2, 164, 64, 97, 98, 129, 49, 133)

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class TurnedHead:
    """Midpoints of all pairs in one picture, in distances between the pupils.

    As (478, 2) in the picture as it is; how far aside, (478,), with the surroundings of
    the nose made even; and how far aside the middle of the nose is by its mirror image.
    """

    identity: int
    yaw_deg: float
    pitch_deg: float
    midpoints: Array = field(repr=False)
    evenly_surrounded: Array = field(repr=False)
    nose_aside: float


def turned_heads(
    model: HeadModel, identities: Sequence[int], views: int, detector: FaceDetector
) -> list[TurnedHead]:
    """Render each head in `views` poses and find its landmarks."""
    heads = []
    for identity in identities:
        turns = np.random.default_rng([identity, 17])
        for _ in range(views):
            yaw, pitch = turns.uniform(-LARGEST_YAW_DEG, LARGEST_YAW_DEG), turns.uniform(-5, 5)
            spec = replace(random_spec(identity), yaw_deg=float(yaw), pitch_deg=float(pitch))
            picture = rendered(model, spec)
            faces = detector.detect_symmetrised(picture.pixels)
            if len(faces) != 1:
                continue
            refined = refine(picture.pixels, faces[0], detector.mirror)
            face = replace(faces[0], points_px=refined.points_px)
            middle = middle_of_nose(picture.pixels, face, detector.mirror)
            even = midpoints_beside_irises(picture.pixels, face, detector)
            if middle is None or even is None:
                continue
            levelled, _, _ = levelled_points(face.points_px)
            pupils = [LANDMARKS[f"iris_centre_{side}"] for side in ("right", "left")]
            distance = float(np.ptp(levelled[pupils, 0]))
            midpoints = (levelled + levelled[detector.mirror]) / 2 / distance
            heads.append(
                TurnedHead(identity, float(yaw), float(pitch), midpoints, even, middle.aside)
            )
    return heads


def measured_relief(heads: Sequence[TurnedHead], mirror: NDArray[np.int64]) -> tuple[Array, Array]:
    """Relief of all landmarks and its deviation between heads, in distances between the pupils.

    A midpoint at height y that stands out by h is seen at
    ``h sin(yaw) / cos(pitch) - y sin(yaw) tan(pitch)``; h by least squares.
    """
    yaw, pitch = (
        np.radians([getattr(each, name) for each in heads]) for name in ("yaw_deg", "pitch_deg")
    )
    turn = (np.sin(yaw) / np.cos(pitch))[:, None]
    midpoints = np.array([each.midpoints for each in heads])
    shift = midpoints[..., 0] + (np.sin(yaw) * np.tan(pitch))[:, None] * midpoints[..., 1]
    relief = _slope(turn, shift)
    by_head = np.array(
        [
            _slope(turn[chosen], shift[chosen])
            for identity in sorted({each.identity for each in heads})
            if (chosen := np.array([each.identity == identity for each in heads])).any()
        ]
    )
    return (relief + relief[mirror]) / 2, by_head.std(axis=0)


def print_nose(heads: Sequence[TurnedHead]) -> None:
    """What `processing.photograph` holds of the nose: relief, deviation, and how far yaw errs."""
    true = np.array([each.yaw_deg for each in heads])
    sines = np.sin(np.radians(true))
    even = np.array([each.evenly_surrounded for each in heads])
    relief = _slope(sines[:, None], even)
    scatter = (even - relief * sines[:, None]).std(axis=0)
    print("\n| landmark along the nose | relief | deviation | in degrees of yaw |")
    print("|---|---|---|---|")
    for index in NOSE:
        stands_out, deviation = 1000 * relief[index], 1000 * scatter[index]
        degrees = np.degrees(deviation / stands_out)
        print(f"| {index} | {stands_out:.0f} | {deviation:.1f} | {degrees:.2f} |")
    aside = np.array([each.nose_aside for each in heads])
    taken = np.abs(true) <= ACCEPTED_YAW_DEG
    of_middle = float(_slope(sines[taken], aside[taken]))
    print(
        f"\nmiddle of the nose by its mirror image: relief {of_middle:.3f}, in use {RELIEF_OF_NOSE}"
    )
    by_middle = np.degrees(np.arcsin(np.clip(aside / of_middle, -1, 1)))
    by_detector = np.array([yaw_of_midpoints(each.evenly_surrounded) for each in heads])
    nearly = np.abs(true) <= NEARLY_FRONTAL_DEG
    for what, yaw in (("its mirror image", by_middle), ("the detector", by_detector)):
        error = yaw - true
        print(
            f"yaw by {what}: RMS error {_rms(error):.2f} deg, within {ACCEPTED_YAW_DEG:g} deg of "
            f"the front {_rms(error[taken]):.2f}, "
            f"within {NEARLY_FRONTAL_DEG:g} {_rms(error[nearly]):.2f}"
        )


def _rms(error: Array) -> float:
    return float(np.sqrt((error**2).mean()))


def _slope(turn: Array, shift: Array) -> Array:
    slope: Array = (turn * shift).sum(axis=0) / (turn**2).sum()
    return slope


def print_comparison(relief: Array, deviation: Array, pupil_distance_mm: float = 63.0) -> None:
    """The named landmarks, in mm for a distance of 63 mm between the pupils.

    Counted from the endocanthia: the heads here look into the camera, and eyes
    that turn back against the head take the pupils along.
    """
    canthus = LANDMARKS["endocanthion_left"]
    print("| landmark | table | these heads | difference | between heads | table's deviation |")
    print("|---|---|---|---|---|---|")
    for name, index in LANDMARKS.items():
        if name.endswith("_right"):
            continue
        table = pupil_distance_mm * (RELIEF[index] - RELIEF[canthus]) / 1000
        here = pupil_distance_mm * (relief[index] - relief[canthus])
        between = pupil_distance_mm * deviation[index]
        spread = pupil_distance_mm * RELIEF_DEVIATION[index] / 1000
        print(
            f"| {name.removesuffix('_left')} | {table:.1f} | {here:.1f} | {here - table:+.1f} "
            f"| {between:.1f} | {spread:.1f} |"
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--heads", type=int, default=40)
    parser.add_argument("--views", type=int, default=6, help="poses of each head")
    parser.add_argument("--first", type=int, default=FIRST_HEAD, help="first identity")
    chosen = parser.parse_args(arguments)
    folder = shared_data() / "faces" / "ict"
    if not folder.is_dir():
        parser.error(f"the morphable head is not at {folder}; see README, development data")
    model = read_head_model(folder)
    identities = range(chosen.first, chosen.first + chosen.heads)
    with FaceDetector(find_face_model(None, None)) as detector:
        heads = turned_heads(model, identities, chosen.views, detector)
        relief, deviation = measured_relief(heads, detector.mirror)
    print(f"{len(heads)} pictures of {chosen.heads} heads; mm at 63 mm between the pupils\n")
    print_comparison(relief, deviation)
    print_nose(heads)


if __name__ == "__main__":
    main()
