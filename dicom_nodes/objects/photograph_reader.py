"""Reads photographs: VL Photographic Image, Secondary Capture and their relatives."""

from __future__ import annotations

import math
from collections.abc import MutableSequence
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut
from pydicom.pixels.utils import pixel_array
from pydicom.uid import (
    JPEG2000,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from dicom_nodes.objects.compressed_frames import stream_size
from dicom_nodes.objects.file_structure import PLAIN_TRANSFER_SYNTAXES
from dicom_nodes.objects.foreign_values import FOREIGN_VALUE_FAULTS, foreign_values
from dicom_nodes.objects.header import InstanceHeader, image_comments, read_header
from dicom_nodes.objects.sop_classes import PHOTOGRAPHS
from dicom_nodes.objects.views import read_expression, read_view
from processing.inputs import Photograph
from processing.measurement import RejectedInput

LARGEST_FRAME_PIXELS: Final = 100_000_000
LARGEST_OBJECT_PIXELS: Final = 200_000_000

_DECODER_FAULTS: Final = (*FOREIGN_VALUE_FAULTS, RuntimeError, SyntaxError, ArithmeticError)
# GDCM ends the process on a damaged JPEG (seen with python-gdcm 3.0), so it decodes only
# what nothing else does: lossless JPEG, and JPEG and JPEG 2000 of more than 8 bits.
_DECODERS: Final = {
    str(JPEGBaseline8Bit): "pillow",
    str(JPEGExtended12Bit): "pillow",
    str(JPEG2000Lossless): "pillow",
    str(JPEG2000): "pillow",
    str(JPEGLSLossless): "pyjpegls",
    str(JPEGLSNearLossless): "pyjpegls",
    str(RLELossless): "pydicom",
}
_SQUARE_TOLERANCE: Final = 0.01


def read_photographs(path: Path) -> tuple[Photograph, ...]:
    """Read the frames of an image as photographs.

    Parameters
    ----------
    path : Path
        A Part 10 file, in any transfer syntax but video.

    Returns
    -------
    tuple of Photograph
        One for each frame. The source is the SOP Instance UID; for a frame of
        several, ``#`` and the frame number from 1 follow it.

    Raises
    ------
    RejectedInput
        If the object is no image, is damaged, claims more pixels than it has or
        than `LARGEST_FRAME_PIXELS`, or cannot be decoded.
    """
    header = read_header(path)
    _check_class(header)
    _check_claims(header)
    try:
        with foreign_values():
            return _read(path, header)
    except _DECODER_FAULTS as error:
        raise RejectedInput(
            f"The pixels cannot be decoded ({type(error).__name__}: {error}). "
            "Send the object again, or in another transfer syntax."
        ) from error


def _read(path: Path, header: InstanceHeader) -> tuple[Photograph, ...]:
    dataset = dcmread(path)
    if "PixelData" not in dataset:
        raise RejectedInput("Pixel Data (7FE0,0010) is missing. Send the object again.")
    _check_bytes(dataset, header)
    spacing = _pixel_spacing(dataset)
    comments = image_comments(path)
    return tuple(
        Photograph(
            pixels=frame,
            source=_source(header, number),
            pixel_spacing_mm=spacing,
            view=read_view(dataset, comments),
            expression=read_expression(dataset, comments),
        )
        for number, frame in enumerate(_decode(dataset, header), start=1)
    )


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


def _check_bytes(dataset: Dataset, header: InstanceHeader) -> None:
    """Compare what the attributes claim with the bytes that are there."""
    if header.transfer_syntax_uid not in PLAIN_TRANSFER_SYNTAXES:
        frames = generate_frames(dataset.PixelData, number_of_frames=header.number_of_frames)
        for frame in frames:
            _check_stream(frame, header)
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


def _decode(dataset: Dataset, header: InstanceHeader) -> list[NDArray[np.uint8]]:
    decoder = _DECODERS.get(header.transfer_syntax_uid, "")
    if decoder == "pillow" and int(dataset.BitsStored) > 8:
        decoder = ""
    decoded = pixel_array(dataset, decoding_plugin=decoder)
    frames = decoded if header.number_of_frames > 1 else decoded[np.newaxis]
    return [_as_srgb(frame, dataset) for frame in frames]


def _as_srgb(frame: NDArray[Any], dataset: Dataset) -> NDArray[np.uint8]:
    """A decoded frame as a viewer would show it; pydicom has made YBR to RGB already."""
    interpretation = str(dataset.PhotometricInterpretation)
    if interpretation == "PALETTE COLOR":
        return _as_eight_bits(apply_color_lut(frame, dataset), bits=_palette_bits(dataset))
    if frame.ndim == 3:
        return _as_eight_bits(frame, bits=int(dataset.BitsStored))
    if not interpretation.startswith("MONOCHROME"):
        raise RejectedInput(
            f"Photometric Interpretation (0028,0004) '{interpretation}' does not fit one sample "
            "per pixel. Correct the object at its sender."
        )
    grey = _windowed(frame, dataset)
    if interpretation == "MONOCHROME1":
        grey = 255 - grey
    return cast(NDArray[np.uint8], np.repeat(grey[:, :, np.newaxis], 3, axis=2))


def _windowed(frame: NDArray[Any], dataset: Dataset) -> NDArray[np.uint8]:
    """Grey values on 0 to 255: by the window where there is one, else by all stored bits."""
    center, width = _first(dataset.get("WindowCenter")), _first(dataset.get("WindowWidth"))
    if center is None or width is None or width < 1:
        if int(dataset.PixelRepresentation) == 1:
            frame = frame.astype(np.int32) + (1 << (int(dataset.BitsStored) - 1))
        return _as_eight_bits(frame, bits=int(dataset.BitsStored))
    values = apply_modality_lut(frame, dataset).astype(np.float64)
    # The linear function of PS3.3 C.11.2.1.2.1.
    shown = (values - (center - 0.5)) / max(width - 1, 1e-9) + 0.5
    return np.rint(np.clip(shown, 0, 1) * 255).astype(np.uint8)


def _first(value: Any) -> float | None:
    """The first of one or several numbers."""
    if value is None or value == "":
        return None
    number = float(value[0] if isinstance(value, MutableSequence) else value)
    return number if math.isfinite(number) else None


def _as_eight_bits(values: NDArray[Any], *, bits: int) -> NDArray[np.uint8]:
    if bits > 8:
        values = values >> (bits - 8)
    elif bits < 8:
        values = np.rint(values.astype(np.float64) * (255 / ((1 << bits) - 1)))
    return np.ascontiguousarray(np.clip(values, 0, 255).astype(np.uint8))


def _palette_bits(dataset: Dataset) -> int:
    """Bits of the entries of the palette (PS3.3 C.7.6.3.1.5)."""
    descriptor = dataset.get("RedPaletteColorLookupTableDescriptor")
    if descriptor is None or len(descriptor) != 3 or int(descriptor[2]) not in (8, 16):
        raise RejectedInput("Red Palette Color Lookup Table Descriptor (0028,1101) is not valid.")
    return int(descriptor[2])


def _pixel_spacing(dataset: Dataset) -> float | None:
    spacing = dataset.get("PixelSpacing") or dataset.get("ImagerPixelSpacing")
    if not isinstance(spacing, MutableSequence) or len(spacing) != 2:
        return None
    down, across = float(spacing[0]), float(spacing[1])
    if not (math.isfinite(down) and math.isfinite(across) and down > 0 and across > 0):
        return None
    if abs(down - across) > _SQUARE_TOLERANCE * max(down, across):
        raise RejectedInput(
            f"The pixels are not square ({down} mm x {across} mm), so the picture shows a face "
            "out of proportion. Send it with square pixels."
        )
    return (down + across) / 2


def _source(header: InstanceHeader, number: int) -> str:
    if header.number_of_frames == 1:
        return header.sop_instance_uid
    return f"{header.sop_instance_uid}#{number}"
