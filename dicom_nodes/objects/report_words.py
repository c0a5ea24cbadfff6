"""What the writer and the readers of a measurement report share, beside its codes."""

from __future__ import annotations

from typing import Final

ANALYSIS_TRACKING: Final = "analysis"
LANDMARK_TRACKING: Final = "landmark "
PLANE_TRACKING: Final = "plane "
QUALITY_TRACKING: Final = "quality "
"""What follows the analysis' name in a tracking identifier, before the name of the thing."""

SCOORD_ORIGIN_SHIFT: Final = 0.5
"""A pixel's centre is 0, 0 in hemiface and 0.5, 0.5 in SCOORD (PS3.3 C.18.6.1.2)."""
