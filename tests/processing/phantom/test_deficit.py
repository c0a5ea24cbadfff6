from __future__ import annotations

import numpy as np
import pytest

from processing.measurement import Side
from processing.phantom.deficit import Site, depth_profile, enclosed_volume_mm3, hollowed
from processing.phantom.head import Head
from processing.rendering.scene import OffscreenScene


@pytest.mark.parametrize("site", list(Site))
@pytest.mark.parametrize("volume_ml", [0.5, 8.0])
def test_the_hollow_has_the_volume_asked_for(head: Head, site: Site, volume_ml: float) -> None:
    hollow = hollowed(head, site, Side.LEFT, volume_ml)
    assert hollow.volume_ml == pytest.approx(volume_ml, rel=1e-6)
    whole_head = enclosed_volume_mm3(head.fine.vertices, hollow.vertices_mm, head.fine.triangles)
    assert whole_head / 1000 == pytest.approx(volume_ml, rel=1e-6)


def radial_volume_ml(head: Head, inner: np.ndarray, step_deg: float) -> float:
    """The volume between the intact and another surface, by rays from inside the head.

    Independent of the way the truth is computed: midpoint rule over solid angle
    of the difference of the cubes of the radii.
    """
    centre = np.array([0.0, -5.0, -50.0])
    polar = np.radians(np.arange(-85 + step_deg / 2, 85, step_deg))  # elevation
    azimuth = np.radians(np.arange(step_deg / 2, 180, step_deg))  # to the left: x > 0
    elevation, turn = np.meshgrid(polar, azimuth, indexing="ij")
    directions = np.stack(
        [np.cos(elevation) * np.sin(turn), np.sin(elevation), np.cos(elevation) * np.cos(turn)], -1
    ).reshape(-1, 3)
    solid_angle = np.cos(elevation).ravel() * np.radians(step_deg) ** 2
    start = np.broadcast_to(centre, directions.shape)
    radii = []
    for vertices in (head.fine.vertices, inner):
        with OffscreenScene(vertices, head.fine.triangles) as scene:
            points, _ = scene.first_hits(start + 300 * directions, start)
        radii.append(np.nan_to_num(np.linalg.norm(points - centre, axis=1)))
    return float(((radii[0] ** 3 - radii[1] ** 3) / 3 * solid_angle).sum() / 1000)


@pytest.mark.parametrize(
    ("site", "volume_ml"), [(Site.CHEEK, 8.0), (Site.TEMPLE, 3.0), (Site.MANDIBLE, 5.0)]
)
def test_the_volume_agrees_with_an_integration_along_rays(
    head: Head, site: Site, volume_ml: float
) -> None:
    hollow = hollowed(head, site, Side.LEFT, volume_ml)
    assert radial_volume_ml(head, hollow.vertices_mm, 2.0) == pytest.approx(volume_ml, rel=0.005)


@pytest.mark.parametrize("site", list(Site))
def test_only_one_side_is_touched(head: Head, site: Site) -> None:
    left = depth_profile(head, site, Side.LEFT)
    assert left.max() > 0.9
    assert (left[head.fine.vertices[:, 0] <= 0] == 0).all()


@pytest.mark.parametrize("site", list(Site))
def test_left_and_right_are_mirror_images(head: Head, site: Site) -> None:
    left = hollowed(head, site, Side.LEFT, 3.0)
    right = hollowed(head, site, Side.RIGHT, 3.0)
    mirrored = right.vertices_mm[head.fine.mirror] * [-1, 1, 1]
    np.testing.assert_allclose(left.vertices_mm, mirrored, atol=1e-6)


def test_a_hollow_of_the_cheek_leaves_eyes_nose_and_mouth_alone(head: Head) -> None:
    moved = np.abs(hollowed(head, Site.CHEEK, Side.LEFT, 8.0).vertices_mm - head.fine.vertices)
    assert moved[[263, 362, 386, 374, 358, 291, 4, 152]].max() == 0


def test_no_deficit_moves_nothing(head: Head) -> None:
    hollow = hollowed(head, Site.CHEEK, Side.LEFT, 0.0)
    np.testing.assert_array_equal(hollow.vertices_mm, head.fine.vertices)
    assert hollow.volume_ml == 0


def test_more_than_a_site_can_hold_is_refused_with_the_most_it_can(head: Head) -> None:
    with pytest.raises(ValueError, match=r"forehead cannot lack 500 mL: at most \d+\.\d mL"):
        hollowed(head, Site.FOREHEAD, Side.LEFT, 500.0)


@pytest.mark.parametrize("volume_ml", [-1.0, float("nan")])
def test_a_volume_that_is_none_is_refused(head: Head, volume_ml: float) -> None:
    with pytest.raises(ValueError, match="not a volume"):
        hollowed(head, Site.CHEEK, Side.LEFT, volume_ml)
