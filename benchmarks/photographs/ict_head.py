"""ICT-FaceKit's morphable head: identities that are symmetric, and known departures from it.

R. Li et al., "Learning formation of physically-based face attributes", CVPR
2020 (MIT licence). Coordinates are mm, x to the patient's left, y up, z out of
the face.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.spatial import cKDTree

from benchmarks.photographs.profiles import PROFILES, Structure
from benchmarks.photographs.warped import Warp
from processing.measurement import Side

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

_MM_PER_UNIT: Final = 10.0
# Vertices of the model by part, as ICT-FaceKit's README lists them; an eye's
# first 770 vertices are sclera and cornea, the others lie inside.
_SKIN: Final = range(11248)
_FACE_VERTICES: Final = 9409
_MOUTH_SOCKET: Final = range(11248, 13294)
_EYE_STARTS: Final = {Side.LEFT: 21451, Side.RIGHT: 23021}
_EYE_VERTICES: Final = 770
_SUBDIVISIONS: Final = 2
_LARGEST_COEFFICIENT: Final = 2.0
_LID_TO_BROW_MM: Final = 6.0

VERTICES: Final[Mapping[str, int]] = MappingProxyType(
    {
        "exocanthion_right": 1507,
        "endocanthion_right": 1528,
        "palpebrale_superius_right": 1990,
        "palpebrale_inferius_right": 1515,
        "alare_right": 1136,
        "crista_philtri_right": 2081,
        "cheilion_right": 5708,
        "zygion_right": 1888,
        "gonion_right": 1719,
        "brow_medial_right": 1401,
        "brow_peak_right": 1914,
        "brow_lateral_right": 268,
        "glabella": 2031,
        "nasion": 978,
        "pronasale": 4857,
        "subnasale": 1147,
        "labiale_superius": 0,
        "stomion": 5533,
        "labiale_inferius": 5518,
        "sublabiale": 7,
        "gnathion": 966,
    }
)
"""Vertex of each anatomical point; those of the left are the mirror partners."""

CURVES: Final[Mapping[str, tuple[int, ...]]] = MappingProxyType(
    {
        "upper_lid_margin": (
            *(1507, 1546, 1545, 1933, 1544, 1543, 1542, 1541, 1540, 1962, 1990, 1538),
            *(1930, 1537, 1536, 1535, 1534, 1533, 1532, 1531, 1530, 1529, 1528),
        ),
        "lower_lid_margin": (
            *(1507, 2243, 1623, 1508, 1509, 1510, 1511, 1512, 1513, 1514, 1515, 1516, 1517),
            *(1518, 1519, 1520, 1521, 1522, 1523, 1524, 1525, 1526, 1527, 2234, 1528),
        ),
        "upper_vermilion_border": (
            *(5708, 5681, 5920, 5623, 5622, 5601, 5695, 2081, 2069, 353, 171, 0),
        ),
        "lower_vermilion_border": (
            *(5708, 5706, 5707, 5990, 5732, 5890, 5795, 5808, 5826, 5841, 5852, 5870, 5971),
            *(5957, 5976, 6004, 5881, 5933, 5518),
        ),
        "lip_line": (
            *(5708, 5620, 5702, 5915, 5596, 5595, 5579, 5578, 5589, 5606, 5630, 5657, 5656),
            *(5711, 5712, 5736, 6037, 6023, 5781, 5796, 5533),
        ),
        "brow": (268, 493, 1914, 2044, 1401),
    }
)
"""Vertices along curves of the right side, from lateral to medial."""


@dataclass(frozen=True, slots=True, eq=False)
class HeadModel:
    """The model, read and refined.

    Parameters
    ----------
    neutral_mm : (n, 3) float64 array
        Coarse vertices of skin, mouth socket and both eyes; exactly symmetric.
    identity_mm : (100, n, 3) float32 array
        Exactly symmetric.
    expression_mm : mapping of str to (n, 3) float64 array
        Most of them of one side: ``mouthSmile_L`` is the patient's left.
    refine : (k, n) sparse matrix
        Vertices of the finely subdivided head from the coarse ones.
    triangles : (m, 3) int64 array
        Of the fine head.
    coarse_triangles : (l, 3) int64 array
    mirror : (n,) int64 array
        Left-right partner of each coarse vertex.
    eyes : mapping of Side to (770,) int64 array
        Coarse vertices of each eyeball.
    skin, mouth_socket : int64 array
        Coarse vertices of those parts.
    """

    neutral_mm: Array = field(repr=False)
    identity_mm: NDArray[np.float32] = field(repr=False)
    expression_mm: Mapping[str, Array] = field(repr=False)
    refine: sparse.csr_matrix = field(repr=False)
    triangles: Indices = field(repr=False)
    coarse_triangles: Indices = field(repr=False)
    mirror: Indices = field(repr=False)
    eyes: Mapping[Side, Indices] = field(repr=False)
    skin: Indices = field(repr=False)
    mouth_socket: Indices = field(repr=False)

    def vertex(self, name: str) -> int:
        """The coarse vertex of an anatomical point, ``name`` or ``name_left``, ``name_right``."""
        if name.endswith("_left"):
            return int(self.mirror[VERTICES[name.removesuffix("_left") + "_right"]])
        return VERTICES[name]

    def curve(self, name: str, side: Side) -> Indices:
        """Coarse vertices along one of `CURVES`, from lateral to medial."""
        right = np.array(CURVES[name])
        return right if side is Side.RIGHT else self.mirror[right]

    def identity(self, seed: int | None) -> Array:
        """Coarse vertices of a random symmetric head; of the mean head for None."""
        if seed is None:
            return self.neutral_mm
        drawn = np.random.default_rng(seed).standard_normal(len(self.identity_mm))
        drawn = np.clip(drawn, -_LARGEST_COEFFICIENT, _LARGEST_COEFFICIENT)
        shape: Array = self.neutral_mm + np.tensordot(drawn, self.identity_mm, axes=1)
        return shape

    def warped(self, shape_mm: Array, warp: Warp) -> Array:
        """The head with a structure of its skin displaced by a known field.

        The field has the profile of `benchmarks.photographs.warped`, taken on
        the mean head; brows move on the skin down to the lid.
        """
        outward = 1.0 if warp.side is Side.LEFT else -1.0
        eye = self.neutral_mm[self.eyes[Side.LEFT]]
        pupil_height = float(eye[:, 1].mean())
        frame = np.array([outward, 1.0])
        places = (self.neutral_mm[:, :2] - (0.0, pupil_height)) * frame

        def at(name: str) -> Array:
            of_side = f"{name}_{warp.side.value}"
            vertex = self.vertex(name if name in VERTICES else of_side)
            where: Array = places[vertex]
            return where

        weight = PROFILES[warp.structure](places[:, 0], places[:, 1], at)
        held = [*self.mouth_socket, *self.eyes[Side.LEFT], *self.eyes[Side.RIGHT]]
        if warp.structure is Structure.BROW:
            lid = at("palpebrale_superius")[1]
            weight = weight * np.clip((places[:, 1] - lid) / _LID_TO_BROW_MM, 0, 1)
        if warp.structure is not Structure.COMMISSURE:
            weight[held] = 0.0
        by = np.array([warp.outward_mm * outward, warp.upward_mm, 0.0])
        moved: Array = shape_mm + weight[:, None] * by
        return moved


@lru_cache(maxsize=1)
def read_head_model(folder: Path) -> HeadModel:
    """Read ``ict_model.npz`` and ``mirror_map_11248.npy``.

    Raises
    ------
    FileNotFoundError
        If the model is not there.
    """
    with np.load(folder / "ict_model.npz") as file:
        neutral = file["neutral"].astype(np.float64) * _MM_PER_UNIT
        identity = file["identity"] * np.float32(_MM_PER_UNIT)
        expression = file["expression"].astype(np.float64) * _MM_PER_UNIT
        names = [str(each) for each in file["expression_names"]]
        quads = file["faces"].astype(np.int64)
    skin_mirror = np.load(folder / "mirror_map_11248.npy").astype(np.int64)

    eyes = {side: np.arange(start, start + _EYE_VERTICES) for side, start in _EYE_STARTS.items()}
    kept = np.concatenate([_SKIN, _MOUTH_SOCKET, eyes[Side.LEFT], eyes[Side.RIGHT]])
    new_index = np.full(len(neutral), -1, dtype=np.int64)
    new_index[kept] = np.arange(len(kept))
    quads = _within(quads, new_index)
    neutral, identity, expression = neutral[kept], identity[:, kept], expression[:, kept]

    mirror = _mirror(neutral, new_index, skin_mirror, eyes)
    flip = np.array([-1.0, 1.0, 1.0])
    neutral = (neutral + neutral[mirror] * flip) / 2
    identity = (identity + identity[:, mirror] * flip.astype(np.float32)) / 2
    refine, fine = _subdivided(quads, len(kept), _SUBDIVISIONS)
    return HeadModel(
        neutral_mm=neutral,
        identity_mm=identity,
        expression_mm=MappingProxyType(dict(zip(names, expression, strict=True))),
        refine=refine,
        triangles=_triangles(fine),
        coarse_triangles=_triangles(quads),
        mirror=mirror,
        eyes=MappingProxyType({side: new_index[each] for side, each in eyes.items()}),
        skin=np.arange(len(_SKIN)),
        mouth_socket=new_index[list(_MOUTH_SOCKET)],
    )


def _within(quads: Indices, new_index: Indices) -> Indices:
    """The faces that have all their vertices kept, renumbered; -1 stays for a triangle."""
    renumbered = np.where(quads >= 0, new_index[quads], -1)
    keeps = (renumbered >= 0) | (quads < 0)
    chosen: Indices = renumbered[keeps.all(axis=1)]
    return chosen


def _mirror(
    neutral: Array, new_index: Indices, skin_mirror: Indices, eyes: Mapping[Side, Indices]
) -> Indices:
    """Partners: of the skin as given, of the other parts by place."""
    _, nearest_of_all = cKDTree(neutral).query(neutral * [-1.0, 1.0, 1.0])
    partners: Indices = nearest_of_all.astype(np.int64)
    partners[: len(skin_mirror)] = skin_mirror
    for side, other in ((Side.LEFT, Side.RIGHT), (Side.RIGHT, Side.LEFT)):
        own, opposite = new_index[eyes[side]], new_index[eyes[other]]
        _, nearest = cKDTree(neutral[opposite]).query(neutral[own] * [-1.0, 1.0, 1.0])
        partners[own] = opposite[nearest]
    return partners


def _edges(faces: Indices) -> Indices:
    """Directed edges (k, 2) of quads and triangles."""
    quads, triangles = faces[faces[:, 3] >= 0], faces[faces[:, 3] < 0]
    return np.concatenate(
        [
            *(quads[:, [corner, (corner + 1) % 4]] for corner in range(4)),
            *(triangles[:, [corner, (corner + 1) % 3]] for corner in range(3)),
        ]
    )


def _subdivided(faces: Indices, count: int, steps: int) -> tuple[sparse.csr_matrix, Indices]:
    """Catmull-Clark subdivision as a matrix, and the fine quads.

    E. Catmull, J. Clark, "Recursively generated B-spline surfaces on arbitrary
    topological meshes", Computer-Aided Design 1978;10:350. Borders are
    subdivided as curves.
    """
    whole = sparse.identity(count, format="csr")
    for _ in range(steps):
        step, faces = _subdivided_once(faces, whole.shape[0])
        whole = step @ whole
    return whole.tocsr(), faces


def _subdivided_once(faces: Indices, count: int) -> tuple[sparse.csr_matrix, Indices]:
    corners = np.where(faces[:, 3] >= 0, 4, 3)
    face_of = np.repeat(np.arange(len(faces)), corners)
    vertex_of = faces[faces >= 0]
    to_face = sparse.csr_matrix(
        (np.repeat(1 / corners, corners), (face_of, vertex_of)), shape=(len(faces), count)
    )
    following = np.concatenate(
        [np.roll(face[:size], -1) for face, size in zip(faces, corners, strict=True)]
    )
    directed = np.sort(np.stack([vertex_of, following], axis=1), axis=1)
    edges, edge_of, uses = np.unique(directed, axis=0, return_inverse=True, return_counts=True)
    edge_of = edge_of.reshape(-1)
    ends = _ones(np.repeat(np.arange(len(edges)), 2), edges.ravel(), (len(edges), count))
    beside = _ones(edge_of, face_of, (len(edges), len(faces)))
    inner = uses == 2
    to_edge = sparse.diags(np.where(inner, 0.25, 0.5)) @ ends + sparse.diags(
        np.where(inner, 0.25, 0.0)
    ) @ (beside @ to_face)

    valence = np.bincount(vertex_of, minlength=count)
    border = np.zeros(count, dtype=bool)
    border[edges[~inner]] = True
    mean_of_faces = _rows_to_mean(_ones(vertex_of, face_of, (count, len(faces)))) @ to_face
    mean_of_middles = _rows_to_mean(ends.T) @ ends / 2
    safe = np.maximum(valence, 1)
    itself = sparse.identity(count)
    within = sparse.diags(1 / safe) @ mean_of_faces + sparse.diags(2 / safe) @ mean_of_middles
    within = within + sparse.diags((safe - 3) / safe) @ itself
    along = _rows_to_mean(ends[~inner].T) @ ends[~inner] / 2
    on_border = 0.5 * itself + 0.5 * along
    to_vertex = sparse.diags((~border & (valence > 0)).astype(float)) @ within
    to_vertex = to_vertex + sparse.diags(border.astype(float)) @ on_border
    matrix = sparse.vstack([to_vertex, to_edge, to_face]).tocsr()

    previous = np.concatenate(
        [np.roll(part, 1) for part in np.split(edge_of, np.cumsum(corners)[:-1])]
    )
    fine = np.stack(
        [vertex_of, count + edge_of, count + len(edges) + face_of, count + previous], axis=1
    )
    return matrix, fine


def _ones(rows: Indices, columns: Indices, shape: tuple[int, int]) -> sparse.csr_matrix:
    return sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=shape)


def _rows_to_mean(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    total = np.asarray(matrix.sum(axis=1)).ravel()
    return sparse.diags(1 / np.maximum(total, 1)) @ matrix


def _triangles(faces: Indices) -> Indices:
    quads = faces[faces[:, 3] >= 0]
    return np.concatenate([faces[:, :3], quads[:, [0, 2, 3]]])
