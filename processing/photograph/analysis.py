"""Facial symmetry on a frontal photograph, from pixels to an `Analysis`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processing.detected_face import DetectedFace
from processing.face_landmarks import FaceDetector
from processing.inputs import Expression, Photograph
from processing.landmarks import LANDMARKS
from processing.measurement import Analysis, QualityCheck, Status
from processing.photograph import ANALYSIS, VERSION
from processing.photograph.annotation import pictures_of
from processing.photograph.edits import Point, unusable_edits
from processing.photograph.frame import FaceInputs, face_frame
from processing.photograph.head_model import RELIEF_GROUPS, HeadRelief, head_relief
from processing.photograph.landmark_uncertainty import (
    edited_uncertainty_px,
    landmark_uncertainty_px,
    outward_uncertainty_px,
    placed_uncertainty_px,
)
from processing.photograph.marks import marks_of
from processing.photograph.midline import CANTHI, Midline
from processing.photograph.nose_turn import NoseTurn, turn_by_nose
from processing.photograph.options import PhotographOptions
from processing.photograph.placing import (
    face_of_landmarks,
    missing_landmarks,
    with_edits,
)
from processing.photograph.pose import Pose, pose_of
from processing.photograph.quality import (
    PhotographLimits,
    quality_checks,
    refused_before_detection,
    refused_by_faces,
    refused_by_quality,
)
from processing.photograph.readings import needed_landmarks, read_off
from processing.photograph.refinement.refine import refine
from processing.photograph.results import Measured, edit_measurements, measurements_of
from processing.photograph.scale import IRIS_DIAMETER_MM, Scale, iris_diameter_px, scale_of
from processing.photograph.stored_picture import as_stored, mirrored_places
from processing.photograph.uncertainty import (
    InputUncertainties,
    effects_of,
    with_lost_asymmetry,
)
from processing.photograph.visibility import visibility_of

_DEFAULT_LIMITS: Final = PhotographLimits()
_DEFAULT_OPTIONS: Final = PhotographOptions()
_IRIS_WIDTH: Final = tuple(
    f"iris_{edge}_{side}" for edge in ("temporal", "nasal") for side in ("left", "right")
)


@dataclass(frozen=True, slots=True, eq=False)
class _LocatedFace:
    """A face with its landmarks where picture and reviewer have them.

    `placed_px` is the standard uncertainty of a landmark that picture or reviewer
    gave, NaN for one that the detector alone gave; `moved_px` how far the
    reviewer moved a landmark; `reviewed` whether one placed any; `nose` the turn of
    the head by the nose, where it is seen.
    """

    detected: DetectedFace
    points_px: NDArray[np.float64] = field(repr=False)
    placed_px: NDArray[np.float64] = field(repr=False)
    moved_px: Mapping[str, float]
    reviewed: bool
    nose: NoseTurn | None = None

    @property
    def placed(self) -> frozenset[int]:
        """Indices of the landmarks that are not the detector's."""
        return frozenset(np.flatnonzero(np.isfinite(self.placed_px)).tolist())

    @property
    def has_irises(self) -> bool:
        """Whether the irises have a width; a reviewer may have left their edges out."""
        return iris_diameter_px(self.points_px) > 0

    @property
    def named(self) -> Mapping[str, Point]:
        """The named landmarks, (column, row)."""
        return MappingProxyType(
            {
                name: (float(self.points_px[index, 0]), float(self.points_px[index, 1]))
                for name, index in LANDMARKS.items()
            }
        )


def measure(
    photograph: Photograph,
    detector: FaceDetector,
    limits: PhotographLimits = _DEFAULT_LIMITS,
    options: PhotographOptions = _DEFAULT_OPTIONS,
    edited: Mapping[str, Point] | None = None,
) -> Analysis:
    """Measure the symmetry of the face in a frontal photograph.

    Mirroring the photograph swaps left and right of every measure and changes
    nothing else. A photograph coded as a smile, raised brows or shut eyes gets
    the measures of that movement and no symmetry ratio; one whose expression is
    not coded is taken for one in repose.

    Places, those of the reviewer and those in the result, are in the picture as it
    is stored, which is the mirror image of what is measured where it was turned back.

    Parameters
    ----------
    photograph : Photograph
    detector : FaceDetector
        Open; not closed here.
    limits : PhotographLimits
        What is refused.
    options : PhotographOptions
        How it is measured.
    edited : mapping of str to (column, row), optional
        Landmarks that a reviewer placed, by their names; they count instead of
        those that were found. When all are given that the measures need, the
        detector need not find a face.

    Returns
    -------
    Analysis
        Measured, or refused with a reason; a refusal never raises.
    """
    edited = edited or {}
    rows, columns = photograph.pixels.shape[:2]
    reason = refused_before_detection(photograph, limits) or unusable_edits(edited, columns, rows)
    if reason is not None:
        return _refused(photograph, reason)
    if photograph.is_turned_back:
        edited = mirrored_places(edited, columns)
    faces = detector.detect_symmetrised(photograph.pixels)
    try:
        if faces or not edited:
            reason = refused_by_faces(faces, limits)
            if reason is not None:
                return _refused(photograph, reason)
            face = _located(photograph, faces[0], detector, edited, options)
        else:
            reason = _refused_by_missing(photograph, edited, options)
            if reason is not None:
                return _refused(photograph, reason)
            face = _placed_by_hand(edited, detector, options)
    except ValueError as fault:
        return _refused(photograph, _not_a_face(fault))
    found = _measured(photograph, face, detector, limits, options)
    return as_stored(found, columns) if photograph.is_turned_back else found


def _located(
    photograph: Photograph,
    detected: DetectedFace,
    detector: FaceDetector,
    edited: Mapping[str, Point],
    options: PhotographOptions,
) -> _LocatedFace:
    refined = refine(photograph.pixels, detected, detector.mirror)
    face = with_edits(refined.points_px, edited)
    placed = placed_uncertainty_px(
        refined.uncertainty_px,
        face.edited,
        options.edited_landmark_mm,
        iris_diameter_px(face.points_px) / IRIS_DIAMETER_MM,
    )
    nose = turn_by_nose(photograph.pixels, replace(detected, points_px=face.points_px), detector)
    return _LocatedFace(detected, face.points_px, placed, face.moved_px, bool(face.edited), nose)


def _placed_by_hand(
    edited: Mapping[str, Point], detector: FaceDetector, options: PhotographOptions
) -> _LocatedFace:
    detected = face_of_landmarks(edited, detector.canonical)
    face = with_edits(detected.points_px, edited)
    placed = placed_uncertainty_px(
        np.full(len(face.points_px), np.nan),
        frozenset(LANDMARKS[name] for name in edited),
        options.edited_landmark_mm,
        iris_diameter_px(face.points_px) / IRIS_DIAMETER_MM,
    )
    # Nothing was found that these places could be compared with.
    return _LocatedFace(detected, face.points_px, placed, {}, reviewed=True)


def _measured(
    photograph: Photograph,
    face: _LocatedFace,
    detector: FaceDetector,
    limits: PhotographLimits,
    options: PhotographOptions,
) -> Analysis:
    expression = photograph.expression or Expression.REPOSE
    checks: tuple[QualityCheck, ...] = ()
    try:
        relief = head_relief(face.points_px)
        pose = pose_of(face.points_px, face.detected, detector.mirror, relief, face.nose)
        scale = scale_of(
            face.points_px,
            face.placed_px,
            photograph,
            irises_are_seen=face.has_irises and expression is not Expression.EYES_SHUT,
        )
        visibility = (
            None
            if face.reviewed
            else visibility_of(photograph.pixels, face.detected, detector.mirror)
        )
        checks = quality_checks(photograph, face.detected, pose, scale, limits, visibility)
        reason = refused_by_quality(checks)
        if reason is not None:
            return _refused(photograph, reason, checks)
        inputs = FaceInputs(
            points_px=face.points_px,
            relief_px=relief.relief_px,
            yaw_deg=pose.yaw_deg,
            pitch_deg=pose.pitch_deg,
            mm_per_px=scale.mm_per_px,
            midline=_midline_for(expression, options),
        )
        read = partial(read_off, expression=expression)
        readings = read(inputs)
        effects = effects_of(read, inputs, _uncertainties(face, relief, pose, scale))
    except ValueError as fault:
        return _refused(photograph, _not_a_face(fault), checks)
    measured = Measured(
        readings=readings,
        effects=with_lost_asymmetry(effects, readings, face.placed),
        midline=inputs.midline,
        pose=pose,
        scale=scale,
        eyes_shut=expression is Expression.EYES_SHUT,
    )
    edited_px = edited_uncertainty_px(options.edited_landmark_mm, 1 / scale.mm_per_px)
    measurements = (
        *measurements_of(measured, options.headline),
        *edit_measurements(face.moved_px, edited_px, scale),
    )
    frame = face_frame(inputs)
    return Analysis(
        analysis=ANALYSIS,
        version=VERSION,
        status=Status.MEASURED,
        inputs=(photograph.source,),
        measurements=measurements,
        landmarks=face.named,
        quality=checks,
        pictures=pictures_of(photograph.pixels, frame, measurements, expression.value.capitalize()),
        marks=marks_of(face.points_px, frame, measurements),
    )


def _uncertainties(
    face: _LocatedFace, relief: HeadRelief, pose: Pose, scale: Scale
) -> InputUncertainties:
    return InputUncertainties(
        landmarks_px=landmark_uncertainty_px(
            face.detected.spread_px, face.placed_px, scale.mm_per_px
        ),
        outward_px=outward_uncertainty_px(face.placed_px, scale.mm_per_px),
        # Inside a group the heads differ from the average one together.
        relief_px=np.stack([relief.uncertainty_px * group for group in RELIEF_GROUPS.values()]),
        yaw_deg=pose.yaw_uncertainty_deg,
        pitch_deg=pose.pitch_uncertainty_deg,
        scale_relative=scale.relative_uncertainty,
    )


def _midline_for(expression: Expression, options: PhotographOptions) -> Midline:
    """The site's midline, unless it needs pupils that are behind shut lids."""
    hidden = expression is Expression.EYES_SHUT and any(
        name.startswith("iris") for name in options.midline.landmarks
    )
    return CANTHI if hidden else options.midline


def _refused_by_missing(
    photograph: Photograph, edited: Mapping[str, Point], options: PhotographOptions
) -> str | None:
    expression = photograph.expression or Expression.REPOSE
    needed = needed_landmarks(_midline_for(expression, options), expression)
    if photograph.pixel_spacing_mm is None:
        needed = (*needed, *_IRIS_WIDTH)
    missing = missing_landmarks(edited, needed)
    if not missing:
        return None
    return (
        f"No face was found in the photograph, and the edited landmarks do not make up for it: "
        f"{', '.join(missing)} are missing."
    )


def _refused(
    photograph: Photograph, reason: str, checks: tuple[QualityCheck, ...] = ()
) -> Analysis:
    return Analysis(
        analysis=ANALYSIS,
        version=VERSION,
        status=Status.REFUSED,
        reason=reason,
        inputs=(photograph.source,),
        quality=checks,
    )


def _not_a_face(fault: ValueError) -> str:
    return f"The landmarks do not form a frontal face: {fault}."
