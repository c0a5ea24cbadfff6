"""Facial symmetry on a frontal photograph; `analysis.measure` measures."""

from typing import Final

ANALYSIS: Final = "photograph-symmetry"
VERSION: Final = "2.2.0"
