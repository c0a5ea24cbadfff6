"""Reads photographs: VL Photographic Image, Secondary Capture and their relatives."""

from __future__ import annotations

from collections.abc import MutableSequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset

from dicom_nodes.objects.compressed_frames import stream_size
from dicom_nodes.objects.decoded_frames import check_is_readable, compressed_frame, decode_frame
from dicom_nodes.objects.file_structure import PLAIN_TRANSFER_SYNTAXES
from dicom_nodes.objects.foreign_values import FOREIGN_VALUE_FAULTS, foreign_values
from dicom_nodes.objects.header import InstanceHeader, read_header
from dicom_nodes.objects.pixel_spacing import PixelSpacing, read_pixel_spacing
from dicom_nodes.objects.sop_classes import PHOTOGRAPHS
from dicom_nodes.objects.view_evidence import Mirrored, orientation_text, read_mirrored
from processing.inputs import Photograph
from processing.measurement import RejectedInput

LARGEST_FRAME_PIXELS: Final = 100_000_000
LARGEST_OBJECT_PIXELS: Final = 200_000_000
MOST_SEPARATE_FRAMES: Final = 50

_DECODER_FAULTS: Final = (*FOREIGN_VALUE_FAULTS, RuntimeError, SyntaxError, ArithmeticError)
_FRAME_TIMES: Final = frozenset({0x00181063, 0x00181065})
"""Frame Time and Frame Time Vector: the frames follow one another as a film."""


def read_photographs(path: Path) -> tuple[Photograph, ...]:
    """Read the frames of an image as photographs.

    Of a film, whose frames show a face that moves and whose expressions nothing
    tells apart, only the first frame is read: Frame Increment Pointer (0028,0009)
    points to the time of frames, or there are more than `MOST_SEPARATE_FRAMES`.

    Parameters
    ----------
    path : Path
        A Part 10 file, in any transfer syntax but video.

    Returns
    -------
    tuple of Photograph
        One for each frame. The source is the SOP Instance UID; for a frame of
        several, ``#`` and the frame number from 1 follow it. A picture that is
        coded as mirrored is turned back.

    Raises
    ------
    RejectedInput
        If the object is no image, is damaged, claims more pixels than it has or
        than `LARGEST_FRAME_PIXELS`, cannot be decoded, or leaves open whether left
        and right are exchanged in it.
    """
    header = read_header(path)
    _check_class(header)
    _check_claims(header)
    try:
        with foreign_values():
            return _read(path, header)
    except _DECODER_FAULTS as error:
        raise _undecodable(error) from error


def read_frame(path: Path, number: int) -> NDArray[np.uint8]:
    """One frame of an image as it is stored, for the eye: nothing is turned back.

    Parameters
    ----------
    path : Path
    number : int
        From 1.

    Returns
    -------
    (rows, columns, 3) uint8 array
        sRGB.

    Raises
    ------
    RejectedInput
        As `read_photographs`, or if there is no such frame.
    """
    header = read_header(path)
    _check_class(header)
    _check_claims(header)
    if not 1 <= number <= header.number_of_frames:
        raise RejectedInput(f"The image has frames 1 to {header.number_of_frames}.")
    try:
        with foreign_values():
            dataset = _checked_dataset(path, header)
            _check_bytes(dataset, header, range(number, number + 1))
            return decode_frame(dataset, header, number)
    except _DECODER_FAULTS as error:
        raise _undecodable(error) from error


def _undecodable(error: Exception) -> RejectedInput:
    return RejectedInput(
        f"The pixels cannot be decoded ({type(error).__name__}: {error}). "
        "Send the object again, or in another transfer syntax."
    )


def _checked_dataset(path: Path, header: InstanceHeader) -> Dataset:
    dataset = dcmread(path)
    if "PixelData" not in dataset:
        raise RejectedInput("Pixel Data (7FE0,0010) is missing. Send the object again.")
    check_is_readable(dataset, header)
    return dataset


def _read(path: Path, header: InstanceHeader) -> tuple[Photograph, ...]:
    dataset = _checked_dataset(path, header)
    numbers = _frame_numbers(dataset, header)
    _check_bytes(dataset, header, numbers)
    spacing = read_pixel_spacing(dataset)
    is_mirrored = _is_mirrored(dataset, header)
    return tuple(
        _photograph(decode_frame(dataset, header, number), header, number, spacing, is_mirrored)
        for number in numbers
    )


def _photograph(
    frame: NDArray[np.uint8],
    header: InstanceHeader,
    number: int,
    spacing: PixelSpacing | None,
    is_mirrored: bool,
) -> Photograph:
    return Photograph(
        pixels=np.ascontiguousarray(frame[:, ::-1]) if is_mirrored else frame,
        source=_source(header, number),
        pixel_spacing_mm=spacing.mm if spacing is not None else None,
        view=header.view,
        expression=header.expression,
        pixel_spacing_origin=spacing.origin if spacing is not None else None,
        is_turned_back=is_mirrored,
    )


def _frame_numbers(dataset: Dataset, header: InstanceHeader) -> range:
    pointer = dataset.get("FrameIncrementPointer")
    several = pointer if isinstance(pointer, MutableSequence) else [pointer or 0]
    pointers = {int(each) for each in several}
    is_film = pointers & _FRAME_TIMES or header.number_of_frames > MOST_SEPARATE_FRAMES
    return range(1, 2 if is_film else header.number_of_frames + 1)


def _is_mirrored(dataset: Dataset, header: InstanceHeader) -> bool:
    mirrored = read_mirrored(dataset, header.view)
    if mirrored is Mirrored.CONTRADICTORY:
        raise RejectedInput(
            f"Patient Orientation (0020,0020) is {orientation_text(dataset) or 'empty'}, which no "
            "face seen from the front has: either left and right are exchanged in the picture, or "
            "the attribute is wrong. As this decides which side is the patient's left, the "
            "picture is not measured. Correct the attribute (L\\F for a face that is not "
            "mirrored), or send the picture unmirrored."
        )
    return mirrored is Mirrored.YES


def _check_class(header: InstanceHeader) -> None:
    if header.sop_class_uid not in PHOTOGRAPHS:
        raise RejectedInput(
            f"SOP class {header.sop_class_uid} is no photograph; send a VL Photographic Image."
        )


def _check_claims(header: InstanceHeader) -> None:
    if header.rows == 0 or header.columns == 0:
        raise RejectedInput("Rows (0028,0010) or Columns (0028,0011) is missing or zero.")
    if header.rows * header.columns > LARGEST_FRAME_PIXELS:
        raise RejectedInput(
            f"The image claims {header.columns} x {header.rows} pixels; at most "
            f"{LARGEST_FRAME_PIXELS // 1_000_000} megapixels are read. Send a smaller image."
        )
    if header.rows * header.columns * header.number_of_frames > LARGEST_OBJECT_PIXELS:
        raise RejectedInput(
            f"Number of Frames (0028,0008) claims {header.number_of_frames} frames of "
            f"{header.columns} x {header.rows} pixels; at most "
            f"{LARGEST_OBJECT_PIXELS // 1_000_000} megapixels are read. Send fewer frames."
        )


def _check_bytes(dataset: Dataset, header: InstanceHeader, numbers: range) -> None:
    """Compare what the attributes claim with the bytes that are there."""
    if header.transfer_syntax_uid not in PLAIN_TRANSFER_SYNTAXES:
        for number in numbers:
            _check_stream(compressed_frame(dataset, header, number), header)
        return
    samples = int(dataset.SamplesPerPixel)
    per_frame = header.rows * header.columns * samples * int(dataset.BitsAllocated) // 8
    if dataset.PhotometricInterpretation == "YBR_FULL_422":
        per_frame = per_frame * 2 // 3
    needed = per_frame * header.number_of_frames
    if len(dataset.PixelData) < needed:
        raise RejectedInput(
            f"Pixel Data (7FE0,0010) has {len(dataset.PixelData)} bytes where Rows, Columns and "
            f"Number of Frames claim {needed}. Send the object again."
        )


def _check_stream(frame: bytes, header: InstanceHeader) -> None:
    size = stream_size(frame)
    if size is not None and (size.rows, size.columns) != (header.rows, header.columns):
        raise RejectedInput(
            f"The compressed picture claims {size.columns} x {size.rows} pixels, but Columns "
            f"(0028,0011) and Rows (0028,0010) say {header.columns} x {header.rows}. "
            "Correct the object at its sender."
        )


def _source(header: InstanceHeader, number: int) -> str:
    if header.number_of_frames == 1:
        return header.sop_instance_uid
    return f"{header.sop_instance_uid}#{number}"
