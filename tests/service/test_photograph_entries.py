from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from processing.inputs import Expression, LandmarkEdits, Photograph, View
from processing.measurement import Analysis, Measurement, RejectedInput, Status
from processing.photograph.definitions import SymmetryDefinition
from processing.photograph.midline import MidlineMethod
from processing.photograph.options import PhotographOptions
from processing.photograph.quality import PhotographLimits
from service.analyses import ANALYSES, Instruments, measure_inputs, with_edits
from service.photograph_entries import MOVEMENTS, analysis_of_expression, choices
from service.settings import PhotographCalibration, PhotographSettings, Settings
from service.site_calibration import calibrated
from service.workflow.readings import Reading, reading_as_bytes, reading_from_bytes

PIXELS = np.zeros((8, 6, 3), np.uint8)
CAMERA = PhotographCalibration(
    mm_per_pixel=0.12, uncertainty_mm_per_pixel=0.001, station_name="STUDIO", columns=6
)
ANY = PhotographCalibration(mm_per_pixel=0.3, uncertainty_mm_per_pixel=0.01, by="sphere of 20 mm")


def _photograph(source: str = "1.2", **facts: Any) -> Photograph:
    return Photograph(pixels=PIXELS, source=source, **facts)


# --- reading and settings


def test_a_reading_is_kept_whole() -> None:
    photograph = _photograph(
        pixel_spacing_mm=0.2,
        view=View.FRONTAL,
        expression=Expression.SMILE,
        pixel_spacing_uncertainty_mm=0.01,
        pixel_spacing_origin="the site's calibration",
        edited_landmarks={"nasion": (1.5, 2.0)},
        is_turned_back=True,
    )
    edits = LandmarkEdits("1.9", "1.2#1", {"nasion": (1.25, 2.0)}, "20260101")
    reading = reading_from_bytes(reading_as_bytes(Reading((photograph, edits), {"1.3": "bad"})))
    again, edits_again = reading.inputs
    assert isinstance(again, Photograph)
    assert (again.pixels == PIXELS).all()
    assert replace(again, pixels=PIXELS) == photograph
    assert edits_again == edits
    assert reading.rejected == {"1.3": "bad"}


def test_first_calibration_that_fits_is_taken() -> None:
    studio = calibrated(_photograph(), [CAMERA, ANY], station_name="STUDIO")
    assert studio.pixel_spacing_mm == 0.12
    assert studio.pixel_spacing_uncertainty_mm == 0.001
    assert studio.pixel_spacing_origin == "the site's calibration with a ruler"
    other = calibrated(_photograph(), [CAMERA, ANY], station_name="WARD")
    assert (other.pixel_spacing_mm, other.pixel_spacing_origin) == (
        0.3,
        "the site's calibration with a sphere of 20 mm",
    )


def test_calibration_does_not_hold_for_another_size_or_sender() -> None:
    scaled = replace(_photograph(), pixels=np.zeros((16, 12, 3), np.uint8))
    assert calibrated(scaled, [CAMERA], station_name="STUDIO") is scaled
    sender = CAMERA.model_copy(update={"station_name": None, "ae_title": "CAMERA1"})
    assert calibrated(_photograph(), [sender], ae_title="PACS").pixel_spacing_mm is None
    assert calibrated(_photograph(), [sender], ae_title="CAMERA1").pixel_spacing_mm == 0.12


def test_spacing_that_was_calibrated_in_the_picture_stays() -> None:
    stated = _photograph(
        pixel_spacing_mm=0.2,
        pixel_spacing_origin="Pixel Spacing of the image, calibrated with an object of known size",
    )
    assert calibrated(stated, [ANY]) is stated
    guessed = replace(stated, pixel_spacing_origin="Pixel Spacing of the image")
    assert calibrated(guessed, [ANY]).pixel_spacing_mm == 0.3


def test_settings_name_what_there_is_to_choose() -> None:
    for definition in SymmetryDefinition:
        PhotographSettings(headline=definition.value)
    for method in MidlineMethod:
        pairs = ("alare",) if method is MidlineMethod.PAIRS else ()
        PhotographSettings(midline=method.value, midline_pairs=pairs)


def test_defaults_are_those_of_the_measuring_package() -> None:
    chosen, limits, options = PhotographSettings(), PhotographLimits(), PhotographOptions()
    assert chosen.headline == options.headline
    assert chosen.midline == options.midline.method
    assert chosen.edited_landmark_uncertainty_mm == options.edited_landmark_mm
    assert (chosen.yaw_limit_deg, chosen.pitch_limit_deg, chosen.roll_limit_deg) == (
        limits.yaw_limit_deg,
        limits.pitch_limit_deg,
        limits.roll_limit_deg,
    )
    assert chosen.smallest_face_pixels == limits.smallest_face_px


@pytest.mark.parametrize(
    "wrong",
    [
        {"headline": "beauty"},
        {"midline": "pairs"},
        {"midline_pairs": ["alare"]},
        {"calibrations": [{"mm_per_pixel": 0, "uncertainty_mm_per_pixel": 0}]},
        {"calibrations": [{"mm_per_pixel": 0.1}]},
    ],
)
def test_settings_that_mean_nothing_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PhotographSettings.model_validate(wrong)


def test_choices_are_empty_for_the_defaults() -> None:
    assert choices(Settings()) == ""
    chosen = Settings(photograph=PhotographSettings(yaw_limit_deg=4, calibrations=(ANY,)))
    assert '"yaw_limit_deg": 4' in choices(chosen)
    assert "sphere of 20 mm" in choices(chosen)


def test_each_movement_has_its_analysis() -> None:
    assert analysis_of_expression(None) == "photograph-symmetry"
    assert analysis_of_expression(Expression.REPOSE) == "photograph-symmetry"
    for expression, name in MOVEMENTS.items():
        assert analysis_of_expression(expression) == name
        assert ANALYSES[name].declared is None


# --- landmarks of a reviewer


def test_the_landmarks_that_were_placed_last_count() -> None:
    early = LandmarkEdits("1.8", "1.2", {"nasion": (1.0, 1.0)}, "20260101")
    late = LandmarkEdits("1.7", "1.2", {"nasion": (2.0, 2.0)}, "20260102")
    other = LandmarkEdits("1.6", "1.3", {"nasion": (3.0, 3.0)}, "20260103")
    (photograph,) = with_edits([late, _photograph(), early, other])
    assert isinstance(photograph, Photograph)
    assert photograph.edited_landmarks == {"nasion": (2.0, 2.0)}


def _yaw(value: float) -> Measurement:
    return Measurement("yaw", value, "deg", 0.1, "m")


def _measured(each: Photograph) -> Analysis:
    yaw = float(each.source.rpartition(".")[2])
    status = Status.MEASURED if yaw < 50 else Status.REFUSED
    return Analysis("photograph-symmetry", "1", status, "turned", measurements=(_yaw(yaw),))


def _entry(measure: Callable[[Photograph], Analysis] = _measured) -> Any:
    return replace(
        ANALYSES["photograph-symmetry"], measure=lambda each, _instruments: measure(each)
    )


def test_the_edited_photograph_is_the_result_and_the_edits_are_an_input() -> None:
    edits = LandmarkEdits("9.9", "1.20", {"nasion": (1.0, 1.0)}, "2026")
    inputs = [_photograph("1.1"), _photograph("1.20"), edits]
    found = measure_inputs(_entry(), inputs, {}, Instruments(Settings()))
    assert found.inputs == ("1.20", "1.1", "9.9")
    without = measure_inputs(_entry(), inputs[:2], {}, Instruments(Settings()))
    assert without.inputs == ("1.1", "1.20")


def test_an_edited_photograph_that_is_refused_gives_way_to_another() -> None:
    edits = LandmarkEdits("9.9", "1.60", {"nasion": (1.0, 1.0)}, "2026")
    inputs = [_photograph("1.60"), _photograph("1.1"), edits]
    found = measure_inputs(_entry(), inputs, {}, Instruments(Settings()))
    assert found.inputs == ("1.1", "1.60", "9.9")


def test_edits_whose_photograph_cannot_be_read_are_refused_with_its_reason() -> None:
    edits = LandmarkEdits("9.9", "1.1", {"nasion": (1.0, 1.0)}, "2026")
    found = measure_inputs(_entry(), [edits], {"1.1": "truncated"}, Instruments(Settings()))
    assert found.status is Status.REFUSED
    assert found.reason == "truncated"
    assert found.inputs == ("1.1", "9.9")


def test_a_rejection_while_measuring_is_a_refusal() -> None:
    def rejecting(_each: Photograph) -> Analysis:
        raise RejectedInput("no")

    found = measure_inputs(_entry(rejecting), [_photograph()], {}, Instruments(Settings()))
    assert (found.status, found.reason) == (Status.REFUSED, "no")
