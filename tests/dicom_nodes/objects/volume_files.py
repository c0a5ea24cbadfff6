"""Series of known geometry, written as classic slices and as one enhanced object."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
PET = "1.2.840.10008.5.1.4.1.1.128"
ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4.1"

SERIES = "1.2.826.0.1.55.1"
STUDY = "1.2.826.0.1.55"
FRAME = "1.2.826.0.1.55.9"


@dataclass(frozen=True)
class Grid:
    """Where voxels lie: LPS direction cosines of columns, rows and slices, and spacing."""

    spacing_mm: tuple[float, float, float] = (0.5, 0.75, 2.0)
    origin_mm: tuple[float, float, float] = (-10.0, 20.0, 5.0)
    directions: NDArray[np.float64] = field(default_factory=lambda: oblique())

    def affine(self) -> NDArray[np.float64]:
        """From (column, row, slice) to LPS."""
        affine = np.eye(4)
        affine[:3, :3] = self.directions * np.array(self.spacing_mm)
        affine[:3, 3] = self.origin_mm
        return affine


def oblique() -> NDArray[np.float64]:
    """Turned about two axes, so that no direction is an axis of the body."""
    a, b = np.radians(20), np.radians(-35)
    first = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    second = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    return first @ second


def stored_values(shape: tuple[int, int, int] = (5, 6, 7)) -> NDArray[np.int16]:
    """Values that differ everywhere."""
    return np.arange(np.prod(shape), dtype=np.int16).reshape(shape)


Change = Callable[[Dataset, int], Any]


def write_slices(
    folder: Path,
    values: NDArray[np.int16],
    grid: Grid,
    change: Change = lambda _dataset, _index: None,
    *,
    sop_class: str = MR,
    prefix: str = "",
) -> list[Path]:
    """A classic series, a file for each slice; `change` may alter each dataset."""
    paths = []
    for index, pixels in enumerate(values):
        dataset = _common(sop_class, f"{SERIES}.{prefix or '1'}.{index + 1}")
        dataset.InstanceNumber = index + 1
        position = grid.affine() @ np.array([0, 0, index, 1])
        dataset.ImagePositionPatient = _texts(position[:3])
        dataset.ImageOrientationPatient = _texts(grid.directions[:, :2].T.ravel())
        dataset.PixelSpacing = _texts([grid.spacing_mm[1], grid.spacing_mm[0]])
        _add_pixels(dataset, pixels)
        change(dataset, index)
        paths.append(_save(dataset, folder / f"{prefix}{index + 1:03}.dcm"))
    return paths


def write_enhanced(
    folder: Path,
    values: NDArray[np.int16],
    grid: Grid,
    change: Change = lambda _frame, _index: None,
    *,
    name: str = "enhanced.dcm",
) -> Path:
    """The same as one Enhanced MR object; `change` may alter the groups of each frame."""
    dataset = _common(ENHANCED_MR, f"{SERIES}.99")
    shared = Dataset()
    shared.PixelMeasuresSequence = [Dataset()]
    shared.PixelMeasuresSequence[0].PixelSpacing = _texts([grid.spacing_mm[1], grid.spacing_mm[0]])
    shared.PixelMeasuresSequence[0].SliceThickness = _texts([grid.spacing_mm[2]])[0]
    shared.PixelMeasuresSequence[0].SpacingBetweenSlices = _texts([grid.spacing_mm[2]])[0]
    shared.PlaneOrientationSequence = [Dataset()]
    shared.PlaneOrientationSequence[0].ImageOrientationPatient = _texts(
        grid.directions[:, :2].T.ravel()
    )
    dataset.SharedFunctionalGroupsSequence = [shared]
    frames = []
    for index in range(len(values)):
        frame = Dataset()
        position = grid.affine() @ np.array([0, 0, index, 1])
        frame.PlanePositionSequence = [Dataset()]
        frame.PlanePositionSequence[0].ImagePositionPatient = _texts(position[:3])
        change(frame, index)
        frames.append(frame)
    dataset.PerFrameFunctionalGroupsSequence = frames
    dataset.NumberOfFrames = len(values)
    _add_pixels(dataset, values)
    return _save(dataset, folder / name)


def _common(sop_class: str, uid: str) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID = sop_class
    dataset.SOPInstanceUID = uid
    dataset.StudyInstanceUID = STUDY
    dataset.SeriesInstanceUID = SERIES
    dataset.FrameOfReferenceUID = FRAME
    dataset.Modality = {CT: "CT", PET: "PT"}.get(sop_class, "MR")
    dataset.SeriesDescription = "phantom"
    dataset.PatientID = "P"
    return dataset


def _add_pixels(dataset: Dataset, pixels: NDArray[np.int16]) -> None:
    dataset.Rows, dataset.Columns = pixels.shape[-2:]
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelRepresentation = 1
    dataset.PixelData = pixels.tobytes()


def _texts(numbers: Any) -> list[str]:
    """As a decimal string, of at most 16 characters."""
    return [f"{float(each):.10f}"[:16] for each in numbers]


def _save(dataset: Dataset, path: Path) -> Path:
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = UID(dataset.SOPClassUID)
    dataset.file_meta.MediaStorageSOPInstanceUID = UID(dataset.SOPInstanceUID)
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.save_as(path, enforce_file_format=True)
    return path
