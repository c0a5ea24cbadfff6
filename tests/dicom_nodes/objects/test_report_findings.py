"""What a report tells in codes: how the analysis ended, its checks, and what is affected."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from dicom_nodes.objects.measurement_report import write_measurement_report
from dicom_nodes.objects.report_codes import AFFECTED_AREA, AFFECTED_SIDE, CHECKS_PASSED
from processing.measurement import Analysis, SurfacePatch


def _findings(analysis: Analysis, source: Path, made_at: datetime) -> dict[str, str]:
    out = source.with_name("sr.dcm")
    write_measurement_report(analysis, [source], out, key="k", made_at=made_at)
    measurements = dcmread(out).ContentSequence[-1]
    return {
        each.ConceptNameCodeSequence[0].CodeValue: each.ConceptCodeSequence[0].CodeMeaning
        for each in measurements.ContentSequence[0].ContentSequence
        if each.ValueType == "CODE"
    }


@pytest.mark.parametrize(("x_mm", "side"), [(30.0, "Left"), (-30.0, "Right")])
def test_the_affected_area_and_its_side_are_told(
    model: Path, surface_analysis: Analysis, made_at: datetime, x_mm: float, side: str
) -> None:
    corners = np.array([[x_mm, 0.0, 0.0], [x_mm, 5.0, 0.0], [x_mm, 0.0, 5.0]])
    patch = SurfacePatch(corners, np.array([[0, 1, 2]], dtype=np.int32))
    analysis = replace(surface_analysis, areas={"affected-area": patch})
    found = _findings(analysis, model, made_at)
    assert (found[AFFECTED_AREA.value], found[AFFECTED_SIDE.value]) == ("Present", side)


def test_a_scan_without_an_affected_area_says_so(
    model: Path, surface_analysis: Analysis, made_at: datetime
) -> None:
    found = _findings(surface_analysis, model, made_at)
    assert found[AFFECTED_AREA.value] == "Absent"
    assert AFFECTED_SIDE.value not in found
    assert found[CHECKS_PASSED.value] == "Yes"


def test_one_failed_check_is_told_and_a_photograph_says_nothing_of_areas(
    photograph: Path, photograph_analysis: Analysis, made_at: datetime
) -> None:
    found = _findings(replace(photograph_analysis, landmarks={}), photograph, made_at)
    assert found[CHECKS_PASSED.value] == "No"
    assert AFFECTED_AREA.value not in found
