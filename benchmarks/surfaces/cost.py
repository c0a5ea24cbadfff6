"""Time and memory from file to measurements, by the number of vertices."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np

from benchmarks.surfaces.cases import CaseSpec, make_case
from benchmarks.surfaces.compared import HEMIFACE
from benchmarks.surfaces.deficits import Site
from benchmarks.surfaces.heads import HeadSource
from benchmarks.surfaces.on_plane import true_plane
from benchmarks.surfaces.peers import Mirrored, Registered, mirrored, rough_start
from benchmarks.surfaces.scans import ScanSpec
from benchmarks.surfaces.watched import PARTS, PICTURE_PARTS, watched
from benchmarks.tables import Table
from processing.face_landmarks import FaceDetector
from processing.face_model import find_face_model
from processing.mesh_encoding import encode_stl
from processing.mesh_files import read_mesh_file
from processing.surface.mesh import clean

LIMITS_S: Final = {30_000: 1.5, 100_000: 3.0, 200_000: 6.0, 1_000_000: 15.0}
MEMORY_LIMIT_MB: Final = 1_500.0
_REPOSITORY: Final = Path(__file__).resolve().parents[2]
_FITTING: Final = "fit_midsagittal_plane"
_TOO_LONG_TO_REPEAT_S: Final = 5.0


def time_tables(
    sizes: Sequence[int],
    repetitions: int,
    sources: Sequence[HeadSource],
    peers: dict[str, Registered],
    say: Callable[[str], None],
) -> list[Table]:
    """Parts, total and peak memory of one scan at each size, and its peers' registrations.

    Every size runs in a process of its own, warmed up on a small scan, because
    memory is only ever counted at its peak.
    """
    parts: list[tuple[Any, ...]] = []
    registrations: list[tuple[Any, ...]] = []
    with TemporaryDirectory(prefix="hemiface-benchmark-") as folder:
        small = _written(Path(folder) / "small.stl", 30_000, sources)[0]
        for size in sizes:
            path, case = _written(Path(folder) / f"{size}.stl", size, sources)
            done = _in_child(path, small, repetitions)
            parts.append(
                (
                    done["vertices"],
                    *(done["parts"].get(name) for name in ("read", *PARTS)),
                    *(done["measured_s"], LIMITS_S.get(size)),
                    *(done["processor_s"], done["warm_mb"], done["peak_mb"]),
                )
            )
            mesh, _ = clean(case.scan.surface)
            start = rough_start(true_plane(case), case.midline_mm().mean(axis=0), size)
            times = {HEMIFACE: done["parts"].get(_FITTING)}
            pair = mirrored(mesh, start)
            for name, register in peers.items():
                times[name] = _least_seconds(register, pair, repetitions)
            registrations.append((done["vertices"], *times.values()))
            say(f"time: {size} vertices, {done['measured_s']:.1f} s, {done['peak_mb']:.0f} MB")
    return [
        Table(
            "Time and memory, from an STL file to measurements",
            "Seconds, the least of the repetitions, model loaded; pictures and the model for a "
            "browser apart. Processor: time of all threads together, which other programs disturb "
            "less. MB: peak of the process, after the small scan that warms it up and at the end.",
            (
                *("vertices", "read", *PARTS, "without pictures", "limit"),
                *("processor, pictures too", "MB warm", "MB peak"),
            ),
            tuple(parts),
        ),
        Table(
            "Time of the registration alone",
            "Seconds on the same meshes in the same run, the least of the repetitions, or of one "
            f"alone that takes over {_TOO_LONG_TO_REPEAT_S:g} s; hemiface: everything that makes "
            "the plane from the landmarks, the affected area and the uncertainty included.",
            ("vertices", HEMIFACE, *peers),
            tuple(registrations),
        ),
    ]


def _least_seconds(register: Registered, pair: Mirrored, repetitions: int) -> float:
    taken: list[float] = []
    while len(taken) < repetitions and not any(each > _TOO_LONG_TO_REPEAT_S for each in taken):
        started = time.perf_counter()
        register(pair)
        taken.append(time.perf_counter() - started)
    return min(taken)


def _written(path: Path, vertices: int, sources: Sequence[HeadSource]) -> tuple[Path, Any]:
    spec = CaseSpec(1, Site.CHEEK_WIDE, 15.0, scan=ScanSpec(vertices=vertices))
    case = make_case(spec, sources)
    path.write_bytes(encode_stl(case.scan.surface))
    return path, case


def _in_child(path: Path, small: Path, repetitions: int) -> dict[str, Any]:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]);"
        "from benchmarks.surfaces.cost import measure_file; measure_file(*sys.argv[2:])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(_REPOSITORY), str(path), str(small), str(repetitions)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def measure_file(path: str, small: str, repetitions: str) -> None:
    """Measure one file in a process of its own and print JSON; see `time_tables`."""
    with FaceDetector(find_face_model(None, None)) as detector:
        watched(read_mesh_file(Path(small), "mm"), detector, pictures=True)
        warm = _peak_mb()
        runs = []
        for _ in range(int(repetitions)):
            processor = time.process_time()
            started = time.perf_counter()
            surface = read_mesh_file(Path(path), "mm")
            read = time.perf_counter() - started
            seen = watched(surface, detector, pictures=True)
            pictures = sum(seen.part_seconds.get(each, 0.0) for each in PICTURE_PARTS)
            runs.append(
                {
                    "measured_s": read + seen.seconds - pictures,
                    "processor_s": time.process_time() - processor,
                    "parts": {"read": read, **seen.part_seconds},
                }
            )
    best = min(runs, key=lambda run: float(str(run["measured_s"])))
    memory = {"warm_mb": warm, "peak_mb": _peak_mb(), "vertices": len(np.unique(surface.triangles))}
    print(json.dumps({**best, **memory}))


def _peak_mb() -> float:
    """Of this program alone: `getrusage` also counts who started it, up to the start."""
    status = Path("/proc/self/status").read_text()
    (kilobytes,) = re.findall(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(kilobytes) / 1024.0
