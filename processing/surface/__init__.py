"""Facial symmetry from 3D surface scans."""

from processing.surface.symmetry import ANALYSIS, VERSION, measure

__all__ = ["ANALYSIS", "VERSION", "measure"]
