"""The coded concepts of a report itself: what its content items are named (PS3.16)."""

from __future__ import annotations

from typing import Final

from dicom_nodes.objects.coded_entries import Code, private_code

FINDING_SITE: Final = Code("363698007", "SCT", "Finding Site")
LATERALITY: Final = Code("272741003", "SCT", "Laterality")
TOPOGRAPHICAL_MODIFIER: Final = Code("106233006", "SCT", "Topographical modifier")
ANATOMICAL_POINT: Final = Code("711101009", "SCT", "Anatomical point")
ABNORMAL_STRUCTURE: Final = Code("49755003", "SCT", "Morphologically Abnormal Structure")
"""CID 7150, category of a segment."""
SOURCE_OF_MEASUREMENT: Final = Code("121112", "DCM", "Source of Measurement")
ILLUSTRATION: Final = Code("121200", "DCM", "Illustration of ROI")
DISPLAY_REPORT: Final = private_code("DISPLAY_REPORT", "The same measurements, drawn on pictures")
KEY_PICTURES: Final = private_code("KEY_PICTURES", "Selection of the pictures of the analysis")
SURFACE_OF_AREA: Final = private_code("SURFACE_OF_AREA", "Surface of the area that was measured")
UNCERTAINTY: Final = Code("371884006", "SCT", "+/-, range of measurement uncertainty")
NORMAL_RANGE_LOWER: Final = Code("385524004", "SCT", "Normal Range Lower Limit")
NORMAL_RANGE_UPPER: Final = Code("371933006", "SCT", "Normal Range Upper Limit")
"""CID 223."""
MEASUREMENT_METHOD: Final = Code("370129005", "SCT", "Measurement Method")
DERIVATION: Final = Code("121401", "DCM", "Derivation")
COMMENT: Final = Code("121106", "DCM", "Comment")
YES: Final = Code("373066001", "SCT", "Yes")
NO: Final = Code("373067005", "SCT", "No")
PRESENT: Final = Code("52101004", "SCT", "Present")
ABSENT: Final = Code("272519000", "SCT", "Absent")
AFFECTED_AREA: Final = private_code("AFFECTED_AREA_IS", "Affected area of the face")
AFFECTED_SIDE: Final = private_code("AFFECTED_SIDE", "Side of the affected area")
CHECKS_PASSED: Final = private_code("CHECKS_PASSED", "All quality checks passed")
ANALYSIS_STATUS: Final = private_code("ANALYSIS_STATUS", "Status of analysis")
ANALYSIS_REASON: Final = private_code("ANALYSIS_REASON", "Reason for status of analysis")
ANALYSIS_INPUT: Final = private_code("ANALYSIS_INPUT", "Input of analysis")
METHOD_TEXT: Final = private_code("METHOD_TEXT", "Description of measurement method")
DERIVED_FROM: Final = private_code("DERIVED_FROM", "Derived from")
QUALITY_CHECK: Final = private_code("QUALITY_CHECK", "Quality check")
QUALITY_VALUE: Final = private_code("QUALITY_VALUE", "Value of quality check")
QUALITY_LIMIT: Final = private_code("QUALITY_LIMIT", "Limit of quality check")
QUALITY_PASSED: Final = private_code("QUALITY_PASSED", "Quality check passed")
PLANE_NORMAL: Final = (
    private_code("PLANE_NORMAL_X", "X component of normal of plane"),
    private_code("PLANE_NORMAL_Y", "Y component of normal of plane"),
    private_code("PLANE_NORMAL_Z", "Z component of normal of plane"),
)
PLANE_OFFSET: Final = private_code("PLANE_OFFSET", "Distance of plane from origin along its normal")
REPORT_CODES: Final = (
    *(each for each in tuple(globals().values()) if isinstance(each, Code)),
    *PLANE_NORMAL,
)
"""All of this module."""
