"""Whether a scan, the face found on it and its plane may be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from processing.inputs import Surface
from processing.measurement import QualityCheck, RejectedInput
from processing.surface.face_plausibility import relief_of
from processing.surface.face_views import FIT_LIMIT_MM
from processing.surface.landmarks import PAINT_LIMIT_MM, FoundFace
from processing.surface.mesh import Cleaning
from processing.surface.midsagittal import REMAINING_LIMIT, RIVAL_LIMIT, MidsagittalPlane
from processing.surface.radial import RadialMaps

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
# Between what 33 faces have (scans, simulated ones, deficits up to 50 mL, expressions: lips
# from 1.8, a mouth wide open 0.9, noses from 25, brows from 8.6, eyes up to 12) and what faces
# have whose mouth, nose or eyes were taken away (below 0.3, below 15, about 4, over 30).
MOUTH_LIMIT_MM: Final = 0.7
NOSE_LIMIT_MM: Final = 18.0
BROW_LIMIT_MM: Final = 5.0
EYE_SOCKET_LIMIT_MM: Final = 22.0

# Adults and children from the age of one have it in this range; no two units reach it.
_INTERCANTHAL_OF_UNIT_MM: Final = (25.0, 45.0)
_MM_PER_UNIT: Final[Mapping[str, float]] = {"mm": 1.0, "cm": 10.0, "m": 1000.0, "[in_i]": 25.4}
_UNIT_WORDS: Final[Mapping[str, str]] = {
    "mm": "millimetres (mm)",
    "cm": "centimetres (cm)",
    "m": "metres (m)",
    "[in_i]": "inches ([in_i])",
}
# Defects are worth a second look when so much of the scan has them.
_DEFECTIVE: Final = 0.05
_HOLES_LIMIT: Final = 20.0
_SHELLS_LIMIT: Final = 20.0
# The head round the reference face: beyond it are shoulders, clothes and long hair.
_HEAD_MM: Final = ((-100.0, -130.0, -170.0), (100.0, 180.0, 120.0))
_BEYOND_LIMIT: Final = 0.5


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
    """Why the face cannot be of this size, and in which unit it would be, or None.

    Parameters
    ----------
    face : FoundFace
    surface : Surface
    """
    for name, value, (least, most) in _sizes(face):
        if least <= value <= most:
            continue
        stated = (
            f"the stated unit {surface.unit!r}" if surface.unit_stated else "mm (no unit is stated)"
        )
        return (
            f"{surface.source}: with {stated} the {name} is {value:.4g} mm, which no face has "
            f"({least:g} to {most:g} mm); {_unit_that_fits(face, surface)}"
        )
    return None


def _unit_that_fits(face: FoundFace, surface: Surface) -> str:
    between = _apart(face, "endocanthion_left", "endocanthion_right")
    used = _MM_PER_UNIT.get(surface.unit)
    if used is None:
        try:
            used = float(surface.unit)
        except ValueError:
            used = 1.0
    least, most = _INTERCANTHAL_OF_UNIT_MM
    if between is not None and used > 0:
        sizes = {unit: between / used * mm for unit, mm in _MM_PER_UNIT.items()}
        fitting = [unit for unit, size in sizes.items() if least <= size <= most]
        if len(fitting) == 1 and fitting[0] != surface.unit:
            return (
                f"it would be a face ({sizes[fitting[0]]:.0f} mm between the inner corners of the "
                f"eyes) if the surface were in {_UNIT_WORDS[fitting[0]]}; state that unit if it is"
            )
    return (
        "it would not be a face's in any unit known here, or not in one alone; state how many mm "
        "one unit of the surface is"
    )


def _apart(face: FoundFace, first: str, second: str) -> float | None:
    """Distance of two landmarks, mm; None where one of them was not placed."""
    if first not in face.landmarks_mm or second not in face.landmarks_mm:
        return None
    return float(np.linalg.norm(face.landmarks_mm[first] - face.landmarks_mm[second]))


def _sizes(face: FoundFace) -> list[tuple[str, float, tuple[float, float]]]:
    wanted = (
        (
            "distance between the inner corners of the eyes",
            ("endocanthion_left", "endocanthion_right"),
            INTERCANTHAL_LIMITS_MM,
        ),
        (
            "distance between the outer corners of the eyes",
            ("exocanthion_left", "exocanthion_right"),
            EXOCANTHAL_LIMITS_MM,
        ),
        ("distance from nasion to pogonion", ("nasion", "pogonion"), FACE_HEIGHT_LIMITS_MM),
    )
    return [
        (name, value, limits)
        for name, ends, limits in wanted
        if (value := _apart(face, *ends)) is not None
    ]


def checks_of_face(face: FoundFace, cleaning: Cleaning) -> tuple[QualityCheck, ...]:
    """Size, shape and relief of the face, agreement of the views, and defects of the scan.

    The relief is not asked for where a reviewer placed the landmarks of a face
    that was not seen.

    Parameters
    ----------
    face : FoundFace
    cleaning : Cleaning
    """
    checks: tuple[QualityCheck, ...] = ()
    value = _apart(face, "endocanthion_left", "endocanthion_right")
    if value is not None:
        least, most = INTERCANTHAL_LIMITS_MM
        nearer = least if abs(value - least) < abs(value - most) else most
        checks += (
            QualityCheck("intercanthal_distance", value, "mm", nearer, least <= value <= most),
        )
    checks += (
        at_most(
            "landmark_agreement", face.agreement_mm / face.frame.scale, "mm", AGREEMENT_LIMIT_MM
        ),
        at_most("landmark_shape_difference", face.fit_mm, "mm", FIT_LIMIT_MM),
        at_least("largest_shell_fraction", cleaning.area_kept_fraction, "1", SHELL_LIMIT),
    )
    if face.detected:
        checks += _checks_of_relief(face)
    if face.paint_disagreement_mm is not None:
        checks += (
            at_most("colour_disagreement", face.paint_disagreement_mm, "mm", PAINT_LIMIT_MM),
        )
    return checks + _checks_of_defects(face, cleaning)


def _checks_of_relief(face: FoundFace) -> tuple[QualityCheck, ...]:
    relief = relief_of(face.mesh, face.frame, face.landmarks_mm)
    return (
        at_least("mouth_relief", relief.mouth_mm, "mm", MOUTH_LIMIT_MM),
        at_least("nose_prominence", relief.nose_mm, "mm", NOSE_LIMIT_MM),
        at_least("brow_over_eye", relief.eye_mm, "mm", BROW_LIMIT_MM),
        at_most("eye_socket_depth", relief.deepest_eye_mm, "mm", EYE_SOCKET_LIMIT_MM),
    )


def _checks_of_defects(face: FoundFace, cleaning: Cleaning) -> tuple[QualityCheck, ...]:
    """What was mended or left out; only what there was."""
    many = _DEFECTIVE * len(face.mesh.triangles)
    counts = (
        ("duplicate_vertices", cleaning.duplicate_vertices, 3 * float(len(face.mesh.triangles))),
        ("degenerate_triangles", cleaning.degenerate_triangles, many),
        ("duplicate_triangles", cleaning.duplicate_triangles, many),
        ("triangles_turned", cleaning.triangles_turned, many),
        ("spikes_flattened", cleaning.spikes, many),
        ("holes_not_filled", cleaning.holes, _HOLES_LIMIT),
        ("shells_left_out", cleaning.shells - 1, _SHELLS_LIMIT),
    )
    local = face.frame.to_face(face.mesh.vertices_mm) / face.frame.scale
    beyond = np.zeros(len(local), bool)
    for along, low, high in zip(local.T, *_HEAD_MM, strict=True):
        beyond |= (along < low) | (along > high)
    share = float(face.mesh.areas_mm2[beyond].sum() / face.mesh.areas_mm2.sum())
    return (
        *(at_most(name, float(count), "1", limit) for name, count, limit in counts if count > 0),
        at_most("area_beyond_head_fraction", share, "1", _BEYOND_LIMIT),
    )


def checks_of_plane(fitted: MidsagittalPlane, maps: RadialMaps) -> tuple[QualityCheck, ...]:
    """How well the plane is known, and what it stands on."""
    plane = fitted.plane
    return (
        at_least("facial_region_coverage", maps.coverage, "1", COVERAGE_LIMIT),
        at_least("symmetric_area_fraction", fitted.remaining, "1", REMAINING_LIMIT),
        at_most("plane_angle_uncertainty", plane.angle_uncertainty_deg, "deg", ANGLE_LIMIT_DEG),
        at_most("plane_lateral_uncertainty", plane.lateral_uncertainty_mm, "mm", LATERAL_LIMIT_MM),
        at_most("plane_from_landmarks_angle", fitted.start_angle_deg, "deg", START_LIMIT_DEG),
        # Above it the uncertainty holds the other plane too; a person should look at it.
        at_most("rival_plane", fitted.rival_ratio, "1", RIVAL_LIMIT),
    )


_EXPLANATIONS: Final[Mapping[str, str]] = {
    "landmark_agreement": "the landmarks move too far when the view is turned; "
    "the scan must show eyes, nose and mouth clearly",
    "landmark_shape_difference": "what was found on the surface does not have the shape of a face",
    "mouth_relief": "the surface has no mouth where its landmarks say it has one; "
    "the scan must show the lips",
    "nose_prominence": "the surface has no nose where its landmarks say it has one",
    "brow_over_eye": "the surface has no eyes under its brows where its landmarks say it has some",
    "eye_socket_depth": "the eye sockets are as deep as those of a bare skull",
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
