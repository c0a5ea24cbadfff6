"""Volumes in files that others wrote, and that another library converted."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from highdicom.legacy import LegacyConvertedEnhancedCTImage, LegacyConvertedEnhancedMRImage
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

from dicom_nodes.objects.volume_reader import read_volumes
from tests.dicom_nodes.objects.volume_files import CT, MR, Grid, stored_values, write_slices

VALUES = stored_values()

_EMPTY = (
    "StudyID",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "ReferringPhysicianName",
    "Manufacturer",
    "BodyPartExamined",
    "PositionReferenceIndicator",
    "Laterality",
)


def _complete(dataset: Dataset, _index: int) -> None:
    """What highdicom wants of an instance before it converts it."""
    for keyword in _EMPTY:
        setattr(dataset, keyword, "")
    dataset.SeriesNumber = 1
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.SliceThickness = "2"
    dataset.AcquisitionNumber = 1
    if dataset.Modality == "CT":
        dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = "1", "-1024", "HU"
        dataset.KVP = "120"
    else:
        dataset.EchoTime, dataset.RepetitionTime = "80", "3000"
        dataset.ScanningSequence, dataset.SequenceVariant, dataset.ScanOptions = "SE", "NONE", ""


@pytest.mark.parametrize(
    ("sop_class", "convert"),
    [(CT, LegacyConvertedEnhancedCTImage), (MR, LegacyConvertedEnhancedMRImage)],
)
def test_what_highdicom_converted_reads_as_its_slices(
    sop_class: str, convert: type, tmp_path: Path
) -> None:
    paths = write_slices(tmp_path, VALUES, Grid(), _complete, sop_class=sop_class)
    (classic,) = read_volumes(paths).volumes
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        converted = convert(
            [dcmread(each) for each in paths],
            series_instance_uid="1.2.826.0.1.56",
            series_number=2,
            sop_instance_uid="1.2.826.0.1.56.1",
            instance_number=1,
        )
        converted.save_as(tmp_path / "converted.dcm")
    found = read_volumes([tmp_path / "converted.dcm"])
    assert found.rejected == {}
    (volume,) = found.volumes
    assert np.array_equal(volume.values, classic.values)
    assert volume.affine == pytest.approx(classic.affine, abs=1e-6)
    assert volume.unit == classic.unit


@pytest.mark.parametrize(
    "name",
    [
        "CT_small.dcm",
        "MR_small.dcm",
        "MR_small_bigendian.dcm",
        "MR_small_implicit.dcm",
        "MR_small_RLE.dcm",
        "MR_small_jp2klossless.dcm",
        "MR_small_jpeg_ls_lossless.dcm",
    ],
)
def test_a_stack_made_of_pydicoms_own_file_has_its_values(name: str, tmp_path: Path) -> None:
    """One slice is no volume; moved copies of it, in its own transfer syntax, are."""
    file = get_testdata_file(name, download=False)
    if file is None:
        pytest.skip(f"pydicom's wheel has no {name}")
    source = Path(str(file))
    assert "one slice only" in " ".join(read_volumes([source]).rejected.values())
    paths = []
    for index in range(3):
        dataset = dcmread(source)
        place = [float(each) for each in dataset.ImagePositionPatient]
        across, down = np.reshape([float(each) for each in dataset.ImageOrientationPatient], (2, 3))
        moved = place + index * 2.5 * np.cross(across, down)
        dataset.ImagePositionPatient = [f"{each:.6f}" for each in moved]
        dataset.SOPInstanceUID = f"1.2.826.0.1.57.{index}"
        dataset.InstanceNumber = index + 1
        paths.append(tmp_path / f"{index}.dcm")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset.save_as(paths[-1])
    (volume,) = read_volumes(paths).volumes
    expected = dcmread(source)
    slope = float(expected.get("RescaleSlope", 1))
    pixels = expected.pixel_array * slope + float(expected.get("RescaleIntercept", 0))
    assert all(np.array_equal(each, pixels) for each in volume.values)
    assert volume.spacing_mm[2] == pytest.approx(2.5)


def test_what_is_no_volume_of_pydicoms_files_is_refused_and_none_ends_the_reader() -> None:
    folder = Path(str(get_testdata_file("CT_small.dcm", download=False))).parent
    paths = sorted(folder.glob("*.dcm"))
    assert len(paths) > 50
    found = read_volumes(paths)
    assert len(found.rejected) > 40
    assert all(each.values.ndim == 3 for each in found.volumes)
