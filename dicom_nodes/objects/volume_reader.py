"""Reads volumes of MR, CT and PET: classic slices and enhanced multi-frame objects alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.pixels.utils import pixel_array

from dicom_nodes.objects.character_sets import without_controls
from dicom_nodes.objects.decoded_frames import decoding_plugin
from dicom_nodes.objects.foreign_values import FOREIGN_VALUE_FAULTS, foreign_values
from dicom_nodes.objects.sop_classes import ENHANCED_VOLUMES, VOLUME_SLICES
from dicom_nodes.objects.volume_functional_groups import slices_of_frames
from dicom_nodes.objects.volume_geometry import Stack, stack_of
from dicom_nodes.objects.volume_parts import Part, parts_of
from dicom_nodes.objects.volume_slices import (
    MOST_VOXELS,
    VolumeSlice,
    check_pixels,
    slice_of_instance,
)
from dicom_nodes.objects.volume_suv import suv_per_unit
from processing.inputs import Volume
from processing.measurement import RejectedInput

MOST_SLICES: Final = 20_000
_LARGEST_HEADER_VALUE: Final = "1 MB"
_LONGEST_DESCRIPTION: Final = 200


@dataclass(frozen=True, slots=True)
class ReadVolumes:
    """What could be read of some files, and why not the rest.

    `rejected` maps a file, or a volume as ``series: what tells it from others``, to
    the reason.
    """

    volumes: tuple[Volume, ...]
    rejected: Mapping[str, str]


def read_volumes(paths: Sequence[Path]) -> ReadVolumes:
    """Read every volume in some files.

    Series are kept apart, and within a series echoes, phases of a movement, directions
    of diffusion, stacks, components and other kinds of image. Slices that came twice
    are read once, with a note. A volume with missing or uneven slices is rejected, and
    the reason says where.

    Parameters
    ----------
    paths : sequence of Path
        Part 10 files of MR, CT and PET, classic, enhanced or legacy converted.

    Returns
    -------
    ReadVolumes
        Sorted by series, each series' volumes in the order of their slices.
    """
    rejected: dict[str, str] = {}
    headers: dict[Path, Dataset] = {}
    series: dict[str, list[VolumeSlice]] = {}
    for path in paths:
        try:
            headers[path] = _header(path)
            for each in _slices(headers[path], path):
                series.setdefault(each.series_instance_uid, []).append(each)
        except RejectedInput as rejection:
            rejected[str(path)] = str(rejection)
    volumes: list[Volume] = []
    for uid, slices in sorted(series.items()):
        try:
            parts = parts_of(sorted(slices, key=lambda each: (each.number, str(each.path))))
        except RejectedInput as rejection:
            rejected[uid] = str(rejection)
            continue
        for part in parts:
            try:
                volumes.append(_volume(part, headers))
            except RejectedInput as rejection:
                name = f"{uid}: {part.words}" if part.words else uid
                rejected[name] = str(rejection)
    return ReadVolumes(tuple(volumes), rejected)


def _header(path: Path) -> Dataset:
    try:
        with foreign_values():
            dataset = dcmread(path, stop_before_pixels=True, defer_size=_LARGEST_HEADER_VALUE)
            uid = str(dataset.get("SOPClassUID") or "")
    except InvalidDicomError as fault:
        raise RejectedInput("It is not a DICOM file.") from fault
    except FOREIGN_VALUE_FAULTS as fault:
        raise RejectedInput(f"The header cannot be read ({_line(fault)}).") from fault
    if uid not in VOLUME_SLICES | ENHANCED_VOLUMES:
        raise RejectedInput(f"SOP class {uid or 'unknown'} holds no slices of MR, CT or PET.")
    return dataset


def _slices(dataset: Dataset, path: Path) -> list[VolumeSlice]:
    try:
        with foreign_values():
            frames = int(dataset.get("NumberOfFrames") or 1)
            if frames > MOST_SLICES:
                raise RejectedInput(f"The object claims {frames} frames.")
            check_pixels(dataset, frames)
            if str(dataset.SOPClassUID) in ENHANCED_VOLUMES:
                return list(slices_of_frames(dataset, path))
            if frames != 1:
                raise RejectedInput(
                    f"The object claims {frames} frames; one of its class is a slice."
                )
            return [slice_of_instance(dataset, path)]
    except FOREIGN_VALUE_FAULTS as fault:
        raise RejectedInput(f"An attribute cannot be read ({_line(fault)}).") from fault


def _volume(part: Part, headers: Mapping[Path, Dataset]) -> Volume:
    if len(part.slices) > MOST_SLICES:
        raise RejectedInput(f"There are {len(part.slices)} slices; {MOST_SLICES} are read.")
    notes = _copies(part)
    stack = stack_of(part.slices)
    first = stack.slices[0]
    if len(stack.slices) * first.rows * first.columns > MOST_VOXELS:
        raise RejectedInput(f"The volume has more than {MOST_VOXELS // 1_000_000} million voxels.")
    datasets = [headers[path] for path in dict.fromkeys(each.path for each in stack.slices)]
    header = datasets[0]
    modality = str(header.get("Modality") or "")
    unit = first.mapping.unit
    factor, reason = _suv(datasets, unit) if modality == "PT" else (None, None)
    return Volume(
        values=_values(stack),
        affine=stack.affine,
        modality=modality,
        unit=unit,
        source=first.series_instance_uid,
        part=part.words,
        frame=str(header.get("FrameOfReferenceUID") or "") or None,
        description=_line(header.get("SeriesDescription") or ""),
        instances=tuple(dict.fromkeys(each.sop_instance_uid for each in stack.slices)),
        notes=notes + stack.notes,
        suv_per_unit=factor,
        no_suv_reason=reason,
    )


def _suv(datasets: Sequence[Dataset], unit: str) -> tuple[float | None, str | None]:
    try:
        return suv_per_unit(datasets, unit), None
    except RejectedInput as rejection:
        return None, str(rejection)


def _copies(part: Part) -> tuple[str, ...]:
    """A note on slices that came twice.

    Raises
    ------
    RejectedInput
        If slices at one place differ, so that one would have to be chosen.
    """
    if not part.copies:
        return ()
    kept = list(part.slices)
    for copy in part.copies:
        apart = [float(np.linalg.norm(each.position_mm - copy.position_mm)) for each in kept]
        original = kept[int(np.argmin(apart))]
        pairs = zip(_pixels([original]), _pixels([copy]), strict=True)
        if original.mapping != copy.mapping or not all(np.array_equal(*pair) for pair in pairs):
            raise RejectedInput(
                f"Slices {original.number} and {copy.number} lie at the same place and differ, and "
                "nothing says what tells them apart (no echo time, phase or acquisition)."
            )
    count = len(part.copies)
    numbers = ", ".join(str(each.number) for each in part.copies[:5])
    more = ", ..." if count > 5 else ""
    return (f"{count} slices came twice and were read once (numbers {numbers}{more}).",)


def _values(stack: Stack) -> NDArray[np.float32]:
    first = stack.slices[0]
    values = np.empty((len(stack.slices), first.rows, first.columns), np.float32)
    for index, pixels in enumerate(_pixels(stack.slices)):
        mapping = stack.slices[index].mapping
        values[index] = pixels.astype(np.float64) * mapping.slope + mapping.intercept
    return values


def _pixels(slices: Sequence[VolumeSlice]) -> Iterator[NDArray[np.number[Any]]]:
    """Stored values of each slice; a file with several frames is decoded once."""
    path: Path | None = None
    frames: NDArray[np.number[Any]] | None = None
    for each in slices:
        if each.path != path or frames is None:
            path, frames = each.path, _decoded(each.path)
        pixels = frames if frames.ndim == 2 else frames[each.frame]
        if pixels.shape != (each.rows, each.columns):
            raise RejectedInput(f"Slice {each.number}: its pixels do not fit Rows and Columns.")
        yield pixels


def _decoded(path: Path) -> NDArray[np.number[Any]]:
    try:
        with foreign_values():
            dataset = dcmread(path)
            plugin = decoding_plugin(str(dataset.file_meta.TransferSyntaxUID))
            decoded: NDArray[np.number[Any]] = pixel_array(
                dataset, raw=True, decoding_plugin=plugin
            )
            return decoded
    except (RuntimeError, MemoryError, *FOREIGN_VALUE_FAULTS) as fault:
        raise RejectedInput(
            f"Pixel Data (7FE0,0010) cannot be decoded ({_line(fault)})."
        ) from fault


def _line(text: object) -> str:
    """One line of bounded length, without control characters."""
    return " ".join(without_controls(str(text)).split())[:_LONGEST_DESCRIPTION]
