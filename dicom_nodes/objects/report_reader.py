"""Reads a report that hemiface wrote back into an analysis, as any receiver could."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from dicom_nodes.objects import codes, report_codes
from dicom_nodes.objects.coded_entries import Code, code_of
from dicom_nodes.objects.foreign_values import FOREIGN_VALUE_FAULTS, foreign_values
from dicom_nodes.objects.report_words import (
    LANDMARK_TRACKING,
    PLANE_TRACKING,
    QUALITY_TRACKING,
    SCOORD_ORIGIN_SHIFT,
)
from processing.measurement import (
    Analysis,
    Measurement,
    Plane,
    QualityCheck,
    RejectedInput,
)

_T = TypeVar("_T")

_IMAGING_MEASUREMENTS: Final = Code("126010", "DCM", "Imaging Measurements")
_MEASUREMENT_GROUP: Final = Code("125007", "DCM", "Measurement Group")
_IMAGE_REGION: Final = Code("111030", "DCM", "Image Region")
_TRACKING_IDENTIFIER: Final = Code("112039", "DCM", "Tracking Identifier")
_ALGORITHM_NAME: Final = Code("111001", "DCM", "Algorithm Name")
_ALGORITHM_VERSION: Final = Code("111003", "DCM", "Algorithm Version")


def read_measurement_report(source: Path | BinaryIO) -> Analysis:
    """Read a report that `write_measurement_report` wrote.

    Parameters
    ----------
    source : Path or binary file

    Returns
    -------
    Analysis
        Without pictures. Coordinates have the precision of SR (32 bit floating
        point); measurements are in the order of their groups.

    Raises
    ------
    RejectedInput
        If it is not such a report.
    """
    try:
        with foreign_values():
            return _analysis(dcmread(source))
    except InvalidDicomError as error:
        raise RejectedInput("It is not a DICOM file.") from error
    except FOREIGN_VALUE_FAULTS as error:
        raise RejectedInput(f"The measurement report is damaged: {error}") from error


def _analysis(document: Dataset) -> Analysis:
    measurements = _child(document, _IMAGING_MEASUREMENTS)
    groups = [_Group(each) for each in _children(measurements) if _name(each) == _MEASUREMENT_GROUP]
    head = next((each for each in groups if each.code(report_codes.ANALYSIS_STATUS)), None)
    if head is None:
        raise RejectedInput("It is no measurement report of hemiface.")
    name = head.text(_ALGORITHM_NAME)
    points = {
        identifier: each
        for each in groups
        if (identifier := each.identifier(name, LANDMARK_TRACKING)) is not None
    }
    return Analysis(
        analysis=name,
        version=head.text(_ALGORITHM_VERSION),
        status=_named(codes.STATUSES, head.code(report_codes.ANALYSIS_STATUS)),
        reason=head.text(report_codes.ANALYSIS_REASON) or None,
        inputs=tuple(_texts(head.item, report_codes.ANALYSIS_INPUT)),
        measurements=tuple(
            _measurement(each, number) for each in groups for number in each.measurements()
        ),
        landmarks={identifier: _point(each.item) for identifier, each in points.items()},
        planes={
            identifier: _plane(each)
            for each in groups
            if (identifier := each.identifier(name, PLANE_TRACKING)) is not None
        },
        frame=next(filter(None, (_frame(each.item) for each in points.values())), None),
        quality=tuple(
            _quality(each, identifier)
            for each in groups
            if (identifier := each.identifier(name, QUALITY_TRACKING)) is not None
        ),
    )


class _Group:
    """A measurement group (TID 1501 or 1410)."""

    def __init__(self, item: Dataset) -> None:
        self.item = item

    def text(self, name: Code) -> str:
        return next(iter(_texts(self.item, name)), "")

    def code(self, name: Code) -> Code | None:
        return _code(self.item, name)

    def identifier(self, analysis: str, kind: str) -> str | None:
        """What follows the kind in the tracking identifier; None for another kind."""
        beginning = f"{analysis} {kind}"
        text = self.text(_TRACKING_IDENTIFIER)
        return text.removeprefix(beginning) if text.startswith(beginning) else None

    def number(self, name: Code) -> tuple[float, str]:
        """Value and unit of a number."""
        return _value(_child(self.item, name))

    def measurements(self) -> Iterator[Dataset]:
        """The numbers that are quantities of an analysis."""
        for each in _numbers(self.item):
            if codes.quantity_of(_name(each), _code(each, report_codes.DERIVATION)) is not None:
                yield each


def _measurement(group: _Group, number: Dataset) -> Measurement:
    quantity = codes.quantity_of(_name(number), _code(number, report_codes.DERIVATION))
    value, unit = _value(number)
    site = _child(group.item, report_codes.FINDING_SITE)
    structure = code_of(site.ConceptCodeSequence[0])
    side = _code(site, report_codes.LATERALITY)
    region = _code(site, report_codes.TOPOGRAPHICAL_MODIFIER)
    method = _code(number, report_codes.MEASUREMENT_METHOD)
    return Measurement(
        quantity=quantity or "",
        value=value,
        unit=unit,
        uncertainty=_value(_child(number, report_codes.UNCERTAINTY))[0],
        method=next(
            iter(_texts(number, report_codes.METHOD_TEXT)), method.meaning if method else ""
        ),
        side=_named(codes.SIDES, side) if side is not None else None,
        structure=_named(codes.STRUCTURES, structure)
        if structure != codes.UNSPECIFIED_SITE
        else None,
        region=_named(codes.REGIONS, region) if region is not None else None,
        derived_from=tuple(_texts(number, report_codes.DERIVED_FROM)),
    )


def _plane(group: _Group) -> Plane:
    x, y, z = (group.number(each)[0] for each in report_codes.PLANE_NORMAL)
    return Plane((x, y, z), group.number(report_codes.PLANE_OFFSET)[0])


def _quality(group: _Group, check: str) -> QualityCheck:
    value, unit = group.number(report_codes.QUALITY_VALUE)
    limit, _ = group.number(report_codes.QUALITY_LIMIT)
    passed = group.code(report_codes.QUALITY_PASSED) == report_codes.YES
    return QualityCheck(check, value, unit, limit, passed)


def _point(group: Dataset) -> tuple[float, ...]:
    region = _child(group, _IMAGE_REGION)
    values = [float(each) for each in region.GraphicData]
    if region.ValueType == "SCOORD":
        return tuple(each - SCOORD_ORIGIN_SHIFT for each in values)
    return tuple(values)


def _frame(group: Dataset) -> str | None:
    uid = _child(group, _IMAGE_REGION).get("ReferencedFrameOfReferenceUID")
    return str(uid) if uid else None


def _value(number: Dataset) -> tuple[float, str]:
    measured = number.MeasuredValueSequence[0]
    unit = code_of(measured.MeasurementUnitsCodeSequence[0])
    exact = measured.get("FloatingPointValue")
    value = float(exact if exact is not None else measured.NumericValue)
    return value, _named(codes.UNITS, unit)


def _named(names: Mapping[_T, Code], code: Code | None) -> _T:
    name = codes.name_of(code, names) if code is not None else None
    if name is None:
        shown = f"{code.value} ({code.scheme})" if code is not None else "no code"
        raise RejectedInput(
            f"The measurement report holds {shown}, which this version of hemiface does not know."
        )
    return name


def _child(item: Dataset, name: Code) -> Dataset:
    found = next((each for each in _children(item) if _name(each) == name), None)
    if found is None:
        raise RejectedInput(f"The measurement report lacks {name.meaning}.")
    return found


def _children(item: Dataset) -> Iterable[Dataset]:
    return item.get("ContentSequence") or ()


def _numbers(item: Dataset) -> Iterator[Dataset]:
    return (each for each in _children(item) if each.get("ValueType") == "NUM")


def _name(item: Dataset) -> Code:
    names = item.get("ConceptNameCodeSequence")
    return code_of(names[0]) if names else Code("", "", "")


def _texts(item: Dataset, name: Code) -> Iterator[str]:
    return (str(each.get("TextValue", "")) for each in _children(item) if _name(each) == name)


def _code(item: Dataset, name: Code) -> Code | None:
    found = next((each for each in _children(item) if _name(each) == name), None)
    values = found.get("ConceptCodeSequence") if found is not None else None
    return code_of(values[0]) if values else None
