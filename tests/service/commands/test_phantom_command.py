from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import Result

from dicom_nodes.objects.header import read_header
from dicom_nodes.objects.photograph_reader import read_photographs
from dicom_nodes.objects.surface_reader import read_encapsulated_model
from processing.inputs import View
from processing.mesh_files import decode_mesh
from processing.phantom.deficit import Site
from service.commands.phantom import PhantomSite
from service.input_files import FileKind, kind_of
from service.phantom_study import PhantomStudy

Hemiface = Callable[..., Result]


def test_photograph_and_scan_are_in_one_study_of_the_stated_patient(
    phantom_study: PhantomStudy,
) -> None:
    photograph, scan = (read_header(path) for path in phantom_study.files)
    assert photograph.study_instance_uid == scan.study_instance_uid
    assert photograph.study_instance_uid == phantom_study.study_instance_uid
    assert photograph.patient_id == scan.patient_id == "P-1"
    assert photograph.view is View.FRONTAL
    assert not photograph.is_own  # the node measures it, unlike what the node makes
    assert not scan.is_own


def test_what_the_reader_sees_of_the_scan_is_the_phantom_in_mm(
    phantom_study: PhantomStudy,
) -> None:
    model = read_encapsulated_model(phantom_study.files[1])
    surface = decode_mesh(model.data, model.media, source="scan", unit=model.unit)
    made = phantom_study.phantom.surface
    assert model.unit == "mm"
    assert len(surface.triangles) == len(made.triangles)
    np.testing.assert_allclose(
        surface.vertices_mm[surface.triangles], made.vertices_mm[made.triangles], atol=1e-4
    )


def test_the_photograph_keeps_every_pixel_and_its_spacing(phantom_study: PhantomStudy) -> None:
    (photograph,) = read_photographs(phantom_study.files[0])
    made = phantom_study.phantom.photograph
    np.testing.assert_array_equal(photograph.pixels, made.pixels)
    assert photograph.pixel_spacing_mm == made.pixel_spacing_mm


def test_the_truth_lies_beside_and_names_what_it_is_of(phantom_study: PhantomStudy) -> None:
    truth = json.loads(phantom_study.truth.read_text())
    assert truth["deficit"]["volume_ml"] == pytest.approx(8.0, abs=1e-6)
    assert truth["surface"]["volume_discrepancy_ml"] == pytest.approx(-8.0, abs=1e-6)
    assert truth["study_instance_uid"] == phantom_study.study_instance_uid
    assert set(truth["instances"].values()) == {
        read_header(path).sop_instance_uid for path in phantom_study.files
    }
    assert kind_of(phantom_study.truth) is FileKind.OTHER  # hemiface send leaves it out


def test_the_sites_of_the_command_are_those_of_the_phantom() -> None:
    assert [site.value for site in PhantomSite] == [site.value for site in Site]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--restored", "0.5"), "--pair"),
        (("--vertices", "100"), "vertices"),
        (("--noise-mm", "-1"), "noise_mm"),
        (("--deficit-ml", "500"), "500 mL"),
    ],
)
def test_what_cannot_be_made_is_explained(
    hemiface: Hemiface, tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    result = hemiface("phantom", tmp_path / "phantom", *options)
    assert result.exit_code == 2
    assert said in result.stderr
    assert not (tmp_path / "phantom").exists()


@pytest.mark.slow
def test_a_pair_is_two_studies_of_one_patient_and_states_the_change(
    hemiface: Hemiface, tmp_path: Path
) -> None:
    result = hemiface(
        "phantom", tmp_path, "--pair", "--restored", "0.6", "--side", "right", "--site", "temple",
        "--deficit-ml", "5", "--patient-id", "P-2", "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    before, after = json.loads(result.stdout)["studies"]
    assert before["study_instance_uid"] != after["study_instance_uid"]
    headers = [read_header(Path(each["files"][0])) for each in (before, after)]
    assert {header.patient_id for header in headers} == {"P-2"}
    assert headers[0].study_date < headers[1].study_date
    change = json.loads((tmp_path / "truth.json").read_text())["change"]
    assert change["side"] == "right"
    assert change["volume_change_ml"] == pytest.approx(3.0, abs=1e-6)
    left = json.loads(Path(after["truth"]).read_text())["deficit"]["volume_ml"]
    assert left == pytest.approx(2.0, abs=1e-6)
