"""From stored values to values with a unit: rescaling, or a real world value mapping."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from pydicom.dataset import Dataset

from processing.measurement import RejectedInput

NO_UNIT: Final = "1"
HOUNSFIELD: Final = "[hnsf'U]"
BECQUEREL: Final = "Bq/mL"

_UNITS_OF_PET: Final = {"BQML": BECQUEREL, "GML": "g/mL", "CNTS": "{counts}", "CPS": "{counts}/s"}
_RESCALE_TYPES: Final = {"HU": HOUNSFIELD, "US": NO_UNIT}


@dataclass(frozen=True, slots=True)
class ValueMapping:
    """A value is ``slope * stored + intercept``, in `unit`."""

    slope: float
    intercept: float
    unit: str


def value_mapping(dataset: Dataset, groups: Dataset) -> ValueMapping:
    """How the values of a slice are read.

    One linear Real World Value Mapping with a unit counts before Rescale Slope and
    Intercept (PS3.3 C.7.6.16.2.11): it is what the values mean. Where there are several,
    nothing says which is meant, and the rescaled values are read.

    Parameters
    ----------
    dataset : Dataset
        The instance.
    groups : Dataset
        What holds the attributes: the instance itself, or its frame's.

    Raises
    ------
    RejectedInput
        If a slope is zero or no number.
    """
    mapped = _real_world(groups)
    if mapped is not None:
        return mapped
    slope = _number(groups, "RescaleSlope", 1.0)
    intercept = _number(groups, "RescaleIntercept", 0.0)
    if slope == 0:
        raise RejectedInput("Rescale Slope (0028,1053) is 0, so the values say nothing.")
    return ValueMapping(slope, intercept, _unit(dataset, groups))


def _real_world(groups: Dataset) -> ValueMapping | None:
    items = groups.get("RealWorldValueMappingSequence") or []
    if len(items) != 1:
        return None
    (item,) = list(items)
    codes = item.get("MeasurementUnitsCodeSequence") or []
    has_line = "RealWorldValueSlope" in item and "RealWorldValueIntercept" in item
    if not has_line or len(codes) != 1 or codes[0].get("CodingSchemeDesignator") != "UCUM":
        return None
    slope = _number(item, "RealWorldValueSlope", 1.0)
    if slope == 0:
        return None
    intercept = _number(item, "RealWorldValueIntercept", 0.0)
    return ValueMapping(slope, intercept, str(codes[0].get("CodeValue") or NO_UNIT))


def _unit(dataset: Dataset, groups: Dataset) -> str:
    modality = dataset.get("Modality")
    if modality == "PT":
        return _UNITS_OF_PET.get(str(dataset.get("Units") or ""), NO_UNIT)
    stated = groups.get("RescaleType")
    if stated in _RESCALE_TYPES:
        return _RESCALE_TYPES[str(stated)]
    # PS3.3 C.8.2.1.1.2: Hounsfield units unless something else is said.
    return HOUNSFIELD if modality == "CT" and not stated else NO_UNIT


def _number(dataset: Dataset, keyword: str, default: float) -> float:
    value = dataset.get(keyword)
    if value is None or value == "":
        return default
    number = float(value)
    if not math.isfinite(number):
        raise RejectedInput(f"{keyword} is no finite number.")
    return number
