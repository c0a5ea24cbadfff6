"""Facial symmetry from 3D surface scans; `symmetry.measure` measures."""

from typing import Final

ANALYSIS: Final = "surface-symmetry"
VERSION: Final = "2.3.0"
