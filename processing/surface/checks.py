"""Whether a scan, the face found on it and its plane may be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from processing.inputs import Surface
from processing.measurement import QualityCheck, RejectedInput
from processing.surface.landmarks import FoundFace
from processing.surface.mesh import Cleaning
from processing.surface.midsagittal import REMAINING_LIMIT, MidsagittalPlane

INTERCANTHAL_LIMITS_MM: Final = (20.0, 50.0)
EXOCANTHAL_LIMITS_MM: Final = (60.0, 130.0)
FACE_HEIGHT_LIMITS_MM: Final = (65.0, 150.0)
AGREEMENT_LIMIT_MM: Final = 3.0
COVERAGE_LIMIT: Final = 0.5
ANGLE_LIMIT_DEG: Final = 1.0
LATERAL_LIMIT_MM: Final = 1.0
START_LIMIT_DEG: Final = 8.0
SHELL_LIMIT: Final = 0.5
EDGE_LIMIT_MM: Final = 15.0


def check_extent(surface: Surface) -> None:
    """Refuse what is no surface at all.

    Raises
    ------
    RejectedInput
        If it is empty, one point, or has coordinates that are no numbers.
    """
    if not len(surface.vertices_mm) or not len(surface.triangles):
        raise RejectedInput(f"{surface.source}: the surface is empty; export the scan again")
    if not np.isfinite(surface.vertices_mm).all():
        raise RejectedInput(f"{surface.source}: a vertex of the surface is not a finite number")
    extent = float(np.ptp(surface.vertices_mm, axis=0).max())
    if not 0 < extent < np.inf:
        raise RejectedInput(f"{surface.source}: all vertices of the surface are one point")


def size_reason(face: FoundFace, surface: Surface) -> str | None:
    """Why the face cannot be of this size, or None."""
    for name, value, (least, most) in _sizes(face):
        if least <= value <= most:
            continue
        stated = (
            f"the stated unit {surface.unit!r}" if surface.unit_stated else "mm (no unit is stated)"
        )
        return (
            f"{surface.source}: with {stated} the {name} is {value:.4g} mm, which no face has "
            f"({least:g} to {most:g} mm); state the unit in which the surface was exported"
        )
    return None


def _sizes(face: FoundFace) -> list[tuple[str, float, tuple[float, float]]]:
    def apart(first: str, second: str) -> float:
        return float(np.linalg.norm(face.landmarks_mm[first] - face.landmarks_mm[second]))

    return [
        (
            "distance between the inner corners of the eyes",
            apart("endocanthion_left", "endocanthion_right"),
            INTERCANTHAL_LIMITS_MM,
        ),
        (
            "distance between the outer corners of the eyes",
            apart("exocanthion_left", "exocanthion_right"),
            EXOCANTHAL_LIMITS_MM,
        ),
        (
            "distance from nasion to pogonion",
            apart("nasion", "pogonion"),
            FACE_HEIGHT_LIMITS_MM,
        ),
    ]


def checks_of_face(face: FoundFace, cleaning: Cleaning) -> tuple[QualityCheck, ...]:
    """Size, agreement of the views, and how much of the scan is one shell."""
    value = _sizes(face)[0][1]
    least, most = INTERCANTHAL_LIMITS_MM
    nearer = least if abs(value - least) < abs(value - most) else most
    return (
        QualityCheck("intercanthal_distance", value, "mm", nearer, least <= value <= most),
        at_most(
            "landmark_agreement", face.agreement_mm / face.frame.scale, "mm", AGREEMENT_LIMIT_MM
        ),
        at_least("largest_shell_fraction", cleaning.area_kept_fraction, "1", SHELL_LIMIT),
    )


def checks_of_plane(fitted: MidsagittalPlane) -> tuple[QualityCheck, ...]:
    """How well the plane is known, and what it stands on."""
    plane = fitted.plane
    return (
        at_least("facial_region_coverage", fitted.maps.coverage, "1", COVERAGE_LIMIT),
        at_least("symmetric_area_fraction", fitted.remaining, "1", REMAINING_LIMIT),
        at_most("plane_angle_uncertainty", plane.angle_uncertainty_deg, "deg", ANGLE_LIMIT_DEG),
        at_most("plane_lateral_uncertainty", plane.lateral_uncertainty_mm, "mm", LATERAL_LIMIT_MM),
        at_most("plane_from_landmarks_angle", fitted.start_angle_deg, "deg", START_LIMIT_DEG),
    )


_EXPLANATIONS: Final[Mapping[str, str]] = {
    "landmark_agreement": "the landmarks move too far when the view is turned; "
    "the scan must show eyes, nose and mouth clearly",
    "largest_shell_fraction": "the scan falls into pieces; merge them in the scanner's software",
    "facial_region_coverage": "too little of the face was scanned on both sides",
    "symmetric_area_fraction": "the asymmetric area takes so much of the face that no "
    "midsagittal plane can be trusted, and a volume even less",
    "plane_angle_uncertainty": "the direction of the midsagittal plane is too uncertain",
    "plane_lateral_uncertainty": "the position of the midsagittal plane is too uncertain",
    "plane_from_landmarks_angle": "the midsagittal plane contradicts the landmarks",
}


def failed(checks: tuple[QualityCheck, ...], source: str) -> str | None:
    """The words for the first failed check that refuses a scan; None when there is none."""
    for each in checks:
        if not each.passed and each.check in _EXPLANATIONS:
            unit = "" if each.unit == "1" else f" {each.unit}"
            return (
                f"{source}: {_EXPLANATIONS[each.check]} "
                f"({each.check.replace('_', ' ')} {each.value:.3g}{unit}, limit "
                f"{each.limit:g}{unit})"
            )
    return None


def at_most(check: str, value: float, unit: str, limit: float) -> QualityCheck:
    """A check that passes up to its limit."""
    return QualityCheck(check, value, unit, limit, bool(value <= limit))


def at_least(check: str, value: float, unit: str, limit: float) -> QualityCheck:
    """A check that passes from its limit on."""
    return QualityCheck(check, value, unit, limit, bool(value >= limit))
