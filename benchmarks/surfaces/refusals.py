"""What must be refused, and with which words."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.surfaces.cases import Case, CaseSpec, make_case
from benchmarks.surfaces.heads import HeadSource
from benchmarks.surfaces.watched import watched
from benchmarks.tables import Table
from processing.face_landmarks import FaceDetector
from processing.inputs import Surface
from processing.measurement import RejectedInput, Status
from processing.mesh_encoding import encode_stl
from processing.mesh_files import read_mesh_file

Array = NDArray[np.float64]

_CUBE_STEPS: Final = 40
_GRID_MM: Final = 2.0
_MOUTH_CANONICAL_MM: Final = (0.0, -43.0, 57.0)
_MOUTH_RADIUS_MM: Final = 34.0
_SMOOTHINGS: Final = 400
_NOSE_CANONICAL_MM: Final = ((0.0, -11.3, 74.8), (0.0, 10.0, 63.0))
_NOSE_RADIUS_MM: Final = 28.0
# Orbits and the piriform opening of a skull: left and up, radius and depth.
_OPENINGS_CANONICAL_MM: Final = (
    ((32.0, 26.0), 17.0, 28.0),
    ((-32.0, 26.0), 17.0, 28.0),
    ((0.0, -8.0), 10.0, 15.0),
)


def refusal_table(
    sources: Sequence[HeadSource], detector: FaceDetector, say: Callable[[str], None]
) -> Table:
    """Everything the issue says must be refused, and what became of it."""
    rows: list[tuple[str, str, str]] = []
    for name, surface in _wrong_inputs(sources):
        try:
            analysis = watched(_as_read(surface), detector).analysis
            status = analysis.status.value
            reason = analysis.reason or "-"
            if analysis.status is Status.MEASURED:
                status = "MEASURED"
        except RejectedInput as rejection:
            status, reason = "refused, reading", str(rejection)
        rows.append((name, status, reason))
        say(f"{name}: {status}")
    return Table(
        "What must be refused",
        "Each goes the way of a file. The hand and the first skull are crude shapes of spheres "
        "and capsules: a refusal of them is needed, and proves little. The second skull is a face "
        "without lips and nose whose orbits are empty; a detector sees a face in it.",
        ("input", "status", "reason"),
        tuple(rows),
    )


def _as_read(surface: Surface) -> Surface:
    """Through the file reader, because some of it must be stopped there."""
    with tempfile.TemporaryDirectory(prefix="hemiface-benchmark-") as folder:
        path = Path(folder) / f"{surface.source.replace(' ', '-')}.stl"
        path.write_bytes(encode_stl(surface))
        unit = surface.unit if surface.unit_stated else None
        return read_mesh_file(path, unit)


def _wrong_inputs(sources: Sequence[HeadSource]) -> Iterator[tuple[str, Surface]]:
    case = make_case(CaseSpec(1), sources)
    face = case.scan.surface
    yield "a cube", _cube()
    yield "a hand", _of_distance(_hand, 120.0)
    yield "a skull", _of_distance(_skull, 130.0)
    left = (face.vertices_mm @ case.normal) > case.offset_mm
    yield "half a face", _kept(face, left)
    yield "a face without a mouth", _without(case, [_MOUTH_CANONICAL_MM], _MOUTH_RADIUS_MM)
    yield "a face without a nose", _without(case, _NOSE_CANONICAL_MM, _NOSE_RADIUS_MM)
    yield "a skull carved from a face", _carved(case)
    for name, size in (("metres", 1e-3), ("inches", 1 / 25.4), ("centimetres", 0.1)):
        small = replace(face, vertices_mm=face.vertices_mm * size, unit_stated=False)
        yield f"{name}, no unit stated", small
    for name, value in (("NaN", np.nan), ("infinite", np.inf)):
        broken = face.vertices_mm.copy()
        broken[100] = value
        yield f"a vertex that is {name}", replace(face, vertices_mm=broken)
    yield "an empty mesh", replace(face, vertices_mm=np.zeros((0, 3)), triangles=_nothing())


def _nothing() -> NDArray[np.int32]:
    return np.zeros((0, 3), np.int32)


def _kept(surface: Surface, kept: NDArray[np.bool_]) -> Surface:
    triangles = surface.triangles[kept[surface.triangles].all(axis=1)]
    used, compact = np.unique(triangles, return_inverse=True)
    return Surface(
        surface.vertices_mm[used], compact.reshape(-1, 3).astype(np.int32), "half a face"
    )


def _without(case: Case, parts: Sequence[tuple[float, float, float]], radius_mm: float) -> Surface:
    """The scan of a face with everything near some places smoothed away."""
    surface = case.scan.surface
    places = case.scan.placed(case.head.from_canonical(np.array(parts)))
    away = [np.linalg.norm(surface.vertices_mm - place, axis=1) for place in places]
    near = np.min(away, axis=0) < radius_mm
    count = len(surface.vertices_mm)
    ends = np.concatenate([surface.triangles[:, [a, b]] for a, b in ((0, 1), (1, 2), (2, 0))])
    ends = np.concatenate([ends, ends[:, ::-1]])
    valence = np.maximum(np.bincount(ends[:, 0], minlength=count), 1)
    vertices = surface.vertices_mm.copy()
    for _ in range(_SMOOTHINGS):
        mean = np.stack(
            [np.bincount(ends[:, 0], vertices[ends[:, 1], axis], count) for axis in range(3)],
            axis=1,
        )
        vertices[near] = (mean / valence[:, None])[near]
    return replace(surface, vertices_mm=vertices, source="a face without a part")


def _carved(case: Case) -> Surface:
    """The same without mouth and nose, and with empty orbits."""
    flat = _without(case, [_MOUTH_CANONICAL_MM, *_NOSE_CANONICAL_MM], _MOUTH_RADIUS_MM)
    axes = case.scan.placed(np.eye(3)) - case.scan.placed(np.zeros((1, 3)))
    on_head = (flat.vertices_mm - case.scan.placed(np.zeros((1, 3)))) @ np.linalg.inv(axes)
    local = case.head.to_canonical(on_head)
    for (left, up), radius, depth in _OPENINGS_CANONICAL_MM:
        away = np.hypot(local[:, 0] - left, local[:, 1] - up) / radius
        hollow = (away < 1) & (local[:, 2] > -30)
        local[hollow, 2] -= depth * np.clip(2 * (1 - away[hollow]), 0, 1)
    return replace(
        flat, vertices_mm=case.scan.placed(case.head.from_canonical(local)), source="a carved skull"
    )


def _cube() -> Surface:
    steps = np.linspace(-70.0, 70.0, _CUBE_STEPS)
    u, v = (each.ravel() for each in np.meshgrid(steps, steps))
    fixed = np.full_like(u, 70.0)
    index = np.arange(_CUBE_STEPS**2).reshape(_CUBE_STEPS, _CUBE_STEPS)
    a, b, c, d = (
        each.ravel() for each in (index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1])
    )
    square = np.concatenate([np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1)])
    vertices: list[Array] = []
    triangles: list[NDArray[np.int64]] = []
    for axis in range(3):
        for sign in (1.0, -1.0):
            placed = np.roll(np.stack([u, v, sign * fixed], axis=1), axis + 1, axis=1)
            triangles.append((square if sign > 0 else square[:, ::-1]) + len(vertices) * len(u))
            vertices.append(placed)
    return Surface(np.concatenate(vertices), np.concatenate(triangles).astype(np.int32), "a cube")


def _of_distance(distance: Callable[[Array], Array], reach_mm: float) -> Surface:
    """The surface where a signed distance is zero, by marching cubes."""
    from vtkmodules.util import numpy_support
    from vtkmodules.vtkCommonDataModel import vtkImageData
    from vtkmodules.vtkFiltersCore import vtkFlyingEdges3D

    steps = np.arange(-reach_mm, reach_mm + _GRID_MM, _GRID_MM)
    # VTK counts x first.
    z, y, x = np.meshgrid(steps, steps, steps, indexing="ij")
    values = distance(np.stack([x, y, z], axis=-1).reshape(-1, 3))
    image = vtkImageData()
    image.SetDimensions(len(steps), len(steps), len(steps))
    image.SetSpacing(_GRID_MM, _GRID_MM, _GRID_MM)
    image.SetOrigin(-reach_mm, -reach_mm, -reach_mm)
    # vtk's conversion carries no types.
    image.GetPointData().SetScalars(
        numpy_support.numpy_to_vtk(values, deep=True)  # type: ignore[no-untyped-call]  # no stubs
    )
    edges = vtkFlyingEdges3D()
    edges.SetInputData(image)
    edges.SetValue(0, 0.0)
    edges.ComputeNormalsOff()
    edges.Update()
    mesh = edges.GetOutput()
    points = numpy_support.vtk_to_numpy(  # type: ignore[no-untyped-call]  # as above
        mesh.GetPoints().GetData()
    )
    cells = numpy_support.vtk_to_numpy(  # type: ignore[no-untyped-call]  # as above
        mesh.GetPolys().GetConnectivityArray()
    )
    name = distance.__name__.strip("_")
    return Surface(
        np.asarray(points, np.float64), np.asarray(cells).reshape(-1, 3).astype(np.int32), name
    )


def _capsule(points: Array, start: Sequence[float], end: Sequence[float], radius: float) -> Array:
    first, along = np.array(start), np.array(end) - np.array(start)
    share = np.clip((points - first) @ along / (along @ along), 0, 1)
    distance: Array = np.linalg.norm(points - first - share[:, None] * along, axis=1) - radius
    return distance


def _hand(points: Array) -> Array:
    """A palm of three capsules and five fingers."""
    parts = [
        _capsule(points, (x, -60.0, 0.0), (0.9 * x, 10.0, 0.0), 14.0) for x in (-25.0, 0.0, 25.0)
    ]
    for x, top in ((-33.0, 60.0), (-11.0, 85.0), (11.0, 90.0), (33.0, 78.0)):
        parts.append(_capsule(points, (0.8 * x, 10.0, 0.0), (x, top, 4.0), 8.5))
    parts.append(_capsule(points, (30.0, -40.0, 4.0), (70.0, 5.0, 20.0), 10.0))
    parts.append(_capsule(points, (0.0, -70.0, 0.0), (0.0, -110.0, 0.0), 26.0))
    return np.asarray(np.minimum.reduce(parts))


def _skull(points: Array) -> Array:
    """A cranium, cheekbones and a jaw, with orbits and a piriform opening cut in."""
    bone = np.minimum.reduce(
        [
            np.linalg.norm((points - (0, 35, -25)) / (0.95, 0.95, 1.15), axis=1) - 72.0,
            _capsule(points, (-50, -15, 20), (50, -15, 20), 16.0),
            _capsule(points, (-45, -60, 0), (0, -85, 40), 11.0),
            _capsule(points, (45, -60, 0), (0, -85, 40), 11.0),
            _capsule(points, (-52, -15, -10), (-45, -60, 0), 9.0),
            _capsule(points, (52, -15, -10), (45, -60, 0), 9.0),
            _capsule(points, (0, -20, 25), (0, -70, 35), 20.0),
        ]
    )
    openings = np.minimum.reduce(
        [
            np.linalg.norm(points - (33, 5, 42), axis=1) - 19.0,
            np.linalg.norm(points - (-33, 5, 42), axis=1) - 19.0,
            _capsule(points, (0, -8, 45), (0, -25, 50), 11.0),
            _capsule(points, (-18, -58, 58), (18, -58, 58), 4.0),
        ]
    )
    return np.asarray(np.maximum(bone, -openings))
