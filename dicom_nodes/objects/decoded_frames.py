"""Frames of a photograph decoded to sRGB, in whatever form their pixels are stored.

Every compressed form is given to the decoder that is fast and survives damaged
streams; what none of them takes is refused by name.
"""

from __future__ import annotations

import math
from collections.abc import MutableSequence
from io import BytesIO
from typing import Any, Final, cast

import gdcm  # type: ignore[import-untyped] # python-gdcm has no stubs
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut
from pydicom.pixels.utils import pixel_array
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    ExplicitVRBigEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from dicom_nodes.objects.colour_profile import profile_of_jpeg, to_srgb
from dicom_nodes.objects.compressed_frames import StreamSize, stream_size
from dicom_nodes.objects.file_structure import PLAIN_TRANSFER_SYNTAXES
from dicom_nodes.objects.header import InstanceHeader
from processing.measurement import RejectedInput

# GDCM ends the process on a damaged JPEG (seen with python-gdcm 3.0), so it decodes only
# what nothing else does: lossless JPEG, and JPEG and JPEG 2000 of more than 8 bits.
_DECODERS: Final = {
    str(JPEGLossless): "gdcm",
    str(JPEGLosslessSV1): "gdcm",
    str(JPEG2000Lossless): "gdcm",
    str(JPEG2000): "gdcm",
    str(JPEGLSLossless): "pyjpegls",
    str(JPEGLSNearLossless): "pyjpegls",
    str(RLELossless): "pydicom",
}
_EIGHT_BIT_JPEG: Final = frozenset({str(JPEGBaseline8Bit), str(JPEGExtended12Bit)})
_EIGHT_BIT_JPEG_2000: Final = frozenset(
    map(str, (JPEG2000Lossless, JPEG2000, HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K))
)
READ_TRANSFER_SYNTAXES: Final = (
    PLAIN_TRANSFER_SYNTAXES | set(_DECODERS) | _EIGHT_BIT_JPEG | _EIGHT_BIT_JPEG_2000
)
"""The transfer syntaxes that pictures are read in."""

_CODED_AS_YBR: Final = ("YBR_FULL", "YBR_FULL_422")
_COLOURS: Final = frozenset(
    {"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT", "PALETTE COLOR"}
)


def decoding_plugin(transfer_syntax_uid: str) -> str:
    """The decoder of pydicom that takes a transfer syntax; empty where it may choose."""
    return _DECODERS.get(transfer_syntax_uid, "")


def check_is_readable(dataset: Dataset, header: InstanceHeader) -> None:
    """Refuse what no decoder here takes, by its name.

    Raises
    ------
    RejectedInput
    """
    syntax = header.transfer_syntax_uid
    if syntax not in READ_TRANSFER_SYNTAXES:
        raise RejectedInput(
            f"The transfer syntax {UID(syntax).name} is not read. Send the photograph as JPEG, "
            "JPEG 2000, JPEG-LS, RLE or uncompressed."
        )
    interpretation = str(dataset.PhotometricInterpretation)
    if interpretation not in _COLOURS and not interpretation.startswith("MONOCHROME"):
        raise RejectedInput(
            f"Photometric Interpretation (0028,0004) '{interpretation[:16]}' is not read. Send "
            "the photograph as RGB, YBR_FULL_422, PALETTE COLOR or MONOCHROME2."
        )


def decode_frame(dataset: Dataset, header: InstanceHeader, number: int) -> NDArray[np.uint8]:
    """Decode one frame.

    Parameters
    ----------
    dataset : Dataset
        Whose sizes have been checked.
    header : InstanceHeader
        Of the same object.
    number : int
        From 1.

    Returns
    -------
    (rows, columns, 3) uint8 array
        sRGB: an ICC profile, of the object or in the stream, is applied.

    Raises
    ------
    RejectedInput
        If samples and photometric interpretation do not fit together.
    Exception
        Whatever the decoder raises on a damaged stream.
    """
    profile = dataset.get("ICCProfile")
    syntax = header.transfer_syntax_uid
    if syntax in PLAIN_TRANSFER_SYNTAXES:
        return to_srgb(_shown(_decoded(dataset, number, ""), dataset), profile)
    stream = compressed_frame(dataset, header, number)
    size = stream_size(stream)
    if syntax in _EIGHT_BIT_JPEG and size is not None and size.bits == 8:
        return to_srgb(_jpeg(stream, dataset), profile or profile_of_jpeg(stream))
    if (
        syntax == JPEGExtended12Bit
        and size is not None
        and size.samples == 1
        and 8 < int(dataset.BitsStored) <= 16
    ):
        return _jpeg_of_twelve_bits(stream, size, dataset)
    if syntax in _EIGHT_BIT_JPEG_2000 and (syntax not in _DECODERS or _is_eight_bits(size)):
        frame = _shown(_jpeg_2000(stream, size, dataset), dataset)
        return to_srgb(frame, profile)
    if syntax not in _DECODERS:
        raise RejectedInput(
            "Pixel Data (7FE0,0010) does not hold the JPEG that its transfer syntax promises. "
            "Send the object again, or in another transfer syntax."
        )
    return to_srgb(_shown(_decoded(dataset, number, _DECODERS[syntax]), dataset), profile)


def compressed_frame(dataset: Dataset, header: InstanceHeader, number: int) -> bytes:
    """The compressed stream of a frame, from 1."""
    offsets, lengths = (
        dataset.get(keyword) for keyword in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths")
    )
    return get_frame(
        dataset.PixelData,
        number - 1,
        extended_offsets=(offsets, lengths) if offsets and lengths else None,
        number_of_frames=header.number_of_frames,
    )


def _is_eight_bits(size: StreamSize | None) -> bool:
    return size is not None and size.bits == 8


def _decoded(dataset: Dataset, number: int, decoder: str) -> NDArray[Any]:
    """A frame by pydicom, which makes RGB of YBR."""
    return pixel_array(dataset, index=number - 1, decoding_plugin=decoder)


def _jpeg(stream: bytes, dataset: Dataset) -> NDArray[np.uint8]:
    """A JPEG of 8 bits, its colours by what the stream says of itself.

    The photometric interpretation is not asked: where it contradicts the stream, the
    stream is right. RGB beside a stream of YCbCr is a common fault (of GDCM's encoder,
    too), and who codes RGB has to name the components so, or write Adobe's segment.
    """
    with Image.open(BytesIO(stream), formats=("JPEG",)) as picture:
        if picture.mode == "L":
            return _shown(np.asarray(picture), dataset)
        return np.array(picture.convert("RGB"), dtype=np.uint8)


def _jpeg_of_twelve_bits(stream: bytes, size: StreamSize, dataset: Dataset) -> NDArray[np.uint8]:
    """An extended JPEG of 12 bits, which pydicom decodes by no plug-in, by GDCM itself."""
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(stream)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((size.columns, size.rows, 1))
    image.SetDataElement(element)
    image.SetPhotometricInterpretation(
        gdcm.PhotometricInterpretation(gdcm.PhotometricInterpretation.MONOCHROME2)
    )
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGExtendedProcess2_4))
    stored = int(dataset.BitsStored)
    image.SetPixelFormat(gdcm.PixelFormat(1, 16, stored, stored - 1, 0))
    # GDCM's Python gives bytes as text.
    samples = image.GetBuffer().encode("utf-8", "surrogateescape")
    return _shown(np.frombuffer(samples, "<u2").reshape(size.rows, size.columns), dataset)


def _jpeg_2000(stream: bytes, size: StreamSize | None, dataset: Dataset) -> NDArray[Any]:
    """A JPEG 2000 or HTJ2K stream of 8 bits; its own component transform is undone."""
    if size is None or size.bits != 8:
        raise RejectedInput(
            "Pixel Data (7FE0,0010) holds HTJ2K of more than 8 bits, which is not read. Send "
            "the photograph with 8 bits, or as JPEG 2000."
        )
    with Image.open(BytesIO(stream), formats=("JPEG2000",)) as picture:
        if picture.mode == "RGB" and dataset.PhotometricInterpretation in _CODED_AS_YBR:
            return np.asarray(Image.fromarray(np.asarray(picture), "YCbCr").convert("RGB"))
        return np.asarray(picture)


def _shown(frame: NDArray[Any], dataset: Dataset) -> NDArray[np.uint8]:
    """A decoded frame as a viewer would show it."""
    interpretation = str(dataset.PhotometricInterpretation)
    if interpretation == "PALETTE COLOR":
        return _looked_up(frame, dataset)
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


def _looked_up(frame: NDArray[Any], dataset: Dataset) -> NDArray[np.uint8]:
    """Colours by the palette (PS3.3 C.7.6.3.1.5 and 6)."""
    bits = _palette_bits(dataset)
    if "RedPaletteColorLookupTableData" in dataset:
        dataset = _with_native_palette(dataset)
    colours = apply_color_lut(frame, dataset)
    if bits == 16 and int(colours.max()) < 256:
        bits = 8  # a common fault: entries of 8 bits in a palette that claims 16
    return _as_eight_bits(colours, bits=bits)


def _with_native_palette(dataset: Dataset) -> Dataset:
    """The palette alone, its entries in 16 bits of this machine's byte order.

    pydicom 3.0.2 takes big endian tables for little endian, and looks up at most 256
    entries of a table of 8 bits.
    """
    order = ">" if dataset.file_meta.TransferSyntaxUID == ExplicitVRBigEndian else "<"
    palette = Dataset()
    for colour in ("Red", "Green", "Blue"):
        descriptor = list(dataset[f"{colour}PaletteColorLookupTableDescriptor"].value)
        data = dataset[f"{colour}PaletteColorLookupTableData"].value
        entries = descriptor[0] or 1 << 16
        if len(data) >= 2 * entries:
            table = np.frombuffer(data, f"{order}u2", count=entries)
        else:
            # Two entries of 8 bits in each word: the first is its lower half.
            table = np.frombuffer(data, f"{order}u2").astype("<u2").view(np.uint8)[:entries]
        name = f"{colour}PaletteColorLookupTable"
        palette.add_new(f"{name}Descriptor", "US", [len(table), descriptor[1], 16])
        palette.add_new(f"{name}Data", "OW", table.astype(np.uint16).tobytes())
    return palette


def _palette_bits(dataset: Dataset) -> int:
    """Bits of the entries of the palette (PS3.3 C.7.6.3.1.5)."""
    descriptor = dataset.get("RedPaletteColorLookupTableDescriptor")
    if descriptor is None or len(descriptor) != 3 or int(descriptor[2]) not in (8, 16):
        raise RejectedInput("Red Palette Color Lookup Table Descriptor (0028,1101) is not valid.")
    return int(descriptor[2])
