"""The size of a pixel at the face as a site found it, for photographs of its own cameras."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from processing.inputs import Photograph
from service.settings import PhotographCalibration

_CALIBRATED_IN_THE_PICTURE = "calibrated with an object of known size"


def calibrated(
    photograph: Photograph,
    calibrations: Sequence[PhotographCalibration],
    *,
    station_name: str = "",
    ae_title: str = "",
) -> Photograph:
    """The photograph with the first calibration that fits it.

    A spacing that was calibrated in the picture itself is better than any
    calibration of the camera, and stays. One that nobody vouches for gives way.

    Parameters
    ----------
    photograph : Photograph
    calibrations : sequence of PhotographCalibration
        An entry fits when everything that it names matches.
    station_name, ae_title : str
        Of the camera's object; empty for plain files.
    """
    if _CALIBRATED_IN_THE_PICTURE in (photograph.pixel_spacing_origin or ""):
        return photograph
    rows, columns = photograph.pixels.shape[:2]
    for each in calibrations:
        if (
            each.station_name in (None, station_name)
            and each.ae_title in (None, ae_title)
            and each.columns in (None, columns)
            and each.rows in (None, rows)
        ):
            return replace(
                photograph,
                pixel_spacing_mm=each.mm_per_pixel,
                pixel_spacing_uncertainty_mm=each.uncertainty_mm_per_pixel,
                pixel_spacing_origin=f"the site's calibration with a {each.by}",
            )
    return photograph
