"""surface-symmetry: from a scan to its measurements, or to the reason why not."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from processing.face_landmarks import FaceDetector
from processing.inputs import Surface, SurfaceEdits
from processing.measurement import Analysis, Plane, QualityCheck, RejectedInput, Status
from processing.surface import ANALYSIS, VERSION
from processing.surface.checks import (
    EDGE_LIMIT_MM,
    at_most,
    check_extent,
    checks_of_face,
    checks_of_plane,
    failed,
    size_reason,
)
from processing.surface.given_area import patch_of_area, vertices_of_patch
from processing.surface.landmarks import find_face
from processing.surface.mesh import clean
from processing.surface.midsagittal import fit_midsagittal_plane
from processing.surface.options import SurfaceOptions
from processing.surface.pictures import symmetry_models, symmetry_pictures
from processing.surface.radial import looked_up, radial_maps
from processing.surface.results import Measured, measurements_of
from processing.surface.shown import shown_surface
from processing.surface.volume import moved_frame

FOUND_AREA: Final = "affected-area"
GIVEN_AREA: Final = "affected-area-given"
_DEFAULT_OPTIONS: Final = SurfaceOptions()


def measure(
    surface: Surface, detector: FaceDetector, options: SurfaceOptions = _DEFAULT_OPTIONS
) -> Analysis:
    """Measure the symmetry of a face on a surface scan.

    Parameters
    ----------
    surface : Surface
        A scan that shows a whole face, in any pose, in mm.
    detector : FaceDetector
    options : SurfaceOptions

    Returns
    -------
    Analysis
        Status ``measured``, or ``refused`` with the reason. Landmarks and the
        midsagittal plane are in the frame of the scan, in mm; its normal points
        to the patient's left. Volumes are left minus right.
    """
    try:
        return _measured(surface, detector, options)
    except RejectedInput as rejection:
        return _refused(surface, str(rejection), ())


def _measured(surface: Surface, detector: FaceDetector, options: SurfaceOptions) -> Analysis:
    check_extent(surface)
    edits = surface.edits or SurfaceEdits(surface.source, surface.source)
    mesh, cleaning = clean(surface)
    face = find_face(mesh, detector, surface.source, edited=edits.landmarks_mm)
    checks = checks_of_face(face, cleaning)
    reason = size_reason(face, surface) or failed(checks, surface.source)
    if reason:
        return _refused(surface, reason, checks)
    fitted = fit_midsagittal_plane(
        face,
        options,
        area=None if edits.area is None else vertices_of_patch(face.mesh, edits.area),
        given=edits.plane,
    )
    if fitted is None:
        return _refused(
            surface,
            f"{surface.source}: the two sides of the face could not be laid over each other; "
            "the scan must show both sides",
            checks,
        )
    maps = radial_maps(face.mesh, moved_frame(face.frame, fitted.plane))
    checks += checks_of_plane(fitted, maps)
    reason = failed(checks, surface.source)
    if reason:
        return _refused(surface, reason, checks)
    measured = Measured(
        face.mesh,
        fitted.plane,
        maps,
        face.landmarks_mm,
        face.spread_mm,
        looked_up(maps.measured, face.mesh, maps.frame),
        edited=face.edited,
        moved_mm=face.moved_mm,
        alternatives=fitted.alternatives,
        given_area=edits.area,
    )
    return _analysis(surface, measured, checks)


def _analysis(surface: Surface, measured: Measured, checks: tuple[QualityCheck, ...]) -> Analysis:
    measurements, distances, area = measurements_of(measured)
    areas = {}
    if area is not None:
        checks += (at_most("affected_area_at_edge", area.edge_mm, "mm", EDGE_LIMIT_MM),)
        name = GIVEN_AREA if area.given else FOUND_AREA
        areas = {name: patch_of_area(measured.mesh, measured.maps, area)}
    plane = measured.plane
    shown = shown_surface(measured, distances, area)
    return Analysis(
        analysis=ANALYSIS,
        version=VERSION,
        status=Status.MEASURED,
        inputs=(surface.source,),
        measurements=measurements,
        landmarks={name: _triple(place) for name, place in measured.landmarks_mm.items()},
        planes={"midsagittal": Plane(_triple(plane.normal), plane.offset_mm)},
        frame=surface.frame,
        quality=checks,
        pictures=symmetry_pictures(shown, measured, measurements, area),
        areas=areas,
        models=symmetry_models(shown, measured),
    )


def _refused(surface: Surface, reason: str, checks: tuple[QualityCheck, ...]) -> Analysis:
    return Analysis(
        analysis=ANALYSIS,
        version=VERSION,
        status=Status.REFUSED,
        reason=reason,
        inputs=(surface.source,),
        frame=surface.frame,
        quality=checks,
    )


def _triple(values: NDArray[np.float64]) -> tuple[float, float, float]:
    return float(values[0]), float(values[1]), float(values[2])
