"""Uncompressed pixels of a colour picture (PS3.3 C.7.6.3)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

LARGEST_SIDE = 65535


def add_rgb_pixels(dataset: Dataset, pixels: NDArray[Any]) -> None:
    """Put an RGB picture into a dataset, not compressed.

    Parameters
    ----------
    dataset : Dataset
        Changed in place.
    pixels : (rows, columns, 3) uint8 array

    Raises
    ------
    ValueError
        If the array is not of that form, or too large for DICOM.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError(f"a picture is (rows, columns, 3) uint8, not {pixels.shape}")
    rows, columns, _ = pixels.shape
    if not (0 < rows <= LARGEST_SIDE and 0 < columns <= LARGEST_SIDE):
        raise ValueError(f"a picture of {columns} x {rows} pixels does not fit into DICOM")
    add_pixel_description(dataset, rows, columns, samples=3)
    dataset.PhotometricInterpretation = "RGB"
    data = pixels.tobytes()
    dataset.add_new("PixelData", "OB", data if len(data) % 2 == 0 else data + b"\0")


def add_pixel_description(dataset: Dataset, rows: int, columns: int, *, samples: int) -> None:
    """Describe 8 bit pixels; the photometric interpretation is left to the caller."""
    dataset.SamplesPerPixel = samples
    dataset.Rows = rows
    dataset.Columns = columns
    dataset.BitsAllocated = 8
    dataset.BitsStored = 8
    dataset.HighBit = 7
    dataset.PixelRepresentation = 0
    if samples > 1:
        dataset.PlanarConfiguration = 0
