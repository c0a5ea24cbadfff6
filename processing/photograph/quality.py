"""What must hold before a photograph is measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from processing.detected_face import DetectedFace
from processing.inputs import Expression, Photograph, View
from processing.landmarks import FACE_OVAL, LANDMARKS
from processing.measurement import QualityCheck
from processing.photograph.pose import Pose
from processing.photograph.scale import LARGEST_IRIS_MM, Scale
from processing.photograph.visibility import Visibility


@dataclass(frozen=True, slots=True)
class PhotographLimits:
    """Beyond these a photograph is refused.

    Parameters
    ----------
    yaw_limit_deg, pitch_limit_deg, roll_limit_deg : float
        Largest turn, nod and tilt of the head, either way.
    smallest_picture_px : int
        Shortest side of a picture that may hold a face.
    smallest_face_px : float
        Smallest width of the face, from zygion to zygion.
    largest_disagreement_mm : float
        Mean distance between the landmarks of the picture and of its mirror
        image; more means that the detector was guessing.
    other_face_fraction : float
        A second face counts when its size is at least this part of the first's.
    """

    yaw_limit_deg: float = 5.0
    pitch_limit_deg: float = 15.0
    roll_limit_deg: float = 20.0
    smallest_picture_px: int = 64
    smallest_face_px: float = 200.0
    largest_disagreement_mm: float = 5.0
    other_face_fraction: float = 1 / 3


def refused_before_detection(photograph: Photograph, limits: PhotographLimits) -> str | None:
    """Why a photograph is refused without looking for a face, or None."""
    rows, columns = photograph.pixels.shape[:2]
    if min(rows, columns) < limits.smallest_picture_px:
        return (
            f"The picture is only {columns} x {rows} pixels; a face cannot be measured in it. "
            f"Send the original photograph."
        )
    if photograph.view is not None and photograph.view is not View.FRONTAL:
        return (
            f"The photograph is coded as a {photograph.view.value} view; facial symmetry is "
            f"measured on a frontal view only."
        )
    if photograph.expression is Expression.OTHER:
        return (
            "The photograph is coded with an expression that is none of those that are measured "
            "(repose, smile, raised brows, eyes shut)."
        )
    return None


def refused_by_faces(faces: tuple[DetectedFace, ...], limits: PhotographLimits) -> str | None:
    """Why the faces that were found cannot be measured, or None when there is one."""
    if not faces:
        return (
            "No face was found in the photograph. A frontal photograph with the whole face, "
            "both eyes open and even light is needed."
        )
    large = [
        each for each in faces if each.size_px >= limits.other_face_fraction * faces[0].size_px
    ]
    if len(large) > 1:
        return (
            f"{len(large)} faces were found in the photograph, so it is not certain which is the "
            f"patient's. Crop it to the patient's face."
        )
    return None


def quality_checks(
    photograph: Photograph,
    face: DetectedFace,
    pose: Pose,
    scale: Scale,
    limits: PhotographLimits,
    visibility: Visibility | None = None,
) -> tuple[QualityCheck, ...]:
    """All checks of a face with their values.

    Parameters
    ----------
    photograph : Photograph
    face : DetectedFace
    pose : Pose
    scale : Scale
    limits : PhotographLimits
    visibility : Visibility, optional
        From `processing.photograph.visibility.visibility_of`; None where a
        reviewer placed the landmarks and answers for what is seen.
    """
    checks = [
        _at_most("yaw", pose.yaw_deg, "deg", limits.yaw_limit_deg),
        _at_most("pitch", pose.pitch_deg, "deg", limits.pitch_limit_deg),
        _at_most("roll", pose.roll_deg, "deg", limits.roll_limit_deg),
        _at_least("face_width", face_width_px(face), "{pixels}", limits.smallest_face_px),
        _at_least("distance_to_border", _distance_to_border_px(photograph, face), "{pixels}", 0.0),
        _at_most(
            "landmark_disagreement",
            2 * float(face.spread_px.mean()) * scale.mm_per_px,
            "mm",
            limits.largest_disagreement_mm,
        ),
    ]
    if visibility is not None:
        checks += _checks_of_visibility(visibility, photograph.expression)
    if scale.stated_iris_mm is not None:
        checks.append(
            QualityCheck(
                "iris_diameter_by_stated_spacing",
                scale.stated_iris_mm,
                "mm",
                LARGEST_IRIS_MM,
                scale.stated_is_believed,
            )
        )
    return tuple(checks)


def _checks_of_visibility(
    visibility: Visibility, expression: Expression | None
) -> Iterator[QualityCheck]:
    yield _holds("photographic_shading", visibility.is_photograph)
    if expression is not Expression.EYES_SHUT:
        yield _holds("eyes_open", visibility.eyes_are_open)
        # The iris behind shut lids is not hidden by anything: one reason is enough.
        yield _holds("eyes_seen", visibility.eyes_are_seen or not visibility.eyes_are_open)
    yield _holds("mouth_seen", visibility.mouth_is_seen)


def refused_by_quality(checks: Iterable[QualityCheck]) -> str | None:
    """Why the checks that failed forbid to measure, for a clinician; None when none does."""
    failed = [each for each in checks if not each.passed]
    profiles = [each for each in failed if each.check == "yaw" and abs(each.value) >= _PROFILE_DEG]
    if profiles:
        return _PROFILE_REASON.format(value=profiles[0].value, limit=profiles[0].limit)
    reasons = [
        _REASONS[each.check].format(value=each.value, limit=each.limit)
        for each in failed
        if each.check in _REASONS
    ]
    return " ".join(reasons) or None


# Turned so far that one eye or its canthus is not seen and nothing else can be judged.
_PROFILE_DEG: Final = 25.0
_PROFILE_REASON: Final = (
    "Not a frontal view: a profile or oblique view, turned by about {value:+.0f} degrees, + to the "
    "patient's left; at most {limit:g} degrees either way can be measured."
)


# A stated pixel spacing that is not believed is replaced by the iris: no reason to refuse.
_REASONS = {
    "yaw": "Not a frontal view: the head is turned sideways (yaw) by {value:+.1f} degrees, + to "
    "the patient's left; at most {limit:g} degrees either way can be measured.",
    "pitch": "Not a frontal view: the head is nodded (pitch) by {value:+.1f} degrees, + upward; "
    "at most {limit:g} degrees either way can be measured.",
    "photographic_shading": "This does not look like a photograph of a face: it is filled and "
    "outlined as a drawing is, or overexposed.",
    "eyes_open": "The eyes are shut. A face in repose with both eyes open is needed.",
    "eyes_seen": "An eye cannot be seen: no iris stands out beside its white, or one eye does not "
    "look like the other. It may be covered by glasses, hair or a hand, or this is no living face.",
    "mouth_seen": "The mouth cannot be seen: no line between lips was found where it should be. It "
    "may be covered by a hand or a mask, or this is no living face.",
    "roll": "The head is tilted (roll) by {value:+.1f} degrees; at most {limit:g} degrees either "
    "way can be measured.",
    "face_width": "The face is only {value:.0f} pixels wide; at least {limit:g} are needed. Send "
    "the photograph in its original size, or taken from nearer.",
    "distance_to_border": "The face is cut by the border of the photograph.",
    "landmark_disagreement": "The landmarks are uncertain: the photograph and its mirror image "
    "disagree by {value:.1f} mm on average (at most {limit:g}). The face may be covered, unevenly "
    "lit or blurred.",
}


def face_width_px(face: DetectedFace) -> float:
    """Distance between both zygia."""
    between = face.points_px[LANDMARKS["zygion_left"]] - face.points_px[LANDMARKS["zygion_right"]]
    return float(np.hypot(*between))


def _distance_to_border_px(photograph: Photograph, face: DetectedFace) -> float:
    """Of the face's contour to the nearest edge of the picture; negative outside."""
    rows, columns = photograph.pixels.shape[:2]
    contour = face.points_px[list(FACE_OVAL)] + 0.5
    inside = np.concatenate([contour, (columns, rows) - contour])
    return float(inside.min())


def _holds(check: str, passed: bool) -> QualityCheck:
    return QualityCheck(check, float(passed), "1", 1.0, passed)


def _at_most(check: str, value: float, unit: str, limit: float) -> QualityCheck:
    return QualityCheck(check, value, unit, limit, abs(value) <= limit)


def _at_least(check: str, value: float, unit: str, limit: float) -> QualityCheck:
    return QualityCheck(check, value, unit, limit, value >= limit)
