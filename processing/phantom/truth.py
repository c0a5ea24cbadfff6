"""What is known about a phantom, for whoever measures it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from processing.landmarks import MIDLINE_LANDMARKS, PAIRED_LANDMARKS
from processing.measurement import Plane, Side
from processing.phantom.deficit import Hollowed, Site
from processing.phantom.head import Head
from processing.phantom.scanner import rotation
from processing.rendering.camera import Camera

# Those of the named landmarks that the phantom's head really has in that place.
_MIDLINE: Final = (
    "glabella",
    "nasion",
    "pronasale",
    "subnasale",
    "labiale_superius",
    "labiale_inferius",
    "gnathion",
)
_PAIRED: Final = (
    "exocanthion",
    "endocanthion",
    "palpebrale_superius",
    "palpebrale_inferius",
    "brow_medial",
    "brow_peak",
    "brow_lateral",
    "alare",
    "cheilion",
    "zygion",
    "gonion",
)


@dataclass(frozen=True, slots=True)
class PairDistance:
    """Distances of a structure's two sides to the midline of the photograph, in mm.

    Horizontal, at the pixel spacing of the plane of the pupils.
    """

    right_mm: float
    left_mm: float

    @property
    def ratio(self) -> float:
        """The smaller over the larger distance, 0 to 1."""
        return min(self.right_mm, self.left_mm) / max(self.right_mm, self.left_mm)


@dataclass(frozen=True, slots=True)
class PhantomTruth:
    """What is true of one phantom.

    Parameters
    ----------
    site, side
        Where the volume is lacking.
    deficit_ml : float
        How much, as computed from the surfaces.
    volume_discrepancy_ml : float
        Left minus right: negative when the left hemiface lacks volume.
    greatest_depth_mm, affected_area_mm2 : float
        Of the hollow.
    midsagittal_plane : Plane
        In the frame of the scan.
    landmarks_mm : mapping of str to (x, y, z)
        In the frame of the scan, without its noise.
    landmarks_px : mapping of str to (column, row)
        In the photograph.
    pair_distances : mapping of str to PairDistance
        In the photograph.
    pixel_spacing_mm : float
        Of the photograph, at the plane of the pupils.
    pose_deg : (yaw, pitch, roll)
        Of the scan.
    photograph_yaw_deg : float
    """

    site: Site
    side: Side
    deficit_ml: float
    volume_discrepancy_ml: float
    greatest_depth_mm: float
    affected_area_mm2: float
    midsagittal_plane: Plane
    landmarks_mm: Mapping[str, tuple[float, float, float]]
    landmarks_px: Mapping[str, tuple[float, float]]
    pair_distances: Mapping[str, PairDistance]
    pixel_spacing_mm: float
    pose_deg: tuple[float, float, float]
    photograph_yaw_deg: float


def landmark_points(head: Head, vertices_mm: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Named landmarks of the head, hollowed or not, each (3,), in the frame of the head."""
    named = {name: vertices_mm[MIDLINE_LANDMARKS[name]] for name in _MIDLINE}
    for name in _PAIRED:
        right, left = PAIRED_LANDMARKS[name]
        named[f"{name}_right"] = vertices_mm[right]
        named[f"{name}_left"] = vertices_mm[left]
    for side, sign in ((Side.RIGHT, -1.0), (Side.LEFT, 1.0)):
        pupil = head.pupil_left_mm * [sign, 1, 1]
        nearest = int(((head.fine.vertices - pupil) ** 2).sum(axis=1).argmin())
        moved = vertices_mm[nearest] - head.fine.vertices[nearest]
        named[f"iris_centre_{side}"] = pupil + moved
    return named


def collected_truth(
    head: Head,
    hollow: Hollowed,
    *,
    site: Site,
    side: Side,
    pose_deg: tuple[float, float, float],
    shift_mm: tuple[float, float, float],
    camera: Camera,
    pixel_spacing_mm: float,
    photograph_yaw_deg: float,
) -> PhantomTruth:
    """Collect what is true of a phantom.

    Parameters
    ----------
    head : Head
    hollow : Hollowed
    site, side
        Of the hollow.
    pose_deg : (yaw, pitch, roll)
        Of the scan; see `processing.phantom.scanner.rotation`.
    shift_mm : (x, y, z)
        Where the scan's frame has the origin of the head.
    camera : Camera
        Of the photograph, in the frame of the head.
    pixel_spacing_mm, photograph_yaw_deg : float
        Of the photograph.
    """
    turn = rotation(*pose_deg)
    points = landmark_points(head, hollow.vertices_mm)
    in_scan = {name: point @ turn.T + shift_mm for name, point in points.items()}
    pixels = dict(zip(points, camera.project(np.stack(list(points.values()))), strict=True))
    normal = turn[:, 0]
    return PhantomTruth(
        site=site,
        side=side,
        deficit_ml=hollow.volume_ml,
        volume_discrepancy_ml=(hollow.volume_ml if side is Side.RIGHT else -hollow.volume_ml)
        or 0.0,
        greatest_depth_mm=hollow.depth_mm,
        affected_area_mm2=hollow.area_mm2,
        midsagittal_plane=Plane(
            (float(normal[0]), float(normal[1]), float(normal[2])), float(normal @ shift_mm)
        ),
        landmarks_mm={
            name: (float(at[0]), float(at[1]), float(at[2])) for name, at in in_scan.items()
        },
        landmarks_px={name: (float(at[0]), float(at[1])) for name, at in pixels.items()},
        pair_distances=_pair_distances(head, pixels, camera, pixel_spacing_mm),
        pixel_spacing_mm=pixel_spacing_mm,
        pose_deg=pose_deg,
        photograph_yaw_deg=photograph_yaw_deg,
    )


def truth_as_json(truth: PhantomTruth) -> dict[str, Any]:
    """The truth in JSON, with the names of quantities and units of the published results."""
    plane = truth.midsagittal_plane
    yaw, pitch, roll = truth.pose_deg
    return {
        "schema": 1,
        "deficit": {
            "site": truth.site.value,
            "side": truth.side.value,
            "volume_ml": truth.deficit_ml,
            "greatest_depth_mm": truth.greatest_depth_mm,
            "area_mm2": truth.affected_area_mm2,
        },
        "surface": {
            "volume_discrepancy_ml": truth.volume_discrepancy_ml,
            "planes": {"midsagittal": {"normal": list(plane.normal), "offset": plane.offset_mm}},
            "landmarks": {name: list(point) for name, point in truth.landmarks_mm.items()},
            "pose_deg": {"yaw": yaw, "pitch": pitch, "roll": roll},
        },
        "photograph": {
            "pixel_spacing_mm": truth.pixel_spacing_mm,
            "yaw_deg": truth.photograph_yaw_deg,
            "landmarks": {name: list(point) for name, point in truth.landmarks_px.items()},
            "pairs": {
                name: {"right_mm": pair.right_mm, "left_mm": pair.left_mm, "ratio": pair.ratio}
                for name, pair in truth.pair_distances.items()
            },
        },
    }


def _pair_distances(
    head: Head,
    pixels: Mapping[str, NDArray[np.float64]],
    camera: Camera,
    pixel_spacing_mm: float,
) -> dict[str, PairDistance]:
    """Horizontal distances to the column where the midsagittal plane passes between the pupils."""
    between_pupils = head.pupil_left_mm * [0, 1, 1]
    midline = float(camera.project(between_pupils)[0, 0])
    names = [*_PAIRED, "iris_centre"]
    return {
        name: PairDistance(
            right_mm=(midline - float(pixels[f"{name}_right"][0])) * pixel_spacing_mm,
            left_mm=(float(pixels[f"{name}_left"][0]) - midline) * pixel_spacing_mm,
        )
        for name in names
    }
