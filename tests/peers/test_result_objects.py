"""What others say of all objects of a result together, as the node writes them of a phantom."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import highdicom
import pytest
from pydicom import Dataset, dcmread

from tests.durability.studies import write_phantom
from tests.peers import standard_tables, validators
from tests.peers.results import written_result

pytestmark = [pytest.mark.slow, pytest.mark.peer, pytest.mark.timeout(400)]

DOCUMENTS = ("report", "display", "key-objects")
INPUTS = {"photograph-symmetry": "photograph.dcm", "surface-symmetry": "scan.dcm"}


@dataclass(frozen=True)
class Result:
    """The objects of a result by their roles, and what it was made from."""

    source: Path
    objects: dict[str, Path]


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_phantom(tmp_path_factory.mktemp("phantom"))


@pytest.fixture(scope="module", params=INPUTS)
def result(
    request: pytest.FixtureRequest, phantom: Path, tmp_path_factory: pytest.TempPathFactory
) -> Result:
    source = phantom / INPUTS[request.param]
    objects = written_result(request.param, [source], tmp_path_factory.mktemp("result"))
    assert set(DOCUMENTS) < set(objects)
    return Result(source, objects)


def _numbers(item: Dataset) -> list[float]:
    """Numbers of the measurement groups, without those that are properties of others."""
    found = [
        float(each.MeasuredValueSequence[0].NumericValue)
        for each in item.get("ContentSequence") or ()
        if each.ValueType == "NUM"
    ]
    for each in item.get("ContentSequence") or ():
        if each.ValueType == "CONTAINER":
            found += _numbers(each)
    return found


def test_dciodvfy_finds_no_error(result: Result) -> None:
    found = {role: validators.dciodvfy(path) for role, path in result.objects.items()}
    assert found == {each: [] for each in result.objects}


def test_dicom_validator_finds_no_error(result: Result) -> None:
    known = {
        role: path
        for role, path in result.objects.items()
        if standard_tables.knows(dcmread(path, stop_before_pixels=True).SOPClassUID)
    }
    assert set(DOCUMENTS) < set(known)
    found = {role: validators.dicom_validator(path) for role, path in known.items()}
    assert found == {each: [] for each in known}


def test_dcentvfy_finds_one_study_whose_references_all_are_there(result: Result) -> None:
    assert validators.dcentvfy([result.source, *result.objects.values()]) == []


@pytest.mark.parametrize("role", DOCUMENTS)
def test_dsrdump_reads_the_whole_tree(result: Result, role: str) -> None:
    assert validators.dsrdump(result.objects[role]) == []


@pytest.mark.parametrize("role", ["report", "display"])
def test_pixelmed_finds_no_error_in_the_templates(result: Result, role: str) -> None:
    assert validators.dicom_sr_validator(result.objects[role]) == []


@pytest.mark.parametrize("role", ["report", "display"])
def test_dcmqi_reads_every_number(result: Result, role: str) -> None:
    path = result.objects[role]
    wanted = _numbers(dcmread(path))
    assert len(wanted) > 5
    assert sorted(validators.tid1500reader(path)) == pytest.approx(sorted(wanted), rel=1e-9)


def test_highdicom_reads_every_number_of_the_display_report(result: Result) -> None:
    path = result.objects["display"]
    groups = highdicom.sr.srread(path).content.get_planar_roi_measurement_groups()
    found = [each.value for group in groups for each in group.get_measurements()]
    assert sorted(found) == pytest.approx(sorted(_numbers(dcmread(path))), rel=1e-9)
