"""Each validator finds nothing in a right object and names the error planted in a wrong one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from tests.peers import samples, standard_tables, validators
from tests.peers.samples import written

pytestmark = pytest.mark.peer

SURFACE_SCAN_MESH = "1.2.840.10008.5.1.4.1.1.68.1"


@pytest.fixture
def report() -> Dataset:
    return samples.measurement_report(samples.photograph())


def first_measurement(report: Dataset) -> Dataset:
    group = report.ContentSequence[-1].ContentSequence[0]
    measurement: Dataset = next(each for each in group.ContentSequence if each.ValueType == "NUM")
    return measurement


@pytest.mark.parametrize("validate", [validators.dciodvfy, validators.dicom_validator])
def test_module_validators_pass_right_objects(
    validate: Callable[[Path], list[str]], report: Dataset, tmp_path: Path
) -> None:
    right = [samples.photograph(), samples.photograph(jpeg=True), report]
    found = [validate(written(each, tmp_path / f"{i}.dcm")) for i, each in enumerate(right)]
    assert found == [[], [], []]


@pytest.mark.parametrize("validate", [validators.dciodvfy, validators.dicom_validator])
def test_module_validators_name_a_missing_attribute(
    validate: Callable[[Path], list[str]], tmp_path: Path
) -> None:
    wrong = samples.photograph()
    del wrong.AcquisitionContextSequence
    assert "0040,0555" in str(validate(written(wrong, tmp_path / "wrong.dcm"))).replace(" ", "")


def test_dicom_validator_judges_a_condition(tmp_path: Path) -> None:
    wrong = samples.photograph()  # colour, for which the planar configuration is required
    del wrong.PlanarConfiguration
    assert "(0028,0006)" in str(validators.dicom_validator(written(wrong, tmp_path / "wrong.dcm")))


def test_dicom_validator_knows_surface_scans_and_demands_their_frame_of_reference(
    tmp_path: Path,
) -> None:
    wrong = samples.photograph()
    wrong.SOPClassUID = SURFACE_SCAN_MESH
    found = str(validators.dicom_validator(written(wrong, tmp_path / "wrong.dcm")))
    assert standard_tables.knows(SURFACE_SCAN_MESH)
    assert "Frame of Reference: (0020,0052) is missing" in found


def test_dicom_validator_refuses_a_sop_class_that_the_tables_lack(tmp_path: Path) -> None:
    wrong = samples.photograph()
    wrong.SOPClassUID = "1.2.3.4"
    with pytest.raises(KeyError):
        validators.dicom_validator(written(wrong, tmp_path / "wrong.dcm"))


def test_dciodvfy_names_a_reference_without_evidence(report: Dataset, tmp_path: Path) -> None:
    del report.CurrentRequestedProcedureEvidenceSequence
    assert validators.dciodvfy(written(report, tmp_path / "wrong.dcm"))


def test_dciodvfy_that_cannot_read_the_file_is_no_silence(tmp_path: Path) -> None:
    rubbish = tmp_path / "rubbish.dcm"
    rubbish.write_bytes(b"no DICOM")
    assert validators.dciodvfy(rubbish)


def test_dsrdump_passes_a_right_report(report: Dataset, tmp_path: Path) -> None:
    assert validators.dsrdump(written(report, tmp_path / "right.dcm")) == []


def test_dsrdump_names_a_measurement_without_unit(report: Dataset, tmp_path: Path) -> None:
    del first_measurement(report).MeasuredValueSequence[0].MeasurementUnitsCodeSequence
    found = validators.dsrdump(written(report, tmp_path / "wrong.dcm"))
    assert any("MeasurementUnitsCodeSequence" in each for each in found)


def test_dcentvfy_passes_objects_of_one_study(tmp_path: Path) -> None:
    image = samples.photograph()
    right = [
        written(image, tmp_path / "image.dcm"),
        written(samples.measurement_report(image), tmp_path / "report.dcm"),
    ]
    assert validators.dcentvfy(right) == []


def test_dcentvfy_names_a_patient_that_is_another_in_the_same_study(tmp_path: Path) -> None:
    image = samples.photograph()
    other = samples.photograph(image.StudyInstanceUID)
    other.PatientName = "Somebody^Else"
    wrong = [written(image, tmp_path / "image.dcm"), written(other, tmp_path / "other.dcm")]
    assert any("PatientName" in each for each in validators.dcentvfy(wrong))


def test_dcentvfy_that_cannot_read_a_file_is_no_silence(tmp_path: Path) -> None:
    with pytest.raises(validators.ValidatorFault):
        validators.dcentvfy([tmp_path / "nothing.dcm"])


@pytest.mark.slow
def test_dicom_sr_validator_passes_a_right_report(report: Dataset, tmp_path: Path) -> None:
    assert validators.dicom_sr_validator(written(report, tmp_path / "right.dcm")) == []


@pytest.mark.slow
def test_dicom_sr_validator_names_a_wrong_relationship(report: Dataset, tmp_path: Path) -> None:
    group = report.ContentSequence[-1].ContentSequence[0]
    group.ContentSequence[0].RelationshipType = "CONTAINS"
    found = validators.dicom_sr_validator(written(report, tmp_path / "wrong.dcm"))
    assert any("Incorrect relationship" in each for each in found)


@pytest.mark.slow
def test_dicom_sr_validator_names_a_content_item_outside_the_template(
    report: Dataset, tmp_path: Path
) -> None:
    person = report.ContentSequence[2]
    report.ContentSequence[-1].ContentSequence[0].ContentSequence.append(person)
    found = validators.dicom_sr_validator(written(report, tmp_path / "wrong.dcm"))
    assert any("Content Item not in template" in each for each in found)


@pytest.mark.slow
def test_dicom_sr_validator_that_cannot_read_the_file_is_no_silence(tmp_path: Path) -> None:
    rubbish = tmp_path / "rubbish.dcm"
    rubbish.write_bytes(b"no DICOM")
    with pytest.raises(validators.ValidatorFault):
        validators.dicom_sr_validator(rubbish)
