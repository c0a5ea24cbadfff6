from __future__ import annotations

import numpy as np
import pytest

from processing.surface.frame import REFERENCE_LANDMARKS_MM, FaceFrame
from processing.surface.mesh import Mesh
from processing.surface.named_regions import DERMATOMES, NINE_PARTS, THIRDS, face_regions
from processing.surface.radial import RadialMaps, radial_maps
from processing.surface.regions import WHOLE

LANDMARKS = {name: np.array(place) for name, place in REFERENCE_LANDMARKS_MM.items()}


@pytest.fixture(scope="module")
def maps(symmetric_face: Mesh, face_frame: FaceFrame) -> RadialMaps:
    return radial_maps(symmetric_face, face_frame)


@pytest.mark.parametrize("names", [NINE_PARTS, THIRDS, DERMATOMES])
def test_the_parts_share_the_facial_region_without_gap_or_overlap(
    maps: RadialMaps, names: tuple[str, ...]
) -> None:
    regions = face_regions(maps, LANDMARKS)
    count = np.sum([regions[name] for name in names], axis=0)
    assert np.array_equal(count, regions[WHOLE].astype(int))
    assert all(np.count_nonzero(regions[name]) > 300 for name in names)


@pytest.mark.parametrize(
    ("place", "part", "dermatome"),
    [
        ((10.0, 66.0), "forehead", "V1"),
        ((64.0, 40.0), "temple", "V2"),
        ((32.0, 36.0), "periorbital", "V1"),
        ((32.0, 18.0), "periorbital", "V2"),
        ((3.0, 10.0), "nose", "V1"),
        ((14.0, -9.0), "nose", "V2"),
        ((45.0, -10.0), "cheek", "V2"),
        ((10.0, -30.0), "upper lip", "V2"),
        ((10.0, -50.0), "lower lip", "V3"),
        ((5.0, -78.0), "chin", "V3"),
        ((55.0, -55.0), "mandible", "V3"),
    ],
)
def test_a_place_of_the_reference_face_lies_where_a_clinician_says(
    maps: RadialMaps, place: tuple[float, float], part: str, dermatome: str
) -> None:
    regions = face_regions(maps, LANDMARKS)
    points = maps.points_mm()[..., :2]
    away = np.where(maps.measured, np.linalg.norm(points - place, axis=-1), np.inf)
    nearest = np.unravel_index(int(np.argmin(away)), away.shape)
    inside = {name for name in (*NINE_PARTS, *DERMATOMES) if regions[name][nearest]}
    assert inside == {part, dermatome}


def test_a_landmark_that_is_off_on_one_side_moves_a_region_on_both(maps: RadialMaps) -> None:
    shifted = dict(LANDMARKS) | {"cheilion_left": LANDMARKS["cheilion_left"] + (0.0, -6.0, 0.0)}
    other = dict(LANDMARKS) | {"cheilion_right": LANDMARKS["cheilion_right"] + (0.0, -6.0, 0.0)}
    one, two = face_regions(maps, shifted), face_regions(maps, other)
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert not np.array_equal(one["lower lip"], face_regions(maps, LANDMARKS)["lower lip"])
