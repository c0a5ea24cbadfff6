"""SOP classes that hemiface reads and writes (PS3.4 annex B.5)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

VL_PHOTOGRAPHIC_IMAGE: Final = "1.2.840.10008.5.1.4.1.1.77.1.4"
SECONDARY_CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"
COMPREHENSIVE_SR: Final = "1.2.840.10008.5.1.4.1.1.88.33"
COMPREHENSIVE_3D_SR: Final = "1.2.840.10008.5.1.4.1.1.88.34"
STRUCTURED_REPORTS: Final = frozenset(
    {
        COMPREHENSIVE_3D_SR,
        "1.2.840.10008.5.1.4.1.1.88.22",  # enhanced
        COMPREHENSIVE_SR,
        "1.2.840.10008.5.1.4.1.1.88.35",  # extensible
    }
)
"""Classes that may hold measurements and points on an image (TID 1500)."""

KEY_OBJECT_SELECTION: Final = "1.2.840.10008.5.1.4.1.1.88.59"
ENCAPSULATED_PDF: Final = "1.2.840.10008.5.1.4.1.1.104.1"
ENCAPSULATED_STL: Final = "1.2.840.10008.5.1.4.1.1.104.3"
ENCAPSULATED_OBJ: Final = "1.2.840.10008.5.1.4.1.1.104.4"
ENCAPSULATED_MTL: Final = "1.2.840.10008.5.1.4.1.1.104.5"
SURFACE_SEGMENTATION: Final = "1.2.840.10008.5.1.4.1.1.66.5"
SURFACE_SCAN_MESH: Final = "1.2.840.10008.5.1.4.1.1.68.1"
SURFACE_SCAN_POINT_CLOUD: Final = "1.2.840.10008.5.1.4.1.1.68.2"
SURFACE_SCANS: Final = frozenset(
    {
        ENCAPSULATED_STL,
        ENCAPSULATED_OBJ,
        SURFACE_SCAN_MESH,
        SURFACE_SCAN_POINT_CLOUD,
        SURFACE_SEGMENTATION,
    }
)
"""Classes that hold a surface."""

PHOTOGRAPHS: Final = frozenset(
    {
        VL_PHOTOGRAPHIC_IMAGE,
        SECONDARY_CAPTURE,
        "1.2.840.10008.5.1.4.1.1.7.2",  # multi-frame grayscale byte
        "1.2.840.10008.5.1.4.1.1.7.3",  # multi-frame grayscale word
        "1.2.840.10008.5.1.4.1.1.7.4",  # multi-frame true colour
        "1.2.840.10008.5.1.4.1.1.77.1.1",  # VL endoscopic
        "1.2.840.10008.5.1.4.1.1.77.1.2",  # VL microscopic
        "1.2.840.10008.5.1.4.1.1.77.1.5.1",  # ophthalmic photography, 8 bit
        "1.2.840.10008.5.1.4.1.1.77.1.5.2",  # ophthalmic photography, 16 bit
    }
)
"""Classes whose pixels may be a photograph."""

ENCAPSULATED_MODELS: Final = {ENCAPSULATED_STL: "stl", ENCAPSULATED_OBJ: "obj"}
"""Classes that carry a mesh as a file, and which file."""

SURFACE_MESHES: Final = frozenset(
    {SURFACE_SCAN_MESH, SURFACE_SCAN_POINT_CLOUD, SURFACE_SEGMENTATION}
)
"""Classes that carry a surface as attributes (PS3.3 C.27 and C.29)."""

VOLUME_SLICES: Final = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.2",  # CT
        "1.2.840.10008.5.1.4.1.1.4",  # MR
        "1.2.840.10008.5.1.4.1.1.128",  # PET
    }
)
"""Classes of which each instance is one slice."""

ENHANCED_VOLUMES: Final = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.2.1",  # enhanced CT
        "1.2.840.10008.5.1.4.1.1.2.2",  # legacy converted enhanced CT
        "1.2.840.10008.5.1.4.1.1.4.1",  # enhanced MR
        "1.2.840.10008.5.1.4.1.1.4.4",  # legacy converted enhanced MR
        "1.2.840.10008.5.1.4.1.1.130",  # enhanced PET
        "1.2.840.10008.5.1.4.1.1.128.1",  # legacy converted enhanced PET
    }
)
"""Classes whose frames are slices, each with functional groups (PS3.3 C.7.6.16)."""

READ: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "photograph": PHOTOGRAPHS,
        "surface of a face": SURFACE_SCANS,
        "materials of a surface": frozenset({ENCAPSULATED_MTL}),
        "what a reviewer placed": STRUCTURED_REPORTS,
        "slice of a volume": VOLUME_SLICES,
        "volume": ENHANCED_VOLUMES,
    }
)
"""All classes that are read, by what they hold."""
