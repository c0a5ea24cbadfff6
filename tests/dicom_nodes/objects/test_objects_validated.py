"""What independent validators say of every object that hemiface writes."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from datetime import datetime
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms
from pydicom import dcmread

from dicom_nodes.objects.encapsulated_model import write_encapsulated_model
from dicom_nodes.objects.header import read_header
from dicom_nodes.objects.measurement_report import Predecessor, write_measurement_report
from dicom_nodes.objects.report_document import Parts
from dicom_nodes.objects.secondary_capture import write_secondary_capture
from dicom_nodes.objects.study_context import StudyIdentity, identity_of
from dicom_nodes.objects.surface_segmentation import write_surface_segmentation
from dicom_nodes.objects.vl_photograph import write_vl_photograph
from dicom_nodes.objects.written_object import WrittenObject
from processing.inputs import Expression, View
from processing.measurement import Analysis, Measurement, Picture, Side, Status, SurfacePatch
from tests.peers import validators

pytestmark = pytest.mark.peer

REPORTS = ("photograph-report", "surface-report", "refused-report", "edited-report")
AREAS = ("affected-area", "affected-area-given")
IMAGES = ("photograph-png", "photograph-jpeg", "photograph-turned", "photograph-joined", "picture")


@pytest.fixture
def objects(
    tmp_path: Path,
    photograph: Path,
    model: Path,
    picture: np.ndarray,
    identity: StudyIdentity,
    photograph_analysis: Analysis,
    surface_analysis: Analysis,
    made_at: datetime,
) -> dict[str, Path]:
    """One of each object, all of one study."""
    written = {name: tmp_path / f"{name}.dcm" for name in (*REPORTS, *IMAGES, *AREAS, "model-obj")}
    jpeg = BytesIO()
    other_colours = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    other_colours = other_colours.replace(b"rXYZ", b"????").replace(b"gXYZ", b"rXYZ")
    Image.fromarray(picture).save(jpeg, "JPEG", icc_profile=other_colours.replace(b"????", b"gXYZ"))
    turned = BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "Maker"
    Image.fromarray(picture).save(turned, "JPEG", exif=exif)
    write_vl_photograph(
        picture,
        identity,
        written["photograph-png"],
        made_at=made_at,
        view=View.RIGHT_PROFILE,
        expression=Expression.SMILE,
        pixel_spacing_mm=0.2,
        instance_number=2,
    )
    write_vl_photograph(
        jpeg.getvalue(),
        identity,
        written["photograph-jpeg"],
        made_at=made_at,
        view=View.LEFT_OBLIQUE,
        expression=Expression.EYES_SHUT,
        instance_number=3,
    )
    write_vl_photograph(
        turned.getvalue(),
        identity,
        written["photograph-turned"],
        made_at=made_at,
        instance_number=4,
    )
    write_vl_photograph(
        picture[::-1],
        identity_of(photograph),
        written["photograph-joined"],
        made_at=made_at,
        instance_number=5,
    )
    write_encapsulated_model(
        b"v 0 0 0\n",
        "obj",
        identity,
        written["model-obj"],
        made_at=made_at,
        unit=None,
        series_number=3,
    )
    measured = replace(photograph_analysis, inputs=(read_header(photograph).sop_instance_uid,))
    first = write_measurement_report(
        measured, [photograph], written["photograph-report"], key="a", made_at=made_at
    )
    _write_edited_report(measured, photograph, first, written["edited-report"], made_at)
    _write_surface_report(surface_analysis, model, written, made_at)
    refused = Analysis("photograph-symmetry", "1.0.0", Status.REFUSED, "Kein Gesicht 无面")
    write_measurement_report(
        refused,
        [photograph],
        written["refused-report"],
        key="c",
        made_at=made_at,
        predecessor=Predecessor(
            identity.study_instance_uid,
            first.series_instance_uid,
            first.sop_class_uid,
            first.sop_instance_uid,
        ),
        series_number=9105,
    )
    write_secondary_capture(
        Picture("landmarks", "Landmarks", picture),
        measured,
        [photograph],
        written["picture"],
        key="a",
        made_at=made_at,
        number=1,
    )
    return {**written, "photograph": photograph, "model-stl": model}


def _write_surface_report(
    analysis: Analysis, model: Path, written: dict[str, Path], made_at: datetime
) -> None:
    """The report on a scan, with an area that was found and one that was given."""
    patch = SurfacePatch(
        np.array([[0.5, -1.25, 2.0], [10.0, 0.0, 0.0], [0.0, 10.0, 0.0]]),
        np.array([[0, 1, 2]], np.int32),
    )
    header = read_header(model)
    regions = ("affected area", "affected area, levelled", "affected area, given", "V1", "temple")
    more = (
        Measurement("volume_discrepancy", -7.0, "mL", 0.3, "m", structure="hemiface", region=each)
        for each in regions
    )
    measured = replace(
        analysis,
        inputs=(header.sop_instance_uid,),
        frame=header.frame_of_reference_uid,
        areas=dict.fromkeys(AREAS, patch),
        measurements=(*analysis.measurements, *more),
    )
    areas = {
        name: write_surface_segmentation(
            name, measured, [model], written[name], key="b", made_at=made_at
        )
        for name in AREAS
    }
    write_measurement_report(
        measured,
        [model],
        written["surface-report"],
        key="b",
        made_at=made_at,
        parts=Parts(areas=areas),
        series_number=9107,
    )


def _write_edited_report(
    measured: Analysis, photograph: Path, first: WrittenObject, out: Path, made_at: datetime
) -> None:
    """The report on landmarks that a reviewer placed, with every kind of measure."""
    reviewed = dcmread(first.path)
    reviewed.SOPInstanceUID = reviewed.file_meta.MediaStorageSOPInstanceUID = "1.2.826.0.1.99.1"
    reviewed.SeriesInstanceUID = "1.2.826.0.1.99"
    reviewed.save_as(out.with_name("reviewed.sr"))
    cheilion = {"side": Side.LEFT, "structure": "cheilion"}
    definition = "landmark_pairs version 2: mean over exocanthion, alare of min(L,R)/max(L,R)"
    more = (
        Measurement("landmark_edit_distance", 0.7, "mm", 0.1, "moved", **cheilion),
        Measurement("log_ratio", -0.1, "1", 0.02, "ln(L/R)", structure="cheilion"),
        Measurement(
            "alternative_symmetry_ratio",
            0.95,
            "1",
            0.01,
            definition,
            structure="landmark_pairs",
            derived_from=("exocanthion", "alare"),
        ),
        Measurement("midline_angle", 1.0, "deg", 0.2, "to the columns", structure="midline"),
        Measurement("scale", 0.2, "mm/{pixel}", 0.01, "iris", structure="face"),
    )
    write_measurement_report(
        replace(measured, measurements=(*measured.measurements, *more)),
        [photograph, out.with_name("reviewed.sr")],
        out,
        key="d",
        made_at=made_at,
        predecessor=Predecessor(
            read_header(photograph).study_instance_uid,
            first.series_instance_uid,
            first.sop_class_uid,
            first.sop_instance_uid,
        ),
        series_number=9106,
    )


def _said(*command: str | Path) -> str:
    name = str(command[0])
    assert shutil.which(name), f"{name} is missing: apt-get install dicom3tools dcmtk pixelmed-apps"
    run = subprocess.run([*map(str, command)], capture_output=True, check=False, timeout=110)
    return (run.stdout + run.stderr).decode("utf-8", "replace")


def test_dciodvfy_finds_no_error(objects: dict[str, Path]) -> None:
    found = {
        name: validators.dciodvfy(path)
        for name, path in objects.items()
        if name != "model-obj"  # Debian's build of 2022 does not know Encapsulated OBJ.
    }
    assert found == {key: [] for key in found}


def test_dicom_validator_finds_no_error(objects: dict[str, Path]) -> None:
    found = {name: validators.dicom_validator(path) for name, path in objects.items()}
    assert found == {key: [] for key in objects}


def test_dcentvfy_finds_all_objects_of_the_study_consistent(objects: dict[str, Path]) -> None:
    assert validators.dcentvfy(objects.values()) == []


def test_dcmtk_reads_every_object(objects: dict[str, Path]) -> None:
    for path in objects.values():
        said = _said("dcmdump", "+U8", path)
        assert "\nE:" not in f"\n{said}"
        assert "王^小东" in said


def test_dsrdump_reads_every_report(objects: dict[str, Path]) -> None:
    found = {name: validators.dsrdump(objects[name]) for name in REPORTS}
    assert found == {key: [] for key in REPORTS}


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", REPORTS)
def test_pixelmed_finds_no_error_in_a_report(objects: dict[str, Path], name: str) -> None:
    assert validators.dicom_sr_validator(objects[name]) == []
