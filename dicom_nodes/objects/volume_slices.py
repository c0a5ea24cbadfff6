"""A slice of a volume as its header describes it, whether an instance or a frame."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from dicom_nodes.objects.volume_values import ValueMapping, value_mapping
from processing.measurement import RejectedInput

MOST_VOXELS: Final = 256_000_000
"""Of a file, and of a volume: a whole-body CT has some 200 million."""

_LARGEST_COORDINATE_MM: Final = 1e5
_LARGEST_SPACING_MM: Final = 100.0
_ORTHOGONALITY: Final = 1e-2


@dataclass(frozen=True, slots=True)
class VolumeSlice:
    """A slice: where it lies, what tells it from others, and how its values are read.

    Parameters
    ----------
    path : Path
    frame : int
        Of the file, from 0.
    sop_instance_uid, series_instance_uid : str
    number : int
        Instance Number, or that of the frame; for messages.
    rows, columns : int
    position_mm : (3,) float64 array
        Of the centre of the first pixel, LPS.
    along_row, along_column : (3,) float64 array
        Unit vectors in which columns and rows increase.
    spacing_mm : tuple of float
        Between rows and between columns, as Pixel Spacing (0028,0030) has them.
    kind : mapping of str to str
        What two slices of one volume have in common, for a person.
    order : mapping of str to float
        What may tell slices at the same place apart, as phases of a movement.
    mapping : ValueMapping
    """

    path: Path
    frame: int
    sop_instance_uid: str
    series_instance_uid: str
    number: int
    rows: int
    columns: int
    position_mm: NDArray[np.float64] = field(repr=False)
    along_row: NDArray[np.float64] = field(repr=False)
    along_column: NDArray[np.float64] = field(repr=False)
    spacing_mm: tuple[float, float]
    kind: Mapping[str, str]
    order: Mapping[str, float]
    mapping: ValueMapping

    @property
    def normal(self) -> NDArray[np.float64]:
        """The perpendicular of the slice."""
        return np.cross(self.along_row, self.along_column)


def _number(unit: str = "") -> Callable[[Any], str]:
    def written(value: Any) -> str:
        return f"{float(value):g} {unit}".rstrip()

    return written


def _joined(value: Any) -> str:
    values = value if isinstance(value, MultiValue | list | tuple) else [value]
    return "\\".join(str(each) for each in values)


def _direction(value: Any) -> str:
    return "\\".join(f"{float(each):.3f}" for each in value)


_KINDS: Final[Mapping[str, tuple[str, Callable[[Any], str]]]] = {
    "ImageType": ("image type", _joined),
    "ComplexImageComponent": ("component", str),
    "EchoTime": ("echo time", _number("ms")),
    "InversionTime": ("inversion time", _number("ms")),
    "FlipAngle": ("flip angle", _number("deg")),
    "DiffusionBValue": ("b value", _number("s/mm2")),
    "DiffusionGradientOrientation": ("gradient", _direction),
    "TemporalPositionIdentifier": ("time", str),
    "StackID": ("stack", str),
    "KVP": ("tube voltage", _number("kV")),
    "ConvolutionKernel": ("kernel", _joined),
}
_ORDERS: Final[Mapping[str, str]] = {
    "TriggerTime": "phase",
    "FrameReferenceTime": "time",
    "AcquisitionNumber": "acquisition",
}


def slice_of_instance(dataset: Dataset, path: Path) -> VolumeSlice:
    """The slice that a classic instance is (PS3.3 A.3, A.4, A.21).

    Raises
    ------
    RejectedInput
        If an attribute of the geometry is missing or no slice can have it.
    """
    return slice_at(
        dataset,
        path,
        0,
        number=int(dataset.get("InstanceNumber") or 0),
        position=dataset.get("ImagePositionPatient"),
        orientation=dataset.get("ImageOrientationPatient"),
        spacing=dataset.get("PixelSpacing"),
        kind=kind_of(dataset, _KINDS),
        order=order_of(dataset, _ORDERS),
        mapping=value_mapping(dataset, dataset),
    )


def slice_at(
    dataset: Dataset,
    path: Path,
    frame: int,
    *,
    number: int,
    position: Any,
    orientation: Any,
    spacing: Any,
    kind: Mapping[str, str],
    order: Mapping[str, float],
    mapping: ValueMapping,
) -> VolumeSlice:
    """A slice out of raw attributes; see `slice_of_instance`."""
    where = f"slice {number}"
    place = _numbers(position, 3, f"{where}: Image Position Patient (0020,0032)")
    if np.abs(place).max() > _LARGEST_COORDINATE_MM:
        raise RejectedInput(f"{where}: Image Position Patient (0020,0032) is far outside a body.")
    directions = _numbers(orientation, 6, f"{where}: Image Orientation Patient (0020,0037)")
    along_row, along_column = _unit_vectors(directions, where)
    pixel = _numbers(spacing, 2, f"{where}: Pixel Spacing (0028,0030)")
    if not ((pixel > 0) & (pixel <= _LARGEST_SPACING_MM)).all():
        raise RejectedInput(f"{where}: Pixel Spacing (0028,0030) is {pixel[0]:g}\\{pixel[1]:g} mm.")
    return VolumeSlice(
        path=path,
        frame=frame,
        sop_instance_uid=str(dataset.get("SOPInstanceUID") or ""),
        series_instance_uid=str(dataset.get("SeriesInstanceUID") or ""),
        number=number,
        rows=int(dataset.get("Rows") or 0),
        columns=int(dataset.get("Columns") or 0),
        position_mm=place,
        along_row=along_row,
        along_column=along_column,
        spacing_mm=(float(pixel[0]), float(pixel[1])),
        kind=kind,
        order=order,
        mapping=mapping,
    )


def check_pixels(dataset: Dataset, frames: int) -> None:
    """Refuse what is no grey image of a bearable size, before a pixel is decoded.

    Raises
    ------
    RejectedInput
    """
    rows, columns = int(dataset.get("Rows") or 0), int(dataset.get("Columns") or 0)
    if rows < 1 or columns < 1 or frames < 1:
        raise RejectedInput("Rows, Columns or Number of Frames is missing or not positive.")
    if rows * columns * frames > MOST_VOXELS:
        raise RejectedInput(
            f"The object claims {frames} slices of {rows} by {columns} pixels; more than "
            f"{MOST_VOXELS // 1_000_000} million voxels are not read."
        )
    if int(dataset.get("SamplesPerPixel") or 1) != 1:
        raise RejectedInput("The object is a colour picture, no slice with values.")


def kind_of(
    dataset: Dataset, table: Mapping[str, tuple[str, Callable[[Any], str]]]
) -> dict[str, str]:
    """What of a table a dataset has, in words."""
    return {
        name: written(dataset.get(keyword))
        for keyword, (name, written) in table.items()
        if dataset.get(keyword) not in (None, "")
    }


def order_of(dataset: Dataset, table: Mapping[str, str]) -> dict[str, float]:
    """The numbers of a table that a dataset has."""
    return {
        name: float(dataset.get(keyword))
        for keyword, name in table.items()
        if dataset.get(keyword) not in (None, "")
    }


def _numbers(value: Any, count: int, what: str) -> NDArray[np.float64]:
    if value is None or isinstance(value, str) or len(value) != count:
        raise RejectedInput(f"{what} is missing or does not have {count} values.")
    numbers = np.array([float(each) for each in value])
    if not np.isfinite(numbers).all():
        raise RejectedInput(f"{what} is no finite number.")
    return numbers


def _unit_vectors(
    directions: NDArray[np.float64], where: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Row and column direction, made exactly perpendicular where they nearly are."""
    along_row, along_column = directions[:3], directions[3:]
    lengths = np.linalg.norm(along_row), np.linalg.norm(along_column)
    is_unit = all(math.isclose(each, 1, abs_tol=_ORTHOGONALITY) for each in lengths)
    if not is_unit or abs(along_row @ along_column) > _ORTHOGONALITY:
        raise RejectedInput(
            f"{where}: Image Orientation Patient (0020,0037) holds no two perpendicular unit "
            "vectors."
        )
    along_row = along_row / lengths[0]
    along_column = along_column - (along_column @ along_row) * along_row
    return along_row, along_column / np.linalg.norm(along_column)
