from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from pydicom import dcmread
from pydicom.dataset import Dataset

from dicom_nodes.objects.volume_reader import read_volumes
from processing.inputs import Volume
from tests.dicom_nodes.objects.volume_files import (
    CT,
    FRAME,
    SERIES,
    Grid,
    stored_values,
    write_enhanced,
    write_slices,
)

VALUES = stored_values()
GRID = Grid()


def read_one(*paths: Path) -> Volume:
    found = read_volumes(paths)
    assert found.rejected == {}
    (volume,) = found.volumes
    return volume


def refusal(*paths: Path) -> str:
    found = read_volumes(paths)
    assert found.volumes == ()
    (reason,) = set(found.rejected.values())
    return reason


def affine_of_itk(image: SimpleITK.Image) -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * np.array(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    return affine


def test_classic_slices_are_read_as_they_were_written(tmp_path: Path) -> None:
    volume = read_one(*reversed(write_slices(tmp_path, VALUES, GRID)))
    assert np.array_equal(volume.values, VALUES)
    assert volume.affine == pytest.approx(GRID.affine(), abs=1e-6)
    assert volume.spacing_mm == pytest.approx(GRID.spacing_mm)
    assert (volume.modality, volume.unit, volume.frame) == ("MR", "1", FRAME)
    assert (volume.source, volume.description, volume.part) == (SERIES, "phantom", "")
    assert [each.rpartition(".")[2] for each in volume.instances] == list("12345")


def test_an_enhanced_object_of_the_same_values_reads_alike(tmp_path: Path) -> None:
    classic = read_one(*write_slices(tmp_path, VALUES, GRID))
    enhanced = read_one(write_enhanced(tmp_path, VALUES, GRID))
    assert np.array_equal(enhanced.values, classic.values)
    assert enhanced.affine == pytest.approx(classic.affine, abs=1e-6)
    assert enhanced.unit == classic.unit


def test_simpleitk_reads_the_same_from_classic_slices(tmp_path: Path) -> None:
    paths = write_slices(tmp_path, VALUES, GRID)
    volume = read_one(*paths)
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path)))
    image = reader.Execute()
    assert np.array_equal(SimpleITK.GetArrayFromImage(image), volume.values)
    assert affine_of_itk(image) == pytest.approx(volume.affine, abs=1e-5)


def test_simpleitk_reads_the_same_from_an_enhanced_object(tmp_path: Path) -> None:
    path = write_enhanced(tmp_path, VALUES, GRID)
    volume = read_one(path)
    image = SimpleITK.ReadImage(str(path))
    assert np.array_equal(SimpleITK.GetArrayFromImage(image), volume.values)
    assert affine_of_itk(image) == pytest.approx(volume.affine, abs=1e-5)


def test_real_slices_with_invalid_headers_read_as_simpleitk_reads_them() -> None:
    folder = Path(os.environ.get("HEMIFACE_DATA", "../shared/data")) / "mr" / "datalad" / "dicoms"
    if not folder.is_dir():
        pytest.skip("mr/datalad is not in ../shared/data nor in $HEMIFACE_DATA")
    volume = read_one(*sorted(folder.glob("*.dcm"))[100:140])
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(list(reader.GetGDCMSeriesFileNames(str(folder)))[100:140])
    image = reader.Execute()
    found = SimpleITK.GetArrayFromImage(image)
    own, other = volume.affine, affine_of_itk(image)
    if own[:3, 2] @ other[:3, 2] < 0:  # it may run through the stack the other way
        found = found[::-1]
    assert np.array_equal(found, volume.values)
    assert volume.spacing_mm == pytest.approx(image.GetSpacing())


def test_values_are_rescaled_slice_by_slice(tmp_path: Path) -> None:
    def rescaled(dataset: Dataset, index: int) -> None:
        dataset.RescaleSlope, dataset.RescaleIntercept = str(index + 1), "-1024"

    volume = read_one(*write_slices(tmp_path, VALUES, GRID, rescaled, sop_class=CT))
    expected = VALUES * np.arange(1.0, 6)[:, None, None] - 1024
    assert volume.values == pytest.approx(expected)
    assert volume.unit == "[hnsf'U]"


def test_a_real_world_value_counts_before_the_rescaled_one(tmp_path: Path) -> None:
    def mapped(frame: Dataset, _index: int) -> None:
        frame.PixelValueTransformationSequence = [Dataset()]
        frame.PixelValueTransformationSequence[0].RescaleSlope = "1"
        frame.PixelValueTransformationSequence[0].RescaleIntercept = "0"
        item = Dataset()
        item.RealWorldValueSlope, item.RealWorldValueIntercept = 0.5, 10.0
        unit = Dataset()
        unit.CodeValue, unit.CodingSchemeDesignator, unit.CodeMeaning = "mm2/s", "UCUM", "ADC"
        item.MeasurementUnitsCodeSequence = [unit]
        frame.RealWorldValueMappingSequence = [item]

    volume = read_one(write_enhanced(tmp_path, VALUES, GRID, mapped))
    assert volume.values == pytest.approx(VALUES * 0.5 + 10)
    assert volume.unit == "mm2/s"


def test_a_tilted_gantry_is_told_and_its_grid_is_sheared(tmp_path: Path) -> None:
    shift = np.array([0.0, 0.0, 2.0 * np.tan(np.radians(15))])
    axial = replace(GRID, directions=np.eye(3))

    def tilted(dataset: Dataset, index: int) -> None:
        place = np.array(axial.origin_mm) + index * (np.array([0, 0, 2.0]) + shift[[0, 2, 1]])
        dataset.ImagePositionPatient = [f"{each:.8f}" for each in place]

    volume = read_one(*write_slices(tmp_path, VALUES, axial, tilted, sop_class=CT))
    assert volume.tilt_deg == pytest.approx(15, abs=1e-3)
    assert "tilted by 15.0 degrees" in volume.notes[0]
    corner = volume.affine @ np.array([0, 0, 4, 1])
    assert corner[:3] == pytest.approx([-10, 20 + 8 * np.tan(np.radians(15)), 13], abs=1e-5)


def test_missing_slices_are_told_with_their_place(tmp_path: Path) -> None:
    paths = write_slices(tmp_path, stored_values((9, 6, 7)), replace(GRID, directions=np.eye(3)))
    reason = refusal(*paths[:3], *paths[5:])
    assert "2 slices are missing between slice 3 (S 9.00 mm) and 6 (S 15.00 mm)" in reason
    assert "1 slice is missing between slice 1" in refusal(paths[0], *paths[2:])


def test_uneven_slices_are_told_with_their_place(tmp_path: Path) -> None:
    axial = replace(GRID, directions=np.eye(3))

    def uneven(dataset: Dataset, index: int) -> None:
        if index == 3:
            dataset.ImagePositionPatient[2] = "11.4"

    reason = refusal(*write_slices(tmp_path, VALUES, axial, uneven))
    assert "2.400 mm between slice 3 (S 9.00 mm) and 4 (S 11.40 mm)" in reason


def test_a_slice_beside_the_others_is_told(tmp_path: Path) -> None:
    axial = replace(GRID, directions=np.eye(3))

    def moved(dataset: Dataset, index: int) -> None:
        if index == 2:
            dataset.ImagePositionPatient[0] = "-13.0"

    reason = refusal(*write_slices(tmp_path, VALUES, axial, moved))
    assert "Slice 3 lies 3.00 mm beside the line" in reason


def test_slices_that_came_twice_are_read_once(tmp_path: Path) -> None:
    paths = write_slices(tmp_path, VALUES, GRID)
    again = write_slices(tmp_path, VALUES, GRID, prefix="7")
    volume = read_one(*paths, *again[:2])
    assert np.array_equal(volume.values, VALUES)
    assert volume.notes == ("2 slices came twice and were read once (numbers 1, 2).",)


def test_different_slices_at_one_place_that_nothing_tells_apart_are_refused(
    tmp_path: Path,
) -> None:
    paths = write_slices(tmp_path, VALUES, GRID)
    others = write_slices(tmp_path, VALUES + np.int16(1), GRID, prefix="7")
    assert "lie at the same place and differ" in refusal(*paths, *others)


@pytest.mark.parametrize(
    ("keyword", "first", "second", "words"),
    [
        ("EchoTime", "10", "80", ["echo time 10 ms", "echo time 80 ms"]),
        ("TriggerTime", "0", "120.5", ["phase 1", "phase 2"]),
        ("TemporalPositionIdentifier", "1", "2", ["time 1", "time 2"]),
        ("DiffusionBValue", 0.0, 1000.0, ["b value 0 s/mm2", "b value 1000 s/mm2"]),
        ("AcquisitionNumber", "4", "5", ["acquisition 1", "acquisition 2"]),
        (
            "ImageType",
            ["ORIGINAL", "PRIMARY", "M"],
            ["ORIGINAL", "PRIMARY", "P"],
            ["image type ORIGINAL\\PRIMARY\\M", "image type ORIGINAL\\PRIMARY\\P"],
        ),
    ],
)
def test_what_differs_keeps_volumes_of_a_series_apart(
    keyword: str, first: object, second: object, words: list[str], tmp_path: Path
) -> None:
    paths = [
        path
        for prefix, value, values in (("1", first, VALUES), ("2", second, VALUES + np.int16(500)))
        for path in write_slices(
            tmp_path,
            values,
            GRID,
            lambda dataset, _index, value=value: setattr(dataset, keyword, value),
            prefix=prefix,
        )
    ]
    found = read_volumes(paths)
    assert found.rejected == {}
    assert [each.part for each in found.volumes] == words
    assert np.array_equal(found.volumes[0].values, VALUES)
    assert np.array_equal(found.volumes[1].values, VALUES + 500)


def test_echoes_and_stacks_of_an_enhanced_object_are_kept_apart(tmp_path: Path) -> None:
    both = np.concatenate([VALUES, VALUES + np.int16(500)])

    def echo(frame: Dataset, index: int) -> None:
        frame.MREchoSequence = [Dataset()]
        frame.MREchoSequence[0].EffectiveEchoTime = 10.0 if index < 5 else 80.0
        place = GRID.affine() @ np.array([0, 0, index % 5, 1])
        frame.PlanePositionSequence[0].ImagePositionPatient = [f"{each:.8f}" for each in place[:3]]

    found = read_volumes([write_enhanced(tmp_path, both, GRID, echo)])
    assert found.rejected == {}
    assert [each.part for each in found.volumes] == ["echo time 10 ms", "echo time 80 ms"]
    assert np.array_equal(found.volumes[1].values, VALUES + 500)


def test_a_localizer_is_a_volume_for_each_orientation(tmp_path: Path) -> None:
    axial, coronal = np.eye(3), np.array([[1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]])
    paths = [
        path
        for prefix, directions in (("1", axial), ("2", coronal))
        for path in write_slices(
            tmp_path, VALUES, replace(GRID, directions=directions), prefix=prefix
        )
    ]
    found = read_volumes(paths)
    assert found.rejected == {}
    assert [each.part.partition(",")[0] for each in found.volumes] == ["axial", "coronal"]


def test_a_slice_that_is_turned_is_told_and_so_is_the_gap_that_it_leaves(tmp_path: Path) -> None:
    def turned(dataset: Dataset, index: int) -> None:
        if index == 2:
            dataset.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]

    found = read_volumes(write_slices(tmp_path, VALUES, GRID, turned))
    assert found.volumes == ()
    reasons = " ".join(found.rejected.values())
    assert "one slice only (number 3)" in reasons
    assert "1 slice is missing between slice 2" in reasons


@pytest.mark.parametrize(
    ("keyword", "value", "reason"),
    [
        ("ImagePositionPatient", None, "Image Position Patient"),
        ("ImagePositionPatient", ["1e9", "0", "0"], "far outside a body"),
        ("ImageOrientationPatient", ["1", "0", "0", "1", "0", "0"], "perpendicular unit vectors"),
        ("PixelSpacing", ["0", "1"], "Pixel Spacing"),
        ("PixelSpacing", None, "Pixel Spacing"),
        ("RescaleSlope", "0", "Rescale Slope"),
        ("NumberOfFrames", "100000", "claims 100000 frames"),
        ("NumberOfFrames", "3", "one of its class is a slice"),
        ("SamplesPerPixel", 3, "colour picture"),
        ("SOPClassUID", "1.2.840.10008.5.1.4.1.1.7", "holds no slices"),
    ],
)
def test_what_has_no_geometry_or_no_values_is_refused_by_its_attribute(
    keyword: str, value: object, reason: str, tmp_path: Path
) -> None:
    def changed(dataset: Dataset, _index: int) -> None:
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)

    assert reason in refusal(*write_slices(tmp_path, VALUES, GRID, changed)[:1])


def test_a_claimed_size_is_refused_before_its_pixels_are_decoded(tmp_path: Path) -> None:
    path = write_slices(tmp_path, VALUES[:1], GRID)[0]
    dataset = dcmread(path)
    dataset.Rows = dataset.Columns = 65535
    dataset.save_as(path)
    assert "million voxels are not read" in refusal(path)


def test_pixels_that_are_cut_short_are_refused(tmp_path: Path) -> None:
    paths = write_slices(tmp_path, VALUES, GRID)
    dataset = dcmread(paths[1])
    dataset.PixelData = dataset.PixelData[:20]
    dataset.save_as(paths[1])
    assert "Pixel Data (7FE0,0010) cannot be decoded" in refusal(*paths)


def test_functional_groups_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    path = write_enhanced(tmp_path, VALUES, GRID)
    dataset = dcmread(path)
    dataset.PerFrameFunctionalGroupsSequence = dataset.PerFrameFunctionalGroupsSequence[:2]
    dataset.save_as(path)
    assert "has 5 frames, but functional groups (5200,9230) of 2" in refusal(path)


def test_what_is_no_dicom_is_refused_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "text.dcm"
    path.write_text("no DICOM")
    assert read_volumes([path]).rejected == {str(path): "It is not a DICOM file."}


def test_damaged_headers_leave_no_crash(tmp_path: Path) -> None:
    path = write_enhanced(tmp_path, VALUES, GRID)
    whole = path.read_bytes()
    random = np.random.default_rng(5)
    for _ in range(150):
        damaged = bytearray(whole)
        for place in random.integers(140, len(damaged), 6):
            damaged[place] = random.integers(0, 256)
        path.write_bytes(damaged[: random.integers(200, len(damaged))])
        found = read_volumes([path])
        assert len(found.volumes) + len(found.rejected) >= 1
