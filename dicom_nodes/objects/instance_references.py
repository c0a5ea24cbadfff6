"""Which other instances a surface scan refers to, and what a segmentation says it is of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from pydicom import dcmread
from pydicom.dataset import Dataset

from dicom_nodes.objects.coded_entries import code_of
from dicom_nodes.objects.foreign_values import FOREIGN_VALUE_FAULTS, foreign_values
from dicom_nodes.objects.sop_classes import (
    ENCAPSULATED_MTL,
    PHOTOGRAPHS,
    SURFACE_MESHES,
    SURFACE_SCANS,
)

UV_MAPPING: Final = 0x00800008
MOST_REFERENCES: Final = 200
_KEPT_CLASSES: Final = frozenset({*SURFACE_SCANS, ENCAPSULATED_MTL})


def has_references(sop_class_uid: str) -> bool:
    """Whether the references of this class are of interest."""
    return sop_class_uid in _KEPT_CLASSES


def referenced_instances(dataset: Dataset) -> tuple[str, ...]:
    """UIDs of the textures, libraries and other scans that a scan or a library refers to.

    They stand in Referenced Image Sequence (0008,1140), Referenced Instance Sequence
    (0008,114A), Source Instance Sequence (0042,0013) and UV Mapping Sequence
    (0080,0008), and for segmentations in Referenced Series Sequence (0008,1115).
    Photographs from which a surface was computed are left out: they are no part of it.

    Raises
    ------
    one of FOREIGN_VALUE_FAULTS
        If a sequence is damaged.
    """
    found: dict[str, None] = {}
    for uid in _references(dataset):
        found[uid] = None
        if len(found) >= MOST_REFERENCES:
            break
    return tuple(found)


def _references(dataset: Dataset) -> Iterator[str]:
    for keyword in ("ReferencedImageSequence", "ReferencedInstanceSequence"):
        yield from _uids(dataset.get(keyword) or ())
    yield from textures_of(dataset)
    yield from _uids(dataset.get("SourceInstanceSequence") or (), without_pictures=True)
    if str(dataset.get("SOPClassUID", "")) in SURFACE_MESHES:
        for series in dataset.get("ReferencedSeriesSequence") or ():
            instances = series.get("ReferencedInstanceSequence") or ()
            yield from _uids(instances, without_pictures=True)


def textures_of(dataset: Dataset) -> Iterator[str]:
    """UIDs of the pictures that UV Mapping Sequence (0080,0008) lays over a surface."""
    for mapping in dataset.get("UVMappingSequence") or ():
        for texture in mapping.get("ReferencedTextureSequence") or ():
            yield from _uids(texture.get("ReferencedSOPSequence") or ())


def _uids(items: Iterable[Dataset], *, without_pictures: bool = False) -> Iterator[str]:
    for item in items:
        if without_pictures and str(item.get("ReferencedSOPClassUID", "")) in PHOTOGRAPHS:
            continue
        uid = str(item.get("ReferencedSOPInstanceUID") or "")
        if uid:
            yield uid


def large_references(path: Path) -> tuple[str, ...]:
    """`referenced_instances` in a UV Mapping Sequence that is too long to be kept of a header."""
    try:
        with foreign_values():
            return referenced_instances(dcmread(path, specific_tags=[UV_MAPPING]))
    except FOREIGN_VALUE_FAULTS:
        return ()


def segmented_properties(dataset: Dataset) -> tuple[str, ...]:
    """What the segments of a segmentation are of: code values of the type of property."""
    found: dict[str, None] = {}
    for segment in dataset.get("SegmentSequence") or ():
        for item in segment.get("SegmentedPropertyTypeCodeSequence") or ():
            code = code_of(item)
            if code.scheme == "SCT" and len(found) < MOST_REFERENCES:
                found[code.value] = None
    return tuple(found)
