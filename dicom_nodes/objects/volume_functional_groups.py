"""The slices that the frames of an enhanced object are (PS3.3 C.7.6.16)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydicom.dataset import Dataset

from dicom_nodes.objects.volume_slices import VolumeSlice, kind_of, order_of, slice_at
from dicom_nodes.objects.volume_values import value_mapping
from processing.measurement import RejectedInput

# Each macro with what of it tells one volume from another.
_KINDS: Final[Mapping[str, Mapping[str, tuple[str, Callable[[Any], str]]]]] = {
    "MRImageFrameTypeSequence": {
        "FrameType": ("image type", lambda value: "\\".join(map(str, value))),
        "ComplexImageComponent": ("component", str),
    },
    "CTImageFrameTypeSequence": {
        "FrameType": ("image type", lambda value: "\\".join(map(str, value)))
    },
    "PETFrameTypeSequence": {"FrameType": ("image type", lambda value: "\\".join(map(str, value)))},
    "MREchoSequence": {"EffectiveEchoTime": ("echo time", lambda value: f"{float(value):g} ms")},
    "MRDiffusionSequence": {
        "DiffusionBValue": ("b value", lambda value: f"{float(value):g} s/mm2"),
    },
    "MRTimingAndRelatedParametersSequence": {
        "FlipAngle": ("flip angle", lambda value: f"{float(value):g} deg")
    },
    "FrameContentSequence": {
        "StackID": ("stack", str),
        "TemporalPositionIndex": ("time", str),
    },
    # What a legacy converted object kept of its instances (PS3.3 C.7.6.16.2.22).
    "UnassignedPerFrameConvertedAttributesSequence": {
        "EchoTime": ("echo time", lambda value: f"{float(value):g} ms"),
        "ImageType": ("image type", lambda value: "\\".join(map(str, value))),
        "TemporalPositionIdentifier": ("time", str),
        "DiffusionBValue": ("b value", lambda value: f"{float(value):g} s/mm2"),
    },
}
_ORDERS: Final[Mapping[str, Mapping[str, str]]] = {
    "CardiacSynchronizationSequence": {"NominalCardiacTriggerDelayTime": "phase"},
    "FrameContentSequence": {"FrameAcquisitionNumber": "acquisition"},
    "UnassignedPerFrameConvertedAttributesSequence": {"TriggerTime": "phase"},
}


def slices_of_frames(dataset: Dataset, path: Path) -> Iterator[VolumeSlice]:
    """The slices of an enhanced object.

    Raises
    ------
    RejectedInput
        If the functional groups do not fit the frames, or an attribute of the
        geometry is missing.
    """
    frames = list(dataset.get("PerFrameFunctionalGroupsSequence") or [])
    shared_items = list(dataset.get("SharedFunctionalGroupsSequence") or [])
    count = int(dataset.get("NumberOfFrames") or 1)
    if len(frames) != count:
        raise RejectedInput(
            f"The object has {count} frames, but functional groups (5200,9230) of {len(frames)}."
        )
    shared = shared_items[0] if shared_items else Dataset()
    for index, frame in enumerate(frames):
        groups = _Groups(frame, shared)
        yield slice_at(
            dataset,
            path,
            index,
            number=index + 1,
            position=groups.macro("PlanePositionSequence").get("ImagePositionPatient"),
            orientation=groups.macro("PlaneOrientationSequence").get("ImageOrientationPatient"),
            spacing=groups.macro("PixelMeasuresSequence").get("PixelSpacing"),
            kind=_kind(groups),
            order={
                name: value
                for macro, table in _ORDERS.items()
                for name, value in order_of(groups.macro(macro), table).items()
            },
            mapping=value_mapping(dataset, groups.of_values()),
        )


class _Groups:
    """The macros of a frame: its own before those that all frames share."""

    def __init__(self, frame: Dataset, shared: Dataset) -> None:
        self._frame = frame
        self._shared = shared

    def macro(self, keyword: str) -> Dataset:
        """The first item of a macro; empty where there is none."""
        for group in (self._frame, self._shared):
            items = group.get(keyword) or []
            if len(items):
                item: Dataset = items[0]
                return item
        return Dataset()

    def of_values(self) -> Dataset:
        """Rescaling and real world values as a classic instance has them."""
        values = Dataset()
        values.update(self.macro("PixelValueTransformationSequence"))
        for group in (self._frame, self._shared):
            if group.get("RealWorldValueMappingSequence"):
                values.RealWorldValueMappingSequence = group.RealWorldValueMappingSequence
                break
        return values


def _kind(groups: _Groups) -> dict[str, str]:
    found: dict[str, str] = {}
    for macro, table in _KINDS.items():
        for name, value in kind_of(groups.macro(macro), table).items():
            found.setdefault(name, value)
    gradient = groups.macro("MRDiffusionSequence").get("DiffusionGradientDirectionSequence") or []
    if len(gradient):
        direction = gradient[0].get("DiffusionGradientOrientation")
        if direction is not None:
            found["gradient"] = "\\".join(f"{float(each):.3f}" for each in direction)
    return found
