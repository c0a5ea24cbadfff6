"""Facial symmetry on a frontal photograph, from pixels to an `Analysis`."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from processing.face_landmarks import DetectedFace, FaceDetector
from processing.inputs import Photograph
from processing.landmarks import LANDMARKS
from processing.measurement import Analysis, QualityCheck, Status
from processing.photograph import ANALYSIS, VERSION
from processing.photograph.annotation import annotated_picture
from processing.photograph.frame import RELIEF_GAIN, FaceInputs, face_frame
from processing.photograph.pose import pose_of
from processing.photograph.quality import (
    PhotographLimits,
    quality_checks,
    refused_before_detection,
    refused_by_faces,
    refused_by_quality,
)
from processing.photograph.readings import read_off
from processing.photograph.results import measurements_of
from processing.photograph.scale import scale_of
from processing.photograph.uncertainty import contributions, landmark_uncertainty_px

_DEFAULT_LIMITS: Final = PhotographLimits()


def measure(
    photograph: Photograph,
    detector: FaceDetector,
    limits: PhotographLimits = _DEFAULT_LIMITS,
) -> Analysis:
    """Measure the symmetry of the face in a frontal photograph.

    Mirroring the photograph swaps left and right of every measure and changes
    nothing else.

    Parameters
    ----------
    photograph : Photograph
    detector : FaceDetector
        Open; not closed here.
    limits : PhotographLimits
        What is refused.

    Returns
    -------
    Analysis
        Measured, or refused with a reason; a refusal never raises.
    """
    reason = refused_before_detection(photograph, limits)
    if reason is not None:
        return _refused(photograph, reason)
    faces = detector.detect_symmetrised(photograph.pixels)
    reason = refused_by_faces(faces, limits)
    if reason is not None:
        return _refused(photograph, reason)
    return _measured(photograph, faces[0], detector, limits)


def _measured(
    photograph: Photograph, face: DetectedFace, detector: FaceDetector, limits: PhotographLimits
) -> Analysis:
    try:
        pose = pose_of(face, detector.mirror)
        scale = scale_of(face.points_px, photograph.pixel_spacing_mm)
    except ValueError as fault:
        return _refused(photograph, _not_a_face(fault))
    checks = quality_checks(photograph, face, pose, scale, limits)
    reason = refused_by_quality(checks)
    if reason is not None:
        return _refused(photograph, reason, checks)
    inputs = FaceInputs(
        points_px=face.points_px,
        depth_px=face.depth_px,
        mirror=detector.mirror,
        yaw_deg=pose.yaw_deg,
        relief_gain=RELIEF_GAIN,
        mm_per_px=scale.mm_per_px,
    )
    try:
        readings = read_off(inputs)
        effects = contributions(
            read_off, inputs, landmark_uncertainty_px(face, scale.mm_per_px), pose, scale
        )
    except ValueError as fault:
        return _refused(photograph, _not_a_face(fault), checks)
    measurements = measurements_of(readings, effects, pose, scale)
    return Analysis(
        analysis=ANALYSIS,
        version=VERSION,
        status=Status.MEASURED,
        inputs=(photograph.source,),
        measurements=measurements,
        landmarks=MappingProxyType(
            {
                name: (float(face.points_px[index, 0]), float(face.points_px[index, 1]))
                for name, index in LANDMARKS.items()
            }
        ),
        quality=checks,
        pictures=(annotated_picture(photograph.pixels, face_frame(inputs), measurements),),
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
