from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from processing.surface.frame import FaceFrame
from processing.surface.mesh import Mesh, make_mesh
from processing.surface.radial import RadialMaps, radial_maps
from processing.surface.regions import affected_pixels
from processing.surface.scan_noise import ScanNoise, scan_noise


def _waves(points: NDArray[np.float64], length_mm: float, seed: int) -> NDArray[np.float64]:
    """A smooth random field of unit variance with a Gaussian correlation."""
    random = np.random.default_rng(seed)
    waves = random.normal(scale=1 / length_mm, size=(3, 400))
    phases = random.uniform(0, 2 * np.pi, 400)
    return np.sqrt(2 / 400) * np.cos(points @ waves + phases).sum(axis=1)


def _noisy(mesh: Mesh, frame: FaceFrame, size_mm: float, length_mm: float, seed: int) -> RadialMaps:
    noise = size_mm * _waves(mesh.vertices_mm, length_mm, seed)
    rough = make_mesh(mesh.vertices_mm + mesh.normals * noise[:, None], mesh.triangles)
    return radial_maps(rough, frame)


def _estimated(maps: RadialMaps) -> ScanNoise:
    return scan_noise(maps, affected_pixels(maps))


def test_a_face_without_noise_has_none(symmetric_face: Mesh, face_frame: FaceFrame) -> None:
    maps = radial_maps(symmetric_face, face_frame)
    assert _estimated(maps).volume_sd_ml(maps.measured) < 1e-3


def test_the_noise_of_a_volume_is_what_repeated_scans_scatter_by(
    symmetric_face: Mesh, face_frame: FaceFrame
) -> None:
    volumes, claimed = [], []
    for seed in range(6):
        maps = _noisy(symmetric_face, face_frame, 0.1, 5.0, seed)
        volumes.append(maps.cubes_mm3.sum() / 1000)
        claimed.append(_estimated(maps).volume_sd_ml(maps.measured))
    scatter = float(np.sqrt(np.mean(np.square(volumes))))
    assert 0.6 * scatter < np.median(claimed) < 3.0 * scatter


def test_noise_that_goes_on_for_longer_weighs_more(
    symmetric_face: Mesh, face_frame: FaceFrame
) -> None:
    short, long = (_noisy(symmetric_face, face_frame, 0.1, each, 3) for each in (2.0, 7.0))
    assert _estimated(short).volume_sd_ml(short.measured) < 0.7 * _estimated(long).volume_sd_ml(
        long.measured
    )


def test_what_is_as_long_as_a_cheek_is_shape_and_no_noise(
    symmetric_face: Mesh, face_frame: FaceFrame
) -> None:
    maps = _noisy(symmetric_face, face_frame, 0.3, 18.0, 5)
    noise = _estimated(maps)
    assert np.sqrt(noise.shape_variance_mm2) > 0.2
    assert noise.shape_sd_ml(maps.measured) > noise.volume_sd_ml(maps.measured)


def test_a_deficit_is_no_noise(dented_face: tuple[Mesh, float], face_frame: FaceFrame) -> None:
    mesh, _ = dented_face
    maps = radial_maps(mesh, face_frame)
    noise = _estimated(maps)
    assert noise.volume_sd_ml(maps.measured) < 0.1
    deep = np.abs(np.nan_to_num(maps.left_mm - maps.right_mm)) > 1.0
    assert not (noise.quiet & deep).any()


def test_the_noise_of_a_part_is_less_than_that_of_the_whole(
    symmetric_face: Mesh, face_frame: FaceFrame
) -> None:
    maps = _noisy(symmetric_face, face_frame, 0.1, 5.0, 7)
    noise = _estimated(maps)
    part = maps.measured.copy()
    part[: len(part) // 2] = False
    assert 0 < noise.volume_sd_ml(part) < noise.volume_sd_ml(maps.measured)
    assert noise.volume_sd_ml(2.0 * part) == pytest.approx(2 * noise.volume_sd_ml(part))
