from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from dicom_nodes.objects.volume_reader import read_volumes
from processing.inputs import Volume
from tests.dicom_nodes.objects.volume_files import PET, Grid, stored_values, write_slices

HALF_LIFE = 6586.2


def _fdg(dataset: Dataset) -> None:
    """70 kg, 350 MBq of fluorine 18 at 10:00, scanned at 11:00."""
    dataset.Units = "BQML"
    dataset.CorrectedImage = ["NORM", "DTIM", "ATTN", "SCAT", "DECY"]
    dataset.DecayCorrection = "START"
    dataset.SeriesDate = dataset.AcquisitionDate = "20260114"
    dataset.SeriesTime = "110000"
    dataset.AcquisitionTime = "110000"
    dataset.PatientWeight = "70"
    dataset.RescaleSlope, dataset.RescaleIntercept = "2", "0"
    item = Dataset()
    item.RadionuclideTotalDose = "350000000"
    item.RadionuclideHalfLife = str(HALF_LIFE)
    item.RadiopharmaceuticalStartDateTime = "20260114100000"
    dataset.RadiopharmaceuticalInformationSequence = [item]


def read(folder: Path, change: Callable[[Dataset, int], Any] = lambda _d, _i: None) -> Volume:
    def changed(dataset: Dataset, index: int) -> None:
        _fdg(dataset)
        change(dataset, index)

    found = read_volumes(write_slices(folder, stored_values(), Grid(), changed, sop_class=PET))
    assert found.rejected == {}
    (volume,) = found.volumes
    return volume


def drug(dataset: Dataset) -> Dataset:
    item: Dataset = dataset.RadiopharmaceuticalInformationSequence[0]
    return item


def test_suv_is_activity_by_weight_over_the_decayed_dose(tmp_path: Path) -> None:
    volume = read(tmp_path)
    assert volume.unit == "Bq/mL"
    assert volume.values == pytest.approx(stored_values() * 2.0)
    decayed = 350e6 * 0.5 ** (3600 / HALF_LIFE)
    assert volume.suv_per_unit == pytest.approx(70_000 / decayed)
    assert volume.no_suv_reason is None


def test_an_image_corrected_to_the_injection_has_the_whole_dose(tmp_path: Path) -> None:
    volume = read(tmp_path, lambda dataset, _: setattr(dataset, "DecayCorrection", "ADMIN"))
    assert volume.suv_per_unit == pytest.approx(70_000 / 350e6)


def test_a_start_time_without_a_date_is_on_the_day_of_the_scan(tmp_path: Path) -> None:
    def changed(dataset: Dataset, _index: int) -> None:
        del drug(dataset).RadiopharmaceuticalStartDateTime
        drug(dataset).RadiopharmaceuticalStartTime = "100000.00"

    assert read(tmp_path, changed).suv_per_unit == pytest.approx(
        70_000 / (350e6 * 0.5 ** (3600 / HALF_LIFE))
    )


def test_later_bed_positions_are_corrected_to_the_start_of_the_scan(tmp_path: Path) -> None:
    volume = read(
        tmp_path, lambda dataset, index: setattr(dataset, "AcquisitionTime", f"110{index}00")
    )
    assert volume.suv_per_unit == pytest.approx(70_000 / (350e6 * 0.5 ** (3600 / HALF_LIFE)))


def test_values_that_are_suv_by_body_weight_are_kept(tmp_path: Path) -> None:
    def changed(dataset: Dataset, _index: int) -> None:
        dataset.Units, dataset.SUVType = "GML", "BW"

    volume = read(tmp_path, changed)
    assert (volume.unit, volume.suv_per_unit) == ("g/mL", 1.0)


def test_lean_body_mass_is_not_taken_for_body_weight(tmp_path: Path) -> None:
    def changed(dataset: Dataset, _index: int) -> None:
        dataset.Units, dataset.SUVType = "GML", "LBM"

    assert "only BW is by body weight" in (read(tmp_path, changed).no_suv_reason or "")


def _without(keyword: str) -> Callable[[Dataset], None]:
    return lambda dataset: delattr(dataset, keyword)


def _with(keyword: str, value: Any) -> Callable[[Dataset], None]:
    return lambda dataset: setattr(dataset, keyword, value)


def _drug_without(keyword: str) -> Callable[[Dataset], None]:
    return lambda dataset: delattr(drug(dataset), keyword)


def _drug_with(keyword: str, value: Any) -> Callable[[Dataset], None]:
    return lambda dataset: setattr(drug(dataset), keyword, value)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_without("PatientWeight"), r"Patient's Weight \(0010,1030\) is missing"),
        (_with("PatientWeight", "0"), "0 kg, which is not between"),
        (_with("PatientWeight", "1000"), "1000 kg, which is not between"),
        (_with("Units", "CNTS"), r"Units \(0054,1001\) is CNTS"),
        (_without("Units"), r"Units \(0054,1001\) is missing"),
        (_without("DecayCorrection"), r"Decay Correction \(0054,1102\) is missing"),
        (_with("DecayCorrection", "NONE"), "is NONE; SUV needs START or ADMIN"),
        (_with("CorrectedImage", ["DECY"]), "does not name ATTN"),
        (_without("CorrectedImage"), "does not name ATTN and DECY"),
        (_without("RadiopharmaceuticalInformationSequence"), "has 0 items"),
        (_drug_without("RadionuclideTotalDose"), "Total Dose .* is missing"),
        (_drug_with("RadionuclideTotalDose", "350"), "350 Bq, which is not between"),
        (_drug_without("RadionuclideHalfLife"), "Half Life .* is missing"),
        (_drug_without("RadiopharmaceuticalStartDateTime"), "Start Time .* are missing"),
        (_drug_with("RadiopharmaceuticalStartDateTime", "20260114"), "not exact to the minute"),
        (_drug_with("RadiopharmaceuticalStartDateTime", "20260114120000"), "not within three days"),
        (_without("SeriesTime"), "Series Date or Series Time is missing"),
        (_with("SeriesTime", "150000"), "Series Time .* is later than an Acquisition Time"),
    ],
)
def test_nothing_is_guessed(change: Callable[[Dataset], None], reason: str, tmp_path: Path) -> None:
    volume = read(tmp_path, lambda dataset, _index: change(dataset))
    assert np.isfinite(volume.values).all()
    assert volume.suv_per_unit is None
    assert volume.no_suv_reason is not None
    assert re.search(reason, volume.no_suv_reason)
