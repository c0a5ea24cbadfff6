"""Content items that reports are made of: a number with its properties, a site, a text."""

from __future__ import annotations

import hashlib
from typing import Final

from highdicom import sr
from pydicom.sr.codedict import codes as standard_codes
from pydicom.sr.coding import Code as PydicomCode

from dicom_nodes.objects import codes, report_codes
from dicom_nodes.objects.coded_entries import Code, private_code
from dicom_nodes.objects.report_context import Source
from dicom_nodes.objects.written_object import DEVICE_UID, OWN_MANUFACTURER, clean_text
from processing.measurement import Analysis, Mark, Measurement, NormalRange, Side

_LONGEST_MEANING: Final = 64
_LONGEST_TEXT: Final = 10_000


def composite_item(name: Code, source: Source) -> sr.CompositeContentItem:
    """A reference to an object of any class."""
    return sr.CompositeContentItem(
        name=as_coded(name),
        referenced_sop_class_uid=source.sop_class_uid,
        referenced_sop_instance_uid=source.sop_instance_uid,
        relationship_type=sr.RelationshipTypeValues.CONTAINS,
    )


def image_item(name: Code, source: Source) -> sr.ImageContentItem:
    """A reference to an image."""
    return sr.ImageContentItem(
        name=as_coded(name),
        referenced_sop_class_uid=source.sop_class_uid,
        referenced_sop_instance_uid=source.sop_instance_uid,
        relationship_type=sr.RelationshipTypeValues.CONTAINS,
    )


def measurement_item(
    measured: Measurement,
    *,
    name: Code | None = None,
    with_site: bool = False,
    normal: NormalRange | None = None,
) -> sr.Measurement:
    """A measurement with unit, method, derivation, uncertainty and normal range (TID 300).

    Parameters
    ----------
    measured : Measurement
    name : Code, optional
        Another name than that of its quantity, which then says the derivation, too.
    with_site : bool
        Whether it names its own site, because its group stands for both sides.
    normal : NormalRange, optional
        The published normal range.

    Raises
    ------
    PermanentFault
        If its quantity, unit or structure has no code.
    """
    concept = codes.Concept(name) if name else codes.quantity_concept(measured.quantity)
    unit = codes.unit_code(measured.unit)
    method = clean_text(measured.method, _LONGEST_TEXT, is_single_valued=False)
    measurement = sr.Measurement(
        name=as_coded(concept.name),
        value=float(measured.value),
        unit=as_coded(unit),
        derivation=as_coded(concept.derivation) if concept.derivation is not None else None,
        method=_method_code(method) if method else None,
        properties=_properties(measured.uncertainty, unit, normal),
        finding_sites=[site_of(measured)] if with_site else None,
    )
    content = measurement[0].ContentSequence
    if len(method) > _LONGEST_MEANING:
        content.append(
            text_item(report_codes.METHOD_TEXT, method, sr.RelationshipTypeValues.HAS_PROPERTIES)
        )
    for each in measured.derived_from:
        content.append(
            text_item(report_codes.DERIVED_FROM, each, sr.RelationshipTypeValues.INFERRED_FROM)
        )
    return measurement


def _properties(
    uncertainty: float, unit: Code, normal: NormalRange | None
) -> sr.MeasurementProperties:
    """The measurement uncertainty (TID 310 row 5, CID 225), symmetric, and the normal range.

    That is the standard's own concept for it; a standard deviation (TID 311) would be
    one of a population of reference. It carries the standard uncertainty, coverage
    factor 1, in the unit of the measurement. highdicom's own arguments write upper
    and lower uncertainty without unit, so the item is made here.
    """
    properties = sr.MeasurementProperties(
        normal_range_properties=_normal_range(normal) if normal is not None else None
    )
    properties.append(_property(report_codes.UNCERTAINTY, uncertainty, unit))
    return properties


def _normal_range(normal: NormalRange) -> sr.NormalRangeProperties:
    """Bounds, population and source (TID 312). Whether a value is normal is left to a person."""
    unit = codes.unit_code(normal.unit)
    bounds = (
        (report_codes.NORMAL_RANGE_LOWER, normal.low),
        (report_codes.NORMAL_RANGE_UPPER, normal.high),
    )
    return sr.NormalRangeProperties(
        values=[_property(name, value, unit) for name, value in bounds if value is not None],
        description=clean_text(normal.population, _LONGEST_TEXT, is_single_valued=False),
        authority=clean_text(normal.source, _LONGEST_TEXT, is_single_valued=False),
    )


def _property(name: Code, value: float, unit: Code) -> sr.NumContentItem:
    return sr.NumContentItem(
        name=as_coded(name),
        value=float(value),
        unit=as_coded(unit),
        relationship_type=sr.RelationshipTypeValues.HAS_PROPERTIES,
    )


def algorithm_item(analysis: Analysis) -> sr.AlgorithmIdentification:
    """Name and version of the method (TID 4019)."""
    return sr.AlgorithmIdentification(
        name=clean_text(analysis.analysis, _LONGEST_TEXT),
        version=clean_text(analysis.version, _LONGEST_TEXT),
    )


def finding_site(code: Code, side: Side | None, region: str | None = None) -> sr.FindingSite:
    """A finding site with laterality and topographical modifier."""
    return sr.FindingSite(
        anatomic_location=as_coded(code),
        laterality=as_coded(codes.SIDES[side]) if side is not None else None,
        topographical_modifier=(
            as_coded(codes.region_code(region)) if region is not None else None
        ),
    )


def site_of(measured: Measurement | Mark) -> sr.FindingSite:
    """Where something was measured; the head and neck where no structure is said."""
    structure = measured.structure
    code = codes.structure_code(structure) if structure is not None else codes.UNSPECIFIED_SITE
    return finding_site(code, measured.side, measured.region)


def device_observer() -> sr.ObservationContext:
    """Hemiface as the only observer (TID 1001)."""
    return sr.ObservationContext(observer_device_context=device_observer_context())


def device_observer_context() -> sr.ObserverContext:
    """Hemiface as an observer (TID 1002 and 1004)."""
    return sr.ObserverContext(
        observer_type=standard_codes.DCM.Device,
        observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
            uid=DEVICE_UID,
            name=OWN_MANUFACTURER,
            manufacturer_name=OWN_MANUFACTURER,
            model_name=OWN_MANUFACTURER,
        ),
    )


def _method_code(method: str) -> PydicomCode:
    """A private code for a method: its value follows from the whole text."""
    digest = hashlib.sha256(method.encode()).hexdigest()
    return as_coded(private_code(f"M_{digest[:12]}", clean_text(method, _LONGEST_MEANING)))


def text_item(
    name: Code,
    text: str,
    relationship: sr.RelationshipTypeValues = sr.RelationshipTypeValues.CONTAINS,
) -> sr.TextContentItem:
    """A text, cleaned of what DICOM does not allow; a dash where nothing is left."""
    return sr.TextContentItem(
        name=as_coded(name),
        value=clean_text(text, _LONGEST_TEXT, is_single_valued=False) or "-",
        relationship_type=relationship,
    )


def as_coded(code: Code) -> PydicomCode:
    """A code as highdicom takes it."""
    return PydicomCode(code.value, code.scheme, code.meaning)
