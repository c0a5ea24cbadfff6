"""Real scans, whose truth nobody knows: the same in every pose."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from benchmarks.surfaces.watched import watched
from benchmarks.tables import Table
from processing.face_landmarks import FaceDetector
from processing.inputs import Surface
from processing.measurement import Status
from processing.mesh_files import read_mesh_file

Say = Callable[[str], None]

LIMIT_MM: Final = 0.7
# The head of Lee Perry-Smith has no unit; so many mm set its pupils 63 mm apart.
_LEE_PERRY_SMITH_MM: Final = 48.0


def real_scans(shared: Path, say: Say) -> Iterator[tuple[str, Surface]]:
    """The real scans and one simulated face among the development data, each with its name."""
    files = {
        "Lee Perry-Smith": ("lee-perry-smith/LeePerrySmith.obj", _LEE_PERRY_SMITH_MM),
        "MeshMonk demonstration": ("meshmonk/DemoFace_10K.obj", 1.0),
        "MeshMonk simulated 5": ("meshmonk/simulated_faces/SIMPOP_05.obj", 1.0),
    }
    for name, (file, mm_per_unit) in files.items():
        path = shared / "faces" / file
        if path.is_file():
            surface = read_mesh_file(path, None, mm_per_unit)
            yield name, surface
            if surface.texture is not None:
                yield f"{name}, shape only", replace(surface, texture=None, colours=None)
        else:
            say(f"left out: {name}, {file} is not there")


def pose_table(shared: Path, poses: int, detector: FaceDetector, say: Say) -> Table:
    """How far landmarks, plane and volume move when a scan is turned in any direction."""
    rows: list[tuple[str | float | int | None, ...]] = []
    for name, surface in real_scans(shared, say):
        places, planes, volumes = [], [], []
        refusals = []
        for pose in range(poses):
            turn = Rotation.random(random_state=pose).as_matrix() if pose else np.eye(3)
            shift = np.random.default_rng([pose, 13]).uniform(-300.0, 300.0, 3)
            seen = watched(
                replace(surface, vertices_mm=surface.vertices_mm @ turn.T + shift), detector
            )
            analysis = seen.analysis
            if analysis.status is not Status.MEASURED:
                refusals.append(str(analysis.reason))
                continue
            turned_back = {
                landmark: (np.array(place) - shift) @ turn
                for landmark, place in analysis.landmarks.items()
            }
            places.append(turned_back)
            plane = analysis.planes["midsagittal"]
            normal = np.array(plane.normal)
            planes.append((normal @ turn, plane.offset_mm - float(normal @ shift)))
            headline = seen.volume(None)
            if headline is not None:
                volumes.append((headline.value, headline.uncertainty))
            say(f"pose {pose} of {name}: {volumes[-1][0]:+.2f} mL, {seen.seconds:.1f} s")
        for reason in dict.fromkeys(refusals):
            say(f"{name}: refused: {reason}")
        if len(places) < 2:
            rows.append((name, poses, len(refusals), *[None] * 8))
            continue
        spread = _landmark_spread(places)
        middle = np.mean(list(places[0].values()), axis=0)
        angle, lateral = _plane_spread(planes, middle)
        worst = max(spread, key=lambda landmark: spread[landmark])
        rows.append(
            (
                *(name, poses, len(refusals)),
                float(np.sqrt(np.mean(np.square(list(spread.values()))))),
                *(worst, spread[worst], angle, lateral),
                float(np.mean([value for value, _ in volumes])),
                float(np.std([value for value, _ in volumes])),
                float(np.mean([uncertainty for _, uncertainty in volumes])),
            )
        )
    return Table(
        "Real scans in random poses, any direction",
        "Landmarks: root mean square distance to their mean over the poses (limit 0.7 mm). Plane: "
        "greatest angle to the mean plane, and greatest distance amid the face. Volume: of the "
        "hemiface, mL, mean and standard deviation over the poses, and the uncertainty reported.",
        (
            *("scan", "poses", "refused", "landmarks RMS mm", "worst landmark", "its RMS mm"),
            *("plane deg", "plane mm", "volume", "SD", "u"),
        ),
        tuple(rows),
    )


def _landmark_spread(places: list[dict[str, NDArray[np.float64]]]) -> dict[str, float]:
    names = set.intersection(*(set(each) for each in places))
    spread = {}
    for name in sorted(names):
        points = np.array([each[name] for each in places])
        away = points - points.mean(axis=0)
        spread[name] = float(np.sqrt((away**2).sum(axis=1).mean()))
    return spread


def _plane_spread(
    planes: list[tuple[NDArray[np.float64], float]], middle: NDArray[np.float64]
) -> tuple[float, float]:
    normals = np.array([normal for normal, _ in planes])
    mean = normals.mean(axis=0)
    mean = mean / np.linalg.norm(mean)
    angle = float(np.degrees(np.arccos(np.clip(normals @ mean, -1, 1))).max())
    across = np.array([float(normal @ middle) - offset for normal, offset in planes])
    return angle, float(np.abs(across - across.mean()).max())
